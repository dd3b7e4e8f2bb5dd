//! `memcpy` and `memset`, which the compiler calls for every copy and every zeroing, a page's among them: the ones that
//! come with the language take a word at a time. Accesses need not be aligned: both are used on normal memory alone, with
//! the MMU on.

use core::arch::global_asm;

global_asm!(
    r#"
    .pushsection .text.memory_routines, "ax"
    .balign 16
    // x0: destination, x1: source, x2: bytes. Returns x0.
    .global memcpy
    .type   memcpy, %function
memcpy:
    mov     x3, x0
    cmp     x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1]
    ldp     x6, x7, [x1, #16]
    ldp     x8, x9, [x1, #32]
    ldp     x10, x11, [x1, #48]
    add     x1, x1, #64
    sub     x2, x2, #64
    stp     x4, x5, [x3]
    stp     x6, x7, [x3, #16]
    stp     x8, x9, [x3, #32]
    stp     x10, x11, [x3, #48]
    add     x3, x3, #64
    cmp     x2, #64
    b.hs    1b
    // The rest, by the bits of its length.
2:  tbz     x2, #5, 3f
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    stp     x4, x5, [x3], #16
    stp     x6, x7, [x3], #16
3:  tbz     x2, #4, 4f
    ldp     x4, x5, [x1], #16
    stp     x4, x5, [x3], #16
4:  tbz     x2, #3, 5f
    ldr     x4, [x1], #8
    str     x4, [x3], #8
5:  tbz     x2, #2, 6f
    ldr     w4, [x1], #4
    str     w4, [x3], #4
6:  tbz     x2, #1, 7f
    ldrh    w4, [x1], #2
    strh    w4, [x3], #2
7:  tbz     x2, #0, 8f
    ldrb    w4, [x1]
    strb    w4, [x3]
8:  ret

    // x0: destination, w1: byte, x2: bytes. Returns x0.
    .balign 16
    .global memset
    .type   memset, %function
memset:
    mov     x3, x0
    and     x1, x1, #0xff
    mov     x4, #0x0101010101010101
    mul     x1, x1, x4
    cmp     x2, #256
    b.lo    3f
    cbnz    x1, 2f
    mrs     x4, dczid_el0
    cmp     x4, #4                  // DC ZVA is allowed, and zeroes 64 bytes
    b.ne    2f
    // Zeros: up to a multiple of 64 by stores, then by whole blocks.
    stp     xzr, xzr, [x3]
    stp     xzr, xzr, [x3, #16]
    stp     xzr, xzr, [x3, #32]
    stp     xzr, xzr, [x3, #48]
    add     x4, x3, #64
    and     x4, x4, #~63
    sub     x5, x4, x3
    sub     x2, x2, x5
    mov     x3, x4
    sub     x2, x2, #128
1:  dc      zva, x3
    add     x3, x3, #64
    dc      zva, x3
    add     x3, x3, #64
    subs    x2, x2, #128
    b.hs    1b
    add     x2, x2, #128
    b       3f
2:  stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    add     x3, x3, #64
    sub     x2, x2, #64
3:  cmp     x2, #64
    b.hs    2b
    tbz     x2, #5, 4f
    stp     x1, x1, [x3], #16
    stp     x1, x1, [x3], #16
4:  tbz     x2, #4, 5f
    stp     x1, x1, [x3], #16
5:  tbz     x2, #3, 6f
    str     x1, [x3], #8
6:  tbz     x2, #2, 7f
    str     w1, [x3], #4
7:  tbz     x2, #1, 8f
    strh    w1, [x3], #2
8:  tbz     x2, #0, 9f
    strb    w1, [x3]
9:  ret
    .popsection
    "#
);
