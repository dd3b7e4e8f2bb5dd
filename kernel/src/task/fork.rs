//! New processes from old ones: fork(2), and clone(2) as far as a process of one thread goes.

use super::{NewThread, Scene, Thread, run};
use crate::{cgroup::Cgroup, fs, namespace::UserNamespace, security::Capabilities};
use alloc::sync::Arc;
use veridian_containers::{NamespaceSet, abi::Errno};
use veridian_hal::{UserAddr, user::UserContext};

bitflags::bitflags! {
    /// clone(2)'s flags that have an effect here, those for namespaces aside, with Linux's numbers. Those that share
    /// memory, files, the working directory or signal handlers make threads, which there are none of yet: EINVAL.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        /// The child's parent is the caller's.
        const PARENT = 0x8000;
        /// Set the child's thread pointer.
        const SETTLS = 0x8_0000;
        /// Write the child's pid to the parent's memory.
        const PARENT_SETTID = 0x10_0000;
        /// Clear a word of the child's memory at its end (no other thread could see it: nothing to do).
        const CHILD_CLEARTID = 0x20_0000;
        /// Write the child's pid to the child's memory.
        const CHILD_SETTID = 0x100_0000;
        /// Handlers of signals are not inherited (there are none; what is ignored stays so).
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// The child is made in another control group.
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

/// What clone(2) is asked for.
#[derive(Clone, Debug)]
pub struct CloneRequest<'a> {
    /// What is told, and whom the child belongs to.
    pub flags: CloneFlags,
    /// Which namespaces are new.
    pub new: NamespaceSet,
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
    /// The numbers that the child is to have: in its own pid namespace, then in those above, as far as they are given.
    pub numbers: &'a [u32],
    /// The group that the child is made in; `None` for the caller's.
    pub cgroup: Option<Arc<Cgroup>>,
}

impl CloneRequest<'_> {
    /// A child like its parent, as fork(2) makes it.
    pub fn fork() -> Self {
        const SIGCHLD: u32 = 17;
        Self {
            flags: CloneFlags::empty(),
            new: NamespaceSet::empty(),
            exit_signal: SIGCHLD,
            stack: UserAddr(0),
            parent_tid: UserAddr(0),
            child_tid: UserAddr(0),
            tls: UserAddr(0),
            numbers: &[],
            cgroup: None,
        }
    }
}

/// Makes a child that goes on where `caller` is, and sets it off. Everything that can fail comes before the
/// child can be seen; gives back its pid as the caller sees it.
pub fn clone(caller: &Arc<Thread>, context: &UserContext, request: &CloneRequest<'_>) -> Result<u32, Errno> {
    let flags = request.flags;
    let (parent, exit_signal) = if flags.contains(CloneFlags::PARENT) {
        // The first process of a pid namespace has no siblings: they would be nobody's there.
        let parent = caller.parent().filter(|_| !caller.pid().is_init()).ok_or(Errno::EINVAL)?;
        (parent, caller.exit_signal())
    } else {
        (caller.clone(), request.exit_signal)
    };
    let admission = match &request.cgroup {
        Some(group) => group.admit_from_outside()?,
        None => caller.cgroup().admit()?,
    };
    let memory = admission.presence.cgroup().memory.clone();
    let scene = Scene::of(caller).renewed(request.new, caller.pid().namespace())?;
    let Scene { credentials, mut namespaces, fs, .. } = scene;
    let confinement = caller.confinement().inherited(&credentials)?;
    namespaces.enter_time();
    let may_choose = |owner: &UserNamespace| {
        credentials.capable_in(owner, Capabilities::SYS_ADMIN)
            || credentials.capable_in(owner, Capabilities::CHECKPOINT_RESTORE)
    };
    let pid = namespaces.pid_for_children.allocate_numbers(request.numbers, may_choose)?;
    let number = pid.number_in(caller.pid().namespace()).ok_or(Errno::EINVAL)?;
    let space = caller.space().fork(memory.clone())?;
    if flags.contains(CloneFlags::CHILD_SETTID) {
        space.write(request.child_tid, &pid.number())?;
    }
    if flags.contains(CloneFlags::PARENT_SETTID) {
        caller.space().write(request.parent_tid, &number)?;
    }
    let files = caller.with_files(|files: &mut fs::FdTable| files.copy(&memory))?;
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
        container: caller.container(),
        space,
        files,
        fs,
        namespaces,
        credentials,
        confinement,
        guard: caller.guard().inherited(),
        signals: caller.signals().inherited(),
        name: caller.name(),
        parent: Some(parent),
        exit_signal,
        on_exit: None,
    });
    if child.pid().namespaces_are_closed() {
        // Whoever kills all of a namespace may have looked before this child could be found.
        run::kill(&child);
    }
    run::spawn(child, context);
    Ok(number)
}
