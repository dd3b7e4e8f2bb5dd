//! Mount namespaces: a tree of mounts, changed under one lock of its own.

use super::{Mount, MountPlace, Mountpoint, key};
use crate::{
    fs::{Context, Dentry, Location},
    namespace::{UserNamespace, next_inode},
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::ops::DerefMut;
use core::sync::atomic::Ordering;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The most mounts in one namespace.
const MOUNTS_MAX: usize = 4096;

/// A tree of mounts. What only it holds is freed with it.
#[derive(Debug)]
pub struct MountNamespace {
    id: u64,
    owner: Arc<UserNamespace>,
    tree: SpinLock<Tree>,
}

#[derive(Debug)]
pub(in crate::fs) struct Tree {
    pub root: Arc<Mount>,
    mounts: usize,
}

impl MountNamespace {
    /// The namespace with `root` (and what is mounted beneath it) as its tree.
    pub(in crate::fs) fn new(root: Arc<Mount>, owner: &Arc<UserNamespace>) -> Result<Arc<Self>, Errno> {
        let id = next_inode();
        let mounts = subtree(&root);
        if mounts.len() > MOUNTS_MAX {
            return Err(Errno::ENOSPC);
        }
        mounts.iter().for_each(|mount| mount.namespace.store(id, Ordering::Release));
        Ok(Arc::new(Self { id, owner: owner.clone(), tree: SpinLock::new(Tree { root, mounts: mounts.len() }) }))
    }

    /// A namespace whose tree is one empty tmpfs: the machine's, before the initial RAM disk is unpacked.
    pub fn with_tmpfs(memory: &crate::cgroup::MemoryGroup) -> Result<Arc<Self>, Errno> {
        let root = crate::fs::tmpfs::mount(
            &super::TmpfsOptions::default(),
            super::MountFlags::empty(),
            UserNamespace::first(),
            memory,
        )?;
        Self::new(root, UserNamespace::first())
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
        Location::root_of(&self.tree.lock().root)
    }

    /// Number of mounts.
    pub fn mounts(&self) -> usize {
        self.tree.lock().mounts
    }

    /// A copy of the tree (CLONE_NEWNS), and `context` with its places in the copy.
    pub fn copy(&self, context: &Context, owner: &Arc<UserNamespace>) -> Result<Context, Errno> {
        let (mut root, mut cwd) = (context.root.clone(), context.cwd.clone());
        let copy = {
            let tree = self.tree.lock();
            copy_tree(&tree.root, tree.root.root(), true, &mut |from, to| {
                for place in [&mut root, &mut cwd] {
                    if Arc::ptr_eq(&place.mount, from) {
                        place.mount = to.clone();
                    }
                }
            })?
        };
        Ok(Context { root, cwd, umask: context.umask, namespace: Self::new(copy, owner)? })
    }

    /// Locks the tree against changes.
    pub(in crate::fs) fn lock(&self) -> impl DerefMut<Target = Tree> {
        self.tree.lock()
    }

    /// Whether `mount` is in this namespace: steady while the tree is locked.
    pub(in crate::fs) fn has(&self, mount: &Mount) -> bool {
        mount.namespace.load(Ordering::Acquire) == self.id
    }

    /// Mounts `mount` and what is beneath it at `at`, on top of what is mounted there.
    pub(in crate::fs) fn attach(&self, tree: &mut Tree, mount: Arc<Mount>, at: Location) -> Result<(), Errno> {
        let at = at.into_mounted();
        if !self.has(&at.mount) {
            return Err(Errno::EINVAL);
        }
        if at.inode().is_directory() != mount.root().inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let mounts = subtree(&mount);
        if tree.mounts + mounts.len() > MOUNTS_MAX {
            return Err(Errno::ENOSPC);
        }
        graft(&at.mount, mount, Mountpoint::new(&at.dentry)?);
        tree.mounts += mounts.len();
        mounts.iter().for_each(|mount| mount.namespace.store(self.id, Ordering::Release));
        Ok(())
    }

    /// Takes `mount` from its place with all that is beneath it still on it. To be put elsewhere in the same namespace.
    pub(super) fn lift(&self, mount: &Arc<Mount>) {
        let place = mount.place.lock().take();
        if let Some(MountPlace { parent, mountpoint }) = place
            && let Some(parent) = parent.upgrade()
        {
            parent.children.write().remove(&key(&mountpoint.0));
        }
    }

    /// Takes `mount` and all beneath it out of the namespace and apart. They are to be dropped without the lock.
    pub(super) fn detach(&self, tree: &mut Tree, mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
        self.lift(mount);
        let gone = subtree(mount);
        for mount in &gone {
            mount.namespace.store(0, Ordering::Release);
            drop(mount.place.lock().take());
            mount.children.write().clear();
        }
        tree.mounts -= gone.len();
        gone
    }
}

/// Puts `mount`, which has no place, on `mountpoint` of `parent`.
pub(super) fn graft(parent: &Arc<Mount>, mount: Arc<Mount>, mountpoint: Mountpoint) {
    let key = key(&mountpoint.0);
    *mount.place.lock() = Some(MountPlace { parent: Arc::downgrade(parent), mountpoint });
    parent.children.write().insert(key, mount);
}

/// `mount` and all mounts beneath it, parents first.
fn subtree(mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let mut found = vec![mount.clone()];
    let mut next = 0;
    while let Some(mount) = found.get(next) {
        let mut below = mount.child_mounts();
        found.append(&mut below);
        next += 1;
    }
    found
}

/// A copy of `mount` that shows `root`; if `recursive`, with copies of what is mounted beneath that. `copied` is told of
/// each pair.
pub(super) fn copy_tree(
    mount: &Arc<Mount>,
    root: &Arc<Dentry>,
    recursive: bool,
    copied: &mut dyn FnMut(&Arc<Mount>, &Arc<Mount>),
) -> Result<Arc<Mount>, Errno> {
    let top = mount.bind(root);
    copied(mount, &top);
    let mut pairs = vec![(mount.clone(), top.clone())];
    while let Some((from, to)) = pairs.pop().filter(|_| recursive) {
        for child in from.child_mounts() {
            let Some(place) = child.place() else { continue };
            if !to.shows(&place.dentry) {
                continue;
            }
            if pairs.len() >= MOUNTS_MAX {
                return Err(Errno::ENOSPC);
            }
            let copy = child.bind(child.root());
            copied(&child, &copy);
            graft(&to, copy.clone(), Mountpoint::new(&place.dentry)?);
            pairs.push((child, copy));
        }
    }
    Ok(top)
}
