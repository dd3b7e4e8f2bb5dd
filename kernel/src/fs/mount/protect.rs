//! Paths of a container that are masked or read-only (runtime-spec, `maskedPaths` and `readonlyPaths`).
//!
//! What lies over a masked path is the kernel's own, and what is made read-only is bound from the place that the path led
//! to when it was looked at: no path is looked up twice, and nothing of the container's files is used.

use super::{ContainerMounts, Mount, MountFlags, MountNamespace, Reflag, attributes::set_flags, topology::Topology};
use crate::{
    cgroup::MemoryGroup,
    fs::{
        Caller, Dentry, Inode, Location, Superblock,
        dentry::Entries,
        inode::{Attributes, Content},
        tmpfs::Data,
    },
    security::Credentials,
};
use alloc::{boxed::Box, sync::Arc};
use veridian_containers::abi::Errno;
use veridian_hal::sync::{Once, RwLock};

/// TMPFS_MAGIC of statfs(2).
const MAGIC: u64 = 0x0102_1994;

impl ContainerMounts {
    /// Lays an empty read-only file or directory over what is at `path` in the container, paid for by `memory`. What is
    /// not there needs no mask.
    pub fn mask(&mut self, path: &[u8], memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        self.at(path, memory, |_, place| {
            let content = if place.inode().is_directory() {
                Content::Directory(RwLock::new(Entries::new()))
            } else {
                Content::Regular(Box::new(Data::new()))
            };
            let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            Mount::of_tree(nothing(content, memory)?, b"mask", flags, memory)
        })
    }

    /// Makes what is at `path` in the container read-only, with all that is mounted beneath. What is not there is passed
    /// over. EBUSY where somebody has a file open for writing.
    pub fn protect(&mut self, path: &[u8], memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        self.at(path, memory, |inside, place| {
            let mounts = Self::bind_own(inside, place)?;
            set_flags(&mounts, Reflag { clear: MountFlags::empty(), set: MountFlags::RDONLY })?;
            Ok(mounts[0].clone())
        })
    }

    /// Shows the file `place` at `path` in the container, too, if there is something.
    pub fn cover(&mut self, path: &[u8], place: &Location, memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        self.at(path, memory, |inside, _| Ok(Self::bind_own(inside, place)?[0].clone()))
    }

    /// Mounts what `make` makes of the place that `path` leads to, if any, on that place, for good where the container has
    /// fewer rights than its creator.
    fn at(
        &mut self,
        path: &[u8],
        memory: &Arc<MemoryGroup>,
        make: impl FnOnce(&Caller<'_>, &Location) -> Result<Arc<Mount>, Errno>,
    ) -> Result<(), Errno> {
        static ROOT: Once<Credentials> = Once::new();
        let context = self.context();
        let inside = Caller { context: &context, credentials: ROOT.call_once(Credentials::root), memory, thread: None };
        match find(&inside, path)? {
            Some(place) => {
                let mount = make(&inside, &place)?;
                let topology = Topology::lock();
                topology.attach(mount.clone(), place, memory)?;
                if self.is_foreign() {
                    mount.lock_tree();
                    mount.set_locked(true);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl MountNamespace {
    /// Whether a file system of type `kind` can be seen here as a whole: its root is mounted, it can be written, and
    /// nothing hides a part of it. Who has no rights over the machine may mount another one only then, so that no mask is
    /// gone round by that.
    pub(in crate::fs) fn shows_whole(&self, kind: &str) -> bool {
        self.list().iter().any(|mount| {
            mount.superblock().kind() == kind
                && Arc::ptr_eq(&mount.root, &mount.tree)
                && !mount.flags().contains(MountFlags::RDONLY)
                && mount.children.read().is_empty()
        })
    }
}

/// Where `path` leads, if anywhere.
fn find(inside: &Caller<'_>, path: &[u8]) -> Result<Option<Location>, Errno> {
    match inside.resolve(&inside.context.root, path, true) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A file system that is one empty file or directory.
fn nothing(content: Content, memory: &MemoryGroup) -> Result<Arc<Dentry>, Errno> {
    let is_directory = matches!(content, Content::Directory(_));
    let superblock = Arc::new(Superblock::new("tmpfs", MAGIC, Some(0), Some(1)));
    let mut attributes = Attributes::new(if is_directory { 0o555 } else { 0o444 }, 0, 0);
    attributes.links = if is_directory { 2 } else { 1 };
    Ok(Dentry::root(Inode::new(&superblock, attributes, content, memory)?))
}
