//! The pids controller: how many tasks a group and all groups below it may have (cgroup-v2 `pids.max`).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::abi::Errno;

/// Tasks of a group, its descendants' included.
#[derive(Debug)]
pub struct PidsGroup {
    parent: Option<Arc<Self>>,
    limit: u64,
    current: AtomicU64,
}

/// The right of one task to exist. Gives its place back when dropped.
#[derive(Debug)]
pub struct TaskCharge(Arc<PidsGroup>);

impl PidsGroup {
    pub(super) fn root() -> Arc<Self> {
        Arc::new(Self { parent: None, limit: u64::MAX, current: AtomicU64::new(0) })
    }

    pub(super) fn child(parent: &Arc<Self>, limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self { parent: Some(parent.clone()), limit: limit.unwrap_or(u64::MAX), current: AtomicU64::new(0) })
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
            if fits.is_err() {
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
        self.current.fetch_sub(1, Ordering::AcqRel);
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
