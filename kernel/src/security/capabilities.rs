//! capabilities(7): the parts that root's power is divided into.

use bitflags::bitflags;

bitflags! {
    /// A set of capabilities; bit numbers and names are Linux's, without `CAP_`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Capabilities: u64 {
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
        /// Block suspending.
        const BLOCK_SUSPEND = 1 << 36;
        /// Read the audit log.
        const AUDIT_READ = 1 << 37;
        /// Performance monitoring.
        const PERFMON = 1 << 38;
        /// BPF operations.
        const BPF = 1 << 39;
        /// Checkpoint and restore.
        const CHECKPOINT_RESTORE = 1 << 40;
    }
}

impl Capabilities {
    /// The ones that setfsuid(2) drops and raises with the user id 0: those that concern files.
    pub const OF_FILES: Self = Self::CHOWN
        .union(Self::DAC_OVERRIDE)
        .union(Self::DAC_READ_SEARCH)
        .union(Self::FOWNER)
        .union(Self::FSETID)
        .union(Self::LINUX_IMMUTABLE)
        .union(Self::MKNOD)
        .union(Self::MAC_OVERRIDE);
}
