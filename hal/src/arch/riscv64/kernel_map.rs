//! The kernel half: built once, before the frame allocator, from pages behind the image.
//!
//! Nothing in it is both writable and executable, by any address: the image's text and read-only data are
//! read-only in the direct map too. Each entry of the root is set here; what changes later (the stacks of further
//! CPUs) lies below them, so that every user table shares it.

use super::{
    DIRECT_MAP, DIRECT_MAP_BYTES, IMAGE, STACKS,
    entry::Image,
    paging::{self, ACCESSED, DIRTY, EXECUTABLE, GLOBAL, READABLE, VALID, WRITABLE},
    phys_to_virt,
};
use crate::{
    PAGE_SHIFT, PAGE_SIZE, PhysAddr,
    boot_info::MemoryMap,
    cpu::MAX_CPUS,
    mem::{PageFormat, TABLE_ENTRIES},
};
use core::{cell::UnsafeCell, ops::Range};

/// Bytes of a CPU's stack.
pub(super) const STACK_BYTES: usize = 64 << 10;
/// From one CPU's stack to the next: as much again is unmapped below each.
const STACK_STRIDE: usize = 2 * STACK_BYTES;
const _: () = assert!(MAX_CPUS * STACK_STRIDE <= 1 << 21, "the stacks share one table");

const READ_ONLY: u64 = VALID | READABLE | GLOBAL | ACCESSED;
const READ_WRITE: u64 = READ_ONLY | WRITABLE | DIRTY;
const READ_EXECUTE: u64 = READ_ONLY | EXECUTABLE;

/// The root entries of the kernel half.
const KERNEL_HALF: Range<usize> = TABLE_ENTRIES / 2..TABLE_ENTRIES;

#[repr(C, align(4096))]
struct Root(UnsafeCell<[u64; TABLE_ENTRIES]>);

// SAFETY: written while one CPU runs, by `Map`; only read afterwards.
unsafe impl Sync for Root {}

static ROOT: Root = Root(UnsafeCell::new([0; TABLE_ENTRIES]));

/// The root table with an empty user half.
pub(super) fn root() -> PhysAddr {
    super::boot::image_address(ROOT.0.get() as usize)
}

/// Writes the kernel half into a root table.
pub(super) fn fill_root(root: &mut [u64; TABLE_ENTRIES]) {
    // SAFETY: user tables are made after the map was built; it is only read from then on.
    let kernel = unsafe { &*ROOT.0.get() };
    root[KERNEL_HALF].copy_from_slice(&kernel[KERNEL_HALF]);
}

/// Whether `address` lies in the space below a CPU's stack.
pub(super) fn is_stack_guard(address: usize) -> bool {
    (STACKS..STACKS + MAX_CPUS * STACK_STRIDE).contains(&address) && (address - STACKS) % STACK_STRIDE < STACK_BYTES
}

/// Free pages before there is an allocator, one after the other.
pub(super) struct EarlyPages {
    start: usize,
    room: Range<usize>,
}

impl EarlyPages {
    /// Bytes that are enough: the stack, and tables for some ranges of RAM.
    pub(super) const ROOM: usize = STACK_BYTES + 64 * PAGE_SIZE;

    /// The pages of `room`, which are free RAM.
    pub(super) fn new(room: Range<usize>) -> Self {
        Self { start: room.start, room }
    }

    fn take(&mut self) -> PhysAddr {
        assert!(self.room.len() >= PAGE_SIZE, "no room for the kernel's page tables");
        let page = PhysAddr(self.room.start);
        self.room.start += PAGE_SIZE;
        page
    }

    /// Everything that was given out.
    pub(super) fn used(&self) -> Range<usize> {
        self.start..self.room.start
    }
}

/// Builds the kernel half, with the stack of CPU 0. `hidden` are parts of RAM that are the firmware's, `devices`
/// the registers that the kernel reaches. Returns where the stack lies.
pub(super) fn build(
    image: &Image,
    memory: &MemoryMap,
    hidden: &[Range<usize>],
    devices: impl Iterator<Item = Range<usize>>,
    pages: &mut EarlyPages,
) -> Range<usize> {
    let mut map = Map { pages };
    map.map(IMAGE, image.text.clone(), READ_EXECUTE);
    map.map(IMAGE + (image.rodata.start - image.text.start), image.rodata.clone(), READ_ONLY);
    map.map(IMAGE + (image.data.start - image.text.start), image.data.clone(), READ_WRITE);
    for range in &memory.usable {
        map.direct_map(range.clone(), image, hidden);
    }
    for range in devices {
        map.device(range);
    }
    let stack = stack_range(0);
    for page in stack.clone().step_by(PAGE_SIZE) {
        let frame = map.pages.take();
        map.map(page, frame.0..frame.0 + PAGE_SIZE, READ_WRITE);
    }
    stack
}

