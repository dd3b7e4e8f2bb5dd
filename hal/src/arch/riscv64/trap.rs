//! Traps: the way into user mode and back, faults of the kernel itself, and its call stack.
//!
//! `sscratch` is 0 in kernel mode; in user mode it points to the registers of the thread that runs. Interrupts
//! are off in kernel mode, so a trap from there is a fault: one of the copy routines', which goes on at its fixup,
//! or a bug, which ends in a panic, on an emergency stack when the kernel's own cannot hold it.

use super::{
    context::Registers,
    cpu::{self, Cpu},
    csr::{STATUS_SUM, read_csr},
    kernel_map, paging,
};
use crate::exception_table;
use core::{
    arch::{asm, global_asm},
    mem::offset_of,
    sync::atomic::Ordering,
};

/// What the trap entry code keeps of an interrupted kernel: its registers by number, then two words that continue
/// the chain of stack frames.
#[repr(C)]
struct KernelFrame {
    /// Number 0 is the program counter.
    x: [usize; 32],
    status: usize,
    _alignment: usize,
    caller_frame: usize,
    caller: usize,
}

const EMERGENCY_STACK_BYTES: usize = 16 << 10;

global_asm!(
    ".text",
    // extern "C" fn enter_user(registers: *mut Registers) -> Cause
    ".global enter_user",
    ".type enter_user, @function",
    "enter_user:",
    "addi sp, sp, -112",
    "sd ra, 0(sp)",
    ".set i, 1",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11",
    "sd s\\n, i * 8(sp)",
    ".set i, i + 1",
    ".endr",
    "sd sp, {kernel_sp}(a0)",
    "sd tp, {kernel_tp}(a0)",
    "csrw sscratch, a0",
    "ld t0, 0(a0)",
    "csrw sepc, t0",
    ".irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "ld x\\n, \\n * 8(a0)",
    ".endr",
    "ld a0, 80(a0)",
    "sret",
    ".size enter_user, . - enter_user",
    // Where every trap arrives.
    ".balign 4",
    ".global trap_entry",
    ".type trap_entry, @function",
    "trap_entry:",
    "csrrw sp, sscratch, sp",
    "beqz sp, 1f",
    // From user mode: back out of `enter_user`.
    ".irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "sd x\\n, \\n * 8(sp)",
    ".endr",
    "csrrw t0, sscratch, zero",
    "csrr t1, sepc",
    "sd t0, 16(sp)",
    "sd t1, 0(sp)",
    "csrr a0, scause",
    "csrr a1, stval",
    "ld tp, {kernel_tp}(sp)",
    "ld sp, {kernel_sp}(sp)",
    "ld ra, 0(sp)",
    ".set i, 1",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11",
    "ld s\\n, i * 8(sp)",
    ".set i, i + 1",
    ".endr",
    "addi sp, sp, 112",
    "ret",
    // From the kernel. Does its stack hold a frame?
    "1: csrrw sp, sscratch, sp",
    "sd t0, {scratch}(tp)",
    "sd t1, {scratch} + 8(tp)",
    "ld t0, {stack_bottom}(tp)",
    "addi t1, sp, -{frame_bytes}",
    "bltu sp, t0, 3f",
    "bltu t1, t0, 3f",
    "ld t0, {stack_top}(tp)",
    "bgtu sp, t0, 3f",
    "2: sd sp, 16(t1)",
    "mv sp, t1",
    ".irp n, 1,3,4,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "sd x\\n, \\n * 8(sp)",
    ".endr",
    "ld t0, {scratch}(tp)",
    "ld t1, {scratch} + 8(tp)",
    "sd t0, 40(sp)",
    "sd t1, 48(sp)",
    "csrr t0, sepc",
    "sd t0, 0(sp)",
    "csrr t1, sstatus",
    "sd t1, {status}(sp)",
    // The chain of stack frames goes on in the interrupted function.
    "sd s0, {caller_frame}(sp)",
    "sd t0, {caller}(sp)",
    "addi s0, sp, {frame_bytes}",
    "li t0, {sum}",
    "csrc sstatus, t0",
    "mv a0, sp",
    "call {kernel_trap}",
    "ld t0, 0(sp)",
    "csrw sepc, t0",
    "ld t0, {status}(sp)",
    "csrw sstatus, t0",
    ".irp n, 1,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "ld x\\n, \\n * 8(sp)",
    ".endr",
    "ld sp, 16(sp)",
    "sret",
    // It does not: on to the emergency stack, which belongs to the first CPU that needs it.
    ".option push",
    ".option arch, +a",
    "3: lla t0, emergency_owner",
    "4: lr.d t1, (t0)",
    "bnez t1, 5f",
    "sc.d t1, tp, (t0)",
    "bnez t1, 4b",
    ".option pop",
    "lla t1, emergency_stack_top - {frame_bytes}",
    "j 2b",
    // The message of that CPU ends the machine. When it is this one, that has failed.
    "5: bne t1, tp, 6f",
    "lla sp, emergency_stack_top",
    "li s0, 0",
    "call {give_up}",
    "6: wfi",
    "j 6b",
    ".size trap_entry, . - trap_entry",
    ".bss",
    ".balign 16",
    "emergency_owner: .skip 16",
    ".global emergency_stack, emergency_stack_top",
    "emergency_stack: .skip {emergency_stack_bytes}",
    "emergency_stack_top:",
    ".text",
    kernel_sp = const offset_of!(Registers, kernel_sp),
    kernel_tp = const offset_of!(Registers, kernel_tp),
    scratch = const offset_of!(Cpu, scratch),
    stack_bottom = const offset_of!(Cpu, stack_bottom),
    stack_top = const offset_of!(Cpu, stack_top),
    frame_bytes = const size_of::<KernelFrame>(),
    status = const offset_of!(KernelFrame, status),
    caller_frame = const offset_of!(KernelFrame, caller_frame),
    caller = const offset_of!(KernelFrame, caller),
    sum = const STATUS_SUM,
    emergency_stack_bytes = const EMERGENCY_STACK_BYTES,
    kernel_trap = sym kernel_trap,
    give_up = sym give_up,
);

