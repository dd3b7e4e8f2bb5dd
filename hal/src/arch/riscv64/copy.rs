//! Copies to and from user memory: the only code that may touch it, and the only entries of the exception table.

use super::csr::STATUS_SUM;
use core::arch::global_asm;

/// Bytes *not* copied.
///
/// # Safety
/// `to` is writable kernel memory of `length` bytes; the source range lies in the user half.
pub(crate) unsafe fn copy_from_user(to: *mut u8, from: usize, length: usize) -> usize {
    // SAFETY: the caller's promise; a fault on the user side ends the copy.
    unsafe { copy_in(to, from as *const u8, length) }
}

/// Bytes *not* copied.
///
/// # Safety
/// `from` is readable kernel memory of `length` bytes; the destination range lies in the user half.
pub(crate) unsafe fn copy_to_user(to: usize, from: *const u8, length: usize) -> usize {
    // SAFETY: the caller's promise; a fault on the user side ends the copy.
    unsafe { copy_out(to as *mut u8, from, length) }
}

unsafe extern "C" {
    /// The user side is where it loads.
    fn copy_in(to: *mut u8, from: *const u8, length: usize) -> usize;
    /// The user side is where it stores.
    fn copy_out(to: *mut u8, from: *const u8, length: usize) -> usize;
}

// Copies 64 bytes at a time, then 8, then 1. Where a larger piece faults, its bytes are copied one at a time, up to
// the very one that faults: the pointers move only behind a whole piece. When the two sides are not aligned to each
// other, aligned words of the source are shifted together: no access is misaligned.
//
// a0 to, a1 from, a2 bytes left; t6 SUM. `load` and `store` say whether that side is the user's.
global_asm!(
    // `\operation \register, \place`; when it may fault, that goes on at \fixup.
    ".macro ACCESS may_fault, operation, register, place, fixup",
    "7: \\operation \\register, \\place",
    ".if \\may_fault",
    ".pushsection .ex_table, \"a\"",
    ".quad 7b, \\fixup",
    ".popsection",
    ".endif",
    ".endm",
    ".macro COPY name, load, store",
    ".global \\name",
    ".type \\name, @function",
    "\\name:",
    "li t6, {sum}",
    "csrs sstatus, t6",
    "li t5, 8",
    "bltu a2, t5, 6f",
    // Bytes until the destination is aligned.
    "1: andi t0, a0, 7",
    "beqz t0, 2f",
    "ACCESS \\load, lb, t1, 0(a1), 9f",
    "ACCESS \\store, sb, t1, 0(a0), 9f",
    "addi a0, a0, 1",
    "addi a1, a1, 1",
    "addi a2, a2, -1",
    "j 1b",
    "2: andi t0, a1, 7",
    "bnez t0, 5f",
    // Aligned to each other.
    "li t4, 64",
    "bltu a2, t4, 4f",
    "3: ACCESS \\load, ld, a3, 0(a1), 6f",
    "ACCESS \\load, ld, a4, 8(a1), 6f",
    "ACCESS \\load, ld, a5, 16(a1), 6f",
    "ACCESS \\load, ld, a6, 24(a1), 6f",
    "ACCESS \\load, ld, a7, 32(a1), 6f",
    "ACCESS \\load, ld, t0, 40(a1), 6f",
    "ACCESS \\load, ld, t1, 48(a1), 6f",
    "ACCESS \\load, ld, t2, 56(a1), 6f",
    "ACCESS \\store, sd, a3, 0(a0), 6f",
    "ACCESS \\store, sd, a4, 8(a0), 6f",
    "ACCESS \\store, sd, a5, 16(a0), 6f",
    "ACCESS \\store, sd, a6, 24(a0), 6f",
    "ACCESS \\store, sd, a7, 32(a0), 6f",
    "ACCESS \\store, sd, t0, 40(a0), 6f",
    "ACCESS \\store, sd, t1, 48(a0), 6f",
    "ACCESS \\store, sd, t2, 56(a0), 6f",
    "addi a0, a0, 64",
    "addi a1, a1, 64",
    "addi a2, a2, -64",
    "bgeu a2, t4, 3b",
    "4: bltu a2, t5, 6f",
    "ACCESS \\load, ld, a3, 0(a1), 6f",
    "ACCESS \\store, sd, a3, 0(a0), 6f",
    "addi a0, a0, 8",
    "addi a1, a1, 8",
    "addi a2, a2, -8",
    "j 4b",
    // Not aligned to each other: t0 bytes of the word at a3 lie before the source.
    "5: bltu a2, t5, 6f",
    "sub a3, a1, t0",
    "slli t1, t0, 3",
    "neg t2, t1",
    "ACCESS \\load, ld, a4, 0(a3), 6f",
    "8: ACCESS \\load, ld, a5, 8(a3), 6f",
    "srl a4, a4, t1",
    "sll a6, a5, t2",
    "or a4, a4, a6",
    "ACCESS \\store, sd, a4, 0(a0), 6f",
    "mv a4, a5",
    "addi a0, a0, 8",
    "addi a1, a1, 8",
    "addi a2, a2, -8",
    "addi a3, a3, 8",
    "bgeu a2, t5, 8b",
    // One at a time.
    "6: beqz a2, 9f",
    "ACCESS \\load, lb, a3, 0(a1), 9f",
    "ACCESS \\store, sb, a3, 0(a0), 9f",
    "addi a0, a0, 1",
    "addi a1, a1, 1",
    "addi a2, a2, -1",
    "j 6b",
    "9: csrc sstatus, t6",
    "mv a0, a2",
    "ret",
    ".size \\name, . - \\name",
    ".endm",
    ".text",
    "COPY copy_in, 1, 0",
    "COPY copy_out, 0, 1",
    sum = const STATUS_SUM,
);
