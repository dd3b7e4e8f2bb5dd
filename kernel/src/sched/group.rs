//! Groups of tasks among which CPU time is divided: the handle that a cgroup holds.

use super::{
    bandwidth::Quota,
    executor::{self, tree},
    stat::CpuStat,
    task::FREEZER,
    tree::{CpuMask, GroupId, ROOT},
};
use alloc::sync::Arc;
use veridian_hal::{clock, sync::Once};

/// A group in the tree of run queues; below it others and tasks.
#[derive(Debug)]
pub struct Group {
    id: GroupId,
    parent: Option<Arc<Self>>,
}

impl Group {
    /// The group that all are in: the machine.
    pub fn root() -> &'static Arc<Self> {
        static MACHINE: Once<Arc<Group>> = Once::new();
        MACHINE.call_once(|| Arc::new(Self { id: ROOT, parent: None }))
    }

    /// A new group below `parent`.
    pub fn child(parent: &Arc<Self>) -> Arc<Self> {
        let id = tree().add_group(parent.id);
        Arc::new(Self { id, parent: Some(parent.clone()) })
    }

    pub(super) fn id(&self) -> GroupId {
        self.id
    }

    /// Its share beside its siblings, 1 to 10000 (`cpu.weight`).
    pub fn set_weight(&self, weight: u32) {
        tree().set_weight(self.id, weight);
    }

    /// See [`Self::set_weight`].
    pub fn weight(&self) -> u32 {
        tree().weight(self.id)
    }

    /// Whether it gets next to nothing where others want time (`cpu.idle`).
    pub fn set_idle(&self, idle: bool) {
        tree().set_idle(self.id, idle);
    }

    /// See [`Self::set_idle`].
    pub fn is_idle(&self) -> bool {
        tree().is_idle(self.id)
    }

    /// How much CPU time it may take (`cpu.max`); `None` for no limit.
    pub fn set_quota(&self, quota: Option<Quota>) {
        let mut tree = tree();
        tree.set_quota(self.id, quota, clock::now_ns());
        let running = tree.cpus_running(self.id);
        drop(tree);
        // Slices that were given out under the old quota end.
        executor::end_slices(running);
        executor::kick_for_work();
    }

    /// The CPUs that it restricts its tasks to.
    pub fn own_cpus(&self) -> CpuMask {
        tree().own_cpus(self.id)
    }

    /// The CPUs that its tasks may run on (cpuset.cpus.effective).
    pub fn cpus(&self) -> CpuMask {
        tree().group_cpus(self.id)
    }

    /// Restricts its tasks to `cpus`.
    pub fn set_cpus(&self, cpus: CpuMask) {
        let mut tree = tree();
        tree.set_group_cpus(self.id, cpus, clock::now_ns());
        let running = tree.cpus_running(self.id);
        drop(tree);
        executor::end_slices(running);
        executor::kick_for_work();
    }

    /// Freezes or thaws it: a frozen group's tasks get no CPU. One that runs in user mode stops at once, one in the
    /// kernel when it would wait or go back to user mode; see [`Self::at_rest`].
    pub fn set_frozen(&self, frozen: bool) {
        let mut tree = tree();
        tree.set_frozen(self.id, frozen, clock::now_ns());
        let running = if frozen { tree.cpus_running(self.id) } else { 0 };
        drop(tree);
        executor::end_slices(running);
        executor::kick_for_work();
        FREEZER.wake_all();
    }

    /// Whether no CPU runs a task of it.
    pub fn is_at_rest(&self) -> bool {
        tree().is_at_rest(self.id)
    }

    /// Waits until no CPU runs a task of it, or `given_up` says that the wait is for nothing.
    pub async fn at_rest(&self, given_up: impl Fn() -> bool) {
        FREEZER.wait_until(|| (self.is_at_rest() || given_up()).then_some(())).await;
    }

    /// Its numbers.
    pub fn stat(&self) -> CpuStat {
        tree().stat(self.id)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.parent.is_some() {
            tree().remove_group(self.id);
        }
    }
}
