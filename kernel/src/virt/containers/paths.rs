//! Paths in a container that are hidden, or cannot be changed.

use super::Kernel;
use crate::fs::Caller;
use veridian_containers::{
    abi::Errno,
    engine::{Error, House},
};

/// Hides what is at `path`; nothing to do if there is nothing.
pub fn mask(house: House<'_, Kernel>, path: &str) -> Result<(), Error> {
    if exists(house, path) { Err(Error::new(Errno::ENOSYS).reason("it cannot be masked yet")) } else { Ok(()) }
}

/// Makes what is at and below `path` read-only; nothing to do if there is nothing.
pub fn protect(house: House<'_, Kernel>, path: &str) -> Result<(), Error> {
    if exists(house, path) { Err(Error::new(Errno::ENOSYS).reason("it cannot be made read-only yet")) } else { Ok(()) }
}

fn exists(house: House<'_, Kernel>, path: &str) -> bool {
    let Some(root) = house.root else { return false };
    let context = root.with_mounts(|mounts| mounts.context());
    let credentials = crate::security::Credentials::root();
    let inside = Caller { context: &context, credentials: &credentials, memory: &house.cgroup.memory, thread: None };
    inside.resolve(&context.root, path.as_bytes(), true).is_ok()
}
