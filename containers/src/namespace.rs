//! The kinds of namespaces.

use bitflags::bitflags;
use core::fmt;

bitflags! {
    /// A set of namespace kinds; each bit is the `CLONE_NEW*` flag of clone(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct NamespaceSet: u32 {
        /// `CLONE_NEWPID`
        const PID = linux_raw_sys::general::CLONE_NEWPID;
        /// `CLONE_NEWNET`
        const NETWORK = linux_raw_sys::general::CLONE_NEWNET;
        /// `CLONE_NEWNS`
        const MOUNT = linux_raw_sys::general::CLONE_NEWNS;
        /// `CLONE_NEWIPC`
        const IPC = linux_raw_sys::general::CLONE_NEWIPC;
        /// `CLONE_NEWUTS`
        const UTS = linux_raw_sys::general::CLONE_NEWUTS;
        /// `CLONE_NEWUSER`
        const USER = linux_raw_sys::general::CLONE_NEWUSER;
        /// `CLONE_NEWCGROUP`
        const CGROUP = linux_raw_sys::general::CLONE_NEWCGROUP;
        /// `CLONE_NEWTIME`
        const TIME = linux_raw_sys::general::CLONE_NEWTIME;
    }
}

/// A kind of namespace, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network devices, addresses, ports.
    Network,
    /// Mounts, and the root directory.
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name and domain name.
    Uts,
    /// User and group ids, capabilities.
    User,
    /// The root of the visible cgroup tree.
    Cgroup,
    /// Offsets of the monotonic and boot-time clocks.
    Time,
}

impl NamespaceKind {
    /// Every kind, in printing order.
    pub const ALL: [Self; 8] =
        [Self::Pid, Self::Network, Self::Mount, Self::Ipc, Self::Uts, Self::User, Self::Cgroup, Self::Time];

    /// The word of the OCI configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// The kind of a word, `None` if it is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The set of this kind alone.
    #[must_use]
    pub const fn flag(self) -> NamespaceSet {
        match self {
            Self::Pid => NamespaceSet::PID,
            Self::Network => NamespaceSet::NETWORK,
            Self::Mount => NamespaceSet::MOUNT,
            Self::Ipc => NamespaceSet::IPC,
            Self::Uts => NamespaceSet::UTS,
            Self::User => NamespaceSet::USER,
            Self::Cgroup => NamespaceSet::CGROUP,
            Self::Time => NamespaceSet::TIME,
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_name_and_its_flag() {
        let mut all = NamespaceSet::empty();
        for kind in NamespaceKind::ALL {
            assert_eq!(NamespaceKind::from_name(kind.name()), Some(kind));
            assert!(!all.intersects(kind.flag()));
            all |= kind.flag();
        }
        assert!(all.is_all());
        assert_eq!(NamespaceKind::from_name("Pid"), None);
        assert_eq!(NamespaceKind::from_name("net"), None);
    }
}
