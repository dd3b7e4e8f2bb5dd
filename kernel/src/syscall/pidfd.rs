//! Descriptors that stand for processes: made, signalled, waited for.

use super::{place, process::find, signal};
use crate::{
    fs::{File, OpenFlags},
    task::{PidFd, Thread},
};
use alloc::sync::Arc;
use linux_raw_sys::general::O_NONBLOCK;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// pidfd_open(2), of a process: EINVAL for the number of a further thread, and for `PIDFD_THREAD`.
pub fn pidfd_open(thread: &Thread, pid: i32, flags: u32) -> Result<usize, Errno> {
    place::check_flags(flags, O_NONBLOCK)?;
    let pid = u32::try_from(pid).ok().filter(|&pid| pid > 0).ok_or(Errno::EINVAL)?;
    let target = find(thread, pid)?;
    if !target.is_leader() {
        return Err(Errno::EINVAL);
    }
    let (descriptor, pidfd) = unnamed(thread, OpenFlags::from_bits_truncate(flags))?;
    pidfd.stand_for(&target);
    Ok(descriptor as usize)
}

/// pidfd_send_signal(2).
pub fn pidfd_send_signal(
    thread: &Arc<Thread>,
    descriptor: i32,
    number: u32,
    info: UserAddr,
    flags: u32,
) -> Result<usize, Errno> {
    place::check_flags(flags, 0)?;
    let file = thread.with_files(|files| files.get(descriptor))?;
    let target = process_of(&file)?;
    if target.pid().number_in(thread.pid().namespace()).is_none() {
        return Err(Errno::EINVAL);
    }
    let info = if info == UserAddr(0) {
        None
    } else {
        if thread.space().read::<u32>(info)? != number {
            return Err(Errno::EINVAL);
        }
        Some(signal::read_info(thread, info, target.is_sibling(thread))?)
    };
    if target.is_departed() {
        return Err(Errno::ESRCH);
    }
    signal::to_process(thread, &target, number, info)
}

/// pidfd_getfd(2): a descriptor, closed on exec, for a file that another process has open.
pub fn pidfd_getfd(thread: &Thread, descriptor: i32, fd: i32, flags: u32) -> Result<usize, Errno> {
    place::check_flags(flags, 0)?;
    let target = process_of(&*thread.with_files(|files| files.get(descriptor))?)?;
    if !target.is_sibling(thread) {
        target.permit_access(thread)?;
    }
    let file = target.try_with_files(|files| files.get(fd)).ok_or(Errno::ESRCH)??;
    Ok(thread.with_files(|files| files.insert(file, true))? as usize)
}

/// A descriptor of the caller, closed on exec, for a process that is still to be named.
pub fn unnamed(thread: &Thread, flags: OpenFlags) -> Result<(i32, Arc<PidFd>), Errno> {
    let who = thread.credentials();
    let pidfd = Arc::new(PidFd::unnamed());
    let file = File::of_object(pidfd.clone(), flags | OpenFlags::RDWR, who.euid, who.egid)?;
    Ok((thread.with_files(|files| files.insert(file, true))?, pidfd))
}

/// The process that a file stands for; EBADF when it is none of these.
pub fn process_of(file: &File) -> Result<Arc<Thread>, Errno> {
    file.object::<PidFd>().and_then(PidFd::thread).cloned().ok_or(Errno::EBADF)
}
