//! Sending signals: to a thread, a process, a process group.

use super::{Raised, STOPS, SignalInfo, SignalSet, pending::Account};
use crate::{
    boot,
    task::{Thread, run},
};
use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};
use linux_raw_sys::general::RLIMIT_SIGPENDING;
use veridian_containers::{Signal, abi::Errno};

/// Sends `signal` to the process on the kernel's own account: nothing protects the receiver.
pub fn send(to: &Arc<Thread>, signal: Signal) {
    send_info(to, signal, SignalInfo::kernel(), false);
}

/// The same, with a cause, which is lost when the queue is full; to the thread `alone`, or to its process.
pub fn send_info(to: &Arc<Thread>, signal: Signal, info: SignalInfo, alone: bool) {
    // Refused is only what a program queues.
    let _ = queue(to, signal, info, alone);
}

/// The same, refused with EAGAIN if it is one that a program queues, and the queue is full.
pub fn queue(to: &Arc<Thread>, signal: Signal, info: SignalInfo, alone: bool) -> Result<(), Errno> {
    let process = to.process();
    let undone = match signal {
        Signal::SIGCONT => STOPS,
        _ if STOPS.contains(signal) => SignalSet::of(&[Signal::SIGCONT]),
        _ => SignalSet(0),
    };
    if undone != SignalSet(0) {
        process.threads().iter().for_each(|thread| thread.signals().cancel(undone));
    }
    let (user, limit) = (to.credentials().uid, to.confinement().limit(RLIMIT_SIGPENDING));
    let account = Account { user, limit, memory: &|| to.memory() };
    let raised = to.signals().raise(signal, info, alone, &account)?;
    to.signals().raised().wake_all();
    // With that of a thread that changes its mask: one of the two sees what the other has done.
    fence(Ordering::SeqCst);
    let open = |thread: &Arc<Thread>| !thread.signals().blocked().contains(signal) && !thread.signals().is_retired();
    match raised {
        Raised::ForAll => process.attend_all(),
        Raised::Pending if alone || to.is_leader() && open(to) => to.attend(),
        Raised::Pending => match process.leader().filter(|leader| open(leader)) {
            Some(leader) => leader.attend(),
            // Somebody whom it does not disturb less than all others.
            None => drop(process.threads().iter().find(|thread| open(thread)).map(Thread::attend)),
        },
    }
    if signal == Signal::SIGKILL {
        // What is held runs as far as its signals.
        run::release(to);
    }
    Ok(())
}

/// Whether the first process of a pid namespace is spared `signal` of `sender`: it gets none that it has no handler for,
/// but for SIGKILL and SIGSTOP from above (pid_namespaces(7)).
fn spares(sender: &Thread, to: &Thread, signal: Signal) -> bool {
    let from_above = || sender.pid().number_in(to.pid().namespace()).is_none();
    let heard = to.signals().caught().contains(signal) || to.signals().blocked().contains(signal);
    to.process().leader_pid().is_init() && !heard && !(SignalSet::UNSTOPPABLE.contains(signal) && from_above())
}

/// Sends `signal` from `sender`, who may ([`may_signal`]), with what he says of its cause; to the thread `alone`, or to
/// its process.
pub fn send_from(
    sender: &Thread,
    to: &Arc<Thread>,
    signal: Signal,
    info: SignalInfo,
    alone: bool,
) -> Result<(), Errno> {
    if spares(sender, to, signal) { Ok(()) } else { queue(to, signal, info, alone) }
}

/// Sends `signal` from `thread`, for what it has done, to itself alone.
pub fn send_to_itself(thread: &Arc<Thread>, signal: Signal) {
    let uid = thread.credentials().user_namespace.shown_user(thread.credentials().uid);
    let info = SignalInfo::user(thread.process().leader_pid().number(), uid);
    if !spares(thread, thread, signal) {
        send_info(thread, signal, info, true);
    }
}

/// Sends `signal` from the creator of a container: from above its pid namespace if it has one of its own.
pub fn send_from_above(to: &Arc<Thread>, signal: Signal) {
    if !to.pid().is_init()
        || SignalSet::UNSTOPPABLE.contains(signal)
        || to.signals().caught().contains(signal)
        || to.signals().blocked().contains(signal)
    {
        send(to, signal);
    }
}

/// Sends `signal` to every process of a group, by its leader's number in the first pid namespace, on the kernel's own
/// account. A namespace's first process gets none that it has no handler for.
pub fn send_to_group(group: u32, signal: Signal) {
    for thread in boot::pid_namespace().processes() {
        if thread.group() == group {
            send_from_above(&thread, signal);
        }
    }
}

/// Whether a process of the session is in the group, both by their leaders' numbers in the first pid namespace.
pub fn group_is_in_session(group: u32, session: u32) -> bool {
    let all = boot::pid_namespace().processes();
    all.iter().any(|process| process.group() == group && process.session() == session && !process.is_departed())
}

/// Whether nobody of its session, outside of the group, waits for a process of it and could continue it (POSIX's orphaned
/// process group).
pub fn group_is_orphaned(group: u32, session: u32) -> bool {
    !boot::pid_namespace()
        .processes()
        .iter()
        .filter(|thread| thread.group() == group && !thread.has_ended())
        .any(|thread| thread.parent().is_some_and(|parent| parent.group() != group && parent.session() == session))
}

/// Whether `sender`'s user may signal `to` (kill(2)): EPERM if not. SIGCONT may be sent within a session.
pub fn may_signal(sender: &Thread, to: &Thread) -> Result<(), Errno> {
    sender.credentials().permit_signal(&to.credentials())
}
