//! Clocks and sleep.

use super::timespec::{TimeSpec, TimeVal};
use crate::{
    namespace::time::Clock,
    sched,
    task::{CpuClock, Thread},
};
use alloc::sync::Arc;
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, clock, cpu};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

const NS_PER_S: u64 = 1_000_000_000;
/// What coarse clocks promise; they are as fine as the others.
const TICK_NS: u64 = 4_000_000;

/// What the clock shows in the caller's time namespace. EINVAL for a clock that is not there.
pub(super) fn read(thread: &Arc<Thread>, clock: i32) -> Result<u64, Errno> {
    match clock as u32 {
        general::CLOCK_REALTIME
        | general::CLOCK_REALTIME_COARSE
        | general::CLOCK_REALTIME_ALARM
        | general::CLOCK_TAI => Ok(realtime_ns()),
        general::CLOCK_MONOTONIC | general::CLOCK_MONOTONIC_COARSE | general::CLOCK_MONOTONIC_RAW => {
            Ok(thread.time().now_ns(Clock::Monotonic))
        }
        general::CLOCK_BOOTTIME | general::CLOCK_BOOTTIME_ALARM => Ok(thread.time().now_ns(Clock::Boottime)),
        _ => CpuClock::of_number(thread, clock).map(|clock| clock.now_ns()),
    }
}

/// When the machine's clock will show what `clock` calls `shown_ns`; now, if that is over.
pub(super) fn machine_ns(thread: &Arc<Thread>, clock: i32, shown_ns: u64) -> Result<u64, Errno> {
    // The machine's clock is read last, so that nothing expires before its time.
    let left_ns = shown_ns.saturating_sub(read(thread, clock)?);
    Ok(clock::now_ns().saturating_add(left_ns))
}

/// When a timer on `clock` that is set to `value_ns` expires first, by the machine's clock: never for 0.
pub(super) fn expiry_ns(thread: &Arc<Thread>, clock: i32, value_ns: u64, absolute: bool) -> Result<Option<u64>, Errno> {
    match value_ns {
        0 => Ok(None),
        _ if absolute => machine_ns(thread, clock, value_ns).map(Some),
        _ => Ok(Some(clock::now_ns().saturating_add(value_ns))),
    }
}

/// Nanoseconds since 1970-01-01.
pub(super) fn realtime_ns() -> u64 {
    clock::boot_time_unix().unwrap_or(0) * NS_PER_S + clock::now_ns()
}

pub fn clock_gettime(thread: &Arc<Thread>, clock: i32, to: UserAddr) -> Result<usize, Errno> {
    thread.space().write(to, &TimeSpec::from_ns(read(thread, clock)?))?;
    Ok(0)
}

pub fn clock_getres(thread: &Arc<Thread>, clock: i32, to: UserAddr) -> Result<usize, Errno> {
    read(thread, clock)?;
    let resolution_ns = match clock as u32 {
        general::CLOCK_REALTIME_COARSE | general::CLOCK_MONOTONIC_COARSE => TICK_NS,
        _ => 1,
    };
    if to != UserAddr(0) {
        thread.space().write(to, &TimeSpec::from_ns(resolution_ns))?;
    }
    Ok(0)
}

pub fn gettimeofday(thread: &Thread, to: UserAddr, zone: UserAddr) -> Result<usize, Errno> {
    if to != UserAddr(0) {
        thread.space().write(to, &TimeVal::from_ns(realtime_ns()))?;
    }
    if zone != UserAddr(0) {
        thread.space().write(zone, &0u64)?;
    }
    Ok(0)
}

pub fn time(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    let seconds = realtime_ns() / NS_PER_S;
    if to != UserAddr(0) {
        thread.space().write(to, &seconds)?;
    }
    Ok(seconds as usize)
}

/// nanosleep(2).
pub async fn nanosleep(thread: &Thread, time: UserAddr, left: UserAddr) -> Result<usize, Errno> {
    let time: TimeSpec = thread.space().read(time)?;
    sleep(thread, thread.call_began_ns().saturating_add(time.to_ns()?), left).await
}

/// Sleeps until a time of the machine's clock. When a signal ends the sleep, what was left of it is written to `left`,
/// if that is not null.
async fn sleep(thread: &Thread, until_ns: u64, left: UserAddr) -> Result<usize, Errno> {
    let mut over = pin!(sched::sleep_until(until_ns));
    poll_fn(|cx| {
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(0));
        }
        if left != UserAddr(0) && thread.signals().wants_attention() {
            let rest = TimeSpec::from_ns(until_ns.saturating_sub(clock::now_ns()));
            if let Err(errno) = thread.space().write(left, &rest) {
                return Poll::Ready(Err(errno));
            }
        }
        Poll::Pending
    })
    .await
}

