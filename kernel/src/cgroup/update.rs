//! A container's resources as a group's limits: all are set or none.

use super::{Cgroup, memory, pids};
use alloc::sync::Arc;
use veridian_containers::{
    abi::Errno,
    config::{Limit, Resources},
    text::Bytes,
};

impl Cgroup {
    /// Sets the limits that `resources` names; what it does not name stays.
    ///
    /// # Errors
    /// EBUSY: more memory is in use than `memory.limit` would allow; nothing can be taken back.
    /// EINVAL: the swap limit is below the memory limit.
    pub fn update(self: &Arc<Self>, resources: &Resources) -> Result<(), Errno> {
        let bytes = |limit: Limit<Bytes>| limit.value().map(|bytes| bytes.0);
        let memory = &resources.memory;
        if let Some(Limit::At(limit)) = memory.limit
            && self.memory.current_bytes() > limit.0
        {
            return Err(Errno::EBUSY);
        }
        let swap = match memory.swap {
            // Swap alone: the configuration counts both together.
            Some(Limit::At(both)) => {
                let limit = memory.limit.map_or_else(|| self.memory.limit(memory::Limit::Max), bytes);
                let swap = limit.and_then(|limit| both.0.checked_sub(limit)).ok_or(Errno::EINVAL)?;
                Some(Some(swap))
            }
            Some(Limit::Max) => Some(None),
            None => None,
        };
        let set = |limit: memory::Limit, value: Option<Option<u64>>| {
            if let Some(value) = value {
                self.memory.set_limit(limit, value);
            }
        };
        set(memory::Limit::Max, memory.limit.map(bytes));
        set(memory::Limit::High, memory.high.map(bytes));
        set(memory::Limit::Low, memory.reservation.map(bytes));
        set(memory::Limit::SwapMax, swap);
        if let Some(limit) = resources.pids {
            self.pids.set_max(limit.value().map_or(pids::UNLIMITED, |limit| limit.get().into()));
        }
        Ok(())
    }
}
