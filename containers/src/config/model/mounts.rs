//! `mounts`.

use alloc::string::String;
use alloc::vec::Vec;
use bitflags::bitflags;
use linux_raw_sys::general;

use crate::text::Bytes;

/// One of `mounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path in the container.
    pub destination: String,
    /// What is mounted there.
    pub filesystem: Filesystem,
    /// For a bind mount the path, absolute or relative to the bundle; a name without meaning for the rest.
    pub source: String,
    /// Flags that the mount has.
    pub set: MountFlags,
    /// Flags that a bind mount does not take over from its source (`rw`, `suid`, `dev`, `exec`, … were given), and
    /// that a remount takes away.
    pub cleared: MountFlags,
    /// Flags that the mount and every mount below it get once all are there (`rro`, …): mount_setattr(2) with
    /// `AT_RECURSIVE`.
    pub recursive_set: MountFlags,
    /// Flags that they lose (`rrw`, …).
    pub recursive_cleared: MountFlags,
    /// How mounts and unmounts below it spread, once it is there; `None` leaves it as it came.
    pub propagation: Option<MountPropagation>,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// A directory or file of the caller's view.
    Bind {
        /// `rbind`: with the mounts below it.
        recursive: bool,
    },
    /// `remount`: what is there already, with other flags.
    Remount {
        /// Whether only the mount changes; if not, its file system does too.
        bind: bool,
    },
    /// A file system in memory, charged to the container.
    Tmpfs(TmpfsOptions),
    /// The devices null, zero, full, random, urandom, tty and console, ptmx and the usual links.
    Dev,
    /// The processes of the pid namespace.
    Proc,
    /// The kernel's objects, and the network devices of the network namespace.
    Sysfs,
    /// Terminals.
    Devpts(DevptsOptions),
    /// The POSIX message queues of the ipc namespace.
    Mqueue,
    /// `cgroup2`, and `cgroup` as Docker writes it: the cgroups of the cgroup namespace.
    Cgroup2,
    /// Directories laid on each other.
    Overlay(OverlayOptions),
}

/// Settings of a tmpfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// The most that its files may hold, above 0; `None` leaves it to the memory limit. Rounded down to pages.
    pub size: Option<Bytes>,
    /// `nr_inodes`: the most files and directories, above 0; `None` leaves it to the memory limit.
    pub inodes: Option<u64>,
    /// Permission bits of its root, at most 0o7777.
    pub mode: u16,
    /// The owner of its root.
    pub uid: u32,
    /// The group of its root.
    pub gid: u32,
    /// `tmpcopyup`: it begins with a copy of what is in the directory that it covers.
    pub copy_up: bool,
}

impl TmpfsOptions {
    /// Permission bits of the root when no `mode=` is given (Linux's default).
    pub const MODE: u16 = 0o1777;
}

impl Default for TmpfsOptions {
    fn default() -> Self {
        Self { size: None, inodes: None, mode: Self::MODE, uid: 0, gid: 0, copy_up: false }
    }
}

/// Settings of a devpts. It is always a new instance: `newinstance` says nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevptsOptions {
    /// `ptmxmode`: permission bits of its `ptmx`, at most 0o7777.
    pub ptmx_mode: u16,
    /// `mode`: permission bits of terminals, at most 0o7777.
    pub mode: u16,
    /// `uid`: the owner of terminals; `None` for who opens them.
    pub uid: Option<u32>,
    /// `gid`: the group of terminals; `None` for that of who opens them.
    pub gid: Option<u32>,
    /// `max`: the most terminals at one time.
    pub max: Option<u32>,
}

impl DevptsOptions {
    /// Permission bits of `ptmx` when no `ptmxmode=` is given (Linux's default).
    pub const PTMX_MODE: u16 = 0;
    /// Permission bits of terminals when no `mode=` is given (Linux's default).
    pub const MODE: u16 = 0o600;
}

impl Default for DevptsOptions {
    fn default() -> Self {
        Self { ptmx_mode: Self::PTMX_MODE, mode: Self::MODE, uid: None, gid: None, max: None }
    }
}

/// Settings of an overlay. Its directories are absolute, or relative to the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayOptions {
    /// `lowerdir`: the directories that are not changed, at least one, the uppermost first.
    pub lower: Vec<String>,
    /// Where changes go; `None` for a read-only overlay.
    pub upper: Option<OverlayUpper>,
}

/// The directories of an overlay that are written to; both on one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayUpper {
    /// `upperdir`: holds what was changed.
    pub directory: String,
    /// `workdir`: an empty directory in which changes are prepared.
    pub work: String,
}

/// How mounts and unmounts below a mount spread to its copies: mount_namespaces(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Neither way.
    #[default]
    Private,
    /// Both ways.
    Shared,
    /// Only from the others to it.
    Slave,
    /// Neither way, and it cannot be bind mounted.
    Unbindable,
}

/// A kind of propagation, for one mount or for all below it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountPropagation {
    /// The kind.
    pub kind: Propagation,
    /// Whether every mount below gets it too (`rprivate`, …).
    pub recursive: bool,
}

bitflags! {
    /// Flags of a mount; the bits are those of mount(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// `ro`: nothing on it can be changed (EROFS).
        const READ_ONLY = general::MS_RDONLY;
        /// `nosuid`: set-user-id and set-group-id bits have no effect.
        const NO_SUID = general::MS_NOSUID;
        /// `nodev`: device files cannot be opened (EACCES).
        const NO_DEV = general::MS_NODEV;
        /// `noexec`: nothing on it can be executed (EACCES) or mapped executable (EPERM).
        const NO_EXEC = general::MS_NOEXEC;
        /// `sync`: each write waits until it is stored.
        const SYNCHRONOUS = general::MS_SYNCHRONOUS;
        /// `mand`: mandatory locking.
        const MANDATORY_LOCKS = general::MS_MANDLOCK;
        /// `dirsync`: each change of a directory waits until it is stored.
        const SYNCHRONOUS_DIRECTORIES = general::MS_DIRSYNC;
        /// `nosymfollow`: symbolic links on it are not followed (ELOOP).
        const NO_SYMLINK_FOLLOW = general::MS_NOSYMFOLLOW;
        /// `noatime`: reading does not change the time of access.
        const NO_ACCESS_TIME = general::MS_NOATIME;
        /// `nodiratime`: nor does reading a directory.
        const NO_DIRECTORY_ACCESS_TIME = general::MS_NODIRATIME;
        /// `silent`: no messages about the file system in the log.
        const SILENT = general::MS_SILENT;
        /// `relatime`: reading changes the time of access if that is before the last change, or a day old.
        const RELATIVE_ACCESS_TIME = general::MS_RELATIME;
        /// `iversion`: the version number of a file grows with each change.
        const INODE_VERSION = general::MS_I_VERSION;
        /// `strictatime`: reading always changes the time of access.
        const STRICT_ACCESS_TIME = general::MS_STRICTATIME;
        /// `lazytime`: times are stored only with other changes.
        const LAZY_TIME = general::MS_LAZYTIME;
    }
}
