//! Paths of a container that are masked or read-only (runtime-spec, `maskedPaths` and `readonlyPaths`).
//!
//! What lies over a masked path is the kernel's own, and what is made read-only is bound from the place that the path led
//! to when it was looked at: no path is looked up twice, and nothing of the container's files is used.

use super::{ContainerMounts, Mount, MountFlags, Reflag, attributes::set_flags, topology::Topology};
use crate::fs::{
    Caller, Dentry, Inode, Location, Superblock,
    dentry::Entries,
    inode::{Attributes, Content},
    tmpfs::Data,
};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::sync::RwLock;

/// TMPFS_MAGIC of statfs(2).
const MAGIC: u64 = 0x0102_1994;

impl ContainerMounts {
    /// Lays an empty read-only file or directory over what is at `path` in the container. What is not there needs no
    /// mask: tells whether it was.
    pub fn mask(&mut self, caller: &Caller<'_>, path: &[u8]) -> Result<bool, Errno> {
        let context = self.context();
        let Some(place) = find(&Caller { context: &context, thread: None, ..*caller }, path)? else { return Ok(false) };
        let content = if place.inode().is_directory() {
            Content::Directory(RwLock::new(Entries::new()))
        } else {
            Content::Regular(Data::new())
        };
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let mount = Mount::of_tree(nothing(content, caller)?, b"mask", flags, caller.memory)?;
        Topology::lock().attach(mount, place, caller.memory)?;
        Ok(true)
    }

    /// Makes what is at `path` in the container read-only, with all that is mounted beneath. What is not there is passed
    /// over: tells whether it was. EBUSY where somebody has a file open for writing.
    pub fn protect(&mut self, caller: &Caller<'_>, path: &[u8]) -> Result<bool, Errno> {
        let context = self.context();
        let inside = Caller { context: &context, thread: None, ..*caller };
        let Some(place) = find(&inside, path)? else { return Ok(false) };
        let mounts: Vec<Arc<Mount>> = Self::bind_own(&inside, &place)?;
        set_flags(&mounts, Reflag { clear: MountFlags::empty(), set: MountFlags::RDONLY })?;
        Topology::lock().attach(mounts[0].clone(), place, caller.memory)?;
        Ok(true)
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
fn nothing(content: Content, caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let is_directory = matches!(content, Content::Directory(_));
    let superblock = Arc::new(Superblock::new("tmpfs", MAGIC, Some(0), Some(1)));
    let mut attributes = Attributes::new(if is_directory { 0o555 } else { 0o444 }, 0, 0);
    attributes.links = if is_directory { 2 } else { 1 };
    Ok(Dentry::root(Inode::new(&superblock, attributes, content, caller.memory)?))
}
