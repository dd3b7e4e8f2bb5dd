//! Filters of system calls (seccomp(2)): asked before each call, and how a process gets one. What they are is in
//! `security::seccomp`.

use super::{Outcome, number};
use crate::{
    security::{
        Capabilities, Credentials, Seccomp,
        seccomp::{Data, Verdict, check},
    },
    task::{self, SignalInfo, Thread},
};
use alloc::{sync::Arc, vec};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
    seccomp::bpf::{INSTRUCTIONS_MAX, Instruction, verdict},
};
use veridian_hal::{UserAddr, user::UserContext};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Judges the call that `context` has trapped with, before anything of it is done: what becomes of the thread, or
/// `None` if the call may be made.
#[inline]
pub fn judge(thread: &Arc<Thread>, context: &UserContext) -> Option<Outcome> {
    if thread.confinement().judges_calls() { judge_closely(thread, context) } else { None }
}

#[inline(never)]
fn judge_closely(thread: &Arc<Thread>, context: &UserContext) -> Option<Outcome> {
    let number = context.syscall_number() as u32;
    if thread.confinement().allows_call(number) {
        return None;
    }
    match thread.confinement().seccomp() {
        Seccomp::Disabled => None,
        Seccomp::Strict => match number {
            number::__NR_read | number::__NR_write | number::__NR_exit | number::__NR_rt_sigreturn => None,
            _ => Some(Outcome::Exits(WaitStatus::Signaled(Signal::SIGKILL))),
        },
        Seccomp::Filtered(filter) => obey(thread, context, number, filter.judge(&data(context, number))),
    }
}

/// `struct seccomp_data`.
fn data(context: &UserContext, number: u32) -> Data {
    let mut data: Data = [0; _];
    data[0] = number;
    data[1] = number::AUDIT_ARCH;
    let words = core::iter::once(context.instruction_pointer().0).chain(context.syscall_args());
    for (halves, word) in data[2..].chunks_exact_mut(2).zip(words) {
        halves.copy_from_slice(&[word as u32, (word as u64 >> 32) as u32]);
    }
    data
}

fn obey(thread: &Arc<Thread>, context: &UserContext, number: u32, verdict: Verdict) -> Option<Outcome> {
    let log = |what: &str| {
        let name = number::name(number as usize).unwrap_or("no name");
        let at = context.instruction_pointer();
        log::info!("{thread:?}: seccomp: system call {number} ({name}) at {at:?}: {what}");
    };
    let log_if_asked = |what: &str| {
        if verdict.logs {
            log(what);
        }
    };
    match verdict.action() {
        verdict::ALLOW => None,
        verdict::LOG => {
            log("allowed");
            None
        }
        verdict::ERRNO => {
            log_if_asked("refused");
            // Not an error of the kernel's own: 0 is a success, and ENOMEM says nothing about memory.
            let number = verdict.data().min(Errno::MAX);
            Some(Outcome::Returns(usize::from(number).wrapping_neg()))
        }
        // Nobody traces, and nobody is notified: ENOSYS, as without a tracer or supervisor on Linux.
        verdict::TRACE | verdict::USER_NOTIF => {
            log_if_asked("refused");
            Some(Outcome::Returns(Errno::ENOSYS.to_return() as usize))
        }
        verdict::TRAP => {
            log_if_asked("trapped");
            let at = context.instruction_pointer().0;
            let info = SignalInfo::seccomp(at, number, number::AUDIT_ARCH, verdict.data());
            task::force(thread, Signal::SIGSYS, info);
            Some(Outcome::Replaced)
        }
        // KILL_THREAD, KILL_PROCESS and what there is no action for.
        _ => {
            log("killed");
            let status = WaitStatus::Signaled(Signal::SIGSYS);
            let alone = verdict.action() == verdict::KILL_THREAD;
            Some(if alone { Outcome::Exits(status) } else { Outcome::EndsProcess(status) })
        }
    }
}

/// Modes of prctl(PR_SET_SECCOMP).
const SECCOMP_MODE_STRICT: u32 = 1;
const SECCOMP_MODE_FILTER: u32 = 2;
/// Operations of seccomp(2).
const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;

