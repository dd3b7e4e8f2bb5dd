//! Copies between kernel and user memory. The loads and stores of the user side are the unprivileged ones (LDTR,
//! STTR): they get what user code would get, whether or not the CPU has PAN, which stays set.

use core::arch::global_asm;

// x0: destination, x1: source, x2: bytes left, which is what they return. Where a long access faults, the copy goes
// on byte by byte, so that the count is exact. The kernel's side is not in the exception table: a fault there is
// a fault of the kernel.
global_asm!(
    r#"
    .macro  may_fault go_on:req, instruction:vararg
9:  \instruction
    .pushsection .ex_table, "a"
    .quad   9b, \go_on
    .popsection
    .endm

    .global aarch64_copy_from_user
aarch64_copy_from_user:
    cmp     x2, #64
    b.lo    2f
1:
    .irp n, 0,16,32,48
    may_fault 4f, ldtr x4, [x1, #\n]
    may_fault 4f, ldtr x5, [x1, #\n + 8]
    stp     x4, x5, [x0, #\n]
    .endr
    add     x0, x0, #64
    add     x1, x1, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    1b
2:  cmp     x2, #8
    b.lo    4f
3:  may_fault 4f, ldtr x4, [x1]
    str     x4, [x0], #8
    add     x1, x1, #8
    sub     x2, x2, #8
    cmp     x2, #8
    b.hs    3b
4:  cbz     x2, 6f
5:  may_fault 6f, ldtrb w4, [x1]
    strb    w4, [x0], #1
    add     x1, x1, #1
    subs    x2, x2, #1
    b.ne    5b
6:  mov     x0, x2
    ret

    .global aarch64_copy_to_user
aarch64_copy_to_user:
    cmp     x2, #64
    b.lo    2f
1:
    .irp n, 0,16,32,48
    ldp     x4, x5, [x1, #\n]
    may_fault 4f, sttr x4, [x0, #\n]
    may_fault 4f, sttr x5, [x0, #\n + 8]
    .endr
    add     x0, x0, #64
    add     x1, x1, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hs    1b
2:  cmp     x2, #8
    b.lo    4f
3:  ldr     x4, [x1]
    may_fault 4f, sttr x4, [x0]
    add     x0, x0, #8
    add     x1, x1, #8
    sub     x2, x2, #8
    cmp     x2, #8
    b.hs    3b
4:  cbz     x2, 6f
5:  ldrb    w4, [x1], #1
    may_fault 6f, sttrb w4, [x0]
    add     x0, x0, #1
    subs    x2, x2, #1
    b.ne    5b
6:  mov     x0, x2
    ret
    .purgem may_fault
    "#
);

unsafe extern "C" {
    fn aarch64_copy_from_user(to: *mut u8, from: usize, length: usize) -> usize;
    fn aarch64_copy_to_user(to: usize, from: *const u8, length: usize) -> usize;
}

/// Copies from the user half; returns the bytes not copied.
///
/// # Safety
/// `to` is writable for `length` bytes.
pub(crate) unsafe fn copy_from_user(to: *mut u8, from: usize, length: usize) -> usize {
    // SAFETY: the caller vouches for `to`; reads of the user side that fault end the copy.
    unsafe { aarch64_copy_from_user(to, from, length) }
}

/// Copies to the user half; returns the bytes not copied.
///
/// # Safety
/// `from` is readable for `length` bytes.
pub(crate) unsafe fn copy_to_user(to: usize, from: *const u8, length: usize) -> usize {
    // SAFETY: the caller vouches for `from`; writes of the user side that fault end the copy.
    unsafe { aarch64_copy_to_user(to, from, length) }
}
