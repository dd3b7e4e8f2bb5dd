//! Waiting for several files at once.

use super::{layout::PollFd, timespec::TimeSpec};
use crate::{
    fs::{File, Readiness},
    mm::filled,
    sched,
    task::{SignalFd, SignalSet, Thread},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use linux_raw_sys::general::RLIMIT_NOFILE;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

const NS_PER_MS: u64 = 1_000_000;

pub async fn poll(thread: &Thread, at: UserAddr, count: u32, timeout_ms: i32) -> Result<usize, Errno> {
    wait(thread, at, count, milliseconds_ns(timeout_ms)).await
}

/// ppoll(2). The time that is left is not told: what is written to `timeout` is no part of POSIX's pselect either.
pub async fn ppoll(
    thread: &Thread,
    at: UserAddr,
    count: u32,
    timeout: UserAddr,
    mask: UserAddr,
    mask_bytes: usize,
) -> Result<usize, Errno> {
    let timeout = timeout_ns(thread, timeout)?;
    let restore = Restore::from_user(thread, mask, mask_bytes)?;
    Restore::around(restore, wait(thread, at, count, timeout)).await
}

/// Sets a signal mask back: when the call is done; and when it is given up for a signal, after that signal's handler.
pub(super) struct Restore<'a> {
    thread: &'a Thread,
    mask: SignalSet,
    done: bool,
}

impl<'a> Restore<'a> {
    /// Blocks the mask of `bytes` bytes at `at` instead of what is blocked now, for as long as this lives; nothing if `at` is
    /// null. EINVAL for another size than a mask has.
    pub fn from_user(thread: &'a Thread, at: UserAddr, bytes: usize) -> Result<Option<Self>, Errno> {
        if at == UserAddr(0) {
            return Ok(None);
        }
        if bytes != size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        let mask = SignalSet(thread.space().read::<u64>(at)?).without(SignalSet::UNSTOPPABLE);
        Ok(Some(Self { thread, mask: thread.set_blocked(mask), done: false }))
    }

    /// Awaits `call` under the mask of `restore`, if there is one.
    pub async fn around<T>(restore: Option<Self>, call: impl Future<Output = T>) -> T {
        let value = call.await;
        if let Some(mut restore) = restore {
            restore.done = true;
        }
        value
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if self.done {
            self.thread.set_blocked(self.mask);
        } else {
            self.thread.signals().defer_mask(self.mask);
        }
    }
}

/// A timeout in milliseconds; a negative one is none.
pub(super) fn milliseconds_ns(timeout: i32) -> Option<u64> {
    u64::try_from(timeout).ok().map(|timeout| timeout * NS_PER_MS)
}

/// The timeout at `at`; none if that is null. EINVAL for what is no time.
pub(super) fn timeout_ns(thread: &Thread, at: UserAddr) -> Result<Option<u64>, Errno> {
    if at == UserAddr(0) { Ok(None) } else { thread.space().read::<TimeSpec>(at)?.to_ns().map(Some) }
}

/// Waits until any descriptor is ready or the time (none: for ever) is over; writes what is ready and counts them.
async fn wait(thread: &Thread, at: UserAddr, count: u32, timeout_ns: Option<u64>) -> Result<usize, Errno> {
    let count = count as usize;
    if count as u64 > thread.confinement().limit(RLIMIT_NOFILE) {
        return Err(Errno::EINVAL);
    }
    let space = thread.space();
    let mut asked = filled(PollFd { fd: -1, events: 0, revents: 0 }, count)?;
    space.read_bytes(at, asked.as_mut_slice().as_mut_bytes())?;
    let ready = wait_for(thread, &mut asked, timeout_ns).await;
    space.write_bytes(at, asked.as_slice().as_bytes())?;
    Ok(ready)
}

/// The same, of what is in the kernel already.
pub(super) async fn wait_for(thread: &Thread, asked: &mut [PollFd], timeout_ns: Option<u64>) -> usize {
    let files: Vec<Option<Arc<File>>> =
        thread.with_files(|files| asked.iter().map(|poll| files.get(poll.fd).ok()).collect());
    let deadline = timeout_ns.map(|timeout| thread.call_began_ns().saturating_add(timeout));
    let mut sleep = pin!(deadline.map(sched::sleep_until));
    poll_fn(|cx| {
        let mut ready = 0;
        for (poll, file) in asked.iter_mut().zip(&files) {
            let interest = Readiness::from_bits_truncate(poll.events) | Readiness::ALWAYS;
            let told = match file {
                _ if poll.fd < 0 => Readiness::empty(),
                None => Readiness::NVAL,
                Some(file) => match file.object::<SignalFd>() {
                    Some(signals) => signals.poll_ready_for(thread, cx, interest) & interest,
                    None => file.poll_ready(cx, interest) & interest,
                },
            };
            poll.revents = told.bits();
            ready += usize::from(!told.is_empty());
        }
        let over = match sleep.as_mut().as_pin_mut() {
            _ if ready > 0 || timeout_ns == Some(0) => true,
            Some(sleep) => sleep.poll(cx).is_ready(),
            None => false,
        };
        if over { Poll::Ready(ready) } else { Poll::Pending }
    })
    .await
}
