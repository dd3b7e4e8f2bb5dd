//! Where a process stands in the tree of files, and who asks.

use super::{Dentry, DeviceNumber, FileType, Inode, Mount, MountNamespace, initrd};
use crate::{
    cgroup::{MemoryGroup, devices::DeviceAccess},
    namespace::UserNamespace,
    security::Credentials,
    task::Thread,
};
use alloc::{format, string::String, sync::Arc};
use veridian_containers::abi::Errno;
use veridian_hal::boot_info::Initrd;

/// A place in a mount: what a path resolves to. Holding one keeps both alive.
#[derive(Clone, Debug)]
pub struct Location {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The name in the mounted file system.
    pub dentry: Arc<Dentry>,
}

impl Location {
    /// The root of a mount.
    pub fn root_of(mount: &Arc<Mount>) -> Self {
        Self { mount: mount.clone(), dentry: mount.root().clone() }
    }

    /// The file there.
    pub fn inode(&self) -> &Arc<Inode> {
        self.dentry.inode()
    }

    /// Whether it is the root of its mount.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, self.mount.root())
    }

    /// Whether it can be reached from `above` by going down.
    pub fn is_beneath(&self, above: &Self) -> bool {
        let mut at = self.clone();
        while !Arc::ptr_eq(&at.mount, &above.mount) {
            let Some(place) = at.mount.place() else { return false };
            at = place;
        }
        above.dentry.contains(&at.dentry)
    }

    /// Steps onto whatever is mounted here, as often as something is.
    pub(super) fn into_mounted(mut self) -> Self {
        while self.dentry.is_mountpoint() {
            let Some(mount) = self.mount.child_at(&self.dentry) else { break };
            self.dentry = mount.root().clone();
            self.mount = mount;
        }
        self
    }
}

impl PartialEq for Location {
    /// The same place, not merely an equal one.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
}

impl Eq for Location {}

/// A process's view of files: `fork` clones it.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where absolute paths begin, and where `..` ends.
    pub root: Location,
    /// Where relative paths begin.
    pub cwd: Location,
    /// Permission bits that new files do not get.
    pub umask: u16,
    /// The mounts.
    pub namespace: Arc<MountNamespace>,
}

impl Context {
    /// At the root of `namespace`.
    pub fn at_root_of(namespace: Arc<MountNamespace>) -> Self {
        let root = namespace.root();
        Self { cwd: root.clone(), root, umask: 0o022, namespace }
    }

    /// The same view of a copy of all mounts (CLONE_NEWNS), which `owner` rules and `memory` pays for.
    pub fn with_new_namespace(&self, owner: &Arc<UserNamespace>, memory: &MemoryGroup) -> Result<Self, Errno> {
        self.namespace.copy(self, owner, memory)
    }

    /// The first process's: at the root of a file system unpacked from `initrd`. An error comes with its reason.
    pub fn boot(initrd: Initrd, memory: &Arc<MemoryGroup>) -> Result<Self, (Errno, String)> {
        let namespace = initrd::unpack(&initrd, memory)
            .map_err(|error| (error.errno(), format!("the initial RAM disk: {error}")))?;
        Ok(Self::at_root_of(namespace))
    }
}

/// Who asks: the operations of the file system are its methods.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Where paths lead.
    pub context: &'a Context,
    /// What is allowed.
    pub credentials: &'a Credentials,
    /// Who pays.
    pub memory: &'a Arc<MemoryGroup>,
    /// The process that asks. `None` if the kernel asks by itself: then nothing in procfs is `self`, and no magic link
    /// is followed.
    pub thread: Option<&'a Thread>,
}

impl Caller<'_> {
    /// EPERM unless the groups of the process that asks allow the access to a device. The kernel asks nobody.
    pub(super) fn permit_device(
        &self,
        kind: FileType,
        number: DeviceNumber,
        access: DeviceAccess,
    ) -> Result<(), Errno> {
        self.thread.map_or(Ok(()), |thread| thread.cgroup().permit_device(kind, number, access))
    }
}
