//! What files are like: stat and its like, mode, owner, times, access.

use super::{
    layout::{StatFs, StatGeneric, StatX86_64, Statx},
    number::IS_X86_64,
    place::{at, check_flags, here, id, open_file, path},
    timespec::TimeSpec,
};
use crate::{
    fs::{Access, Caller, File, Location, SetTime, Status, Subject, Timestamp},
    security::{Credentials, SecureBits},
    task::Thread,
};
use alloc::sync::Arc;
use linux_raw_sys::general::{self, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// What a path with flags means, or a descriptor with an empty path (AT_EMPTY_PATH).
enum Target {
    Location(Location),
    File(Arc<File>),
}

impl<'a> From<&'a Target> for Subject<'a> {
    fn from(target: &'a Target) -> Self {
        match target {
            Target::Location(location) => location.into(),
            Target::File(file) => Subject::from(&**file),
        }
    }
}

impl Target {
    fn find(thread: &Thread, dirfd: i32, name: UserAddr, flags: u32) -> Result<Self, Errno> {
        let empty_path = flags & AT_EMPTY_PATH != 0;
        let path = path(thread, name)?;
        if empty_path && path.is_empty() && dirfd != AT_FDCWD {
            return thread.with_files(|files| files.get(dirfd)).map(Self::File);
        }
        let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
        at(thread, dirfd, &path, |caller, base| {
            let location = if empty_path {
                caller.resolve_or_base(base, &path, follow)
            } else {
                caller.resolve(base, &path, follow)
            };
            location.map(Self::Location)
        })
    }

    fn location(&self) -> Option<&Location> {
        match self {
            Self::Location(location) => Some(location),
            Self::File(file) => file.location(),
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Location(location) => location.inode().status(),
            Self::File(file) => file.inode().status(),
        }
    }
}

/// Runs `operation` on a target, for the calling process.
fn on<R>(
    thread: &Thread,
    target: &Target,
    operation: impl FnOnce(&Caller<'_>, Subject<'_>) -> Result<R, Errno>,
) -> Result<R, Errno> {
    here(thread, |caller, _| operation(caller, target.into()))
}

/// With the owner's ids as the caller's user namespace has them.
fn shown(thread: &Thread, status: Status) -> Status {
    let namespace = &thread.credentials().user_namespace;
    Status { uid: namespace.shown_user(status.uid), gid: namespace.shown_group(status.gid), ..status }
}

fn write_stat(thread: &Thread, to: UserAddr, status: Status) -> Result<usize, Errno> {
    let status = &shown(thread, status);
    if IS_X86_64 {
        thread.space().write(to, &StatX86_64::from(status))?;
    } else {
        thread.space().write(to, &StatGeneric::from(status))?;
    }
    Ok(0)
}

pub fn fstat(thread: &Thread, fd: i32, to: UserAddr) -> Result<usize, Errno> {
    let status = thread.with_files(|files| files.get(fd))?.inode().status();
    write_stat(thread, to, status)
}

pub fn newfstatat(thread: &Thread, dirfd: i32, name: UserAddr, to: UserAddr, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | general::AT_NO_AUTOMOUNT)?;
    let status = Target::find(thread, dirfd, name, flags)?.status();
    write_stat(thread, to, status)
}

pub fn stat(thread: &Thread, name: UserAddr, to: UserAddr) -> Result<usize, Errno> {
    newfstatat(thread, AT_FDCWD, name, to, 0)
}

pub fn lstat(thread: &Thread, name: UserAddr, to: UserAddr) -> Result<usize, Errno> {
    newfstatat(thread, AT_FDCWD, name, to, AT_SYMLINK_NOFOLLOW)
}

/// statx(2). All that is known is told, whatever `mask` asks for; all of it is always fresh.
pub fn statx(thread: &Thread, dirfd: i32, name: UserAddr, flags: u32, mask: u32, to: UserAddr) -> Result<usize, Errno> {
    let sync = general::AT_STATX_FORCE_SYNC | general::AT_STATX_DONT_SYNC;
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | general::AT_NO_AUTOMOUNT | sync)?;
    if flags & sync == sync || mask & general::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL);
    }
    let target = Target::find(thread, dirfd, name, flags)?;
    let mount = target.location().map(|location| &*location.mount);
    thread.space().write(to, &Statx::new(&shown(thread, target.status()), mount))?;
    Ok(0)
}

