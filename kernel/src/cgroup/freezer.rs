//! Freezing (cgroup v2 `cgroup.freeze`): a group's tasks get no CPU, whatever they do, until it is thawed. What is
//! killed ends nevertheless.

use super::Cgroup;
use crate::sched;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

impl Cgroup {
    /// Freezes the group and all below it, and waits until no CPU runs any of them. Ends early if it is thawed meanwhile.
    pub async fn freeze(self: &Arc<Self>) {
        self.set_frozen(true);
        self.cpu.at_rest(|| !self.is_frozen()).await;
    }

    /// Lets the group run again, unless one above it is frozen.
    pub fn thaw(self: &Arc<Self>) {
        self.set_frozen(false);
    }

    /// Writes `cgroup.freeze`: the tasks stop soon ([`Self::is_at_rest`]).
    pub fn set_frozen(self: &Arc<Self>, frozen: bool) {
        self.frozen.store(frozen, Ordering::Release);
        self.cpu.set_frozen(frozen);
        self.changes.notify();
        if frozen {
            let group = self.clone();
            sched::spawn(async move {
                group.cpu.at_rest(|| !group.is_frozen()).await;
                group.changes.notify();
            });
        }
    }

    /// What was written to `cgroup.freeze`.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// Whether the group, or one above it, is frozen and none of its tasks runs (`frozen` of `cgroup.events`).
    pub fn is_at_rest(&self) -> bool {
        self.to_root().any(Self::is_frozen) && self.cpu.is_at_rest()
    }
}
