//! System calls: one table ([`table`]) from numbers to async functions with typed arguments.
//!
//! Owns: the table, the numbers, the structures of Linux's ABI. May call: every room. Called by: `task::run`.
//! Each family has a file; a handler is `async fn(&Thread, typed arguments) -> Result<usize, Errno>`.

mod attribute;
#[cfg(feature = "containers")]
mod container;
mod descriptor;
mod directory;
mod epoll;
mod file;
mod identity;
mod ipc;
mod layout;
mod limits;
mod memory;
mod mount;
mod mount_attributes;
mod namespace;
pub mod number;
mod pidfd;
mod place;
mod poll;
mod privileges;
mod process;
mod seccomp;
mod select;
mod signal;
mod socket;
mod system;
mod table;
mod time;
mod usage;
mod xattr;

use crate::task::Thread;
use alloc::sync::Arc;
use number::legacy;
use veridian_containers::abi::{Call, Errno, WaitStatus};
use veridian_hal::{UserAddr, user::UserContext};

/// What becomes of the thread after a call that did not fail.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on with this result.
    Returns(usize),
    /// It goes on as its context says: in another program (execve), or to its signals.
    Replaced,
    /// It ends.
    Exits(WaitStatus),
}

/// Serves the system call that `context` has trapped with, if the thread's filters let it through.
pub async fn dispatch(thread: &Arc<Thread>, context: &mut UserContext) -> Result<Outcome, Errno> {
    if let Some(outcome) = seccomp::judge(thread, context) {
        return Ok(outcome);
    }
    let words = context.syscall_args();
    // What is beyond the range no architecture has; among it are the stand-ins of `number::legacy`.
    let known_range = |number: &u32| *number <= number::MAX;
    let number = u32::try_from(context.syscall_number()).ok().filter(known_range).ok_or(Errno::ENOSYS)?;
    match number {
        number::__NR_exit | number::__NR_exit_group => Ok(Outcome::Exits(WaitStatus::Exited(words[0] as u8))),
        number::__NR_clone => namespace::clone(thread, context).map(Outcome::Returns),
        number::__NR_clone3 => namespace::clone3(thread, context).map(Outcome::Returns),
        legacy::FORK => namespace::fork(thread, context).map(Outcome::Returns),
        number::__NR_execve => {
            *context = process::execve(thread, UserAddr(words[0]), UserAddr(words[1]), UserAddr(words[2]))?;
            Ok(Outcome::Replaced)
        }
        legacy::ARCH_PRCTL => process::arch_prctl(thread, context, words[0], UserAddr(words[1])).map(Outcome::Returns),
        _ => match Call::from_number(number as usize) {
            #[cfg(feature = "containers")]
            Some(call) => container::serve(thread, call, words).await.map(Outcome::Returns),
            #[cfg(not(feature = "containers"))]
            Some(_) => Err(Errno::ENOSYS),
            None => table::serve(thread, number, words).await.map(Outcome::Returns),
        },
    }
}
