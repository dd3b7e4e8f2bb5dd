//! Moving a process to another group. What it has been charged for stays where it was charged; from now on it charges
//! the new group (cgroup v2, "Organizing processes and threads").

use super::{Admission, Cgroup, Presence, tree::HIERARCHY};
use crate::task::Thread;
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

impl Cgroup {
    /// Moves the process of `thread` into this group. Limits do not forbid it: they hold against what the process takes from then on.
    ///
    /// # Errors
    /// EBUSY: the group hands controllers on, so that no task may be directly in it. ENODEV: it was removed.
    /// ESRCH: the process has ended.
    pub fn attach(self: &Arc<Self>, thread: &Arc<Thread>) -> Result<(), Errno> {
        let mut moved = Err(Errno::ESRCH);
        for thread in thread.process().threads() {
            let presence = self.enter_from_outside()?;
            let charge = self.pids.charge_regardless();
            // A thread that has ended meanwhile has nothing to move.
            if let Ok(left) = thread.change_group(presence, charge) {
                drop(left);
                moved = Ok(());
            }
        }
        moved
    }

    /// A place for one task more that a task of another group makes: as [`Self::admit`], and EBUSY where the group hands
    /// controllers on.
    pub fn admit_from_outside(self: &Arc<Self>) -> Result<Admission, Errno> {
        let presence = self.enter_from_outside()?;
        self.admit_present(presence)
    }

    fn enter_from_outside(self: &Arc<Self>) -> Result<Presence, Errno> {
        let hierarchy = HIERARCHY.lock();
        if self.parent().is_some() && !self.subtree_control().is_empty() {
            return Err(Errno::EBUSY);
        }
        // From here on the group hands nothing on: it is not empty.
        let presence = self.enter();
        drop(hierarchy);
        presence
    }
}
