//! Limits as they are written to a group's files, and their change: everything is checked before anything is set.

use super::{Cgroup, Controllers, memory::Limit, pids};
use crate::sched::{ALL_CPUS, CPU_WEIGHT_DEFAULT, CpuMask, Quota};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::cpu;

/// What `cpu.max` and `cpu.max.burst` say. In microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMax {
    /// CPU time in each period; `None` for no limit.
    pub quota_us: Option<u64>,
    /// The period.
    pub period_us: u64,
    /// What may be saved up.
    pub burst_us: u64,
}

impl CpuMax {
    /// No limit.
    pub const NONE: Self = Self { quota_us: None, period_us: 100_000, burst_us: 0 };

    /// EINVAL outside of what Linux allows: a quota from 1 ms on, a period of 1 ms to 1 s, a burst up to the quota.
    fn check(self) -> Result<Self, Errno> {
        const SHORTEST_US: u64 = 1000;
        const LONGEST_PERIOD_US: u64 = 1_000_000;
        /// So that all sums fit (Linux's max_bw_runtime_us).
        const LARGEST_US: u64 = 1 << 44;
        let period = (SHORTEST_US..=LONGEST_PERIOD_US).contains(&self.period_us);
        let quota = self.quota_us.is_none_or(|quota| (SHORTEST_US..=LARGEST_US).contains(&quota));
        let burst = self.burst_us <= self.quota_us.unwrap_or(LARGEST_US);
        if period && quota && burst { Ok(self) } else { Err(Errno::EINVAL) }
    }

    fn quota(self) -> Option<Quota> {
        let quota_us = self.quota_us?;
        Some(Quota { quota_ns: quota_us * 1000, period_ns: self.period_us * 1000, burst_ns: self.burst_us * 1000 })
    }
}

/// One limit's new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Memory(Limit, Option<u64>),
    OomGroup(bool),
    CpuWeight(u32),
    CpuMax,
    CpuIdle(bool),
    Cpus(CpuMask),
    PidsMax(u64),
}

/// Limits of a group that are to change together.
pub struct Change<'a> {
    group: &'a Arc<Cgroup>,
    cpu_max: CpuMax,
    idle: bool,
    settings: Vec<Setting>,
}

impl<'a> Change<'a> {
    /// No change yet.
    pub fn of(group: &'a Arc<Cgroup>) -> Self {
        let (cpu_max, idle) = (*group.cpu_max.lock(), group.cpu.is_idle());
        Self { group, cpu_max, idle, settings: Vec::new() }
    }

    /// A memory limit in bytes, `None` for none.
    pub fn memory(&mut self, limit: Limit, bytes: Option<u64>) {
        self.settings.push(Setting::Memory(limit, bytes));
    }

    /// The most tasks.
    pub fn pids_max(&mut self, limit: u64) {
        self.settings.push(Setting::PidsMax(limit));
    }

    /// `cpu.weight`: ERANGE beyond 1 to 10000, EINVAL for a group that is idle.
    pub fn cpu_weight(&mut self, weight: u64) -> Result<(), Errno> {
        let weight = u32::try_from(weight).ok().filter(|weight| (1..=10_000).contains(weight)).ok_or(Errno::ERANGE)?;
        if self.idle {
            return Err(Errno::EINVAL);
        }
        self.settings.push(Setting::CpuWeight(weight));
        Ok(())
    }

    /// `cpu.max` and `cpu.max.burst`; what is `None` stays.
    pub fn cpu_max(
        &mut self,
        quota_us: Option<Option<u64>>,
        period_us: Option<u64>,
        burst_us: Option<u64>,
    ) -> Result<(), Errno> {
        let now = self.cpu_max;
        self.cpu_max = CpuMax {
            quota_us: quota_us.unwrap_or(now.quota_us),
            period_us: period_us.unwrap_or(now.period_us),
            burst_us: burst_us.unwrap_or(now.burst_us),
        }
        .check()?;
        self.settings.push(Setting::CpuMax);
        Ok(())
    }

    /// `cpu.idle`.
    pub fn cpu_idle(&mut self, idle: bool) {
        self.idle = idle;
        self.settings.push(Setting::CpuIdle(idle));
    }

    /// `cpuset.cpus`; none at all stands for the parent's. EINVAL for CPUs that the machine does not have.
    pub fn cpus(&mut self, mask: u64) -> Result<(), Errno> {
        if mask >> cpu::count() != 0 {
            return Err(Errno::EINVAL);
        }
        self.settings.push(Setting::Cpus(if mask == 0 { ALL_CPUS } else { mask as CpuMask }));
        Ok(())
    }

