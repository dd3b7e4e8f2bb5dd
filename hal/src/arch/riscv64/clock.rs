//! Time: the `time` register, the deadline by the Sstc extension or the firmware, the date by the goldfish RTC.

use super::{
    csr::{change_csr, read_csr},
    phys_to_virt, sbi,
};
use crate::{PhysAddr, arch::device_tree::Node};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Ticks of `time` in a second. Never 0.
static FREQUENCY: AtomicU64 = AtomicU64::new(10_000_000);
/// Nanoseconds of a tick, times 2^32.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(100 << 32);
/// What `time` was when the kernel began.
static START: AtomicU64 = AtomicU64::new(0);
/// Whether S-mode has a timer compare register of its own.
static HAS_SSTC: AtomicBool = AtomicBool::new(false);
/// Physical address of the real-time clock; 0 while there is none.
static RTC: AtomicUsize = AtomicUsize::new(0);

/// Takes the start of time. `frequency` is that of `time`, `date` the real-time clock.
pub(super) fn init(frequency: u64, has_sstc: bool, date: Option<Node<'_>>) {
    assert!(frequency != 0, "the timebase of the device tree stands still");
    START.store(ticks(), Ordering::Relaxed);
    FREQUENCY.store(frequency, Ordering::Relaxed);
    NS_PER_TICK.store((NS_PER_SECOND << 32) / frequency, Ordering::Relaxed);
    HAS_SSTC.store(has_sstc, Ordering::Relaxed);
    RTC.store(date.and_then(|node| node.address()).unwrap_or(0), Ordering::Relaxed);
}

/// See [`crate::clock::ticks`].
#[inline]
pub(crate) fn ticks() -> u64 {
    read_csr!("time") as u64
}

pub(crate) fn now_ns() -> u64 {
    ticks_to_ns(ticks() - START.load(Ordering::Relaxed))
}

/// See [`crate::clock::ticks_to_ns`].
pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(NS_PER_TICK.load(Ordering::Relaxed))) >> 32) as u64
}

/// What `time` was at time 0, and the nanoseconds of its tick times 2^32.
pub(crate) fn counter_scale() -> [u64; 2] {
    [&START, &NS_PER_TICK].map(|value| value.load(Ordering::Relaxed))
}

pub(crate) fn set_deadline(deadline_ns: u64) {
    let at = if deadline_ns == u64::MAX {
        u64::MAX
    } else {
        let frequency = FREQUENCY.load(Ordering::Relaxed);
        // Rounded up: not before the deadline.
        let part = (deadline_ns % NS_PER_SECOND * frequency).div_ceil(NS_PER_SECOND);
        (deadline_ns / NS_PER_SECOND).saturating_mul(frequency).saturating_add(part + START.load(Ordering::Relaxed))
    };
    if HAS_SSTC.load(Ordering::Relaxed) {
        // SAFETY: `stimecmp`: the timer interrupt is pending while `time` is at or past it.
        unsafe { change_csr!("csrw", "0x14d", at) };
    } else {
        sbi::set_timer(at);
    }
}

pub(crate) fn boot_time_unix() -> Option<u64> {
    let rtc = RTC.load(Ordering::Relaxed);
    if rtc == 0 {
        return None;
    }
    let registers = phys_to_virt(PhysAddr(rtc)).cast::<u32>();
    // SAFETY: the clock's first two registers, found in the device tree and mapped: nanoseconds since 1970.
    // Reading the low half keeps the high half that belongs to it.
    let (low, high) = unsafe { (registers.read_volatile(), registers.add(1).read_volatile()) };
    let now = u64::from(high) << 32 | u64::from(low);
    now.checked_sub(now_ns()).map(|boot| boot / NS_PER_SECOND)
}
