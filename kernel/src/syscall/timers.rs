//! Timers that send signals: setitimer(2), alarm(2), timer_create(2).

use super::{
    time,
    timespec::{TimeSpec, TimeVal},
};
use crate::{
    sched::Left,
    task::{
        CpuClock, Thread,
        timers::{Interval, Notice, Timer, TimerClock},
    },
};
use alloc::sync::Arc;
use linux_raw_sys::general;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::UserAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: u64 = 1000;

/// `struct itimerval`: interval and value.
type IntervalValue = [TimeVal; 2];

fn shown(left: Left) -> IntervalValue {
    // What is left is at least a microsecond while it is armed.
    [left.interval_ns, left.value_ns].map(|ns| TimeVal::from_ns(ns.saturating_add(NS_PER_US - 1)))
}

/// An interval timer; EINVAL for what is none.
fn interval_timer(thread: &Thread, which: u32) -> Result<Arc<Timer>, Errno> {
    let which = match which {
        general::ITIMER_REAL => Interval::Real,
        general::ITIMER_VIRTUAL => Interval::Virtual,
        general::ITIMER_PROF => Interval::Profiling,
        _ => return Err(Errno::EINVAL),
    };
    thread.process().timers().lock().interval(thread, which)
}

pub fn setitimer(thread: &Thread, which: u32, new: UserAddr, old: UserAddr) -> Result<usize, Errno> {
    let space = thread.space();
    let [interval, value]: IntervalValue =
        if new == UserAddr(0) { [TimeVal::from_ns(0); 2] } else { space.read(new)? };
    let asked = Left { value_ns: value.to_ns()?, interval_ns: interval.to_ns()? };
    let before = interval_timer(thread, which)?.set(asked);
    if old != UserAddr(0) {
        space.write(old, &shown(before))?;
    }
    Ok(0)
}

pub fn getitimer(thread: &Thread, which: u32, to: UserAddr) -> Result<usize, Errno> {
    let left = interval_timer(thread, which)?.left();
    thread.space().write(to, &shown(left))?;
    Ok(0)
}

/// alarm(2): tells the seconds that were left, rounded, but not down to none.
pub fn alarm(thread: &Thread, seconds: u32) -> Result<usize, Errno> {
    let asked = Left { value_ns: u64::from(seconds) * NS_PER_S, interval_ns: 0 };
    let left = interval_timer(thread, general::ITIMER_REAL)?.set(asked).value_ns;
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

/// The clock of that number, for a timer. (Of CPU time, the caller's own process alone has such clocks: EOPNOTSUPP.)
fn timer_clock(thread: &Arc<Thread>, clock: i32) -> Result<TimerClock, Errno> {
    let is_cpu_time =
        clock < 0 || matches!(clock as u32, general::CLOCK_PROCESS_CPUTIME_ID | general::CLOCK_THREAD_CPUTIME_ID);
    if !is_cpu_time {
        return time::read(thread, clock).map(|_| TimerClock::Machine(clock));
    }
    let clock = CpuClock::of_number(thread, clock)?;
    if clock.is_of_process(thread) { Ok(TimerClock::Cpu(clock)) } else { Err(Errno::EOPNOTSUPP) }
}

/// timer_create(2).
pub fn timer_create(thread: &Arc<Thread>, clock: i32, event: UserAddr, to: UserAddr) -> Result<usize, Errno> {
    let clock = timer_clock(thread, clock)?;
    let space = thread.space();
    let asked: Option<SignalEvent> = if event == UserAddr(0) { None } else { Some(space.read(event)?) };
    let (to_thread, alone, signal, value) = match asked {
        None => (thread.leader(), false, Some(Signal::SIGALRM), None),
        Some(SignalEvent { value, signal, notify, thread: tid, .. }) => {
            let signal = if notify == SIGEV_NONE { None } else { Some(Signal::try_from(signal)?) };
            let (target, alone) = match notify {
                SIGEV_SIGNAL | SIGEV_NONE => (thread.leader(), false),
                SIGEV_THREAD_ID => {
                    let tid = u32::try_from(tid).map_err(|_| Errno::EINVAL)?;
                    let target = thread.pid().namespace().thread(tid).filter(|target| target.is_sibling(thread));
                    (target.ok_or(Errno::EINVAL)?, true)
                }
                _ => return Err(Errno::EINVAL),
            };
            (target, alone, signal, Some(value))
        }
    };
    let notice = |id| {
        // Who gives no value is told the id.
        let cause = Some((id, value.unwrap_or(u64::from(id))));
        Notice { to: Arc::downgrade(&to_thread), alone, signal, cause }
    };
    let timers = thread.process().timers();
    let id = timers.lock().add(thread, clock, notice)?;
    if let Err(errno) = space.write(to, &id) {
        let gone = timers.lock().remove(id);
        drop(gone);
        return Err(errno);
    }
    Ok(0)
}

/// timer_settime(2).
pub fn timer_settime(thread: &Arc<Thread>, id: u32, flags: u32, new: UserAddr, old: UserAddr) -> Result<usize, Errno> {
    let space = thread.space();
    let [interval, value]: [TimeSpec; 2] = space.read(new)?;
    let (interval_ns, mut value_ns) = (interval.to_ns()?, value.to_ns()?);
    let timer = thread.process().timers().lock().get(id)?;
    if flags & general::TIMER_ABSTIME != 0 && value_ns > 0 {
        let now = match timer.clock() {
            TimerClock::Machine(number) => time::read(thread, *number)?,
            TimerClock::Cpu(clock) => clock.now_ns(),
        };
        value_ns = value_ns.saturating_sub(now).max(1);
    }
    let before = timer.set(Left { value_ns, interval_ns });
    if old != UserAddr(0) {
        space.write(old, &timespecs(before))?;
    }
    Ok(0)
}

/// `struct itimerspec`.
pub(super) fn timespecs(left: Left) -> [TimeSpec; 2] {
    [left.interval_ns, left.value_ns].map(TimeSpec::from_ns)
}

pub fn timer_gettime(thread: &Thread, id: u32, to: UserAddr) -> Result<usize, Errno> {
    let left = thread.process().timers().lock().get(id)?.left();
    thread.space().write(to, &timespecs(left))?;
    Ok(0)
}

pub fn timer_getoverrun(thread: &Thread, id: u32) -> Result<usize, Errno> {
    let timer = thread.process().timers().lock().get(id)?;
    Ok(timer.overruns().min(i32::MAX as u32) as usize)
}

pub fn timer_delete(thread: &Thread, id: u32) -> Result<usize, Errno> {
    let timer = thread.process().timers().lock().remove(id)?;
    timer.set(Left::default());
    Ok(0)
}
