//! The trees of mounts of all namespaces, changed under one lock.

use super::propagation::{Kinship, PeerGroup, Propagation};
use super::{Mount, MountNamespace, MountPlace, Mountpoint, copy::Copying, key, namespace::MOUNTS_MAX};
use crate::{
    cgroup::MemoryGroup,
    fs::{Dentry, Location},
    namespace::UserNamespace,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    vec,
    vec::Vec,
};
use veridian_containers::abi::Errno;
use veridian_hal::sync::{SpinLock, SpinLockGuard};

/// The most copies that one mount makes elsewhere. The lock is held while they are made, and they are all or none.
const COPIES_MAX: usize = 2 * MOUNTS_MAX;

static LOCK: SpinLock<()> = SpinLock::new(());

/// The right to change which mount is where, and how mounts are shared. To be held briefly.
pub(super) struct Topology(#[expect(dead_code, reason = "held, not read")] SpinLockGuard<'static, ()>);

/// What was taken out of the trees, to be dropped without the lock.
#[must_use]
pub(super) struct Gone(Vec<(Arc<Mount>, Option<MountPlace>)>);

impl Topology {
    pub fn lock() -> Self {
        Self(LOCK.lock())
    }

    /// Mounts `mount` and what is beneath it at `at`, on top of what is mounted there, and on all that share `at`. A
    /// mount that has a place already is moved. Refused, nothing has changed: EINVAL, ENOTDIR, ENOSPC, ENOMEM.
    pub fn attach(&self, mount: Arc<Mount>, at: Location, memory: &MemoryGroup) -> Result<(), Errno> {
        let at = at.into_mounted();
        let namespace = at.mount.namespace().ok_or(Errno::EINVAL)?;
        if at.inode().is_directory() != mount.root().inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let subtree = mount.subtree();
        let size = if namespace.has(&mount) { 0 } else { subtree.len() };
        let mountpoint = Mountpoint::new(&at.dentry)?;
        let top = Grafting { parent: at.mount.clone(), mountpoint, mount: mount.clone(), namespace, size, cover: None };
        let Propagation::Shared(group) = at.mount.propagation() else {
            let plan = Plan { graftings: vec![top], copies: 0, memory };
            return plan.permit_sizes().map(|()| plan.carry_out());
        };
        // What is mounted on a shared mount is shared itself.
        let private: Vec<_> = subtree.into_iter().filter(|mount| !mount.is_shared()).collect();
        let before: Vec<Propagation> = private.iter().map(|mount| mount.propagation()).collect();
        private.iter().for_each(|mount| mount.share(super::Sharing::Shared));
        let mut plan = Plan { graftings: vec![top], copies: 0, memory };
        match plan.propagate(&at, &group, &mount).and_then(|()| plan.permit_sizes()) {
            Ok(()) => plan.carry_out(),
            Err(errno) => {
                private.iter().zip(before).for_each(|(mount, before)| mount.set_propagation(before));
                return Err(errno);
            }
        }
        Ok(())
    }

    /// Takes `mount` from its place, with all that is beneath it still on it, to be put elsewhere.
    pub fn lift(&self, mount: &Arc<Mount>) -> Option<MountPlace> {
        lift(mount)
    }

    /// Whether someone uses a mount that would go along with `mount`, elsewhere than here.
    pub fn is_busy_elsewhere(&self, mount: &Arc<Mount>) -> bool {
        /// Its parent's and ours.
        const HANDLES: usize = 2;
        let there = counterparts(mount);
        there.iter().any(|there| there.children.read().is_empty() && Arc::strong_count(there) > HANDLES)
    }

    /// Takes `mount` and all beneath it out of its namespace and apart, and what shares the places that they had loses
    /// what was mounted there with them.
    pub fn detach(&self, mount: &Arc<Mount>) -> Gone {
        let subtree = mount.subtree();
        let mut known: BTreeSet<u64> = subtree.iter().map(|mount| mount.id).collect();
        let also = subtree.iter().flat_map(counterparts).filter(|mount| known.insert(mount.id)).collect();
        let mut gone = Gone(Vec::new());
        for mount in subtree {
            let place = take_apart(&mount);
            gone.0.push((mount, place));
        }
        remove_counterparts(also, &mut gone);
        gone
    }
}

/// Puts `mount`, which has no place, on `mountpoint` of `parent`.
pub(super) fn graft(parent: &Arc<Mount>, mount: Arc<Mount>, mountpoint: Mountpoint) {
    let key = key(&mountpoint.0);
    *mount.place.lock() = Some(MountPlace { parent: Arc::downgrade(parent), mountpoint });
    parent.children.write().insert(key, mount);
}

fn lift(mount: &Arc<Mount>) -> Option<MountPlace> {
    let place = mount.place.lock().take()?;
    if let Some(parent) = place.parent.upgrade() {
        parent.children.write().remove(&key(&place.mountpoint.0));
    }
    Some(place)
}

/// What is going to be mounted where, all of it prepared.
struct Plan<'a> {
    graftings: Vec<Grafting>,
    copies: usize,
    memory: &'a MemoryGroup,
}

struct Grafting {
    parent: Arc<Mount>,
    mountpoint: Mountpoint,
    mount: Arc<Mount>,
    namespace: Arc<MountNamespace>,
    /// How many mounts the namespace gets.
    size: usize,
    /// What is mounted there already moves on top, here.
    cover: Option<(Arc<Mount>, Mountpoint)>,
}