fn stack_range(cpu: usize) -> Range<usize> {
    let end = STACKS + (cpu + 1) * STACK_STRIDE;
    end - STACK_BYTES..end
}

/// Maps the [`STACK_BYTES`] at `memory`, which are a frame's run, as the stack of `cpu`; returns where it lies.
pub(super) fn map_stack(cpu: usize, memory: *mut u8) -> Range<usize> {
    let stack = stack_range(cpu);
    let physical = memory as usize - DIRECT_MAP;
    // The table is there since the map was built, for CPU 0's stack is in it: no page is taken.
    let mut map = Map { pages: &mut EarlyPages::new(0..0) };
    for (index, page) in stack.clone().step_by(PAGE_SIZE).enumerate() {
        let frame = physical + index * PAGE_SIZE;
        map.map(page, frame..frame + PAGE_SIZE, READ_WRITE);
    }
    paging::init();
    stack
}

struct Map<'a> {
    pages: &'a mut EarlyPages,
}

impl Map<'_> {
    /// Maps `physical` (whole pages) at `virt`, in pages as large as both allow.
    fn map(&mut self, virt: usize, physical: Range<usize>, bits: u64) {
        let mut at = physical.start;
        while at < physical.end {
            let to = virt + (at - physical.start);
            let level = (0..3)
                .rev()
                .find(|&level| (at | to).is_multiple_of(span(level)) && physical.end - at >= span(level))
                .expect("level 0 holds a page");
            let slot = self.slot(to, level);
            // SAFETY: a slot of the kernel half, which is being built by this CPU alone.
            unsafe { slot.write(paging::entry(PhysAddr(at), bits)) };
            at += span(level);
        }
    }

    /// Shows a range of RAM: read-only what is read-only in the image, not at all what is hidden.
    fn direct_map(&mut self, range: Range<usize>, image: &Image, hidden: &[Range<usize>]) {
        let end = (range.end & !(PAGE_SIZE - 1)).min(DIRECT_MAP_BYTES);
        let mut at = range.start.next_multiple_of(PAGE_SIZE);
        let special = |at: usize| {
            let whole = |r: &Range<usize>| r.start & !(PAGE_SIZE - 1)..r.end.next_multiple_of(PAGE_SIZE);
            let constant = image.text.start..image.rodata.end;
            let hidden = hidden.iter().map(move |r| (whole(r), 0));
            core::iter::once((constant, READ_ONLY)).chain(hidden).filter(move |(r, _)| at < r.end)
        };
        while at < end {
            let (stop, bits) = match special(at).find(|(r, _)| r.contains(&at)) {
                Some((r, bits)) => (r.end, bits),
                None => (special(at).map(|(r, _)| r.start).min().unwrap_or(end), READ_WRITE),
            };
            let stop = stop.min(end);
            if bits != 0 {
                self.map(DIRECT_MAP + at, at..stop, bits);
            }
            at = stop;
        }
    }

    /// Shows a device's registers, by the largest pages that show no RAM.
    fn device(&mut self, registers: Range<usize>) {
        let mut at = registers.start;
        while at < registers.end.min(DIRECT_MAP_BYTES) {
            let level = self.show(at);
            at = (at & !(span(level) - 1)) + span(level);
        }
    }

    /// Shows the page that holds the physical address `at`, if nothing does; returns the level that shows it.
    fn show(&mut self, at: usize) -> usize {
        for level in (0..3).rev() {
            let slot = self.slot(DIRECT_MAP + at, level);
            // SAFETY: as in `map`.
            let entry = unsafe { slot.read() };
            if entry == 0 {
                let start = at & !(span(level) - 1);
                // SAFETY: as in `map`.
                unsafe { slot.write(paging::entry(PhysAddr(start), READ_WRITE)) };
                return level;
            }
            if entry & READABLE != 0 {
                return level;
            }
        }
        unreachable!("level 0 has no tables")
    }

    /// The slot for `virt` at `level`, with tables made down to it.
    fn slot(&mut self, virt: usize, level: usize) -> *mut u64 {
        let mut table: *mut u64 = ROOT.0.get().cast();
        let index = |level: usize| (virt / span(level)) % TABLE_ENTRIES;
        for above in (level + 1..3).rev() {
            // SAFETY: within a table that is ours alone while the map is built.
            let entry = unsafe { &mut *table.add(index(above)) };
            if *entry == 0 {
                let new = self.pages.take();
                // SAFETY: a free page of RAM.
                unsafe { phys_to_virt(new).write_bytes(0, PAGE_SIZE) };
                *entry = paging::Format::table(new);
            }
            debug_assert!(*entry & READABLE == 0, "a large page is in the way");
            table = phys_to_virt(paging::Format::address(*entry)).cast();
        }
        table.wrapping_add(index(level))
    }
}

/// Bytes that an entry of `level` stands for.
const fn span(level: usize) -> usize {
    1 << (PAGE_SHIFT + 9 * level)
}
