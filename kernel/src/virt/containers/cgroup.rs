//! The group of a container: below the caller's, with the limits that the configuration gives.

use crate::{cgroup::Cgroup, task::Thread};
use alloc::sync::Arc;
use veridian_containers::{
    ContainerId,
    config::{Limit, Resources},
    engine::Error,
};

/// Makes the group and sets its limits.
pub fn create(caller: &Thread, id: &ContainerId, limits: &Resources) -> Result<Arc<Cgroup>, Error> {
    let memory = limits.memory.limit.and_then(Limit::value).map(|bytes| bytes.0);
    let pids = limits.pids.and_then(Limit::value).map(|pids| u64::from(pids.get()));
    Ok(Cgroup::child(caller.cgroup(), id.as_str(), memory, pids))
}
