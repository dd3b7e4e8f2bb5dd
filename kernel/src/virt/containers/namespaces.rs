//! The namespaces of a container, the mount namespace aside, and what the configuration sets in them.

use crate::{
    namespace::{Namespaces, PidNamespace},
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::{NamespaceSet, engine::Error};

/// Makes those that are asked for; the others are the caller's.
pub fn create(caller: &Thread, new: NamespaceSet) -> Result<Namespaces, Error> {
    let owner = &caller.credentials().user_namespace;
    let mut namespaces = caller.namespaces();
    if new.contains(NamespaceSet::UTS) {
        namespaces.uts = namespaces.uts.copy(owner);
    }
    if new.contains(NamespaceSet::PID) {
        namespaces.pid_for_children = PidNamespace::child(caller.pid().namespace(), owner)?;
    }
    if new.contains(NamespaceSet::TIME) {
        namespaces.time_for_children = Arc::new(namespaces.time.child(owner));
    }
    Ok(namespaces)
}

/// Sets the host name.
pub fn set_hostname(namespaces: &Namespaces, hostname: &str) -> Result<(), Error> {
    Ok(namespaces.uts.set_host(hostname.as_bytes())?)
}
