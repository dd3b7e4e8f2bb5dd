//! Names and directories.

use super::{
    layout::{push_dirent, push_dirent64},
    place::{at, check_flags, here, open_file, path},
};
use crate::{
    fs::{Context, DeviceNumber, DirectoryEntry, FileType, Location, RenameFlags, Whence},
    security::Capabilities,
    task::Thread,
};
use alloc::vec::Vec;
use linux_raw_sys::general::{self, AT_FDCWD};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// Bytes of entries that one call reads, at most.
const ENTRIES_BYTES_MAX: usize = 32 * 1024;

pub fn mkdirat(thread: &Thread, dirfd: i32, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    let path = path(thread, name)?;
    at(thread, dirfd, &path, |caller, base| caller.mkdir(base, &path, (mode & 0o7777) as u16))?;
    Ok(0)
}

pub fn mkdir(thread: &Thread, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    mkdirat(thread, AT_FDCWD, name, mode)
}

pub fn mknodat(thread: &Thread, dirfd: i32, name: UserAddr, mode: u32, device: u64) -> Result<usize, Errno> {
    let file_type = match mode & 0o170000 {
        0 | 0o100000 => FileType::Regular,
        0o010000 => FileType::Fifo,
        0o140000 => FileType::Socket,
        0o020000 => FileType::CharacterDevice,
        0o060000 => FileType::BlockDevice,
        0o040000 => FileType::Directory,
        _ => return Err(Errno::EINVAL),
    };
    let path = path(thread, name)?;
    let device = DeviceNumber::from_bits(device & u64::from(u32::MAX));
    at(thread, dirfd, &path, |caller, base| caller.mknod(base, &path, file_type, (mode & 0o7777) as u16, device))?;
    Ok(0)
}

pub fn mknod(thread: &Thread, name: UserAddr, mode: u32, device: u64) -> Result<usize, Errno> {
    mknodat(thread, AT_FDCWD, name, mode, device)
}

pub fn unlinkat(thread: &Thread, dirfd: i32, name: UserAddr, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::AT_REMOVEDIR)?;
    let path = path(thread, name)?;
    at(thread, dirfd, &path, |caller, base| {
        if flags & general::AT_REMOVEDIR != 0 { caller.rmdir(base, &path) } else { caller.unlink(base, &path) }
    })?;
    Ok(0)
}

pub fn unlink(thread: &Thread, name: UserAddr) -> Result<usize, Errno> {
    unlinkat(thread, AT_FDCWD, name, 0)
}

pub fn rmdir(thread: &Thread, name: UserAddr) -> Result<usize, Errno> {
    unlinkat(thread, AT_FDCWD, name, general::AT_REMOVEDIR)
}

pub fn symlinkat(thread: &Thread, target: UserAddr, dirfd: i32, name: UserAddr) -> Result<usize, Errno> {
    let (target, path) = (path(thread, target)?, path(thread, name)?);
    at(thread, dirfd, &path, |caller, base| caller.symlink(&target, base, &path))?;
    Ok(0)
}

pub fn symlink(thread: &Thread, target: UserAddr, name: UserAddr) -> Result<usize, Errno> {
    symlinkat(thread, target, AT_FDCWD, name)
}

pub fn linkat(
    thread: &Thread,
    old_dirfd: i32,
    old: UserAddr,
    dirfd: i32,
    name: UserAddr,
    flags: u32,
) -> Result<usize, Errno> {
    check_flags(flags, general::AT_SYMLINK_FOLLOW | general::AT_EMPTY_PATH)?;
    let (old, path) = (path(thread, old)?, path(thread, name)?);
    let follow = flags & general::AT_SYMLINK_FOLLOW != 0;
    let linked = at(thread, old_dirfd, &old, |caller, base| {
        if flags & general::AT_EMPTY_PATH == 0 {
            return caller.resolve(base, &old, follow);
        }
        if old.is_empty() && !caller.credentials.capable_at_home(Capabilities::DAC_READ_SEARCH) {
            return Err(Errno::ENOENT);
        }
        caller.resolve_or_base(base, &old, follow)
    })?;
    at(thread, dirfd, &path, |caller, base| caller.link(&linked, base, &path))?;
    Ok(0)
}

pub fn link(thread: &Thread, old: UserAddr, name: UserAddr) -> Result<usize, Errno> {
    linkat(thread, AT_FDCWD, old, AT_FDCWD, name, 0)
}

pub fn renameat2(
    thread: &Thread,
    old_dirfd: i32,
    old: UserAddr,
    new_dirfd: i32,
    new: UserAddr,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (old, new) = (path(thread, old)?, path(thread, new)?);
    let old_base = base(thread, old_dirfd, &old)?;
    at(thread, new_dirfd, &new, |caller, new_base| {
        caller.rename(old_base.as_ref().unwrap_or(&caller.context.cwd), &old, new_base, &new, flags)
    })?;
    Ok(0)
}

