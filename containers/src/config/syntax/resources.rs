//! Numbers of `cpu_*`, and the files of `unified`.

use core::num::NonZeroU64;

use crate::config::model::{CpuSet, Limit};
use crate::text::{self, Range, Reason};

/// Of shares.
pub(in crate::config) const SHARES: Range =
    Range { least: 2, most: 262_144, otherwise: "is not a share: a number from 2 to 262144" };
/// The most microseconds of a quota or burst (Linux's `max_cfs_runtime`).
const TIME_MAX: u64 = (1 << 44) / 1000;
/// Of a quota.
pub(in crate::config) const QUOTA: Range = Range {
    least: 1000,
    most: TIME_MAX,
    otherwise: "is not a quota: microseconds, at least 1000, or 0 or max for none",
};
/// Of a period.
pub(in crate::config) const PERIOD: Range =
    Range { least: 1000, most: 1_000_000, otherwise: "is not a period: 1000 to 1000000 microseconds" };
/// Of a burst.
pub(in crate::config) const BURST: Range =
    Range { least: 0, most: TIME_MAX, otherwise: "is not a number of microseconds" };

/// Reads shares.
pub(in crate::config) fn shares(text: &str) -> Result<NonZeroU64, Reason> {
    above_zero(text, &SHARES)
}

/// Reads a quota in microseconds; `0` and `max` are none.
pub(in crate::config) fn quota(text: &str) -> Result<Limit<NonZeroU64>, Reason> {
    match text {
        "0" | "max" => Ok(Limit::Max),
        _ => above_zero(text, &QUOTA).map(Limit::At),
    }
}

/// Reads a period in microseconds.
pub(in crate::config) fn period(text: &str) -> Result<NonZeroU64, Reason> {
    above_zero(text, &PERIOD)
}

/// Reads a burst in microseconds.
pub(in crate::config) fn burst(text: &str) -> Result<u64, Reason> {
    BURST.read(text)
}

fn above_zero(text: &str, range: &Range) -> Result<NonZeroU64, Reason> {
    range.read(text).and_then(|number| NonZeroU64::new(number).ok_or(range.otherwise))
}

/// Reads CPUs and ranges of them, as cpuset(7) lists them.
pub(in crate::config) fn cpus(text: &str) -> Result<CpuSet, Reason> {
    const FORM: Reason = "is not a list of CPUs, such as 0-2,5, none above 63";
    let number = |text: &str| text::decimal(text.trim()).filter(|cpu| *cpu < 64);
    let mut set = 0_u64;
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first).ok_or(FORM)?, number(last).ok_or(FORM)?);
        if first > last {
            return Err(FORM);
        }
        set |= (u64::MAX >> (63 - (last - first))) << first;
    }
    NonZeroU64::new(set).map(CpuSet).ok_or(FORM)
}

/// Checks the name of a file of cgroup v2: that of a controller or the core, a dot, and the rest.
pub(in crate::config) fn unified_name(text: &str) -> Result<(), Reason> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    if text.len() <= 255 && text.contains('.') && text.split('.').all(is_word) {
        Ok(())
    } else {
        Err("is not the name of a cgroup file, such as memory.oom.group")
    }
}
