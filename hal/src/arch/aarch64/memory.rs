//! The kernel's half of the address space, and the format of page-table entries.
//!
//! | from | what | rights |
//! | --- | --- | --- |
//! | [`DIRECT`] | all RAM, at its physical address | read, write; the image's text and constants read only |
//! | [`DEVICES`] | device registers, at their physical address | read, write, not cached |
//! | [`IMAGE_BASE`] | the kernel image | text: execute; constants: read; data: read, write |
//! | [`STACKS`] | one stack for each CPU, an unmapped gap of its size below it | read, write |
//!
//! Tables stand before the heap does: they are taken from the memory behind the image ([`EarlyFrames`]). The
//! user half (TTBR0) has a table of its own for each address space, so a root knows nothing of the kernel.

use super::{caches, registers::synchronize};
use crate::{
    PAGE_SIZE, PhysAddr,
    mem::{PageFormat, Protection, TABLE_ENTRIES},
};
use core::{
    arch::asm,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Where the kernel sees physical memory.
pub(super) const DIRECT: usize = 0xffff_0000_0000_0000;
/// Where it sees devices.
const DEVICES: usize = 0xffff_8000_0000_0000;
/// Where the linker script puts the image.
pub(super) const IMAGE_BASE: usize = 0xffff_ffff_8000_0000;
/// The CPUs' stacks, in the same gigabyte as the image.
pub(super) const STACKS: usize = IMAGE_BASE + 0x3000_0000;
/// From one CPU's stack to the next: the upper half is stack, the lower is the gap that catches an overflow. The
/// vectors tell the two by one bit of the stack pointer.
pub(super) const STACK_SLOT: usize = 128 * 1024;
/// Bytes of a CPU's stack.
pub(super) const STACK_BYTES: usize = STACK_SLOT / 2;

/// Physical address of the upper half's root table; read by CPUs that start.
pub(super) static KERNEL_ROOT: AtomicUsize = AtomicUsize::new(0);
/// Physical address of [`super::entry::switch_trampoline`], for the same readers.
pub(super) static SWITCH_TRAMPOLINE: AtomicUsize = AtomicUsize::new(0);
/// Physical address less link address of the image.
static IMAGE_OFFSET: AtomicUsize = AtomicUsize::new(0);

/// First address behind the user half: 48 bits.
pub const USER_END: usize = 1 << 48;

#[inline]
pub(crate) fn phys_to_virt(address: PhysAddr) -> *mut u8 {
    (DIRECT + address.0) as *mut u8
}

/// Where a device's registers are seen, once [`build`] has been given them.
pub(super) fn device(address: usize) -> *mut u8 {
    (DEVICES + address) as *mut u8
}

/// Physical address of something in the kernel image.
pub(super) fn image_address<T>(object: *const T) -> usize {
    (object as usize).wrapping_add(IMAGE_OFFSET.load(Ordering::Relaxed))
}

/// Top of a CPU's stack. Not the very end: the stack pointer never leaves the stack's own half of the slot.
pub(super) fn stack_top(cpu: usize) -> usize {
    STACKS + (cpu + 1) * STACK_SLOT - 16
}

/// Addresses that a CPU's stack may hold.
pub(super) fn stack_range(cpu: usize) -> Range<usize> {
    let end = STACKS + (cpu + 1) * STACK_SLOT;
    end - STACK_BYTES..end
}

mod bits {
    pub const VALID: u64 = 1;
    /// A table, or at the lowest level a page.
    pub const TABLE: u64 = 1 << 1;
    pub const DEVICE: u64 = 1 << 2;
    pub const USER: u64 = 1 << 6;
    pub const READ_ONLY: u64 = 1 << 7;
    pub const INNER_SHAREABLE: u64 = 3 << 8;
    pub const ACCESSED: u64 = 1 << 10;
    pub const NOT_GLOBAL: u64 = 1 << 11;
    pub const KERNEL_NO_EXECUTE: u64 = 1 << 53;
    pub const USER_NO_EXECUTE: u64 = 1 << 54;
    pub const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
}

const NORMAL: u64 = bits::VALID | bits::INNER_SHAREABLE | bits::ACCESSED | bits::USER_NO_EXECUTE;

/// Rights of a stretch of the kernel's half. There is no variant that may be both written and executed.
#[derive(Clone, Copy)]
enum Rights {
    Text,
    Constants,
    Data,
    Device,
}

impl Rights {
    fn bits(self) -> u64 {
        match self {
            Self::Text => NORMAL | bits::READ_ONLY,
            Self::Constants => NORMAL | bits::READ_ONLY | bits::KERNEL_NO_EXECUTE,
            Self::Data => NORMAL | bits::KERNEL_NO_EXECUTE,
            Self::Device => NORMAL | bits::KERNEL_NO_EXECUTE | bits::DEVICE,
        }
    }
}

/// Frames from the memory behind the image, before [`crate::mem`] has them.
pub(super) struct EarlyFrames {
    next: usize,
    end: usize,
}

impl EarlyFrames {
    /// Hands out the frames of `free`, which nobody uses.
    pub(super) fn new(free: Range<usize>) -> Self {
        Self { next: free.start.next_multiple_of(PAGE_SIZE), end: free.end }
    }

    /// The first address not handed out.
    pub(super) fn next(&self) -> usize {
        self.next
    }

    fn take(&mut self, bytes: usize) -> usize {
        let at = self.next;
        assert!(self.end.saturating_sub(at) >= bytes, "no room behind the kernel image for its page tables");
        self.next += bytes;
        at
    }

    fn zeroed_table(&mut self) -> PhysAddr {
        let table = PhysAddr(self.take(PAGE_SIZE));
        // SAFETY: free memory behind the image, which the boot tables and the kernel's own map alike.
        unsafe { phys_to_virt(table).write_bytes(0, PAGE_SIZE) };
        table
    }
}

/// Maps `bytes` at `at` to `to`, in the largest blocks that fit; what was mapped there before is replaced.
fn map(root: PhysAddr, frames: &mut EarlyFrames, at: usize, to: usize, bytes: usize, rights: Rights) {
    let mut done = 0;
    while done < bytes {
        let (virt, phys) = (at + done, to + done);
        // 1 GiB, 2 MiB or 4 KiB: an entry of level 2, 1 or 0.
        let fits = |level: &usize| {
            let size = PAGE_SIZE << (9 * level);
            (virt | phys).is_multiple_of(size) && bytes - done >= size
        };
        let leaf_level = [2, 1].into_iter().find(fits).unwrap_or(0);
        let mut table = root;
        for level in (leaf_level + 1..4).rev() {
            let slot = kernel_slot(table, virt, level);
            // SAFETY: a slot of a table that `zeroed_table` gave, or the root; no other CPU is up.
            unsafe {
                if *slot == 0 {
                    slot.write(frames.zeroed_table().0 as u64 | bits::TABLE | bits::VALID);
                }
                table = PhysAddr((*slot & bits::ADDRESS) as usize);
            }
        }
        let page = if leaf_level == 0 { bits::TABLE } else { 0 };
        // SAFETY: as above.
        unsafe { kernel_slot(table, virt, leaf_level).write(phys as u64 | rights.bits() | page) };
        done += PAGE_SIZE << (9 * leaf_level);
    }
}

fn kernel_slot(table: PhysAddr, address: usize, level: usize) -> *mut u64 {
    phys_to_virt(table).cast::<u64>().wrapping_add((address >> (12 + 9 * level)) % TABLE_ENTRIES)
}

/// Builds the kernel's half for an image loaded at `image`: `ram` and `devices` are physical.
pub(super) fn build(
    image: usize,
    ram: &[Range<usize>],
    devices: impl Iterator<Item = Range<usize>>,
    frames: &mut EarlyFrames,
) {
    let root = frames.zeroed_table();
    let sections = ImageSections::new(image);
    IMAGE_OFFSET.store(image.wrapping_sub(IMAGE_BASE), Ordering::Relaxed);
    for range in ram {
        let (start, end) = (range.start.next_multiple_of(PAGE_SIZE), range.end & !(PAGE_SIZE - 1));
        // The image's text and constants stay read-only through this window too.
        let fixed = sections.text.start.clamp(start, end)..sections.constants.end.clamp(start, end);
        for (part, rights) in
            [(start..fixed.start, Rights::Data), (fixed.clone(), Rights::Constants), (fixed.end..end, Rights::Data)]
        {
            map(root, frames, DIRECT + part.start, part.start, part.len(), rights);
        }
    }
    for (part, rights) in
        [(sections.text, Rights::Text), (sections.constants, Rights::Constants), (sections.data, Rights::Data)]
    {
        map(root, frames, IMAGE_BASE + (part.start - image), part.start, part.len(), rights);
    }
    for range in devices {
        // Whole blocks: device memory is read and written by explicit accesses only.
        const BLOCK: usize = 2 << 20;
        let (start, end) = (range.start / BLOCK * BLOCK, range.end.next_multiple_of(BLOCK));
        map(root, frames, DEVICES + start, start, end - start, Rights::Device);
    }
    let stack = frames.take(STACK_BYTES);
    map(root, frames, stack_range(0).start, stack, STACK_BYTES, Rights::Data);
    KERNEL_ROOT.store(root.0, Ordering::Relaxed);
    SWITCH_TRAMPOLINE.store(image_address(&raw const super::entry::switch_trampoline), Ordering::Relaxed);
}

/// Maps the stack of a CPU that is about to start: `stack` is physical, [`STACK_BYTES`] long. All stacks share
/// the table of the lowest level that [`build`] made for the first.
pub(super) fn map_stack(cpu: usize, stack: usize) {
    const { assert!(crate::cpu::MAX_CPUS * STACK_SLOT <= 2 << 20 && STACKS.is_multiple_of(2 << 20)) };
    let mut none = EarlyFrames { next: 0, end: 0 };
    let root = PhysAddr(KERNEL_ROOT.load(Ordering::Relaxed));
    map(root, &mut none, stack_range(cpu).start, stack, STACK_BYTES, Rights::Data);
    publish_entries();
}

/// Makes page-table entries that were absent visible to this CPU's walks.
pub(super) fn publish_entries() {
    // SAFETY: barriers change no data.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
    synchronize!();
}

/// Physical addresses of the parts of the image.
struct ImageSections {
    text: Range<usize>,
    constants: Range<usize>,
    data: Range<usize>,
}

impl ImageSections {
    fn new(image: usize) -> Self {
        let at = |symbol: &'static u8| image + (&raw const *symbol as usize - IMAGE_BASE);
        Self {
            text: image..at(&__text_end),
            constants: at(&__text_end)..at(&__rodata_end),
            data: at(&__rodata_end)..at(&__image_end),
        }
    }
}

/// The bytes of memory that the image takes.
pub(super) fn image_bytes() -> usize {
    &raw const __image_end as usize - IMAGE_BASE
}

/// The stack of the first steps, and of the report when a kernel stack has overflowed.
pub(super) fn boot_stack_range() -> Range<usize> {
    &raw const __boot_stack as usize..&raw const __boot_stack_end as usize
}

unsafe extern "C" {
    safe static __text_end: u8;
    safe static __rodata_end: u8;
    safe static __image_end: u8;
    safe static __boot_stack: u8;
    safe static __boot_stack_end: u8;
    /// A page of zeros: the user half of a CPU that has no address space loaded.
    pub(super) safe static __empty_table: u8;
}

/// Stage-1 descriptors, 4 KiB granule.
pub(crate) struct Format;

impl PageFormat for Format {
    const LEVELS: usize = 4;

    fn table(address: PhysAddr) -> u64 {
        address.0 as u64 | bits::TABLE | bits::VALID
    }

    fn leaf(address: PhysAddr, protection: Protection) -> u64 {
        let mut entry = address.0 as u64
            | bits::VALID
            | bits::TABLE
            | bits::USER
            | bits::INNER_SHAREABLE
            | bits::ACCESSED
            | bits::NOT_GLOBAL
            | bits::KERNEL_NO_EXECUTE;
        if !protection.contains(Protection::WRITE) {
            entry |= bits::READ_ONLY;
        }
        if protection.contains(Protection::EXECUTE) {
            // The frame was filled through the data cache; instruction fetches have to see what is in it.
            caches::make_executable(address);
        } else {
            entry |= bits::USER_NO_EXECUTE;
        }
        entry
    }

    fn is_present(entry: u64) -> bool {
        entry & bits::VALID != 0
    }

    fn address(entry: u64) -> PhysAddr {
        PhysAddr((entry & bits::ADDRESS) as usize)
    }

    fn protection(entry: u64) -> Protection {
        let mut protection = Protection::READ;
        protection.set(Protection::WRITE, entry & bits::READ_ONLY == 0);
        protection.set(Protection::EXECUTE, entry & bits::USER_NO_EXECUTE == 0);
        protection
    }

    fn fill_root(_root: &mut [u64; TABLE_ENTRIES]) {}
}
