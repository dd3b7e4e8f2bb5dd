//! System calls: one table ([`table`]) from numbers to functions with typed arguments.
//!
//! Owns: the table, the numbers, the structures of Linux's ABI. May call: every room. Called by: `task::run`.
//! Each family has a file; a handler is `fn(&Thread, typed arguments) -> Result<usize, Errno>`, and an `async fn` if the call
//! may wait: most never do, and are answered without a future.

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
use core::task::{Context, Poll};
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

/// How a call has begun.
pub enum Begun<'a> {
    /// It is over.
    Ended(Result<Outcome, Errno>),
    /// It may have to wait for something: [`end`] is to serve it.
    Waits(Traced<'a>),
}

/// A call's line in a trace, if it is traced.
pub type Traced<'a> = Option<Box<trace::Line<'a>>>;

/// Begins the system call that `context` has trapped with, if the thread's filters let it through. What it finds that it
/// must wait for wakes the task of `cx`.
#[inline]
pub fn begin<'a>(thread: &'a Arc<Thread>, context: &mut UserContext, cx: &mut Context<'_>) -> Begun<'a> {
    let line = trace::wants(thread)
        .then(|| Box::new(trace::Line::new(thread, context.syscall_number(), context.syscall_args())));
    match judged(thread, context, cx) {
        Poll::Ready(outcome) => {
            if let Some(line) = line {
                line.end(&outcome);
            }
            Begun::Ended(outcome)
        }
        Poll::Pending => Begun::Waits(line),
    }
}

/// Serves a call that has begun, and may have to wait, to its end. Dropped, it is given up.
pub async fn end(thread: &Arc<Thread>, number: u32, words: [usize; 6], line: Traced<'_>) -> Result<usize, Errno> {
    let result = match Call::from_number(number as usize) {
        #[cfg(feature = "containers")]
        Some(call) => container::serve(thread, call, words).await,
        _ => table::wait(thread, number, words).await,
    };
    if let Some(line) = line {
        line.end(&result.map(Outcome::Returns));
    }
    result
}

#[inline]
fn judged(thread: &Arc<Thread>, context: &mut UserContext, cx: &mut Context<'_>) -> Poll<Result<Outcome, Errno>> {
    if let Some(outcome) = seccomp::judge(thread, context) {
        return Poll::Ready(Ok(outcome));
    }
    // What is beyond the range no architecture has; among it are the stand-ins of `number::legacy`.
    match u32::try_from(context.syscall_number()) {
        Ok(number) if number <= number::MAX => table::begin(thread, context, cx, number),
        _ => Poll::Ready(Err(Errno::ENOSYS)),
    }
}

/// Begins a call that is not in the table: one that needs the thread's registers, or one of containers.
fn begin_elsewhere(thread: &Arc<Thread>, context: &mut UserContext, number: u32) -> Poll<Result<Outcome, Errno>> {
    if cfg!(feature = "containers") && Call::from_number(number as usize).is_some() {
        return Poll::Pending;
    }
    Poll::Ready(with_registers(thread, context, number))
}

fn with_registers(thread: &Arc<Thread>, context: &mut UserContext, number: u32) -> Result<Outcome, Errno> {
    let words = context.syscall_args();
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
        _ if Call::from_number(number as usize).is_some() => Err(Errno::ENOSYS),
        _ => Err(table::unknown(number)),
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
