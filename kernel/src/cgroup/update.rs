//! A container's resources as a group's limits: all are set or none.

use super::{Cgroup, memory, pids, setting::Change};
use alloc::sync::Arc;
use veridian_containers::{
    abi::Errno,
    config::{Limit, Resources, cpu_weight},
    text::Bytes,
};

impl Cgroup {
    /// Sets the limits that `resources` names; what it does not name stays.
    ///
    /// # Errors
    /// EBUSY: more memory is in use than would be allowed, and nothing can be taken back. EINVAL, ERANGE: a value that
    /// Linux's file would refuse, or a CPU that the machine does not have. ENOENT: `unified` names no limit's file.
    pub fn update(self: &Arc<Self>, resources: &Resources) -> Result<(), Errno> {
        let bytes = |limit: Limit<Bytes>| limit.value().map(|bytes| bytes.0);
        let mut change = Change::of(self);
        let memory = &resources.memory;
        let mut set = |limit, value: Option<Limit<Bytes>>| {
            if let Some(value) = value {
                change.memory(limit, bytes(value));
            }
        };
        set(memory::Limit::Max, memory.limit);
        set(memory::Limit::High, memory.high);
        set(memory::Limit::Low, memory.reservation);
        match memory.swap {
            // The configuration counts memory and swap together.
            Some(Limit::At(both)) => {
                let limit = memory.limit.map_or_else(|| self.memory.limit(memory::Limit::Max), bytes);
                let swap = limit.and_then(|limit| both.0.checked_sub(limit)).ok_or(Errno::EINVAL)?;
                change.memory(memory::Limit::SwapMax, Some(swap));
            }
            Some(Limit::Max) => change.memory(memory::Limit::SwapMax, None),
            None => {}
        }
        let cpu = &resources.cpu;
        if let Some(idle) = cpu.idle {
            change.cpu_idle(idle);
        }
        if let Some(shares) = cpu.shares.filter(|_| cpu.idle != Some(true)) {
            change.cpu_weight(cpu_weight(shares.get()))?;
        }
        if cpu.quota.is_some() || cpu.period.is_some() || cpu.burst.is_some() {
            let quota = cpu.quota.map(|quota| quota.value().map(|quota| quota.get()));
            change.cpu_max(quota, cpu.period.map(|period| period.get()), cpu.burst)?;
        }
        if let Some(cpus) = cpu.cpus {
            change.cpus(cpus.0.get())?;
        }
        if let Some(limit) = resources.pids {
            change.pids_max(limit.value().map_or(pids::UNLIMITED, |limit| limit.get().into()));
        }
        for (file, text) in &resources.unified {
            change.write(file, text)?;
        }
        if change.is_too_small() {
            return Err(Errno::EBUSY);
        }
        change.apply();
        Ok(())
    }
}
