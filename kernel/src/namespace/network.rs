//! The network namespace (network_namespaces(7)): a loopback interface, ports, and abstract names of Unix-domain sockets.
//! It costs no more than its tables until there are sockets.

use super::{IdKind, UserNamespace, next_inode};
use crate::{
    cgroup::ObjectPool,
    net::{AbstractNames, Interface, Ports, Settings, Sockets},
    security::Credentials,
};
use alloc::{string::String, sync::Arc};
use core::ops::RangeInclusive;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// What sockets of the namespace see of each other.
#[derive(Debug)]
pub struct NetworkNamespace {
    inode: u64,
    owner: Arc<UserNamespace>,
    settings: SpinLock<Settings>,
    /// What its sockets and packets are paid for from.
    pub pool: Arc<ObjectPool>,
    /// `lo`.
    pub loopback: Interface,
    /// All sockets that were made in it.
    pub sockets: SpinLock<Sockets>,
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
            settings: SpinLock::default(),
            pool: Arc::default(),
            loopback: Interface::default(),
            sockets: SpinLock::default(),
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
        u32::from(port) < self.settings.lock().unprivileged_port_start
    }

    /// The ports that the kernel gives out.
    pub fn local_ports(&self) -> RangeInclusive<u16> {
        let (first, last) = self.settings.lock().local_ports;
        first..=last
    }

    /// The most connections that wait to be accepted, whatever listen(2) was told.
    pub fn backlog_max(&self) -> usize {
        self.settings.lock().backlog_max as usize
    }

    /// Whether somebody may make sockets for echo requests: one of their groups, as the owner counts them, is among those.
    pub fn may_ping(&self, who: &Credentials) -> bool {
        let (first, last) = self.settings.lock().ping_groups;
        let own = |gid: u32| self.owner.from_kernel(IdKind::Group, gid);
        let mut groups = who.groups.iter().copied().chain([who.egid]);
        groups.any(|gid| own(gid).is_some_and(|gid| (first..=last).contains(&gid)))
    }

    /// What a sysctl of this namespace shows, by its path beneath `/proc/sys`; `None` for one that is not its.
    pub fn sysctl(&self, path: &str) -> Option<String> {
        self.settings.lock().get(path)
    }

    /// Sets a sysctl of this namespace: ENOENT for one that is not its, EINVAL for a value that it does not take.
    pub fn set_sysctl(&self, path: &str, value: &str) -> Result<(), Errno> {
        self.settings.lock().set(path, value)
    }
}