/// clock_nanosleep(2).
pub async fn clock_nanosleep(
    thread: &Arc<Thread>,
    clock: i32,
    flags: u32,
    time: UserAddr,
    left: UserAddr,
) -> Result<usize, Errno> {
    if flags & !general::TIMER_ABSTIME != 0 {
        return Err(Errno::EINVAL);
    }
    let absolute = flags & general::TIMER_ABSTIME != 0;
    if clock == general::CLOCK_THREAD_CPUTIME_ID as i32 {
        return Err(Errno::EINVAL);
    }
    let shown = read(thread, clock)?;
    let time = thread.space().read::<TimeSpec>(time)?.to_ns()?;
    if clock < 0 || clock == general::CLOCK_PROCESS_CPUTIME_ID as i32 {
        let clock = CpuClock::of_number(thread, clock)?;
        return sleep_cpu_time(&clock, if absolute { time } else { shown.saturating_add(time) }).await;
    }
    if absolute {
        return sleep(thread, machine_ns(thread, clock, time)?, UserAddr(0)).await;
    }
    sleep(thread, thread.call_began_ns().saturating_add(time), left).await
}

/// Sleeps until a process has had that much CPU time. It is looked at when all CPUs together could have given it, a tick
/// later at the earliest.
async fn sleep_cpu_time(clock: &CpuClock, until_ns: u64) -> Result<usize, Errno> {
    loop {
        let left = until_ns.saturating_sub(clock.now_ns());
        if left == 0 {
            return Ok(0);
        }
        let pause = (left / cpu::count() as u64).max(TICK_NS);
        sched::sleep_until(clock::now_ns().saturating_add(pause)).await;
    }
}

/// clock_settime(2): no clock of the machine is a program's to set.
pub fn clock_settime(thread: &Arc<Thread>, clock: i32, from: UserAddr) -> Result<usize, Errno> {
    if clock != general::CLOCK_REALTIME as i32 {
        return Err(Errno::EINVAL);
    }
    thread.space().read::<TimeSpec>(from)?.to_ns()?;
    Err(Errno::EPERM)
}

/// settimeofday(2): as [`clock_settime`]. Nothing is looked at that is not set in any case.
pub fn settimeofday(_: &Thread, from: UserAddr, zone: UserAddr) -> Result<usize, Errno> {
    if from == UserAddr(0) && zone == UserAddr(0) { Ok(0) } else { Err(Errno::EPERM) }
}

/// `struct timex` of 64-bit Linux.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Timex {
    modes: u32,
    _pad: u32,
    offset: i64,
    frequency: i64,
    max_error: i64,
    estimated_error: i64,
    status: i32,
    _pad_status: i32,
    constant: i64,
    precision: i64,
    tolerance: i64,
    time: [i64; 2],
    tick: i64,
    _pulses: [i64; 10],
    tai: i32,
    _reserved: [u32; 11],
}

/// adjtimex(2), to read: a clock that nobody has set by another. To change it is EPERM.
pub fn adjtimex(thread: &Thread, at: UserAddr) -> Result<usize, Errno> {
    const STA_UNSYNC: i32 = 0x40;
    const TIME_ERROR: usize = 5;
    /// In microseconds.
    const UNKNOWN_ERROR: i64 = 16_000_000;
    const ADJ_OFFSET_SS_READ: u32 = 0xa001;
    let mut told: Timex = thread.space().read(at)?;
    if told.modes != 0 && told.modes != ADJ_OFFSET_SS_READ {
        return Err(Errno::EPERM);
    }
    let now = TimeVal::from_ns(realtime_ns());
    told = Timex {
        modes: told.modes,
        status: STA_UNSYNC,
        max_error: UNKNOWN_ERROR,
        estimated_error: UNKNOWN_ERROR,
        constant: 2,
        precision: 1,
        tolerance: 500 << 16,
        time: [now.seconds, now.microseconds],
        tick: 10_000,
        ..Timex::new_zeroed()
    };
    thread.space().write(at, &told)?;
    Ok(TIME_ERROR)
}

pub fn clock_adjtime(thread: &Thread, clock: i32, at: UserAddr) -> Result<usize, Errno> {
    match clock as u32 {
        general::CLOCK_REALTIME => adjtimex(thread, at),
        general::CLOCK_MONOTONIC | general::CLOCK_BOOTTIME | general::CLOCK_TAI => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EINVAL),
    }
}
