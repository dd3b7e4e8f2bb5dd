//! Mounts: a file system's tree, or part of it, at a place in a namespace.
//!
//! A mount holds its children, a child knows its parent weakly, a namespace holds its root mount: dropping the last
//! handle to a namespace frees all that only it held. A mount that is detached keeps working for those who
//! hold it, but has no place: `..` ends at its root.

mod change;
mod container;
mod namespace;
mod options;
mod pivot;

pub use change::{MountCall, UmountFlags};
pub use container::{ContainerMounts, MountRequest, MountSource};
pub use namespace::MountNamespace;
pub use options::TmpfsOptions;

use super::{Dentry, Inode, Location, Superblock, Timestamp};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use bitflags::bitflags;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::{RwLock, SpinLock};

bitflags! {
    /// What a mount forbids, and how it keeps access times. Bits are those of mount(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// No change of any kind: EROFS.
        const RDONLY = 1;
        /// Set-user-id and set-group-id bits mean nothing.
        const NOSUID = 2;
        /// Devices are not opened: EACCES.
        const NODEV = 4;
        /// Nothing is executed: EACCES.
        const NOEXEC = 8;
        /// Access times are left alone.
        const NOATIME = 1 << 10;
        /// Access times of directories are left alone.
        const NODIRATIME = 1 << 11;
        /// Access times are always kept; else only when they are older than the last change or than a day.
        const STRICTATIME = 1 << 24;
    }
}

/// Shift of the count of writers in [`Mount::state`].
const ONE_WRITER: u64 = 1 << 32;

/// A mount.
#[derive(Debug)]
pub struct Mount {
    id: u64,
    /// The root of the mounted file system, kept alive by every mount of any part of it.
    tree: Arc<Dentry>,
    /// What is seen at the mount point.
    root: Arc<Dentry>,
    /// [`MountFlags`] below, the number of writers above: so that a mount turns read-only only while nobody writes.
    state: AtomicU64,
    /// The namespace it is in; 0 when in none.
    namespace: AtomicU64,
    /// By the address of the dentry that they are mounted on, which they keep alive.
    children: RwLock<BTreeMap<usize, Arc<Mount>>>,
    place: SpinLock<Option<MountPlace>>,
}

/// Where a mount is mounted.
#[derive(Debug)]
struct MountPlace {
    parent: Weak<Mount>,
    mountpoint: Mountpoint,
}

/// A dentry that something is mounted on.
#[derive(Debug)]
struct Mountpoint(Arc<Dentry>);

impl Mountpoint {
    /// ENOENT if the dentry is not linked any more.
    fn new(dentry: &Arc<Dentry>) -> Result<Self, Errno> {
        // Whoever removes the dentry looks for mounts under the same lock.
        let _structure = dentry.inode().superblock().structure.lock();
        if !dentry.is_linked() {
            return Err(Errno::ENOENT);
        }
        dentry.add_mount();
        Ok(Self(dentry.clone()))
    }
}

impl Drop for Mountpoint {
    fn drop(&mut self) {
        self.0.remove_mount();
    }
}

