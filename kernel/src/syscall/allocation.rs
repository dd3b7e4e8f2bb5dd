//! The room that files take, and advice about how they are read: fallocate(2), posix_fadvise(2).

use super::{
    place::open_file,
    transfer::{answered, most_bytes},
};
use crate::{
    fs::{Access, Allocation, FileType},
    task::Thread,
};
use alloc::sync::Arc;
use core::ops::Range;
use linux_raw_sys::general;
use veridian_containers::abi::Errno;

const KEEP_SIZE: u32 = general::FALLOC_FL_KEEP_SIZE;
const PUNCH_HOLE: u32 = general::FALLOC_FL_PUNCH_HOLE;

/// `length` bytes from `offset` on: EINVAL for none or a negative number.
fn range(offset: i64, length: i64) -> Result<Range<u64>, Errno> {
    let start = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let length = u64::try_from(length).ok().filter(|&length| length > 0).ok_or(Errno::EINVAL)?;
    Ok(start..start + length)
}

/// fallocate(2), of what tmpfs knows: to allocate, with or without a change of length, and to punch holes.
pub fn fallocate(thread: &Arc<Thread>, fd: i32, mode: u32, offset: i64, length: i64) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    let range = range(offset, length)?;
    let manner = match mode {
        0 => Allocation::Lengthen,
        KEEP_SIZE => Allocation::KeepLength,
        mode if mode == PUNCH_HOLE | KEEP_SIZE => Allocation::Punch,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    answered(thread, file.allocate(range, manner, &thread.memory(), most_bytes(thread)))?;
    Ok(0)
}

/// posix_fadvise(2): all files are in memory, so that any advice is followed already.
pub fn fadvise64(thread: &Thread, fd: i32, _offset: i64, length: i64, advice: u32) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    if file.inode().file_type() == FileType::Fifo {
        return Err(Errno::ESPIPE);
    }
    if length < 0 || advice > general::POSIX_FADV_NOREUSE {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// readahead(2): see [`fadvise64`].
pub fn readahead(thread: &Thread, fd: i32, _offset: i64, _count: usize) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    if !file.access().contains(Access::READ) {
        return Err(Errno::EBADF);
    }
    if file.inode().file_type() == FileType::Regular { Ok(0) } else { Err(Errno::EINVAL) }
}

/// sync_file_range(2): what is written is where it belongs.
pub fn sync_file_range(thread: &Thread, fd: i32, offset: i64, length: i64, flags: u32) -> Result<usize, Errno> {
    let known =
        general::SYNC_FILE_RANGE_WAIT_BEFORE | general::SYNC_FILE_RANGE_WRITE | general::SYNC_FILE_RANGE_WAIT_AFTER;
    let file = open_file(thread, fd)?;
    if flags & !known != 0 || offset < 0 || length < 0 || offset.checked_add(length).is_none() {
        return Err(Errno::EINVAL);
    }
    let stored = matches!(file.inode().file_type(), FileType::Regular | FileType::Directory | FileType::Symlink);
    if stored { Ok(0) } else { Err(Errno::ESPIPE) }
}