    /// What `text` written to the limit's file `name` means. ENOENT: there is no such file.
    pub fn write(&mut self, name: &str, text: &str) -> Result<(), Errno> {
        let text = text.trim();
        match name {
            "memory.max" => self.memory(Limit::Max, bytes(text)?),
            "memory.high" => self.memory(Limit::High, bytes(text)?),
            "memory.low" => self.memory(Limit::Low, bytes(text)?),
            "memory.min" => self.memory(Limit::Min, bytes(text)?),
            "memory.swap.max" => self.memory(Limit::SwapMax, bytes(text)?),
            "memory.oom.group" => self.settings.push(Setting::OomGroup(flag(text).ok_or(Errno::EINVAL)?)),
            "cpu.weight" => self.cpu_weight(number(text)?)?,
            "cpu.weight.nice" => {
                let nice: i32 = text.parse().map_err(|_| Errno::EINVAL)?;
                let index = usize::try_from(nice + 20).map_err(|_| Errno::ERANGE)?;
                self.cpu_weight(u64::from(*NICE_WEIGHTS.get(index).ok_or(Errno::ERANGE)?))?;
            }
            "cpu.max" => {
                let mut words = text.split_ascii_whitespace();
                let quota = words.next().ok_or(Errno::EINVAL)?;
                let quota = if quota == "max" { None } else { Some(number(quota)?) };
                let period = words.next().map(number).transpose()?;
                if words.next().is_some() {
                    return Err(Errno::EINVAL);
                }
                self.cpu_max(Some(quota), period, None)?;
            }
            "cpu.max.burst" => self.cpu_max(None, None, Some(number(text)?))?,
            "cpu.idle" => self.cpu_idle(flag(text).ok_or(Errno::EINVAL)?),
            "cpuset.cpus" => self.cpus(cpu_list(text).ok_or(Errno::EINVAL)?)?,
            "pids.max" => self.pids_max(if text == "max" { pids::UNLIMITED } else { pids_number(text)? }),
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }

    /// The nice value whose weight is nearest (`cpu.weight.nice`).
    pub fn nice_of(weight: u32) -> i32 {
        let nearest = (0..).zip(NICE_WEIGHTS).min_by_key(|(_, of_nice)| of_nice.abs_diff(weight));
        nearest.map_or(0, |(index, _)| index - 20)
    }

    /// Whether less memory would be allowed than is in use.
    pub fn is_too_small(&self) -> bool {
        let used = self.group.memory.current_bytes();
        let max = self.settings.iter().rev().find_map(|setting| match setting {
            Setting::Memory(Limit::Max, bytes) => Some(*bytes),
            _ => None,
        });
        max.flatten().is_some_and(|max| max < used)
    }

    /// Sets everything.
    pub fn apply(self) {
        let group = self.group;
        for setting in self.settings {
            match setting {
                Setting::Memory(limit, bytes) => group.memory.set_limit(limit, bytes),
                Setting::OomGroup(whole) => group.memory.set_kills_whole(whole),
                Setting::CpuWeight(weight) => group.cpu.set_weight(weight),
                Setting::CpuMax => {
                    *group.cpu_max.lock() = self.cpu_max;
                    group.cpu.set_quota(self.cpu_max.quota());
                }
                Setting::CpuIdle(idle) => group.cpu.set_idle(idle),
                Setting::Cpus(cpus) => group.cpu.set_cpus(cpus),
                Setting::PidsMax(limit) => group.pids.set_max(limit),
            }
        }
    }
}

impl Cgroup {
    /// What `cpu.max` and `cpu.max.burst` say.
    pub fn cpu_max(&self) -> CpuMax {
        *self.cpu_max.lock()
    }

