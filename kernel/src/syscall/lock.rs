//! Locks of files: flock(2), and those of fcntl(2).

use super::place::open_file;
use crate::{
    fs::{
        Access, File, Whence,
        locks::{Kind, Owner, Record},
    },
    task::Thread,
};
use alloc::sync::Arc;
use core::{future::poll_fn, ops::Range};
use linux_raw_sys::general as linux;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct flock` of 64-bit architectures.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Flock {
    kind: i16,
    whence: i16,
    _pad: u32,
    start: i64,
    length: i64,
    process: i32,
    _pad_end: u32,
}

/// flock(2): a lock of the whole file, which the open file has, and all descriptors of it.
pub async fn flock(thread: &Thread, fd: i32, operation: u32) -> Result<usize, Errno> {
    let kind = match operation & !linux::LOCK_NB {
        linux::LOCK_SH => Some(Kind::Shared),
        linux::LOCK_EX => Some(Kind::Exclusive),
        linux::LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let file = open_file(thread, fd)?;
    let (locks, owner) = (file.inode().locks(), file.lock_owner());
    let memory = thread.memory();
    match kind {
        None => locks.clear_whole(owner),
        Some(kind) if operation & linux::LOCK_NB != 0 => locks.set_whole(owner, kind, &memory)?,
        Some(kind) => poll_fn(|cx| locks.poll_set_whole(cx, owner, kind, &memory)).await?,
    }
    Ok(0)
}

/// Whether `command` of fcntl(2) is one of those that [`record_lock`] serves.
pub(super) fn is_record_lock(command: u32) -> bool {
    matches!(command, linux::F_GETLK | linux::F_SETLK | linux::F_SETLKW) || is_of_open_file(command)
}

fn is_of_open_file(command: u32) -> bool {
    matches!(command, linux::F_OFD_GETLK | linux::F_OFD_SETLK | linux::F_OFD_SETLKW)
}

/// fcntl(2): locks of ranges of bytes, of the descriptor table or (F_OFD_*) of the open file.
pub(super) async fn record_lock(thread: &Thread, fd: i32, command: u32, at: UserAddr) -> Result<usize, Errno> {
    let (file, table) = thread.with_files(|files| files.get_open(fd).map(|file| (file, files.lock_owner())))?;
    let asked: Flock = thread.space().read(at)?;
    let range = range(&file, &asked)?;
    let kind = match u32::try_from(asked.kind) {
        Ok(linux::F_RDLCK) => Some(Kind::Shared),
        Ok(linux::F_WRLCK) => Some(Kind::Exclusive),
        Ok(linux::F_UNLCK) => None,
        _ => return Err(Errno::EINVAL),
    };
    let owner = if is_of_open_file(command) {
        if asked.process != 0 {
            return Err(Errno::EINVAL);
        }
        file.lock_owner()
    } else {
        table
    };
    let locks = file.inode().locks();
    let memory = thread.memory();
    let process = thread.pid().global_number();
    if matches!(command, linux::F_GETLK | linux::F_OFD_GETLK) {
        let wanted = Record { owner, kind: kind.ok_or(Errno::EINVAL)?, range, process };
        thread.space().write(at, &told(thread, asked, locks.collision(&wanted)))?;
        return Ok(0);
    }
    let Some(kind) = kind else {
        locks.clear(owner, &range, &memory)?;
        return Ok(0);
    };
    let needed = if kind == Kind::Shared { Access::READ } else { Access::WRITE };
    if !file.access().contains(needed) {
        return Err(Errno::EBADF);
    }
    let record = Record { owner, kind, range, process };
    if matches!(command, linux::F_SETLK | linux::F_OFD_SETLK) {
        locks.set(record, &memory)?;
    } else {
        let wait = locks.wait();
        poll_fn(|cx| wait.poll_set(cx, &record, &memory)).await?;
    }
    // Another thread may have closed the descriptor meanwhile, and would have given up the lock.
    let stays = thread.with_files(|files| files.get(fd).is_ok_and(|now| Arc::ptr_eq(&now, &file)));
    if !stays && owner == table {
        locks.release(owner);
        return Err(Errno::EBADF);
    }
    Ok(0)
}

/// The bytes that a request names: EINVAL for what begins before the file or ends before it begins, EOVERFLOW for what is
/// beyond all files.
fn range(file: &File, asked: &Flock) -> Result<Range<u64>, Errno> {
    let from = match u32::try_from(asked.whence) {
        Ok(linux::SEEK_SET) => 0,
        Ok(linux::SEEK_CUR) => file.seek(Whence::Current, 0).unwrap_or(0) as i64,
        Ok(linux::SEEK_END) => file.inode().status().length_bytes as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = from.checked_add(asked.start).ok_or(Errno::EOVERFLOW)?;
    let (start, end) = match asked.length {
        0 => (start, None),
        length if length > 0 => (start, Some(start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?)),
        length => (start.checked_add(length).ok_or(Errno::EINVAL)?, Some(start.wrapping_sub(1))),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    // To the last byte of all files is as far as there is.
    let end = end.filter(|&last| last != i64::MAX).map_or(Ok(u64::MAX), |last| u64::try_from(last + 1));
    end.map(|end| start..end).map_err(|_| Errno::EINVAL)
}

/// What F_GETLK tells of a lock that stands in the way, or of none.
fn told(thread: &Thread, asked: Flock, held: Option<Record>) -> Flock {
    let Some(held) = held else { return Flock { kind: linux::F_UNLCK as i16, ..asked } };
    let process = match held.owner {
        Owner::File(_) => -1,
        Owner::Table(_) => {
            let holder = crate::boot::pid_namespace().thread(held.process);
            holder.and_then(|holder| holder.pid().number_in(thread.pid().namespace())).unwrap_or(0) as i32
        }
    };
    let length = if held.range.end == u64::MAX { 0 } else { held.range.end - held.range.start };
    Flock {
        kind: if held.kind == Kind::Shared { linux::F_RDLCK } else { linux::F_WRLCK } as i16,
        whence: linux::SEEK_SET as i16,
        start: held.range.start as i64,
        length: length as i64,
        process,
        ..asked
    }
}
