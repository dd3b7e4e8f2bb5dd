//! The kernel half of the address space, the same in every table.
//!
//! | addresses | what |
//! | --- | --- |
//! | `0xffff_8000_0000_0000` .. | the direct map: all RAM, writable, not executable; the kernel's text and constants in it are read-only |
//! | `0xffff_ffff_8000_0000` .. | the kernel image: text executable, constants read-only, the rest writable |
//! | `0xffff_ffff_c000_0000` .. | the window: stacks with a guard page below each, device registers |
//!
//! Nothing is both writable and executable, and page 0 is not mapped.

use super::instructions::{cpuid, write_cr3};
use crate::{
    PAGE_SIZE, PhysAddr,
    boot_info::MemoryMap,
    mem::{OutOfFrames, Run, TABLE_ENTRIES},
    sync::SpinLock,
};
use core::{
    ops::Range,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

pub(super) const KERNEL_BASE: usize = 0xffff_ffff_8000_0000;
const DIRECT_MAP: usize = 0xffff_8000_0000_0000;
const WINDOW: usize = 0xffff_ffff_c000_0000;
/// What one entry of the root table spans, and so the direct map's limit.
pub(super) const MOST_PHYSICAL: usize = 512 << 30;
/// What the tables that the image starts with map.
pub(super) const BOOT_MAPPED: usize = 1 << 30;

const LARGE: usize = 2 << 20;
const HUGE: usize = 1 << 30;

/// Bits of an entry.
pub(super) mod bits {
    pub const PRESENT: u64 = 1;
    pub const WRITE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    /// Both cache-control bits: uncached.
    pub const UNCACHED: u64 = 1 << 3 | 1 << 4;
    pub const ACCESSED: u64 = 1 << 5;
    pub const DIRTY: u64 = 1 << 6;
    pub const LEAF: u64 = 1 << 7;
    pub const GLOBAL: u64 = 1 << 8;
    pub const NO_EXECUTE: u64 = 1 << 63;
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}
use bits::{ACCESSED, ADDRESS, DIRTY, GLOBAL, LEAF, NO_EXECUTE, PRESENT, UNCACHED, WRITE};

const READ_ONLY: u64 = PRESENT | ACCESSED | GLOBAL | NO_EXECUTE;
const READ_WRITE: u64 = READ_ONLY | WRITE | DIRTY;
const READ_EXECUTE: u64 = PRESENT | ACCESSED | GLOBAL;

unsafe extern "C" {
    static kernel_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static boot_stack_guard: u8;
    static boot_stack: u8;
    static boot_stack_top: u8;
    static kernel_end: u8;
}

/// The kernel's root table; 0 before [`init`].
static ROOT: AtomicUsize = AtomicUsize::new(0);
/// The next free address of the window.
static WINDOW_NEXT: AtomicUsize = AtomicUsize::new(WINDOW);
/// Frames for tables before the frame allocator is up: next and end.
static EARLY: SpinLock<Range<usize>> = SpinLock::new(0..0);
/// Guards the kernel half while something is added to it.
static TABLES: SpinLock<()> = SpinLock::new(());

/// Where the kernel sees physical memory.
#[inline]
pub(crate) fn phys_to_virt(address: PhysAddr) -> *mut u8 {
    (DIRECT_MAP + address.0) as *mut u8
}

/// The physical addresses of the kernel image.
pub(super) fn image() -> Range<usize> {
    physical(&raw const kernel_start)..physical(&raw const kernel_end)
}

/// The stack that CPU 0 runs on.
pub(super) fn boot_stack_of_cpu_0() -> Stack {
    Stack { start: &raw const boot_stack as usize, end: &raw const boot_stack_top as usize }
}

fn physical(symbol: *const u8) -> usize {
    symbol as usize - KERNEL_BASE
}

/// The root table.
pub(super) fn root() -> usize {
    ROOT.load(Ordering::Relaxed)
}

/// Builds the kernel half and loads it; from then on all usable memory of `map` is in the direct map. Adds what it
/// takes to `map`'s reserved ranges.
pub(super) fn init(map: &mut MemoryMap) {
    let most = map.usable.iter().map(|r| r.end).max().expect("the machine has memory");
    // A table for each GiB, and for the rest: root, three middle tables, those of the image (twice) and the window.
    let bytes = (most.div_ceil(HUGE) + 12 + 2 * image().len().div_ceil(LARGE)) * PAGE_SIZE;
    let place = map
        .free_ranges()
        .map(|r| r.start..r.end.min(BOOT_MAPPED))
        .filter(|r| r.end <= BOOT_MAPPED)
        .find(|r| r.len() >= bytes)
        .expect("no room for the kernel's page tables");
    *EARLY.lock() = place.start..place.start + bytes;
    ROOT.store(table_frame().expect("counted above"), Ordering::Relaxed);

    let read_only = physical(&raw const kernel_start)..physical(&raw const rodata_end);
    let huge_pages = cpuid(0x8000_0001, 0).edx & 1 << 26 != 0;
    let mut mapped_to = 0;
    for range in &map.usable {
        let mut at = (range.start / LARGE * LARGE).max(mapped_to);
        let end = range.end.next_multiple_of(LARGE);
        while at < end {
            let virt = DIRECT_MAP + at;
            if huge_pages && at % HUGE == 0 && at + HUGE <= end && !overlap(&(at..at + HUGE), &read_only) {
                map_early(virt, at, 2, READ_WRITE);
                at += HUGE;
            } else if overlap(&(at..at + LARGE), &read_only) {
                for page in (at..at + LARGE).step_by(PAGE_SIZE) {
                    let rights = if read_only.contains(&page) { READ_ONLY } else { READ_WRITE };
                    map_early(DIRECT_MAP + page, page, 0, rights);
                }
                at += LARGE;
            } else {
                map_early(virt, at, 1, READ_WRITE);
                at += LARGE;
            }
        }
        mapped_to = mapped_to.max(end);
    }
    let guard = &raw const boot_stack_guard as usize;
    for page in (&raw const kernel_start as usize..&raw const kernel_end as usize).step_by(PAGE_SIZE) {
        let rights = if page < &raw const text_end as usize {
            READ_EXECUTE
        } else if page < &raw const rodata_end as usize {
            READ_ONLY
        } else if page == guard {
            continue;
        } else {
            READ_WRITE
        };
        map_early(page, page - KERNEL_BASE, 0, rights);
    }
    // SAFETY: the table maps the running code, its stack and its data where they are now.
    unsafe { write_cr3(root() as u64) };
    let mut early = EARLY.lock();
    map.reserved.push(place.start..early.start).expect("room for one more reserved range");
    *early = 0..0;
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// A zeroed frame for a table.
fn table_frame() -> Result<usize, OutOfFrames> {
    let early = {
        let mut early = EARLY.lock();
        (early.start < early.end).then(|| {
            let frame = early.start;
            early.start += PAGE_SIZE;
            frame
        })
    };
    let frame = match early {
        Some(frame) => frame,
        None => Run::new(PAGE_SIZE)?.leak() as usize - DIRECT_MAP,
    };
    // SAFETY: the frame is ours and is mapped: by the direct map, or early on by the boot tables.
    unsafe { phys_to_virt(PhysAddr(frame)).write_bytes(0, PAGE_SIZE) };
    Ok(frame)
}

fn map_early(virt: usize, phys: usize, level: usize, rights: u64) {
    map(virt, phys, level, rights).expect("as many frames as counted");
}

/// Maps one page of level `level` (0: 4 KiB, 1: 2 MiB, 2: 1 GiB) where nothing is mapped.
fn map(virt: usize, phys: usize, level: usize, rights: u64) -> Result<(), OutOfFrames> {
    let mut table = root();
    for l in (level + 1..4).rev() {
        let slot = slot(table, virt, l);
        // The kernel half's middle tables allow all; the leaves decide.
        if slot.load(Ordering::Relaxed) & PRESENT == 0 {
            slot.store(table_frame()? as u64 | PRESENT | WRITE | ACCESSED, Ordering::Release);
        }
        table = (slot.load(Ordering::Relaxed) & ADDRESS) as usize;
    }
    let large = if level == 0 { 0 } else { LEAF };
    slot(table, virt, level).store(phys as u64 | rights | large, Ordering::Release);
    Ok(())
}

/// The entry for `virt` in the table of level `level` at `table`.
fn slot(table: usize, virt: usize, level: usize) -> &'static AtomicU64 {
    let index = virt >> (12 + 9 * level) & (TABLE_ENTRIES - 1);
    // SAFETY: `table` is a live table of the kernel half (those are never freed), and the index is within it.
    unsafe { &*phys_to_virt(PhysAddr(table)).cast::<AtomicU64>().add(index) }
}

/// Whether the direct map has the page of this physical address.
fn in_direct_map(phys: usize) -> bool {
    let mut table = root();
    for level in (0..4).rev() {
        let entry = slot(table, DIRECT_MAP + phys, level).load(Ordering::Relaxed);
        if entry & PRESENT == 0 {
            return false;
        }
        if level == 0 || entry & LEAF != 0 {
            return true;
        }
        table = (entry & ADDRESS) as usize;
    }
    false
}

/// Maps `bytes` of physical memory that no driver writes (firmware tables), unless the direct map has them.
pub(super) fn firmware_bytes(phys: usize, bytes: usize) -> Option<&'static [u8]> {
    let end = phys.checked_add(bytes).filter(|&end| end <= MOST_PHYSICAL)?;
    let pages = phys / PAGE_SIZE * PAGE_SIZE..end;
    let pointer = if pages.clone().step_by(PAGE_SIZE).all(in_direct_map) {
        phys_to_virt(PhysAddr(phys))
    } else {
        window(phys, bytes, READ_ONLY).ok()?
    };
    // SAFETY: mapped for reading; the firmware's tables are in no range that the frame allocator has.
    Some(unsafe { core::slice::from_raw_parts(pointer, bytes) })
}

