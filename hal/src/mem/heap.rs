//! The kernel heap: `talc` keeps the books; it takes runs of frames when it runs dry, and keeps them. A large block is a
//! run of its own, which is given back: what a program makes the kernel buffer for it once is not the heap's for ever.
//!
//! The heap may draw on the last frames of the machine; user memory may not (the kernel's memory accounting
//! keeps a reserve), so that a kernel allocation does not fail because a program filled the memory.

#[cfg(target_os = "none")]
use super::Run;

#[cfg(target_os = "none")]
mod bare {
    use super::Run;
    use crate::sync::SpinLock;
    use core::{
        alloc::{GlobalAlloc, Layout},
        ptr::{NonNull, null_mut},
        sync::atomic::{AtomicUsize, Ordering},
    };
    use talc::{
        DefaultBinning,
        base::{Talc, binning::Binning},
        source::Source,
    };

    /// What the heap takes from the frame allocator at a time, at least.
    const GROWTH_BYTES: usize = 64 * 1024;

    /// Bytes of blocks that are runs of their own.
    static LARGE_BYTES: AtomicUsize = AtomicUsize::new(0);

    /// Whether a block is a run of its own: it would take a run if the heap had to grow for it.
    fn is_large(layout: Layout) -> bool {
        layout.size() >= GROWTH_BYTES && layout.align() <= GROWTH_BYTES
    }

    #[derive(Debug)]
    struct Frames;

    // SAFETY: `acquire` touches the allocator only through `talc`, and allocates nothing itself.
    unsafe impl Source for Frames {
        fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
            // Room for the block, its alignment and the allocator's own words around it.
            let needed = layout.size() + layout.align() + 4096;
            let run = Run::new(needed.max(GROWTH_BYTES)).or_else(|_| Run::new(needed)).map_err(|_| ())?;
            let bytes = run.bytes();
            let base = run.leak();
            // SAFETY: the run is ours from here on and is given to the heap for good.
            unsafe { talc.claim(base, bytes) }.map(|_| ()).ok_or(())
        }
    }

    pub(super) struct Heap(SpinLock<Talc<Frames, DefaultBinning>>);

    // SAFETY: the lock guards the allocator, which meets GlobalAlloc's contract.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if is_large(layout) {
                let Ok(run) = Run::new(layout.size()) else { return null_mut() };
                LARGE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
                return run.leak();
            }
            // SAFETY: the caller promises a layout of non-zero size.
            unsafe { self.0.lock().allocate(layout) }.map_or(null_mut(), NonNull::as_ptr)
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            if is_large(layout) {
                LARGE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
                // SAFETY: the caller promises that `pointer` came from `alloc` with this layout, and is not used any more.
                drop(unsafe { Run::reclaim(pointer, layout.size()) });
                return;
            }
            // SAFETY: the caller promises that `pointer` came from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(pointer, layout) }
        }
    }

    #[global_allocator]
    pub(super) static HEAP: Heap = Heap(SpinLock::new(Talc::new(Frames)));

    pub(super) fn bytes_in_use() -> usize {
        HEAP.0.lock().counters().allocated_bytes + LARGE_BYTES.load(Ordering::Relaxed)
    }
}

/// Bytes that the kernel has allocated and not freed. On the development machine, where the heap is the
/// system's, this is 0.
pub fn heap_bytes_in_use() -> usize {
    #[cfg(target_os = "none")]
    return bare::bytes_in_use();
    #[cfg(not(target_os = "none"))]
    0
}
