//! Timers that send signals: setitimer(2), alarm(2), timer_create(2).

use super::{
    time,
    timespec::{TimeSpec, TimeVal},
};
use crate::task::{
    Thread,
    timers::{Notice, Schedule, Timer},
};
use alloc::sync::Arc;
use linux_raw_sys::general;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{UserAddr, clock};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: u64 = 1000;

/// `struct itimerval`: interval and value.
type IntervalValue = [TimeVal; 2];

fn shown((value, interval): (u64, u64)) -> IntervalValue {
    // What is left is at least a microsecond while it is armed.
    [interval, value].map(|ns| TimeVal::from_ns(ns.saturating_add(NS_PER_US - 1)))
}

/// The interval timer of real time; EINVAL for another one. (Timers of CPU time are not there.)
fn real_timer(thread: &Thread, which: u32) -> Result<Arc<Timer>, Errno> {
    if which != general::ITIMER_REAL {
        return Err(Errno::EINVAL);
    }
    thread.process().timers().lock().real(thread)
}

fn armed(value_ns: u64, interval_ns: u64) -> Schedule {
    Schedule { next_ns: (value_ns > 0).then(|| clock::now_ns().saturating_add(value_ns)), interval_ns }
}

pub async fn setitimer(thread: &Thread, which: u32, new: UserAddr, old: UserAddr) -> Result<usize, Errno> {
    let space = thread.space();
    let [interval, value]: IntervalValue =
        if new == UserAddr(0) { [TimeVal::from_ns(0); 2] } else { space.read(new)? };
    let (interval, value) = (interval.to_ns()?, value.to_ns()?);
    let before = real_timer(thread, which)?.set(armed(value, interval));
    if old != UserAddr(0) {
        space.write(old, &shown(before.left()))?;
    }
    Ok(0)
}

pub async fn getitimer(thread: &Thread, which: u32, to: UserAddr) -> Result<usize, Errno> {
    let left = real_timer(thread, which)?.schedule().left();
    thread.space().write(to, &shown(left))?;
    Ok(0)
}

/// alarm(2): tells the seconds that were left, rounded, but not down to none.
pub async fn alarm(thread: &Thread, seconds: u32) -> Result<usize, Errno> {
    let before = real_timer(thread, general::ITIMER_REAL)?.set(armed(u64::from(seconds) * NS_PER_S, 0));
    let (left, _) = before.left();
    let rounded = (left + NS_PER_S / 2) / NS_PER_S;
    Ok(if left > 0 { rounded.max(1) as usize } else { 0 })
}

/// `struct sigevent`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SignalEvent {
    value: u64,
    signal: u32,
    notify: u32,
    thread: i32,
    _rest: [u32; 11],
}

const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD_ID: u32 = 4;

/// timer_create(2), on the clocks that time passes by on. (Timers of CPU time are not there: EOPNOTSUPP.)
pub async fn timer_create(thread: &Arc<Thread>, clock: i32, event: UserAddr, to: UserAddr) -> Result<usize, Errno> {
    time::read(thread, clock)?;
    if clock < 0 || matches!(clock as u32, general::CLOCK_PROCESS_CPUTIME_ID | general::CLOCK_THREAD_CPUTIME_ID) {
        return Err(Errno::EOPNOTSUPP);
    }
    let space = thread.space();
    let asked: Option<SignalEvent> = if event == UserAddr(0) { None } else { Some(space.read(event)?) };
    let id = thread.process().timers().lock().free_id()?;
    let leader = thread.leader();
    let notice = match asked {
        None => {
            let cause = Some((id, u64::from(id)));
            Notice { to: Arc::downgrade(&leader), alone: false, signal: Some(Signal::SIGALRM), cause }
        }
        Some(SignalEvent { value, signal, notify, thread: tid, .. }) => {
            let signal = if notify == SIGEV_NONE { None } else { Some(Signal::try_from(signal)?) };
            let (target, alone) = match notify {
                SIGEV_SIGNAL | SIGEV_NONE => (leader, false),
                SIGEV_THREAD_ID => {
                    let tid = u32::try_from(tid).map_err(|_| Errno::EINVAL)?;
                    let target = thread.pid().namespace().thread(tid).filter(|target| target.is_sibling(thread));
                    (target.ok_or(Errno::EINVAL)?, true)
                }
                _ => return Err(Errno::EINVAL),
            };
            Notice { to: Arc::downgrade(&target), alone, signal, cause: Some((id, value)) }
        }
    };
    let timer = Timer::new(notice, clock, thread)?;
    space.write(to, &id)?;
    thread.process().timers().lock().add(id, timer);
    Ok(0)
}

/// timer_settime(2).
pub async fn timer_settime(
    thread: &Arc<Thread>,
    id: u32,
    flags: u32,
    new: UserAddr,
    old: UserAddr,
) -> Result<usize, Errno> {
    let space = thread.space();
    let [interval, value]: [TimeSpec; 2] = space.read(new)?;
    let (interval, value) = (interval.to_ns()?, value.to_ns()?);
    let timer = thread.process().timers().lock().get(id)?;
    let next_ns = time::expiry_ns(thread, timer.clock(), value, flags & general::TIMER_ABSTIME != 0)?;
    let before = timer.set(Schedule { next_ns, interval_ns: interval });
    if old != UserAddr(0) {
        space.write(old, &timespecs(before.left()))?;
    }
    Ok(0)
}

fn timespecs((value, interval): (u64, u64)) -> [TimeSpec; 2] {
    [interval, value].map(TimeSpec::from_ns)
}

pub async fn timer_gettime(thread: &Thread, id: u32, to: UserAddr) -> Result<usize, Errno> {
    let left = thread.process().timers().lock().get(id)?.schedule().left();
    thread.space().write(to, &timespecs(left))?;
    Ok(0)
}

pub async fn timer_getoverrun(thread: &Thread, id: u32) -> Result<usize, Errno> {
    Ok(thread.process().timers().lock().get(id)?.overruns().min(i32::MAX as u32) as usize)
}

pub async fn timer_delete(thread: &Thread, id: u32) -> Result<usize, Errno> {
    let timer = thread.process().timers().lock().remove(id)?;
    timer.set(Schedule::default());
    Ok(0)
}
