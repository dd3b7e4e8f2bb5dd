//! The exception vectors, and what becomes of an exception in the kernel itself: a copy from or to user memory
//! that faulted goes on where the exception table says; anything else is the end.

use super::{
    cpus::cpu_id,
    memory::{STACK_BYTES, stack_range},
};
use crate::exception_table;
use core::arch::global_asm;

/// Registers of the kernel at an exception, as the vectors push them.
#[repr(C)]
struct KernelFrame {
    x: [u64; 30],
    /// x29 and ELR make a frame record at the end of the frame, so that a backtrace goes on in the interrupted code.
    link: u64,
    stack_pointer: u64,
    saved_status: u64,
    syndrome: u64,
    fault_address: u64,
    _padding: u64,
    frame_pointer: u64,
    address: u64,
}

const _: () = assert!(size_of::<KernelFrame>() == 38 * 8);

global_asm!(
    r#"
    .macro  vector target:req, kind
    .balign 128
    .ifnb   \kind
    // From the kernel. Bit 16 of the stack pointer is clear below the stack, in the gap.
    msr     tpidrro_el0, x0
    mov     x0, sp
    tbz     x0, #16, stack_overflow_\kind
    mrs     x0, tpidrro_el0
    msr     tpidrro_el0, xzr
    sub     sp, sp, #304
    stp     x0, x1, [sp]
    mov     x1, #\kind
    .endif
    b       \target
    .endm

    .pushsection .text.vectors, "ax"
    .balign 2048
    .global exception_vectors
exception_vectors:
    vector  kernel_exception, 0     // EL1 with SP_EL0: never used
    vector  kernel_exception, 1
    vector  kernel_exception, 2
    vector  kernel_exception, 3
    vector  kernel_exception, 4     // EL1
    vector  kernel_exception, 5
    vector  kernel_exception, 6
    vector  kernel_exception, 7
    vector  user_synchronous        // EL0, AArch64
    vector  user_interrupt
    vector  user_interrupt
    vector  user_error
    vector  user_error              // EL0, AArch32: never entered
    vector  user_error
    vector  user_error
    vector  user_error

    // x0 and x1 are saved; x1: which vector.
kernel_exception:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    add     x2, sp, #304
    stp     x30, x2, [sp, #240]
    mrs     x2, spsr_el1
    mrs     x3, esr_el1
    stp     x2, x3, [sp, #256]
    mrs     x2, far_el1
    mrs     x3, elr_el1
    str     x2, [sp, #272]
    stp     x29, x3, [sp, #288]
    add     x29, sp, #288
    mov     x0, sp
    bl      {kernel_exception}
    // A fault of a copy routine: it has told where to go on.
    ldr     x2, [sp, #256]
    ldr     x3, [sp, #296]
    msr     spsr_el1, x2
    msr     elr_el1, x3
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldr     x18, [sp, #144]
    ldr     x29, [sp, #232]
    ldr     x30, [sp, #240]
    ldp     x0, x1, [sp], #304
    eret

    .irp    kind, 0,1,2,3,4,5,6,7
stack_overflow_\kind:
    mov     x0, #\kind
    b       stack_overflow
    .endr

    // No stack to stand on: the boot stack has no other use any more, but one CPU at a time can have it.
stack_overflow:
    msr     tpidr_el0, x1
    adrp    x1, {overflowed}
    add     x1, x1, :lo12:{overflowed}
1:  ldaxr   w16, [x1]
    cbnz    w16, 2f
    mov     w16, #1
    stlxr   w17, w16, [x1]
    cbnz    w17, 1b
    mov     x17, sp
    adrp    x1, __boot_stack_end
    mov     sp, x1
    mov     x1, x0
    mrs     x0, tpidrro_el0
    sub     sp, sp, #304
    str     x0, [sp]
    mrs     x0, tpidr_el0
    str     x0, [sp, #8]
    orr     x1, x1, #8
    mov     x16, x17
    b       kernel_exception
2:  wfi
    b       2b
    .popsection
    .purgem vector
    "#,
    kernel_exception = sym kernel_exception,
    overflowed = sym OVERFLOWED,
);

/// Whether some CPU has taken the boot stack to report that its own is full.
static OVERFLOWED: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// `vector` is the number of the vector, plus 8 when the CPU was off its stack.
extern "C" fn kernel_exception(frame: &mut KernelFrame, vector: u64) {
    const SYNCHRONOUS: u64 = 4;
    if vector == SYNCHRONOUS
        && let Some(go_on) = exception_table::fixup(frame.address as usize)
    {
        frame.address = go_on as u64;
        return;
    }
    let what = match vector & 3 {
        0 => "fault",
        1 => "interrupt",
        2 => "fast interrupt",
        _ => "system error",
    };
    // x16 holds the stack pointer that was found off the stack.
    let stack_pointer = if vector & 8 != 0 { frame.x[16] } else { frame.stack_pointer } as usize;
    let stack = stack_range(cpu_id());
    let gap = stack.start - STACK_BYTES..stack.start;
    let overflow = if gap.contains(&stack_pointer) { "kernel stack overflow: " } else { "" };
    panic!(
        "{overflow}{what} in the kernel at {:#x}: ESR {:#x} ({}), FAR {:#x}, SP {stack_pointer:#x}, LR {:#x}",
        frame.address,
        frame.syndrome,
        class_name(frame.syndrome),
        frame.fault_address,
        frame.link,
    );
}

/// What the exception class of a syndrome stands for.
fn class_name(syndrome: u64) -> &'static str {
    match syndrome >> 26 {
        0x00 => "undefined instruction",
        0x0e => "illegal state",
        0x18 => "trapped system register",
        0x21 => "instruction abort",
        0x22 => "misaligned PC",
        0x25 if syndrome & (1 << 6) != 0 => "data abort on a write",
        0x25 => "data abort on a read",
        0x26 => "misaligned stack",
        0x2f => "SError",
        0x3c => "breakpoint",
        _ => "other",
    }
}
