//! The exception table: kernel instructions that may fault on user memory, and where to go on when they do.
//! The linker gathers the section `.ex_table` between `ex_table_start` and `ex_table_end`; each entry is two words, the
//! address of the instruction and that of its fix-up. A fault anywhere else in the kernel is a bug and panics.

unsafe extern "C" {
    static ex_table_start: [usize; 2];
    static ex_table_end: [usize; 2];
}

/// Where to go on after a fault of the instruction at `instruction`; `None` when it may not fault.
pub(crate) fn fixup(instruction: usize) -> Option<usize> {
    let start = &raw const ex_table_start;
    let entries = (&raw const ex_table_end as usize - start as usize) / size_of::<[usize; 2]>();
    // SAFETY: the linker script puts the two symbols round an array of such entries, in read-only memory.
    let table = unsafe { core::slice::from_raw_parts(start, entries) };
    table.iter().find(|entry| entry[0] == instruction).map(|entry| entry[1])
}
