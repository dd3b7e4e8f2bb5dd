//! msgget(2), msgsnd(2), msgrcv(2), msgctl(2).

use super::{
    Here, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, NO_WAIT,
    layout::{MessageInformation, QueueStatus},
};
use crate::{ipc::message::Choice, mm::filled, task::Thread};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

const MSG_NOERROR: u32 = 0o10000;
const MSG_EXCEPT: u32 = 0o20000;
const MSG_COPY: u32 = 0o40000;
const MSG_STAT: u32 = 11;
const MSG_INFO: u32 = 12;
const MSG_STAT_ANY: u32 = 13;

/// Where the bytes begin in a `struct msgbuf`.
const BYTES_AT: usize = size_of::<i64>();

pub fn msgget(thread: &Thread, key: i32, flags: u32) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let limits = here.namespace.limits();
    here.namespace.queues.get(&here.caller(thread), &limits, key, flags).map(|id| id as usize)
}

pub async fn msgsnd(thread: &Thread, id: i32, from: UserAddr, length: usize, flags: u32) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let space = thread.space();
    let kind: i64 = space.read(from)?;
    if length > here.namespace.limits().message_bytes as usize || id < 0 || kind < 1 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = filled(0, length)?.into_boxed_slice();
    space.read_bytes(from.checked_add(BYTES_AT).ok_or(Errno::EFAULT)?, &mut bytes)?;
    here.namespace.queues.send(&here.caller(thread), id, kind, bytes, flags & NO_WAIT == 0).await?;
    Ok(0)
}

/// msgrcv(2). MSG_COPY, which only checkpointing needs, is refused as by a kernel that is built without it.
pub async fn msgrcv(
    thread: &Thread,
    id: i32,
    to: UserAddr,
    length: usize,
    kind: i64,
    flags: u32,
) -> Result<usize, Errno> {
    if flags & MSG_COPY != 0 {
        return Err(Errno::ENOSYS);
    }
    if id < 0 || isize::try_from(length).is_err() {
        return Err(Errno::EINVAL);
    }
    let choice = match kind {
        0 => Choice::Any,
        ..0 => Choice::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
        _ if flags & MSG_EXCEPT != 0 => Choice::Other(kind),
        _ => Choice::Kind(kind),
    };
    let here = Here::of(thread);
    let (cut, wait) = (flags & MSG_NOERROR != 0, flags & NO_WAIT == 0);
    let message = here.namespace.queues.receive(&here.caller(thread), id, choice, length, cut, wait).await?;
    let told = &message.bytes[..message.bytes.len().min(length)];
    let space = thread.space();
    space.write(to, &message.kind)?;
    space.write_bytes(to.checked_add(BYTES_AT).ok_or(Errno::EFAULT)?, told)?;
    Ok(told.len())
}

pub fn msgctl(thread: &Thread, id: i32, command: u32, at: UserAddr) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let caller = here.caller(thread);
    let queues = &here.namespace.queues;
    let space = thread.space();
    match command {
        IPC_STAT => space.write(at, &QueueStatus::new(&queues.status(&caller, id)?, thread))?,
        MSG_STAT | MSG_STAT_ANY => {
            let status = queues.status_at((command == MSG_STAT).then_some(&caller), id)?;
            space.write(at, &QueueStatus::new(&status, thread))?;
            return Ok(status.id.0 as usize);
        }
        IPC_SET => {
            let new = space.read::<QueueStatus>(at)?;
            let owner = new.permissions.read(thread)?;
            queues.set(&caller, &here.namespace.limits(), id, owner, new.bytes_max)?;
        }
        IPC_RMID => queues.remove(&caller, id)?,
        IPC_INFO | MSG_INFO => {
            let limits = here.namespace.limits();
            let (message, queue) = (limits.message_bytes as i32, limits.queue_bytes as i32);
            let sets = limits.queues as i32;
            let (used, messages, bytes, highest) = queues.usage();
            let [pool, map, all] = if command == MSG_INFO {
                [used as i32, messages as i32, bytes as i32]
            } else {
                [(i64::from(sets) * i64::from(queue) / 1024).try_into().unwrap_or(i32::MAX), queue, queue]
            };
            let words = [pool, map, message, queue, sets, 16, all];
            space.write(at, &MessageInformation { words, segments: u16::MAX, _pad: 0 })?;
            return Ok(highest);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
