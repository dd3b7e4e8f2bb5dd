//! How mounts and unmounts travel (mount_namespaces(7), "Shared subtrees").
//!
//! Shared mounts form peer groups: what is mounted on one of them is mounted on all. A slave receives from a group and
//! sends nothing. A group may itself be slave to another. A group lives as long as a member, or a slave of it: a slave
//! whose group has lost its last member goes on receiving from that group's master.

use super::Mount;
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec,
    vec::Vec,
};
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_hal::sync::SpinLock;

/// What a mount is asked to become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Sends to its peers and receives from them.
    Shared,
    /// Receives only.
    Slave,
    /// Neither sends nor receives.
    #[default]
    Private,
    /// Private, and cannot be bound elsewhere.
    Unbindable,
}

/// What a mount is.
#[derive(Clone, Debug)]
pub(super) enum Propagation {
    Private,
    Unbindable,
    Slave(Arc<PeerGroup>),
    Shared(Arc<PeerGroup>),
}

/// What a copy of a mount is to the mount that it was copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    /// Nothing.
    Private,
    /// A peer of a shared mount, a slave of the same group as a slave.
    Like,
    /// A slave of a shared mount; otherwise as [`Self::Like`].
    Slave,
    /// A slave of a shared mount, in a new group of its own; otherwise as [`Self::Like`].
    SharedSlave,
}

/// Mounts that share what is mounted on any of them.
#[derive(Debug)]
pub(super) struct PeerGroup {
    id: u64,
    /// What the group receives from.
    master: Option<Arc<PeerGroup>>,
    links: SpinLock<Links>,
}

/// By number, so that each is found when it leaves.
#[derive(Debug, Default)]
struct Links {
    members: BTreeMap<u64, Weak<Mount>>,
    slaves: BTreeMap<u64, Weak<Mount>>,
    slave_groups: BTreeMap<u64, Weak<PeerGroup>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl PeerGroup {
    /// A group without members yet.
    pub fn new(master: Option<Arc<Self>>) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let group = Arc::new(Self { id, master, links: SpinLock::default() });
        if let Some(master) = &group.master {
            master.links.lock().slave_groups.insert(id, Arc::downgrade(&group));
        }
        group
    }

    /// The number that mountinfo gives.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its master, or that one's.
    pub fn masters(self: &Arc<Self>) -> impl Iterator<Item = Arc<Self>> {
        core::iter::successors(Some(self.clone()), |group| group.master.clone()).skip(1)
    }

    pub fn members(&self) -> Vec<Arc<Mount>> {
        living(&self.links.lock().members)
    }

    /// The slaves that are in no group.
    pub fn slaves(&self) -> Vec<Arc<Mount>> {
        living(&self.links.lock().slaves)
    }

    /// The groups whose master it is.
    pub fn slave_groups(&self) -> Vec<Arc<Self>> {
        living(&self.links.lock().slave_groups)
    }

    /// All mounts that receive what is mounted on a member, the members among them.
    pub fn receivers(self: &Arc<Self>) -> Vec<Arc<Mount>> {
        let (mut found, mut groups) = (Vec::new(), vec![self.clone()]);
        while let Some(group) = groups.pop() {
            found.append(&mut group.members());
            found.append(&mut group.slaves());
            groups.append(&mut group.slave_groups());
        }
        found
    }

    fn has_member_beside(&self, id: u64) -> bool {
        self.links.lock().members.iter().any(|(&member, mount)| member != id && mount.strong_count() > 0)
    }
}

fn living<T>(links: &BTreeMap<u64, Weak<T>>) -> Vec<Arc<T>> {
    links.values().filter_map(Weak::upgrade).collect()
}

impl Drop for PeerGroup {
    /// A chain of masters goes link by link and not by recursion: programs choose its length.
    fn drop(&mut self) {
        let (mut id, mut master) = (self.id, self.master.take());
        while let Some(group) = master {
            group.links.lock().slave_groups.remove(&id);
            let Some(mut alone) = Arc::into_inner(group) else { break };
            (id, master) = (alone.id, alone.master.take());
        }
    }
}

impl Propagation {
    /// The groups from which it receives without being a member, the nearest first.
    pub fn masters(&self) -> Vec<Arc<PeerGroup>> {
        match self {
            Self::Private | Self::Unbindable => Vec::new(),
            Self::Slave(master) => core::iter::once(master.clone()).chain(master.masters()).collect(),
            Self::Shared(group) => group.masters().collect(),
        }
    }

    /// What a copy becomes.
    pub fn of_copy(&self, kinship: Kinship) -> Self {
        match (self, kinship) {
            (_, Kinship::Private) => Self::Private,
            (Self::Shared(group), Kinship::Slave) => Self::Slave(group.clone()),
            (Self::Shared(group), Kinship::SharedSlave) => Self::Shared(PeerGroup::new(Some(group.clone()))),
            _ => self.clone(),
        }
    }

    /// The mount `id`, which was this, is not so any more.
    pub fn leave(&mut self, id: u64) {
        match core::mem::replace(self, Self::Private) {
            Self::Private | Self::Unbindable => {}
            Self::Slave(master) => drop(master.links.lock().slaves.remove(&id)),
            Self::Shared(group) => drop(group.links.lock().members.remove(&id)),
        }
    }
}

impl Mount {
    pub(super) fn propagation(&self) -> Propagation {
        self.propagation.lock().clone()
    }

    pub(super) fn set_propagation(self: &Arc<Self>, new: Propagation) {
        match &new {
            Propagation::Private | Propagation::Unbindable => {}
            Propagation::Slave(master) => drop(master.links.lock().slaves.insert(self.id, Arc::downgrade(self))),
            Propagation::Shared(group) => drop(group.links.lock().members.insert(self.id, Arc::downgrade(self))),
        }
        let mut old = core::mem::replace(&mut *self.propagation.lock(), new);
        old.leave(self.id);
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(*self.propagation.lock(), Propagation::Shared(_))
    }

    pub(super) fn is_unbindable(&self) -> bool {
        matches!(*self.propagation.lock(), Propagation::Unbindable)
    }

    /// Becomes what `sharing` says, by the table "Propagation type transitions" of mount_namespaces(7).
    pub(super) fn share(self: &Arc<Self>, sharing: Sharing) {
        let new = match (self.propagation(), sharing) {
            (Propagation::Shared(_), Sharing::Shared) => return,
            (Propagation::Slave(master), Sharing::Shared) => Propagation::Shared(PeerGroup::new(Some(master))),
            (_, Sharing::Shared) => Propagation::Shared(PeerGroup::new(None)),
            // Alone in its group it has nobody to be a slave of but the group's own master.
            (Propagation::Shared(group), Sharing::Slave) if !group.has_member_beside(self.id) => {
                group.master.clone().map_or(Propagation::Private, Propagation::Slave)
            }
            (Propagation::Shared(group), Sharing::Slave) => Propagation::Slave(group),
            (_, Sharing::Slave) => return,
            (_, Sharing::Private) => Propagation::Private,
            (_, Sharing::Unbindable) => Propagation::Unbindable,
        };
        self.set_propagation(new);
    }
}
