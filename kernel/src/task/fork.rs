//! New processes from old ones: fork(2), and clone(2) as far as a process of one thread goes.

use super::{NewThread, Thread, run};
use crate::{
    fs,
    namespace::{Namespaces, PidNamespace, UserNamespace},
    security::Capabilities,
};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, user::UserContext};

bitflags::bitflags! {
    /// clone(2)'s flags that have an effect here, with Linux's numbers. Those that share memory, files, the
    /// working directory or signal handlers make threads, which there are none of yet: EINVAL.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        /// Further clocks, for the children and the next program. (clone(2) takes this bit for a signal's.)
        const NEWTIME = 0x80;
        /// A copy of the mount namespace.
        const NEWNS = 0x2_0000;
        /// Set the child's thread pointer.
        const SETTLS = 0x8_0000;
        /// Write the child's pid to the parent's memory.
        const PARENT_SETTID = 0x10_0000;
        /// Clear a word of the child's memory at its end (no other thread could see it: nothing to do).
        const CHILD_CLEARTID = 0x20_0000;
        /// Write the child's pid to the child's memory.
        const CHILD_SETTID = 0x100_0000;
        /// A copy of the uts namespace.
        const NEWUTS = 0x400_0000;
        /// A new pid namespace, with the child as its first process.
        const NEWPID = 0x2000_0000;
    }
}

impl CloneFlags {
    /// Those that make namespaces, which needs CAP_SYS_ADMIN.
    pub const NAMESPACES: Self = Self::NEWNS.union(Self::NEWUTS).union(Self::NEWPID).union(Self::NEWTIME);
}

/// What clone(2) is asked for.
#[derive(Clone, Copy, Debug)]
pub struct CloneRequest {
    /// What is new, and what is told.
    pub flags: CloneFlags,
    /// Signal to the parent at the child's end; 0 for none.
    pub exit_signal: u32,
    /// The child's stack pointer; 0 for the parent's.
    pub stack: UserAddr,
    /// Where the parent wants the pid.
    pub parent_tid: UserAddr,
    /// Where the child wants the pid.
    pub child_tid: UserAddr,
    /// The child's thread pointer with SETTLS.
    pub tls: UserAddr,
}

/// Makes a child that goes on where `parent` is, and sets it off. Everything that can fail comes before the
/// child can be seen; gives back its pid as the parent sees it.
pub fn clone(parent: &Arc<Thread>, context: &UserContext, request: &CloneRequest) -> Result<u32, Errno> {
    let flags = request.flags;
    let credentials = parent.credentials();
    let owner = &credentials.user_namespace;
    if flags.intersects(CloneFlags::NAMESPACES) && !credentials.capable_at_home(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let admission = parent.cgroup().admit()?;
    let mut namespaces = new_namespaces(parent, flags, owner)?;
    namespaces.enter_time();
    let pid = namespaces.pid_for_children.allocate()?;
    let number = pid.number_in(parent.pid().namespace()).ok_or(Errno::EINVAL)?;
    let mut fs = parent.with_fs(|fs| fs.clone());
    if flags.contains(CloneFlags::NEWNS) {
        fs = fs.with_new_namespace(owner, &parent.memory())?;
    }
    let space = parent.space().fork(parent.memory())?;
    if flags.contains(CloneFlags::CHILD_SETTID) {
        space.write(request.child_tid, &pid.number())?;
    }
    if flags.contains(CloneFlags::PARENT_SETTID) {
        parent.space().write(request.parent_tid, &number)?;
    }
    let files = parent.with_files(|files: &mut fs::FdTable| files.clone());
    let mut context = context.clone();
    context.set_syscall_result(0);
    if request.stack != UserAddr(0) {
        context.set_stack_pointer(request.stack);
    }
    if flags.contains(CloneFlags::SETTLS) {
        context.set_thread_pointer(request.tls);
    }
    let child = Thread::new(NewThread {
        pid,
        admission,
        container: parent.container().cloned(),
        space,
        files,
        fs,
        namespaces,
        credentials,
        confinement: parent.confinement().inherited(),
        signals: parent.signals().inherited(),
        name: parent.name(),
        parent: Some(parent.clone()),
        exit_signal: request.exit_signal,
        on_exit: None,
    });
    if child.pid().namespaces_are_closed() {
        // Whoever kills all of a namespace may have looked before this child could be found.
        run::kill(&child);
    }
    run::spawn(child, context);
    Ok(number)
}

/// The child's namespaces: the parent's, but for those that `flags` makes new, which `owner` rules.
fn new_namespaces(parent: &Thread, flags: CloneFlags, owner: &Arc<UserNamespace>) -> Result<Namespaces, Errno> {
    let mut namespaces = parent.namespaces();
    if flags.contains(CloneFlags::NEWUTS) {
        namespaces.uts = namespaces.uts.copy(owner);
    }
    if flags.contains(CloneFlags::NEWPID) {
        namespaces.pid_for_children = PidNamespace::child(parent.pid().namespace(), owner)?;
    }
    if flags.contains(CloneFlags::NEWTIME) {
        namespaces.time_for_children = Arc::new(namespaces.time.child(owner));
    }
    Ok(namespaces)
}

/// unshare(2) of mount, uts, pid and time namespaces: all or nothing. A new pid namespace is for the children to come,
/// a new time namespace for the next program too.
pub fn unshare(thread: &Thread, flags: CloneFlags) -> Result<(), Errno> {
    if !CloneFlags::NAMESPACES.contains(flags) {
        return Err(Errno::EINVAL);
    }
    if flags.is_empty() {
        return Ok(());
    }
    let credentials = thread.credentials();
    if !credentials.capable_at_home(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let owner = &credentials.user_namespace;
    let namespaces = new_namespaces(thread, flags, owner)?;
    if flags.contains(CloneFlags::NEWNS) {
        let separate = thread.with_fs(|fs| fs.clone()).with_new_namespace(owner, &thread.memory())?;
        let old = thread.with_fs(|fs| core::mem::replace(fs, separate));
        drop(old);
    }
    thread.set_namespaces(namespaces);
    Ok(())
}
