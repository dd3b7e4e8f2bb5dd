//! The group of a container: below the caller's, with the limits that the configuration gives.

use crate::{cgroup::Cgroup, task::Thread};
use alloc::sync::Arc;
use veridian_containers::{ContainerId, config::Limits, engine::Error};

/// Makes the group and sets its limits.
pub fn create(caller: &Thread, id: &ContainerId, limits: &Limits) -> Result<Arc<Cgroup>, Error> {
    let memory = limits.memory.map(|bytes| bytes.0);
    let pids = limits.pids.map(u64::from);
    Ok(Cgroup::child(caller.cgroup(), id.as_str(), memory, pids))
}
