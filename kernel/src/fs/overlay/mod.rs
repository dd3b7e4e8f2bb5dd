//! overlayfs: directories laid on each other and shown as one. Changes go to the uppermost, the lower ones are never
//! changed. Layers have Linux's form (whiteouts are devices 0:0, opaque directories have an extended attribute), so a
//! layer made here is one there.
//!
//! A name of the overlay is a [`Node`]: where it is in the upper layer, and where below. Nodes are made when they are
//! looked up, from the layers alone, and known as long as they are used; look-up, listing and every change ask one
//! resolver ([`Node::resolve`]). What a node shows is the file of its uppermost layer, whose attributes and pages are
//! used as they are: a page of a lower file is one page for all overlays that show it.
//!
//! A change first copies the node, and the directories above it, to the upper layer. The copy is made aside and comes
//! to its name in one step, so nobody sees half of it: Linux needs the work directory for that; here it is only asked
//! for and held. Who opened a file for reading before it was copied keeps the lower one.
//!
//! Locks: the overlay's structure lock over every change of names; [`Overlay::names`] over look-ups and the step in which
//! a change comes true, so that what is known of a name never lags behind the layers; below these a layer's own.

mod change;
mod copy_up;
mod layers;
mod mount;

pub(super) use change::{create, link, make_unnamed, remove, rename};
pub(super) use copy_up::copy_up;
pub(super) use mount::tree;
pub use mount::{OverlayLayers, OverlayUpper};

use super::{
    Access, Caller, Dentry, DirectoryEntry, FileType, Inode, Mount, dentry::FIRST_COOKIE, inode::Content, pipe::Pipe,
};
use crate::security::Credentials;
use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use layers::Place;
use veridian_containers::abi::Errno;
use veridian_hal::sync::{Once, SpinLock};

/// A mounted overlay.
pub(super) struct Overlay {
    /// The layers' mounts, the upper's first if there is one: they keep the layers alive. The upper's is being written
    /// to as long as the overlay lives.
    layers: Vec<Arc<Mount>>,
    has_upper: bool,
    /// `user.overlay.` instead of `trusted.overlay.` before the names of its extended attributes.
    user_xattr: bool,
    /// Who mounted it: what is put into the upper layer along with what somebody else does, they must be permitted to.
    mounter: Credentials,
    names: SpinLock<()>,
    _held: Vec<mount::Held>,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers", self.layers.len())
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        if self.has_upper {
            self.layers[0].remove_writer();
        }
    }
}

/// What a name of an overlay stands for.
#[derive(Debug)]
pub(super) struct Node {
    overlay: Arc<Overlay>,
    /// Set once: when the node is made, or by the copy.
    upper: Once<Arc<Dentry>>,
    /// Directories that are merged, the uppermost first; of anything else the one that is shown, or none.
    lowers: Vec<Arc<Dentry>>,
    pipe: Once<Arc<Pipe>>,
}

impl Node {
    fn new(overlay: &Arc<Overlay>, place: Place) -> Self {
        let upper = Once::new();
        if let Some(dentry) = place.upper {
            upper.call_once(|| dentry);
        }
        Self { overlay: overlay.clone(), upper, lowers: place.lowers, pipe: Once::new() }
    }

    /// The file that is shown: the uppermost.
    pub fn real(&self) -> &Arc<Inode> {
        self.upper.get().unwrap_or_else(|| &self.lowers[0]).inode()
    }

    /// The pipe behind a fifo, as long as somebody has it open.
    pub fn pipe(&self) -> &Arc<Pipe> {
        self.pipe.call_once(Pipe::fifo)
    }

    /// Whether it is in the upper layer.
    pub fn is_upper(&self) -> bool {
        self.upper.get().is_some()
    }

    /// Whether several directories are shown as one, or may be.
    pub fn is_merged(&self) -> bool {
        !self.lowers.is_empty() && self.real().is_directory()
    }

    fn resolve(&self, name: &[u8]) -> Option<Place> {
        layers::resolve(&self.overlay, self.upper.get(), &self.lowers, name)
    }

    /// Whether lower layers alone would show `name`: then it takes a whiteout to hide it.
    fn shows_below(&self, name: &[u8]) -> bool {
        layers::resolve(&self.overlay, None, &self.lowers, name).is_some()
    }

    /// Whether nothing is seen in the directory.
    pub fn is_empty(&self) -> bool {
        let mut empty = true;
        self.each_name(0, &mut |_, _, _| {
            empty = false;
            false
        });
        empty
    }

