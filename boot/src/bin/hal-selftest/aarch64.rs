//! User-mode programs of the self test for aarch64. Each takes its parameters from the words at its stack
//! pointer and may be placed at any address.

use veridian_hal::user::Exception;

/// `ret`.
pub const RETURN: [u8; 4] = 0xd65f_03c0_u32.to_le_bytes();

/// The direct map's view of the kernel image, on QEMU's `virt` machine: the loader puts the image 2 MiB into RAM.
pub fn text_alias(address: usize) -> Option<usize> {
    const IMAGE_BASE: usize = 0xffff_ffff_8000_0000;
    const DIRECT_MAP: usize = 0xffff_0000_0000_0000;
    const LOADED_AT: usize = 0x4020_0000;
    Some(address - IMAGE_BASE + LOADED_AT + DIRECT_MAP)
}

macro_rules! exceptions {
    ($($symbol:ident: $exception:ident,)*) => {
        unsafe extern "C" {
            static user_programs: u8;
            $(static $symbol: u8;)*
        }
        /// Further programs, by their offset, and what each must trap with.
        pub const EXCEPTIONS: &[(fn() -> usize, Exception)] = &[
            $((|| &raw const $symbol as usize - &raw const user_programs as usize, Exception::$exception),)*
        ];
    };
}

exceptions! {
    user_daif: IllegalInstruction,
    user_system_register: IllegalInstruction,
    user_identity: IllegalInstruction,
    user_physical_counter: IllegalInstruction,
    user_timer: IllegalInstruction,
    user_cycle_counter: IllegalInstruction,
    user_read_only_thread: IllegalInstruction,
    user_tlb: IllegalInstruction,
    user_invalidate: IllegalInstruction,
    user_hypervisor: IllegalInstruction,
    user_firmware: IllegalInstruction,
    user_semihosting: IllegalInstruction,
    user_return: IllegalInstruction,
    user_scalable: IllegalInstruction,
    user_misaligned_jump: Misaligned,
    user_misaligned_exclusive: Misaligned,
}

core::arch::global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .section .rodata.user_programs, "a"
    .balign 16
    .global user_programs, user_programs_end
    .global user_six_arguments, user_load, user_store, user_jump, user_illegal, user_breakpoint, user_spin
    .global user_load_loop, user_vector, user_registers
    .global user_daif, user_system_register, user_identity, user_physical_counter, user_timer
    .global user_cycle_counter, user_read_only_thread, user_tlb, user_invalidate, user_hypervisor
    .global user_firmware, user_semihosting, user_return, user_scalable, user_misaligned_jump
    .global user_misaligned_exclusive
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
user_daif:
    msr     daifset, #2
    svc     #0
user_system_register:
    mrs     x0, ttbr0_el1
    svc     #0
user_identity:
    mrs     x0, midr_el1
    svc     #0
    // Of the timer, user mode has the virtual counter alone.
user_physical_counter:
    mrs     x0, cntpct_el0
    svc     #0
user_timer:
    msr     cntv_cval_el0, x0
    svc     #0
user_cycle_counter:
    mrs     x0, pmccntr_el0
    svc     #0
user_read_only_thread:
    msr     tpidrro_el0, x0
    svc     #0
user_tlb:
    tlbi    vmalle1
    svc     #0
user_invalidate:
    dc      ivac, x0
    svc     #0
user_hypervisor:
    hvc     #0
    svc     #0
user_firmware:
    smc     #0
    svc     #0
    // The host listens to the kernel alone.
user_semihosting:
    hlt     #0xf000
    svc     #0
user_return:
    eret
    svc     #0
    // SVE is not offered.
user_scalable:
    .inst   0x2518e3e0              // ptrue p0.b
    svc     #0
user_misaligned_jump:
    adr     x0, user_programs + 2
    br      x0
    svc     #0
user_misaligned_exclusive:
    add     x1, sp, #1
    ldxr    x0, [x1]
    svc     #0
user_programs_end:
    .text
    "#
);
