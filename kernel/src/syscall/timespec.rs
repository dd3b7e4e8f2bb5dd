//! Times as programs write them: `struct timespec`, `struct timeval`.

use veridian_containers::abi::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: i64 = 1000;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct TimeSpec {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, or an order of utimensat(2).
    pub nanoseconds: i64,
}

impl TimeSpec {
    /// A time of this many nanoseconds.
    pub fn from_ns(ns: u64) -> Self {
        Self { seconds: (ns / NS_PER_S) as i64, nanoseconds: (ns % NS_PER_S) as i64 }
    }

    /// In nanoseconds. EINVAL for a negative time or nanoseconds past a second; a time that overflows is the end of all
    /// times.
    pub fn to_ns(self) -> Result<u64, Errno> {
        let seconds = u64::try_from(self.seconds).map_err(|_| Errno::EINVAL)?;
        let nanoseconds = u64::try_from(self.nanoseconds).ok().filter(|&ns| ns < NS_PER_S).ok_or(Errno::EINVAL)?;
        Ok(seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds))
    }
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct TimeVal {
    /// Seconds.
    pub seconds: i64,
    /// Microseconds.
    pub microseconds: i64,
}

impl TimeVal {
    /// A time of this many nanoseconds, rounded down.
    pub fn from_ns(ns: u64) -> Self {
        let TimeSpec { seconds, nanoseconds } = TimeSpec::from_ns(ns);
        Self { seconds, microseconds: nanoseconds / NS_PER_US }
    }

    /// In nanoseconds, as [`TimeSpec::to_ns`].
    pub fn to_ns(self) -> Result<u64, Errno> {
        let nanoseconds = self.microseconds.checked_mul(NS_PER_US).ok_or(Errno::EINVAL)?;
        TimeSpec { seconds: self.seconds, nanoseconds }.to_ns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_refused() {
        for (seconds, nanoseconds) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i64::MAX)] {
            assert_eq!(TimeSpec { seconds, nanoseconds }.to_ns(), Err(Errno::EINVAL));
        }
        assert_eq!(TimeVal { seconds: 0, microseconds: 1_000_000 }.to_ns(), Err(Errno::EINVAL));
        assert_eq!(TimeVal { seconds: 0, microseconds: i64::MAX }.to_ns(), Err(Errno::EINVAL));
    }

    #[test]
    fn times_come_out_as_they_went_in() {
        assert_eq!(TimeSpec { seconds: i64::MAX, nanoseconds: 1 }.to_ns(), Ok(u64::MAX));
        assert_eq!(TimeSpec::from_ns(3_000_000_007).to_ns(), Ok(3_000_000_007));
        assert_eq!(TimeVal::from_ns(2_000_001_999).to_ns(), Ok(2_000_001_000));
    }
}
