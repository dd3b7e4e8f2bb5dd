//! Processes: who they are, where they come from, how they are waited for.

use super::{pidfd, place, privileges, seccomp, usage::ResourceUsage};
use crate::{
    mm::image::Arguments,
    sched,
    task::{self, Event, Origin, Program, Thread, WaitFor, WaitOptions},
};
use alloc::{format, sync::Arc};
use linux_raw_sys::{
    general,
    prctl::{PR_GET_CHILD_SUBREAPER, PR_GET_NAME, PR_GET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NAME, PR_SET_SECCOMP},
};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{
    UserAddr,
    user::{SIGNAL_INFO_BYTES, UserContext},
};

/// Bytes of a path, its NUL included.
const PATH_MAX: usize = 4096;

/// The number of the process: its leader's.
pub fn getpid(thread: &Thread) -> Result<usize, Errno> {
    Ok(thread.process().leader_pid().number() as usize)
}

pub fn gettid(thread: &Thread) -> Result<usize, Errno> {
    Ok(thread.pid().number() as usize)
}

/// 0 when the parent is not in the caller's pid namespace.
pub fn getppid(thread: &Thread) -> Result<usize, Errno> {
    let parent = thread.parent().and_then(|parent| parent.pid().number_in(thread.pid().namespace()));
    Ok(parent.unwrap_or(0) as usize)
}

/// The process that `pid` names for the caller; 0 names the caller.
fn named(thread: &Thread, pid: u32) -> Result<u32, Errno> {
    if pid == 0 {
        return Ok(thread.pid().number());
    }
    Ok(pid)
}

pub(super) fn find(thread: &Thread, pid: u32) -> Result<Arc<Thread>, Errno> {
    thread.pid().namespace().thread(named(thread, pid)?).ok_or(Errno::ESRCH)
}

/// The number in the caller's pid namespace of what is known as `global` in the first one; 0 if it has none there.
fn seen_by(thread: &Thread, global: u32) -> usize {
    let namespace = thread.pid().namespace();
    let found = crate::boot::pid_namespace().pid(global);
    found.and_then(|pid| pid.number_in(namespace)).unwrap_or(0) as usize
}

pub fn getpgid(thread: &Thread, pid: u32) -> Result<usize, Errno> {
    Ok(seen_by(thread, find(thread, pid)?.group()))
}

pub fn getpgrp(thread: &Thread) -> Result<usize, Errno> {
    getpgid(thread, 0)
}

/// setpgid(2): the caller or a child of it, into a new group of its own or one of the same session.
pub fn setpgid(thread: &Arc<Thread>, pid: u32, group: u32) -> Result<usize, Errno> {
    if group > i32::MAX as u32 {
        return Err(Errno::EINVAL);
    }
    let target = if pid == 0 { thread.leader() } else { find(thread, pid)? };
    if !target.is_leader() {
        return Err(Errno::EINVAL);
    }
    let is_child = target.parent().is_some_and(|parent| parent.is_sibling(thread));
    if !target.is_sibling(thread) && !is_child {
        return Err(Errno::ESRCH);
    }
    if is_child && target.has_begun_program() {
        return Err(Errno::EACCES);
    }
    if target.session() == target.pid().global_number() || target.session() != thread.session() {
        return Err(Errno::EPERM);
    }
    let namespace = thread.pid().namespace();
    let own = target.pid().number_in(namespace);
    let leader = match group {
        0 => namespace.pid(own.ok_or(Errno::ESRCH)?),
        _ => namespace.pid(group),
    };
    let leader = leader.ok_or(Errno::EPERM)?;
    let is_own = leader.global_number() == target.pid().global_number();
    if !is_own && !task::group_is_in_session(leader.global_number(), thread.session()) {
        return Err(Errno::EPERM);
    }
    target.set_group(&leader);
    Ok(0)
}

pub fn getsid(thread: &Thread, pid: u32) -> Result<usize, Errno> {
    Ok(seen_by(thread, find(thread, pid)?.session()))
}

/// setsid(2); EPERM for the leader of a process group, and while a group has the caller's number.
pub fn setsid(thread: &Thread) -> Result<usize, Errno> {
    let own = thread.process().leader_pid();
    if thread.group() == own.global_number() || task::group_is_in_session(own.global_number(), thread.session()) {
        return Err(Errno::EPERM);
    }
    thread.lead_session();
    Ok(own.number() as usize)
}

