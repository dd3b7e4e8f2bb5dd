//! Paths in a container that are hidden, or cannot be changed.

use super::Kernel;
use veridian_containers::engine::{Error, House};

/// Hides what is at `path`; nothing to do if there is nothing.
pub fn mask(house: House<'_, Kernel>, path: &str) -> Result<(), Error> {
    let Some(root) = house.root else { return Ok(()) };
    Ok(root.with_mounts(|mounts| mounts.mask(path.as_bytes(), &house.cgroup.memory))?)
}

/// Makes what is at and below `path` read-only; nothing to do if there is nothing.
pub fn protect(house: House<'_, Kernel>, path: &str) -> Result<(), Error> {
    let Some(root) = house.root else { return Ok(()) };
    Ok(root.with_mounts(|mounts| mounts.protect(path.as_bytes(), &house.cgroup.memory))?)
}