/// The right to change something in a mount, for a moment or as long as a file is open for writing.
#[derive(Debug)]
pub struct Change<'a>(&'a Mount);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_sub(ONE_WRITER, Ordering::AcqRel);
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Mount {
    /// A mount, placed nowhere yet, of the file system with root `tree`, showing `root` of it.
    fn new(tree: Arc<Dentry>, root: Arc<Dentry>, flags: MountFlags) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            tree,
            root,
            state: AtomicU64::new(flags.bits().into()),
            namespace: AtomicU64::new(0),
            children: RwLock::new(BTreeMap::new()),
            place: SpinLock::new(None),
        })
    }

    /// A mount of a whole file system.
    pub(super) fn of_tree(tree: Arc<Dentry>, flags: MountFlags) -> Arc<Self> {
        Self::new(tree.clone(), tree, flags)
    }

    /// A further mount of the same file system, showing `root` of it, with the same flags.
    fn bind(&self, root: &Arc<Dentry>) -> Arc<Self> {
        Self::new(self.tree.clone(), root.clone(), self.flags())
    }

    /// Whether devices are not opened: the mount says so, or the file system was not mounted with rights over the
    /// machine.
    pub(super) fn forbids_devices(&self) -> bool {
        self.flags().contains(MountFlags::NODEV) || !self.superblock().owner().is_first()
    }

    /// The number that statx(2) and mountinfo give.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is seen at the mount point.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The mounted file system.
    pub fn superblock(&self) -> &Arc<Superblock> {
        self.tree.inode().superblock()
    }

    /// What the mount forbids.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.state.load(Ordering::Acquire) as u32)
    }

    /// Sets the flags: EBUSY if that makes it read-only and someone is writing.
    fn set_flags(&self, flags: MountFlags) -> Result<(), Errno> {
        let set = |state: u64| {
            let writers = state / ONE_WRITER;
            (writers == 0 || !flags.contains(MountFlags::RDONLY))
                .then_some((writers * ONE_WRITER) | u64::from(flags.bits()))
        };
        self.state.try_update(Ordering::AcqRel, Ordering::Acquire, set).map(drop).map_err(|_| Errno::EBUSY)
    }

    /// Begins a change: EROFS on a read-only mount, which it cannot become before the end of the change.
    pub(super) fn begin_change(&self) -> Result<Change<'_>, Errno> {
        self.add_writer()?;
        Ok(Change(self))
    }

    /// As [`Self::begin_change`]; ended by [`Self::remove_writer`].
    pub(super) fn add_writer(&self) -> Result<(), Errno> {
        let add = |state: u64| (state & u64::from(MountFlags::RDONLY.bits()) == 0).then_some(state + ONE_WRITER);
        self.state.try_update(Ordering::AcqRel, Ordering::Acquire, add).map(drop).map_err(|_| Errno::EROFS)
    }

    pub(super) fn remove_writer(&self) {
        self.state.fetch_sub(ONE_WRITER, Ordering::AcqRel);
    }

    /// What is mounted on `dentry` of this mount.
    pub(super) fn child_at(&self, dentry: &Arc<Dentry>) -> Option<Arc<Self>> {
        self.children.read().get(&key(dentry)).cloned()
    }

    /// Where it is mounted; `None` for a namespace's root and for what is detached.
    pub fn place(&self) -> Option<Location> {
        let place = self.place.lock();
        let MountPlace { parent, mountpoint } = place.as_ref()?;
        Some(Location { mount: parent.upgrade()?, dentry: mountpoint.0.clone() })
    }

    /// Whether `dentry` of its file system lies beneath its root.
    pub(super) fn shows(&self, dentry: &Arc<Dentry>) -> bool {
        Arc::ptr_eq(&self.root, &self.tree) || self.root.contains(dentry)
    }

    /// Whether `other` is this mount or mounted somewhere beneath it.
    fn is_above(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut at = other.clone();
        loop {
            if Arc::ptr_eq(self, &at) {
                return true;
            }
            let Some(place) = at.place() else { return false };
            at = place.mount;
        }
    }

    fn child_mounts(&self) -> Vec<Arc<Self>> {
        self.children.read().values().cloned().collect()
    }

    /// `inode` was read through this mount.
    pub(super) fn touch_accessed(&self, inode: &Inode) {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        let flags = self.flags();
        if flags.intersects(MountFlags::NOATIME | MountFlags::RDONLY)
            || flags.contains(MountFlags::NODIRATIME) && inode.is_directory()
        {
            return;
        }
        let now = Timestamp::now();
        let mut attributes = inode.attributes.lock();
        if flags.contains(MountFlags::STRICTATIME)
            || attributes.accessed <= attributes.modified
            || attributes.accessed <= attributes.changed
            || now.seconds - attributes.accessed.seconds >= DAY_SECONDS
        {
            attributes.accessed = now;
        }
    }
}

impl Drop for Mount {
    /// What is mounted beneath goes too, mount by mount and not by recursion.
    fn drop(&mut self) {
        let mut below: Vec<Arc<Self>> = core::mem::take(self.children.get_mut()).into_values().collect();
        while let Some(mount) = below.pop() {
            drop(mount.place.lock().take());
            if let Some(mut mount) = Arc::into_inner(mount) {
                below.extend(core::mem::take(mount.children.get_mut()).into_values());
            }
        }
    }
}

/// A dentry's identity, as long as it is kept alive.
fn key(dentry: &Arc<Dentry>) -> usize {
    Arc::as_ptr(dentry).addr()
}
