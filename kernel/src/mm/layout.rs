//! Where things lie in an address space. Nothing is placed at random yet: the same program gets the same
//! addresses in each run.

use veridian_hal::{PAGE_SIZE, UserAddr, arch::USER_END, mem};

/// No mapping begins below (Linux's vm.mmap_min_addr): a null pointer with an offset faults.
pub const LOWEST: usize = 64 * 1024;
/// First address behind what may be mapped. The last page of the user half stays free, so that no system-call
/// instruction ends at its very end (x86_64 would return to a non-canonical address).
pub const TOP: usize = USER_END - PAGE_SIZE;
/// The initial stack grows down from here.
pub const STACK_TOP: usize = TOP;
/// Areas that a space may have (Linux's vm.max_map_count).
pub const AREAS_MAX: usize = 65530;
/// What a stack may grow to (RLIMIT_STACK), in bytes.
pub const STACK_BYTES: usize = 8 << 20;
/// Bytes between a stack and what lies below it, so that an overflow faults instead of writing there.
pub const STACK_GUARD_GAP: usize = 256 * PAGE_SIZE;
/// Mappings without an address are placed below this, the highest first. Linux leaves the stack no less.
pub const MMAP_TOP: usize = STACK_TOP - (128 << 20);
/// Where a position-independent program is loaded (Linux's ELF_ET_DYN_BASE).
pub const PIE_BASE: usize = TOP / 3 * 2 / PAGE_SIZE * PAGE_SIZE;

/// `length` rounded up to whole pages; `None` when that wraps.
pub(super) fn whole_pages(length: usize) -> Option<usize> {
    length.checked_next_multiple_of(PAGE_SIZE)
}

/// The pages that `length` bytes at `start` touch, if they are mappable and `start` is page-aligned.
pub(super) fn user_range(start: UserAddr, length: usize) -> Option<core::ops::Range<usize>> {
    let end = start.0.checked_add(whole_pages(length)?)?;
    (start.is_page_aligned() && end <= TOP).then_some(start.0..end)
}

/// Whether the machine has frames enough for `bytes`, were it empty.
pub fn machine_holds(bytes: usize) -> bool {
    bytes / PAGE_SIZE <= mem::statistics().total
}
