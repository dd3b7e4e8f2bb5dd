//! A user thread's registers, and the way to user mode and back.

use super::{address_space::activate, fp::FpState, gic};
use crate::{
    UserAddr,
    mem::PageTable,
    user::{Access, Exception, Trap},
};
use alloc::sync::Arc;
use core::{arch::global_asm, mem::offset_of};

/// What the entry code loads and saves.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(super) struct Registers {
    pub x: [usize; 31],
    pub stack_pointer: usize,
    pub instruction_pointer: usize,
    /// SPSR: the flags, and the execution state.
    pub status: usize,
    thread_pointer: usize,
}

/// What of SPSR is the user's own: N, Z, C, V, TCO, DIT, SSBS, BTYPE. The rest clear means: EL0, AArch64, nothing masked.
const USER_STATUS: usize = 0xf300_1c00;

/// In [`Exit::syndrome`], for what has no syndrome: an interrupt.
const INTERRUPT: u64 = u64::MAX;
/// Likewise: an SError, or a vector that is never used.
const ERROR: u64 = u64::MAX - 1;

/// Why user mode was left.
#[repr(C)]
struct Exit {
    syndrome: u64,
    fault_address: u64,
}

global_asm!(
    r#"
    // x0: the registers. Keeps what a function keeps on the stack, the pointer to the registers behind it.
    .global aarch64_enter_user
aarch64_enter_user:
    stp     x29, x30, [sp, #-112]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    str     x0, [sp, #96]
    ldp     x1, x2, [x0, #{ip}]
    ldr     x3, [x0, #{sp}]
    ldr     x4, [x0, #{tp}]
    msr     elr_el1, x1
    msr     spsr_el1, x2
    msr     sp_el0, x3
    msr     tpidr_el0, x4
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret

    .macro  save_user
    stp     x0, x1, [sp, #-16]!
    ldr     x0, [sp, #16 + 96]
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    stp     x18, x19, [x0, #144]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    str     x30, [x0, #240]
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    mrs     x3, sp_el0
    mrs     x4, tpidr_el0
    stp     x1, x2, [x0, #{ip}]
    str     x3, [x0, #{sp}]
    str     x4, [x0, #{tp}]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    .endm

    // Returns from aarch64_enter_user.
    .global user_synchronous
user_synchronous:
    save_user
    mrs     x0, esr_el1
    mrs     x1, far_el1
    ldp     x29, x30, [sp], #112
    ret

    .global user_interrupt
user_interrupt:
    save_user
    mov     x0, #{interrupt}
    ldp     x29, x30, [sp], #112
    ret

    .global user_error
user_error:
    save_user
    mrs     x1, esr_el1
    mov     x0, #{error}
    ldp     x29, x30, [sp], #112
    ret
    .purgem save_user
    "#,
    sp = const offset_of!(Registers, stack_pointer),
    ip = const offset_of!(Registers, instruction_pointer),
    tp = const offset_of!(Registers, thread_pointer),
    interrupt = const INTERRUPT as i64,
    error = const ERROR as i64,
);
const _: () = assert!(offset_of!(Registers, status) == offset_of!(Registers, instruction_pointer) + 8);

unsafe extern "C" {
    fn aarch64_enter_user(registers: *mut Registers) -> Exit;
}

/// Registers, floating-point and vector state of a user thread.
#[derive(Clone, Debug)]
pub struct UserContext {
    pub(super) registers: Registers,
    /// x0 at the last system call, which the result replaces.
    first_argument: usize,
    pub(super) fp: FpState,
}

impl UserContext {
    /// A context that will begin at `entry` with the given stack; all else is zero.
    pub fn new(entry: UserAddr, stack: UserAddr) -> Self {
        let registers = Registers { instruction_pointer: entry.0, stack_pointer: stack.0, ..Registers::default() };
        Self { registers, first_argument: 0, fp: FpState::new() }
    }

    /// Runs user code in the address space `table` until it traps or an interrupt arrives.
    pub fn run(&mut self, table: &Arc<PageTable>) -> Trap {
        activate(table);
        self.fp.load();
        self.registers.status &= USER_STATUS;
        // SAFETY: `registers` is ours for the time of the call; the status makes the CPU go to EL0, which reaches
        // what `table` maps for it and the registers loaded, and comes back by the vectors.
        let exit = unsafe { aarch64_enter_user(&mut self.registers) };
        match exit.syndrome {
            INTERRUPT => {
                gic::take_interrupt();
                Trap::Interrupt
            }
            ERROR => panic!("system error in user mode: ESR {:#x}", exit.fault_address),
            syndrome => self.trap(syndrome, exit.fault_address as usize),
        }
    }

    /// Tells what a synchronous exception means, by the exception class and the fault status of its syndrome.
    fn trap(&mut self, syndrome: u64, address: usize) -> Trap {
        const WRITE: u64 = 1 << 6;
        const CACHE_MAINTENANCE: u64 = 1 << 8;
        let exception = match syndrome >> 26 {
            0x15 => {
                self.first_argument = self.registers.x[0];
                return Trap::Syscall;
            }
            0x20 => return abort(syndrome, address, Access::Execute),
            // Maintenance by address always says that it writes; it needs no more than a readable page.
            0x24 if syndrome & (WRITE | CACHE_MAINTENANCE) == WRITE => return abort(syndrome, address, Access::Write),
            0x24 => return abort(syndrome, address, Access::Read),
            0x22 | 0x26 => Exception::Misaligned,
            0x2c => Exception::Arithmetic,
            0x30 | 0x32 | 0x34 | 0x3c => Exception::Breakpoint,
            // Undefined, trapped system registers and instructions, illegal state, BTI, pointer authentication.
            _ => Exception::IllegalInstruction,
        };
        Trap::Exception(exception)
    }

    /// Number of the system call just trapped.
    pub fn syscall_number(&self) -> usize {
        self.registers.x[8]
    }

    /// Arguments of the system call just trapped.
    pub fn syscall_args(&self) -> [usize; 6] {
        let [_, b, c, d, e, f, ..] = self.registers.x;
        [self.first_argument, b, c, d, e, f]
    }

    /// Sets what the system call returns.
    pub fn set_syscall_result(&mut self, result: isize) {
        self.registers.x[0] = result.cast_unsigned();
    }

    /// Makes the next [`Self::run`] issue the system call again, with its original arguments.
    pub fn restart_syscall(&mut self) {
        self.registers.x[0] = self.first_argument;
        self.registers.instruction_pointer = self.registers.instruction_pointer.wrapping_sub(4);
    }

    /// Where user code goes on.
    pub fn instruction_pointer(&self) -> UserAddr {
        UserAddr(self.registers.instruction_pointer)
    }

    /// Sets where user code goes on.
    pub fn set_instruction_pointer(&mut self, to: UserAddr) {
        self.registers.instruction_pointer = to.0;
    }

    /// The stack pointer.
    pub fn stack_pointer(&self) -> UserAddr {
        UserAddr(self.registers.stack_pointer)
    }

    /// Sets the stack pointer.
    pub fn set_stack_pointer(&mut self, to: UserAddr) {
        self.registers.stack_pointer = to.0;
    }

    /// The thread pointer (TPIDR_EL0).
    pub fn thread_pointer(&self) -> UserAddr {
        UserAddr(self.registers.thread_pointer)
    }

    /// Sets the thread pointer.
    pub fn set_thread_pointer(&mut self, to: UserAddr) {
        self.registers.thread_pointer = to.0;
    }
}

/// An instruction or data abort, by its fault status code.
fn abort(syndrome: u64, address: usize, access: Access) -> Trap {
    const ALIGNMENT: u64 = 0x21;
    match syndrome & 0x3f {
        // Translation, access flag, permission, each at levels 0 to 3.
        0x04..=0x0f => Trap::PageFault { address: UserAddr(untagged(address)), access },
        ALIGNMENT => Trap::Exception(Exception::Misaligned),
        // An address beyond what the machine has, an error on the bus.
        _ => Trap::Exception(Exception::Protection),
    }
}

/// The address without the tag in its top byte, which user accesses ignore (TBI0).
fn untagged(address: usize) -> usize {
    const TAG: usize = 0xff << 56;
    if address & (1 << 55) == 0 { address & !TAG } else { address }
}
