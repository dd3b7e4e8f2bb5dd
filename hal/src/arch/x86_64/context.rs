//! A user thread's registers, and the call that runs it.

use super::{
    USER_END, apic,
    extended_state::Handle,
    instructions,
    local::{Cpu, USER_CODE, USER_DATA},
    paging,
    traps::{self, Registers},
};
use crate::{
    UserAddr,
    mem::PageTable,
    user::{Access, Exception, Trap},
};
use alloc::sync::Arc;
use core::{fmt, sync::atomic::Ordering};

/// Flags that a program starts with: interrupts on, and the bit that is always set.
const INITIAL_FLAGS: u64 = 1 << 9 | 1 << 1;
/// Bytes of the `syscall` instruction.
const SYSCALL_BYTES: u64 = 2;

/// Registers, FP and vector state of a user thread.
#[derive(Clone)]
pub struct UserContext {
    pub(super) registers: Registers,
    /// RAX as it was at the last system call: the result overwrites it.
    number: u64,
    pub(super) extended: Handle,
}

impl UserContext {
    /// A context that will begin at `entry` with the given stack: all other registers zero, FP state as Linux
    /// starts a program with.
    pub fn new(entry: UserAddr, stack: UserAddr) -> Self {
        let registers = Registers {
            rip: entry.0 as u64,
            rsp: stack.0 as u64,
            cs: USER_CODE.into(),
            ss: USER_DATA.into(),
            rflags: INITIAL_FLAGS,
            ..Registers::default()
        };
        Self { registers, number: 0, extended: Handle::new() }
    }

    /// Runs user code in `table` until it traps.
    pub fn run(&mut self, table: &Arc<PageTable>) -> Trap {
        let cpu = Cpu::current();
        loop {
            if self.registers.rip >= USER_END as u64 {
                return Trap::PageFault { address: self.instruction_pointer(), access: Access::Execute };
            }
            paging::activate(table);
            self.extended.load(cpu);
            // SAFETY: kernel code runs with interrupts off; RIP was tested; the selectors are those of `new`, and
            // flags come from there or from user mode itself; table and state were just loaded.
            let vector = unsafe { traps::enter_user(&raw mut self.registers) };
            if vector == traps::SYSCALL {
                self.number = self.registers.rax;
                return Trap::Syscall;
            }
            if vector < traps::FIRST_INTERRUPT {
                return self.exception(vector);
            }
            apic::interrupt(vector);
            if cpu.events.load(Ordering::Relaxed) != 0 {
                return Trap::Interrupt;
            }
            // Another CPU's request, answered: nothing for the kernel to see.
        }
    }

    /// What the exception `vector` means.
    fn exception(&self, vector: u64) -> Trap {
        Trap::Exception(match vector {
            traps::PAGE_FAULT => {
                let (write, reserved, fetch) = (1 << 1, 1 << 3, 1 << 4);
                let error = self.registers.error;
                assert!(error & reserved == 0, "reserved bit set in a page table: {:#x?}", self.registers);
                let access = if error & fetch != 0 {
                    Access::Execute
                } else if error & write != 0 {
                    Access::Write
                } else {
                    Access::Read
                };
                return Trap::PageFault { address: UserAddr(instructions::read_cr2()), access };
            }
            0 | 16 | 19 => Exception::Arithmetic,
            1 | 3 => Exception::Breakpoint,
            6 | 7 => Exception::IllegalInstruction,
            17 => Exception::Misaligned,
            _ => Exception::Protection,
        })
    }

    /// Number of the system call just trapped. As on Linux it is the lower half of RAX.
    pub fn syscall_number(&self) -> usize {
        self.number as u32 as usize
    }

    /// Arguments of the system call just trapped.
    pub fn syscall_args(&self) -> [usize; 6] {
        let r = &self.registers;
        [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9].map(|register| register as usize)
    }

    /// Sets what the system call returns.
    pub fn set_syscall_result(&mut self, result: isize) {
        self.registers.rax = result as u64;
    }

    /// Makes the next [`Self::run`] issue the system call again.
    pub fn restart_syscall(&mut self) {
        self.registers.rax = self.number;
        self.registers.rip = self.registers.rip.wrapping_sub(SYSCALL_BYTES);
    }

    /// Where user code goes on.
    pub fn instruction_pointer(&self) -> UserAddr {
        UserAddr(self.registers.rip as usize)
    }

    /// Sets where user code goes on.
    pub fn set_instruction_pointer(&mut self, to: UserAddr) {
        self.registers.rip = to.0 as u64;
    }

    /// The stack pointer.
    pub fn stack_pointer(&self) -> UserAddr {
        UserAddr(self.registers.rsp as usize)
    }

    /// Sets the stack pointer.
    pub fn set_stack_pointer(&mut self, to: UserAddr) {
        self.registers.rsp = to.0 as u64;
    }

    /// The thread pointer: the FS base.
    pub fn thread_pointer(&self) -> UserAddr {
        UserAddr(self.extended.thread_pointer() as usize)
    }

    /// Sets the thread pointer. An address outside the user half is replaced by 0: the kernel refuses it before
    /// it gets here, as arch_prctl(2) does.
    pub fn set_thread_pointer(&mut self, to: UserAddr) {
        let to = if to.0 < USER_END { to.0 as u64 } else { 0 };
        self.extended.set_thread_pointer(to);
    }
}

impl fmt::Debug for UserContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registers.fmt(f)
    }
}