pub fn statfs(thread: &Thread, name: UserAddr, to: UserAddr) -> Result<usize, Errno> {
    let path = path(thread, name)?;
    let location = here(thread, |caller, base| caller.resolve(base, &path, true))?;
    thread.space().write(to, &StatFs::new(&location.mount.superblock().statistics(), location.mount.flags()))?;
    Ok(0)
}

pub fn fstatfs(thread: &Thread, fd: i32, to: UserAddr) -> Result<usize, Errno> {
    let file = thread.with_files(|files| files.get(fd))?;
    let flags = file.location().map(|location| location.mount.flags()).unwrap_or_default();
    thread.space().write(to, &StatFs::new(&file.inode().superblock().statistics(), flags))?;
    Ok(0)
}

pub fn fchmod(thread: &Thread, fd: i32, mode: u32) -> Result<usize, Errno> {
    let target = Target::File(open_file(thread, fd)?);
    on(thread, &target, |caller, subject| caller.chmod(subject, (mode & 0o7777) as u16))?;
    Ok(0)
}

pub fn fchmodat(thread: &Thread, dirfd: i32, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    fchmodat2(thread, dirfd, name, mode, 0)
}

pub fn fchmodat2(thread: &Thread, dirfd: i32, name: UserAddr, mode: u32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let target = Target::find(thread, dirfd, name, flags)?;
    on(thread, &target, |caller, subject| caller.chmod(subject, (mode & 0o7777) as u16))?;
    Ok(0)
}

pub fn chmod(thread: &Thread, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    fchmodat(thread, AT_FDCWD, name, mode)
}

/// chown(2) to ids that the caller's user namespace has: else EINVAL.
fn change_owner(thread: &Thread, target: &Target, uid: u32, gid: u32) -> Result<(), Errno> {
    let namespace = &thread.credentials().user_namespace;
    let uid = id(uid).map(|uid| namespace.user(uid)).transpose()?;
    let gid = id(gid).map(|gid| namespace.group(gid)).transpose()?;
    on(thread, target, |caller, subject| caller.chown(subject, uid, gid))
}

pub fn fchown(thread: &Thread, fd: i32, uid: u32, gid: u32) -> Result<usize, Errno> {
    let target = Target::File(open_file(thread, fd)?);
    change_owner(thread, &target, uid, gid)?;
    Ok(0)
}

pub fn fchownat(thread: &Thread, dirfd: i32, name: UserAddr, uid: u32, gid: u32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let target = Target::find(thread, dirfd, name, flags)?;
    change_owner(thread, &target, uid, gid)?;
    Ok(0)
}

pub fn chown(thread: &Thread, name: UserAddr, uid: u32, gid: u32) -> Result<usize, Errno> {
    fchownat(thread, AT_FDCWD, name, uid, gid, 0)
}

pub fn lchown(thread: &Thread, name: UserAddr, uid: u32, gid: u32) -> Result<usize, Errno> {
    fchownat(thread, AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW)
}

/// utimensat(2). A null path means the descriptor itself, as futimens(3) has it.
pub fn utimensat(thread: &Thread, dirfd: i32, name: UserAddr, times: UserAddr, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let (accessed, modified) = if times == UserAddr(0) {
        (SetTime::Now, SetTime::Now)
    } else {
        let space = thread.space();
        let second = times.checked_add(size_of::<TimeSpec>()).ok_or(Errno::EFAULT)?;
        (set_time(space.read(times)?)?, set_time(space.read(second)?)?)
    };
    let target = if name == UserAddr(0) {
        Target::File(open_file(thread, dirfd)?)
    } else {
        Target::find(thread, dirfd, name, flags)?
    };
    on(thread, &target, |caller, subject| caller.set_times(subject, accessed, modified))?;
    Ok(0)
}

