//! Extended attributes: by path, by path without following a last link, and by descriptor.

use super::place::{here, open_file, path};
use crate::{
    fs::{Caller, Subject, XATTR_NAME_MAX, XATTR_SIZE_MAX, XattrFlags},
    mm::filled,
    task::Thread,
};
use alloc::vec::Vec;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// What a call acts on.
enum Target {
    Path { path: Vec<u8>, follow: bool },
    Descriptor(i32),
}

impl Target {
    fn path(thread: &Thread, at: UserAddr, follow: bool) -> Result<Self, Errno> {
        Ok(Self::Path { path: path(thread, at)?, follow })
    }

    fn with<R>(
        &self,
        thread: &Thread,
        operation: impl FnOnce(&Caller<'_>, Subject<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        match self {
            Self::Path { path, follow } => here(thread, |caller, base| {
                let location = caller.resolve(base, path, *follow)?;
                operation(caller, Subject::from(&location))
            }),
            Self::Descriptor(fd) => {
                let file = open_file(thread, *fd)?;
                here(thread, |caller, _| operation(caller, Subject::from(&*file)))
            }
        }
    }
}

/// A name: ERANGE when it is empty or too long.
fn name(thread: &Thread, at: UserAddr) -> Result<Vec<u8>, Errno> {
    let name = thread.space().read_c_string(at, XATTR_NAME_MAX).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Errno::ERANGE,
        errno => errno,
    })?;
    if name.is_empty() { Err(Errno::ERANGE) } else { Ok(name) }
}

/// Gives `bytes` to a buffer: ERANGE if it is too small; with a size of 0 only the length is told.
fn give(thread: &Thread, bytes: &[u8], to: UserAddr, size: usize) -> Result<usize, Errno> {
    if size > 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        thread.space().write_bytes(to, bytes)?;
    }
    Ok(bytes.len())
}

fn set(
    thread: &Thread,
    target: &Target,
    at: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = XattrFlags::from_bits(flags).filter(|flags| *flags != XattrFlags::all()).ok_or(Errno::EINVAL)?;
    let name = name(thread, at)?;
    if size > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut bytes = filled(0, size)?;
    thread.space().read_bytes(value, &mut bytes)?;
    target.with(thread, |caller, subject| caller.set_xattr(subject, &name, &bytes, flags))?;
    Ok(0)
}

fn get(thread: &Thread, target: &Target, at: UserAddr, value: UserAddr, size: usize) -> Result<usize, Errno> {
    let name = name(thread, at)?;
    let bytes = target.with(thread, |caller, subject| caller.get_xattr(subject, &name))?;
    give(thread, &bytes, value, size)
}

fn list(thread: &Thread, target: &Target, to: UserAddr, size: usize) -> Result<usize, Errno> {
    let names = target.with(thread, |caller, subject| Ok(caller.list_xattrs(subject)))?;
    give(thread, &names, to, size)
}

fn remove(thread: &Thread, target: &Target, at: UserAddr) -> Result<usize, Errno> {
    let name = name(thread, at)?;
    target.with(thread, |caller, subject| caller.remove_xattr(subject, &name))?;
    Ok(0)
}

pub fn setxattr(
    thread: &Thread,
    path: UserAddr,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> Result<usize, Errno> {
    set(thread, &Target::path(thread, path, true)?, name, value, size, flags)
}

pub fn lsetxattr(
    thread: &Thread,
    path: UserAddr,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> Result<usize, Errno> {
    set(thread, &Target::path(thread, path, false)?, name, value, size, flags)
}

pub fn fsetxattr(
    thread: &Thread,
    fd: i32,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> Result<usize, Errno> {
    set(thread, &Target::Descriptor(fd), name, value, size, flags)
}

pub fn getxattr(thread: &Thread, path: UserAddr, name: UserAddr, value: UserAddr, size: usize) -> Result<usize, Errno> {
    get(thread, &Target::path(thread, path, true)?, name, value, size)
}

pub fn lgetxattr(
    thread: &Thread,
    path: UserAddr,
    name: UserAddr,
    value: UserAddr,
    size: usize,
) -> Result<usize, Errno> {
    get(thread, &Target::path(thread, path, false)?, name, value, size)
}

pub fn fgetxattr(thread: &Thread, fd: i32, name: UserAddr, value: UserAddr, size: usize) -> Result<usize, Errno> {
    get(thread, &Target::Descriptor(fd), name, value, size)
}

pub fn listxattr(thread: &Thread, path: UserAddr, to: UserAddr, size: usize) -> Result<usize, Errno> {
    list(thread, &Target::path(thread, path, true)?, to, size)
}

pub fn llistxattr(thread: &Thread, path: UserAddr, to: UserAddr, size: usize) -> Result<usize, Errno> {
    list(thread, &Target::path(thread, path, false)?, to, size)
}

pub fn flistxattr(thread: &Thread, fd: i32, to: UserAddr, size: usize) -> Result<usize, Errno> {
    list(thread, &Target::Descriptor(fd), to, size)
}

pub fn removexattr(thread: &Thread, path: UserAddr, name: UserAddr) -> Result<usize, Errno> {
    remove(thread, &Target::path(thread, path, true)?, name)
}

pub fn lremovexattr(thread: &Thread, path: UserAddr, name: UserAddr) -> Result<usize, Errno> {
    remove(thread, &Target::path(thread, path, false)?, name)
}

pub fn fremovexattr(thread: &Thread, fd: i32, name: UserAddr) -> Result<usize, Errno> {
    remove(thread, &Target::Descriptor(fd), name)
}
