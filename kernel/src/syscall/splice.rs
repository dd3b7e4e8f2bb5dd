//! Transfers from file to file, without a program's memory between: splice(2), tee(2), vmsplice(2), sendfile(2),
//! copy_file_range(2).
//!
//! Frames move from pipe to pipe; from and to anything else bytes are copied.

use super::{
    place::{check_flags, open_file},
    transfer::{answered, patient, read_some, write_all, write_some},
    vectored::vectored,
};
use crate::{
    fs::{
        Access, File, FileType, OpenFlags, Whence,
        pipe::{Buffer, Pipe, PipeEnd, Taken},
    },
    mm::{TRANSFER_MAX, filled},
    sched,
    task::Thread,
};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr};

const NONBLOCK: u32 = 0x02;
/// SPLICE_F_MOVE, SPLICE_F_NONBLOCK, SPLICE_F_MORE, SPLICE_F_GIFT: all but the second are hints.
const KNOWN: u32 = 0x0f;
/// Bytes that are moved at once.
const AT_ONCE: usize = 64 * 1024;

/// The pipe behind an open file, if it is one.
fn pipe_of(file: &File) -> Option<&Arc<Pipe>> {
    file.object::<PipeEnd>().map(PipeEnd::pipe)
}

/// Waits for room in a pipe.
async fn room(thread: &Arc<Thread>, file: &File, pipe: &Pipe, waits: bool) -> Result<usize, Errno> {
    answered(thread, patient(waits && !file.is_nonblocking(), |cx| pipe.poll_room(cx)).await)
}

/// Takes up to `most` bytes out of a pipe, waiting for some.
async fn take(file: &File, pipe: &Pipe, waits: bool, most: usize) -> Result<Taken, Errno> {
    patient(waits && !file.is_nonblocking(), |cx| pipe.poll_take(cx, most).map(Ok)).await
}

/// An offset that a program keeps: null is the file's own.
fn offset(thread: &Thread, at: UserAddr) -> Result<Option<u64>, Errno> {
    if at == UserAddr(0) {
        return Ok(None);
    }
    u64::try_from(thread.space().read::<i64>(at)?).map(Some).map_err(|_| Errno::EINVAL)
}

fn moved_to(thread: &Thread, at: UserAddr, offset: Option<u64>, by: usize) -> Result<(), Errno> {
    offset.map_or(Ok(()), |offset| thread.space().write(at, &((offset + by as u64) as i64)))
}

/// EBADF unless bytes can go from `from` to `to`.
fn permit(from: &File, to: &File) -> Result<(), Errno> {
    let permitted = from.access().contains(Access::READ) && to.access().contains(Access::WRITE);
    if permitted { Ok(()) } else { Err(Errno::EBADF) }
}

pub async fn splice(
    thread: &Arc<Thread>,
    from: i32,
    from_at: UserAddr,
    to: i32,
    to_at: UserAddr,
    length: usize,
    flags: u32,
) -> Result<usize, Errno> {
    if length == 0 {
        return Ok(0);
    }
    check_flags(flags, KNOWN)?;
    let (from, to) = (open_file(thread, from)?, open_file(thread, to)?);
    permit(&from, &to)?;
    let has_offset = [(&from, from_at), (&to, to_at)];
    if has_offset.iter().any(|(file, at)| *at != UserAddr(0) && pipe_of(file).is_some()) {
        return Err(Errno::ESPIPE);
    }
    let (source, target) = (pipe_of(&from), pipe_of(&to));
    let waits = flags & NONBLOCK == 0;
    let length = length.min(TRANSFER_MAX);
    match (source, target) {
        (Some(source), Some(target)) if Arc::ptr_eq(source, target) => Err(Errno::EINVAL),
        (Some(source), Some(target)) => {
            let room = room(thread, &to, target, waits).await?;
            let taken = take(&from, source, waits, length.min(room)).await?;
            let count = taken.len();
            target.push(taken);
            Ok(count)
        }
        (Some(source), None) => {
            if to.flags().contains(OpenFlags::APPEND) {
                return Err(Errno::EINVAL);
            }
            let offset = offset(thread, to_at)?;
            let mut taken = take(&from, source, waits, length.min(AT_ONCE)).await?;
            let result = write_at(thread, &to, offset, &mut taken).await;
            if !taken.is_empty() {
                source.put_back(taken);
            }
            moved_to(thread, to_at, offset, *result.as_ref().unwrap_or(&0))?;
            result
        }
        (None, Some(target)) => {
            let offset = offset(thread, from_at)?;
            let room = room(thread, &to, target, waits).await?;
            let bytes = read_at(thread, &from, offset, length.min(room).min(AT_ONCE)).await?;
            let memory = thread.memory();
            let buffers: Result<Taken, Errno> =
                bytes.chunks(PAGE_SIZE).map(|chunk| Buffer::of(chunk, &memory)).collect();
            target.push(buffers?);
            moved_to(thread, from_at, offset, bytes.len())?;
            Ok(bytes.len())
        }
        (None, None) => Err(Errno::EINVAL),
    }
}

