//! Descriptors themselves: copies, flags, and what only some files answer (ioctl).

use super::{
    lock,
    place::{check_flags, open_file},
    transfer::admitted,
};
use crate::{
    fs::{
        Attempt, OpenFlags, Seals,
        pipe::{Pipe, PipeEnd},
    },
    security::Capabilities,
    task::Thread,
};
use alloc::sync::Arc;
use linux_raw_sys::{general, ioctl as requests};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

pub fn dup(thread: &Thread, old: i32) -> Result<usize, Errno> {
    thread.with_files(|files| files.get(old).and_then(|file| files.insert(file, false))).map(|fd| fd as usize)
}

pub fn dup2(thread: &Thread, old: i32, new: i32) -> Result<usize, Errno> {
    if old == new {
        return thread.with_files(|files| files.get(old)).map(|_| new as usize);
    }
    dup3(thread, old, new, 0)
}

pub fn dup3(thread: &Thread, old: i32, new: i32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::O_CLOEXEC)?;
    if old == new {
        return Err(Errno::EINVAL);
    }
    let closed = thread.with_files(|files| files.replace(old, new, flags & general::O_CLOEXEC != 0))?;
    drop(closed);
    Ok(new as usize)
}

// linux/close_range.h, which linux-raw-sys does not have.
const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

pub fn close_range(thread: &Thread, first: u32, last: u32, flags: u32) -> Result<usize, Errno> {
    // Descriptors are no other process's: CLOSE_RANGE_UNSHARE has nothing to do.
    check_flags(flags, CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)?;
    if first > last {
        return Err(Errno::EINVAL);
    }
    let (first, last) = (first as usize, last as usize);
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        thread.with_files(|files| files.close_range_on_exec(first, last));
    } else {
        let closed = thread.with_files(|files| files.close_range(first, last));
        drop(closed);
    }
    Ok(0)
}

pub async fn fcntl(thread: &Thread, fd: i32, command: u32, argument: usize) -> Result<usize, Errno> {
    match command {
        general::F_DUPFD | general::F_DUPFD_CLOEXEC => {
            let lowest = i32::try_from(argument).ok().and_then(|fd| usize::try_from(fd).ok()).ok_or(Errno::EINVAL)?;
            let close_on_exec = command == general::F_DUPFD_CLOEXEC;
            let copy = thread
                .with_files(|files| files.get(fd).and_then(|file| files.insert_from(lowest, file, close_on_exec)));
            copy.map(|fd| fd as usize)
        }
        general::F_GETFD => {
            let closes = thread.with_files(|files| files.is_closed_on_exec(fd))?;
            Ok(if closes { general::FD_CLOEXEC as usize } else { 0 })
        }
        general::F_SETFD => {
            let close_on_exec = argument as u32 & general::FD_CLOEXEC != 0;
            thread.with_files(|files| files.set_close_on_exec(fd, close_on_exec))?;
            Ok(0)
        }
        general::F_GETFL => {
            let file = thread.with_files(|files| files.get(fd))?;
            Ok(file.flags().bits() as usize)
        }
        general::F_SETFL => {
            // As fcntl(2): the way of access, what belongs to opening alone and what is no flag are passed over.
            open_file(thread, fd)?.set_flags(OpenFlags::from_bits_truncate(argument as u32));
            Ok(0)
        }
        general::F_GETPIPE_SZ => Ok(open_pipe(thread, fd)?.capacity()),
        general::F_SETPIPE_SZ => {
            let unbounded = thread.credentials().capable(Capabilities::SYS_RESOURCE);
            open_pipe(thread, fd)?.set_capacity(argument as u32 as usize, unbounded)
        }
        general::F_GET_SEALS => open_file(thread, fd)?.seals().map(|seals| seals.bits() as usize),
        general::F_ADD_SEALS => {
            let seals = Seals::from_bits(argument as u32).ok_or(Errno::EINVAL)?;
            open_file(thread, fd)?.add_seals(seals)?;
            Ok(0)
        }
        command if lock::is_record_lock(command) => lock::record_lock(thread, fd, command, UserAddr(argument)).await,
        // Nobody gets a lease.
        general::F_GETLEASE => open_file(thread, fd).map(|_| general::F_UNLCK as usize),
        _ => {
            open_file(thread, fd)?;
            Err(Errno::EINVAL)
        }
    }
}

/// The pipe behind a descriptor; EBADF for what is none.
fn open_pipe(thread: &Thread, fd: i32) -> Result<Arc<Pipe>, Errno> {
    let file = open_file(thread, fd)?;
    file.object::<PipeEnd>().map(|end| end.pipe().clone()).ok_or(Errno::EBADF)
}

/// ioctl(2): what every file answers here; the rest is the object's.
pub async fn ioctl(thread: &Arc<Thread>, fd: i32, request: u32, argument: UserAddr) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    let space = thread.space();
    let object = file.any_object();
    match request {
        requests::FIONREAD => {
            let count = match object {
                Some(object) => object.readable_bytes().ok_or(Errno::ENOTTY)?,
                None if file.inode().is_directory() => return Err(Errno::ENOTTY),
                None => {
                    let offset = file.seek(crate::fs::Whence::Current, 0)?;
                    file.inode().status().length_bytes.saturating_sub(offset) as usize
                }
            };
            space.write(argument, &i32::try_from(count).unwrap_or(i32::MAX))?;
        }
        requests::FIONBIO => {
            let on = space.read::<i32>(argument)? != 0;
            let flags = file.flags();
            file.set_flags(if on { flags | OpenFlags::NONBLOCK } else { flags - OpenFlags::NONBLOCK });
        }
        requests::FIOCLEX => thread.with_files(|files| files.set_close_on_exec(fd, true))?,
        requests::FIONCLEX => thread.with_files(|files| files.set_close_on_exec(fd, false))?,
        _ => {
            admitted(thread, &file, Attempt::Control(request)).await?;
            return object.ok_or(Errno::ENOTTY)?.ioctl(thread, request, argument);
        }
    }
    Ok(0)
}
