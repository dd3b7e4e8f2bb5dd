//! Freezing (cgroup v2 `cgroup.freeze`): a group's tasks get no CPU, whatever they do, until it is thawed. What is
//! killed ends nevertheless.

use super::Cgroup;
use core::sync::atomic::Ordering;

impl Cgroup {
    /// Freezes the group and all below it, and waits until no CPU runs any of them. Ends early if it is thawed meanwhile.
    pub async fn freeze(&self) {
        self.set_frozen(true);
        self.cpu.at_rest(|| !self.is_frozen()).await;
    }

    /// Lets the group run again, unless one above it is frozen.
    pub fn thaw(&self) {
        self.set_frozen(false);
    }

    /// Writes `cgroup.freeze`: the tasks stop soon ([`Self::is_at_rest`]).
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Release);
        self.cpu.set_frozen(frozen);
        self.events.wake_all();
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
