//! The binary interface between the kernel and its programs, and nothing else.
//!
//! Owns error numbers, the numbers of the container calls, their argument structures, flags and the encoding
//! of a wait status. Uses no heap and calls no one; kernel, engine and user programs all build on it.

mod args;
mod call;
mod errno;
mod flags;
mod wait_status;

pub use args::{
    ARGS_SIZE_MAX, Args, CreateArgs, DocumentArgs, ListEntry, Stats, WaitResult, args_size, read_args, written_size,
};
pub use call::Call;
pub use errno::Errno;
pub use flags::{CreateFlags, DeleteFlags, ExitFlags};
pub use wait_status::WaitStatus;

/// ioctl(2) on a container's descriptor: with 1 the system calls of its processes are told on the console, with 0 no
/// more. EPERM for who does not rule the machine.
pub const TRACE_REQUEST: u32 = 0x7601;
