//! The pids controller: how many tasks a group and all groups below it may have (cgroup-v2 `pids.max`).

use crate::sched::WaitQueue;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::abi::Errno;

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

/// Tasks of a group, its descendants' included.
#[derive(Debug)]
pub struct PidsGroup {
    parent: Option<Arc<Self>>,
    limit: AtomicU64,
    current: AtomicU64,
    peak: AtomicU64,
    /// Forks that this group's limit refused, and those that this limit or one below it did.
    refusals: AtomicU64,
    refusals_below: AtomicU64,
    /// Woken when the last task is gone.
    emptied: WaitQueue,
}

/// What the files of the pids controller say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidsStat {
    /// Tasks now.
    pub current: u64,
    /// The most that there were at once.
    pub peak: u64,
    /// The limit, or [`UNLIMITED`].
    pub max: u64,
    /// Forks refused by the limit of this group or of one below it (pids.events).
    pub refused: u64,
    /// Forks refused by the limit of this group (pids.events.local).
    pub refused_here: u64,
}

/// The right of one task to exist. Gives its place back when dropped.
#[derive(Debug)]
pub struct TaskCharge(Arc<PidsGroup>);

impl PidsGroup {
    pub(super) fn root() -> Arc<Self> {
        Self::new(None)
    }

    pub(super) fn child(parent: &Arc<Self>) -> Arc<Self> {
        Self::new(Some(parent.clone()))
    }

    fn new(parent: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            parent,
            limit: AtomicU64::new(UNLIMITED),
            current: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            refusals_below: AtomicU64::new(0),
            emptied: WaitQueue::new(),
        })
    }

    /// Sets the limit; tasks there are already stay, as on Linux. 0 lets no task be made.
    pub fn set_max(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The numbers now.
    pub fn stat(&self) -> PidsStat {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PidsStat {
            current: self.current(),
            peak: self.peak(),
            max: now(&self.limit),
            refused: now(&self.refusals_below),
            refused_here: now(&self.refusals),
        }
    }

    /// The most tasks that there ever were at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Waits until there is no task.
    pub async fn wait_empty(&self) {
        self.emptied.wait_until(|| (self.current() == 0).then_some(())).await;
    }

    /// Tasks now.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Charges one more task; EAGAIN, as fork(2) answers, when a group on the way to the root is full.
    pub fn charge(self: &Arc<Self>) -> Result<TaskCharge, Errno> {
        for group in self.to_root() {
            let limit = group.limit.load(Ordering::Relaxed);
            let fits = group.current.try_update(Ordering::AcqRel, Ordering::Relaxed, |n| (n < limit).then_some(n + 1));
            if let Ok(before) = fits {
                group.peak.fetch_max(before + 1, Ordering::Relaxed);
            } else {
                self.to_root().take_while(|earlier| !core::ptr::eq(*earlier, group)).for_each(PidsGroup::release);
                group.refusals.fetch_add(1, Ordering::Relaxed);
                for above in group.to_root() {
                    above.refusals_below.fetch_add(1, Ordering::Relaxed);
                }
                return Err(Errno::EAGAIN);
            }
        }
        Ok(TaskCharge(self.clone()))
    }

    /// Charges one more task whatever the limits say: for one that comes from another group.
    pub fn charge_regardless(self: &Arc<Self>) -> TaskCharge {
        for group in self.to_root() {
            let before = group.current.fetch_add(1, Ordering::AcqRel);
            group.peak.fetch_max(before + 1, Ordering::Relaxed);
        }
        TaskCharge(self.clone())
    }

    fn to_root(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    fn release(&self) {
        if self.current.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.wake_all();
        }
    }
}

impl Drop for TaskCharge {
    fn drop(&mut self) {
        self.0.to_root().for_each(PidsGroup::release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(parent: &Arc<PidsGroup>, limit: u64) -> Arc<PidsGroup> {
        let group = PidsGroup::child(parent);
        group.set_max(limit);
        group
    }

    #[test]
    fn a_full_group_refuses_one_more_task_and_stays_as_it_was() {
        let root = PidsGroup::root();
        let outer = limited(&root, 3);
        let inner = limited(&outer, 8);
        let held: alloc::vec::Vec<_> = (0..3).map(|_| inner.charge().expect("room for three")).collect();
        assert_eq!(inner.charge().err(), Some(Errno::EAGAIN));
        assert_eq!((inner.current(), outer.current(), root.current()), (3, 3, 3));
        assert_eq!((inner.stat().refused, outer.stat().refused_here, root.stat().refused), (0, 1, 1));
        drop(held);
        assert_eq!((inner.current(), outer.current(), root.current()), (0, 0, 0));
    }

    #[test]
    fn a_limit_changes_under_its_tasks_and_zero_lets_none_in() {
        let group = limited(&PidsGroup::root(), 2);
        let _held = (group.charge().expect("one"), group.charge().expect("two"));
        group.set_max(0);
        assert_eq!(group.charge().err(), Some(Errno::EAGAIN));
        assert_eq!((group.current(), group.peak()), (2, 2));
        group.set_max(UNLIMITED);
        assert!(group.charge().is_ok());
    }
}
