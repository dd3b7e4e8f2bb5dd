//! Time stamps of inodes.

use veridian_hal::clock;

/// A point in time since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds of the second, below 10^9.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Now, by the real-time clock at boot and the time since; since boot alone on a machine without such a clock.
    pub fn now() -> Self {
        const NANOSECONDS: u64 = 1_000_000_000;
        let since_boot = clock::now_ns();
        let seconds = clock::boot_time_unix().unwrap_or(0) + since_boot / NANOSECONDS;
        Self { seconds: seconds as i64, nanoseconds: (since_boot % NANOSECONDS) as u32 }
    }
}

/// What utimensat(2) asks for one of the two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it (UTIME_OMIT).
    Omit,
    /// Set it to the time of the call (UTIME_NOW).
    Now,
    /// Set it to this.
    To(Timestamp),
}