impl Plan<'_> {
    /// The user namespace of the mount namespace in which something is mounted, which is the first planned.
    fn owner(&self) -> &Arc<UserNamespace> {
        self.graftings[0].namespace.owner()
    }

    /// Plans copies of `source`, which comes to `at`, a member of `group`, for all that receive from it.
    fn propagate(&mut self, at: &Location, group: &Arc<PeerGroup>, source: &Arc<Mount>) -> Result<(), Errno> {
        // Groups, each with the tree whose groups its slaves are to follow; the first with one that is there already.
        let mut groups = vec![(group.clone(), source.clone(), true)];
        while let Some((group, mut source, mut founded)) = groups.pop() {
            for member in group.members() {
                if Arc::ptr_eq(&member, &at.mount) {
                    continue;
                }
                let kinship = if founded { Kinship::Like } else { Kinship::SharedSlave };
                if let Some(copy) = self.copy_onto(member, &at.dentry, &source, kinship)? {
                    (source, founded) = (copy, true);
                }
            }
            for slave in group.slaves() {
                self.copy_onto(slave, &at.dentry, &source, Kinship::Slave)?;
            }
            groups.extend(group.slave_groups().into_iter().map(|slave| (slave, source.clone(), false)));
        }
        Ok(())
    }

    /// Plans a copy of `source` on `dentry` of `parent`, if that shows it.
    fn copy_onto(
        &mut self,
        parent: Arc<Mount>,
        dentry: &Arc<Dentry>,
        source: &Arc<Mount>,
        kinship: Kinship,
    ) -> Result<Option<Arc<Mount>>, Errno> {
        let Some(namespace) = parent.namespace().filter(|_| parent.shows(dentry)) else { return Ok(None) };
        let copying = Copying { recursive: true, kinship, unbindable: true, memory: self.memory };
        let mut size = 0;
        let mount = copying.copy(source, source.root(), &mut |_, _| size += 1)?;
        self.copies += size;
        if self.copies > COPIES_MAX {
            return Err(Errno::ENOSPC);
        }
        // Whose place it was asked for may have more rights than there are here.
        if namespace.owner() != self.owner() {
            mount.lock_tree();
        }
        let mountpoint = Mountpoint::new(dentry)?;
        let cover = if parent.child_at(dentry).is_some() {
            let top = Location::root_of(&mount).into_mounted();
            let mountpoint = Mountpoint::new(&top.dentry)?;
            Some((top.mount, mountpoint))
        } else {
            None
        };
        self.graftings.push(Grafting { parent, mountpoint, mount: mount.clone(), namespace, size, cover });
        Ok(Some(mount))
    }

    /// ENOSPC if a namespace would have too many mounts.
    fn permit_sizes(&self) -> Result<(), Errno> {
        let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
        for Grafting { namespace, size, .. } in &self.graftings {
            let sum = sizes.entry(namespace.inode()).or_insert(namespace.mounts());
            *sum += size;
            if *sum > MOUNTS_MAX {
                return Err(Errno::ENOSPC);
            }
        }
        Ok(())
    }

    fn carry_out(self) {
        for Grafting { parent, mountpoint, mount, namespace, size, cover } in self.graftings {
            lift(&mount);
            if size > 0 {
                mount.subtree().iter().for_each(|mount| *mount.namespace.lock() = Arc::downgrade(&namespace));
                namespace.add_mounts(size);
            }
            let covered = cover.and_then(|cover| Some((parent.child_at(&mountpoint.0)?, cover)));
            if let Some((above, _)) = &covered {
                lift(above);
            }
            graft(&parent, mount, mountpoint);
            if let Some((above, (below, mountpoint))) = covered {
                graft(&below, above, mountpoint);
            }
        }
    }
}

/// What is mounted elsewhere where `mount` is mounted: on the mounts that share its parent.
fn counterparts(mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let Some(place) = mount.place() else { return Vec::new() };
    let Propagation::Shared(group) = place.mount.propagation() else { return Vec::new() };
    let others = group.receivers().into_iter().filter(|other| !Arc::ptr_eq(other, &place.mount));
    others.filter_map(|other| other.child_at(&place.dentry)).collect()
}

/// Takes those of `candidates` away on which nothing lies that stays, but for one mount that covers the candidate whole:
/// that one takes its place.
fn remove_counterparts(candidates: Vec<Arc<Mount>>, gone: &mut Gone) {
    let waiting: BTreeSet<u64> = candidates.iter().map(|mount| mount.id).collect();
    let is_candidate = |mount: &Arc<Mount>| waiting.contains(&mount.id);
    let (mut order, mut next) = (Vec::new(), candidates);
    next.retain(|mount| !mount.place().is_some_and(|place| is_candidate(&place.mount)));
    while let Some(mount) = next.pop() {
        next.extend(mount.child_mounts().into_iter().filter(is_candidate));
        order.push(mount);
    }
    // From the leaves up: what is still mounted on a candidate when it is its turn stays.
    for mount in order.into_iter().rev() {
        let children = mount.child_mounts();
        let cover = mount.child_at(&mount.root).filter(|_| children.len() == 1);
        if !children.is_empty() && cover.is_none() {
            continue;
        }
        let above = cover.map(|cover| (lift(&cover), cover));
        let mut place = take_apart(&mount);
        if let Some((old, cover)) = above {
            if let Some(MountPlace { parent, mountpoint }) = place.take()
                && let Some(parent) = parent.upgrade()
            {
                graft(&parent, cover.clone(), mountpoint);
            }
            place = old;
        }
        gone.0.push((mount, place));
    }
}

/// Takes `mount` from its place and out of its namespace and its group, and apart from what is beneath it.
fn take_apart(mount: &Arc<Mount>) -> Option<MountPlace> {
    let place = lift(mount);
    if let Some(namespace) = core::mem::replace(&mut *mount.namespace.lock(), Weak::new()).upgrade() {
        namespace.remove_mount();
    }
    mount.set_propagation(Propagation::Private);
    place
}
