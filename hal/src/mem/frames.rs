//! Physical frames: [`Frame`], a counted handle that frees on its last drop, and the books of who has which.
//!
//! Each frame has eight bytes of metadata: how many handles there are, and who is charged for it.

use crate::{
    PAGE_SIZE, PhysAddr, arch,
    boot_info::MemoryMap,
    sync::{Once, SpinLock},
};
use core::{
    ops::Range,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

mod buddy;

use buddy::{Buddy, FREE_HEAD, MAX_ORDER};

/// No frame is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

/// Who is charged for a frame: a number that the kernel chose, given back to its [`Ledger`] when the frame is
/// freed. `Owner::KERNEL` is charged to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub u32);

impl Owner {
    /// The kernel itself.
    pub const KERNEL: Self = Self(0);
}

/// Is told when a frame that was given to an [`Owner`] other than the kernel is freed.
pub trait Ledger: Sync {
    /// One frame of `owner` is free again. Called without any lock of hal's.
    fn released(&self, owner: Owner);
}

static LEDGER: Once<&'static dyn Ledger> = Once::new();

/// Registers the one ledger. The first call counts.
pub fn set_ledger(ledger: &'static dyn Ledger) {
    LEDGER.call_once(|| ledger);
}

/// How many frames there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameStatistics {
    /// Frames that the allocator was given at boot.
    pub total: usize,
    /// Frames that are free now.
    pub free: usize,
}

/// Counts as of now.
pub fn statistics() -> FrameStatistics {
    FrameStatistics { total: TOTAL.load(Ordering::Relaxed), free: FREE.load(Ordering::Relaxed) }
}

/// Tells the ledger of a freed frame.
fn release_charge(owner: Owner) {
    if owner != Owner::KERNEL
        && let Some(ledger) = LEDGER.get()
    {
        ledger.released(owner);
    }
}

static TOTAL: AtomicUsize = AtomicUsize::new(0);
static FREE: AtomicUsize = AtomicUsize::new(0);

struct Metadata {
    /// Handles to the frame; 0 when it is free or not managed.
    handles: AtomicU32,
    /// [`Owner`]; of the first frame of a free run [`FREE_HEAD`] plus the order.
    owner: AtomicU32,
}

struct Table {
    first: usize,
    metadata: &'static [Metadata],
}

static TABLE: Once<Table> = Once::new();
static BUDDY: SpinLock<Buddy> = SpinLock::new(Buddy::new());

#[inline]
fn metadata(frame_number: usize) -> &'static Metadata {
    let table = TABLE.get().expect("frames are used before mem::init");
    &table.metadata[frame_number - table.first]
}

/// See [`super::init`].
pub(super) unsafe fn init(map: &MemoryMap) {
    let low = map.usable.iter().map(|r| r.start).min().expect("the machine has memory") / PAGE_SIZE;
    let high = map.usable.iter().map(|r| r.end).max().expect("the machine has memory") / PAGE_SIZE;
    let bytes = ((high - low) * size_of::<Metadata>()).next_multiple_of(PAGE_SIZE);
    let place = map.free_ranges().find(|r| r.len() >= bytes).expect("no room for the frame metadata").start;
    let base: *mut Metadata = arch::phys_to_virt(PhysAddr(place)).cast();
    // SAFETY: `place` is usable RAM that nobody uses, large enough; zero bytes are a valid Metadata.
    let metadata = unsafe {
        base.cast::<u8>().write_bytes(0, bytes);
        core::slice::from_raw_parts(base, high - low)
    };
    TABLE.call_once(|| Table { first: low, metadata });
    let mut map = map.clone();
    map.reserved.push(place..place + bytes).expect("too many reserved ranges");
    let mut buddy = BUDDY.lock();
    for range in map.free_ranges() {
        TOTAL.fetch_add(range.len() / PAGE_SIZE, Ordering::Relaxed);
        let mut at = range.start / PAGE_SIZE;
        let end = range.end / PAGE_SIZE;
        while at < end {
            let aligned = (at.trailing_zeros() as usize).min(MAX_ORDER);
            let order = aligned.min((end - at).ilog2() as usize);
            buddy.give(at, order);
            at += 1 << order;
        }
    }
    if let Some(initrd) = &map.initrd {
        for frame_number in initrd.start / PAGE_SIZE..initrd.end.div_ceil(PAGE_SIZE) {
            if (low..high).contains(&frame_number) {
                // One handle that is never dropped: the frame is never freed.
                metadata[frame_number - low].handles.store(1, Ordering::Relaxed);
            }
        }
    }
}

