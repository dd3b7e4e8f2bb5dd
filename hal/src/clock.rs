//! Time since boot, in nanoseconds, and one deadline for each CPU.

use crate::{arch, sync::Once};

/// Nanoseconds since boot; never goes back, the same on all CPUs.
#[inline]
pub fn now_ns() -> u64 {
    arch::now_ns()
}

/// Steps of the counter that [`now_ns`] is made of: the quickest way to take a time, for differences on one CPU.
#[inline]
pub fn ticks() -> u64 {
    arch::ticks()
}

/// How long so many [`ticks`] are.
#[inline]
pub fn ticks_to_ns(ticks: u64) -> u64 {
    arch::ticks_to_ns(ticks)
}

/// Asks for an interrupt on this CPU at `deadline_ns` (on [`now_ns`]'s scale; one in the past fires at
/// once); it raises [`crate::cpu::Events::TIMER`]. Replaces the CPU's earlier deadline; `u64::MAX` means none.
pub fn set_deadline(deadline_ns: u64) {
    arch::set_deadline(deadline_ns);
}

/// Seconds since 1970-01-01 at boot, by the machine's real-time clock; `None` when it has none. It is read once: its seconds
/// do not begin with those since boot, so that another reading may give one more.
pub fn boot_time_unix() -> Option<u64> {
    static AT_BOOT: Once<Option<u64>> = Once::new();
    *AT_BOOT.call_once(arch::boot_time_unix)
}
