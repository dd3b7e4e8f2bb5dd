//! Changes of the tree of run queues while it is in use: weights, quotas, freezing, CPUs, moving tasks.

use super::{
    bandwidth::{Bandwidth, Quota},
    stat::Times,
    tree::{CpuMask, GroupId, GroupNode, TaskId, Tree},
    weight,
};
use alloc::{boxed::Box, vec::Vec};

impl<T> Tree<T> {
    pub fn set_weight(&mut self, group: GroupId, cpu_weight: u32) {
        self.reweigh(group, |node| node.cpu_weight = cpu_weight);
    }

    pub fn weight(&self, group: GroupId) -> u32 {
        self.groups[group].cpu_weight
    }

    /// Whether the group runs only where nobody else wants to.
    pub fn set_idle(&mut self, group: GroupId, idle: bool) {
        self.reweigh(group, |node| node.idle = idle);
    }

    fn reweigh(&mut self, group: GroupId, change: impl FnOnce(&mut GroupNode<T>)) {
        let node = &mut self.groups[group];
        let before = node.weight();
        change(node);
        let (after, virtual_time) = (node.weight(), node.virtual_time);
        if let Some(parent) = node.parent {
            let queued = node.key.take();
            let floor = self.groups[parent].floor;
            self.groups[group].virtual_time = weight::rescaled(virtual_time, floor, before, after);
            if let Some(key) = queued {
                self.groups[parent].queue.remove(&key);
                self.insert_group(group, parent);
            }
        }
    }

    pub fn is_idle(&self, group: GroupId) -> bool {
        self.groups[group].idle
    }

    pub fn set_quota(&mut self, group: GroupId, quota: Option<Quota>, now: u64) {
        let node = &mut self.groups[group];
        match (quota, &mut node.bandwidth) {
            (Some(quota), Some(bandwidth)) => bandwidth.change(quota, now),
            (Some(quota), None) => node.bandwidth = Some(Box::new(Bandwidth::new(quota, now))),
            (None, _) => node.bandwidth = None,
        }
        self.look_at_quota(group, now);
    }

    /// Freezes or thaws a group.
    pub fn set_frozen(&mut self, group: GroupId, frozen: bool, now: u64) {
        let node = &mut self.groups[group];
        let before = core::mem::replace(&mut node.frozen, frozen);
        if node.refill_at.is_some() || before == frozen {
            return;
        }
        if frozen {
            self.park(group, now);
        } else {
            self.unpark(group, now);
        }
    }

    /// Whether no CPU runs a task of the group.
    pub fn is_at_rest(&self, group: GroupId) -> bool {
        self.groups[group].running == 0
    }

    /// CPUs that run a task of the group.
    pub fn cpus_running(&self, group: GroupId) -> CpuMask {
        let runs = |task: TaskId| self.to_root(self.tasks[task].group).any(|above| above == group);
        let cpus = self.current.iter().enumerate();
        cpus.filter(|(_, task)| task.is_some_and(runs)).fold(0, |mask, (cpu, _)| mask | 1 << cpu)
    }

    /// The CPU that runs `task`.
    pub fn cpu_running(&self, task: TaskId) -> Option<usize> {
        self.current.iter().position(|&current| current == Some(task))
    }

    pub fn set_task_weight(&mut self, task: TaskId, weight: u64, now: u64) {
        let payload = self.dequeue(task);
        let node = &mut self.tasks[task];
        let floor = self.groups[node.group].floor;
        node.virtual_time = weight::rescaled(node.virtual_time, floor, node.weight, weight);
        node.weight = weight;
        if let Some(payload) = payload {
            self.enqueue(task, payload, now);
        }
    }

    /// The CPUs that a group's tasks may run on, as far as it says itself.
    pub fn own_cpus(&self, group: GroupId) -> CpuMask {
        self.groups[group].own_cpus
    }

    /// The CPUs that a group's tasks may run on.
    pub fn group_cpus(&self, group: GroupId) -> CpuMask {
        self.groups[group].cpus
    }

    pub fn set_task_cpus(&mut self, task: TaskId, cpus: CpuMask, now: u64) {
        let payload = self.dequeue(task);
        self.tasks[task].cpus = cpus;
        if let Some(payload) = payload {
            self.enqueue(task, payload, now);
        }
    }

    /// Restricts a group to `cpus`; of no CPU in common with its parent its parent's hold.
    pub fn set_group_cpus(&mut self, group: GroupId, cpus: CpuMask, now: u64) {
        self.groups[group].own_cpus = cpus;
        let inside = |id: GroupId| self.to_root(id).any(|above| above == group);
        let queued = self.tasks.iter().filter(|(_, task)| task.key.is_some() && inside(task.group));
        let queued: Vec<TaskId> = queued.map(|(id, _)| id).collect();
        let mut groups: Vec<GroupId> = self.groups.iter().map(|(id, _)| id).filter(|&id| inside(id)).collect();
        groups.sort_by_key(|&id| self.to_root(id).count());
        let waiting: Vec<_> = queued.into_iter().filter_map(|task| Some((task, self.dequeue(task)?))).collect();
        for id in groups {
            let above = self.groups[id].parent.map_or(CpuMask::MAX, |parent| self.groups[parent].cpus);
            let node = &mut self.groups[id];
            node.cpus = if node.own_cpus & above == 0 { above } else { node.own_cpus & above };
        }
        for (task, payload) in waiting {
            self.enqueue(task, payload, now);
        }
    }

    /// Makes `task` a member of another group, as far ahead of the others there as it was here.
    pub fn move_task(&mut self, task: TaskId, to: GroupId, now: u64) {
        let payload = self.dequeue(task);
        let slice_ns = self.tasks[task].slice_ns as i64;
        let running = self.tasks[task].running;
        let from = self.tasks[task].group;
        if running {
            self.charge(task, -slice_ns, Times::default(), now);
            self.count_running(from, false);
            self.count_running(to, true);
        }
        let ahead = self.tasks[task].virtual_time.saturating_sub(self.groups[from].floor);
        let floor = self.groups[to].floor;
        let node = &mut self.tasks[task];
        node.group = to;
        node.virtual_time = floor.saturating_add(ahead);
        if running {
            self.charge(task, slice_ns, Times::default(), now);
        }
        if let Some(payload) = payload {
            self.enqueue(task, payload, now);
        }
    }

    /// `task` is to end: no parked group holds it up from now on.
    pub fn expedite(&mut self, task: TaskId, now: u64) {
        let node = &mut self.tasks[task];
        if core::mem::replace(&mut node.dying, true) {
            return;
        }
        self.dying += 1;
        if self.is_parked(self.tasks[task].group)
            && let Some(payload) = self.dequeue(task)
        {
            self.enqueue(task, payload, now);
        }
    }
}