pub async fn sched_yield(_: &Thread) -> Result<usize, Errno> {
    sched::yield_now().await;
    Ok(0)
}

pub fn set_tid_address(thread: &Thread, word: UserAddr) -> Result<usize, Errno> {
    thread.set_cleared_at_end(word);
    Ok(thread.pid().number() as usize)
}

/// prctl(2): the name of the process, its filter, and what it says of rights; all else is EINVAL.
pub fn prctl(
    thread: &Thread,
    option: u32,
    word: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
) -> Result<usize, Errno> {
    const NAME_SIZE: usize = 16;
    match option {
        PR_SET_NAME => {
            let mut name = [0; NAME_SIZE];
            let string = thread.space().read_c_string(UserAddr(word), NAME_SIZE * 64)?;
            let length = string.len().min(NAME_SIZE - 1);
            name[..length].copy_from_slice(&string[..length]);
            thread.set_name(&name[..length]);
            Ok(0)
        }
        PR_GET_NAME => {
            let mut bytes = [0; NAME_SIZE];
            let name = thread.name();
            let length = name.len().min(NAME_SIZE - 1);
            bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
            thread.space().write_bytes(UserAddr(word), &bytes)?;
            Ok(0)
        }
        PR_SET_CHILD_SUBREAPER => {
            thread.set_adopts_orphans(word != 0);
            Ok(0)
        }
        PR_GET_CHILD_SUBREAPER => {
            thread.space().write(UserAddr(word), &i32::from(thread.adopts_orphans()))?;
            Ok(0)
        }
        PR_GET_SECCOMP => Ok(seccomp::mode(thread)),
        PR_SET_SECCOMP => seccomp::set_mode(thread, word, UserAddr(third)),
        _ => privileges::prctl(thread, option, [word, third, fourth, fifth]),
    }
}

