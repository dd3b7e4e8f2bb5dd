//! What the file families share: paths and descriptors as arguments.

use crate::{
    fs::{Caller, File, Location, PATH_MAX},
    task::Thread,
};
use alloc::{sync::Arc, vec::Vec};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr};

/// The path at `at`.
pub(super) fn path(thread: &Thread, at: UserAddr) -> Result<Vec<u8>, Errno> {
    thread.space().read_c_string(at, PATH_MAX - 1)
}

/// The open file of `fd`.
pub(super) fn open_file(thread: &Thread, fd: i32) -> Result<Arc<File>, Errno> {
    thread.with_files(|files| files.get_open(fd))
}

/// The directory that `fd` stands for: one that is open, or AT_FDCWD.
pub(super) fn directory(thread: &Thread, fd: i32) -> Result<Location, Errno> {
    if fd == general::AT_FDCWD {
        return Ok(thread.with_fs(|fs| fs.cwd.clone()));
    }
    thread.with_files(|files| files.get(fd))?.directory().cloned()
}

/// Runs `operation` for the process, with its working directory.
pub(super) fn here<R>(
    thread: &Thread,
    operation: impl FnOnce(&Caller<'_>, &Location) -> Result<R, Errno>,
) -> Result<R, Errno> {
    // A copy: what the operation meets in procfs may be this very process, whose view must not be locked then.
    let (context, credentials, memory) = (thread.with_fs(|fs| fs.clone()), thread.credentials(), thread.memory());
    let caller = Caller { context: &context, credentials: &credentials, memory: &memory, thread: Some(thread) };
    operation(&caller, &context.cwd)
}

/// Runs `operation` for the process, with the place from which `path` is walked: what `fd` stands for, or the working
/// directory for AT_FDCWD; an absolute path needs none.
pub(super) fn at<R>(
    thread: &Thread,
    fd: i32,
    path: &[u8],
    operation: impl FnOnce(&Caller<'_>, &Location) -> Result<R, Errno>,
) -> Result<R, Errno> {
    if fd == general::AT_FDCWD || path.first() == Some(&b'/') {
        return here(thread, operation);
    }
    let file = thread.with_files(|files| files.get(fd))?;
    let base = file.location().ok_or(Errno::ENOTDIR)?;
    here(thread, |caller, _| operation(caller, base))
}

/// EINVAL for bits of `flags` that are not in `known`.
pub(super) fn check_flags(flags: u32, known: u32) -> Result<(), Errno> {
    if flags & !known == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// The id that `raw` stands for: -1 is none.
pub(super) fn id(raw: u32) -> Option<u32> {
    (raw != u32::MAX).then_some(raw)
}

/// Reads a structure that may grow in later versions into `known`: `size` bytes at `at`; what is not given stays as it is.
/// EINVAL when it is shorter than its `first` version, E2BIG when it is longer than known and says something there.
pub(super) fn extensible(
    thread: &Thread,
    at: UserAddr,
    size: usize,
    first: usize,
    known: &mut [u8],
) -> Result<(), Errno> {
    if size < first {
        return Err(Errno::EINVAL);
    }
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mut rest = [0; 64];
    let mut done = known.len();
    while done < size {
        let step = (size - done).min(rest.len());
        thread.space().read_bytes(at.checked_add(done).ok_or(Errno::EFAULT)?, &mut rest[..step])?;
        if rest[..step].iter().any(|&byte| byte != 0) {
            return Err(Errno::E2BIG);
        }
        done += step;
    }
    let given = size.min(known.len());
    thread.space().read_bytes(at, &mut known[..given])
}
