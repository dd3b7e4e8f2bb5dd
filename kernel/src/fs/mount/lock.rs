//! What a mount namespace with fewer rights may not undo (mount_namespaces(7), "Restrictions on mount namespaces").
//!
//! Mounts that come into a namespace of another user namespace come as one: none of them is taken away alone, which would
//! show what it hides, and none loses what it forbids.

use super::{Mount, MountFlags};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use veridian_containers::abi::Errno;

/// What is locked of a mount. Changed under the topology's lock.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// It stays where it is.
    place: AtomicBool,
    /// Whether access times are kept as they are.
    times: AtomicBool,
    /// Flags that stay, of those that forbid something.
    flags: AtomicU32,
}

const FORBIDDING: MountFlags =
    MountFlags::RDONLY.union(MountFlags::NOSUID).union(MountFlags::NODEV).union(MountFlags::NOEXEC);

impl Locks {
    /// Those of a copy: it may be taken away.
    pub fn of_copy(&self) -> Self {
        Self {
            place: AtomicBool::new(false),
            times: AtomicBool::new(self.times.load(Ordering::Relaxed)),
            flags: AtomicU32::new(self.flags.load(Ordering::Relaxed)),
        }
    }
}

impl Mount {
    /// Whether it stays where it is, unless all that it came with goes.
    pub(super) fn is_locked(&self) -> bool {
        self.locks.place.load(Ordering::Relaxed)
    }

    pub(super) fn set_locked(&self, locked: bool) {
        self.locks.place.store(locked, Ordering::Relaxed);
    }

    /// Locks it and all beneath it; it may be taken away itself.
    pub(super) fn lock_tree(self: &Arc<Self>) {
        for mount in self.subtree() {
            let forbids = mount.flags() & FORBIDDING;
            mount.locks.flags.fetch_or(forbids.bits(), Ordering::Relaxed);
            mount.locks.times.store(true, Ordering::Relaxed);
            mount.set_locked(!Arc::ptr_eq(&mount, self));
        }
    }

    /// EPERM unless its flags may become `new`.
    pub(super) fn permit_flags(&self, new: MountFlags) -> Result<(), Errno> {
        let kept = MountFlags::from_bits_truncate(self.locks.flags.load(Ordering::Relaxed));
        let times = self.locks.times.load(Ordering::Relaxed);
        let changes_times = (self.flags() ^ new).intersects(MountFlags::ALL_TIMES);
        if new.contains(kept) && !(times && changes_times) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether something beneath `dentry` of it is locked: what a copy without it would show.
    pub(super) fn has_locked_beneath(&self, dentry: &Arc<crate::fs::Dentry>) -> bool {
        self.child_mounts()
            .iter()
            .any(|child| child.is_locked() && child.place().is_some_and(|place| dentry.contains(&place.dentry)))
    }
}
