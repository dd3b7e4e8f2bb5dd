//! Changes of names in an overlay. All are made under its structure lock, and permitted already.

use super::{
    Node, copy_up, inode_of,
    layers::{OPAQUE, Place, entry},
};
use crate::{
    cgroup::MemoryGroup,
    fs::{
        Dentry, DeviceNumber, FileType, Inode,
        change::{gain_name, lose_name, swap_names},
        inode::{Attributes, Content},
        xattr::XattrFlags,
    },
};
use alloc::{format, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

/// A directory of an overlay, by its dentry, and the directory of the upper layer that is written.
struct Directory<'a> {
    dentry: &'a Arc<Dentry>,
    node: &'a Node,
}

impl<'a> Directory<'a> {
    fn of(dentry: &'a Arc<Dentry>) -> Result<Self, Errno> {
        let node = dentry.inode().overlay_node().ok_or(Errno::ENOTDIR)?;
        if dentry.is_linked() { Ok(Self { dentry, node }) } else { Err(Errno::ENOENT) }
    }

    /// The directory in the upper layer; copied there if it is not yet.
    fn upper(&self, memory: &MemoryGroup) -> Result<&'a Arc<Dentry>, Errno> {
        copy_up(self.dentry, true, memory)?;
        let upper = self.node.upper.get().ok_or(Errno::EROFS)?;
        self.node.overlay.permit_write(upper)?;
        Ok(upper)
    }
}

/// Makes `name` with the inode that `make` gives in the upper layer. EEXIST.
pub(in crate::fs) fn create(
    directory: &Arc<Dentry>,
    name: &[u8],
    attributes: Attributes,
    content: Content,
    memory: &MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let _structure = directory.inode().superblock().structure.lock();
    let parent = Directory::of(directory)?;
    let overlay = &parent.node.overlay;
    if parent.node.resolve(name).is_some() {
        return Err(Errno::EEXIST);
    }
    let upper = parent.upper(memory)?;
    let is_directory = matches!(content, Content::Directory(_));
    let attributes = Attributes { links: if is_directory { 2 } else { 1 }, ..attributes };
    let inode = Inode::new(upper.inode().superblock(), attributes, content, memory)?;
    if is_directory && entry(upper, name).is_some() {
        // In place of a whiteout: what it hid stays hidden.
        inode.set_xattr(&overlay.xattr(OPAQUE), b"y", XattrFlags::empty(), memory)?;
    }
    let charge = Dentry::charge_made(directory, memory)?;
    let _names = overlay.names.lock();
    let real = put(upper, name, inode, memory)?;
    let inode = inode_of(directory, overlay, Place { upper: Some(real), lowers: Vec::new() });
    Ok(Dentry::made(directory, name, inode, charge))
}

/// A further name for the file `old`, which is in the upper layer then.
pub(in crate::fs) fn link(
    old: &Arc<Dentry>,
    directory: &Arc<Dentry>,
    name: &[u8],
    memory: &MemoryGroup,
) -> Result<(), Errno> {
    let _structure = directory.inode().superblock().structure.lock();
    let parent = Directory::of(directory)?;
    if parent.node.resolve(name).is_some() {
        return Err(Errno::EEXIST);
    }
    copy_up(old, true, memory)?;
    let upper = parent.upper(memory)?;
    let inode = old.inode().real();
    let _names = parent.node.overlay.names.lock();
    gain_name(inode)?;
    if let Err(errno) = put(upper, name, inode.clone(), memory) {
        let mut attributes = inode.attributes.lock();
        attributes.links -= 1;
        attributes.is_linkable = attributes.links == 0;
        return Err(errno);
    }
    inode.touch_changed();
    Ok(())
}

/// A file of the upper layer that has no name (open(2), O_TMPFILE).
pub(in crate::fs) fn make_unnamed(
    directory: &Arc<Dentry>,
    attributes: Attributes,
    content: Content,
    memory: &MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let _structure = directory.inode().superblock().structure.lock();
    let parent = Directory::of(directory)?;
    let upper = parent.upper(memory)?;
    let charge = Dentry::charge_made(directory, memory)?;
    let inode = Inode::new(upper.inode().superblock(), attributes, content, memory)?;
    let name = format!("#{}", inode.number());
    let real = Dentry::new(upper, name.as_bytes().into(), inode, memory)?;
    real.unlink();
    let inode = inode_of(directory, &parent.node.overlay, Place { upper: Some(real), lowers: Vec::new() });
    Ok(Dentry::nameless(directory, name.as_bytes(), inode, charge))
}

/// Removes the name of `victim`, which fits (an empty directory, or none). What lower layers have of the name is hidden
/// by a whiteout.
pub(in crate::fs) fn remove(
    directory: &Arc<Dentry>,
    victim: &Arc<Dentry>,
    name: &[u8],
    memory: &MemoryGroup,
) -> Result<(), Errno> {
    let parent = Directory::of(directory)?;
    let hides = parent.node.shows_below(name);
    let upper = parent.upper(memory)?;
    let whiteout = hides.then(|| whiteout(upper, memory)).transpose()?;
    let _names = parent.node.overlay.names.lock();
    match whiteout {
        Some(whiteout) => drop(put(upper, name, whiteout, memory)?),
        None => take(upper, name),
    }
    if let Some(gone) = victim.inode().overlay_node().and_then(|node| node.upper.get())
        && let Ok(entries) = gone.inode().entries()
    {
        entries.write().close();
    }
    directory.forget_child(victim);
    Ok(())
}

