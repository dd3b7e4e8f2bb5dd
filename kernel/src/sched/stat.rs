//! What tasks and groups have used.

use super::tree::{GroupId, TaskId, Tree};

/// CPU time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In user mode.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
}

impl Times {
    /// Both together.
    pub fn total_ns(self) -> u64 {
        self.user_ns + self.system_ns
    }
}

impl core::ops::AddAssign for Times {
    fn add_assign(&mut self, more: Self) {
        self.user_ns += more.user_ns;
        self.system_ns += more.system_ns;
    }
}

/// A group's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuStat {
    /// CPU time, of the tasks below it included.
    pub times: Times,
    /// Periods of its quota that have begun.
    pub periods: u64,
    /// How often it had to wait for the next period.
    pub throttled: u64,
    /// How long it has waited so, in ns.
    pub throttled_ns: u64,
    /// Periods in which it took more than its quota, out of what it had saved up.
    pub bursts: u64,
    /// What it took so, in ns.
    pub burst_ns: u64,
}

impl<T> Tree<T> {
    pub fn times(&self, task: TaskId) -> Times {
        self.tasks[task].times
    }

    pub fn stat(&self, group: GroupId) -> CpuStat {
        let node = &self.groups[group];
        let times = node.times;
        match &node.bandwidth {
            None => CpuStat { times, ..CpuStat::default() },
            Some(bandwidth) => CpuStat {
                times,
                periods: bandwidth.periods,
                throttled: bandwidth.throttled,
                throttled_ns: bandwidth.throttled_ns,
                bursts: bandwidth.bursts,
                burst_ns: bandwidth.burst_ns,
            },
        }
    }
}