    /// Tells the names from cookie `from` on, each once, with what it stands for. A name belongs to the lowest layer that
    /// knows it, so that it keeps its cookie when it is copied up, removed and made again.
    fn each_name(&self, from: u64, tell: &mut dyn FnMut(u64, &[u8], &Place) -> bool) {
        /// Bits of the cookie within a layer.
        const SHIFT: u32 = 40;
        let layers: Vec<&Arc<Dentry>> = self.lowers.iter().rev().chain(self.upper.get()).collect();
        for (index, layer) in layers.iter().enumerate().skip((from >> SHIFT) as usize) {
            let base = (index as u64) << SHIFT;
            let mut next = from.saturating_sub(base);
            // A few at a time: what is told is resolved without the layer's lock.
            loop {
                const BATCH: usize = 64;
                let Ok(entries) = layer.inode().entries() else { break };
                let batch: Vec<(u64, Arc<Dentry>)> =
                    entries.read().since(next).take(BATCH).map(|(cookie, dentry)| (cookie, dentry.clone())).collect();
                let Some((last, _)) = batch.last() else { break };
                next = last + 1;
                for (cookie, dentry) in batch {
                    let Some(name) = dentry.place().map(|place| place.name) else { continue };
                    if layers[..index].iter().any(|below| layers::entry(below, &name).is_some()) {
                        continue;
                    }
                    if let Some(place) = self.resolve(&name)
                        && !tell(base + cookie + 1, &name, &place)
                    {
                        return;
                    }
                }
            }
        }
    }

    /// Tells the entries from `from` on, until `tell` answers false. Gives where the next is read from.
    pub fn list(&self, from: u64, mut tell: impl FnMut(DirectoryEntry<'_>) -> bool) -> u64 {
        let mut reached = from;
        self.each_name(from - FIRST_COOKIE, &mut |next, name, place| {
            let shown = place.real();
            let (inode, file_type, next_offset) = (place.number(&self.overlay), shown.file_type(), next + FIRST_COOKIE);
            let taken = tell(DirectoryEntry { inode, file_type, next_offset, name });
            if taken {
                reached = next_offset;
            }
            taken
        });
        reached
    }
}

/// The entry `name` of the overlay's directory `parent`.
pub(super) fn look_up(
    parent: &Arc<Dentry>,
    node: &Node,
    name: &[u8],
    caller: &Caller<'_>,
) -> Result<Option<Arc<Dentry>>, Errno> {
    if let Some(known) = parent.made_child(name) {
        return Ok(Some(known));
    }
    let charge = Dentry::charge_made(parent, caller.memory)?;
    let _names = node.overlay.names.lock();
    if !parent.is_linked() {
        return Ok(None);
    }
    let Some(place) = node.resolve(name) else { return Ok(None) };
    let inode = inode_of(parent, &node.overlay, place);
    Ok(Some(Dentry::made(parent, name, inode, charge)))
}

/// An inode of the overlay that `beside` is in.
fn inode_of(beside: &Dentry, overlay: &Arc<Overlay>, place: Place) -> Arc<Inode> {
    let number = place.number(overlay);
    Inode::overlay(beside.inode().superblock(), number, Node::new(overlay, place))
}

impl Inode {
    /// What an overlay's inode stands for.
    pub(super) fn overlay_node(&self) -> Option<&Node> {
        if let Content::Overlay(node) = &self.content { Some(node) } else { None }
    }

    /// Whether the file system keeps the extended attribute `name` to itself.
    pub(super) fn keeps_to_itself(&self, name: &[u8]) -> bool {
        self.overlay_node().is_some_and(|node| name.starts_with(node.overlay.xattr_prefix()))
    }

    /// Whether it is what a layer stores in place of a file that was removed.
    fn is_whiteout(&self) -> bool {
        matches!(&self.content, Content::Device(FileType::CharacterDevice, number) if number.to_bits() == 0)
    }
}

impl Overlay {
    fn xattr_prefix(&self) -> &'static [u8] {
        if self.user_xattr { b"user.overlay." } else { b"trusted.overlay." }
    }

    /// EACCES unless who mounted the overlay may put names into `directory` of the upper layer.
    fn permit_write(&self, directory: &Dentry) -> Result<(), Errno> {
        directory.inode().permit(&self.mounter, Access::WRITE | Access::EXECUTE)
    }

    fn xattr(&self, name: &[u8]) -> Vec<u8> {
        [self.xattr_prefix(), name].concat()
    }
}
