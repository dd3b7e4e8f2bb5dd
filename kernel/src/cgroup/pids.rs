//! The pids controller: how many tasks a group and all groups below it may have (cgroup-v2 `pids.max`).

use crate::sched::WaitQueue;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::abi::Errno;

/// Tasks of a group, its descendants' included.
#[derive(Debug)]
pub struct PidsGroup {
    parent: Option<Arc<Self>>,
    limit: u64,
    current: AtomicU64,
    peak: AtomicU64,
    /// Woken when the last task is gone.
    emptied: WaitQueue,
}

/// The right of one task to exist. Gives its place back when dropped.
#[derive(Debug)]
pub struct TaskCharge(Arc<PidsGroup>);

impl PidsGroup {
    pub(super) fn root() -> Arc<Self> {
        Self::new(None, u64::MAX)
    }

    pub(super) fn child(parent: &Arc<Self>, limit: Option<u64>) -> Arc<Self> {
        Self::new(Some(parent.clone()), limit.unwrap_or(u64::MAX))
    }

    fn new(parent: Option<Arc<Self>>, limit: u64) -> Arc<Self> {
        let (current, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { parent, limit, current, peak, emptied: WaitQueue::new() })
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
            let fits =
                group.current.try_update(Ordering::AcqRel, Ordering::Relaxed, |n| (n < group.limit).then_some(n + 1));
            if let Ok(before) = fits {
                group.peak.fetch_max(before + 1, Ordering::Relaxed);
            } else {
                self.to_root().take_while(|earlier| !core::ptr::eq(*earlier, group)).for_each(PidsGroup::release);
                return Err(Errno::EAGAIN);
            }
        }
        Ok(TaskCharge(self.clone()))
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

    #[test]
    fn a_full_group_refuses_one_more_task_and_stays_as_it_was() {
        let root = PidsGroup::root();
        let outer = PidsGroup::child(&root, Some(3));
        let inner = PidsGroup::child(&outer, Some(8));
        let held: alloc::vec::Vec<_> = (0..3).map(|_| inner.charge().expect("room for three")).collect();
        assert_eq!(inner.charge().err(), Some(Errno::EAGAIN));
        assert_eq!((inner.current(), outer.current(), root.current()), (3, 3, 3));
        drop(held);
        assert_eq!((inner.current(), outer.current(), root.current()), (0, 0, 0));
    }
}
