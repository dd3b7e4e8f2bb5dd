//! Reading and writing the memory of another process (process_vm_readv(2)).

use super::{process::find, vectored::vectored_in};
use crate::{
    fs::io::{Sink, Source},
    mm::UserBuffer,
    sched,
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// Bytes that are copied at once.
const CHUNK: usize = 1024;

pub async fn process_vm_readv(
    thread: &Arc<Thread>,
    pid: i32,
    own: UserAddr,
    own_count: usize,
    other: UserAddr,
    other_count: usize,
    flags: usize,
) -> Result<usize, Errno> {
    let (mut own, mut other) = stretches(thread, pid, (own, own_count), (other, other_count), flags)?;
    copy(thread, &mut other, &mut own).await
}

pub async fn process_vm_writev(
    thread: &Arc<Thread>,
    pid: i32,
    own: UserAddr,
    own_count: usize,
    other: UserAddr,
    other_count: usize,
    flags: usize,
) -> Result<usize, Errno> {
    let (mut own, mut other) = stretches(thread, pid, (own, own_count), (other, other_count), flags)?;
    copy(thread, &mut own, &mut other).await
}

/// The caller's own memory and the other's: ESRCH, EPERM.
fn stretches(
    thread: &Arc<Thread>,
    pid: i32,
    own: (UserAddr, usize),
    other: (UserAddr, usize),
    flags: usize,
) -> Result<(UserBuffer, UserBuffer), Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let count = |count: usize| i32::try_from(count).map_err(|_| Errno::EINVAL);
    let own = vectored_in(thread, thread.space(), own.0, count(own.1)?)?;
    let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(Errno::ESRCH)?;
    let target = find(thread, pid)?;
    let space = target.try_space().ok_or(Errno::ESRCH)?;
    let other = vectored_in(thread, space, other.0, count(other.1)?)?;
    if !target.is_sibling(thread) {
        target.permit_access(thread)?;
    }
    Ok((own, other))
}

/// Copies until either is used up, or something is not there: an error only if nothing was copied. A signal ends what takes
/// long.
async fn copy(thread: &Thread, from: &mut UserBuffer, to: &mut UserBuffer) -> Result<usize, Errno> {
    let whole = Sink::remaining(to);
    let mut chunk = [0; CHUNK];
    let result = loop {
        let before = Source::remaining(from);
        let step = before.min(Sink::remaining(to)).min(CHUNK);
        if step == 0 {
            break Ok(());
        }
        let taken = from.take(&mut chunk[..step]);
        let put = to.put(&chunk[..before - Source::remaining(from)]);
        if let Err(errno) = put.and(taken) {
            break Err(errno);
        }
        if sched::slice_is_over() {
            if thread.signals().wants_attention() {
                break Ok(());
            }
            sched::yield_now().await;
        }
    };
    match whole - Sink::remaining(to) {
        0 => result.map(|()| 0),
        done => Ok(done),
    }
}
