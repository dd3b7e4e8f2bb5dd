//! Who runs next: one tree of run queues for all CPUs.
//!
//! Every group has a queue of the runnable tasks and groups directly in it, ordered by virtual time: CPU time
//! received, divided by weight. A CPU that looks for work goes down from the root, each time to the one that has had
//! least, and what a task runs is charged to it and to every group above it. So each group's CPU time is divided
//! among its members by weight at each level, on any number of CPUs, without balancing queues against each other.
//!
//! A slice is charged when it is given out and corrected when it is over, so that CPUs that choose at the same time
//! choose differently, and several CPUs cannot spend one quota.
//!
//! A group that is frozen, or has used up its quota, is *parked*: it stands in no queue, and what is in it waits.
//!
//! Knows nothing of CPUs but their numbers, nor of clocks: time is passed in.

use super::{
    bandwidth::Bandwidth,
    queue::{Choice, counts},
    stat::Times,
    weight,
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
};
use slab::Slab;
use veridian_hal::cpu::MAX_CPUS;

/// How long a task runs while others wait.
const SLICE_NS: u64 = 4_000_000;
/// The shortest slice: what a quota has less than this left is owed.
const SLICE_MIN_NS: u64 = 100_000;
/// How far behind its queue one may start that has slept: it runs soon, but cannot save up time.
const SLEEPER_BONUS_NS: i64 = 3_000_000;

/// A set of CPUs: bit n is CPU n.
pub type CpuMask = u8;
/// Every CPU.
pub const ALL_CPUS: CpuMask = CpuMask::MAX;

pub(super) type GroupId = usize;
pub(super) type TaskId = usize;

/// Virtual time, then the order of arrival.
pub(super) type Key = (u64, u64);
/// Runnable tasks for each CPU that may run them.
pub(super) type Counts = [u32; MAX_CPUS];

/// What a CPU is to run: a task, given back to it, and for how long.
pub(super) struct Pick<T> {
    pub task: TaskId,
    pub payload: T,
    pub slice_ns: u64,
}

/// The tree. `T` is what stands for a task while it waits in a queue.
pub(super) struct Tree<T> {
    pub(super) groups: Slab<GroupNode<T>>,
    pub(super) tasks: Slab<TaskNode>,
    /// What each CPU runs.
    pub(super) current: [Option<TaskId>; MAX_CPUS],
    pub(super) tickets: u64,
    /// Groups that wait for their next period, by when it begins.
    pub(super) refills: BTreeSet<(u64, GroupId)>,
    /// Tasks that are to end.
    pub(super) dying: usize,
    /// A frozen group has come to rest since this was last asked.
    pub(super) came_to_rest: bool,
}

pub(super) struct GroupNode<T> {
    pub(super) parent: Option<GroupId>,
    pub(super) cpu_weight: u32,
    pub(super) idle: bool,
    pub(super) virtual_time: u64,
    /// Its place in its parent's queue.
    pub(super) key: Option<Key>,
    pub(super) queue: BTreeMap<Key, Entry<T>>,
    /// Virtual time of whom was chosen last from the queue; never goes back.
    pub(super) floor: u64,
    /// Runnable tasks in it and below, those in parked groups below it left out.
    pub(super) runnable: Counts,
    /// Tasks in it and below that a CPU runs.
    pub(super) running: u32,
    pub(super) frozen: bool,
    /// Its quota is used up until then.
    pub(super) refill_at: Option<u64>,
    pub(super) bandwidth: Option<Box<Bandwidth>>,
    /// CPUs that its tasks may run on, its parents' restrictions included.
    pub(super) cpus: CpuMask,
    pub(super) own_cpus: CpuMask,
    pub(super) times: Times,
}

pub(super) enum Entry<T> {
    Task(TaskId, T),
    Group(GroupId),
}

pub(super) struct TaskNode {
    pub(super) group: GroupId,
    pub(super) weight: u64,
    pub(super) virtual_time: u64,
    pub(super) key: Option<Key>,
    pub(super) cpus: CpuMask,
    /// What was charged in advance for the slice that it runs.
    pub(super) slice_ns: u64,
    pub(super) running: bool,
    pub(super) dying: bool,
    pub(super) times: Times,
}

