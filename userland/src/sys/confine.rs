//! What a process may do less: filters of its calls, resource limits.

use linux_raw_sys::prctl::{PR_GET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP};
use veridian_containers::seccomp::bpf::Instruction;

use super::{Arg, Errno, Result, call};

/// `struct sock_fprog`.
#[repr(C)]
struct FilterProgram {
    length: u16,
    code: *const Instruction,
}

/// seccomp(SECCOMP_SET_MODE_FILTER). The kernel is told `length`, which is at most that of `code` or it is cut.
pub fn seccomp_filter(flags: u32, code: &[Instruction]) -> Result {
    let program = FilterProgram { length: u16::try_from(code.len()).unwrap_or(u16::MAX), code: code.as_ptr() };
    call!(__NR_seccomp, 1, flags, Arg::read(&program)).map(drop)
}
/// prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER).
pub fn prctl_seccomp_filter(code: &[Instruction]) -> Result {
    let program = FilterProgram { length: u16::try_from(code.len()).unwrap_or(u16::MAX), code: code.as_ptr() };
    call!(__NR_prctl, PR_SET_SECCOMP, 2, Arg::read(&program), 0, 0).map(drop)
}
/// seccomp(SECCOMP_SET_MODE_STRICT).
pub fn seccomp_strict() -> Result {
    call!(__NR_seccomp, 0, 0, 0).map(drop)
}
/// seccomp(SECCOMP_GET_ACTION_AVAIL).
pub fn seccomp_action_available(action: u32) -> Result {
    call!(__NR_seccomp, 2, 0, Arg::read(&action)).map(drop)
}
/// prctl(PR_SET_SECCOMP) without a filter.
pub fn set_seccomp_mode(mode: u32) -> Result {
    call!(__NR_prctl, PR_SET_SECCOMP, mode, 0, 0, 0).map(drop)
}
/// prctl(PR_GET_SECCOMP).
pub fn seccomp_mode() -> Result<usize> {
    call!(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0)
}
/// prctl(PR_SET_NO_NEW_PRIVS).
pub fn set_no_new_privs() -> Result {
    call!(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).map(drop)
}
/// exit(2), the one end that strict mode lets a process choose.
pub fn exit_thread(status: i32) -> Errno {
    match call!(__NR_exit, status) {
        Ok(_) => Errno::EIO,
        Err(errno) => errno,
    }
}

/// A resource limit: what is enforced, and how far that may be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rlimit {
    /// What is enforced.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// getrlimit(2).
pub fn getrlimit(kind: u32) -> Result<Rlimit> {
    let mut limit = Rlimit { soft: 0, hard: 0 };
    call!(__NR_getrlimit, kind, Arg::write(&mut limit)).map(|_| limit)
}
/// setrlimit(2).
pub fn setrlimit(kind: u32, soft: u64, hard: u64) -> Result {
    call!(__NR_setrlimit, kind, Arg::read(&Rlimit { soft, hard })).map(drop)
}
/// prlimit(2) that sets: the limit before.
pub fn prlimit(pid: super::Pid, kind: u32, soft: u64, hard: u64) -> Result<Rlimit> {
    let mut old = Rlimit { soft: 0, hard: 0 };
    call!(__NR_prlimit64, pid, kind, Arg::read(&Rlimit { soft, hard }), Arg::write(&mut old)).map(|_| old)
}
