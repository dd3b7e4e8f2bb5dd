//! Dentries: names in directories, as a tree. A directory holds its entries; an entry knows its directory weakly, and
//! a mount keeps its whole tree alive, so that there is no cycle and `..` always has somewhere to go. Where entries are
//! made when they are looked up it is the other way round: the entry holds its directory, and is known there weakly.

use super::{
    Caller, Inode,
    inode::{Content, INODE_BYTES},
    overlay, synthetic,
};
use crate::cgroup::{MemoryGroup, ObjectCharge};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::{AtomicUsize, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Names of entries that were made when they were looked up, while they are in use.
type Made = BTreeMap<Arc<[u8]>, Weak<Dentry>>;

/// What a name costs on the kernel heap, at most.
const DENTRY_BYTES: usize = 512;

/// A name for an inode, or the root of a file system.
#[derive(Debug)]
pub struct Dentry {
    inode: Arc<Inode>,
    /// `None` for the root of a file system.
    place: SpinLock<Option<Place>>,
    /// Mounts on it, in all namespaces. Such a dentry is neither removed nor renamed (EBUSY).
    mounts: AtomicUsize,
    made: SpinLock<Made>,
    /// `None` for a root, which its inode's charge covers.
    _charge: Option<ObjectCharge>,
}

/// Where a dentry is; where it was, once it is unlinked.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub parent: Parent,
    pub name: Arc<[u8]>,
    pub linked: bool,
}

/// The directory that a dentry is in.
#[derive(Clone, Debug)]
pub(super) enum Parent {
    /// It holds the entry.
    Holds(Weak<Dentry>),
    /// The entry, which was made when it was looked up, holds it.
    Held(Arc<Dentry>),
}

impl Parent {
    pub fn get(&self) -> Option<Arc<Dentry>> {
        match self {
            Self::Holds(parent) => parent.upgrade(),
            Self::Held(parent) => Some(parent.clone()),
        }
    }
}

impl Dentry {
    fn with(inode: Arc<Inode>, place: Option<Place>, charge: Option<ObjectCharge>) -> Arc<Self> {
        let (place, made) = (SpinLock::new(place), SpinLock::new(Made::new()));
        Arc::new(Self { inode, place, mounts: AtomicUsize::new(0), made, _charge: charge })
    }

    /// The root of a file system.
    pub(super) fn root(inode: Arc<Inode>) -> Arc<Self> {
        Self::with(inode, None, None)
    }

    /// A name in `parent`, paid for by `memory`, not yet in the entries.
    pub(super) fn new(
        parent: &Arc<Self>,
        name: Arc<[u8]>,
        inode: Arc<Inode>,
        memory: &MemoryGroup,
    ) -> Result<Arc<Self>, Errno> {
        let charge = inode.superblock().charge_object(DENTRY_BYTES, memory)?;
        let place = Place { parent: Parent::Holds(Arc::downgrade(parent)), name, linked: true };
        Ok(Self::with(inode, Some(place), Some(charge)))
    }

    /// Pays for a dentry that is made when it is looked up, and its inode.
    pub(super) fn charge_made(parent: &Self, memory: &MemoryGroup) -> Result<ObjectCharge, Errno> {
        parent.inode.superblock().charge_object(DENTRY_BYTES + INODE_BYTES, memory)
    }

    /// The dentry of `name` in `parent`, which knows it as long as somebody uses it: a new one for `inode`, unless
    /// another look-up was faster.
    pub(super) fn made(parent: &Arc<Self>, name: &[u8], inode: Arc<Inode>, charge: ObjectCharge) -> Arc<Self> {
        let name: Arc<[u8]> = name.into();
        let place = Place { parent: Parent::Held(parent.clone()), name: name.clone(), linked: true };
        let new = Self::with(inode, Some(place), Some(charge));
        let mut made = parent.made.lock();
        if let Some(other) = made.get(&name).and_then(Weak::upgrade) {
            drop(made);
            return other;
        }
        made.insert(name, Arc::downgrade(&new));
        new
    }

    /// A dentry of a file that has no name, where `parent` does not know it: `name` is only what is said of it.
    pub(super) fn nameless(parent: &Arc<Self>, name: &[u8], inode: Arc<Inode>, charge: ObjectCharge) -> Arc<Self> {
        let place = Place { parent: Parent::Held(parent.clone()), name: name.into(), linked: false };
        Self::with(inode, Some(place), Some(charge))
    }

    /// The dentry of `name` that was made by a look-up and is still in use.
    pub(super) fn made_child(&self, name: &[u8]) -> Option<Arc<Self>> {
        self.made.lock().get(name).and_then(Weak::upgrade)
    }

    /// `child`, made by a look-up, does not stand for its name any more.
    pub(super) fn forget_child(&self, child: &Arc<Self>) {
        let Some(place) = child.place() else { return };
        let mut made = self.made.lock();
        if made.get(&place.name).is_some_and(|known| known.as_ptr() == Arc::as_ptr(child)) {
            made.remove(&place.name);
        }
        drop(made);
        child.unlink();
    }

