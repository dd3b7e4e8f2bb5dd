//! The namespaces of a container, the mount namespace aside, and what the configuration sets in them.

use crate::{cgroup::Cgroup, namespace::Namespaces, task::Thread};
use alloc::sync::Arc;
use veridian_containers::{
    abi::Errno,
    engine::{Error, NamespaceRequest},
};

/// Makes those that are asked for; the others are the caller's.
pub fn create(caller: &Thread, _cgroup: &Arc<Cgroup>, request: NamespaceRequest<'_>) -> Result<Namespaces, Error> {
    let owner = &caller.credentials().user_namespace;
    Ok(caller.namespaces().with_new(request.namespaces.new, caller.pid().namespace(), owner)?)
}

/// Sets host and domain name, as far as they are given.
pub fn set_names(namespaces: &Namespaces, host: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
    if let Some(host) = host {
        namespaces.uts.set_host(host.as_bytes())?;
    }
    if let Some(domain) = domain {
        namespaces.uts.set_domain(domain.as_bytes())?;
    }
    Ok(())
}

/// Sets a variable of the container's own namespaces.
pub fn set_sysctl(_namespaces: &Namespaces, _name: &str, _value: &str) -> Result<(), Error> {
    Err(Error::new(Errno::ENOSYS).reason("variables cannot be set yet"))
}
