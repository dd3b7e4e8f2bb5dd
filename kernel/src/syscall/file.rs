//! Opening, closing, reading and writing files.

use super::{
    layout::IoVec,
    place::{at, open_file, path},
    socket,
};
use crate::{
    fs::{Attempt, File, OpenFlags, Whence, io::Source},
    mm::{TRANSFER_MAX, UserBuffer},
    task::{self, Thread},
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    future::poll_fn,
    task::{Context, Poll},
};
use linux_raw_sys::general;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{PAGE_SIZE, UserAddr};

pub async fn openat(thread: &Arc<Thread>, dirfd: i32, name: UserAddr, flags: u32, mode: u32) -> Result<usize, Errno> {
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let path = path(thread, name)?;
    let file = at(thread, dirfd, &path, |caller, base| caller.open(base, &path, flags, (mode & 0o7777) as u16))?;
    poll_fn(|cx| file.poll_opened(cx)).await;
    let file = file.opened_by(thread, flags)?;
    let fd = thread.with_files(|files| files.insert(file, flags.contains(OpenFlags::CLOEXEC)))?;
    Ok(fd as usize)
}

pub async fn open(thread: &Arc<Thread>, name: UserAddr, flags: u32, mode: u32) -> Result<usize, Errno> {
    openat(thread, general::AT_FDCWD, name, flags, mode).await
}

pub async fn creat(thread: &Arc<Thread>, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    openat(thread, general::AT_FDCWD, name, flags.bits(), mode).await
}

pub async fn close(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    let file = thread.with_files(|files| files.close(fd))?;
    drop(file);
    Ok(0)
}

/// Waits where the object has stopped the thread for the attempt: the signal ends the wait, and SIGCONT tries again.
pub(super) async fn admitted(thread: &Thread, file: &File, attempt: Attempt) -> Result<(), Errno> {
    match file.any_object() {
        Some(object) if object.stops(thread, attempt)? => core::future::pending().await,
        _ => Ok(()),
    }
}

pub async fn read(thread: &Thread, fd: i32, to: UserAddr, length: usize) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    admitted(thread, &file, Attempt::Read).await?;
    let mut sink = UserBuffer::new(thread.space(), to, length);
    poll_fn(|cx| file.poll_read(cx, &mut sink)).await
}

pub async fn readv(thread: &Thread, fd: i32, vector: UserAddr, count: i32) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    admitted(thread, &file, Attempt::Read).await?;
    let mut sink = vectored(thread, vector, count)?;
    poll_fn(|cx| file.poll_read(cx, &mut sink)).await
}

/// The most stretches of one transfer (IOV_MAX).
const STRETCHES_MAX: usize = 1024;

/// The `count` stretches that an array of `struct iovec` at `at` names (readv(2)).
pub(super) fn vectored(thread: &Thread, at: UserAddr, count: i32) -> Result<UserBuffer, Errno> {
    let count = usize::try_from(count).ok().filter(|&count| count <= STRETCHES_MAX).ok_or(Errno::EINVAL)?;
    let space = thread.space();
    let mut stretches = Vec::with_capacity(count);
    for index in 0..count {
        let vector: IoVec = space.read(at.checked_add(index * size_of::<IoVec>()).ok_or(Errno::EFAULT)?)?;
        stretches.push((UserAddr(vector.base), vector.length));
    }
    UserBuffer::vectored(space, &stretches)
}

pub async fn pread64(thread: &Thread, fd: i32, to: UserAddr, length: usize, offset: i64) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = open_file(thread, fd)?;
    let mut sink = UserBuffer::new(thread.space(), to, length);
    poll_fn(|cx| file.poll_read_at(cx, offset, &mut sink)).await
}

pub async fn write(thread: &Arc<Thread>, fd: i32, from: UserAddr, length: usize) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    write_all(thread, &file, &mut UserBuffer::new(thread.space(), from, length)).await
}

pub async fn writev(thread: &Arc<Thread>, fd: i32, vector: UserAddr, count: i32) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    write_all(thread, &file, &mut vectored(thread, vector, count)?).await
}

pub async fn pwrite64(
    thread: &Arc<Thread>,
    fd: i32,
    from: UserAddr,
    length: usize,
    offset: i64,
) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = open_file(thread, fd)?;
    let mut source = UserBuffer::new(thread.space(), from, length);
    let memory = thread.memory();
    let most = most_bytes(thread);
    excess(thread, poll_fn(|cx| file.poll_write_at(cx, offset, &mut source, &memory, most)).await)
}

/// The most bytes that the thread may make a file (RLIMIT_FSIZE).
fn most_bytes(thread: &Thread) -> u64 {
    thread.confinement().limit(general::RLIMIT_FSIZE)
}

/// A file that would get longer than the thread may make it is answered with SIGXFSZ too.
fn excess<T>(thread: &Arc<Thread>, result: Result<T, Errno>) -> Result<T, Errno> {
    const SIGXFSZ: u32 = 25;
    if matches!(result, Err(Errno::EFBIG)) && most_bytes(thread) != u64::MAX {
        task::send_to_itself(thread, Signal::new(SIGXFSZ).expect("a signal"));
    }
    result
}

