//! Time since boot, in nanoseconds, and one deadline for each CPU.

use crate::arch;

/// Nanoseconds since boot; never goes back, the same on all CPUs.
#[inline]
pub fn now_ns() -> u64 {
    arch::now_ns()
}

/// Asks for an interrupt on this CPU at `deadline_ns` (on [`now_ns`]'s scale; one in the past fires at
/// once); it raises [`crate::cpu::Events::TIMER`]. Replaces the CPU's earlier deadline; `u64::MAX` means none.
pub fn set_deadline(deadline_ns: u64) {
    arch::set_deadline(deadline_ns);
}

/// Seconds since 1970-01-01 at boot, by the machine's real-time clock; `None` when it has none.
pub fn boot_time_unix() -> Option<u64> {
    arch::boot_time_unix()
}
