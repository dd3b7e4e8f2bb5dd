//! User mode: a context of registers, and a call that runs it until it traps.

use crate::UserAddr;

pub use crate::arch::UserContext;

/// Why user code stopped running ([`UserContext::run`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A system-call instruction. The context already points behind it; number and arguments are read by
    /// [`UserContext::syscall_number`] and [`UserContext::syscall_args`].
    Syscall,
    /// An access that the page table did not allow.
    PageFault {
        /// The address accessed.
        address: UserAddr,
        /// What was tried.
        access: Access,
    },
    /// Another fault of the program's own making.
    Exception(Exception),
    /// An interrupt arrived (already acknowledged): see [`crate::cpu::take_events`].
    Interrupt,
}

/// What an access was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store, or a read-modify-write.
    Write,
    /// An instruction fetch.
    Execute,
}

/// A synchronous fault that is not a page fault, by the signal that Linux gives for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// An instruction that is not one, or not for user mode: SIGILL.
    IllegalInstruction,
    /// A breakpoint or a single step: SIGTRAP.
    Breakpoint,
    /// Division by zero, overflow, a floating-point exception: SIGFPE.
    Arithmetic,
    /// A misaligned access: SIGBUS.
    Misaligned,
    /// A protection fault without an address (x86_64: general protection, stack segment): SIGSEGV.
    Protection,
}

/// Where a copy to or from user memory stopped: nothing (readable, writable) is mapped at `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first byte that was not copied.
    pub address: UserAddr,
    /// What the copy wanted to do there.
    pub access: Access,
}