/// `cpu.weight` of a group that nobody has given another.
pub const CPU_WEIGHT_DEFAULT: u32 = 100;

/// The group that all others are in.
pub(super) const ROOT: GroupId = 0;

impl<T> Tree<T> {
    pub fn new() -> Self {
        let mut groups = Slab::new();
        groups.insert(GroupNode::new(None, ALL_CPUS));
        Self {
            groups,
            tasks: Slab::new(),
            current: [None; MAX_CPUS],
            tickets: 0,
            refills: BTreeSet::new(),
            dying: 0,
            came_to_rest: false,
        }
    }

    pub fn add_group(&mut self, parent: GroupId) -> GroupId {
        let cpus = self.groups[parent].cpus;
        self.groups.insert(GroupNode::new(Some(parent), cpus))
    }

    /// Forgets a group that no task and no group is in.
    pub fn remove_group(&mut self, group: GroupId) {
        let node = self.groups.remove(group);
        if let Some(due) = node.refill_at {
            self.refills.remove(&(due, group));
        }
    }

    pub fn add_task(&mut self, group: GroupId, weight: u64, cpus: CpuMask) -> TaskId {
        // It begins level with the others of its group.
        let virtual_time = self.groups[group].floor;
        self.tasks.insert(TaskNode {
            group,
            weight,
            virtual_time,
            key: None,
            cpus,
            slice_ns: 0,
            running: false,
            dying: false,
            times: Times::default(),
        })
    }

    /// Forgets a task that is neither queued nor running.
    pub fn remove_task(&mut self, task: TaskId) {
        let node = self.tasks.remove(task);
        self.dying -= usize::from(node.dying);
    }

    /// Chooses what `cpu` runs next.
    pub fn pick(&mut self, cpu: usize, now: u64) -> Option<Pick<T>> {
        if !self.has_work(cpu) {
            return None;
        }
        let mut at = ROOT;
        let (task, key) = loop {
            let (key, chosen) = self.first_for(cpu, at)?;
            let group = &mut self.groups[at];
            group.floor = group.floor.max(key.0);
            match chosen {
                Choice::Task(task) => break (task, key),
                Choice::Group(below) => at = below,
            }
        };
        let Some(Entry::Task(_, payload)) = self.groups[at].queue.remove(&key) else { return None };
        self.tasks[task].key = None;
        let mask = self.cpus_of(task);
        self.discount_runnable(at, &counts(mask));
        self.current[cpu] = Some(task);
        self.tasks[task].running = true;
        self.count_running(at, true);
        let slice_ns = self.give_slice(task, now);
        Some(Pick { task, payload, slice_ns })
    }

    /// Charges what `task` has run since its slice was given or it was last charged, and gives it another slice; `None`
    /// when it has to make room for others.
    pub fn renew(&mut self, cpu: usize, task: TaskId, ran: Times, now: u64) -> Option<u64> {
        self.settle(task, ran, now);
        let others = self.has_work(cpu);
        let allowed = self.cpus_of(task) & (1 << cpu) != 0;
        if others || !allowed || self.is_parked(self.tasks[task].group) {
            return None;
        }
        Some(self.give_slice(task, now))
    }

    /// Charges what `task` has run; it runs on without a slice.
    pub fn settle(&mut self, task: TaskId, ran: Times, now: u64) {
        let node = &mut self.tasks[task];
        node.times += ran;
        let rest = ran.total_ns() as i64 - core::mem::take(&mut node.slice_ns) as i64;
        self.charge(task, rest, ran, now);
    }

    /// Charges what `task` has run so far of the slice that it has.
    pub fn charge_running(&mut self, task: TaskId, ran: Times, now: u64) {
        let node = &mut self.tasks[task];
        node.times += ran;
        let in_advance = node.slice_ns.min(ran.total_ns());
        node.slice_ns -= in_advance;
        self.charge(task, (ran.total_ns() - in_advance) as i64, ran, now);
    }

