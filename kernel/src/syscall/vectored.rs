//! Transfers to and from several stretches of memory (readv(2)).

use super::{
    file::{admitted, excess, most_bytes, write_all},
    layout::IoVec,
    place::open_file,
};
use crate::{fs::Attempt, mm::UserBuffer, task::Thread};
use alloc::{sync::Arc, vec::Vec};
use bitflags::bitflags;
use core::{
    future::poll_fn,
    task::{Context, Poll},
};
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
    let count = usize::try_from(count).ok().filter(|&count| count <= STRETCHES_MAX).ok_or(Errno::EINVAL)?;
    let space = thread.space();
    let mut stretches = Vec::with_capacity(count);
    for index in 0..count {
        let vector: IoVec = space.read(at.checked_add(index * size_of::<IoVec>()).ok_or(Errno::EFAULT)?)?;
        stretches.push((UserAddr(vector.base), vector.length));
    }
    UserBuffer::vectored(space, &stretches)
}

pub async fn readv(thread: &Thread, fd: i32, vector: UserAddr, count: i32) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    admitted(thread, &file, Attempt::Read).await?;
    let mut sink = vectored(thread, vector, count)?;
    poll_fn(|cx| file.poll_read(cx, &mut sink)).await
}

pub async fn writev(thread: &Arc<Thread>, fd: i32, vector: UserAddr, count: i32) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    write_all(thread, &file, &mut vectored(thread, vector, count)?).await
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
    read_at(thread, fd, vector, count, offset, Manner::empty()).await
}

pub async fn pwritev(
    thread: &Arc<Thread>,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    _high: usize,
) -> Result<usize, Errno> {
    write_at(thread, fd, vector, count, offset, Manner::empty()).await
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
    if offset != -1 {
        return read_at(thread, fd, vector, count, offset, manner).await;
    }
    let file = open_file(thread, fd)?;
    admitted(thread, &file, Attempt::Read).await?;
    let mut sink = vectored(thread, vector, count)?;
    poll_fn(|cx| patient(manner, file.poll_read(cx, &mut sink))).await
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
    match offset {
        -1 if manner.intersects(Manner::NOWAIT | Manner::APPEND) => {
            let file = open_file(thread, fd)?;
            admitted(thread, &file, Attempt::Write).await?;
            let mut source = vectored(thread, vector, count)?;
            let (memory, most) = (thread.memory(), most_bytes(thread));
            let append = manner.contains(Manner::APPEND);
            let mut write = |cx: &mut Context<'_>| match append {
                true => file.poll_append(cx, &mut source, &memory, most, false),
                false => file.poll_write(cx, &mut source, &memory, most),
            };
            excess(thread, poll_fn(|cx| patient(manner, write(cx))).await)
        }
        -1 => writev(thread, fd, vector, count).await,
        offset => write_at(thread, fd, vector, count, offset, manner).await,
    }
}

/// EAGAIN where it must not be waited.
fn patient(manner: Manner, poll: Poll<Result<usize, Errno>>) -> Poll<Result<usize, Errno>> {
    if manner.contains(Manner::NOWAIT) && poll.is_pending() { Poll::Ready(Err(Errno::EAGAIN)) } else { poll }
}

async fn read_at(
    thread: &Thread,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    manner: Manner,
) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = open_file(thread, fd)?;
    let mut sink = vectored(thread, vector, count)?;
    poll_fn(|cx| patient(manner, file.poll_read_at(cx, offset, &mut sink))).await
}

async fn write_at(
    thread: &Arc<Thread>,
    fd: i32,
    vector: UserAddr,
    count: i32,
    offset: i64,
    manner: Manner,
) -> Result<usize, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let file = open_file(thread, fd)?;
    let mut source = vectored(thread, vector, count)?;
    let (memory, most) = (thread.memory(), most_bytes(thread));
    let append = manner.contains(Manner::APPEND);
    let write = poll_fn(|cx| {
        let poll = match append {
            true => file.poll_append(cx, &mut source, &memory, most, true),
            false => file.poll_write_at(cx, offset, &mut source, &memory, most),
        };
        patient(manner, poll)
    });
    excess(thread, write.await)
}
