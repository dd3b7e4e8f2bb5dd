//! A user thread: its registers, running it, and its floating-point state.
//!
//! The FP registers are saved when a trap finds them written, so that a context is always whole in memory. Each
//! such save gives the contents a new version number, which clones share; a CPU whose registers hold the version
//! that is to run need not load them. Contexts that have never used the FP unit are all version 0.

use super::{
    cpu::{self, current},
    csr::{
        STATUS_FS, STATUS_FS_CLEAN, STATUS_FS_DIRTY, STATUS_MXR, STATUS_SPIE, STATUS_SPP, STATUS_SUM, STATUS_VS,
        change_csr, read_csr,
    },
    paging,
    trap::{Cause, enter_user},
};
use crate::{
    UserAddr,
    mem::PageTable,
    user::{Access, Exception, Trap},
};
use alloc::sync::Arc;
use core::{
    arch::global_asm,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Numbers of registers.
pub(super) const RA_IS_PC: usize = 0;
pub(super) const RA: usize = 1;
pub(super) const SP: usize = 2;
const TP: usize = 4;
pub(super) const A0: usize = 10;
const A7: usize = 17;

/// Bytes of the instruction `ecall`.
const ECALL_BYTES: usize = 4;

/// Whether the CPUs have double-precision floating point.
static HAS_FLOAT: AtomicBool = AtomicBool::new(false);

/// Tells whether the CPUs have double-precision floating point; without it user code gets none.
pub(super) fn init(has_float: bool) {
    HAS_FLOAT.store(has_float, Ordering::Relaxed);
}

/// The general registers, and what the trap code needs to come back.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Registers {
    /// By number; in the place of number 0, which is always 0, stands the program counter.
    pub(super) x: [usize; 32],
    pub(super) kernel_sp: usize,
    pub(super) kernel_tp: usize,
}

#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Floats {
    pub(super) f: [u64; 32],
    /// Rounding mode and flags.
    pub(super) fcsr: usize,
}

/// Registers of a user thread.
#[derive(Clone, Debug)]
pub struct UserContext {
    pub(super) registers: Registers,
    pub(super) floats: Floats,
    /// Which contents [`Self::floats`] are.
    pub(super) float_version: u64,
    /// The first argument of the system call just trapped: its register then takes the result.
    argument0: usize,
    /// The CPU that ran this last.
    last_cpu: usize,
}

global_asm!(
    ".option push",
    ".option arch, +d",
    // extern "C" fn save_floats(*mut Floats)
    ".global save_floats",
    ".type save_floats, @function",
    "save_floats:",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "fsd f\\n, \\n * 8(a0)",
    ".endr",
    "frcsr t0",
    "sd t0, 256(a0)",
    "ret",
    ".size save_floats, . - save_floats",
    // extern "C" fn load_floats(*const Floats)
    ".global load_floats",
    ".type load_floats, @function",
    "load_floats:",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "fld f\\n, \\n * 8(a0)",
    ".endr",
    "ld t0, 256(a0)",
    "fscsr t0",
    "ret",
    ".size load_floats, . - load_floats",
    ".option pop",
);

unsafe extern "C" {
    fn save_floats(floats: *mut Floats);
    fn load_floats(floats: *const Floats);
}

impl UserContext {
    /// A context that will begin at `entry` with the given stack; every other register is 0.
    pub fn new(entry: UserAddr, stack: UserAddr) -> Self {
        let mut registers = Registers { x: [0; 32], kernel_sp: 0, kernel_tp: 0 };
        registers.x[RA_IS_PC] = entry.0;
        registers.x[SP] = stack.0;
        let floats = Floats { f: [0; 32], fcsr: 0 };
        Self { registers, floats, float_version: 0, argument0: 0, last_cpu: usize::MAX }
    }

