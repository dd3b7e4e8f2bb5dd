//! Descriptors of what has no name: memfd_create(2), eventfd(2), timerfd_create(2).

use super::{
    place::{check_flags, here, open_file},
    time::expiry_ns,
    timers::timespecs,
    timespec::TimeSpec,
    transfer::patient,
};
use crate::{
    fs::{File, FileObject, OpenFlags, Seals, eventfd::EventFd, timerfd::TimerFd},
    sched::Schedule,
    security::Capabilities,
    task::Thread,
};
use alloc::{sync::Arc, vec::Vec};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// memfd_create(2). There are no huge pages: MFD_HUGETLB is EINVAL.
pub fn memfd_create(thread: &Thread, name: UserAddr, flags: u32) -> Result<usize, Errno> {
    /// `memfd:` is before the name, which is not longer than a file's then.
    const LONGEST: usize = 249;
    use general::{MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_NOEXEC_SEAL};
    check_flags(flags, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)?;
    if flags & (MFD_EXEC | MFD_NOEXEC_SEAL) == MFD_EXEC | MFD_NOEXEC_SEAL {
        return Err(Errno::EINVAL);
    }
    let name: Vec<u8> = thread.space().read_c_string(name, LONGEST).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        errno => errno,
    })?;
    let (mode, seals) = match flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) {
        0 => (0o777, Seals::SEAL),
        MFD_ALLOW_SEALING => (0o777, Seals::empty()),
        _ => (0o666, Seals::EXEC),
    };
    let memory = thread.memory();
    let file = here(thread, |caller, _| File::in_memory(&name, mode, seals, caller, &memory))?;
    Ok(thread.with_files(|files| files.insert(file, flags & MFD_CLOEXEC != 0))? as usize)
}

/// A descriptor for `object`, with O_CLOEXEC and O_NONBLOCK as `flags` have them.
fn descriptor(thread: &Thread, object: Arc<dyn FileObject>, flags: u32) -> Result<usize, Errno> {
    descriptor_for(thread, object, OpenFlags::RDWR, flags)
}

/// As [`descriptor`], to be used as `access` says.
pub(super) fn descriptor_for(
    thread: &Thread,
    object: Arc<dyn FileObject>,
    access: OpenFlags,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = OpenFlags::from_bits_truncate(flags);
    let who = thread.credentials();
    let file = File::of_object(object, access | flags & OpenFlags::NONBLOCK, who.fsuid, who.fsgid)?;
    Ok(thread.with_files(|files| files.insert(file, flags.contains(OpenFlags::CLOEXEC)))? as usize)
}

pub fn eventfd2(thread: &Thread, count: u32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::EFD_SEMAPHORE | general::O_CLOEXEC | general::O_NONBLOCK)?;
    let event = EventFd::new(count.into(), flags & general::EFD_SEMAPHORE != 0);
    descriptor(thread, Arc::new(event), flags)
}

pub fn eventfd(thread: &Thread, count: u32) -> Result<usize, Errno> {
    eventfd2(thread, count, 0)
}

/// write(2) of a number to an eventfd.
pub(super) async fn write_event(file: &File, event: &EventFd, number: u64) -> Result<usize, Errno> {
    patient(!file.is_nonblocking(), |cx| event.poll_add(cx, number)).await
}

/// timerfd_create(2). The machine does not sleep, so that alarms are timers like others.
pub fn timerfd_create(thread: &Thread, clock: i32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::TFD_CLOEXEC | general::TFD_NONBLOCK)?;
    match clock as u32 {
        general::CLOCK_REALTIME | general::CLOCK_MONOTONIC | general::CLOCK_BOOTTIME => {}
        general::CLOCK_REALTIME_ALARM | general::CLOCK_BOOTTIME_ALARM => {
            if !thread.credentials().capable(Capabilities::WAKE_ALARM) {
                return Err(Errno::EPERM);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    descriptor(thread, Arc::new(TimerFd::new(clock)), flags)
}

/// An open timer: EBADF; EINVAL for something else.
fn open_timer(thread: &Thread, fd: i32) -> Result<Arc<TimerFd>, Errno> {
    open_file(thread, fd)?.object_handle().ok_or(Errno::EINVAL)
}

/// timerfd_settime(2). No clock is ever set, so that TFD_TIMER_CANCEL_ON_SET has nothing to wait for.
pub fn timerfd_settime(
    thread: &Arc<Thread>,
    fd: i32,
    flags: u32,
    new: UserAddr,
    old: UserAddr,
) -> Result<usize, Errno> {
    check_flags(flags, general::TFD_TIMER_ABSTIME | general::TFD_TIMER_CANCEL_ON_SET)?;
    let [interval, value]: [TimeSpec; 2] = thread.space().read(new)?;
    let (interval, value) = (interval.to_ns()?, value.to_ns()?);
    let timer = open_timer(thread, fd)?;
    let next = expiry_ns(thread, timer.clock(), value, flags & general::TFD_TIMER_ABSTIME != 0)?;
    let before = timer.set(Schedule { next_ns: next, interval_ns: interval });
    if old != UserAddr(0) {
        thread.space().write(old, &timespecs(before))?;
    }
    Ok(0)
}

pub fn timerfd_gettime(thread: &Thread, fd: i32, to: UserAddr) -> Result<usize, Errno> {
    let left = open_timer(thread, fd)?.left();
    thread.space().write(to, &timespecs(left))?;
    Ok(0)
}
