//! Signals (signal(7)): sending them, what is done with them, waiting for them.

use super::{poll::Restore, timespec::TimeSpec};
use crate::{
    sched,
    task::{self, AlternateStack, SignalAction, SignalFlags, SignalInfo, SignalSet, Thread},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::Poll,
};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{
    UserAddr,
    user::{SIGNAL_INFO_BYTES, SignalStack, UserContext},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const SIGSET_SIZE: usize = size_of::<u64>();

/// `None` for signal 0, which only asks whether one could be sent.
pub(super) fn signal(number: u32) -> Result<Option<Signal>, Errno> {
    if number == 0 { Ok(None) } else { Signal::try_from(number).map(Some) }
}

/// kill(2).
pub fn kill(thread: &Arc<Thread>, pid: i32, number: u32) -> Result<usize, Errno> {
    let signal = signal(number)?;
    let namespace = thread.pid().namespace();
    if pid > 0 {
        let target = namespace.thread(pid.unsigned_abs()).ok_or(Errno::ESRCH)?;
        return one(thread, &target.leader(), signal, kill_info);
    }
    let group = match pid {
        0 => Some(thread.group()),
        -1 => None,
        i32::MIN => return Err(Errno::ESRCH),
        // The number of a process that leads no group is the number of no group.
        _ => Some(namespace.pid(pid.unsigned_abs()).ok_or(Errno::ESRCH)?.global_number()),
    };
    let targets: Vec<_> = namespace
        .processes()
        .into_iter()
        .filter(|target| match group {
            Some(group) => target.group() == group,
            // All but the caller and the namespace's first process.
            None => !target.is_sibling(thread) && target.pid().number_in(namespace) != Some(1),
        })
        .collect();
    let mut outcome = Err(Errno::ESRCH);
    for target in targets {
        // One that could be signalled makes the call succeed; else the last refusal counts.
        match one(thread, &target, signal, kill_info) {
            Ok(value) => outcome = Ok(value),
            Err(errno) if outcome.is_err() => outcome = Err(errno),
            Err(_) => {}
        }
    }
    outcome
}

/// The sender as the receiver sees him: the number of his process, and his user.
fn sender(thread: &Thread, target: &Thread) -> (u32, u32) {
    let pid = thread.process().leader_pid().number_in(target.pid().namespace()).unwrap_or(0);
    (pid, target.credentials().user_namespace.shown_user(thread.credentials().uid))
}

fn kill_info(thread: &Thread, target: &Thread) -> SignalInfo {
    let (pid, uid) = sender(thread, target);
    SignalInfo::user(pid, uid)
}

/// Sends signal `number` as kill(2) does, or with 0 only asks whether it could; with a cause of the sender's own, if he
/// gives one.
pub(super) fn to_process(
    thread: &Thread,
    target: &Arc<Thread>,
    number: u32,
    info: Option<SignalInfo>,
) -> Result<usize, Errno> {
    one(thread, target, signal(number)?, |thread, target| info.unwrap_or_else(|| kill_info(thread, target)))
}

fn one(
    thread: &Thread,
    target: &Arc<Thread>,
    signal: Option<Signal>,
    info: impl Fn(&Thread, &Thread) -> SignalInfo,
) -> Result<usize, Errno> {
    // What goes on may be told to by anybody of its session.
    if signal != Some(Signal::SIGCONT) || target.session() != thread.session() {
        task::may_signal(thread, target)?;
    }
    if let Some(signal) = signal {
        task::send_from(thread, target, signal, info(thread, target), false)?;
    }
    Ok(0)
}

/// Sends to one thread alone, of the process `group` if that is given.
fn to_thread(
    thread: &Thread,
    group: Option<u32>,
    tid: i32,
    number: u32,
    info: impl Fn(&Thread, &Thread) -> SignalInfo,
) -> Result<usize, Errno> {
    let tid = u32::try_from(tid).ok().filter(|&tid| tid > 0).ok_or(Errno::EINVAL)?;
    let signal = signal(number)?;
    let namespace = thread.pid().namespace();
    let target = namespace.thread(tid).ok_or(Errno::ESRCH)?;
    if group.is_some_and(|group| target.process().leader_pid().number_in(namespace) != Some(group)) {
        return Err(Errno::ESRCH);
    }
    task::may_signal(thread, &target)?;
    if let Some(signal) = signal {
        task::send_from(thread, &target, signal, info(thread, &target), true)?;
    }
    Ok(0)
}

fn tkill_info(thread: &Thread, target: &Thread) -> SignalInfo {
    let (pid, uid) = sender(thread, target);
    SignalInfo::thread(pid, uid)
}

pub fn tkill(thread: &Arc<Thread>, tid: i32, number: u32) -> Result<usize, Errno> {
    to_thread(thread, None, tid, number, tkill_info)
}

pub fn tgkill(thread: &Arc<Thread>, group: i32, tid: i32, number: u32) -> Result<usize, Errno> {
    let group = u32::try_from(group).ok().filter(|&group| group > 0).ok_or(Errno::EINVAL)?;
    to_thread(thread, Some(group), tid, number, tkill_info)
}

/// What a program says of the cause. EPERM when it would pass for kill(2)'s or the kernel's, to another process than its
/// own.
pub(super) fn read_info(thread: &Thread, at: UserAddr, to_itself: bool) -> Result<SignalInfo, Errno> {
    const SI_TKILL: i32 = -6;
    let mut bytes = [0; SIGNAL_INFO_BYTES];
    thread.space().read_bytes(at, &mut bytes)?;
    let info = SignalInfo::from_bytes(&bytes);
    if (info.code >= 0 || info.code == SI_TKILL) && !to_itself {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

/// rt_sigqueueinfo(2).
pub fn rt_sigqueueinfo(thread: &Arc<Thread>, pid: i32, number: u32, info: UserAddr) -> Result<usize, Errno> {
    let pid = u32::try_from(pid).ok().filter(|&pid| pid > 0).ok_or(Errno::ESRCH)?;
    let target = thread.pid().namespace().thread(pid);
    let to_itself = target.as_ref().is_some_and(|target| target.is_sibling(thread));
    let info = read_info(thread, info, to_itself)?;
    let target = target.ok_or(Errno::ESRCH)?.leader();
    to_process(thread, &target, number, Some(info))
}

/// rt_tgsigqueueinfo(2).
pub fn rt_tgsigqueueinfo(
    thread: &Arc<Thread>,
    group: i32,
    tid: i32,
    number: u32,
    info: UserAddr,
) -> Result<usize, Errno> {
    let group = u32::try_from(group).ok().filter(|&group| group > 0).ok_or(Errno::EINVAL)?;
    let target = u32::try_from(tid).ok().and_then(|tid| thread.pid().namespace().thread(tid));
    let info = read_info(thread, info, target.is_some_and(|target| target.is_sibling(thread)))?;
    to_thread(thread, Some(group), tid, number, |_, _| info)
}

/// The kernel's `struct sigaction`: handler, flags, on x86_64 and aarch64 a restorer, mask.
const HAS_RESTORER: bool = super::number::HAS_SIGNAL_RESTORER;
const ACTION_WORDS: usize = if HAS_RESTORER { 4 } else { 3 };

fn action_from(words: [u64; ACTION_WORDS]) -> SignalAction {
    SignalAction {
        handler: UserAddr(words[0] as usize),
        flags: SignalFlags::from_bits_retain(words[1]),
        restorer: UserAddr(if HAS_RESTORER { words[2] as usize } else { 0 }),
        mask: SignalSet(words[ACTION_WORDS - 1]).without(SignalSet::UNSTOPPABLE),
    }
}

fn action_words(action: &SignalAction) -> [u64; ACTION_WORDS] {
    let mut words = [0; ACTION_WORDS];
    words[0] = action.handler.0 as u64;
    words[1] = action.flags.bits();
    if HAS_RESTORER {
        words[2] = action.restorer.0 as u64;
    }
    words[ACTION_WORDS - 1] = action.mask.0;
    words
}

/// rt_sigaction(2).
pub fn rt_sigaction(
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
    let space = thread.space();
    let wanted = if new == UserAddr(0) { None } else { Some(action_from(space.read(new)?)) };
    if wanted.is_some() && SignalSet::UNSTOPPABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let signals = thread.signals();
    let before = match wanted {
        Some(action) => signals.set_action(signal, action),
        None => signals.actions().get(signal),
    };
    if old != UserAddr(0) {
        space.write(old, &action_words(&before))?;
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub fn rt_sigprocmask(
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
        thread.set_blocked(SignalSet(after));
    }
    if old != UserAddr(0) {
        thread.space().write(old, &before.0)?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub fn rt_sigpending(thread: &Thread, set: UserAddr, set_size: usize) -> Result<usize, Errno> {
    if set_size > SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let waiting = thread.signals().pending().0 & thread.signals().blocked().0;
    thread.space().write_bytes(set, &waiting.as_bytes()[..set_size])?;
    Ok(0)
}

/// rt_sigsuspend(2): ends by a signal alone, which the run loop sees to.
pub async fn rt_sigsuspend(thread: &Thread, mask: UserAddr, set_size: usize) -> Result<usize, Errno> {
    let _restore = Restore::from_user(thread, mask, set_size)?.ok_or(Errno::EFAULT)?;
    pending().await
}

/// pause(2).
pub async fn pause(_: &Thread) -> Result<usize, Errno> {
    pending().await
}

/// rt_sigtimedwait(2): takes a signal of `set`, which are to be blocked. EAGAIN when the time is over.
pub async fn rt_sigtimedwait(
    thread: &Thread,
    set: UserAddr,
    info: UserAddr,
    timeout: UserAddr,
    set_size: usize,
) -> Result<usize, Errno> {
    if set_size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let space = thread.space();
    let wanted = SignalSet(space.read::<u64>(set)?);
    let deadline = match timeout {
        UserAddr(0) => None,
        at => Some(thread.call_began_ns().saturating_add(space.read::<TimeSpec>(at)?.to_ns()?)),
    };
    let mut sleep = pin!(deadline.map(sched::sleep_until));
    let taken = poll_fn(|cx| {
        thread.signals().raised().register(cx);
        if let Some(taken) = thread.signals().take_of(wanted) {
            return Poll::Ready(Some(taken));
        }
        match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    });
    let (signal, cause) = taken.await.ok_or(Errno::EAGAIN)?;
    if info != UserAddr(0) {
        space.write_bytes(info, &cause.to_bytes(signal))?;
    }
    Ok(signal.number() as usize)
}

/// `stack_t`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct StackWords([u64; 3]);

/// sigaltstack(2). EPERM while a handler runs on the stack.
pub fn sigaltstack(thread: &Thread, context: &UserContext, new: UserAddr, old: UserAddr) -> Result<usize, Errno> {
    let space = thread.space();
    let before = thread.signals().alternate_stack();
    let wanted = if new == UserAddr(0) { None } else { Some(space.read::<StackWords>(new)?) };
    if let Some(StackWords(words)) = wanted {
        if before.bytes > 0 && before.holds(context.stack_pointer()) {
            return Err(Errno::EPERM);
        }
        let stack = AlternateStack::from_described(SignalStack::from_words(words))?;
        thread.signals().set_alternate_stack(stack);
    }
    if old != UserAddr(0) {
        space.write(old, &StackWords(before.describe(context.stack_pointer()).to_words()))?;
    }
    Ok(0)
}
