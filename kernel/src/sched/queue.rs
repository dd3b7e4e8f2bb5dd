//! The run queues: who stands in them, in which order, and how many runnable tasks each CPU would find in and below a
//! group.

use super::tree::{Counts, CpuMask, Entry, GroupId, Key, ROOT, TaskId, Tree};

/// Whom a queue has first.
#[derive(Clone, Copy)]
pub(super) enum Choice {
    Task(TaskId),
    Group(GroupId),
}

pub(super) fn counts(mask: CpuMask) -> Counts {
    core::array::from_fn(|cpu| u32::from(mask >> cpu & 1))
}

impl<T> Tree<T> {
    /// Whether `cpu` would find work.
    pub fn has_work(&self, cpu: usize) -> bool {
        self.groups[ROOT].runnable[cpu] > 0
    }

    /// The CPUs that `task` may run on.
    pub fn cpus_of(&self, task: TaskId) -> CpuMask {
        let node = &self.tasks[task];
        let group = self.groups[node.group].cpus;
        // None in common: the group's rule, as on Linux.
        if node.cpus & group == 0 { group } else { node.cpus & group }
    }

    /// Makes `task` wait for a CPU.
    pub fn enqueue(&mut self, task: TaskId, payload: T, now: u64) {
        if self.tasks[task].dying {
            self.let_out(task);
        }
        let mask = self.cpus_of(task);
        self.tickets += 1;
        let node = &mut self.tasks[task];
        let group = &mut self.groups[node.group];
        node.virtual_time = node.virtual_time.max(group.earliest(node.weight));
        let key = (node.virtual_time, self.tickets);
        node.key = Some(key);
        group.queue.insert(key, Entry::Task(task, payload));
        let group = node.group;
        self.count_runnable(group, &counts(mask), now);
    }

    /// Whom the queue of `group` has first that may run on `cpu`.
    pub(super) fn first_for(&self, cpu: usize, group: GroupId) -> Option<(Key, Choice)> {
        let may = |entry: &Entry<T>| match *entry {
            Entry::Task(task, _) => (self.cpus_of(task) & (1 << cpu) != 0).then_some(Choice::Task(task)),
            Entry::Group(below) => (self.groups[below].runnable[cpu] > 0).then_some(Choice::Group(below)),
        };
        self.groups[group].queue.iter().find_map(|(key, entry)| may(entry).map(|choice| (*key, choice)))
    }

    pub(super) fn insert_group(&mut self, group: GroupId, parent: GroupId) {
        let earliest = self.groups[parent].earliest(self.groups[group].weight());
        self.tickets += 1;
        let node = &mut self.groups[group];
        node.virtual_time = node.virtual_time.max(earliest);
        let key = (node.virtual_time, self.tickets);
        node.key = Some(key);
        self.groups[parent].queue.insert(key, Entry::Group(group));
    }

    /// Counts runnable tasks in `group` and all above it that see them.
    pub(super) fn count_runnable(&mut self, group: GroupId, more: &Counts, now: u64) {
        let mut at = group;
        loop {
            let node = &mut self.groups[at];
            node.runnable.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            if node.refill_at.is_some() {
                self.begin_wait(at, now);
                return;
            }
            let Some(parent) = node.parent.filter(|_| !node.frozen) else { return };
            if node.key.is_none() {
                self.insert_group(at, parent);
            }
            at = parent;
        }
    }

    pub(super) fn discount_runnable(&mut self, group: GroupId, less: &Counts) {
        let mut at = group;
        loop {
            let node = &mut self.groups[at];
            node.runnable.iter_mut().zip(less).for_each(|(count, less)| *count -= less);
            let Some(parent) = node.parent.filter(|_| !node.is_parked()) else { return };
            if node.queue.is_empty()
                && let Some(key) = node.key.take()
            {
                self.groups[parent].queue.remove(&key);
            }
            at = parent;
        }
    }

    /// Takes `task` out of its queue.
    pub(super) fn dequeue(&mut self, task: TaskId) -> Option<T> {
        let mask = self.cpus_of(task);
        let node = &mut self.tasks[task];
        let (group, key) = (node.group, node.key.take()?);
        let Some(Entry::Task(_, payload)) = self.groups[group].queue.remove(&key) else { return None };
        self.discount_runnable(group, &counts(mask));
        Some(payload)
    }
}
