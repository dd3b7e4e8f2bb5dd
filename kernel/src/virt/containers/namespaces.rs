//! The namespaces of a container, the mount namespace aside, and what the configuration sets in them.

use crate::{namespace::Namespaces, task::Thread};
use veridian_containers::{NamespaceSet, engine::Error};

/// Makes those that are asked for; the others are the caller's.
pub fn create(caller: &Thread, new: NamespaceSet) -> Result<Namespaces, Error> {
    let owner = &caller.credentials().user_namespace;
    Ok(caller.namespaces().with_new(new, caller.pid().namespace(), owner)?)
}

/// Sets the host name.
pub fn set_hostname(namespaces: &Namespaces, hostname: &str) -> Result<(), Error> {
    Ok(namespaces.uts.set_host(hostname.as_bytes())?)
}