// What the stack's frames are aligned to, and where the convention for frame pointers looks.
const _: () = assert!(
    size_of::<KernelFrame>().is_multiple_of(16)
        && offset_of!(KernelFrame, caller) == size_of::<KernelFrame>() - size_of::<usize>()
);

unsafe extern "C" {
    /// The address for `stvec`.
    pub(super) fn trap_entry();
    /// Runs user code with `registers` until a trap; returns what it was.
    ///
    /// # Safety
    /// Interrupts are off, a user table is loaded, and `sstatus` says that `sret` goes to user mode with
    /// interrupts on.
    pub(super) fn enter_user(registers: *mut Registers) -> Cause;
    static emergency_stack: u8;
    static emergency_stack_top: u8;
}

/// `scause` and `stval` as a trap left them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Cause {
    pub(super) code: usize,
    pub(super) value: usize,
}

impl Cause {
    /// In `code`: an interrupt.
    pub(super) const INTERRUPT: usize = 1 << 63;
    pub(super) const INSTRUCTION_MISALIGNED: usize = 0;
    pub(super) const ILLEGAL_INSTRUCTION: usize = 2;
    pub(super) const BREAKPOINT: usize = 3;
    pub(super) const LOAD_MISALIGNED: usize = 4;
    pub(super) const LOAD_ACCESS: usize = 5;
    pub(super) const STORE_MISALIGNED: usize = 6;
    pub(super) const STORE_ACCESS: usize = 7;
    pub(super) const USER_CALL: usize = 8;
    pub(super) const FETCH_PAGE: usize = 12;
    pub(super) const LOAD_PAGE: usize = 13;
    pub(super) const STORE_PAGE: usize = 15;
}

/// A trap in kernel mode: the copy routines' faults go on at their fixups; all else is a bug.
extern "C" fn kernel_trap(frame: &mut KernelFrame) {
    let cause = Cause { code: read_csr!("scause"), value: read_csr!("stval") };
    let on_user_memory =
        matches!(cause.code, Cause::LOAD_PAGE | Cause::STORE_PAGE | Cause::LOAD_ACCESS | Cause::STORE_ACCESS)
            && cause.value < super::USER_END;
    if on_user_memory && let Some(fixup) = exception_table::fixup(frame.x[0]) {
        // The page may have been mapped meanwhile, and this CPU remember that it was not.
        paging::flush_user_here();
        frame.x[0] = fixup;
        return;
    }
    let what = match cause.code {
        Cause::FETCH_PAGE | Cause::LOAD_PAGE | Cause::STORE_PAGE if kernel_map::is_stack_guard(cause.value) => {
            "stack overflow"
        }
        Cause::INSTRUCTION_MISALIGNED | Cause::LOAD_MISALIGNED | Cause::STORE_MISALIGNED => "misaligned access",
        Cause::ILLEGAL_INSTRUCTION => "illegal instruction",
        Cause::BREAKPOINT => "breakpoint",
        Cause::LOAD_ACCESS | Cause::STORE_ACCESS => "access fault",
        Cause::FETCH_PAGE => "page fault on a fetch",
        Cause::LOAD_PAGE => "page fault on a load",
        Cause::STORE_PAGE => "page fault on a store",
        _ => "trap",
    };
    panic!(
        "{what} in the kernel: scause {:#x}, stval {:#x}, sepc {:#x}, ra {:#x}, sp {:#x}",
        cause.code, cause.value, frame.x[0], frame.x[1], frame.x[2]
    );
}

/// After a fault on the emergency stack.
extern "C" fn give_up() -> ! {
    super::halt_or_exit_after_panic()
}

/// Return addresses of the caller's caller and so on, by the chain of stack frames, as far as it lies in the
/// stacks of this CPU.
#[inline(never)]
pub(crate) fn backtrace() -> impl Iterator<Item = usize> {
    const MOST_FRAMES: usize = 64;
    let cpu = cpu::current();
    let stacks = [
        cpu.stack_bottom.load(Ordering::Relaxed)..cpu.stack_top.load(Ordering::Relaxed),
        &raw const emergency_stack as usize..&raw const emergency_stack_top as usize,
    ];
    // A frame's address is that behind two words: the caller's frame, and where it goes on.
    let read = move |frame: usize| {
        let stack =
            stacks.iter().find(|stack| frame.is_multiple_of(16) && stack.start + 16 <= frame && frame <= stack.end)?;
        // SAFETY: the two words lie in a stack of this CPU, which is mapped.
        let [next, caller] = unsafe { ((frame - 16) as *const [usize; 2]).read() };
        // Frames lie behind each other, but for the step from the emergency stack to the other.
        let next = if stack.contains(&next) && next <= frame { 0 } else { next };
        Some((next, caller))
    };
    let own: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, s0", out(reg) own, options(nomem, nostack, preserves_flags)) };
    // This function's own frame is gone when the iterator is used.
    let mut frame = read(own).map_or(0, |(next, _)| next);
    let steps = core::iter::from_fn(move || {
        let (next, caller) = read(frame)?;
        frame = next;
        Some(caller)
    });
    steps.take_while(|&caller| caller != 0).take(MOST_FRAMES)
}