/// A handle to a frame. Clones share the frame; the last drop frees it and tells the [`Ledger`].
#[derive(PartialEq, Eq)]
pub struct Frame {
    number: usize,
}

impl Frame {
    /// A frame filled with zeros, charged to `owner` (who was asked before: the ledger only hears of releases).
    pub fn zeroed(owner: Owner) -> Result<Self, OutOfFrames> {
        let frame = Self::unfilled(owner)?;
        frame.fill_zero();
        Ok(frame)
    }

    /// A frame with the contents of `original`, charged to `owner`.
    pub fn copy_of(original: &Self, owner: Owner) -> Result<Self, OutOfFrames> {
        let frame = Self::unfilled(owner)?;
        // SAFETY: two distinct frames, both live; a user program that writes the original meanwhile gives
        // bytes, never undefined values, through raw pointers.
        unsafe { core::ptr::copy_nonoverlapping(original.pointer(), frame.pointer(), PAGE_SIZE) };
        Ok(frame)
    }

    fn unfilled(owner: Owner) -> Result<Self, OutOfFrames> {
        // Larger numbers mark free runs.
        assert!(owner.0 < FREE_HEAD, "{owner:?} is no owner");
        let number = BUDDY.lock().take(0).ok_or(OutOfFrames)?;
        let metadata = metadata(number);
        metadata.handles.store(1, Ordering::Relaxed);
        metadata.owner.store(owner.0, Ordering::Relaxed);
        Ok(Self { number })
    }

    /// A handle to a frame of the initial RAM disk.
    pub(crate) fn of_boot_memory(address: PhysAddr) -> Option<Self> {
        let table = TABLE.get()?;
        let index = address.frame_number().checked_sub(table.first)?;
        let entry = table.metadata.get(index)?;
        if entry.handles.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Self::further_handle(address.frame_number()))
    }

    /// Where the frame lies.
    pub fn address(&self) -> PhysAddr {
        PhysAddr(self.number * PAGE_SIZE)
    }

    /// Who is charged for it.
    pub fn owner(&self) -> Owner {
        Owner(metadata(self.number).owner.load(Ordering::Relaxed))
    }

    /// Whether there are other handles to it.
    pub fn is_shared(&self) -> bool {
        self.handles() > 1
    }

    /// How many handles there are to it, this one included.
    pub fn handles(&self) -> u32 {
        metadata(self.number).handles.load(Ordering::Acquire)
    }

    /// Copies bytes out of the frame from `offset` on. Panics past the frame's end.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        assert!(offset <= PAGE_SIZE && to.len() <= PAGE_SIZE - offset, "read past the end of a frame");
        // SAFETY: within the frame; `to` is a kernel buffer, which no frame handed out as a Frame overlaps.
        unsafe { core::ptr::copy_nonoverlapping(self.pointer().add(offset), to.as_mut_ptr(), to.len()) };
    }

    /// Copies bytes into the frame from `offset` on. Panics past the frame's end.
    pub fn write(&self, offset: usize, from: &[u8]) {
        assert!(offset <= PAGE_SIZE && from.len() <= PAGE_SIZE - offset, "write past the end of a frame");
        // SAFETY: as in `read`. Other handles may see the bytes change: they are plain bytes.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), self.pointer().add(offset), from.len()) };
    }

    /// A word of the frame, to be changed in one step. Panics unless `offset` is a multiple of four within the frame.
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset < PAGE_SIZE, "no word of a frame");
        // SAFETY: aligned and within the frame, which lives as long as this handle; whoever else changes it does so
        // by plain bytes or as an atomic, and all values are valid.
        unsafe { AtomicU32::from_ptr(self.pointer().add(offset).cast()) }
    }

    /// Fills part of the frame with zeros. Panics past the frame's end.
    pub fn zero(&self, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= PAGE_SIZE, "zero past the end of a frame");
        // SAFETY: within the frame.
        unsafe { self.pointer().add(range.start).write_bytes(0, range.len()) };
    }

    fn fill_zero(&self) {
        self.zero(0..PAGE_SIZE);
    }

    pub(crate) fn pointer(&self) -> *mut u8 {
        arch::phys_to_virt(self.address())
    }

    /// Gives up the handle for an address that a page-table entry keeps.
    pub(crate) fn into_address(self) -> PhysAddr {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes back what [`Self::into_address`] gave.
    ///
    /// # Safety
    /// Once for each `into_address`.
    pub(crate) unsafe fn from_address(address: PhysAddr) -> Self {
        Self { number: address.frame_number() }
    }

    /// A further handle to the frame that a page-table entry keeps.
    ///
    /// # Safety
    /// The entry's own handle exists throughout the call.
    pub(crate) unsafe fn borrow_address(address: PhysAddr) -> Self {
        Self::further_handle(address.frame_number())
    }

    /// One more handle to a frame that has one.
    fn further_handle(number: usize) -> Self {
        let before = metadata(number).handles.fetch_add(1, Ordering::Relaxed);
        // As `Arc` does: long before the count can wrap and the frame be freed under its handles.
        assert!(before < u32::MAX / 2, "too many handles to a frame");
        Self { number }
    }
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        Self::further_handle(self.number)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let metadata = metadata(self.number);
        if metadata.handles.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let owner = Owner(metadata.owner.load(Ordering::Relaxed));
        BUDDY.lock().give(self.number, 0);
        release_charge(owner);
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "frame {:#x}", self.number)
    }
}

