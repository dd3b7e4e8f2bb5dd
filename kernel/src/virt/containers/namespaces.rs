//! The namespaces of a container, the mount namespace aside, and what the configuration sets in them.

use crate::{
    namespace::{Namespaces, PidNamespace, UtsNamespace},
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::{NamespaceSet, engine::Error};

/// Makes those that are asked for; the others are the caller's.
pub fn create(caller: &Thread, new: NamespaceSet) -> Result<Namespaces, Error> {
    let mut namespaces = caller.namespaces();
    if new.contains(NamespaceSet::UTS) {
        namespaces.uts = Arc::new(UtsNamespace::clone(&namespaces.uts));
    }
    if new.contains(NamespaceSet::PID) {
        namespaces.pid_for_children = PidNamespace::child(caller.pid().namespace())?;
    }
    if new.contains(NamespaceSet::TIME) {
        namespaces.time_for_children = Arc::new(namespaces.time.child());
    }
    Ok(namespaces)
}

/// Sets the host name.
pub fn set_hostname(namespaces: &Namespaces, hostname: &str) -> Result<(), Error> {
    Ok(namespaces.uts.set_host(hostname.as_bytes())?)
}
