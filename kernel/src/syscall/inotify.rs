//! inotify(7).

use super::{
    anonymous::descriptor_for,
    place::{check_flags, here, open_file, path},
};
use crate::{
    fs::{
        OpenFlags,
        inotify::{Events, Inotify},
    },
    task::Thread,
};
use alloc::sync::Arc;
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

pub fn inotify_init1(thread: &Thread, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::O_CLOEXEC | general::O_NONBLOCK)?;
    descriptor_for(thread, Arc::new(Inotify::new(&thread.memory())), OpenFlags::empty(), flags)
}

pub fn inotify_init(thread: &Thread) -> Result<usize, Errno> {
    inotify_init1(thread, 0)
}

/// An open inotify: EBADF; EINVAL for something else.
fn open_inotify(thread: &Thread, fd: i32) -> Result<Arc<Inotify>, Errno> {
    open_file(thread, fd)?.object_handle().ok_or(Errno::EINVAL)
}

pub fn inotify_add_watch(thread: &Thread, fd: i32, name: UserAddr, mask: u32) -> Result<usize, Errno> {
    // What is no event is without effect, as on Linux, where any is.
    let mask = Events::from_bits_truncate(mask);
    let inotify = open_inotify(thread, fd)?;
    let path = path(thread, name)?;
    let number = here(thread, |caller, base| {
        let location = caller.resolve(base, &path, !mask.contains(Events::DONT_FOLLOW))?;
        inotify.add(caller, &location, mask)
    })?;
    Ok(number as usize)
}

pub fn inotify_rm_watch(thread: &Thread, fd: i32, number: i32) -> Result<usize, Errno> {
    open_inotify(thread, fd)?.remove(number).map(|()| 0)
}