    /// Runs user code in `table` until it traps or an interrupt comes.
    pub fn run(&mut self, table: &Arc<PageTable>) -> Trap {
        paging::activate(table);
        let cpu = current();
        let has_float = HAS_FLOAT.load(Ordering::Relaxed);
        let mut status = read_csr!("sstatus") & !(STATUS_SPP | STATUS_FS | STATUS_VS | STATUS_SUM | STATUS_MXR);
        status |= STATUS_SPIE;
        if has_float {
            status |= STATUS_FS_CLEAN;
            if cpu.float_version.load(Ordering::Relaxed) != self.float_version {
                // SAFETY: switches the FP unit on, which the kernel itself does not use.
                unsafe { change_csr!("csrs", "sstatus", STATUS_FS) };
                // SAFETY: the registers are user code's alone.
                unsafe { load_floats(&raw const self.floats) };
                cpu.float_version.store(self.float_version, Ordering::Relaxed);
            }
        }
        paging::see_code(cpu, self.last_cpu != cpu.id);
        self.last_cpu = cpu.id;
        // SAFETY: `sret` will go to user mode with interrupts on; until then they stay off.
        unsafe { change_csr!("csrw", "sstatus", status) };
        // SAFETY: as it asks for; the table was activated above.
        let cause = unsafe { enter_user(&raw mut self.registers) };
        if has_float && read_csr!("sstatus") & STATUS_FS == STATUS_FS_DIRTY {
            // SAFETY: writes `self.floats`.
            unsafe { save_floats(&raw mut self.floats) };
            self.float_version = next_float_version();
            cpu.float_version.store(self.float_version, Ordering::Relaxed);
        }
        self.trap(cause)
    }

    /// What the trap means to the kernel above.
    fn trap(&mut self, cause: Cause) -> Trap {
        if cause.code & Cause::INTERRUPT != 0 {
            cpu::acknowledge_interrupts();
            return Trap::Interrupt;
        }
        match cause.code {
            Cause::USER_CALL => {
                self.argument0 = self.registers.x[A0];
                self.registers.x[RA_IS_PC] += ECALL_BYTES;
                Trap::Syscall
            }
            Cause::FETCH_PAGE => page_fault(cause.value, Access::Execute),
            Cause::LOAD_PAGE => page_fault(cause.value, Access::Read),
            Cause::STORE_PAGE => page_fault(cause.value, Access::Write),
            Cause::BREAKPOINT => Trap::Exception(Exception::Breakpoint),
            Cause::INSTRUCTION_MISALIGNED | Cause::LOAD_MISALIGNED | Cause::STORE_MISALIGNED => {
                Trap::Exception(Exception::Misaligned)
            }
            Cause::ILLEGAL_INSTRUCTION => Trap::Exception(Exception::IllegalInstruction),
            // Access faults: the page is mapped, and what it shows is not for user mode.
            _ => Trap::Exception(Exception::Protection),
        }
    }

    /// Number of the system call just trapped.
    pub fn syscall_number(&self) -> usize {
        self.registers.x[A7]
    }

    /// Arguments of the system call just trapped.
    pub fn syscall_args(&self) -> [usize; 6] {
        let x = &self.registers.x;
        [self.argument0, x[A0 + 1], x[A0 + 2], x[A0 + 3], x[A0 + 4], x[A0 + 5]]
    }

    /// Sets what the system call returns.
    pub fn set_syscall_result(&mut self, result: isize) {
        self.registers.x[A0] = result as usize;
    }

    /// Makes the next [`Self::run`] issue the system call just trapped again, with its original arguments.
    pub fn restart_syscall(&mut self) {
        self.registers.x[A0] = self.argument0;
        self.registers.x[RA_IS_PC] -= ECALL_BYTES;
    }

    /// Where user code goes on.
    pub fn instruction_pointer(&self) -> UserAddr {
        UserAddr(self.registers.x[RA_IS_PC])
    }

    /// Sets where user code goes on.
    pub fn set_instruction_pointer(&mut self, to: UserAddr) {
        self.registers.x[RA_IS_PC] = to.0;
    }

    /// The stack pointer.
    pub fn stack_pointer(&self) -> UserAddr {
        UserAddr(self.registers.x[SP])
    }

    /// Sets the stack pointer.
    pub fn set_stack_pointer(&mut self, to: UserAddr) {
        self.registers.x[SP] = to.0;
    }

    /// The thread pointer (TLS base).
    pub fn thread_pointer(&self) -> UserAddr {
        UserAddr(self.registers.x[TP])
    }

    /// Sets the thread pointer.
    pub fn set_thread_pointer(&mut self, to: UserAddr) {
        self.registers.x[TP] = to.0;
    }
}

/// A page fault. When it is the second in a row at the same place, this CPU may remember that there was nothing
/// where by now there is something: it is made to forget.
fn page_fault(address: usize, access: Access) -> Trap {
    let address = UserAddr(address);
    let page = address.page_start().0;
    if current().last_fault.swap(page, Ordering::Relaxed) == page {
        paging::flush_user_here();
    }
    Trap::PageFault { address, access }
}

/// A version number for new contents of the FP registers.
pub(super) fn next_float_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