    /// `child`, made by a look-up and forgotten by its directory, stands for `name` in `parent` from here on.
    pub(super) fn move_made(child: &Arc<Self>, parent: &Arc<Self>, name: &[u8]) {
        let name: Arc<[u8]> = name.into();
        let place = Place { parent: Parent::Held(parent.clone()), name: name.clone(), linked: true };
        let old = child.place.lock().replace(place);
        drop(old);
        parent.made.lock().insert(name, Arc::downgrade(child));
    }

    /// The entry `name` of this directory, whether it was there or is made now; ENOTDIR.
    pub(super) fn child(self: &Arc<Self>, name: &[u8], caller: &Caller<'_>) -> Result<Option<Arc<Self>>, Errno> {
        match &self.inode.content {
            Content::Directory(entries) => Ok(entries.read().get(name).cloned()),
            Content::Synthetic(synthetic::Node::Directory(directory)) => {
                synthetic::look_up(self, directory, name, caller)
            }
            Content::Overlay(node) if node.real().is_directory() => overlay::look_up(self, node, name, caller),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// What the name stands for.
    pub fn inode(&self) -> &Arc<Inode> {
        &self.inode
    }

    pub(super) fn into_inode(self) -> Arc<Inode> {
        self.inode.clone()
    }

    /// The directory it is in (or was, when unlinked). `None` for a file system's root.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.place.lock().as_ref()?.parent.get()
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.place.lock().clone()
    }

    pub(super) fn set_place(&self, parent: &Arc<Self>, name: Arc<[u8]>) {
        *self.place.lock() = Some(Place { parent: Parent::Holds(Arc::downgrade(parent)), name, linked: true });
    }

    pub(super) fn unlink(&self) {
        if let Some(place) = &mut *self.place.lock() {
            place.linked = false;
        }
    }

    /// Whether it is still a name, or a root.
    pub fn is_linked(&self) -> bool {
        self.place.lock().as_ref().is_none_or(|place| place.linked)
    }

    /// Whether `self` is `other` or above it.
    pub fn contains(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut at = other.clone();
        loop {
            if Arc::ptr_eq(self, &at) {
                return true;
            }
            let Some(parent) = at.parent() else { return false };
            at = parent;
        }
    }

    /// Whether anything is mounted on it, in any namespace.
    pub(super) fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::Acquire) > 0
    }

    pub(super) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Dentry {
    /// Leaves a directory that it holds; gives that.
    fn leave(&mut self) -> Option<Arc<Self>> {
        let Some(Place { parent: Parent::Held(parent), name, .. }) = self.place.get_mut().take() else { return None };
        let mut made = parent.made.lock();
        if made.get(&name).is_some_and(|known| known.strong_count() == 0) {
            made.remove(&name);
        }
        drop(made);
        Some(parent)
    }
}

impl Drop for Dentry {
    /// The directories that only this dentry held go too, one after the other and not by recursion.
    fn drop(&mut self) {
        let mut above = self.leave();
        while let Some(parent) = above {
            above = Arc::into_inner(parent).and_then(|mut parent| parent.leave());
        }
    }
}

/// The entries of a directory: by name, and in the order of their making, which is the order of reading.
#[derive(Debug)]
pub(super) struct Entries {
    by_name: BTreeMap<Arc<[u8]>, (u64, Arc<Dentry>)>,
    by_cookie: BTreeMap<u64, Arc<Dentry>>,
    next_cookie: u64,
    /// The directory was removed: nothing can be put into it any more.
    closed: bool,
}

/// Cookies below are those of `.` and `..`.
pub(super) const FIRST_COOKIE: u64 = 2;

impl Entries {
    pub const fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_cookie: BTreeMap::new(), next_cookie: FIRST_COOKIE, closed: false }
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn get(&self, name: &[u8]) -> Option<&Arc<Dentry>> {
        self.by_name.get(name).map(|(_, dentry)| dentry)
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// No entry can be made from here on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Makes `name` stand for `dentry`; gives what it stood for. A replaced entry keeps its cookie.
    pub fn insert(&mut self, name: Arc<[u8]>, dentry: Arc<Dentry>) -> Option<Arc<Dentry>> {
        if let Some((cookie, old)) = self.by_name.get_mut(&name) {
            self.by_cookie.insert(*cookie, dentry.clone());
            return Some(core::mem::replace(old, dentry));
        }
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        self.by_cookie.insert(cookie, dentry.clone());
        self.by_name.insert(name, (cookie, dentry));
        None
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<Dentry>> {
        let (cookie, dentry) = self.by_name.remove(name)?;
        self.by_cookie.remove(&cookie);
        Some(dentry)
    }

    /// The entries from `cookie` on: an entry made or removed meanwhile moves no other.
    pub fn since(&self, cookie: u64) -> impl Iterator<Item = (u64, &Arc<Dentry>)> {
        self.by_cookie.range(cookie..).map(|(&cookie, dentry)| (cookie, dentry))
    }

    pub fn take_all(&mut self) -> Vec<Arc<Dentry>> {
        self.by_cookie.clear();
        core::mem::take(&mut self.by_name).into_values().map(|(_, dentry)| dentry).collect()
    }
}
