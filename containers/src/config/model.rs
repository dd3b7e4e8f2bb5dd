//! What a configuration says, whichever front end read it.

use alloc::string::String;
use alloc::vec::Vec;
use bitflags::bitflags;

use crate::NamespaceSet;
use crate::text::Bytes;

/// The settings of a configuration. [`Config`](super::Config) is the same, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `ociVersion`: a SemVer of major version 1.
    pub oci_version: String,
    /// `root`.
    pub root: Root,
    /// `hostname`, `None` to keep the caller's.
    pub hostname: Option<String>,
    /// `process`.
    pub process: Process,
    /// `mounts`, in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// `linux.namespaces`: the kinds to make new.
    pub namespaces: NamespaceSet,
    /// `linux.resources`.
    pub limits: Limits,
}

/// `root`: the root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    pub path: String,
    /// Whether the root mount is read-only.
    pub readonly: bool,
}

/// `process`: what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Working directory: an absolute path in the container.
    pub cwd: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Arguments, at least one; the first names the program.
    pub args: Vec<String>,
    /// The whole environment, each `NAME=value`.
    pub env: Vec<String>,
}

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
    /// Flags that a bind mount does not take over from its source (`rw`, `suid`, `dev`, `exec` were given).
    pub cleared: MountFlags,
}

/// What a mount shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// A directory or file of the caller's view.
    Bind {
        /// `rbind`: with the mounts below it.
        recursive: bool,
    },
    /// A file system in memory, charged to the container.
    Tmpfs {
        /// The most that its files may hold; `None` leaves it to the memory limit. Rounded down to pages.
        size: Option<Bytes>,
        /// Permission bits of its root, at most 0o7777.
        mode: u16,
    },
    /// The devices null, zero, full, random, urandom and console.
    Dev,
}

bitflags! {
    /// Flags of a mount; the bits are those of mount(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// `ro`: nothing on it can be changed (EROFS).
        const READ_ONLY = linux_raw_sys::general::MS_RDONLY;
        /// `nosuid`: set-user-id and set-group-id bits have no effect.
        const NO_SUID = linux_raw_sys::general::MS_NOSUID;
        /// `nodev`: device files cannot be opened (EACCES).
        const NO_DEV = linux_raw_sys::general::MS_NODEV;
        /// `noexec`: nothing on it can be executed (EACCES) or mapped executable (EPERM).
        const NO_EXEC = linux_raw_sys::general::MS_NOEXEC;
    }
}

/// `linux.resources`: what the container may take. `None` is no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory.limit`. Rounded down to pages, as Linux does.
    pub memory: Option<Bytes>,
    /// `pids.limit`: how many tasks (threads) there may be at one time, at least 1.
    pub pids: Option<u32>,
}

/// Permission bits of the root of a tmpfs when no `mode=` is given (Linux's default).
pub const TMPFS_MODE: u16 = 0o1777;

/// `ociVersion` when none is given.
pub const OCI_VERSION: &str = "1.0.2";

impl Default for Settings {
    /// What a configuration says that sets no key; it lacks arguments, so it is not yet valid.
    fn default() -> Self {
        Self {
            oci_version: String::from(OCI_VERSION),
            root: Root { path: String::from("/"), readonly: false },
            hostname: None,
            process: Process { cwd: String::from("/"), uid: 0, gid: 0, args: Vec::new(), env: Vec::new() },
            mounts: Vec::new(),
            namespaces: NamespaceSet::empty(),
            limits: Limits::default(),
        }
    }
}
