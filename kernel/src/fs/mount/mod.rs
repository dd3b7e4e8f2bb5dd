//! Mounts: a file system's tree, or part of it, at a place in a namespace.
//!
//! A mount holds its children, a child knows its parent weakly, a namespace holds its root mount: dropping the last
//! handle to a namespace frees all that only it held. A mount that is detached keeps working for those who
//! hold it, but has no place: `..` ends at its root.
//!
//! Locks: the tree of every namespace, and how mounts are shared, changes under one lock of the machine (`Topology`),
//! because one mount may appear in any number of namespaces at once and must appear in all or none. Path walks do not
//! take it. Under it, each for a moment: a superblock's structure; a mount's children, then its place, its namespace
//! and its sharing; a peer group's links; a namespace's root.

mod attributes;
mod change;
mod container;
mod copy;
mod describe;
mod flags;
mod gate;
mod lock;
mod namespace;
mod node;
mod options;
mod pivot;
mod propagation;
mod protect;
mod surroundings;
mod topology;

pub use attributes::AttributeChange;
pub use change::NewMount;
pub use container::{ContainerMounts, MountRequest, MountSource};
pub use flags::{MountCall, MountFlags, Reflag, SuperFlags, UmountFlags};
pub(super) use gate::Gate;
pub use namespace::MountNamespace;
pub use node::Node;
pub use options::TmpfsOptions;
pub use propagation::Sharing;

use super::{Dentry, Inode, Location, Superblock, Timestamp};
use crate::cgroup::{MemoryGroup, ObjectCharge};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::{AtomicU64, Ordering};
use lock::Locks;
use propagation::Propagation;
use veridian_containers::abi::Errno;
use veridian_hal::sync::{RwLock, SpinLock};

/// What a mount costs on the kernel heap, at most, with its entries in its parent and in its peer group.
const MOUNT_BYTES: usize = 512;

/// A mount.
#[derive(Debug)]
pub struct Mount {
    id: u64,
    /// The root of the mounted file system, kept alive by every mount of any part of it.
    tree: Arc<Dentry>,
    /// What is seen at the mount point.
    root: Arc<Dentry>,
    /// What mount(2) was given as the source of the file system: /proc tells it.
    source: Arc<[u8]>,
    gate: Gate,
    /// The namespace it is in; dangling when in none.
    namespace: SpinLock<Weak<MountNamespace>>,
    /// By the address of the dentry that they are mounted on, which they keep alive.
    children: RwLock<BTreeMap<usize, Arc<Mount>>>,
    place: SpinLock<Option<MountPlace>>,
    propagation: SpinLock<Propagation>,
    locks: Locks,
    /// `None` for a mount of the kernel's own.
    _charge: Option<ObjectCharge>,
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
        self.0.remove_writer();
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Mount {
    /// A mount of a whole file system, placed nowhere yet. `source` is what /proc tells of where it is from.
    pub(super) fn of_tree(
        tree: Arc<Dentry>,
        source: &[u8],
        flags: MountFlags,
        memory: &MemoryGroup,
    ) -> Result<Arc<Self>, Errno> {
        Self::new(tree.clone(), tree, source.into(), flags, Locks::default(), memory)
    }

    /// A mount, placed nowhere yet, of the file system with root `tree`, showing `root` of it.
    fn new(
        tree: Arc<Dentry>,
        root: Arc<Dentry>,
        source: Arc<[u8]>,
        flags: MountFlags,
        locks: Locks,
        memory: &MemoryGroup,
    ) -> Result<Arc<Self>, Errno> {
        let charge = tree.inode().superblock().charge_object(MOUNT_BYTES, memory)?;
        Ok(Self::with(tree, root, source, flags, locks, Some(charge)))
    }

    /// The kernel's own mount of a file system that nobody sees as a whole: of pipes, of namespaces.
    pub(super) fn of_kernel(tree: Arc<Dentry>) -> Arc<Self> {
        Self::with(tree.clone(), tree, Arc::default(), MountFlags::empty(), Locks::default(), None)
    }

    fn with(
        tree: Arc<Dentry>,
        root: Arc<Dentry>,
        source: Arc<[u8]>,
        flags: MountFlags,
        locks: Locks,
        charge: Option<ObjectCharge>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            tree,
            root,
            source,
            gate: Gate::new(flags.bits()),
            namespace: SpinLock::default(),
            children: RwLock::new(BTreeMap::new()),
            place: SpinLock::new(None),
            propagation: SpinLock::new(Propagation::Private),
            locks,
            _charge: charge,
        })
    }

    /// A further mount of the same file system, showing `root` of it, with the same flags, locked as they
    /// are. It is private.
    pub(super) fn bind(&self, root: &Arc<Dentry>, memory: &MemoryGroup) -> Result<Arc<Self>, Errno> {
        Self::new(self.tree.clone(), root.clone(), self.source.clone(), self.flags(), self.locks.of_copy(), memory)
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
        MountFlags::from_bits_truncate(self.gate.flags())
    }

    /// Sets the flags: EBUSY if that makes it read-only and someone is writing.
    fn set_flags(&self, flags: MountFlags) -> Result<(), Errno> {
        self.gate.set_flags(flags.bits())
    }

    /// Begins a change: EROFS on a read-only mount or file system, which neither can become before the end of the
    /// change.
    pub(super) fn begin_change(&self) -> Result<Change<'_>, Errno> {
        self.gate.enter()?;
        self.superblock().gate.enter().inspect_err(|_| self.gate.leave())?;
        Ok(Change(self))
    }

    /// Ends a change whose [`Change`] was forgotten.
    pub(super) fn remove_writer(&self) {
        self.superblock().gate.leave();
        self.gate.leave();
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

    /// The namespace it is in.
    pub(super) fn namespace(&self) -> Option<Arc<MountNamespace>> {
        self.namespace.lock().upgrade()
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

    /// It and all mounts beneath it, parents first.
    fn subtree(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut found = alloc::vec![self.clone()];
        let mut next = 0;
        while let Some(mount) = found.get(next) {
            let mut below = mount.child_mounts();
            found.append(&mut below);
            next += 1;
        }
        found
    }

    /// `inode` was read through this mount.
    pub(super) fn touch_accessed(&self, inode: &Inode) {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        let flags = self.flags();
        if flags.intersects(MountFlags::NOATIME | MountFlags::RDONLY)
            || flags.contains(MountFlags::NODIRATIME) && inode.is_directory()
            || self.superblock().flags().contains(SuperFlags::RDONLY)
        {
            return;
        }
        let now = Timestamp::now();
        // A lower layer is not changed, not even its times.
        let inode = match inode.overlay_node() {
            Some(node) if !node.is_upper() => return,
            Some(node) => node.real(),
            None => inode,
        };
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
        self.propagation.get_mut().leave(self.id);
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
