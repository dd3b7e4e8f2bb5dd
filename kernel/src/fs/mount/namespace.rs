//! Mount namespaces: each a tree of mounts.

use super::{Mount, copy::Copying, propagation::Kinship, topology::Topology};
use crate::{
    cgroup::MemoryGroup,
    fs::{Context, Location},
    namespace::{UserNamespace, next_inode},
};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The most mounts in one namespace.
pub(super) const MOUNTS_MAX: usize = 4096;

/// A tree of mounts. What only it holds is freed with it.
#[derive(Debug)]
pub struct MountNamespace {
    id: u64,
    owner: Arc<UserNamespace>,
    root: SpinLock<Arc<Mount>>,
    /// Changed under the topology's lock.
    mounts: AtomicUsize,
}

impl MountNamespace {
    /// The namespace with `root` (and what is mounted beneath it) as its tree.
    pub(in crate::fs) fn new(root: Arc<Mount>, owner: &Arc<UserNamespace>) -> Result<Arc<Self>, Errno> {
        let mounts = root.subtree();
        if mounts.len() > MOUNTS_MAX {
            return Err(Errno::ENOSPC);
        }
        let (id, count) = (next_inode(), AtomicUsize::new(mounts.len()));
        let namespace = Arc::new(Self { id, owner: owner.clone(), root: SpinLock::new(root), mounts: count });
        mounts.iter().for_each(|mount| *mount.namespace.lock() = Arc::downgrade(&namespace));
        Ok(namespace)
    }

    /// A namespace whose tree is one empty tmpfs: the machine's, before the initial RAM disk is unpacked.
    pub fn with_tmpfs(memory: &MemoryGroup) -> Result<Arc<Self>, Errno> {
        let tree = crate::fs::tmpfs::tree(&super::TmpfsOptions::default(), UserNamespace::first(), memory)?;
        Self::new(Mount::of_tree(tree, b"rootfs", super::MountFlags::empty(), memory)?, UserNamespace::first())
    }

    /// Its inode number, unlike that of any other namespace.
    pub fn inode(&self) -> u64 {
        self.id
    }

    /// The user namespace whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// The root of the tree.
    pub fn root(&self) -> Location {
        Location::root_of(&self.root.lock())
    }

    /// Number of mounts.
    pub fn mounts(&self) -> usize {
        self.mounts.load(Ordering::Relaxed)
    }

    /// All mounts, parents first.
    pub(super) fn list(&self) -> Vec<Arc<Mount>> {
        let _topology = Topology::lock();
        self.root().mount.subtree()
    }

    /// A copy of the tree (CLONE_NEWNS), which `owner` rules and `memory` pays for, and `context` with its places in the
    /// copy. Its mounts are peers of shared mounts; for another owner slaves, which cannot send anything back, and
    /// locked.
    pub fn copy(&self, context: &Context, owner: &Arc<UserNamespace>, memory: &MemoryGroup) -> Result<Context, Errno> {
        let (mut root, mut cwd) = (context.root.clone(), context.cwd.clone());
        let foreign = !Arc::ptr_eq(owner, &self.owner);
        let kinship = if foreign { Kinship::Slave } else { Kinship::Like };
        let copying = Copying { recursive: true, kinship, unbindable: true, memory };
        let _topology = Topology::lock();
        let old = self.root();
        let copy = copying.copy(&old.mount, &old.dentry, &mut |from, to| {
            for place in [&mut root, &mut cwd] {
                if Arc::ptr_eq(&place.mount, from) {
                    place.mount = to.clone();
                }
            }
        })?;
        if foreign {
            copy.lock_tree();
        }
        Ok(Context { root, cwd, umask: context.umask, namespace: Self::new(copy, owner)? })
    }

    /// Whether `mount` is in this namespace: steady while the topology is locked.
    pub fn has(&self, mount: &Mount) -> bool {
        core::ptr::eq(mount.namespace.lock().as_ptr(), self)
    }

    /// Mounts `mount` and what is beneath it at `at`, on top of what is mounted there; `memory` pays for what that makes
    /// elsewhere. EINVAL, ENOTDIR, ENOSPC, ENOMEM.
    pub(in crate::fs) fn attach(&self, mount: Arc<Mount>, at: Location, memory: &MemoryGroup) -> Result<(), Errno> {
        let topology = Topology::lock();
        let at = at.into_mounted();
        if !self.has(&at.mount) {
            return Err(Errno::EINVAL);
        }
        topology.attach(mount, at, memory)
    }

    pub(super) fn set_root(&self, _: &Topology, root: Arc<Mount>) {
        *self.root.lock() = root;
    }

    pub(super) fn add_mounts(&self, count: usize) {
        self.mounts.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::Relaxed);
    }
}
