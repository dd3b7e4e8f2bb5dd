//! The instructions of classic BPF, as far as they make seccomp filters (seccomp(2), linux/filter.h).

use linux_raw_sys::ptrace as linux;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct sock_filter`: one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// Instructions to skip when the test of a conditional jump is true.
    pub jump_true: u8,
    /// Instructions to skip when it is false.
    pub jump_false: u8,
    /// The operand.
    pub operand: u32,
}

/// The most instructions of a filter (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = linux::BPF_MAXINSNS as usize;

/// A = the word of `struct seccomp_data` at the operand.
pub const LOAD: u16 = (linux::BPF_LD | linux::BPF_W | linux::BPF_ABS) as u16;
/// A &= the operand.
pub const AND: u16 = (linux::BPF_ALU | linux::BPF_AND | linux::BPF_K) as u16;
/// Skips as many instructions as the operand says.
pub const JUMP: u16 = (linux::BPF_JMP | linux::BPF_JA) as u16;
/// Whether A is the operand.
pub const JUMP_EQUAL: u16 = (linux::BPF_JMP | linux::BPF_JEQ | linux::BPF_K) as u16;
/// Whether A is more than the operand, unsigned.
pub const JUMP_GREATER: u16 = (linux::BPF_JMP | linux::BPF_JGT | linux::BPF_K) as u16;
/// Whether A is at least the operand, unsigned.
pub const JUMP_NOT_LESS: u16 = (linux::BPF_JMP | linux::BPF_JGE | linux::BPF_K) as u16;
/// The end: the operand is the filter's verdict.
pub const RETURN: u16 = (linux::BPF_RET | linux::BPF_K) as u16;

/// Words of `struct seccomp_data`: the number of the call, the architecture, the instruction pointer in two, and six
/// arguments of two each, the lower half first.
pub const DATA_WORDS: usize = 16;
/// Offset of the number of the call in `struct seccomp_data`, in bytes.
pub const NUMBER: u32 = 0;
/// Offset of the architecture.
pub const ARCHITECTURE: u32 = 4;

/// Offset of the lower half of an argument; the upper one comes four bytes later.
#[must_use]
pub const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// What a filter returns (`SECCOMP_RET_*`): an action in the upper half, its data in the lower.
pub mod verdict {
    /// Ends the process with SIGSYS.
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    /// Ends the thread with SIGSYS.
    pub const KILL_THREAD: u32 = 0;
    /// Sends SIGSYS.
    pub const TRAP: u32 = 0x0003_0000;
    /// Fails the call with the data as its error number.
    pub const ERRNO: u32 = 0x0005_0000;
    /// Asks a supervisor in user space.
    pub const USER_NOTIF: u32 = 0x7fc0_0000;
    /// Asks a tracer.
    pub const TRACE: u32 = 0x7ff0_0000;
    /// Lets the call through and logs it.
    pub const LOG: u32 = 0x7ffc_0000;
    /// Lets the call through.
    pub const ALLOW: u32 = 0x7fff_0000;
    /// The part of a verdict that is the action.
    pub const ACTION: u32 = 0xffff_0000;
    /// The part that is its data.
    pub const DATA: u32 = 0x0000_ffff;
}
