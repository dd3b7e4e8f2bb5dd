//! System calls: one table ([`table`]) from numbers to async functions with typed arguments.
//!
//! Owns: the table, the numbers, the structures of Linux's ABI. May call: every room. Called by: `task::run`.
//! Each family has a file; a handler is `async fn(&Thread, typed arguments) -> Result<usize, Errno>`.

mod allocation;
mod anonymous;
mod argument;
mod attribute;
mod clone;
#[cfg(feature = "containers")]
mod container;
mod descriptor;
mod directory;
#[cfg(test)]
mod documentation;
mod epoll;
mod file;
mod futex;
mod identity;
mod inotify;
mod ipc;
mod layout;
mod limits;
mod lock;
mod memory;
mod memory_of_others;
mod mount;
mod mount_attributes;
mod namespace;
pub mod number;
mod pidfd;
mod place;
mod poll;
mod privileges;
mod process;
mod scheduling;
mod seccomp;
mod select;
mod signal;
mod signalfd;
mod socket;
mod splice;
mod system;
mod table;
mod time;
mod timers;
mod timespec;
pub mod trace;
mod transfer;
mod usage;
mod vectored;
mod xattr;

use crate::task::{self, Program, SignalInfo, Thread};
use alloc::{boxed::Box, sync::Arc};
use number::legacy;
use veridian_containers::{
    Signal,
    abi::{Call, Errno, WaitStatus},
};
use veridian_hal::{UserAddr, user::UserContext};

/// What becomes of the thread after a call that did not fail.
pub enum Outcome {
    /// It goes on with this result.
    Returns(usize),
    /// It goes on as its context says.
    Replaced,
    /// It goes on with this result when the child has memory of its own (vfork(2)).
    LendsMemory(Arc<Thread>, u32),
    /// Its process begins another program.
    Begins(Box<Program>),
    /// It ends alone.
    Exits(WaitStatus),
    /// Its process ends.
    EndsProcess(WaitStatus),
}

/// Serves the system call that `context` has trapped with, if the thread's filters let it through.
pub async fn dispatch(thread: &Arc<Thread>, context: &mut UserContext) -> Result<Outcome, Errno> {
    if !trace::wants(thread) {
        return judged(thread, context).await;
    }
    let line = trace::Line::new(thread, context.syscall_number(), context.syscall_args());
    let outcome = judged(thread, context).await;
    line.end(&outcome);
    outcome
}

async fn judged(thread: &Arc<Thread>, context: &mut UserContext) -> Result<Outcome, Errno> {
    if let Some(outcome) = seccomp::judge(thread, context) {
        return Ok(outcome);
    }
    let words = context.syscall_args();
    // What is beyond the range no architecture has; among it are the stand-ins of `number::legacy`.
    let known_range = |number: &u32| *number <= number::MAX;
    let number = u32::try_from(context.syscall_number()).ok().filter(known_range).ok_or(Errno::ENOSYS)?;
    match number {
        number::__NR_exit => Ok(Outcome::Exits(WaitStatus::Exited(words[0] as u8))),
        number::__NR_exit_group => Ok(Outcome::EndsProcess(WaitStatus::Exited(words[0] as u8))),
        number::__NR_clone => clone::clone(thread, context),
        number::__NR_clone3 => clone::clone3(thread, context),
        legacy::FORK => clone::fork(thread, context),
        legacy::VFORK => clone::vfork(thread, context),
        number::__NR_execve => {
            let program = process::execve(thread, UserAddr(words[0]), UserAddr(words[1]), UserAddr(words[2]))?;
            Ok(Outcome::Begins(Box::new(program)))
        }
        number::__NR_execveat => {
            let [dirfd, path, arguments, environment, flags, _] = words;
            let [path, arguments, environment] = [path, arguments, environment].map(UserAddr);
            let program = process::execveat(thread, dirfd as i32, path, arguments, environment, flags as u32)?;
            Ok(Outcome::Begins(Box::new(program)))
        }
        number::__NR_rt_sigreturn => {
            if task::return_from_handler(thread, context).is_err() {
                task::force(thread, Signal::SIGSEGV, SignalInfo::kernel());
            }
            Ok(Outcome::Replaced)
        }
        number::__NR_sigaltstack => {
            signal::sigaltstack(thread, context, UserAddr(words[0]), UserAddr(words[1])).map(Outcome::Returns)
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

/// Whether the call that `context` has trapped with, given up for a signal, is made again when the signal's handler has
/// run that asks for it (signal(7), "Interruption of system calls and library functions by signal handlers").
pub fn is_restartable(context: &UserContext) -> bool {
    let number = context.syscall_number() as u32;
    let [_, _, _, fourth, ..] = context.syscall_args();
    // A wait for a time that has begun would begin anew.
    let is_timed_futex = number == number::__NR_futex && fourth != 0;
    !table::is_made_once(number) && !is_timed_futex
}
