//! The user half that a CPU has loaded, and the TLB.
//!
//! All address spaces use ASID 0: a CPU drops its translations of the user half when it loads another one. So a
//! CPU holds translations of the table it has loaded and of no other, and `loaded_on` says who must be told
//! of a change; the hardware broadcasts it, no CPU is interrupted.

use super::{
    cpus::cpu_id,
    memory::{__empty_table, image_address, publish_entries},
    registers::{synchronize, write_register},
};
use crate::{PAGE_SHIFT, UserAddr, cpu::MAX_CPUS, mem::PageTable};
use alloc::sync::Arc;
use core::{
    arch::asm,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// Each CPU's loaded table: a pointer from [`Arc::into_raw`], or null.
static LOADED: [AtomicPtr<PageTable>; MAX_CPUS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CPUS];

/// More pages than this are flushed as a whole address space.
const MOST_SINGLE_FLUSHES: usize = 128;

pub(crate) fn activate(table: &Arc<PageTable>) {
    let cpu = cpu_id();
    // Written by this CPU alone.
    let old = LOADED[cpu].load(Ordering::Relaxed);
    if ptr::eq(old, Arc::as_ptr(table)) {
        return;
    }
    LOADED[cpu].store(Arc::into_raw(table.clone()).cast_mut(), Ordering::Relaxed);
    table.loaded_on.fetch_or(1 << cpu, Ordering::SeqCst);
    load(table.root().0);
    release(old, cpu);
}

pub(crate) fn deactivate() {
    let cpu = cpu_id();
    let old = LOADED[cpu].swap(ptr::null_mut(), Ordering::Relaxed);
    if old.is_null() {
        return;
    }
    load(image_address(&raw const __empty_table));
    release(old, cpu);
}

/// Makes the table at `root` this CPU's user half, with none of the old one's translations left. The first
/// barrier orders the caller's mark in `loaded_on` before the first walk: see [`flush_pages`].
fn load(root: usize) {
    // SAFETY: `root` is a table of the user format, kept alive by LOADED or for ever; kernel addresses are not affected.
    unsafe {
        asm!("dsb ish", options(nostack, preserves_flags));
        write_register!("ttbr0_el1", root as u64);
        asm!("isb", "tlbi aside1, xzr", "dsb nsh", options(nostack, preserves_flags));
    }
    synchronize!();
}

/// Lets go of a table that this CPU no longer has loaded.
fn release(old: *mut PageTable, cpu: usize) {
    if old.is_null() {
        return;
    }
    // SAFETY: the pointer came from `Arc::into_raw` in `activate` and has left LOADED.
    let old = unsafe { Arc::from_raw(old) };
    old.loaded_on.fetch_and(!(1 << cpu), Ordering::SeqCst);
}

pub(crate) fn flush_pages(table: &PageTable, first: UserAddr, count: usize) {
    // The changed entries are visible before `loaded_on` is read. A CPU that sets its bit after that read walks
    // after its own barrier, and so finds the new entries.
    // SAFETY: a barrier changes no data.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    let loaded_on = table.loaded_on.load(Ordering::SeqCst);
    if loaded_on == 0 {
        return;
    }
    let page = first.0 >> PAGE_SHIFT;
    // SAFETY: dropping translations changes no data.
    unsafe {
        if loaded_on == 1 << cpu_id() {
            if count > MOST_SINGLE_FLUSHES {
                asm!("tlbi aside1, xzr", options(nostack, preserves_flags));
            } else {
                for page in page..page + count {
                    asm!("tlbi vale1, {}", in(reg) page, options(nostack, preserves_flags));
                }
            }
            asm!("dsb nsh", options(nostack, preserves_flags));
        } else {
            if count > MOST_SINGLE_FLUSHES {
                asm!("tlbi aside1is, xzr", options(nostack, preserves_flags));
            } else {
                for page in page..page + count {
                    asm!("tlbi vale1is, {}", in(reg) page, options(nostack, preserves_flags));
                }
            }
            asm!("dsb ish", options(nostack, preserves_flags));
        }
    }
    synchronize!();
}

pub(crate) fn published_entry(_table: &PageTable, _page: UserAddr) {
    publish_entries();
}
