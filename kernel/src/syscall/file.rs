//! Opening, closing, reading and writing files.

use super::{
    place::{at, directory, extensible, here, open_file, path},
    transfer::{self, answered, most_bytes, read_some, write_all, write_some},
};
use crate::{
    fs::{Caller, File, Location, OpenFlags, Resolve, Whence},
    mm::UserBuffer,
    task::Thread,
};
use alloc::sync::Arc;
use core::{
    future::poll_fn,
    task::{Context, Poll},
};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub async fn openat(thread: &Arc<Thread>, dirfd: i32, name: UserAddr, flags: u32, mode: u32) -> Result<usize, Errno> {
    let path = path(thread, name)?;
    // As open(2): what is no flag is passed over.
    open_path(thread, dirfd, &path, OpenFlags::from_bits_truncate(flags), mode, Resolve::empty()).await
}

/// Opens what `path` leads to, on a way that `resolve` allows.
async fn open_path(
    thread: &Arc<Thread>,
    dirfd: i32,
    path: &[u8],
    flags: OpenFlags,
    mode: u32,
    resolve: Resolve,
) -> Result<usize, Errno> {
    let mode = (mode & 0o7777) as u16;
    // As of every program of 64 bits.
    let large = if flags.contains(OpenFlags::PATH) { OpenFlags::empty() } else { OpenFlags::LARGEFILE };
    let flags = flags | large;
    let open = |caller: &Caller<'_>, base: &Location| caller.open_within(base, path, flags, mode, resolve);
    // (RESOLVE_IN_ROOT makes an absolute path begin at the directory.)
    let file = if resolve.contains(Resolve::IN_ROOT) {
        let base = directory(thread, dirfd)?;
        here(thread, |caller, _| open(caller, &base))?
    } else {
        at(thread, dirfd, path, open)?
    };
    poll_fn(|cx| file.poll_opened(cx)).await;
    let file = file.opened_by(thread, flags)?;
    let fd = thread.with_files(|files| files.insert(file, flags.contains(OpenFlags::CLOEXEC)))?;
    Ok(fd as usize)
}

/// `struct open_how`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// openat2(2): as openat(2), but what is unknown or without meaning is EINVAL, and the way can be restricted.
pub async fn openat2(
    thread: &Arc<Thread>,
    dirfd: i32,
    name: UserAddr,
    how: UserAddr,
    size: usize,
) -> Result<usize, Errno> {
    let mut how_bytes = [0; size_of::<OpenHow>()];
    extensible(thread, how, size, size_of::<OpenHow>(), &mut how_bytes)?;
    let how = OpenHow::read_from_bytes(&how_bytes).map_err(|_| Errno::EINVAL)?;
    let flags = u32::try_from(how.flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
    let resolve = u32::try_from(how.resolve).ok().and_then(Resolve::from_bits).ok_or(Errno::EINVAL)?;
    let makes = flags.contains(OpenFlags::CREAT);
    let with_path = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    if how.mode & !0o7777 != 0
        || how.mode != 0 && !makes
        || flags.contains(OpenFlags::PATH) && !with_path.contains(flags)
        || resolve.contains(Resolve::BENEATH | Resolve::IN_ROOT)
    {
        return Err(Errno::EINVAL);
    }
    // All is at hand always, but what has to be made.
    if resolve.contains(Resolve::CACHED) && flags.intersects(OpenFlags::CREAT | OpenFlags::TRUNC) {
        return Err(Errno::EAGAIN);
    }
    let path = path(thread, name)?;
    open_path(thread, dirfd, &path, flags, how.mode as u32, resolve).await
}

pub async fn open(thread: &Arc<Thread>, name: UserAddr, flags: u32, mode: u32) -> Result<usize, Errno> {
    openat(thread, general::AT_FDCWD, name, flags, mode).await
}

pub async fn creat(thread: &Arc<Thread>, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    openat(thread, general::AT_FDCWD, name, flags.bits(), mode).await
}

pub fn close(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    let file = thread.with_files(|files| files.close(fd))?;
    drop(file);
    Ok(0)
}

/// See [`read`]: where nothing has to be waited for.
pub fn read_at_once(
    thread: &Thread,
    cx: &mut Context<'_>,
    fd: i32,
    to: UserAddr,
    length: usize,
) -> Poll<Result<usize, Errno>> {
    let file = open_file(thread, fd)?;
    transfer::read_at_once(&file, cx, &mut UserBuffer::new(thread.space(), to, length))
}

pub async fn read(thread: &Thread, fd: i32, to: UserAddr, length: usize) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    read_some(thread, &file, None, true, &mut UserBuffer::new(thread.space(), to, length)).await
}

pub async fn pread64(thread: &Thread, fd: i32, to: UserAddr, length: usize, offset: i64) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = open_file(thread, fd)?;
    read_some(thread, &file, Some(offset), true, &mut UserBuffer::new(thread.space(), to, length)).await
}

/// See [`write`]: where nothing has to be waited for.
pub fn write_at_once(
    thread: &Arc<Thread>,
    cx: &mut Context<'_>,
    fd: i32,
    from: UserAddr,
    length: usize,
) -> Poll<Result<usize, Errno>> {
    let file = open_file(thread, fd)?;
    transfer::write_at_once(thread, &file, cx, &mut UserBuffer::new(thread.space(), from, length))
}

pub async fn write(thread: &Arc<Thread>, fd: i32, from: UserAddr, length: usize) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    write_all(thread, &file, &mut UserBuffer::new(thread.space(), from, length)).await
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
    write_some(thread, &file, Some(offset), true, &mut UserBuffer::new(thread.space(), from, length)).await
}

pub fn lseek(thread: &Thread, fd: i32, by: i64, whence: u32) -> Result<usize, Errno> {
    let whence = match whence {
        general::SEEK_SET => Whence::Set,
        general::SEEK_CUR => Whence::Current,
        general::SEEK_END => Whence::End,
        general::SEEK_DATA => Whence::Data,
        general::SEEK_HOLE => Whence::Hole,
        _ => return Err(Errno::EINVAL),
    };
    open_file(thread, fd)?.seek(whence, by).map(|offset| offset as usize)
}

pub fn ftruncate(thread: &Arc<Thread>, fd: i32, length: i64) -> Result<usize, Errno> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    answered(thread, open_file(thread, fd)?.truncate(length, most_bytes(thread)))?;
    Ok(0)
}

pub fn truncate(thread: &Arc<Thread>, name: UserAddr, length: i64) -> Result<usize, Errno> {
    let length = u64::try_from(length).map_err(|_| Errno::EINVAL)?;
    let path = path(thread, name)?;
    let most = most_bytes(thread);
    let result = here(thread, |caller, base| {
        let location = caller.resolve(base, &path, true)?;
        caller.truncate(&location, length, most)
    });
    answered(thread, result)?;
    Ok(0)
}

/// sync(2): what is written is where it belongs at once, as all file systems are in memory.
pub fn sync(_thread: &Thread) -> Result<usize, Errno> {
    Ok(0)
}

/// fsync(2), fdatasync(2): see [`sync`]. EINVAL for what has no storage.
pub fn fsync(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    if open_file(thread, fd)?.any_object().is_some() { Err(Errno::EINVAL) } else { Ok(0) }
}

pub fn syncfs(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    open_file(thread, fd).map(|_| 0)
}

pub fn pipe2(thread: &Thread, to: UserAddr, flags: u32) -> Result<usize, Errno> {
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT).contains(flags) {
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

pub fn pipe(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    pipe2(thread, to, 0)
}
