//! `process.capabilities`: capabilities(7).

use bitflags::bitflags;

bitflags! {
    /// A set of capabilities; bit numbers and names are Linux's, without `CAP_`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CapabilitySet: u64 {
        /// Change owners of files.
        const CHOWN = 1 << 0;
        /// Bypass read, write and execute checks of files.
        const DAC_OVERRIDE = 1 << 1;
        /// Bypass read checks of files, read and search checks of directories.
        const DAC_READ_SEARCH = 1 << 2;
        /// Act as the owner of any file.
        const FOWNER = 1 << 3;
        /// Keep set-user-id and set-group-id bits when a file changes.
        const FSETID = 1 << 4;
        /// Send signals to anyone.
        const KILL = 1 << 5;
        /// Change group ids.
        const SETGID = 1 << 6;
        /// Change user ids.
        const SETUID = 1 << 7;
        /// Transfer capabilities.
        const SETPCAP = 1 << 8;
        /// Change immutable files.
        const LINUX_IMMUTABLE = 1 << 9;
        /// Bind ports below 1024.
        const NET_BIND_SERVICE = 1 << 10;
        /// Broadcast and multicast.
        const NET_BROADCAST = 1 << 11;
        /// Configure the network.
        const NET_ADMIN = 1 << 12;
        /// Raw sockets.
        const NET_RAW = 1 << 13;
        /// Lock memory.
        const IPC_LOCK = 1 << 14;
        /// Bypass checks of System V IPC objects.
        const IPC_OWNER = 1 << 15;
        /// Load kernel modules.
        const SYS_MODULE = 1 << 16;
        /// Raw I/O.
        const SYS_RAWIO = 1 << 17;
        /// chroot(2).
        const SYS_CHROOT = 1 << 18;
        /// Trace any process.
        const SYS_PTRACE = 1 << 19;
        /// Process accounting.
        const SYS_PACCT = 1 << 20;
        /// Mounts, host names, namespaces, containers.
        const SYS_ADMIN = 1 << 21;
        /// reboot(2).
        const SYS_BOOT = 1 << 22;
        /// Raise priorities.
        const SYS_NICE = 1 << 23;
        /// Exceed resource limits.
        const SYS_RESOURCE = 1 << 24;
        /// Set clocks.
        const SYS_TIME = 1 << 25;
        /// vhangup(2), privileged terminal operations.
        const SYS_TTY_CONFIG = 1 << 26;
        /// Make device nodes.
        const MKNOD = 1 << 27;
        /// Leases on any file.
        const LEASE = 1 << 28;
        /// Write the audit log.
        const AUDIT_WRITE = 1 << 29;
        /// Control auditing.
        const AUDIT_CONTROL = 1 << 30;
        /// Set capabilities of files.
        const SETFCAP = 1 << 31;
        /// Override mandatory access control.
        const MAC_OVERRIDE = 1 << 32;
        /// Configure mandatory access control.
        const MAC_ADMIN = 1 << 33;
        /// Privileged syslog(2).
        const SYSLOG = 1 << 34;
        /// Wake the system.
        const WAKE_ALARM = 1 << 35;
        /// Keep the system from suspending.
        const BLOCK_SUSPEND = 1 << 36;
        /// Read the audit log.
        const AUDIT_READ = 1 << 37;
        /// Performance events.
        const PERFMON = 1 << 38;
        /// Privileged bpf(2).
        const BPF = 1 << 39;
        /// Checkpoint and restore.
        const CHECKPOINT_RESTORE = 1 << 40;
    }
}

impl CapabilitySet {
    /// Docker's default capabilities.
    pub const DEFAULT: Self = Self::AUDIT_WRITE
        .union(Self::CHOWN)
        .union(Self::DAC_OVERRIDE)
        .union(Self::FOWNER)
        .union(Self::FSETID)
        .union(Self::KILL)
        .union(Self::MKNOD)
        .union(Self::NET_BIND_SERVICE)
        .union(Self::NET_RAW)
        .union(Self::SETFCAP)
        .union(Self::SETGID)
        .union(Self::SETPCAP)
        .union(Self::SETUID)
        .union(Self::SYS_CHROOT);
}

/// `process.capabilities`: the five sets of the program once execve(2) has run it. A process that is not root
/// gets its permitted and effective sets from the ambient one, as capabilities(7) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What execve(2) can ever grant.
    pub bounding: CapabilitySet,
    /// What is checked; within `permitted`.
    pub effective: CapabilitySet,
    /// What may be made effective.
    pub permitted: CapabilitySet,
    /// What files with inheritable capabilities may pass on.
    pub inheritable: CapabilitySet,
    /// What a program without capabilities of its own keeps; within `permitted` and `inheritable`.
    pub ambient: CapabilitySet,
}

impl Default for Capabilities {
    /// Docker's: bounding, permitted and effective sets alike, nothing inheritable.
    fn default() -> Self {
        Self {
            bounding: CapabilitySet::DEFAULT,
            effective: CapabilitySet::DEFAULT,
            permitted: CapabilitySet::DEFAULT,
            inheritable: CapabilitySet::empty(),
            ambient: CapabilitySet::empty(),
        }
    }
}
