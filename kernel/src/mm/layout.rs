//! Where things lie in an address space, and how each program's places are drawn at random.

use veridian_hal::{PAGE_SIZE, UserAddr, arch::USER_END, mem};

/// No mapping begins below (Linux's vm.mmap_min_addr): a null pointer with an offset faults.
pub const LOWEST: usize = 64 * 1024;
/// First address behind what may be mapped. The last page of the user half stays free, so that no system-call
/// instruction ends at its very end (x86_64 would return to a non-canonical address).
pub const TOP: usize = USER_END - PAGE_SIZE;
/// The initial stack grows down from here, or from a random place below. Above it is room for the vDSO.
pub const STACK_TOP: usize = TOP - PAGE_SIZE;
/// What one table of pages maps.
const TABLE_SPAN: usize = PAGE_SIZE * 512;
/// Areas that a space may have (Linux's vm.max_map_count).
pub const AREAS_MAX: usize = 65530;
/// What a stack may grow to (RLIMIT_STACK), in bytes.
pub const STACK_BYTES: usize = 8 << 20;
/// Bytes between a stack and what lies below it, so that an overflow faults instead of writing there.
pub const STACK_GUARD_GAP: usize = 256 * PAGE_SIZE;
/// What the stack has to itself below its top, at least and at most, whatever it may grow to (as on Linux).
const STACK_ROOM: core::ops::RangeInclusive<usize> = 128 << 20..=TOP / 6 * 5;
/// Where a position-independent program is loaded (Linux's ELF_ET_DYN_BASE), or a random bit above.
pub const PIE_BASE: usize = TOP / 3 * 2 / PAGE_SIZE * PAGE_SIZE;
/// How far mappings and position-independent programs are moved at random: 28 bits of pages where user addresses have
/// 47 bits, as on Linux.
const MAPPING_SPAN: usize = USER_END.next_power_of_two() / 128;
/// How far the stack is moved at random.
const STACK_SPAN: usize = USER_END.next_power_of_two() / 256;
/// How far the heap is moved away from the program at random.
const HEAP_SPAN: usize = 32 << 20;

/// Where the parts of a program lie that no file gives a place to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The initial stack grows down from here.
    pub stack_top: usize,
    /// The vDSO: above the stack, where the stack's own table maps it too.
    pub vdso: usize,
    /// Mappings without an address are placed below this, the highest first.
    pub mmap_top: usize,
    /// Where a position-independent program is loaded.
    pub pie_base: usize,
    /// Bytes between the program and its heap.
    pub heap_gap: usize,
}

impl Layout {
    /// The same in each run, for a stack that may grow to `stack` bytes.
    pub fn fixed(stack: usize) -> Self {
        Self::moved([0; 4], stack)
    }

    /// A layout drawn by `random` bits, for a stack that may grow to `stack` bytes.
    pub fn random(random: [u64; 4], stack: usize) -> Self {
        Self::moved(random.map(|bits| bits as usize), stack)
    }

    fn moved([stack_bits, mmap_bits, pie_bits, heap_bits]: [usize; 4], stack: usize) -> Self {
        let pages = |bits: usize, span: usize| bits % span / PAGE_SIZE * PAGE_SIZE;
        let mut stack_top = STACK_TOP - pages(stack_bits, STACK_SPAN);
        if stack_top.is_multiple_of(TABLE_SPAN) {
            stack_top -= PAGE_SIZE;
        }
        let above = stack_top.next_multiple_of(TABLE_SPAN).min(TOP) - stack_top;
        let vdso = stack_top + pages(stack_bits / STACK_SPAN * PAGE_SIZE, above);
        let room = stack.saturating_add(STACK_GUARD_GAP).clamp(*STACK_ROOM.start(), *STACK_ROOM.end());
        // With the least room for mappings there is none to move them in.
        let highest = stack_top.saturating_sub(room) / PAGE_SIZE * PAGE_SIZE;
        let mmap_top = highest.checked_sub(pages(mmap_bits, MAPPING_SPAN)).filter(|&top| top >= TOP / 8);
        Self {
            stack_top,
            vdso,
            mmap_top: mmap_top.unwrap_or(highest),
            pie_base: PIE_BASE + pages(pie_bits, MAPPING_SPAN),
            heap_gap: pages(heap_bits, HEAP_SPAN),
        }
    }
}

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
