//! Files, directories, descriptors, mounts.

use core::ffi::CStr;
use linux_raw_sys::general::{iovec, pollfd, stat};

use super::{Arg, Plain, Result, call};

/// A file descriptor. Plain: nothing closes it by itself, and probes name ones that are not there.
pub type Fd = i32;

/// The working directory in place of a directory descriptor.
pub const AT_FDCWD: Fd = linux_raw_sys::general::AT_FDCWD;

/// openat(2).
pub fn openat(dir: Fd, path: &CStr, flags: u32, mode: u32) -> Result<Fd> {
    call!(__NR_openat, dir, path, flags, mode).map(|fd| fd as Fd)
}
/// open(2), relative to the working directory.
pub fn open(path: &CStr, flags: u32) -> Result<Fd> {
    openat(AT_FDCWD, path, flags, 0o600)
}
/// close(2).
pub fn close(fd: Fd) -> Result {
    call!(__NR_close, fd).map(drop)
}
/// read(2).
pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    call!(__NR_read, fd, Arg::write(buffer), buffer.len())
}
/// write(2).
pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    call!(__NR_write, fd, Arg::read(bytes), bytes.len())
}
/// pread64(2).
pub fn pread(fd: Fd, buffer: &mut [u8], offset: i64) -> Result<usize> {
    call!(__NR_pread64, fd, Arg::write(buffer), buffer.len(), offset)
}
/// pwrite64(2).
pub fn pwrite(fd: Fd, bytes: &[u8], offset: i64) -> Result<usize> {
    call!(__NR_pwrite64, fd, Arg::read(bytes), bytes.len(), offset)
}
/// readv(2) into two buffers.
pub fn readv(fd: Fd, first: &mut [u8], second: &mut [u8]) -> Result<usize> {
    let parts = [io_part(first), io_part(second)];
    call!(__NR_readv, fd, Arg::read(&parts), parts.len())
}
/// writev(2) from two buffers.
pub fn writev(fd: Fd, first: &[u8], second: &[u8]) -> Result<usize> {
    let part = |bytes: &[u8]| iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() as u64 };
    let parts = [part(first), part(second)];
    call!(__NR_writev, fd, Arg::read(&parts), parts.len())
}
fn io_part(buffer: &mut [u8]) -> iovec {
    iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() as u64 }
}
/// lseek(2).
pub fn lseek(fd: Fd, offset: i64, whence: u32) -> Result<usize> {
    call!(__NR_lseek, fd, offset, whence)
}
/// fstat(2).
pub fn fstat(fd: Fd) -> Result<stat> {
    let mut found = stat::zeroed();
    call!(__NR_fstat, fd, Arg::write(&mut found)).map(|_| found)
}
/// newfstatat(2).
pub fn fstatat(dir: Fd, path: &CStr, flags: u32) -> Result<stat> {
    let mut found = stat::zeroed();
    call!(__NR_newfstatat, dir, path, Arg::write(&mut found), flags).map(|_| found)
}
/// getdents64(2).
pub fn getdents(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    call!(__NR_getdents64, fd, Arg::write(buffer), buffer.len())
}
/// dup(2).
pub fn dup(fd: Fd) -> Result<Fd> {
    call!(__NR_dup, fd).map(|fd| fd as Fd)
}
/// dup3(2).
pub fn dup3(from: Fd, to: Fd, flags: u32) -> Result<Fd> {
    call!(__NR_dup3, from, to, flags).map(|fd| fd as Fd)
}
/// pipe2(2): the end to read from and the end to write to.
pub fn pipe(flags: u32) -> Result<(Fd, Fd)> {
    let mut ends = [-1; 2];
    call!(__NR_pipe2, Arg::write(&mut ends), flags).map(|_| (ends[0], ends[1]))
}
/// fcntl(2) with a number as argument.
pub fn fcntl(fd: Fd, command: u32, arg: u32) -> Result<usize> {
    call!(__NR_fcntl, fd, command, arg)
}
/// ioctl(2) that fills a buffer.
pub fn ioctl(fd: Fd, request: u32, buffer: &mut [u8; 64]) -> Result<usize> {
    call!(__NR_ioctl, fd, request, Arg::write(buffer))
}
/// ioctl(2) with a number as argument.
pub fn ioctl_number(fd: Fd, request: u32, argument: u32) -> Result<usize> {
    call!(__NR_ioctl, fd, request, argument)
}
/// ppoll(2) of one descriptor; `timeout` in nanoseconds, `None` for ever. Gives `revents`.
pub fn poll(fd: Fd, events: u32, timeout: Option<u64>) -> Result<u32> {
    let mut entry = pollfd { fd, events: events as i16, revents: 0 };
    let time = timeout.map(super::timespec);
    let time = time.as_ref().map_or(Arg(0), Arg::read);
    call!(__NR_ppoll, Arg::write(&mut entry), 1, time, 0, 8).map(|_| u32::from(entry.revents as u16))
}
/// ppoll(2) of two descriptors, without an end; a negative one is passed over. Gives `revents` of each.
pub fn poll_both(fds: [Fd; 2], events: u32) -> Result<[u32; 2]> {
    let mut entries = fds.map(|fd| pollfd { fd, events: events as i16, revents: 0 });
    call!(__NR_ppoll, Arg::write(&mut entries), entries.len(), 0, 0, 8)?;
    Ok(entries.map(|entry| u32::from(entry.revents as u16)))
}
/// pselect6(2) of descriptors below 64, a bit each: to be read and to be written; which are, and how many.
pub fn select(reads: u64, writes: u64, timeout: Option<u64>) -> Result<(usize, u64, u64)> {
    let (mut reads, mut writes) = (reads, writes);
    let time = timeout.map(super::timespec);
    let time = time.as_ref().map_or(Arg(0), Arg::read);
    let count = call!(__NR_pselect6, 64, Arg::write(&mut reads), Arg::write(&mut writes), 0, time, 0)?;
    Ok((count, reads, writes))
}
/// mkdirat(2), relative to the working directory.
pub fn mkdir(path: &CStr, mode: u32) -> Result {
    call!(__NR_mkdirat, AT_FDCWD, path, mode).map(drop)
}
/// mknodat(2), relative to the working directory.
pub fn mknod(path: &CStr, mode: u32, device: u32) -> Result {
    call!(__NR_mknodat, AT_FDCWD, path, mode, device).map(drop)
}
/// unlinkat(2), relative to the working directory.
pub fn unlink(path: &CStr) -> Result {
    call!(__NR_unlinkat, AT_FDCWD, path, 0).map(drop)
}
/// unlinkat(2) with `AT_REMOVEDIR`.
pub fn rmdir(path: &CStr) -> Result {
    call!(__NR_unlinkat, AT_FDCWD, path, linux_raw_sys::general::AT_REMOVEDIR).map(drop)
}
/// symlinkat(2), relative to the working directory.
pub fn symlink(target: &CStr, path: &CStr) -> Result {
    call!(__NR_symlinkat, target, AT_FDCWD, path).map(drop)
}
/// linkat(2), relative to the working directory.
pub fn link(old: &CStr, new: &CStr) -> Result {
    call!(__NR_linkat, AT_FDCWD, old, AT_FDCWD, new, 0).map(drop)
}
/// linkat(2) with `AT_EMPTY_PATH`: a name, relative to the working directory, for an open file.
pub fn link_file(file: Fd, new: &CStr) -> Result {
    call!(__NR_linkat, file, c"", AT_FDCWD, new, linux_raw_sys::general::AT_EMPTY_PATH).map(drop)
}
/// renameat2(2), relative to the working directory.
pub fn rename(old: &CStr, new: &CStr, flags: u32) -> Result {
    call!(__NR_renameat2, AT_FDCWD, old, AT_FDCWD, new, flags).map(drop)
}
/// readlinkat(2), relative to the working directory.
pub fn readlink(path: &CStr, buffer: &mut [u8]) -> Result<usize> {
    call!(__NR_readlinkat, AT_FDCWD, path, Arg::write(buffer), buffer.len())
}
/// faccessat(2), relative to the working directory.
pub fn access(path: &CStr, mode: u32) -> Result {
    call!(__NR_faccessat, AT_FDCWD, path, mode).map(drop)
}
/// fchmodat(2), relative to the working directory.
pub fn chmod(path: &CStr, mode: u32) -> Result {
    call!(__NR_fchmodat, AT_FDCWD, path, mode).map(drop)
}
/// fchownat(2), relative to the working directory.
pub fn chown(path: &CStr, uid: u32, gid: u32) -> Result {
    call!(__NR_fchownat, AT_FDCWD, path, uid, gid, 0).map(drop)
}
/// ftruncate(2).
pub fn ftruncate(fd: Fd, length: i64) -> Result {
    call!(__NR_ftruncate, fd, length).map(drop)
}
/// truncate(2).
pub fn truncate(path: &CStr, length: i64) -> Result {
    call!(__NR_truncate, path, length).map(drop)
}
/// umask(2): the mask before.
pub fn umask(mask: u32) -> u32 {
    call!(__NR_umask, mask).unwrap_or(0) as u32
}
/// chdir(2).
pub fn chdir(path: &CStr) -> Result {
    call!(__NR_chdir, path).map(drop)
}
/// fchdir(2).
pub fn fchdir(fd: Fd) -> Result {
    call!(__NR_fchdir, fd).map(drop)
}
/// getcwd(2): the length with its NUL.
pub fn getcwd(buffer: &mut [u8]) -> Result<usize> {
    call!(__NR_getcwd, Arg::write(buffer), buffer.len())
}
/// chroot(2).
pub fn chroot(path: &CStr) -> Result {
    call!(__NR_chroot, path).map(drop)
}
/// mount(2); `data` is a string or absent.
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u32, data: Option<&CStr>) -> Result {
    call!(__NR_mount, source, target, kind, flags, data.map_or(Arg(0), Arg::from)).map(drop)
}
/// umount2(2).
pub fn umount(target: &CStr, flags: u32) -> Result {
    call!(__NR_umount2, target, flags).map(drop)
}
/// pivot_root(2).
pub fn pivot_root(new_root: &CStr, put_old: &CStr) -> Result {
    call!(__NR_pivot_root, new_root, put_old).map(drop)
}
/// mount_setattr(2), relative to the working directory: what is set, what is cleared, how it spreads.
pub fn mount_setattr(path: &CStr, flags: u32, set: u32, clear: u32, propagation: u32) -> Result {
    let attributes = [u64::from(set), u64::from(clear), u64::from(propagation), 0];
    call!(__NR_mount_setattr, AT_FDCWD, path, flags, Arg::read(&attributes), size_of_val(&attributes)).map(drop)
}
/// statfs(2): its flags.
pub fn statfs_flags(path: &CStr) -> Result<u64> {
    let mut found = [0_u64; 15];
    call!(__NR_statfs, path, Arg::write(&mut found)).map(|_| found[10])
}
/// setxattr(2).
pub fn setxattr(path: &CStr, name: &CStr, value: &[u8], flags: u32) -> Result {
    call!(__NR_setxattr, path, name, Arg::read(value), value.len(), flags).map(drop)
}
/// getxattr(2).
pub fn getxattr(path: &CStr, name: &CStr, value: &mut [u8]) -> Result<usize> {
    call!(__NR_getxattr, path, name, Arg::write(value), value.len())
}
/// listxattr(2): the names, each with its NUL.
pub fn listxattr(path: &CStr, names: &mut [u8]) -> Result<usize> {
    call!(__NR_listxattr, path, Arg::write(names), names.len())
}
/// removexattr(2).
pub fn removexattr(path: &CStr, name: &CStr) -> Result {
    call!(__NR_removexattr, path, name).map(drop)
}
