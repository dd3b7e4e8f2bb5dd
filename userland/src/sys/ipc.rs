//! System V IPC and POSIX message queues.

use core::ffi::CStr;

use super::{Arg, Fd, Result, call};

/// IPC_CREAT.
pub const IPC_CREAT: u32 = 0o1000;
/// IPC_EXCL.
pub const IPC_EXCL: u32 = 0o2000;
/// IPC_NOWAIT.
pub const IPC_NOWAIT: u32 = 0o4000;
/// IPC_PRIVATE.
pub const IPC_PRIVATE: i32 = 0;
/// SEM_UNDO.
pub const SEM_UNDO: u32 = 0x1000;
/// IPC_RMID.
pub const IPC_RMID: u32 = 0;
/// IPC_STAT.
pub const IPC_STAT: u32 = 2;

/// shmget(2).
pub fn shmget(key: i32, bytes: usize, flags: u32) -> Result<i32> {
    call!(__NR_shmget, key, bytes, flags).map(|id| id as i32)
}
/// shmctl(2) with IPC_STAT: `struct shmid64_ds`; word 11 is `shm_nattch`.
pub fn shmstat(id: i32) -> Result<[u64; 14]> {
    let mut status = [0; 14];
    call!(__NR_shmctl, id, IPC_STAT, Arg::write(&mut status)).map(|_| status)
}
/// shmctl(2) with IPC_RMID.
pub fn shmrm(id: i32) -> Result {
    call!(__NR_shmctl, id, IPC_RMID, 0).map(drop)
}
/// semget(2).
pub fn semget(key: i32, count: i32, flags: u32) -> Result<i32> {
    call!(__NR_semget, key, count, flags).map(|id| id as i32)
}
/// One operation of semop(2): semaphore, change, flags.
pub type SemaphoreOperation = (u16, i16, u32);
/// semtimedop(2) of up to four operations; `timeout` in nanoseconds, `None` for ever.
pub fn semop(id: i32, operations: &[SemaphoreOperation], timeout: Option<u64>) -> Result {
    let mut raw = [[0_u16; 3]; 4];
    for (raw, (index, change, flags)) in raw.iter_mut().zip(operations) {
        *raw = [*index, change.cast_unsigned(), *flags as u16];
    }
    let time = timeout.map(super::timespec);
    let time = time.as_ref().map_or(Arg(0), Arg::read);
    call!(__NR_semtimedop, id, Arg::read(&raw), operations.len(), time).map(drop)
}
/// semctl(2) with a number or nothing as argument.
pub fn semctl(id: i32, index: i32, command: u32, argument: u32) -> Result<usize> {
    call!(__NR_semctl, id, index, command, argument)
}
/// msgget(2).
pub fn msgget(key: i32, flags: u32) -> Result<i32> {
    call!(__NR_msgget, key, flags).map(|id| id as i32)
}
/// A System V message: its type, then up to 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Message {
    /// Type.
    pub kind: i64,
    /// Bytes.
    pub bytes: [u8; 64],
}
/// msgsnd(2).
pub fn msgsnd(id: i32, kind: i64, bytes: &[u8], flags: u32) -> Result {
    let mut message = Message { kind, bytes: [0; 64] };
    message.bytes[..bytes.len()].copy_from_slice(bytes);
    call!(__NR_msgsnd, id, Arg::read(&message), bytes.len(), flags).map(drop)
}
/// msgrcv(2): the length and the message; of more than `max` (at most 64) bytes none.
pub fn msgrcv(id: i32, max: usize, kind: i64, flags: u32) -> Result<(usize, Message)> {
    let mut message = Message { kind: 0, bytes: [0; 64] };
    call!(__NR_msgrcv, id, Arg::write(&mut message), max.min(64), kind, flags).map(|length| (length, message))
}
/// msgctl(2) with IPC_RMID.
pub fn msgrm(id: i32) -> Result {
    call!(__NR_msgctl, id, IPC_RMID, 0).map(drop)
}
/// mq_open(2); with `attributes` the most messages and their bytes.
pub fn mq_open(name: &CStr, flags: u32, mode: u32, attributes: Option<(i64, i64)>) -> Result<Fd> {
    let attributes = attributes.map(|(messages, bytes)| [0, messages, bytes, 0, 0, 0, 0, 0]);
    let attributes = attributes.as_ref().map_or(Arg(0), Arg::read);
    call!(__NR_mq_open, name, flags, mode, attributes).map(|fd| fd as Fd)
}
/// mq_unlink(2).
pub fn mq_unlink(name: &CStr) -> Result {
    call!(__NR_mq_unlink, name).map(drop)
}
/// mq_timedsend(2); `until` as CLOCK_REALTIME tells it, in nanoseconds.
pub fn mq_send(queue: Fd, bytes: &[u8], priority: u32, until: Option<u64>) -> Result {
    let time = until.map(super::timespec);
    let time = time.as_ref().map_or(Arg(0), Arg::read);
    call!(__NR_mq_timedsend, queue, Arg::read(bytes), bytes.len(), priority, time).map(drop)
}
/// mq_timedreceive(2): length and priority.
pub fn mq_receive(queue: Fd, buffer: &mut [u8], until: Option<u64>) -> Result<(usize, u32)> {
    let time = until.map(super::timespec);
    let time = time.as_ref().map_or(Arg(0), Arg::read);
    let mut priority = 0_u32;
    call!(__NR_mq_timedreceive, queue, Arg::write(buffer), buffer.len(), Arg::write(&mut priority), time)
        .map(|length| (length, priority))
}
/// mq_notify(2) by a signal.
pub fn mq_notify(queue: Fd, signal: u32) -> Result {
    let event = [0_u64, u64::from(signal), 0, 0, 0, 0, 0, 0];
    call!(__NR_mq_notify, queue, Arg::read(&event)).map(drop)
}
/// mq_getsetattr(2): flags, the most messages, their bytes, messages now.
pub fn mq_attributes(queue: Fd) -> Result<[i64; 4]> {
    let mut told = [0_i64; 8];
    call!(__NR_mq_getsetattr, queue, 0, Arg::write(&mut told)).map(|_| [told[0], told[1], told[2], told[3]])
}
