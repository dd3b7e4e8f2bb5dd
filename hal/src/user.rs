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

/// The stack for handlers of signals, as programs are told of it (`stack_t`, sigaltstack(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalStack {
    /// Its lowest address.
    pub start: UserAddr,
    /// `SS_*`.
    pub flags: u32,
    /// Its bytes.
    pub bytes: usize,
}

impl SignalStack {
    /// `stack_t`: the address, the flags, the size.
    pub fn to_words(self) -> [u64; 3] {
        [self.start.0 as u64, self.flags.into(), self.bytes as u64]
    }

    /// The same, read.
    pub fn from_words([start, flags, bytes]: [u64; 3]) -> Self {
        Self { start: UserAddr(start as usize), flags: flags as u32, bytes: bytes as usize }
    }
}

/// Bytes of `siginfo_t`.
pub const SIGNAL_INFO_BYTES: usize = 128;

/// What [`UserContext::push_handler`] puts on the stack beside the registers, in the layout that the architecture's
/// `struct rt_sigframe` has on Linux.
#[derive(Clone, Copy, Debug)]
pub struct HandlerFrame {
    /// The signal's number: the handler's first argument.
    pub signal: u32,
    /// `siginfo_t`.
    pub info: [u8; SIGNAL_INFO_BYTES],
    /// What is blocked after the handler.
    pub mask: u64,
    /// The alternate stack after the handler.
    pub stack: SignalStack,
    /// The handler.
    pub handler: UserAddr,
    /// What the handler returns to: it makes the system call rt_sigreturn.
    pub restorer: UserAddr,
    /// The end of the stack that the frame is put on; `None` for the one in use.
    pub switch_to: Option<UserAddr>,
}

/// The bytes of words, as they lie in memory.
pub(crate) fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: plain integers, read as bytes for as long as the words are borrowed.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// The same, to be filled.
pub(crate) fn bytes_of_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: plain integers, for which all bytes are values.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
