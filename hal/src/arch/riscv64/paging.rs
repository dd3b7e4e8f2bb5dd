//! Sv39: the entry format of the user half, loading it, and keeping the CPUs' view of it true.
//!
//! Two things go stale: translations, and instructions that a CPU has fetched ahead. Translations are flushed
//! where a table has changed. For instructions there is a count of how often a page became executable: a CPU
//! that has not seen the latest executes `fence.i` before it goes to user mode.

use super::{
    cpu::{self, Cpu, current},
    csr::change_csr,
    kernel_map, sbi,
};
use crate::{
    PAGE_SHIFT, PAGE_SIZE, PhysAddr, UserAddr,
    mem::{PageFormat, PageTable, Protection, TABLE_ENTRIES},
};
use alloc::sync::Arc;
use core::{
    arch::asm,
    sync::atomic::{AtomicUsize, Ordering, fence},
};

pub(super) const VALID: u64 = 1;
pub(super) const READABLE: u64 = 1 << 1;
pub(super) const WRITABLE: u64 = 1 << 2;
pub(super) const EXECUTABLE: u64 = 1 << 3;
const USER: u64 = 1 << 4;
pub(super) const GLOBAL: u64 = 1 << 5;
pub(super) const ACCESSED: u64 = 1 << 6;
pub(super) const DIRTY: u64 = 1 << 7;
/// The frame number begins at this bit of an entry; above its 44 bits the entry is reserved.
const FRAME_SHIFT: u32 = 10;
const FRAME_MASK: u64 = (1 << 44) - 1;
/// In `satp`: Sv39.
const MODE_SV39: usize = 8 << 60;

/// More pages than this are flushed at once.
const FLUSH_EACH: usize = 4;

/// How often a page has become executable.
static CODE_GENERATION: AtomicUsize = AtomicUsize::new(1);

pub(crate) struct Format;

impl PageFormat for Format {
    const LEVELS: usize = 3;

    fn table(address: PhysAddr) -> u64 {
        entry(address, VALID)
    }

    fn leaf(address: PhysAddr, protection: Protection) -> u64 {
        // A and D are set here: with them clear some CPUs fault rather than set them.
        let mut bits = VALID | READABLE | USER | ACCESSED;
        if protection.contains(Protection::WRITE) {
            bits |= WRITABLE | DIRTY;
        }
        if protection.contains(Protection::EXECUTE) {
            bits |= EXECUTABLE;
            CODE_GENERATION.fetch_add(1, Ordering::Release);
        }
        entry(address, bits)
    }

    fn is_present(entry: u64) -> bool {
        entry & VALID != 0
    }

    fn address(entry: u64) -> PhysAddr {
        PhysAddr(((entry >> FRAME_SHIFT & FRAME_MASK) as usize) << PAGE_SHIFT)
    }

    fn protection(entry: u64) -> Protection {
        let mut protection = Protection::READ;
        protection.set(Protection::WRITE, entry & WRITABLE != 0);
        protection.set(Protection::EXECUTE, entry & EXECUTABLE != 0);
        protection
    }

    fn fill_root(root: &mut [u64; TABLE_ENTRIES]) {
        kernel_map::fill_root(root);
    }
}

/// An entry that refers to `address`.
pub(super) fn entry(address: PhysAddr, bits: u64) -> u64 {
    (address.frame_number() as u64) << FRAME_SHIFT | bits
}

/// What `satp` must be for the table at `root`. Address-space identifiers are not used: all is number 0.
pub(super) fn satp(root: PhysAddr) -> usize {
    MODE_SV39 | root.frame_number()
}

/// Loads the root table at `root`, and forgets every translation of the user half.
fn load(root: PhysAddr) {
    // SAFETY: every root table has the kernel half, so the kernel goes on; user pages are not reached from
    // Rust code. Global translations (the kernel half's) stay.
    unsafe {
        change_csr!("csrw", "satp", satp(root));
        asm!("sfence.vma x0, {}", in(reg) 0usize, options(nostack, preserves_flags));
    }
}

/// Makes this CPU see the kernel half as it is now.
pub(super) fn init() {
    // SAFETY: forgets translations.
    unsafe { asm!("sfence.vma", options(nostack, preserves_flags)) };
}

