//! New processes and threads from old ones (clone(2)).

use super::{Kin, NewThread, Scene, Thread, run};
use crate::{cgroup::Cgroup, namespace::UserNamespace, security::Capabilities};
use alloc::sync::Arc;
use veridian_containers::{NamespaceSet, Signal, abi::Errno};
use veridian_hal::{UserAddr, sync::SpinLock, user::UserContext};

bitflags::bitflags! {
    /// clone(2)'s flags, those for namespaces aside, with Linux's numbers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        /// The memory is shared.
        const VM = 0x100;
        /// Root, working directory and umask are shared.
        const FS = 0x200;
        /// The open files are shared.
        const FILES = 0x400;
        /// What is done with signals is shared.
        const SIGHAND = 0x800;
        /// The caller gets a descriptor for the child.
        const PIDFD = 0x1000;
        /// Children are traced too: nobody is traced.
        const PTRACE = 0x2000;
        /// The caller waits until the child has memory of its own, or has ended.
        const VFORK = 0x4000;
        /// The child's parent is the caller's.
        const PARENT = 0x8000;
        /// A thread of the caller's process.
        const THREAD = 0x1_0000;
        /// What semaphore operations are to undo is the process's: it is so for all threads.
        const SYSVSEM = 0x4_0000;
        /// Set the child's thread pointer.
        const SETTLS = 0x8_0000;
        /// Write the child's number to the parent's memory.
        const PARENT_SETTID = 0x10_0000;
        /// Clear a word of the child's memory at its end, and wake who waits for it.
        const CHILD_CLEARTID = 0x20_0000;
        /// Was of use to older kernels.
        const DETACHED = 0x40_0000;
        /// The child is not traced: nobody is.
        const UNTRACED = 0x80_0000;
        /// Write the child's number to the child's memory.
        const CHILD_SETTID = 0x100_0000;
        /// A share of a disk's time: there is no disk.
        const IO = 0x8000_0000;
        /// Handlers of signals are not inherited.
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// The child is made in another control group.
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

impl CloneFlags {
    /// EINVAL for what does not go together (clone(2), ERRORS).
    pub fn check(self, new: NamespaceSet) -> Result<(), Errno> {
        let needs = |what: Self, other: Self| !self.contains(what) || self.contains(other);
        let apart = |what: Self, kinds: NamespaceSet| !self.contains(what) || !new.intersects(kinds);
        let fits = needs(Self::THREAD, Self::SIGHAND)
            && needs(Self::SIGHAND, Self::VM)
            && !self.contains(Self::SIGHAND | Self::CLEAR_SIGHAND)
            && !self.contains(Self::THREAD | Self::PIDFD)
            && apart(Self::FS, NamespaceSet::MOUNT | NamespaceSet::USER)
            && apart(Self::THREAD, NamespaceSet::USER | NamespaceSet::PID)
            && apart(Self::VM, NamespaceSet::TIME)
            && apart(Self::SYSVSEM, NamespaceSet::IPC);
        if fits { Ok(()) } else { Err(Errno::EINVAL) }
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
    /// Where the parent wants the number.
    pub parent_tid: UserAddr,
    /// Where the child wants the number, written or cleared.
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
        Self {
            flags: CloneFlags::empty(),
            new: NamespaceSet::empty(),
            exit_signal: Signal::SIGCHLD.number(),
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
/// child can be seen; gives it, and its number as the caller sees it.
pub fn clone(
    caller: &Arc<Thread>,
    context: &UserContext,
    request: &CloneRequest<'_>,
) -> Result<(Arc<Thread>, u32), Errno> {
    let flags = request.flags;
    flags.check(request.new)?;
    let shares = |what| flags.contains(what);
    let admission = match &request.cgroup {
        Some(group) => group.admit_from_outside()?,
        None => caller.cgroup().admit()?,
    };
    let memory = admission.presence.cgroup().memory.clone();
    let scene = Scene::of(caller).renewed(request.new, caller.pid().namespace())?;
    let Scene { credentials, mut namespaces, fs, .. } = scene;
    let confinement = if shares(CloneFlags::THREAD) {
        caller.confinement().of_sibling(&credentials)?
    } else {
        caller.confinement().inherited(&credentials)?
    };
    if !shares(CloneFlags::VM) {
        namespaces.enter_time();
    }
    let pid = namespaces.pid_for_children.allocate_numbers(request.numbers, |owner: &UserNamespace| {
        credentials.capable_in(owner, Capabilities::SYS_ADMIN)
            || credentials.capable_in(owner, Capabilities::CHECKPOINT_RESTORE)
    })?;
    if shares(CloneFlags::THREAD) && !Arc::ptr_eq(pid.namespace(), caller.pid().namespace()) {
        return Err(Errno::EINVAL);
    }
    let number = pid.number_in(caller.pid().namespace()).ok_or(Errno::EINVAL)?;
    let kin = kin(caller, request)?;
    let space = if shares(CloneFlags::VM) { caller.space() } else { caller.space().fork(memory.clone())? };
    if !Arc::ptr_eq(&namespaces.time, &caller.time()) {
        space.exchange(&caller.time().vdso(), &namespaces.time.vdso())?;
    }
    if shares(CloneFlags::CHILD_SETTID) {
        space.write(request.child_tid, &pid.number())?;
    }
    if shares(CloneFlags::PARENT_SETTID) {
        caller.space().write(request.parent_tid, &number)?;
    }
    let files = if shares(CloneFlags::FILES) {
        caller.shared_files()
    } else {
        Arc::new(SpinLock::new(caller.with_files(|files| files.copy(&memory))?))
    };
    let fs = if shares(CloneFlags::FS) { caller.shared_fs() } else { Arc::new(SpinLock::new(fs)) };
    let signals = match flags & (CloneFlags::THREAD | CloneFlags::SIGHAND) {
        both if both.contains(CloneFlags::THREAD) => caller.signals().of_sibling(),
        one if !one.is_empty() => caller.signals().with_same_actions(),
        _ => caller.signals().inherited(flags.contains(CloneFlags::CLEAR_SIGHAND)),
    };
    let mut context = context.clone();
    context.set_syscall_result(0);
    if request.stack != UserAddr(0) {
        context.set_stack_pointer(request.stack);
    }
    if shares(CloneFlags::SETTLS) {
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
        signals,
        name: caller.name(),
        kin,
    });
    if shares(CloneFlags::THREAD) {
        // Filters that were installed for all threads while it was made.
        child.confinement().set_seccomp(caller.confinement().seccomp());
    }
    if shares(CloneFlags::CHILD_CLEARTID) {
        child.set_cleared_at_end(request.child_tid);
    }
    if child.pid().namespaces_are_closed() {
        // Whoever kills all of a namespace may have looked before this child could be found.
        run::kill(&child);
    }
    run::spawn(child.clone(), context);
    Ok((child, number))
}

fn kin(caller: &Arc<Thread>, request: &CloneRequest<'_>) -> Result<Kin, Errno> {
    let flags = request.flags;
    if flags.contains(CloneFlags::THREAD) {
        return Ok(Kin::Sibling(caller.clone()));
    }
    let (parent, exit_signal) = if flags.contains(CloneFlags::PARENT) {
        // The first process of a pid namespace has no siblings: they would be nobody's there.
        let is_init = caller.process().leader_pid().is_init();
        (caller.parent().filter(|_| !is_init).ok_or(Errno::EINVAL)?, caller.exit_signal())
    } else {
        (caller.leader(), request.exit_signal)
    };
    let borrows_memory = flags.contains(CloneFlags::VFORK);
    Ok(Kin::Process {
        guard: caller.guard().inherited(),
        parent: Some(parent),
        exit_signal,
        on_exit: None,
        borrows_memory,
    })
}
