//! What a configuration says, whichever front end read it.
//!
//! The model is explicit: what a configuration does not say has its default here, so a kernel has none of its own.
//! [`Settings::default`] is what a configuration that says nothing gets; where Docker has a default, it is Docker's.

mod capabilities;
mod devices;
mod hooks;
mod limits;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod seccomp;
mod weight;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub use capabilities::{Capabilities, CapabilitySet};
pub use devices::{Device, DeviceAccess, DeviceNode, DeviceRule, DeviceRuleKind};
pub use hooks::{Hook, HookKind, Hooks};
pub use limits::{Rlimit, RlimitKind};
pub use mounts::{
    DevptsOptions, Filesystem, Mount, MountFlags, MountPropagation, OverlayOptions, OverlayUpper, Propagation,
    TmpfsOptions,
};
pub use namespaces::{IdMapping, Namespaces, TimeOffset, TimeOffsets};
pub use process::{ConsoleSize, Process, UMASK, User};
pub use resources::{CpuResources, CpuSet, Limit, MemoryResources, Resources};
pub use seccomp::{
    Seccomp, SeccompAction, SeccompArch, SeccompCondition, SeccompFlags, SeccompOperator, SeccompProfile, SeccompRule,
};
pub use weight::cpu_weight;

/// The settings of a configuration. [`Config`](super::Config) is the same, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `ociVersion`: a SemVer of major version 1.
    pub oci_version: String,
    /// `root`.
    pub root: Root,
    /// `hostname`, `None` to keep the caller's.
    pub hostname: Option<String>,
    /// `domainname`, `None` to keep the caller's.
    pub domainname: Option<String>,
    /// `process`.
    pub process: Process,
    /// `mounts`, in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// `linux.namespaces`.
    pub namespaces: Namespaces,
    /// `linux.uidMappings`, of the new user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// `linux.gidMappings`, of the new user namespace.
    pub gid_mappings: Vec<IdMapping>,
    /// `linux.timeOffsets`, of the new time namespace.
    pub time_offsets: TimeOffsets,
    /// `linux.devices`: nodes made in the container's `/dev`, beside those of the default.
    pub devices: Vec<Device>,
    /// `linux.cgroupsPath`, `None` for a cgroup named after the id. Relative to the caller's cgroup.
    pub cgroups_path: Option<String>,
    /// `linux.resources`.
    pub resources: Resources,
    /// `hooks`.
    pub hooks: Hooks,
    /// `linux.seccomp`.
    pub seccomp: Seccomp,
    /// `linux.sysctl`: names with dots, and values, of the container's own namespaces.
    pub sysctl: BTreeMap<String, String>,
    /// `linux.maskedPaths`, absolute; those that do not exist are skipped. They hold in a mount namespace of its
    /// own and are empty without one.
    pub masked_paths: Vec<String>,
    /// `linux.readonlyPaths`, likewise.
    pub readonly_paths: Vec<String>,
    /// `annotations`: what others want to know about the container.
    pub annotations: BTreeMap<String, String>,
}

/// `root`: the root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    pub path: String,
    /// Whether the root mount is read-only.
    pub readonly: bool,
    /// `linux.rootfsPropagation`: of the root mount.
    pub propagation: MountPropagation,
}

/// `ociVersion` when none is given.
pub const OCI_VERSION: &str = "1.0.2";

/// Docker's masked paths: what tells of the machine, or could break it.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Docker's read-only paths: settings of the machine.
pub const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Those of `paths` that hold when nothing is said.
pub(in crate::config) fn default_paths(paths: &[&str], own_root: bool) -> Vec<String> {
    let paths = if own_root { paths } else { &[] };
    paths.iter().copied().map(String::from).collect()
}

impl Settings {
    /// What a configuration gets that says nothing but whether it has a mount namespace of its own: without one
    /// no path can be masked, since that would be for the caller too.
    #[must_use]
    pub fn with_own_root(own_root: bool) -> Self {
        let mut namespaces = Namespaces::default();
        namespaces.new.set(crate::NamespaceSet::MOUNT, own_root);
        Self {
            oci_version: String::from(OCI_VERSION),
            root: Root { path: String::from("/"), readonly: false, propagation: MountPropagation::default() },
            hostname: None,
            domainname: None,
            process: Process::default(),
            mounts: Vec::new(),
            namespaces,
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
            time_offsets: TimeOffsets::default(),
            devices: Vec::new(),
            cgroups_path: None,
            resources: Resources { devices: DeviceRule::defaults(), ..Resources::default() },
            hooks: Hooks::default(),
            seccomp: Seccomp::default(),
            sysctl: BTreeMap::new(),
            masked_paths: default_paths(&MASKED_PATHS, own_root),
            readonly_paths: default_paths(&READONLY_PATHS, own_root),
            annotations: BTreeMap::new(),
        }
    }
}

impl Default for Settings {
    /// What a configuration gets that says nothing; it lacks arguments, so it is not yet valid.
    fn default() -> Self {
        Self::with_own_root(false)
    }
}
