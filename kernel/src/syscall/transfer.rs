//! How bytes come to an open file and from it: what is waited for, which limit binds, which signals tell of a refusal.

use super::{anonymous, socket};
use crate::{
    fs::{
        Attempt, File,
        eventfd::EventFd,
        io::{Sink, Source},
    },
    task::{self, SignalFd, Thread},
};
use alloc::sync::Arc;
use core::{
    future::poll_fn,
    task::{Context, Poll},
};
use linux_raw_sys::general::{PIPE_BUF, RLIMIT_FSIZE};
use veridian_containers::{Signal, abi::Errno};

/// Waits where the object has stopped the thread for the attempt: the signal ends the wait, and SIGCONT tries again.
pub(super) async fn admitted(thread: &Thread, file: &File, attempt: Attempt) -> Result<(), Errno> {
    match file.any_object() {
        Some(object) if object.stops(thread, attempt)? => core::future::pending().await,
        _ => Ok(()),
    }
}

/// Waits for `poll`, or gives EAGAIN where it must not be waited.
pub(super) async fn patient<T>(
    waits: bool,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Errno>>,
) -> Result<T, Errno> {
    poll_fn(|cx| match poll(cx) {
        Poll::Pending if !waits => Poll::Ready(Err(Errno::EAGAIN)),
        other => other,
    })
    .await
}

/// Waits for `poll`. Once something is `begun`, a signal ends the wait with EINTR: what was done is told, and not done again.
pub(super) async fn interruptible<T>(
    thread: &Thread,
    begun: bool,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Errno>>,
) -> Result<T, Errno> {
    poll_fn(|cx| match poll(cx) {
        Poll::Pending if begun && thread.signals().wants_attention() => Poll::Ready(Err(Errno::EINTR)),
        other => other,
    })
    .await
}

/// The most bytes that the thread may make a file (RLIMIT_FSIZE).
pub(super) fn most_bytes(thread: &Thread) -> u64 {
    thread.confinement().limit(RLIMIT_FSIZE)
}

/// The result of a change to a file. One that would get longer than the thread may make it is answered with SIGXFSZ too,
/// a write where nobody reads with SIGPIPE.
pub(super) fn answered<T>(thread: &Arc<Thread>, result: Result<T, Errno>) -> Result<T, Errno> {
    match result {
        Err(Errno::EFBIG) if most_bytes(thread) != u64::MAX => task::send_to_itself(thread, Signal::SIGXFSZ),
        Err(Errno::EPIPE) => task::send_to_itself(thread, Signal::SIGPIPE),
        _ => {}
    }
    result
}

/// Reads at the file's own offset, if that is known to take a single look. It is pending when [`read_some`] has to do it.
pub(super) fn read_at_once(file: &File, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<Result<usize, Errno>> {
    match file.any_object() {
        Some(object) if !object.is_atomic() => Poll::Pending,
        _ => file.poll_read(cx, sink),
    }
}

/// Writes at the file's own offset, if that is known to take a single look. It is pending when [`write_all`] has to do it.
pub(super) fn write_at_once(
    thread: &Arc<Thread>,
    file: &File,
    cx: &mut Context<'_>,
    source: &mut impl Source,
) -> Poll<Result<usize, Errno>> {
    match file.any_object() {
        Some(object) if source.remaining() > PIPE_BUF as usize || !object.is_atomic() => Poll::Pending,
        _ => {
            let attempt = file.poll_write(cx, source, &thread.memory(), most_bytes(thread));
            attempt.map(|result| answered(thread, result))
        }
    }
}

/// Reads what there is at `offset`, or at the file's own.
pub(super) async fn read_some<S: Sink + Send>(
    thread: &Thread,
    file: &File,
    offset: Option<u64>,
    waits: bool,
    sink: &mut S,
) -> Result<usize, Errno> {
    let Some(offset) = offset else {
        admitted(thread, file, Attempt::Read).await?;
        if let Some(socket) = socket::socket_of(file) {
            return socket::message::read(thread, file, &socket, waits, sink).await;
        }
        if let Some(signals) = file.object::<SignalFd>() {
            let waits = waits && !file.is_nonblocking();
            return patient(waits, |cx| signals.poll_read_by(thread, cx, sink)).await;
        }
        return patient(waits, |cx| file.poll_read(cx, sink)).await;
    };
    patient(waits, |cx| file.poll_read_at(cx, offset, sink)).await
}

/// Writes what there is room for at `offset`, or at the file's own.
pub(super) async fn write_some<S: Source + Send>(
    thread: &Arc<Thread>,
    file: &File,
    offset: Option<u64>,
    waits: bool,
    source: &mut S,
) -> Result<usize, Errno> {
    let (memory, most) = (thread.memory(), most_bytes(thread));
    let Some(offset) = offset else {
        admitted(thread, file, Attempt::Write).await?;
        return answered(thread, patient(waits, |cx| file.poll_write(cx, source, &memory, most)).await);
    };
    answered(thread, patient(waits, |cx| file.poll_write_at(cx, offset, source, &memory, most)).await)
}

/// Writes all of `source` at the file's own offset, waiting for room where that must be; less when an error comes
/// between.
pub(super) async fn write_all<S: Source + Send>(
    thread: &Arc<Thread>,
    file: &File,
    source: &mut S,
) -> Result<usize, Errno> {
    admitted(thread, file, Attempt::Write).await?;
    if let Some(socket) = socket::socket_of(file) {
        return socket::write(thread, file, &socket, source).await;
    }
    if let Some(event) = file.object::<EventFd>() {
        return anonymous::write_event(file, event, EventFd::number(source)?).await;
    }
    let (memory, most) = (thread.memory(), most_bytes(thread));
    let whole = source.remaining();
    let mut done = 0;
    loop {
        let attempt = interruptible(thread, done > 0, |cx| file.poll_write(cx, source, &memory, most));
        match answered(thread, attempt.await) {
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
