//! epoll_create(2), epoll_ctl(2), epoll_wait(2).

use super::{
    number,
    place::{check_flags, open_file},
    poll::{Restore, milliseconds_ns, timeout_ns},
};
use crate::{
    fs::{
        File, OpenFlags, Readiness,
        epoll::{Epoll, Interest, Manner},
    },
    sched,
    task::Thread,
};
use alloc::sync::Arc;
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// Where the second half of `struct epoll_event` begins: the structure is packed on x86_64 alone.
const DATA: usize = if number::IS_X86_64 { 4 } else { 8 };
/// Bytes of the structure.
const EVENT: usize = DATA + size_of::<u64>();

pub fn epoll_create1(thread: &Thread, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::EPOLL_CLOEXEC)?;
    let who = thread.credentials();
    let file = File::of_object(Arc::new(Epoll::default()), OpenFlags::RDWR, who.fsuid, who.fsgid)?;
    let fd = thread.with_files(|files| files.insert(file, flags & general::EPOLL_CLOEXEC != 0))?;
    Ok(fd as usize)
}

/// The size is a hint that nothing needs, but has to be one.
pub fn epoll_create(thread: &Thread, size: i32) -> Result<usize, Errno> {
    if size <= 0 { Err(Errno::EINVAL) } else { epoll_create1(thread, 0) }
}

/// An open epoll: EBADF; EINVAL for something else.
fn open_epoll(thread: &Thread, fd: i32) -> Result<Arc<File>, Errno> {
    let file = open_file(thread, fd)?;
    if file.object::<Epoll>().is_some() { Ok(file) } else { Err(Errno::EINVAL) }
}

fn interest(thread: &Thread, at: UserAddr) -> Result<Interest, Errno> {
    let mut event = [0; EVENT];
    thread.space().read_bytes(at, &mut event)?;
    let (events, data) = event.split_at(DATA);
    let bits = events.first_chunk().map_or(0, |bits| u32::from_ne_bytes(*bits));
    Ok(Interest {
        // (What is no event is without effect, as on Linux.)
        events: Readiness::from_bits_truncate(bits as u16),
        manner: Manner::from_bits_truncate(bits),
        data: data.first_chunk().map_or(0, |data| u64::from_ne_bytes(*data)),
    })
}

pub fn epoll_ctl(thread: &Thread, fd: i32, what: u32, target: i32, at: UserAddr) -> Result<usize, Errno> {
    let interest = if what == general::EPOLL_CTL_DEL { Interest::default() } else { interest(thread, at)? };
    let file = open_file(thread, fd)?;
    let target_file = open_file(thread, target)?;
    let epoll = file.object::<Epoll>().ok_or(Errno::EINVAL)?;
    match what {
        general::EPOLL_CTL_ADD => {
            let exclusive = interest.manner.contains(Manner::EXCLUSIVE);
            if exclusive && (interest.manner.contains(Manner::ONCE) || target_file.object::<Epoll>().is_some()) {
                return Err(Errno::EINVAL);
            }
            epoll.add(target, &target_file, interest, &thread.memory())?;
        }
        general::EPOLL_CTL_MOD => epoll.modify(target, &target_file, interest)?,
        general::EPOLL_CTL_DEL => epoll.delete(target, &target_file)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub async fn epoll_wait(thread: &Thread, fd: i32, to: UserAddr, most: i32, timeout_ms: i32) -> Result<usize, Errno> {
    wait(thread, fd, to, most, milliseconds_ns(timeout_ms)).await
}

pub async fn epoll_pwait(
    thread: &Thread,
    fd: i32,
    to: UserAddr,
    most: i32,
    timeout_ms: i32,
    mask: UserAddr,
    mask_bytes: usize,
) -> Result<usize, Errno> {
    let restore = Restore::from_user(thread, mask, mask_bytes)?;
    Restore::around(restore, wait(thread, fd, to, most, milliseconds_ns(timeout_ms))).await
}

pub async fn epoll_pwait2(
    thread: &Thread,
    fd: i32,
    to: UserAddr,
    most: i32,
    timeout: UserAddr,
    mask: UserAddr,
    mask_bytes: usize,
) -> Result<usize, Errno> {
    let timeout = timeout_ns(thread, timeout)?;
    let restore = Restore::from_user(thread, mask, mask_bytes)?;
    Restore::around(restore, wait(thread, fd, to, most, timeout)).await
}

async fn wait(thread: &Thread, fd: i32, to: UserAddr, most: i32, timeout_ns: Option<u64>) -> Result<usize, Errno> {
    let most = usize::try_from(most).ok().filter(|most| (1..=i32::MAX as usize / EVENT).contains(most));
    let most = most.ok_or(Errno::EINVAL)?;
    let file = open_epoll(thread, fd)?;
    let epoll = file.object::<Epoll>().ok_or(Errno::EINVAL)?;
    let space = thread.space();
    let deadline = timeout_ns.map(|timeout| thread.call_began_ns().saturating_add(timeout));
    let mut sleep = pin!(deadline.map(sched::sleep_until));
    poll_fn(|cx| {
        let ready = epoll.poll_wait(cx, most, |index, events, data| {
            let mut event = [0; EVENT];
            event[..4].copy_from_slice(&u32::from(events.bits()).to_ne_bytes());
            event[DATA..].copy_from_slice(&data.to_ne_bytes());
            space.write_bytes(to.checked_add(index * EVENT).ok_or(Errno::EFAULT)?, &event)
        });
        match sleep.as_mut().as_pin_mut() {
            _ if ready.is_ready() => ready,
            _ if timeout_ns == Some(0) => Poll::Ready(Ok(0)),
            Some(sleep) => sleep.poll(cx).map(|()| Ok(0)),
            None => Poll::Pending,
        }
    })
    .await
}
