//! Transfers to and from several stretches of memory (readv(2)).

use super::{
    layout::IoVec,
    place::open_file,
    transfer::{admitted, answered, most_bytes, patient, read_some, write_all, write_some},
};
use crate::{
    fs::Attempt,
    mm::{AddressSpace, UserBuffer},
    task::Thread,
};
use alloc::{sync::Arc, vec::Vec};
use bitflags::bitflags;
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// The most stretches of one transfer (IOV_MAX).
const STRETCHES_MAX: usize = 1024;

bitflags! {
    /// RWF_*, of those that there are.
    #[derive(Clone, Copy)]
    struct Manner: u32 {
        /// Asks without sleeping: nothing is far away here.
        const HIPRI = general::RWF_HIPRI;
        /// The bytes reach the storage: in memory they have.
        const DSYNC = general::RWF_DSYNC;
        /// See `DSYNC`.
        const SYNC = general::RWF_SYNC;
        /// EAGAIN instead of a wait.
        const NOWAIT = general::RWF_NOWAIT;
        /// At the file's end.
        const APPEND = general::RWF_APPEND;
    }
}

/// The `count` stretches that an array of `struct iovec` at `at` names (readv(2)).
pub(super) fn vectored(thread: &Thread, at: UserAddr, count: i32) -> Result<UserBuffer, Errno> {
    vectored_in(thread, thread.space(), at, count)
}

/// The same, of stretches in `of`, which may be another process's memory.
pub(super) fn vectored_in(
    thread: &Thread,
    of: Arc<AddressSpace>,
    at: UserAddr,
    count: i32,
) -> Result<UserBuffer, Errno> {
    let count = usize::try_from(count).ok().filter(|&count| count <= STRETCHES_MAX).ok_or(Errno::EINVAL)?;
    let space = thread.space();
    let mut stretches = Vec::with_capacity(count);
    for index in 0..count {
        let vector: IoVec = space.read(at.checked_add(index * size_of::<IoVec>()).ok_or(Errno::EFAULT)?)?;
        stretches.push((UserAddr(vector.base), vector.length));
    }
    UserBuffer::vectored(of, &stretches)
}

pub async fn readv(thread: &Thread, fd: i32, vector: UserAddr, count: i32) -> Result<usize, Errno> {
    read(thread, fd, vector, count, None, Manner::empty()).await
}

pub async fn writev(thread: &Arc<Thread>, fd: i32, vector: UserAddr, count: i32) -> Result<usize, Errno> {
    write(thread, fd, vector, count, None, Manner::empty()).await
}

/// (The offset is one register on these architectures; the other is passed over, as by Linux.)
pub async fn preadv(
    thread: &Thread,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    _high: usize,
) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    read(thread, fd, vector, count, Some(offset), Manner::empty()).await
}

pub async fn pwritev(
    thread: &Arc<Thread>,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    _high: usize,
) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    write(thread, fd, vector, count, Some(offset), Manner::empty()).await
}

/// preadv2(2): an offset of -1 is the file's own.
pub async fn preadv2(
    thread: &Thread,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    _high: usize,
    flags: u32,
) -> Result<usize, Errno> {
    let manner = Manner::from_bits(flags).ok_or(Errno::EOPNOTSUPP)?;
    if manner.contains(Manner::APPEND) {
        return Err(Errno::EOPNOTSUPP);
    }
    read(thread, fd, vector, count, own_or_given(offset)?, manner).await
}

/// pwritev2(2): as [`preadv2`].
pub async fn pwritev2(
    thread: &Arc<Thread>,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    _high: usize,
    flags: u32,
) -> Result<usize, Errno> {
    let manner = Manner::from_bits(flags).ok_or(Errno::EOPNOTSUPP)?;
    write(thread, fd, vector, count, own_or_given(offset)?, manner).await
}

fn own_or_given(offset: i64) -> Result<Option<u64>, Errno> {
    if offset == -1 { Ok(None) } else { u64::try_from(offset).map(Some).map_err(|_| Errno::EINVAL) }
}

async fn read(
    thread: &Thread,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: Option<u64>,
    manner: Manner,
) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    let mut sink = vectored(thread, vector, count)?;
    read_some(thread, &file, offset, !manner.contains(Manner::NOWAIT), &mut sink).await
}

async fn write(
    thread: &Arc<Thread>,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: Option<u64>,
    manner: Manner,
) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    let mut source = vectored(thread, vector, count)?;
    let waits = !manner.contains(Manner::NOWAIT);
    if manner.contains(Manner::APPEND) {
        admitted(thread, &file, Attempt::Write).await?;
        let (memory, most) = (thread.memory(), most_bytes(thread));
        let append = patient(waits, |cx| file.poll_append(cx, &mut source, &memory, most, offset.is_some()));
        return answered(thread, append.await);
    }
    if offset.is_none() && waits {
        return write_all(thread, &file, &mut source).await;
    }
    write_some(thread, &file, offset, waits, &mut source).await
}