/// arch_prctl(2): the FS base, which is the thread pointer.
pub fn arch_prctl(thread: &Thread, context: &mut UserContext, code: usize, address: UserAddr) -> Result<usize, Errno> {
    const ARCH_SET_FS: usize = 0x1002;
    const ARCH_GET_FS: usize = 0x1003;
    match code {
        ARCH_SET_FS if address.0 >= veridian_hal::arch::USER_END => Err(Errno::EPERM),
        ARCH_SET_FS => {
            context.set_thread_pointer(address);
            Ok(0)
        }
        ARCH_GET_FS => {
            thread.space().write(address, &(context.thread_pointer().0 as u64))?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// execve(2): the program that the process is to begin.
pub fn execve(
    thread: &Arc<Thread>,
    path: UserAddr,
    arguments: UserAddr,
    environment: UserAddr,
) -> Result<Program, Errno> {
    execveat(thread, general::AT_FDCWD, path, arguments, environment, 0)
}

/// execveat(2): a program below a directory, or (AT_EMPTY_PATH) the one that is open.
pub fn execveat(
    thread: &Arc<Thread>,
    dirfd: i32,
    path: UserAddr,
    arguments: UserAddr,
    environment: UserAddr,
    flags: u32,
) -> Result<Program, Errno> {
    place::check_flags(flags, general::AT_EMPTY_PATH | general::AT_SYMLINK_NOFOLLOW)?;
    let space = thread.space();
    let path = space.read_c_string(path, PATH_MAX - 1)?;
    if path.is_empty() && flags & general::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    let mut budget = Arguments::MAX_BYTES;
    let arguments = Arguments::read(&space, arguments, &mut budget)?;
    let environment = Arguments::read(&space, environment, &mut budget)?;
    drop(space);
    let follow = flags & general::AT_SYMLINK_NOFOLLOW == 0;
    if dirfd == general::AT_FDCWD || path.first() == Some(&b'/') {
        return task::prepare(thread, Origin { base: None, path: &path, follow }, &path, &arguments, &environment);
    }
    let (file, closes) =
        thread.with_files(|files| Ok::<_, Errno>((files.get(dirfd)?, files.is_closed_on_exec(dirfd)?)))?;
    // What the program is told that it is; a script is read by this name.
    let slash = if path.is_empty() { "" } else { "/" };
    let name = [format!("/dev/fd/{dirfd}{slash}").as_bytes(), &path].concat();
    let origin = Origin { base: Some((&file, closes)), path: &path, follow };
    task::prepare(thread, origin, &name, &arguments, &environment)
}

/// The process group that is known as `number`, by its number in the first pid namespace; ECHILD when there is none.
fn group_of(thread: &Thread, number: u32) -> Result<u32, Errno> {
    thread.pid().namespace().pid(number).map(|pid| pid.global_number()).ok_or(Errno::ECHILD)
}

/// wait4(2).
pub async fn wait4(thread: &Thread, pid: i32, status: UserAddr, options: u32, usage: UserAddr) -> Result<usize, Errno> {
    let known = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
    // __WNOTHREAD, __WALL and __WCLONE tell threads apart, of which there is one.
    let options = options & !(general::__WNOTHREAD | general::__WALL | general::__WCLONE);
    let options = WaitOptions::from_bits(options).filter(|asked| known.contains(*asked)).ok_or(Errno::EINVAL)?;
    let which = match pid {
        -1 => WaitFor::Any,
        0 => WaitFor::Group(thread.group()),
        1.. => WaitFor::Pid(pid.unsigned_abs()),
        i32::MIN => return Err(Errno::ESRCH),
        _ => WaitFor::Group(group_of(thread, pid.unsigned_abs())?),
    };
    let Some(waited) = task::wait(thread, which, options | WaitOptions::EXITED).await? else { return Ok(0) };
    if status != UserAddr(0) {
        let word = match waited.event {
            Event::Ended(status) => status.encode(),
            Event::Stopped(signal) => (signal.number() as i32) << 8 | 0x7f,
            Event::Continued => 0xffff,
        };
        thread.space().write(status, &word)?;
    }
    if usage != UserAddr(0) {
        thread.space().write(usage, &ResourceUsage::of_child(&waited.child))?;
    }
    Ok(waited.child.pid().number_in(thread.pid().namespace()).unwrap_or(0) as usize)
}

/// waitid(2).
pub async fn waitid(
    thread: &Thread,
    kind: u32,
    id: u32,
    info: UserAddr,
    options: u32,
    usage: UserAddr,
) -> Result<usize, Errno> {
    const P_ALL: u32 = 0;
    const P_PID: u32 = 1;
    const P_PGID: u32 = 2;
    const P_PIDFD: u32 = 3;
    let options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    if !options.intersects(WaitOptions::EXITED | WaitOptions::UNTRACED | WaitOptions::CONTINUED) {
        return Err(Errno::EINVAL);
    }
    let mut options = options;
    let mut nonblocking = false;
    let which = match kind {
        P_PIDFD => {
            let descriptor = i32::try_from(id).map_err(|_| Errno::EINVAL)?;
            let file = thread.with_files(|files| files.get(descriptor))?;
            nonblocking = file.is_nonblocking() && !options.contains(WaitOptions::NOHANG);
            options.set(WaitOptions::NOHANG, file.is_nonblocking() || options.contains(WaitOptions::NOHANG));
            WaitFor::Process(pidfd::process_of(&file)?)
        }
        P_ALL => WaitFor::Any,
        P_PID if id > 0 => WaitFor::Pid(id),
        P_PGID if id == 0 => WaitFor::Group(thread.group()),
        P_PGID => WaitFor::Group(group_of(thread, id)?),
        _ => return Err(Errno::EINVAL),
    };
    let waited = task::wait(thread, which, options).await?;
    if waited.is_none() && nonblocking {
        return Err(Errno::EAGAIN);
    }
    if info != UserAddr(0) {
        // Nothing was waited for: all is 0.
        let told =
            waited.as_ref().map_or([0; SIGNAL_INFO_BYTES], |waited| waited.info(thread).to_bytes(Signal::SIGCHLD));
        thread.space().write_bytes(info, &told)?;
    }
    if usage != UserAddr(0)
        && let Some(waited) = &waited
    {
        thread.space().write(usage, &ResourceUsage::of_child(&waited.child))?;
    }
    Ok(0)
}