/// Up to `most` bytes of a file at an offset, or at its own.
async fn read_at(thread: &Thread, file: &File, offset: Option<u64>, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = filled(0, most)?;
    let count = read_some(thread, file, offset, true, &mut &mut bytes[..]).await?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Writes what was taken at an offset, or at the file's own.
async fn write_at(thread: &Arc<Thread>, file: &File, offset: Option<u64>, taken: &mut Taken) -> Result<usize, Errno> {
    if taken.is_empty() {
        return Ok(0);
    }
    match offset {
        Some(_) => write_some(thread, file, offset, true, taken).await,
        None => write_all(thread, file, taken).await,
    }
}

/// tee(2): copies what is in a pipe to another; it stays.
pub async fn tee(thread: &Arc<Thread>, from: i32, to: i32, length: usize, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, KNOWN)?;
    if length == 0 {
        return Ok(0);
    }
    let (from, to) = (open_file(thread, from)?, open_file(thread, to)?);
    permit(&from, &to)?;
    let (Some(source), Some(target)) = (pipe_of(&from), pipe_of(&to)) else { return Err(Errno::EINVAL) };
    if Arc::ptr_eq(source, target) {
        return Err(Errno::EINVAL);
    }
    let waits = flags & NONBLOCK == 0;
    // (Room is asked for last: nobody takes it in between.)
    patient(waits && !from.is_nonblocking(), |cx| source.poll_look(cx, 1).map(Ok)).await?;
    let room = room(thread, &to, target, waits).await?;
    let copied = patient(false, |cx| source.poll_look(cx, length.min(room)).map(Ok)).await?;
    let count = copied.len();
    target.push(copied);
    Ok(count)
}

/// vmsplice(2). Pages are copied, given (SPLICE_F_GIFT) or not.
pub async fn vmsplice(
    thread: &Arc<Thread>,
    fd: i32,
    vector: UserAddr,
    count: usize,
    flags: u32,
) -> Result<usize, Errno> {
    check_flags(flags, KNOWN)?;
    let file = open_file(thread, fd)?;
    let (reads, writes) = file.object::<PipeEnd>().ok_or(Errno::EBADF)?.ways();
    let waits = flags & NONBLOCK == 0;
    let mut buffer = vectored(thread, vector, i32::try_from(count).map_err(|_| Errno::EINVAL)?)?;
    if writes && (!reads || file.access().contains(Access::WRITE)) {
        return match waits {
            true => write_all(thread, &file, &mut buffer).await,
            false => write_some(thread, &file, None, false, &mut buffer).await,
        };
    }
    read_some(thread, &file, None, waits, &mut buffer).await
}