    /// Undoes what was set of the controllers' limits.
    pub(super) fn reset(self: &Arc<Self>, controllers: Controllers) {
        let mut change = Change::of(self);
        if controllers.contains(Controllers::MEMORY) {
            change.settings.extend(Limit::ALL.map(|limit| Setting::Memory(limit, limit.default())));
            change.settings.push(Setting::OomGroup(false));
        }
        if controllers.contains(Controllers::CPU) {
            change.cpu_max = CpuMax::NONE;
            change.settings.push(Setting::CpuMax);
            change.settings.push(Setting::CpuIdle(false));
            change.settings.push(Setting::CpuWeight(CPU_WEIGHT_DEFAULT));
        }
        if controllers.contains(Controllers::CPUSET) {
            change.settings.push(Setting::Cpus(ALL_CPUS));
        }
        if controllers.contains(Controllers::PIDS) {
            change.settings.push(Setting::PidsMax(pids::UNLIMITED));
        }
        change.apply();
    }
}

/// `cpu.weight` for each nice value from -20 to 19: Linux's sched_prio_to_weight in parts of 1024 for 100.
pub(super) const NICE_WEIGHTS: [u32; 40] = {
    let mut weights = [0; 40];
    let mut index = 0;
    while index < 40 {
        let nice = index as i32 - 20;
        // A quarter more for each step, in fixed point.
        let mut scaled: u64 = 100 << 20;
        let mut steps = 0;
        while steps < nice.unsigned_abs() {
            scaled = if nice < 0 { scaled * 5 / 4 } else { scaled * 4 / 5 };
            steps += 1;
        }
        let weight = (scaled + (1 << 19)) >> 20;
        weights[index] = if weight == 0 { 1 } else { weight as u32 };
        index += 1;
    }
    weights
};

fn number(text: &str) -> Result<u64, Errno> {
    text.parse().map_err(|_| Errno::EINVAL)
}

fn pids_number(text: &str) -> Result<u64, Errno> {
    /// PIDS_MAX of 64-bit Linux.
    const MOST: u64 = 4_194_304;
    number(text).and_then(|number| if number <= MOST { Ok(number) } else { Err(Errno::EINVAL) })
}

pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// A size: `max`, or bytes, which may have a suffix K, M, G, T.
fn bytes(text: &str) -> Result<Option<u64>, Errno> {
    if text == "max" {
        return Ok(None);
    }
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        Some(b't' | b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let value = number(digits)?;
    Ok(Some(value.saturating_mul(1 << shift)))
}

/// A list of CPUs, `0-2,5`, as a mask; nothing is 0.
fn cpu_list(text: &str) -> Option<u64> {
    let mut mask = 0;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= u64::BITS {
            return None;
        }
        mask |= (u64::MAX >> (u64::BITS - 1 - (last - first))) << first;
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::memory;

    #[test]
    fn what_is_written_is_checked_as_linux_does() {
        memory::tests::machine();
        let group = Cgroup::root().create("g").expect("a group");
        let mut change = Change::of(&group);
        for (file, text) in [
            ("memory.max", "12Q"),
            ("memory.max", "-1"),
            ("memory.oom.group", "2"),
            ("cpu.max", ""),
            ("cpu.max", "999"),
            ("cpu.max", "max 999"),
            ("cpu.max", "max 1000001"),
            ("cpu.max", "5000 10000 1"),
            ("cpuset.cpus", "3-1"),
            ("cpuset.cpus", "63"),
            ("pids.max", "4194305"),
            ("cpu.idle", "2"),
        ] {
            assert_eq!(change.write(file, text), Err(Errno::EINVAL), "{file} {text}");
        }
        assert_eq!(change.write("cpu.weight", "0"), Err(Errno::ERANGE));
        assert_eq!(change.write("cpu.weight", "10001"), Err(Errno::ERANGE));
        assert_eq!(change.write("cpu.weight.nice", "20"), Err(Errno::ERANGE));
        assert_eq!(change.write("cpu.shares", "1"), Err(Errno::ENOENT));
        change.apply();
        assert_eq!((group.memory.limit(Limit::Max), group.cpu_max()), (None, CpuMax::NONE));
    }

    #[test]
    fn what_is_right_is_set_together() {
        memory::tests::machine();
        let group = Cgroup::root().create("g").expect("a group");
        let mut change = Change::of(&group);
        for (file, text) in [
            ("memory.max", "2M\n"),
            ("memory.high", "1048577"),
            ("cpu.max", "5000 20000"),
            ("cpu.max.burst", "5000"),
            ("cpu.weight.nice", "-1"),
            ("pids.max", "0"),
        ] {
            assert_eq!(change.write(file, text), Ok(()), "{file} {text}");
        }
        assert_eq!(group.memory.limit(Limit::Max), None, "not yet");
        change.apply();
        assert_eq!(group.memory.limit(Limit::Max), Some(2 << 20));
        assert_eq!(group.memory.limit(Limit::High), Some(1 << 20));
        assert_eq!(group.cpu_max(), CpuMax { quota_us: Some(5000), period_us: 20_000, burst_us: 5000 });
        assert_eq!((group.cpu.weight(), group.pids.stat().max), (125, 0));
    }

    #[test]
    fn lists_of_cpus_are_masks() {
        assert_eq!(cpu_list("0-2,5"), Some(0b10_0111));
        assert_eq!(cpu_list(""), Some(0));
        assert_eq!(cpu_list("0-63"), Some(u64::MAX));
        assert_eq!((cpu_list("a"), cpu_list("64"), cpu_list("2-1")), (None, None, None));
    }
}