/// renameat2(2) of `moving`, already permitted: with `target` in its way it replaces that, or changes places with it.
/// EXDEV for a directory of a lower layer: it cannot be moved without its files (as Linux without `redirect_dir`).
pub(in crate::fs) fn rename(
    from: (&Arc<Dentry>, &Arc<Dentry>, &[u8]),
    to: (&Arc<Dentry>, Option<&Arc<Dentry>>, &[u8]),
    exchange: bool,
    memory: &MemoryGroup,
) -> Result<(), Errno> {
    let (from, moving, old_name) = from;
    let (to, target, new_name) = to;
    let (source, destination) = (Directory::of(from)?, Directory::of(to)?);
    let overlay = &source.node.overlay;
    let is_fixed = |dentry: &Arc<Dentry>| dentry.inode().overlay_node().is_none_or(Node::is_merged);
    let exchanged = target.filter(|_| exchange);
    if is_fixed(moving) || exchanged.is_some_and(is_fixed) {
        return Err(Errno::EXDEV);
    }
    copy_up(moving, true, memory)?;
    if let Some(target) = exchanged {
        copy_up(target, true, memory)?;
    }
    let (upper_from, upper_to) = (source.upper(memory)?, destination.upper(memory)?);
    // A directory that comes to a name that lower layers have must not be merged with theirs.
    let opaque = overlay.xattr(OPAQUE);
    for (dentry, hides) in
        [(Some(moving), destination.node.shows_below(new_name)), (exchanged, source.node.shows_below(old_name))]
    {
        if let Some(real) = dentry.map(|dentry| dentry.inode().real()).filter(|real| hides && real.is_directory()) {
            real.set_xattr(&opaque, b"y", XattrFlags::empty(), memory)?;
        }
    }
    let leaves = !exchange && source.node.shows_below(old_name);
    let left = leaves.then(|| whiteout(upper_from, memory)).transpose()?;
    // Paid for before anything is changed.
    let left = left.map(|inode| Dentry::new(upper_from, old_name.into(), inode, memory)).transpose()?;
    let _names = overlay.names.lock();
    let real = entry(upper_from, old_name).ok_or(Errno::ENOENT)?;
    let in_the_way = entry(upper_to, new_name);
    {
        let _structure = upper_from.inode().superblock().structure.lock();
        swap_names(upper_from, &real, old_name, upper_to, in_the_way.as_ref(), new_name, exchange)?;
        if let Some(whiteout) = left {
            upper_from.inode().entries()?.write().insert(old_name.into(), whiteout);
        }
    }
    if let Some(target) = target {
        from_made(to, target);
    }
    from_made(from, moving);
    Dentry::move_made(moving, to, new_name);
    match target {
        Some(target) if exchange => Dentry::move_made(target, from, old_name),
        Some(target) => target.unlink(),
        None => {}
    }
    Ok(())
}

/// `directory` does not know `child` by its name any more.
fn from_made(directory: &Arc<Dentry>, child: &Arc<Dentry>) {
    directory.forget_child(child);
}

/// The inode of a whiteout: a character device 0:0, which takes no rights to make and gives none.
fn whiteout(beside: &Dentry, memory: &MemoryGroup) -> Result<Arc<Inode>, Errno> {
    let content = Content::Device(FileType::CharacterDevice, DeviceNumber::new(0, 0));
    Inode::new(beside.inode().superblock(), Attributes::new(0, 0, 0), content, memory)
}

/// Puts `inode` under `name` into a directory of the upper layer, in place of what is there.
pub(super) fn put(
    directory: &Arc<Dentry>,
    name: &[u8],
    inode: Arc<Inode>,
    memory: &MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let is_directory = inode.is_directory();
    let dentry = Dentry::new(directory, name.into(), inode, memory)?;
    let _structure = directory.inode().superblock().structure.lock();
    let mut entries = directory.inode().entries()?.write();
    if entries.is_closed() {
        return Err(Errno::ENOENT);
    }
    let replaced = entries.insert(name.into(), dentry.clone());
    drop(entries);
    if is_directory {
        directory.inode().attributes.lock().links += 1;
    }
    if let Some(replaced) = &replaced {
        lose_name(directory, replaced);
    }
    directory.inode().touch_modified();
    Ok(dentry)
}

/// Takes `name` out of a directory of the upper layer.
fn take(directory: &Arc<Dentry>, name: &[u8]) {
    let _structure = directory.inode().superblock().structure.lock();
    let Ok(entries) = directory.inode().entries() else { return };
    let removed = entries.write().remove(name);
    if let Some(removed) = &removed {
        lose_name(directory, removed);
    }
    directory.inode().touch_modified();
}
