//! mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2).

use super::{
    Here,
    layout::{QueueAttributes, SignalEvent},
};
use crate::{
    fs::{Access, File, OpenFlags, PATH_MAX},
    ipc::posix::{Attributes, OpenQueue, OpenRequest, PRIORITY_MAX},
    mm::filled,
    syscall::{time::machine_ns, timespec::TimeSpec},
    task::Thread,
};
use alloc::sync::Arc;
use linux_raw_sys::general::CLOCK_REALTIME;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::UserAddr;

const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;

pub fn mq_open(thread: &Thread, name: UserAddr, flags: u32, mode: u32, attributes: UserAddr) -> Result<usize, Errno> {
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let access = match flags & (OpenFlags::WRONLY | OpenFlags::RDWR) {
        OpenFlags::WRONLY => Access::WRITE,
        OpenFlags::RDWR => Access::READ | Access::WRITE,
        none if none.is_empty() => Access::READ,
        _ => return Err(Errno::EINVAL),
    };
    let space = thread.space();
    let create = flags.contains(OpenFlags::CREAT).then(|| flags.contains(OpenFlags::EXCL));
    let attributes = match attributes {
        UserAddr(0) => None,
        _ if create.is_none() => None,
        at => {
            let asked: QueueAttributes = space.read(at)?;
            let positive = |number: i64| u64::try_from(number).map_err(|_| Errno::EINVAL);
            let messages = positive(asked.messages_max)?;
            Some(Attributes { messages, message_bytes: positive(asked.message_bytes_max)? })
        }
    };
    let name = space.read_c_string(name, PATH_MAX - 1)?;
    let umask = thread.with_fs(|fs| fs.umask);
    let request = OpenRequest { access, create, mode: mode & !u32::from(umask), attributes };
    let here = Here::of(thread);
    let queue = here.namespace.posix.open(&here.caller(thread), &here.namespace.limits(), &name, &request)?;
    let kept = flags & (OpenFlags::WRONLY | OpenFlags::RDWR | OpenFlags::NONBLOCK);
    let file = File::of_object(queue, kept, here.credentials.fsuid, here.credentials.fsgid)?;
    thread.with_files(|files| files.insert(file, flags.contains(OpenFlags::CLOEXEC))).map(|fd| fd as usize)
}

pub fn mq_unlink(thread: &Thread, name: UserAddr) -> Result<usize, Errno> {
    let name = thread.space().read_c_string(name, PATH_MAX - 1)?;
    let here = Here::of(thread);
    here.namespace.posix.unlink(&here.caller(thread), &name)?;
    Ok(0)
}

/// The queue that `fd` is open for, for `access`; EBADF.
fn open_queue(thread: &Thread, fd: i32, access: Access) -> Result<Arc<File>, Errno> {
    let file = thread.with_files(|files| files.get(fd))?;
    let fits = file.object::<OpenQueue>().is_some() && file.access().contains(access);
    if fits { Ok(file) } else { Err(Errno::EBADF) }
}

/// The moment on the machine's clock that an absolute time of day stands for.
fn deadline(thread: &Arc<Thread>, at: UserAddr) -> Result<Option<u64>, Errno> {
    if at == UserAddr(0) {
        return Ok(None);
    }
    let time = thread.space().read::<TimeSpec>(at)?.to_ns()?;
    machine_ns(thread, CLOCK_REALTIME as i32, time).map(Some)
}

pub async fn mq_timedsend(
    thread: &Arc<Thread>,
    fd: i32,
    from: UserAddr,
    length: usize,
    priority: u32,
    timeout: UserAddr,
) -> Result<usize, Errno> {
    if priority >= PRIORITY_MAX {
        return Err(Errno::EINVAL);
    }
    let deadline = deadline(thread, timeout)?;
    let file = open_queue(thread, fd, Access::WRITE)?;
    let queue = file.object::<OpenQueue>().ok_or(Errno::EBADF)?.queue();
    if length as u64 > queue.attributes().message_bytes {
        return Err(Errno::EMSGSIZE);
    }
    let mut bytes = filled(0, length)?.into_boxed_slice();
    thread.space().read_bytes(from, &mut bytes)?;
    let here = Here::of(thread);
    queue.send(&here.caller(thread), priority, bytes, file.is_nonblocking(), deadline).await?;
    Ok(0)
}

pub async fn mq_timedreceive(
    thread: &Arc<Thread>,
    fd: i32,
    to: UserAddr,
    length: usize,
    priority_to: UserAddr,
    timeout: UserAddr,
) -> Result<usize, Errno> {
    let deadline = deadline(thread, timeout)?;
    let file = open_queue(thread, fd, Access::READ)?;
    let queue = file.object::<OpenQueue>().ok_or(Errno::EBADF)?.queue();
    if (length as u64) < queue.attributes().message_bytes {
        return Err(Errno::EMSGSIZE);
    }
    let (bytes, priority) = queue.receive(file.is_nonblocking(), deadline).await?;
    let space = thread.space();
    space.write_bytes(to, &bytes)?;
    if priority_to != UserAddr(0) {
        space.write(priority_to, &priority)?;
    }
    Ok(bytes.len())
}

/// mq_notify(2): by a signal, or not at all. SIGEV_THREAD, which the C library builds on netlink, is EINVAL.
pub fn mq_notify(thread: &Arc<Thread>, fd: i32, event: UserAddr) -> Result<usize, Errno> {
    let file = open_queue(thread, fd, Access::empty())?;
    let queue = file.object::<OpenQueue>().ok_or(Errno::EBADF)?;
    if event == UserAddr(0) {
        queue.forget(thread);
        return Ok(0);
    }
    let event: SignalEvent = thread.space().read(event)?;
    let signal = match event.how {
        SIGEV_NONE => None,
        SIGEV_SIGNAL => Some(u32::try_from(event.signal).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?),
        _ => return Err(Errno::EINVAL),
    };
    queue.notify(thread, signal)?;
    Ok(0)
}

pub fn mq_getsetattr(thread: &Thread, fd: i32, new: UserAddr, old: UserAddr) -> Result<usize, Errno> {
    let nonblock = i64::from(OpenFlags::NONBLOCK.bits());
    let space = thread.space();
    let new: Option<QueueAttributes> = if new == UserAddr(0) { None } else { Some(space.read(new)?) };
    if new.is_some_and(|new| new.flags & !nonblock != 0) {
        return Err(Errno::EINVAL);
    }
    let file = open_queue(thread, fd, Access::empty())?;
    let queue = file.object::<OpenQueue>().ok_or(Errno::EBADF)?.queue();
    let told = QueueAttributes {
        flags: if file.is_nonblocking() { nonblock } else { 0 },
        messages_max: queue.attributes().messages as i64,
        message_bytes_max: queue.attributes().message_bytes as i64,
        messages: queue.count() as i64,
        _reserved: [0; 4],
    };
    if let Some(new) = new {
        let flags = file.flags() - OpenFlags::NONBLOCK;
        file.set_flags(if new.flags == 0 { flags } else { flags | OpenFlags::NONBLOCK });
    }
    if old != UserAddr(0) {
        space.write(old, &told)?;
    }
    Ok(0)
}