    /// `cpu` runs `task` no more; it is settled.
    pub fn put(&mut self, cpu: usize, task: TaskId) {
        self.current[cpu] = None;
        let node = &mut self.tasks[task];
        node.running = false;
        let group = node.group;
        self.count_running(group, false);
    }

    /// Whether a frozen group has come to rest since this was last asked.
    pub fn take_rest(&mut self) -> bool {
        core::mem::take(&mut self.came_to_rest)
    }

    /// Counts one running task more or less in `group` and all above it.
    pub(super) fn count_running(&mut self, group: GroupId, more: bool) {
        let mut above = Some(group);
        while let Some(group) = above {
            let node = &mut self.groups[group];
            if more {
                node.running += 1;
            } else {
                node.running -= 1;
                self.came_to_rest |= node.running == 0 && node.frozen;
            }
            above = node.parent;
        }
    }

    /// Charges a slice in advance.
    fn give_slice(&mut self, task: TaskId, now: u64) -> u64 {
        let mut slice_ns = SLICE_NS;
        let mut above = Some(self.tasks[task].group);
        while let Some(group) = above {
            let node = &mut self.groups[group];
            if let Some(bandwidth) = &mut node.bandwidth {
                bandwidth.refill(now);
                slice_ns = slice_ns.min(u64::try_from(bandwidth.left()).unwrap_or(0));
            }
            above = node.parent;
        }
        let slice_ns = slice_ns.max(SLICE_MIN_NS);
        self.tasks[task].slice_ns = slice_ns;
        self.charge(task, slice_ns as i64, Times::default(), now);
        slice_ns
    }

    /// Charges `task` and the groups it is in for `ns` of CPU time, of which `ran` were run.
    pub(super) fn charge(&mut self, task: TaskId, ns: i64, ran: Times, now: u64) {
        let node = &mut self.tasks[task];
        node.virtual_time = node.virtual_time.saturating_add_signed(weight::virtual_ns(ns, node.weight));
        let mut above = Some(node.group);
        while let Some(group) = above {
            let node = &mut self.groups[group];
            above = node.parent;
            node.times += ran;
            node.virtual_time = node.virtual_time.saturating_add_signed(weight::virtual_ns(ns, node.weight()));
            let moved = node.key.take();
            if let (Some(key), Some(parent)) = (moved, above) {
                self.groups[parent].queue.remove(&key);
                self.insert_group(group, parent);
            }
            if let Some(bandwidth) = &mut self.groups[group].bandwidth {
                bandwidth.refill(now);
                bandwidth.take(ns);
                self.look_at_quota(group, now);
            }
        }
    }

    pub(super) fn to_root(&self, group: GroupId) -> impl Iterator<Item = GroupId> {
        core::iter::successors(Some(group), |&above| self.groups[above].parent)
    }
}

impl<T> GroupNode<T> {
    fn new(parent: Option<GroupId>, cpus: CpuMask) -> Self {
        Self {
            parent,
            cpu_weight: CPU_WEIGHT_DEFAULT,
            idle: false,
            virtual_time: 0,
            key: None,
            queue: BTreeMap::new(),
            floor: 0,
            runnable: [0; MAX_CPUS],
            running: 0,
            frozen: false,
            refill_at: None,
            bandwidth: None,
            cpus,
            own_cpus: ALL_CPUS,
            times: Times::default(),
        }
    }

    pub(super) fn weight(&self) -> u64 {
        if self.idle { weight::IDLE } else { weight::of_group(self.cpu_weight) }
    }

    pub(super) fn is_parked(&self) -> bool {
        self.frozen || self.refill_at.is_some()
    }

    /// The virtual time that one of `weight` may start with at the earliest.
    pub(super) fn earliest(&self, weight: u64) -> u64 {
        self.floor.saturating_add_signed(-weight::virtual_ns(SLEEPER_BONUS_NS, weight))
    }
}
