//! Descriptors that signals are read from: signalfd(2).

use super::{anonymous::descriptor_for, place};
use crate::{
    fs::OpenFlags,
    task::{SignalFd, SignalSet, Thread},
};
use alloc::sync::Arc;
use linux_raw_sys::general::{O_CLOEXEC, O_NONBLOCK};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

pub fn signalfd(thread: &Thread, fd: i32, mask: UserAddr, mask_bytes: usize) -> Result<usize, Errno> {
    signalfd4(thread, fd, mask, mask_bytes, 0)
}

/// signalfd4(2): a new descriptor for -1, else another mask for the old one. EINVAL for one that is none of these.
pub fn signalfd4(thread: &Thread, fd: i32, mask: UserAddr, mask_bytes: usize, flags: u32) -> Result<usize, Errno> {
    place::check_flags(flags, O_CLOEXEC | O_NONBLOCK)?;
    if mask_bytes != size_of::<u64>() {
        return Err(Errno::EINVAL);
    }
    let wanted = SignalSet(thread.space().read::<u64>(mask)?).without(SignalSet::UNSTOPPABLE);
    if fd != -1 {
        let file = thread.with_files(|files| files.get(fd))?;
        file.object::<SignalFd>().ok_or(Errno::EINVAL)?.set_wanted(wanted);
        return Ok(fd as usize);
    }
    descriptor_for(thread, Arc::new(SignalFd::new(thread, wanted)), OpenFlags::RDWR, flags)
}