/// utime(2): whole seconds.
pub fn utime(thread: &Thread, name: UserAddr, times: UserAddr) -> Result<usize, Errno> {
    let times = if times == UserAddr(0) { None } else { Some(thread.space().read::<[i64; 2]>(times)?) };
    let set = times.map(|times| times.map(|seconds| SetTime::To(Timestamp { seconds, nanoseconds: 0 })));
    set_times(thread, AT_FDCWD, name, set)
}

/// utimes(2): with microseconds.
pub fn utimes(thread: &Thread, name: UserAddr, times: UserAddr) -> Result<usize, Errno> {
    futimesat(thread, AT_FDCWD, name, times)
}

/// futimesat(2). A null path means the descriptor itself.
pub fn futimesat(thread: &Thread, dirfd: i32, name: UserAddr, times: UserAddr) -> Result<usize, Errno> {
    let mut set = None;
    if times != UserAddr(0) {
        let [seconds, micros, later_seconds, later_micros] = thread.space().read::<[i64; 4]>(times)?;
        let time = |seconds, micros: i64| match u32::try_from(micros) {
            Ok(micros @ 0..1_000_000) => Ok(SetTime::To(Timestamp { seconds, nanoseconds: micros * 1000 })),
            _ => Err(Errno::EINVAL),
        };
        set = Some([time(seconds, micros)?, time(later_seconds, later_micros)?]);
    }
    set_times(thread, dirfd, name, set)
}

/// Sets the times of access and modification, both to now if none are given.
fn set_times(thread: &Thread, dirfd: i32, name: UserAddr, times: Option<[SetTime; 2]>) -> Result<usize, Errno> {
    let [accessed, modified] = times.unwrap_or([SetTime::Now; 2]);
    let target = if name == UserAddr(0) && dirfd != AT_FDCWD {
        Target::File(open_file(thread, dirfd)?)
    } else {
        Target::find(thread, dirfd, name, 0)?
    };
    on(thread, &target, |caller, subject| caller.set_times(subject, accessed, modified))?;
    Ok(0)
}

fn set_time(time: TimeSpec) -> Result<SetTime, Errno> {
    const NOW: i64 = general::UTIME_NOW as i64;
    const OMIT: i64 = general::UTIME_OMIT as i64;
    match time.nanoseconds {
        NOW => Ok(SetTime::Now),
        OMIT => Ok(SetTime::Omit),
        nanoseconds @ 0..1_000_000_000 => {
            Ok(SetTime::To(Timestamp { seconds: time.seconds, nanoseconds: nanoseconds as u32 }))
        }
        _ => Err(Errno::EINVAL),
    }
}

pub fn faccessat2(thread: &Thread, dirfd: i32, name: UserAddr, mode: u32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, general::AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)?;
    let access = u8::try_from(mode).ok().and_then(Access::from_bits).ok_or(Errno::EINVAL)?;
    let asks = if flags & general::AT_EACCESS != 0 { None } else { Some(by_real_ids(&thread.credentials())) };
    let target = Target::find(thread, dirfd, name, flags)?;
    let Some(location) = target.location() else { return Ok(0) };
    here(thread, |caller, _| caller.access(location, asks.as_ref().unwrap_or(caller.credentials), access))?;
    Ok(0)
}

/// Who asks access(2): the real ids, with the capabilities that they would have.
fn by_real_ids(credentials: &Credentials) -> Credentials {
    let mut real = credentials.clone();
    (real.fsuid, real.fsgid) = (real.uid, real.gid);
    if !real.securebits.contains(SecureBits::NO_SETUID_FIXUP) {
        let is_root = Some(real.uid) == real.user_namespace.root_user();
        real.effective = if is_root { real.permitted } else { Default::default() };
    }
    real
}

pub fn faccessat(thread: &Thread, dirfd: i32, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    faccessat2(thread, dirfd, name, mode, 0)
}

pub fn access(thread: &Thread, name: UserAddr, mode: u32) -> Result<usize, Errno> {
    faccessat2(thread, AT_FDCWD, name, mode, 0)
}

pub fn umask(thread: &Thread, mask: u32) -> Result<usize, Errno> {
    let old = thread.with_fs(|fs| core::mem::replace(&mut fs.umask, (mask & 0o777) as u16));
    Ok(old.into())
}
