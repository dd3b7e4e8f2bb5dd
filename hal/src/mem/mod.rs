//! Memory: frames that have owners, page tables that own what they map, the kernel heap.
//!
//! [`init`] is given the loader's memory map by the architecture's entry code and runs once, before the
//! first allocation. Lock order: a page table's lock, then the frame allocator's; the heap's, then the
//! frame allocator's.

mod copy_on_write;
mod frames;
mod heap;
mod paging;

pub use copy_on_write::Claim;
pub use frames::{Frame, FrameStatistics, Ledger, OutOfFrames, Owner, set_ledger, statistics};
pub use heap::heap_bytes_in_use;
pub use paging::{FrameSource, MapError, PageTable, Protection, leave_address_space};

#[cfg(target_os = "none")]
pub(crate) use frames::Run;
pub(crate) use paging::{PageFormat, TABLE_ENTRIES};

use crate::boot_info::MemoryMap;

/// Hands all usable memory to the frame allocator.
///
/// # Safety
/// To be called once, on one CPU; every usable and not reserved byte of `map` is RAM, reached through
/// [`crate::arch::phys_to_virt`], and used by nobody.
pub unsafe fn init(map: &MemoryMap) {
    // SAFETY: the caller's promise, passed on.
    unsafe { frames::init(map) }
}

/// The simulated machine for one test at a time: they count frames, which all tests of the process share.
#[cfg(test)]
fn test_machine() -> impl Drop {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    // A test that panicked has said so itself.
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    crate::arch::hosted::init(64 << 20);
    set_ledger(&frames::tests::TEST_LEDGER);
    leave_address_space();
    guard
}
