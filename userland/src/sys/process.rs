//! Processes, signals, credentials, names, time.

use core::ffi::CStr;
use linux_raw_sys::general::{__kernel_timespec, CLOCK_MONOTONIC, SIGCHLD};
use linux_raw_sys::system::{new_utsname, sysinfo};

use super::{Arg, Errno, Plain, Result, call};

/// A process id; negative and zero ones mean what kill(2) and wait4(2) say.
pub type Pid = i32;

/// exit_group(2).
pub fn exit(status: i32) -> ! {
    loop {
        // It does not return; a kernel where it does is asked again rather than trusted.
        let _ = call!(__NR_exit_group, status);
    }
}
/// fork(2), by clone(2): 0 in the child.
pub fn fork() -> Result<Pid> {
    call!(__NR_clone, SIGCHLD, 0, 0, 0, 0).map(|pid| pid as Pid)
}
/// clone(2) of a child that shares what `flags` say, but for memory: 0 in the child.
pub fn fork_sharing(flags: u32) -> Result<Pid> {
    call!(__NR_clone, flags | SIGCHLD, 0, 0, 0, 0).map(|pid| pid as Pid)
}
/// Runs `body` in a forked child, which exits with its result.
pub fn spawn(body: impl FnOnce() -> i32) -> Result<Pid> {
    match fork()? {
        0 => exit(body()),
        pid => Ok(pid),
    }
}
/// The most strings that [`execve`] passes in one list.
pub const EXEC_STRINGS_MAX: usize = 15;
/// execve(2). It returns only when it failed; E2BIG also past [`EXEC_STRINGS_MAX`].
pub fn execve(path: &CStr, args: &[&CStr], env: &[&CStr]) -> Errno {
    let list = |strings: &[&CStr]| {
        let mut list = [core::ptr::null(); EXEC_STRINGS_MAX + 1];
        for (slot, string) in list.iter_mut().zip(strings) {
            *slot = string.as_ptr();
        }
        list
    };
    if args.len() > EXEC_STRINGS_MAX || env.len() > EXEC_STRINGS_MAX {
        return Errno::E2BIG;
    }
    match call!(__NR_execve, path, Arg::read(&list(args)), Arg::read(&list(env))) {
        Ok(_) => Errno::EIO,
        Err(errno) => errno,
    }
}
/// As [`execve`], with lists of any length.
pub fn execve_lists(path: &CStr, args: &[alloc::ffi::CString], env: &[alloc::ffi::CString]) -> Errno {
    let list = |strings: &[alloc::ffi::CString]| {
        let ends = core::iter::once(core::ptr::null());
        strings.iter().map(|string| string.as_ptr()).chain(ends).collect::<alloc::vec::Vec<_>>()
    };
    let (args, env) = (list(args), list(env));
    match call!(__NR_execve, path, Arg::read(&args[..]), Arg::read(&env[..])) {
        Ok(_) => Errno::EIO,
        Err(errno) => errno,
    }
}
/// wait4(2): the pid and the wait status; pid 0 when `WNOHANG` found none.
pub fn wait4(pid: Pid, options: u32) -> Result<(Pid, i32)> {
    let mut status = 0;
    call!(__NR_wait4, pid, Arg::write(&mut status), options, 0).map(|pid| (pid as Pid, status))
}
/// waitid(2): fills the first words of a `siginfo_t` (signo, errno, code, -, pid, uid, status).
pub fn waitid(kind: u32, id: Pid, options: u32) -> Result<[i32; 32]> {
    let mut info = [0; 32];
    call!(__NR_waitid, kind, id, Arg::write(&mut info), options, 0).map(|_| info)
}
/// pidfd_open(2).
pub fn pidfd_open(pid: Pid, flags: u32) -> Result<super::Fd> {
    call!(__NR_pidfd_open, pid, flags).map(|fd| fd as super::Fd)
}
/// pidfd_send_signal(2).
pub fn pidfd_send_signal(pidfd: super::Fd, signal: u32) -> Result {
    call!(__NR_pidfd_send_signal, pidfd, signal, 0, 0).map(drop)
}
/// kill(2).
pub fn kill(pid: Pid, signal: u32) -> Result {
    call!(__NR_kill, pid, signal).map(drop)
}
/// tgkill(2).
pub fn tgkill(group: Pid, thread: Pid, signal: u32) -> Result {
    call!(__NR_tgkill, group, thread, signal).map(drop)
}
/// rt_sigaction(2) for the two dispositions that need no code: `SIG_DFL` or `SIG_IGN`.
pub fn ignore_signal(signal: u32, ignored: bool) -> Result {
    // handler, flags, restorer (x86_64) or mask, mask: all zero but the handler, in each layout.
    let action: [u64; 4] = [u64::from(ignored), 0, 0, 0];
    call!(__NR_rt_sigaction, signal, Arg::read(&action), 0, 8).map(drop)
}
/// rt_sigprocmask(2): the mask before.
pub fn sigprocmask(how: u32, set: u64) -> Result<u64> {
    let mut old = 0_u64;
    call!(__NR_rt_sigprocmask, how, Arg::read(&set), Arg::write(&mut old), 8).map(|_| old)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $number:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> Pid {
            call!($number).map_or(-1, |id| id as Pid)
        }
    )*};
}
ids! {
    /// getpid(2).
    getpid __NR_getpid;
    /// getppid(2).
    getppid __NR_getppid;
    /// gettid(2).
    gettid __NR_gettid;
    /// getuid(2).
    getuid __NR_getuid;
    /// geteuid(2).
    geteuid __NR_geteuid;
    /// getgid(2).
    getgid __NR_getgid;
    /// getegid(2).
    getegid __NR_getegid;
}
/// setresuid(2).
pub fn setresuid(real: u32, effective: u32, saved: u32) -> Result {
    call!(__NR_setresuid, real, effective, saved).map(drop)
}
/// setresgid(2).
pub fn setresgid(real: u32, effective: u32, saved: u32) -> Result {
    call!(__NR_setresgid, real, effective, saved).map(drop)
}
/// setgroups(2).
pub fn setgroups(groups: &[u32]) -> Result {
    call!(__NR_setgroups, groups.len(), Arg::read(groups)).map(drop)
}
/// getgroups(2): how many.
pub fn getgroups(groups: &mut [u32]) -> Result<usize> {
    call!(__NR_getgroups, groups.len(), Arg::write(groups))
}
/// setsid(2).
pub fn setsid() -> Result<Pid> {
    call!(__NR_setsid).map(|id| id as Pid)
}
/// getsid(2).
pub fn getsid(pid: Pid) -> Result<Pid> {
    call!(__NR_getsid, pid).map(|id| id as Pid)
}
/// setpgid(2).
pub fn setpgid(pid: Pid, group: Pid) -> Result {
    call!(__NR_setpgid, pid, group).map(drop)
}
/// getpgid(2).
pub fn getpgid(pid: Pid) -> Result<Pid> {
    call!(__NR_getpgid, pid).map(|id| id as Pid)
}
/// unshare(2).
pub fn unshare(flags: u32) -> Result {
    call!(__NR_unshare, flags).map(drop)
}
/// uname(2).
pub fn uname() -> Result<new_utsname> {
    let mut names = new_utsname::zeroed();
    call!(__NR_uname, Arg::write(&mut names)).map(|_| names)
}
/// sethostname(2).
pub fn sethostname(name: &[u8]) -> Result {
    call!(__NR_sethostname, Arg::read(name), name.len()).map(drop)
}
/// sched_yield(2).
pub fn sched_yield() {
    // It cannot fail.
    let _ = call!(__NR_sched_yield);
}
/// A time in nanoseconds as the kernel wants it.
pub(super) fn timespec(nanoseconds: u64) -> __kernel_timespec {
    __kernel_timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as i64 }
}
/// nanosleep(2), in nanoseconds.
pub fn sleep(nanoseconds: u64) -> Result {
    call!(__NR_nanosleep, Arg::read(&timespec(nanoseconds)), 0).map(drop)
}
/// clock_nanosleep(2), in nanoseconds; `flags` may be `TIMER_ABSTIME`.
pub fn clock_sleep(clock: u32, flags: u32, nanoseconds: u64) -> Result {
    call!(__NR_clock_nanosleep, clock, flags, Arg::read(&timespec(nanoseconds)), 0).map(drop)
}
/// clock_gettime(2), in nanoseconds.
pub fn clock(id: u32) -> Result<u64> {
    let mut time = timespec(0);
    call!(__NR_clock_gettime, id, Arg::write(&mut time))
        .map(|_| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
/// Nanoseconds of `CLOCK_MONOTONIC`; 0 on a kernel without it.
pub fn now() -> u64 {
    clock(CLOCK_MONOTONIC).unwrap_or(0)
}
/// getrandom(2).
pub fn getrandom(buffer: &mut [u8], flags: u32) -> Result<usize> {
    call!(__NR_getrandom, Arg::write(buffer), buffer.len(), flags)
}
/// sysinfo(2).
pub fn sysinfo() -> Result<sysinfo> {
    let mut info = sysinfo::zeroed();
    call!(__NR_sysinfo, Arg::write(&mut info)).map(|_| info)
}