/// Maps device registers, uncached, for good.
pub(super) fn map_device(phys: usize, bytes: usize) -> Result<*mut u8, OutOfFrames> {
    window(phys, bytes, READ_WRITE | UNCACHED)
}

fn window(phys: usize, bytes: usize, rights: u64) -> Result<*mut u8, OutOfFrames> {
    let offset = phys % PAGE_SIZE;
    let size = (offset + bytes).next_multiple_of(PAGE_SIZE);
    let _tables = TABLES.lock();
    let virt = WINDOW_NEXT.fetch_add(size, Ordering::Relaxed);
    assert!(virt.checked_add(size).is_some(), "the kernel's window is full");
    for page in (0..size).step_by(PAGE_SIZE) {
        map(virt + page, phys - offset + page, 0, rights)?;
    }
    Ok((virt + offset) as *mut u8)
}

/// A kernel stack, for good.
#[derive(Clone, Copy)]
pub(super) struct Stack {
    start: usize,
    end: usize,
}

impl Stack {
    /// A stack of `bytes` (a power of two of pages) with an unmapped page below it.
    pub(super) fn new(bytes: usize) -> Result<Self, OutOfFrames> {
        let phys = Run::new(bytes)?.leak() as usize - DIRECT_MAP;
        WINDOW_NEXT.fetch_add(PAGE_SIZE, Ordering::Relaxed);
        let start = window(phys, bytes, READ_WRITE)? as usize;
        Ok(Self { start, end: start + bytes })
    }

    /// Its addresses.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}
