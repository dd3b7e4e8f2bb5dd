//! Groups that are parked: frozen, or with their quota used up. They stand in no queue, and only who is to end is let out.

use super::tree::{GroupId, TaskId, TaskNode, Tree};

impl<T> Tree<T> {
    /// Begins the periods that are due.
    pub fn refill(&mut self, now: u64) {
        while let Some(&(due, group)) = self.refills.first()
            && due <= now
        {
            if let Some(bandwidth) = &mut self.groups[group].bandwidth {
                bandwidth.refill(now);
            }
            self.look_at_quota(group, now);
        }
    }

    /// When the next period begins that a group waits for.
    pub fn next_refill(&self) -> Option<u64> {
        self.refills.first().map(|&(due, _)| due)
    }

    /// Parks a group that has used up its quota, lets one go on that has not.
    pub(super) fn look_at_quota(&mut self, group: GroupId, now: u64) {
        let node = &mut self.groups[group];
        let due = node.bandwidth.as_ref().filter(|bandwidth| bandwidth.left() <= 0).map(|b| b.next_refill());
        let before = core::mem::replace(&mut node.refill_at, due);
        let frozen = node.frozen;
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.refills.remove(&(before, group));
        }
        if let Some(due) = due {
            self.refills.insert((due, group));
        }
        match (before, due) {
            (None, Some(_)) => {
                if !self.groups[group].queue.is_empty() {
                    self.begin_wait(group, now);
                }
                if !frozen {
                    self.park(group, now);
                }
            }
            (Some(_), None) => {
                if let Some(bandwidth) = &mut self.groups[group].bandwidth {
                    bandwidth.end_wait(now);
                }
                if !frozen {
                    self.unpark(group, now);
                }
            }
            _ => {}
        }
    }

    /// Tasks of the group begin to wait for its next period.
    pub(super) fn begin_wait(&mut self, group: GroupId, now: u64) {
        if let Some(bandwidth) = &mut self.groups[group].bandwidth {
            bandwidth.begin_wait(now);
        }
    }

    /// Takes a group that is parked from now on out of its parent's queue.
    pub(super) fn park(&mut self, group: GroupId, now: u64) {
        let node = &mut self.groups[group];
        let (parent, runnable) = (node.parent, node.runnable);
        if let (Some(key), Some(parent)) = (node.key.take(), parent) {
            self.groups[parent].queue.remove(&key);
            self.discount_runnable(parent, &runnable);
        }
        if self.dying > 0 {
            self.let_all_out(group, now);
        }
    }

    /// Puts a group that is parked no more back into its parent's queue.
    pub(super) fn unpark(&mut self, group: GroupId, now: u64) {
        let node = &self.groups[group];
        let runnable = node.runnable;
        if let Some(parent) = node.parent
            && !node.queue.is_empty()
        {
            self.insert_group(group, parent);
            self.count_runnable(parent, &runnable, now);
        }
    }

    /// The topmost parked group that `group` is in.
    fn parked_above(&self, group: GroupId) -> Option<GroupId> {
        self.to_root(group).filter(|&above| self.groups[above].is_parked()).last()
    }

    pub(super) fn is_parked(&self, group: GroupId) -> bool {
        self.parked_above(group).is_some()
    }

    /// Moves a dying task, which is in no queue, out of all parked groups: it must be able to end.
    pub(super) fn let_out(&mut self, task: TaskId) {
        if let Some(parked) = self.parked_above(self.tasks[task].group)
            && let Some(outside) = self.groups[parked].parent
        {
            let node = &mut self.tasks[task];
            node.group = outside;
            node.virtual_time = self.groups[outside].floor;
        }
    }

    fn let_all_out(&mut self, group: GroupId, now: u64) {
        let inside = |task: &TaskNode| task.dying && self.to_root(task.group).any(|above| above == group);
        let dying: alloc::vec::Vec<TaskId> =
            self.tasks.iter().filter(|(_, task)| task.key.is_some() && inside(task)).map(|(id, _)| id).collect();
        for task in dying {
            if let Some(payload) = self.dequeue(task) {
                self.enqueue(task, payload, now);
            }
        }
    }
}
