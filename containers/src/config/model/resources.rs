//! `linux.resources`: what the container may take.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use super::DeviceRule;
use crate::text::Bytes;

/// `linux.resources`. `None` is what was not said: for a new container no limit, for an update no change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory.
    pub memory: MemoryResources,
    /// Processor time.
    pub cpu: CpuResources,
    /// `pids.limit`: how many tasks (threads) there may be at one time.
    pub pids: Option<Limit<NonZeroU32>>,
    /// Which devices may be used. An update does not change them: empty there.
    pub devices: Vec<DeviceRule>,
    /// `unified`: names of cgroup v2 files, and what is written to them after all else.
    pub unified: BTreeMap<String, String>,
}

/// A limit, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// No limit.
    Max,
    /// This much.
    At(T),
}

impl<T> Limit<T> {
    /// The limit, `None` if there is none.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Max => None,
            Self::At(value) => Some(value),
        }
    }
}

/// Prints the limit, or `max`.
impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::At(value) => value.fmt(f),
        }
    }
}

/// `linux.resources.memory`. Sizes are rounded down to pages, as Linux does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryResources {
    /// `memory.max`: the most it may take, above 0.
    pub limit: Option<Limit<Bytes>>,
    /// `memory.low`: what is not taken back from it while others can give.
    pub reservation: Option<Limit<Bytes>>,
    /// `memory.high`: where it is slowed down and taken back from, above 0.
    pub high: Option<Limit<Bytes>>,
    /// The most of memory and swap together; no less than `limit`, which must be given with it.
    pub swap: Option<Limit<Bytes>>,
}

/// `linux.resources.cpu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuResources {
    /// The share beside others that want time too, 2 to 262144; 1024 is that of one who does not say.
    pub shares: Option<NonZeroU64>,
    /// Microseconds of time in each period, at least 1000.
    pub quota: Option<Limit<NonZeroU64>>,
    /// The period in microseconds, 1000 to 1000000.
    pub period: Option<NonZeroU64>,
    /// Microseconds that it may save up from earlier periods; at most the quota.
    pub burst: Option<u64>,
    /// `cpu.idle`: whether it runs only when no one else wants to.
    pub idle: Option<bool>,
    /// The CPUs it may run on.
    pub cpus: Option<CpuSet>,
}

/// A set of CPUs, at least one; bit n is CPU n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSet(pub NonZeroU64);

/// Prints ranges, as cpuset(7) lists them: `0-3,5`.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.get();
        let mut separator = "";
        while rest != 0 {
            let first = rest.trailing_zeros();
            let length = (rest >> first).trailing_ones();
            write!(f, "{separator}{first}")?;
            if length > 1 {
                write!(f, "-{}", first + length - 1)?;
            }
            separator = ",";
            rest &= u64::MAX.checked_shl(first + length).unwrap_or(0);
        }
        Ok(())
    }
}