/// The place of an open file that a relative path begins at; `None` is the working directory.
fn base(thread: &Thread, dirfd: i32, path: &[u8]) -> Result<Option<Location>, Errno> {
    if dirfd == AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    let file = thread.with_files(|files| files.get(dirfd))?;
    file.location().cloned().map(Some).ok_or(Errno::ENOTDIR)
}

pub fn renameat(thread: &Thread, old_dirfd: i32, old: UserAddr, new_dirfd: i32, new: UserAddr) -> Result<usize, Errno> {
    renameat2(thread, old_dirfd, old, new_dirfd, new, 0)
}

pub fn rename(thread: &Thread, old: UserAddr, new: UserAddr) -> Result<usize, Errno> {
    renameat2(thread, AT_FDCWD, old, AT_FDCWD, new, 0)
}

pub fn readlinkat(thread: &Thread, dirfd: i32, name: UserAddr, to: UserAddr, room: i32) -> Result<usize, Errno> {
    let room = usize::try_from(room).ok().filter(|&room| room > 0).ok_or(Errno::EINVAL)?;
    let path = path(thread, name)?;
    // An empty path reads the link that was opened with O_PATH and O_NOFOLLOW.
    let target = at(thread, dirfd, &path, |caller, base| {
        if path.is_empty() && dirfd == AT_FDCWD {
            return Err(Errno::ENOENT);
        }
        caller
            .read_link(&caller.resolve_or_base(base, &path, false)?)
            .map_err(|errno| if path.is_empty() { Errno::ENOENT } else { errno })
    })?;
    let length = target.len().min(room);
    thread.space().write_bytes(to, &target[..length])?;
    Ok(length)
}

pub fn readlink(thread: &Thread, name: UserAddr, to: UserAddr, room: i32) -> Result<usize, Errno> {
    readlinkat(thread, AT_FDCWD, name, to, room)
}

pub fn getdents64(thread: &Thread, fd: i32, to: UserAddr, room: u32) -> Result<usize, Errno> {
    read_entries(thread, fd, to, room, push_dirent64)
}

pub fn getdents(thread: &Thread, fd: i32, to: UserAddr, room: u32) -> Result<usize, Errno> {
    read_entries(thread, fd, to, room, push_dirent)
}

/// Appends an entry to the bytes if it fits in the room: its inode, the next offset, its type, its name.
type Push = fn(&mut Vec<u8>, usize, u64, u64, u8, &[u8]) -> bool;

fn read_entries(thread: &Thread, fd: i32, to: UserAddr, room: u32, push: Push) -> Result<usize, Errno> {
    let file = open_file(thread, fd)?;
    let room = (room as usize).min(ENTRIES_BYTES_MAX);
    let mut bytes = Vec::new();
    let mut full = false;
    let before = file.seek(Whence::Current, 0)?;
    file.read_directory(|DirectoryEntry { inode, file_type, next_offset, name }| {
        full = !push(&mut bytes, room, inode, next_offset, file_type.directory_entry_type(), name);
        !full
    })?;
    if bytes.is_empty() && full {
        return Err(Errno::EINVAL);
    }
    if let Err(errno) = thread.space().write_bytes(to, &bytes) {
        // What the program did not get is read again.
        file.seek(Whence::Set, before as i64)?;
        return Err(errno);
    }
    Ok(bytes.len())
}

pub fn getcwd(thread: &Thread, to: UserAddr, room: usize) -> Result<usize, Errno> {
    let mut path = thread.with_fs(|fs| fs.path_of(&fs.cwd))?;
    path.push(0);
    if path.len() > room {
        return Err(Errno::ERANGE);
    }
    thread.space().write_bytes(to, &path)?;
    Ok(path.len())
}

/// Exchanges the process's view of files; what it held before is dropped without its lock.
pub(super) fn set_context(thread: &Thread, context: Context) {
    let old = thread.with_fs(|fs| core::mem::replace(fs, context));
    drop(old);
}

pub fn chdir(thread: &Thread, name: UserAddr) -> Result<usize, Errno> {
    let path = path(thread, name)?;
    let context = here(thread, |caller, base| caller.chdir(caller.resolve(base, &path, true)?))?;
    set_context(thread, context);
    Ok(0)
}

pub fn fchdir(thread: &Thread, fd: i32) -> Result<usize, Errno> {
    let to = thread.with_files(|files| files.get(fd))?.directory()?.clone();
    let context = here(thread, |caller, _| caller.chdir(to))?;
    set_context(thread, context);
    Ok(0)
}

pub fn chroot(thread: &Thread, name: UserAddr) -> Result<usize, Errno> {
    let path = path(thread, name)?;
    let context = here(thread, |caller, base| caller.chroot(caller.resolve(base, &path, true)?))?;
    set_context(thread, context);
    Ok(0)
}
