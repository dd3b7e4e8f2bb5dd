//! Copies to and from user memory: the only code that may touch it, and the only entries of the exception table.

use core::{
    arch::naked_asm,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether `stac` and `clac` exist and are needed.
static SMAP: AtomicBool = AtomicBool::new(false);

/// Tells the copies whether SMAP is on.
pub(super) fn set_smap(on: bool) {
    SMAP.store(on, Ordering::Relaxed);
}

/// Bytes *not* copied.
///
/// # Safety
/// `to` is writable kernel memory of `length` bytes; the source range lies in the user half.
pub(crate) unsafe fn copy_from_user(to: *mut u8, from: usize, length: usize) -> usize {
    // SAFETY: the caller's promise; a fault on the user side ends the copy.
    unsafe { copy(to, from as *const u8, length) }
}

/// Bytes *not* copied.
///
/// # Safety
/// `from` is readable kernel memory of `length` bytes; the destination range lies in the user half.
pub(crate) unsafe fn copy_to_user(to: usize, from: *const u8, length: usize) -> usize {
    // SAFETY: the caller's promise; a fault on the user side ends the copy.
    unsafe { copy(to as *mut u8, from, length) }
}

/// Copies eight bytes at a time, then the rest; where eight bytes fault, one at a time up to the very byte that
/// faults. The fix-ups run with the registers as the fault left them: RCX counts what is left.
#[unsafe(naked)]
unsafe extern "sysv64" fn copy(to: *mut u8, from: *const u8, length: usize) -> usize {
    naked_asm!(
        "cmp byte ptr [rip + {smap}], 0",
        "je 2f",
        "stac",
        "2:",
        "mov rcx, rdx",
        "shr rcx, 3",
        "and edx, 7",
        "3: rep movsq",
        "mov ecx, edx",
        "4: rep movsb",
        "5:",
        "mov rax, rcx",
        "cmp byte ptr [rip + {smap}], 0",
        "je 6f",
        "clac",
        "6: ret",
        "7: lea rcx, [rdx + rcx * 8]",
        "jmp 4b",
        ".pushsection .ex_table, \"a\"",
        ".quad 3b, 7b",
        ".quad 4b, 5b",
        ".popsection",
        smap = sym SMAP,
    )
}
