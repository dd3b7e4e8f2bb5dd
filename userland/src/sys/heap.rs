//! A heap for the programs that want one: the shell and vctl. What nobody allocates from costs nothing.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::{NonNull, null_mut},
};
use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use talc::{
    DefaultBinning,
    base::{Talc, binning::Binning},
    source::Source,
};

use super::call;

/// What the heap takes from the kernel at a time, at least.
const GROWTH_BYTES: usize = 128 * 1024;

#[derive(Debug)]
struct Pages;

// SAFETY: `acquire` touches the allocator only through `talc`, and allocates nothing itself.
unsafe impl Source for Pages {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // Room for the block, its alignment and the allocator's own words around it.
        let bytes = (layout.size() + layout.align() + 4096).max(GROWTH_BYTES).next_multiple_of(4096);
        let base =
            call!(__NR_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0).map_err(drop)?;
        // SAFETY: the mapping is new, private and never unmapped.
        unsafe { talc.claim(core::ptr::with_exposed_provenance_mut(base), bytes) }.map(|_| ()).ok_or(())
    }
}

struct Heap(UnsafeCell<Talc<Pages, DefaultBinning>>);

// SAFETY: a program of this directory has one thread, and no signal handlers.
unsafe impl Sync for Heap {}

// SAFETY: `Talc` meets the contract of GlobalAlloc; nothing else runs while it is borrowed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread; the caller promises a layout of non-zero size.
        unsafe { (*self.0.get()).allocate(layout) }.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: one thread; the caller promises that `pointer` came from `alloc` with this layout.
        unsafe { (*self.0.get()).deallocate(pointer, layout) }
    }
}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Talc::new(Pages)));
