//! Copies of lower files in the upper layer.

use super::{Node, layers, layers::ORIGIN};
use crate::{
    cgroup::MemoryGroup,
    fs::{
        Access, Dentry, Inode, Superblock, dentry::Entries, inode::Content, pipe::Pipe, tmpfs::Data, xattr::XattrFlags,
    },
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::sync::RwLock;

/// Sees that `dentry`, of an overlay, and all directories above it are in the upper layer. A regular file comes with its
/// data only if `with_data`. `memory` pays. EROFS without an upper layer, ENOENT for what was removed.
pub(in crate::fs) fn copy_up(dentry: &Arc<Dentry>, with_data: bool, memory: &MemoryGroup) -> Result<(), Errno> {
    let mut chain: Vec<Arc<Dentry>> = Vec::new();
    let mut at = dentry.clone();
    while !node(&at)?.is_upper() {
        let parent = at.parent().ok_or(Errno::EROFS)?;
        chain.push(core::mem::replace(&mut at, parent));
    }
    while let Some(dentry) = chain.pop() {
        copy_one(&dentry, with_data, memory)?;
    }
    Ok(())
}

fn node(dentry: &Dentry) -> Result<&Node, Errno> {
    dentry.inode().overlay_node().ok_or(Errno::EINVAL)
}

/// Copies `dentry`, whose directory is in the upper layer.
fn copy_one(dentry: &Arc<Dentry>, with_data: bool, memory: &MemoryGroup) -> Result<(), Errno> {
    let node = node(dentry)?;
    let overlay = &node.overlay;
    let lower = node.lowers.first().ok_or(Errno::ENOENT)?.inode();
    if !lower.is_symlink() {
        lower.permit(&overlay.mounter, Access::READ)?;
    }
    let copy = duplicate(lower, overlay.layers[0].superblock(), with_data, memory)?;
    for name in lower.xattr_names().iter().filter(|name| !name.starts_with(overlay.xattr_prefix())) {
        let value = lower.xattr(name).unwrap_or_default();
        copy.set_xattr(name, &value, XattrFlags::empty(), memory)?;
    }
    // Of a file with several names each is copied apart: they are different files from here on.
    if lower.is_directory() || lower.attributes().links == 1 {
        let origin = layers::origin_of(lower);
        copy.set_xattr(&overlay.xattr(ORIGIN), &origin, XattrFlags::empty(), memory)?;
    }
    let _names = overlay.names.lock();
    if node.is_upper() {
        return Ok(());
    }
    let place = dentry.place().filter(|place| place.linked).ok_or(Errno::ENOENT)?;
    let parent = place.parent.get().ok_or(Errno::ENOENT)?;
    let directory = self::node(&parent)?.upper.get().ok_or(Errno::ENOENT)?;
    overlay.permit_write(directory)?;
    let times = directory.inode().attributes();
    let new = super::change::put(directory, &place.name, copy, memory)?;
    // The directory shows what it showed before.
    let now = directory.inode().attributes();
    directory.inode().set_attributes(&crate::fs::inode::Attributes {
        modified: times.modified,
        changed: times.changed,
        ..now
    });
    node.upper.call_once(|| new);
    Ok(())
}

/// A new inode in `superblock` with what `original` is; a directory without its entries.
fn duplicate(
    original: &Inode,
    superblock: &Arc<Superblock>,
    with_data: bool,
    memory: &MemoryGroup,
) -> Result<Arc<Inode>, Errno> {
    let content = match &original.content {
        Content::Regular(data) if with_data => Content::Regular(Box::new(data.duplicate(superblock, memory)?)),
        Content::Regular(_) => Content::Regular(Box::new(Data::new())),
        Content::Directory(_) => Content::Directory(RwLock::new(Entries::new())),
        Content::Symlink(target) => Content::Symlink(target.clone()),
        Content::Device(file_type, number) => Content::Device(*file_type, *number),
        Content::Fifo(_) => Content::Fifo(Pipe::fifo()),
        // A socket is where it was bound: nobody listens at the copy.
        Content::Socket(_) => Content::Socket(Arc::default()),
        Content::Anonymous | Content::Synthetic(_) | Content::Overlay(_) => return Err(Errno::EOPNOTSUPP),
    };
    let mut attributes = original.attributes();
    attributes.links = if original.is_directory() { 2 } else { 1 };
    Inode::new(superblock, attributes, content, memory)
}