/// Makes this CPU forget its translations of the page at `page`, as far as the entry of the lowest level goes.
fn flush_page_here(page: usize) {
    // SAFETY: forgets translations.
    unsafe { asm!("sfence.vma {}, {}", in(reg) page, in(reg) 0usize, options(nostack, preserves_flags)) };
}

/// Makes this CPU forget every translation of the user half.
pub(super) fn flush_user_here() {
    // SAFETY: forgets translations.
    unsafe { asm!("sfence.vma x0, {}", in(reg) 0usize, options(nostack, preserves_flags)) };
}

pub(crate) fn activate(table: &Arc<PageTable>) {
    let cpu = current();
    // SAFETY: this CPU's own; the borrow ends before anything else runs.
    let loaded = unsafe { &*cpu.loaded.get() };
    if loaded.as_ref().is_some_and(|loaded| Arc::ptr_eq(loaded, table)) {
        return;
    }
    // The bit first: a CPU that changes the table from here on flushes ours, and what was changed before is seen
    // by the walks that follow the fence in `load`.
    table.loaded_on.fetch_or(1 << cpu.id, Ordering::SeqCst);
    load(table.root());
    unload(cpu, Some(table.clone()));
}

pub(crate) fn deactivate() {
    let cpu = current();
    // SAFETY: this CPU's own; the borrow ends with the statement.
    if unsafe { &*cpu.loaded.get() }.is_some() {
        load(kernel_map::root());
        unload(cpu, None);
    }
}

/// Notes that `next` is loaded on this CPU instead of what was.
fn unload(cpu: &Cpu, next: Option<Arc<PageTable>>) {
    // SAFETY: this CPU's own; the borrow ends with the statement, before the old table is dropped.
    let before = core::mem::replace(unsafe { &mut *cpu.loaded.get() }, next);
    if let Some(before) = before {
        before.loaded_on.fetch_and(!(1 << cpu.id), Ordering::SeqCst);
    }
}

pub(crate) fn flush_pages(table: &PageTable, first: UserAddr, count: usize) {
    // The entries are written before it is seen who has the table: see `activate`.
    fence(Ordering::SeqCst);
    let loaded_on = table.loaded_on.load(Ordering::SeqCst);
    let here = 1 << cpu::cpu_id();
    if loaded_on & here != 0 {
        if count > FLUSH_EACH {
            flush_user_here();
        } else {
            (0..count).for_each(|page| flush_page_here(first.0 + page * PAGE_SIZE));
        }
    }
    let others = loaded_on & !here;
    if others != 0 {
        cpu::for_each_hart_mask(others, |harts| sbi::remote_sfence_vma(harts, first.0, count * PAGE_SIZE));
        publish_code(others);
    }
}

pub(crate) fn published_entry(table: &PageTable, page: UserAddr) {
    fence(Ordering::SeqCst);
    let loaded_on = table.loaded_on.load(Ordering::SeqCst);
    let here = 1 << cpu::cpu_id();
    if loaded_on & here != 0 {
        // A CPU may remember that there was nothing. Others that do take a fault too many: see `context`.
        flush_page_here(page.0);
    }
    let others = loaded_on & !here;
    if others != 0 {
        publish_code(others);
    }
}

/// Makes the CPUs in `others`, which may be in user mode, see the instructions in pages that this CPU has made
/// executable.
fn publish_code(others: u32) {
    let cpu = current();
    let generation = CODE_GENERATION.load(Ordering::Acquire);
    if cpu.code_published.swap(generation, Ordering::Relaxed) != generation {
        cpu::for_each_hart_mask(others, sbi::remote_fence_i);
    }
}

/// Makes this CPU see the instructions in every page that has become executable. `moved`: also those that a
/// program wrote on another CPU.
pub(super) fn see_code(cpu: &Cpu, moved: bool) {
    let generation = CODE_GENERATION.load(Ordering::Acquire);
    if moved || cpu.code_generation.load(Ordering::Relaxed) != generation {
        cpu.code_generation.store(generation, Ordering::Relaxed);
        // SAFETY: orders instruction fetches behind stores.
        unsafe { asm!("fence.i", options(nostack, preserves_flags)) };
    }
}
