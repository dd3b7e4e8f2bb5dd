//! The namespaces of a container, and what the configuration sets in them.

use crate::{
    namespace::{Namespaces, PidNamespace, UtsNamespace},
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::{NamespaceSet, engine::Error};

/// The namespaces of a container, the mount namespace aside.
pub struct ContainerNamespaces {
    /// Host and domain name.
    pub uts: Arc<UtsNamespace>,
    /// Where its processes get their numbers.
    pub pid: Arc<PidNamespace>,
}

/// Makes those that are asked for; the others are the caller's.
pub fn create(caller: &Thread, new: NamespaceSet) -> Result<ContainerNamespaces, Error> {
    let Namespaces { mut uts, mut pid_for_children } = caller.namespaces();
    if new.contains(NamespaceSet::UTS) {
        uts = Arc::new(UtsNamespace::clone(&uts));
    }
    if new.contains(NamespaceSet::PID) {
        pid_for_children = PidNamespace::child(caller.pid().namespace())?;
    }
    Ok(ContainerNamespaces { uts, pid: pid_for_children })
}

/// Sets the host name.
pub fn set_hostname(namespaces: &ContainerNamespaces, hostname: &str) -> Result<(), Error> {
    Ok(namespaces.uts.set_host(hostname.as_bytes())?)
}