/// Waits for `poll`. Once something is `begun`, a signal ends the wait with EINTR: what was done is told, and not done again.
pub(super) async fn interruptible<T>(
    thread: &Thread,
    begun: bool,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Errno>>,
) -> Result<T, Errno> {
    poll_fn(|cx| match poll(cx) {
        Poll::Pending if begun && thread.signals().wants_attention() => Poll::Ready(Err(Errno::EINTR)),
        ready => ready,
    })
    .await
}

/// Writes all of `source`, waiting for room where that must be; less when an error comes between. A write to a pipe
/// that nobody reads is answered with SIGPIPE too.
async fn write_all<S: Source + Send>(thread: &Arc<Thread>, file: &File, source: &mut S) -> Result<usize, Errno> {
    admitted(thread, file, Attempt::Write).await?;
    if let Some(socket) = socket::socket_of(file) {
        return socket::write(thread, file, &socket, source).await;
    }
    let memory = thread.memory();
    let most = most_bytes(thread);
    let whole = source.remaining();
    let mut done = 0;
    loop {
        let attempt = interruptible(thread, done > 0, |cx| file.poll_write(cx, source, &memory, most));
        let result = excess(thread, attempt.await);
        if result == Err(Errno::EPIPE) {
            task::send_to_itself(thread, Signal::SIGPIPE);
        }
        match result {
            Err(errno) if done == 0 => return Err(errno),
            Err(_) | Ok(0) => return Ok(done),
            Ok(count) => done += count,
        }
        // (An object may count bytes that it did not look at.)
        if done >= whole || file.any_object().is_none() {
            return Ok(done);
        }
    }
}

pub async fn lseek(thread: &Thread, fd: i32, by: i64, whence: u32) -> Result<usize, Errno> {
    let whence = match whence {
        general::SEEK_SET => Whence::Set,
        general::SEEK_CUR => Whence::Current,
        general::SEEK_END => Whence::End,
        _ => return Err(Errno::EINVAL),
    };
    open_file(thread, fd)?.seek(whence, by).map(|offset| offset as usize)
}

pub async fn ftruncate(thread: &Arc<Thread>, fd: i32, length: i64) -> Result<usize, Errno> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    excess(thread, open_file(thread, fd)?.truncate(length, most_bytes(thread)))?;
    Ok(0)
}

pub async fn truncate(thread: &Arc<Thread>, name: UserAddr, length: i64) -> Result<usize, Errno> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    let path = path(thread, name)?;
    let most = most_bytes(thread);
    let result = super::place::here(thread, |caller, base| {
        let location = caller.resolve(base, &path, true)?;
        caller.truncate(&location, length, most)
    });
    excess(thread, result)?;
    Ok(0)
}

/// sendfile(2): from a regular file to anything.
pub async fn sendfile(
    thread: &Arc<Thread>,
    to: i32,
    from: i32,
    offset_at: UserAddr,
    length: usize,
) -> Result<usize, Errno> {
    let (source, target) = (open_file(thread, from)?, open_file(thread, to)?);
    if source.any_object().is_some() || target.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let space = thread.space();
    let own_offset = offset_at == UserAddr(0);
    let mut offset = if own_offset {
        source.seek(Whence::Current, 0)?
    } else {
        u64::try_from(space.read::<i64>(offset_at)?).map_err(|_| Errno::EINVAL)?
    };
    let mut chunk = vec![0; PAGE_SIZE];
    let mut done = 0;
    let mut result = Ok(());
    while done < length.min(TRANSFER_MAX) {
        let step = (length - done).min(chunk.len());
        let count = source.read_at(offset, &mut chunk[..step])?;
        if count == 0 {
            break;
        }
        match write_all(thread, &target, &mut &chunk[..count]).await {
            Ok(written) => {
                done += written;
                offset += written as u64;
                if written < count {
                    break;
                }
            }
            Err(errno) => {
                result = Err(errno);
                break;
            }
        }
    }
    if own_offset {
        source.seek(Whence::Set, offset as i64)?;
    } else {
        space.write(offset_at, &(offset as i64))?;
    }
    crate::fs::io::moved(done, result)
}

/// sync(2): what is written is where it belongs at once, as all file systems are in memory.
pub async fn sync(_thread: &Thread) -> Result<usize, Errno> {
    Ok(0)
}

/// fsync(2), fdatasync(2): see [`sync`]. EINVAL for what has no storage.
pub async fn fsync(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    if open_file(thread, fd)?.any_object().is_some() { Err(Errno::EINVAL) } else { Ok(0) }
}

pub async fn syncfs(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    open_file(thread, fd).map(|_| 0)
}

pub async fn pipe2(thread: &Thread, to: UserAddr, flags: u32) -> Result<usize, Errno> {
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return Err(Errno::EINVAL);
    }
    let credentials = thread.credentials();
    let (read, write) = File::pipe(flags, credentials.fsuid, credentials.fsgid)?;
    let close_on_exec = flags.contains(OpenFlags::CLOEXEC);
    let insert = |file: Arc<File>| thread.with_files(|files| files.insert(file, close_on_exec));
    let withdraw = |fd| drop(thread.with_files(|files| files.close(fd)));
    let read = insert(read)?;
    let write = insert(write).inspect_err(|_| withdraw(read))?;
    let told = thread.space().write(to, &[read, write]);
    told.inspect_err(|_| [read, write].into_iter().for_each(withdraw))?;
    Ok(0)
}

pub async fn pipe(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    pipe2(thread, to, 0).await
}
