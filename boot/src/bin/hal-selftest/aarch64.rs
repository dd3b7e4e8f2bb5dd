//! User-mode programs of the self test for aarch64. Each takes its parameters from the words at its stack
//! pointer and may be placed at any address.

core::arch::global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .section .rodata.user_programs, "a"
    .balign 16
    .global user_programs, user_programs_end
    .global user_six_arguments, user_load, user_store, user_jump, user_illegal, user_breakpoint, user_spin
    .global user_load_loop, user_vector, user_registers
user_programs:
    // System call 100 with arguments 1 to 6 in order, then 101 with the first one's result.
user_six_arguments:
    mov     x8, #100
    mov     x0, #0x11
    mov     x1, #0x22
    mov     x2, #0x33
    mov     x3, #0x44
    mov     x4, #0x55
    mov     x5, #0x66
    svc     #0
    mov     x8, #101
    svc     #0
    udf     #0
    // Loads a byte from the address at [sp]; then system call 102.
user_load:
    ldr     x0, [sp]
    ldrb    w0, [x0]
    mov     x8, #102
    svc     #0
    udf     #0
    // Stores a byte to the address at [sp]; then system call 102.
user_store:
    ldr     x0, [sp]
    mov     w1, #1
    strb    w1, [x0]
    mov     x8, #102
    svc     #0
    udf     #0
    // Jumps to the address at [sp].
user_jump:
    ldr     x0, [sp]
    br      x0
user_illegal:
    udf     #0
user_breakpoint:
    brk     #0
    udf     #0
user_spin:
    b       user_spin
    // Loads from the address at [sp] for ever.
user_load_loop:
    ldr     x1, [sp]
1:  ldrb    w0, [x1]
    b       1b
    // Fills every vector register with the word at [sp] plus its number, then, as often as [sp + 8] says,
    // compares them all; a spin of 1000 rounds lies between. System call 103 with 0 when all was well, else
    // with 1 plus the number of the register that changed. Every 16 rounds: system call 104.
user_vector:
    ldr     x19, [sp]
    ldr     x20, [sp, #8]
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x0, x19, #\n
    dup     v\n\().2d, x0
    .endr
2:  mov     w2, #1000
3:  subs    w2, w2, #1
    b.ne    3b
    mov     x0, #1
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x1, x19, #\n
    umov    x2, v\n\().d[0]
    umov    x3, v\n\().d[1]
    cmp     x1, x2
    ccmp    x1, x3, #0, eq
    b.ne    5f
    add     x0, x0, #1
    .endr
    tst     x20, #15
    b.ne    4f
    mov     x8, #104
    svc     #0
4:  subs    x20, x20, #1
    b.ne    2b
    mov     x0, #0
5:  mov     x8, #103
    svc     #0
    udf     #0
    // Fills the general registers that a system call leaves alone (all but x0, its result), then spins and makes
    // system calls (104) as often as [sp + 8] says, comparing them each time. Ends as `user_vector`.
user_registers:
    ldr     x19, [sp]
    ldr     x20, [sp, #8]
    .irp n, 1,3,4,5,6,7,9,10,11,12,13,14,15,16,17,18,21,22,23,24,25,26,27,28,29,30
    add     x\n, x19, #\n
    .endr
6:  mov     x8, #104
    svc     #0
    cmp     x8, #104
    b.ne    9f
    mov     w2, #1000
7:  subs    w2, w2, #1
    b.ne    7b
    mov     x0, #1
    .irp n, 1,3,4,5,6,7,9,10,11,12,13,14,15,16,17,18,21,22,23,24,25,26,27,28,29,30
    add     x2, x19, #\n
    cmp     x\n, x2
    b.ne    8f
    add     x0, x0, #1
    .endr
    ldr     x2, [sp]
    cmp     x19, x2
    b.ne    8f
    subs    x20, x20, #1
    b.ne    6b
    mov     x0, #0
    b       8f
9:  mov     x0, #99
8:  mov     x8, #103
    svc     #0
    udf     #0
user_programs_end:
    .text
    "#
);
