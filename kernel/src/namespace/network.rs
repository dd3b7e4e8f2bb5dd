//! The network namespace (network_namespaces(7)): a loopback interface, ports, and abstract names of Unix-domain sockets.
//! It costs no more than its tables until there are sockets.

use super::{UserNamespace, next_inode};
use crate::{
    cgroup::ObjectPool,
    net::{AbstractNames, Interface, Ports},
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
};
use core::sync::atomic::{AtomicU32, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The sysctl of the first port that needs no capability.
const UNPRIVILEGED_PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// What sockets of the namespace see of each other.
#[derive(Debug)]
pub struct NetworkNamespace {
    inode: u64,
    owner: Arc<UserNamespace>,
    unprivileged_port_start: AtomicU32,
    /// What its sockets and packets are paid for from.
    pub pool: Arc<ObjectPool>,
    /// `lo`.
    pub loopback: Interface,
    /// Bound TCP and UDP sockets.
    pub ports: SpinLock<Ports>,
    /// Bound Unix-domain sockets without a path.
    pub names: SpinLock<AbstractNames>,
}

impl NetworkNamespace {
    /// A new one that `owner` rules, its loopback interface down.
    pub fn new(owner: &Arc<UserNamespace>) -> Self {
        Self {
            inode: next_inode(),
            owner: owner.clone(),
            unprivileged_port_start: AtomicU32::new(1024),
            pool: Arc::default(),
            loopback: Interface::default(),
            ports: SpinLock::default(),
            names: SpinLock::default(),
        }
    }

    /// The number of `/proc/<pid>/ns/net`.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Whether binding `port` needs CAP_NET_BIND_SERVICE.
    pub fn is_privileged(&self, port: u16) -> bool {
        u32::from(port) < self.unprivileged_port_start.load(Ordering::Relaxed)
    }

    /// What a sysctl of this namespace shows; `None` for one that is not its.
    pub fn sysctl(&self, name: &str) -> Option<String> {
        (name == UNPRIVILEGED_PORT_START).then(|| self.unprivileged_port_start.load(Ordering::Relaxed).to_string())
    }

    /// Sets a sysctl of this namespace: ENOENT for one that is not its, EINVAL for a value that it does not take.
    pub fn set_sysctl(&self, name: &str, value: &str) -> Result<(), Errno> {
        if name != UNPRIVILEGED_PORT_START {
            return Err(Errno::ENOENT);
        }
        let port: u32 = value.trim_ascii().parse().map_err(|_| Errno::EINVAL)?;
        if port > 65535 {
            return Err(Errno::EINVAL);
        }
        self.unprivileged_port_start.store(port, Ordering::Relaxed);
        Ok(())
    }
}
