//! Signals (signal(7)). There are no handlers yet: sigaction takes SIG_DFL and SIG_IGN, and refuses the rest.

use crate::task::{self, SignalSet, Thread};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

const SIGSET_SIZE: usize = size_of::<u64>();

/// `None` for signal 0, which only asks whether one could be sent.
fn signal(number: u32) -> Result<Option<Signal>, Errno> {
    if number == 0 { Ok(None) } else { Signal::try_from(number).map(Some) }
}

/// kill(2).
pub async fn kill(thread: &Arc<Thread>, pid: i32, number: u32) -> Result<usize, Errno> {
    let signal = signal(number)?;
    let namespace = thread.pid().namespace();
    if pid > 0 {
        let target = namespace.thread(pid.unsigned_abs()).ok_or(Errno::ESRCH)?;
        return one(thread, &target, signal);
    }
    let group = match pid {
        0 => Some(thread.group()),
        -1 => None,
        i32::MIN => return Err(Errno::ESRCH),
        // The number of a process that leads no group is the number of no group.
        _ => Some(namespace.thread(pid.unsigned_abs()).ok_or(Errno::ESRCH)?.pid().global_number()),
    };
    let targets: Vec<_> = namespace
        .threads()
        .into_iter()
        .filter(|target| match group {
            Some(group) => target.group() == group,
            // All but the caller and the namespace's first process.
            None => !Arc::ptr_eq(target, thread) && target.pid().number_in(namespace) != Some(1),
        })
        .collect();
    let mut outcome = Err(Errno::ESRCH);
    for target in targets {
        // One that could be signalled makes the call succeed; else the last refusal counts.
        match one(thread, &target, signal) {
            Ok(value) => outcome = Ok(value),
            Err(errno) if outcome.is_err() => outcome = Err(errno),
            Err(_) => {}
        }
    }
    outcome
}

/// Sends signal `number`, or with 0 only asks whether it could.
pub(super) fn to_process(thread: &Thread, target: &Arc<Thread>, number: u32) -> Result<usize, Errno> {
    one(thread, target, signal(number)?)
}

fn one(thread: &Thread, target: &Arc<Thread>, signal: Option<Signal>) -> Result<usize, Errno> {
    task::may_signal(thread, target)?;
    if let Some(signal) = signal {
        task::send_from(thread, target, signal);
    }
    Ok(0)
}

pub async fn tkill(thread: &Arc<Thread>, tid: i32, number: u32) -> Result<usize, Errno> {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    kill(thread, tid, number).await
}

pub async fn tgkill(thread: &Arc<Thread>, group: i32, tid: i32, number: u32) -> Result<usize, Errno> {
    if group <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    if group != tid {
        return Err(Errno::ESRCH);
    }
    kill(thread, tid, number).await
}

/// Bytes of the kernel's `struct sigaction`: handler, flags, on x86_64 a restorer, mask.
const SIGACTION_SIZE: usize = if super::number::IS_X86_64 { 32 } else { 24 };

const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

/// rt_sigaction(2) with SIG_DFL and SIG_IGN; a handler is ENOSYS.
pub async fn rt_sigaction(
    thread: &Thread,
    number: u32,
    new: UserAddr,
    old: UserAddr,
    set_size: usize,
) -> Result<usize, Errno> {
    let signal = Signal::try_from(number)?;
    if set_size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let wanted = if new == UserAddr(0) {
        None
    } else {
        let mut action = [0; SIGACTION_SIZE];
        thread.space().read_bytes(new, &mut action)?;
        let (handler, _) = action.split_first_chunk().expect("longer than a pointer");
        Some(u64::from_le_bytes(*handler))
    };
    if wanted.is_some() && SignalSet::UNSTOPPABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    if wanted.is_some_and(|handler| handler != SIG_DFL && handler != SIG_IGN) {
        return Err(Errno::ENOSYS);
    }
    if old != UserAddr(0) {
        let handler = if thread.signals().is_ignored(signal) { SIG_IGN } else { SIG_DFL };
        thread.space().write_bytes(old, &[handler, 0, 0, 0].as_bytes()[..SIGACTION_SIZE])?;
    }
    if let Some(handler) = wanted {
        thread.signals().set_ignored(signal, handler == SIG_IGN);
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub async fn rt_sigprocmask(
    thread: &Thread,
    how: u32,
    new: UserAddr,
    old: UserAddr,
    set_size: usize,
) -> Result<usize, Errno> {
    const SIG_BLOCK: u32 = 0;
    const SIG_UNBLOCK: u32 = 1;
    const SIG_SETMASK: u32 = 2;
    if set_size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let before = thread.signals().blocked();
    if new != UserAddr(0) {
        let set: u64 = thread.space().read(new)?;
        let after = match how {
            SIG_BLOCK => before.0 | set,
            SIG_UNBLOCK => before.0 & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        thread.signals().set_blocked(SignalSet(after));
    }
    if old != UserAddr(0) {
        thread.space().write(old, &before.0)?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub async fn rt_sigpending(thread: &Thread, set: UserAddr, set_size: usize) -> Result<usize, Errno> {
    if set_size > SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let waiting = thread.signals().pending().0 & thread.signals().blocked().0;
    thread.space().write_bytes(set, &waiting.as_bytes()[..set_size])?;
    Ok(0)
}
