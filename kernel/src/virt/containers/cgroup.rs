//! The group of a container: below the caller's, with the limits that the configuration gives.

use crate::{cgroup::Cgroup, task::Thread};
use alloc::sync::Arc;
use veridian_containers::{ContainerId, config::Resources, engine::Error};

/// Makes the group and sets its limits.
pub fn create(caller: &Thread, id: &ContainerId, resources: &Resources) -> Result<Arc<Cgroup>, Error> {
    let group = caller.cgroup().create(id.as_str())?;
    // A container never lives on in part.
    group.memory.set_kills_whole(true);
    match group.update(resources) {
        Ok(()) => Ok(group),
        Err(errno) => {
            group.remove_tree();
            Err(errno.into())
        }
    }
}