/// A run of 2^order frames for the kernel itself (heap, page-table pages of CPUs, DMA), freed on drop.
#[cfg(any(test, target_os = "none"))]
pub(crate) struct Run {
    number: usize,
    order: usize,
}

#[cfg(any(test, target_os = "none"))]
impl Run {
    /// At least `bytes`, aligned to its own (power of two) size, not zeroed.
    pub(crate) fn new(bytes: usize) -> Result<Self, OutOfFrames> {
        let order = Self::order(bytes);
        if order > MAX_ORDER {
            return Err(OutOfFrames);
        }
        let number = BUDDY.lock().take(order).ok_or(OutOfFrames)?;
        // Each frame counts as used, so that no buddy merges into the middle of the run.
        for n in number..number + (1 << order) {
            metadata(n).handles.store(1, Ordering::Relaxed);
            metadata(n).owner.store(0, Ordering::Relaxed);
        }
        Ok(Self { number, order })
    }

    fn order(bytes: usize) -> usize {
        bytes.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros() as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        PAGE_SIZE << self.order
    }

    /// Gives the run up for its pointer.
    #[cfg(target_os = "none")]
    pub(crate) fn leak(self) -> *mut u8 {
        let pointer = arch::phys_to_virt(PhysAddr(self.number * PAGE_SIZE));
        core::mem::forget(self);
        pointer
    }

    /// The run that was given up for `pointer`, of at least `bytes`.
    ///
    /// # Safety
    /// `pointer` came from [`Self::leak`] of a run that was made for as many bytes, and nothing uses it any more.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn reclaim(pointer: *mut u8, bytes: usize) -> Self {
        let offset = pointer.addr() - arch::phys_to_virt(PhysAddr(0)).addr();
        Self { number: offset / PAGE_SIZE, order: Self::order(bytes) }
    }
}

#[cfg(any(test, target_os = "none"))]
impl Drop for Run {
    fn drop(&mut self) {
        for n in self.number..self.number + (1 << self.order) {
            metadata(n).handles.store(0, Ordering::Relaxed);
        }
        BUDDY.lock().give(self.number, self.order);
    }
}

#[cfg(test)]
pub(super) mod tests;
