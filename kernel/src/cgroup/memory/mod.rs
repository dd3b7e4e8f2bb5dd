//! The memory controller (cgroup v2 `memory.*`): a frame is charged when it is given out, to the group of the task
//! that asked and to every group above it, and uncharged when its last handle is dropped. Memory of the kernel's own
//! that a task makes it take is charged by bytes ([`KernelCharge`]).
//!
//! Nothing can be reclaimed: there is no swap, and files live in memory. So a charge over `memory.max` is refused, and
//! who goes over `memory.high` is slowed down ([`take_slowdown`]).

mod group;
mod kernel;
mod stat;

pub use group::{Limit, MemoryGroup};
pub use kernel::{KernelCharge, KernelPage};
pub use stat::{Event, Kind, MemoryStat};

use core::sync::atomic::{AtomicBool, Ordering};
use group::GROUPS;
use veridian_hal::{
    mem::{self, Owner},
    sync::PerCpu,
};

/// No frame: a group is at its limit, or the machine has no more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl From<OutOfMemory> for veridian_containers::abi::Errno {
    fn from(_: OutOfMemory) -> Self {
        Self::ENOMEM
    }
}

/// Frames that user memory leaves to the kernel's own heap, so that the kernel can go on when programs have
/// filled the machine: 1/32 of it, at least 128 (512 KiB). What programs make the kernel keep for them may take half.
fn reserve() -> usize {
    (mem::statistics().total / 32).max(128)
}

/// Hears from hal of each frame that is freed.
pub struct Books;

impl mem::Ledger for Books {
    fn released(&self, owner: Owner) {
        release(owner);
    }
}

/// One frame less on the books of who was charged for it.
fn release(owner: Owner) {
    let (key, kind) = group::of_owner(owner);
    let group = GROUPS.read().get(key).cloned();
    let group = group.expect("a group stays on the books while it owns frames");
    group.uncharge(kind, 1);
    group.forget_if_empty();
}

/// Groups on the books.
pub fn groups() -> usize {
    GROUPS.read().len()
}

/// Whether a charge went over a `memory.high`, for each CPU.
static SLOWDOWN: PerCpu<AtomicBool> = PerCpu::initial();

/// Whether [`take_slowdown`] has something to tell.
pub fn owes_slowdown() -> bool {
    SLOWDOWN.get().load(Ordering::Relaxed)
}

/// Whether something was charged on this CPU over a `memory.high` since this was last asked: whoever runs here is to
/// look at [`MemoryGroup::penalty_ns`] before it goes back to user mode.
pub fn take_slowdown() -> bool {
    let flag = SLOWDOWN.get();
    flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Relaxed)
}

#[cfg(test)]
pub(super) mod tests;
