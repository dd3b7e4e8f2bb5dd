//! The page-table entry, and which table this CPU has loaded.

use super::{
    instructions::write_cr3,
    kernel_space::{self, bits::*},
    local::Cpu,
    requests::{self, Operation},
};
use crate::{
    PhysAddr, UserAddr,
    mem::{PageFormat, PageTable, Protection, TABLE_ENTRIES},
};
use alloc::sync::Arc;
use core::{
    ptr::null,
    sync::atomic::{Ordering, fence},
};

/// Four levels. Accessed and dirty are set from the start: nobody asks for them, and the CPU need not write them.
pub(crate) struct Format;

impl PageFormat for Format {
    const LEVELS: usize = 4;

    fn table(address: PhysAddr) -> u64 {
        address.0 as u64 | PRESENT | WRITE | USER | ACCESSED
    }

    fn leaf(address: PhysAddr, protection: Protection) -> u64 {
        let mut entry = address.0 as u64 | PRESENT | USER | ACCESSED | DIRTY;
        if protection.contains(Protection::WRITE) {
            entry |= WRITE;
        }
        if !protection.contains(Protection::EXECUTE) {
            entry |= NO_EXECUTE;
        }
        entry
    }

    fn is_present(entry: u64) -> bool {
        entry & PRESENT != 0
    }

    fn address(entry: u64) -> PhysAddr {
        PhysAddr((entry & ADDRESS) as usize)
    }

    fn protection(entry: u64) -> Protection {
        let mut protection = Protection::READ;
        protection.set(Protection::WRITE, entry & WRITE != 0);
        protection.set(Protection::EXECUTE, entry & NO_EXECUTE == 0);
        protection
    }

    fn fill_root(root: &mut [u64; TABLE_ENTRIES]) {
        let kernel = kernel_space::phys_to_virt(PhysAddr(kernel_space::root())).cast::<[u64; TABLE_ENTRIES]>();
        // SAFETY: the kernel's root table lives for ever, and its upper half does not change after boot.
        let kernel = unsafe { &*kernel };
        root[TABLE_ENTRIES / 2..].copy_from_slice(&kernel[TABLE_ENTRIES / 2..]);
    }
}

/// Loads the table's user half on this CPU, if it is not loaded.
#[inline]
pub(crate) fn activate(table: &Arc<PageTable>) {
    let cpu = Cpu::current();
    if cpu.loaded_pointer.get() != Arc::as_ptr(table) {
        load(cpu, Some(table.clone()));
    }
}

/// Loads an empty user half.
pub(crate) fn deactivate() {
    let cpu = Cpu::current();
    if !cpu.loaded_pointer.get().is_null() {
        load(cpu, None);
    }
}

fn load(cpu: &Cpu, table: Option<Arc<PageTable>>) {
    let root = match &table {
        Some(table) => {
            // Before the table is loaded: whoever changes an entry and does not see this bit, changed it
            // before this CPU can have read it.
            table.loaded_on.fetch_or(cpu.bit(), Ordering::SeqCst);
            table.root().0
        }
        None => kernel_space::root(),
    };
    // SAFETY: the table's kernel half is the kernel's own.
    unsafe { write_cr3(root as u64) };
    cpu.loaded_pointer.set(table.as_ref().map_or(null(), Arc::as_ptr));
    // SAFETY: only this CPU touches it, and nothing else is in the middle of doing so.
    let old = unsafe { cpu.loaded.get().replace(table) };
    if let Some(old) = &old {
        old.loaded_on.fetch_and(!cpu.bit(), Ordering::SeqCst);
    }
    // Last: this may free the old table and tell the ledger.
    drop(old);
}

/// On return no CPU has an old translation of these pages.
pub(crate) fn flush_pages(table: &PageTable, first: UserAddr, count: usize) {
    let cpu = Cpu::current();
    // Pairs with `load`: the entries are written before it is seen who has the table.
    fence(Ordering::SeqCst);
    let loaded_on = table.loaded_on.load(Ordering::SeqCst);
    if loaded_on & cpu.bit() != 0 {
        requests::flush_here(first.0, count);
    }
    let others = loaded_on & !cpu.bit();
    if others != 0 {
        requests::send(cpu, others, Operation::FlushPages { first: first.0, count });
    }
}

/// Nothing to do: x86 does not keep translations of absent entries, and stores are seen in order.
pub(crate) fn published_entry(_table: &PageTable, _page: UserAddr) {}