/// sendfile(2): from what has offsets, or from anything that is read, to anything.
pub async fn sendfile(
    thread: &Arc<Thread>,
    to: i32,
    from: i32,
    offset_at: UserAddr,
    length: usize,
) -> Result<usize, Errno> {
    let (source, target) = (open_file(thread, from)?, open_file(thread, to)?);
    permit(&source, &target)?;
    if source.inode().is_directory() || target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let given = offset(thread, offset_at)?;
    let is_regular = source.inode().file_type() == FileType::Regular;
    if given.is_some() && !is_regular {
        return Err(Errno::ESPIPE);
    }
    // What is read and not written is still there in a file, and is lost of anything else.
    let keeps_place = is_regular && source.any_object().is_none();
    let mut at = match given {
        None if keeps_place => Some(source.seek(Whence::Current, 0)?),
        given => given,
    };
    let mut done = 0;
    let mut result = Ok(());
    while done < length.min(TRANSFER_MAX) {
        let bytes = match read_at(thread, &source, at, (length - done).min(AT_ONCE)).await {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => bytes,
            Err(errno) => {
                result = Err(errno);
                break;
            }
        };
        let written = write_all(thread, &target, &mut &bytes[..]).await;
        let count = *written.as_ref().unwrap_or(&0);
        done += count;
        at = at.map(|at| at + count as u64);
        result = written.map(drop);
        // An object that waits gives what it has.
        if count < bytes.len() || !is_regular {
            break;
        }
        if sched::slice_is_over() {
            sched::yield_now().await;
        }
    }
    match (given, at) {
        (None, Some(at)) => drop(source.seek(Whence::Set, at as i64)?),
        _ => moved_to(thread, offset_at, given, done)?,
    }
    crate::fs::io::moved(done, result)
}

/// copy_file_range(2): between regular files of one file system.
pub async fn copy_file_range(
    thread: &Arc<Thread>,
    from: i32,
    from_at: UserAddr,
    to: i32,
    to_at: UserAddr,
    length: usize,
    flags: u32,
) -> Result<usize, Errno> {
    check_flags(flags, 0)?;
    let (source, target) = (open_file(thread, from)?, open_file(thread, to)?);
    let kinds = [&source, &target].map(|file| file.inode().file_type());
    if kinds.contains(&FileType::Directory) {
        return Err(Errno::EISDIR);
    }
    if kinds != [FileType::Regular; 2] || source.any_object().is_some() || target.any_object().is_some() {
        return Err(Errno::EINVAL);
    }
    permit(&source, &target)?;
    if target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    if !Arc::ptr_eq(source.inode().superblock(), target.inode().superblock()) {
        return Err(Errno::EXDEV);
    }
    let (given_from, given_to) = (offset(thread, from_at)?, offset(thread, to_at)?);
    let mut read_from = given_from.map_or_else(|| source.seek(Whence::Current, 0), Ok)?;
    let mut write_to = given_to.map_or_else(|| target.seek(Whence::Current, 0), Ok)?;
    let left = source.inode().status().length_bytes.saturating_sub(read_from);
    let length = length.min(TRANSFER_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
    let ends = [read_from, write_to].map(|start| start.checked_add(length as u64).ok_or(Errno::EOVERFLOW));
    let [read_end, write_end] = ends;
    if Arc::ptr_eq(source.inode(), target.inode()) && read_from < write_end? && write_to < read_end? {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    let mut result = Ok(());
    while done < length {
        let bytes = read_at(thread, &source, Some(read_from), (length - done).min(AT_ONCE)).await?;
        let written = write_some(thread, &target, Some(write_to), true, &mut &bytes[..]).await;
        let count = *written.as_ref().unwrap_or(&0);
        done += count;
        read_from += count as u64;
        write_to += count as u64;
        result = written.map(drop);
        if count == 0 || count < bytes.len() {
            break;
        }
        if sched::slice_is_over() {
            sched::yield_now().await;
        }
    }
    for (file, at, given, now) in [(&source, from_at, given_from, read_from), (&target, to_at, given_to, write_to)] {
        match given {
            None => drop(file.seek(Whence::Set, now as i64)?),
            Some(_) => thread.space().write(at, &(now as i64))?,
        }
    }
    crate::fs::io::moved(done, result)
}