bitflags::bitflags! {
    /// Flags of SECCOMP_SET_MODE_FILTER; the others are EINVAL.
    #[derive(Clone, Copy)]
    struct FilterFlags: u32 {
        /// For all threads of the process; the number of a thread that has filters of its own, if one does.
        const TSYNC = 1;
        /// Whatever is not allowed is logged.
        const LOG = 2;
        /// Speculation need not be hindered: it never is for a filter's sake.
        const SPEC_ALLOW = 4;
    }
}

pub fn seccomp(thread: &Thread, operation: u32, flags: u32, argument: UserAddr) -> Result<usize, Errno> {
    match operation {
        SET_MODE_STRICT if flags == 0 && argument == UserAddr(0) => set_strict(thread),
        SET_MODE_FILTER => set_filter(thread, FilterFlags::from_bits(flags).ok_or(Errno::EINVAL)?, argument),
        GET_ACTION_AVAIL if flags == 0 => {
            let action: u32 = thread.space().read(argument)?;
            match action {
                verdict::KILL_PROCESS
                | verdict::KILL_THREAD
                | verdict::TRAP
                | verdict::ERRNO
                | verdict::TRACE
                | verdict::LOG
                | verdict::ALLOW => Ok(0),
                _ => Err(Errno::EOPNOTSUPP),
            }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// prctl(PR_SET_SECCOMP).
pub fn set_mode(thread: &Thread, mode: usize, argument: UserAddr) -> Result<usize, Errno> {
    match u32::try_from(mode) {
        Ok(SECCOMP_MODE_STRICT) => set_strict(thread),
        Ok(SECCOMP_MODE_FILTER) => set_filter(thread, FilterFlags::empty(), argument),
        _ => Err(Errno::EINVAL),
    }
}

/// prctl(PR_GET_SECCOMP).
pub fn mode(thread: &Thread) -> usize {
    thread.confinement().seccomp().mode() as usize
}

fn set_strict(thread: &Thread) -> Result<usize, Errno> {
    match thread.confinement().seccomp() {
        Seccomp::Filtered(_) => Err(Errno::EINVAL),
        Seccomp::Disabled | Seccomp::Strict => {
            thread.confinement().set_seccomp(Seccomp::Strict);
            Ok(0)
        }
    }
}

/// `struct sock_fprog`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct FilterProgram {
    length: u16,
    _pad: [u8; 6],
    code: u64,
}

/// EACCES without CAP_SYS_ADMIN or no_new_privs: a filter must not outlive a gain of rights in a program that does
/// not expect it.
fn set_filter(thread: &Thread, flags: FilterFlags, argument: UserAddr) -> Result<usize, Errno> {
    let space = thread.space();
    let given: FilterProgram = space.read(argument)?;
    let length = usize::from(given.length);
    if length == 0 || length > INSTRUCTIONS_MAX {
        return Err(Errno::EINVAL);
    }
    let credentials = thread.credentials();
    if !credentials.no_new_privileges && !credentials.capable_at_home(Capabilities::SYS_ADMIN) {
        return Err(Errno::EACCES);
    }
    let mut code = vec![Instruction::new_zeroed(); length];
    space.read_bytes(UserAddr(given.code as usize), code.as_mut_bytes())?;
    drop(space);
    let before = thread.confinement().seccomp();
    let logs = flags.contains(FilterFlags::LOG);
    let after = before.with(check(&code)?, number::AUDIT_ARCH, logs, Some(&thread.memory()))?;
    if !flags.contains(FilterFlags::TSYNC) {
        thread.confinement().set_seccomp(after);
        return Ok(0);
    }
    let threads = thread.process().threads();
    if let Some(strange) = threads.iter().find(|other| !before.extends(&other.confinement().seccomp())) {
        return Ok(strange.pid().number_in(thread.pid().namespace()).unwrap_or(0) as usize);
    }
    // A thread that is being made takes over its maker's filters once it can be seen: none escapes.
    while let Some(other) =
        thread.process().threads().iter().find(|other| !other.confinement().seccomp().extends(&after))
    {
        if credentials.no_new_privileges {
            let who = Credentials { no_new_privileges: true, ..(*other.credentials()).clone() };
            other.set_credentials(who);
        }
        other.confinement().set_seccomp(after.clone());
    }
    Ok(0)
}
