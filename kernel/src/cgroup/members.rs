//! The tasks that are in a group: admitted before they are made, listed while they live, killed together.

use super::{Cgroup, memory::KernelCharge, pids::TaskCharge};
use crate::{fs::synthetic::Changes, task::Thread};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::Ordering;
use veridian_containers::abi::Errno;

/// What a task takes of it: its registers and what it waits in, its tables, its places in others' tables.
const TASK_BYTES: usize = 6144;

/// The tasks directly in a group.
#[derive(Default)]
pub(super) struct Tasks {
    /// By number in the first pid namespace, with the ticket of the presence that listed it.
    pub threads: BTreeMap<u32, (u64, Weak<Thread>)>,
    tickets: u64,
    /// Those in the list, and those admitted that are not made yet.
    pub present: usize,
    pub removed: bool,
    /// How often the group was killed: a task that was admitted before is killed when it comes.
    kills: u64,
}

/// A task that is about to be made in a group, charged.
#[derive(Debug)]
pub struct Admission {
    /// Its being there, until it ends.
    pub presence: Presence,
    /// Its being counted, until it is waited for.
    pub charge: TaskCharge,
    /// What the kernel keeps of it, until it is waited for.
    pub cost: KernelCharge,
}

/// A live task's being in a group. Dropped when it ends.
#[derive(Debug)]
pub struct Presence {
    cgroup: Arc<Cgroup>,
    /// Its number in the list, once it stands there.
    number: Option<u32>,
    ticket: u64,
    kills: u64,
    /// A group had no live task before.
    first: bool,
}

impl Cgroup {
    /// Whether a live task is directly in it.
    pub fn has_tasks(&self) -> bool {
        self.tasks.lock().present > 0
    }

    /// A place for one task more.
    ///
    /// # Errors
    /// EAGAIN: a group is full, as fork(2) answers. ENOMEM: there is no memory for what the kernel keeps of a task.
    /// ENODEV: the group was removed.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Errno> {
        self.admit_present(self.enter()?)
    }

    pub(super) fn admit_present(&self, presence: Presence) -> Result<Admission, Errno> {
        let charge = self.pids.charge()?;
        let cost = self.memory.charge_kernel(TASK_BYTES)?;
        Ok(Admission { presence, charge, cost })
    }

    pub(super) fn enter(self: &Arc<Self>) -> Result<Presence, Errno> {
        let mut tasks = self.tasks.lock();
        if tasks.removed {
            return Err(Errno::ENODEV);
        }
        tasks.present += 1;
        tasks.tickets += 1;
        let (ticket, kills) = (tasks.tickets, tasks.kills);
        drop(tasks);
        let mut first = false;
        for group in self.to_root() {
            first |= group.live.fetch_add(1, Ordering::AcqRel) == 0;
        }
        Ok(Presence { cgroup: self.clone(), number: None, ticket, kills, first })
    }

    /// The tasks directly in it.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.tasks.lock().threads.values().filter_map(|(_, thread)| thread.upgrade()).collect()
    }

    /// Live tasks in it and below.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Whether a live task is in it or below.
    pub fn is_populated(&self) -> bool {
        self.live() > 0
    }

    /// Told when what `cgroup.events` or `memory.events` says has changed.
    pub fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Kills every task in it and below, those included that are being made (cgroup.kill).
    pub fn kill(self: &Arc<Self>) {
        self.kill_unless(|_| false);
    }

    /// As [`Self::kill`], but for the tasks that are `spared`; how many are killed.
    pub fn kill_unless(self: &Arc<Self>, spared: impl Fn(&Thread) -> bool) -> usize {
        let mut killed = 0;
        for group in self.subtree() {
            let mut tasks = group.tasks.lock();
            tasks.kills += 1;
            let all: Vec<_> = tasks.threads.values().filter_map(|(_, thread)| thread.upgrade()).collect();
            drop(tasks);
            for thread in all.iter().filter(|thread| !spared(thread)) {
                crate::task::kill(thread);
                killed += 1;
            }
        }
        killed
    }

    /// The group nearest to the root, of this and those above it, that no task lives on in.
    pub fn condemned(&self) -> Option<&Self> {
        self.to_root().filter(|group| group.condemned.load(Ordering::SeqCst)).last()
    }

    /// Kills every task in it and below, and from now on each that comes.
    pub fn condemn(self: &Arc<Self>) {
        self.condemned.store(true, Ordering::SeqCst);
        if self.is_populated() {
            self.kill();
        }
    }
}

impl Presence {
    /// The group.
    pub fn cgroup(&self) -> &Arc<Cgroup> {
        &self.cgroup
    }

    /// Lists `thread`, which is made now; tells whether it must die at once, because its group was killed meanwhile.
    #[must_use]
    pub fn list(&mut self, thread: &Arc<Thread>) -> bool {
        let number = thread.pid().global_number();
        self.number = Some(number);
        let mut tasks = self.cgroup.tasks.lock();
        tasks.threads.insert(number, (self.ticket, Arc::downgrade(thread)));
        let killed = tasks.kills != self.kills;
        drop(tasks);
        if self.first {
            self.cgroup.to_root().for_each(|group| group.changes.notify());
        }
        killed || self.cgroup.to_root().any(|group| group.condemned.load(Ordering::SeqCst))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut tasks = self.cgroup.tasks.lock();
        let own = |number: &u32| tasks.threads.get(number).is_some_and(|(ticket, _)| *ticket == self.ticket);
        let gone = self.number.filter(own).and_then(|number| tasks.threads.remove(&number));
        tasks.present -= 1;
        drop(tasks);
        drop(gone);
        for group in self.cgroup.to_root() {
            if group.live.fetch_sub(1, Ordering::AcqRel) == 1 {
                group.changes.notify();
            }
        }
    }
}
