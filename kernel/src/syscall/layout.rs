//! Linux's structures about files, byte for byte.

use crate::fs::{DeviceNumber, Mount, MountFlags, NAME_MAX, Statistics, Status, SuperFlags, Timestamp};
use alloc::vec::Vec;
use linux_raw_sys::general;
use veridian_hal::PAGE_SIZE;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct stat` of x86_64.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct StatX86_64 {
    dev: u64,
    ino: u64,
    nlink: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    _pad: u32,
    rdev: u64,
    size: i64,
    blksize: i64,
    blocks: i64,
    accessed: [i64; 2],
    modified: [i64; 2],
    changed: [i64; 2],
    _unused: [i64; 3],
}

/// `struct stat` of the other architectures (asm-generic/stat.h).
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct StatGeneric {
    dev: u64,
    ino: u64,
    mode: u32,
    nlink: u32,
    uid: u32,
    gid: u32,
    rdev: u64,
    _pad: u64,
    size: i64,
    blksize: i32,
    _pad_more: i32,
    blocks: i64,
    accessed: [i64; 2],
    modified: [i64; 2],
    changed: [i64; 2],
    _unused: [u32; 2],
}

/// `struct statx_timestamp`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
struct StatxTime {
    seconds: i64,
    nanoseconds: u32,
    _reserved: i32,
}

/// `struct statx`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct Statx {
    mask: u32,
    blksize: u32,
    attributes: u64,
    nlink: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    _spare: u16,
    ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    accessed: StatxTime,
    born: StatxTime,
    changed: StatxTime,
    modified: StatxTime,
    rdev_major: u32,
    rdev_minor: u32,
    dev_major: u32,
    dev_minor: u32,
    mnt_id: u64,
    _spares: [u64; 13],
}

/// `struct statfs` of 64-bit architectures.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub struct StatFs {
    kind: i64,
    bsize: i64,
    blocks: u64,
    bfree: u64,
    bavail: u64,
    files: u64,
    ffree: u64,
    fsid: [i32; 2],
    namelen: i64,
    frsize: i64,
    flags: i64,
    _spare: [i64; 4],
}

/// `struct pollfd`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; a negative one is passed over.
    pub fd: i32,
    /// What is asked.
    pub events: u16,
    /// What is told.
    pub revents: u16,
}

/// `struct iovec`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct IoVec {
    /// Where.
    pub base: usize,
    /// Bytes.
    pub length: usize,
}

fn pair(time: Timestamp) -> [i64; 2] {
    [time.seconds, time.nanoseconds.into()]
}

fn mode(status: &Status) -> u32 {
    status.file_type as u32 | u32::from(status.mode)
}

impl From<&Status> for StatX86_64 {
    fn from(status: &Status) -> Self {
        Self {
            dev: status.device,
            ino: status.inode,
            nlink: status.links.into(),
            mode: mode(status),
            uid: status.uid,
            gid: status.gid,
            _pad: 0,
            rdev: status.special.to_bits(),
            size: status.length_bytes as i64,
            blksize: PAGE_SIZE as i64,
            blocks: status.blocks as i64,
            accessed: pair(status.accessed),
            modified: pair(status.modified),
            changed: pair(status.changed),
            _unused: [0; 3],
        }
    }
}

impl From<&Status> for StatGeneric {
    fn from(status: &Status) -> Self {
        Self {
            dev: status.device,
            ino: status.inode,
            mode: mode(status),
            nlink: status.links,
            uid: status.uid,
            gid: status.gid,
            rdev: status.special.to_bits(),
            _pad: 0,
            size: status.length_bytes as i64,
            blksize: PAGE_SIZE as i32,
            _pad_more: 0,
            blocks: status.blocks as i64,
            accessed: pair(status.accessed),
            modified: pair(status.modified),
            changed: pair(status.changed),
            _unused: [0; 2],
        }
    }
}

impl Statx {
    /// What statx(2) tells of a file, and of the mount that it was reached through.
    pub fn new(status: &Status, mount: Option<&Mount>) -> Self {
        let time = |time: Timestamp| StatxTime { seconds: time.seconds, nanoseconds: time.nanoseconds, _reserved: 0 };
        let device = DeviceNumber::from_bits(status.device);
        let mount_id = mount.map(Mount::id);
        Self {
            mask: general::STATX_BASIC_STATS
                | general::STATX_BTIME
                | if mount_id.is_some() { general::STATX_MNT_ID } else { 0 },
            blksize: PAGE_SIZE as u32,
            attributes: 0,
            nlink: status.links,
            uid: status.uid,
            gid: status.gid,
            mode: mode(status) as u16,
            _spare: 0,
            ino: status.inode,
            size: status.length_bytes,
            blocks: status.blocks,
            attributes_mask: 0,
            accessed: time(status.accessed),
            born: time(status.born),
            changed: time(status.changed),
            modified: time(status.modified),
            rdev_major: status.special.major,
            rdev_minor: status.special.minor,
            dev_major: device.major,
            dev_minor: device.minor,
            mnt_id: mount_id.unwrap_or(0),
            _spares: [0; 13],
        }
    }
}

impl StatFs {
    /// What statfs(2) tells of a file system, and of the mount that it was reached through.
    pub fn new(told: &Statistics, flags: MountFlags) -> Self {
        let told_flags = [
            (MountFlags::RDONLY, ST_RDONLY),
            (MountFlags::NOSUID, ST_NOSUID),
            (MountFlags::NODEV, ST_NODEV),
            (MountFlags::NOEXEC, ST_NOEXEC),
            (MountFlags::NOATIME, ST_NOATIME),
            (MountFlags::NODIRATIME, ST_NODIRATIME),
            (MountFlags::NOSYMFOLLOW, ST_NOSYMFOLLOW),
        ];
        let told_of_all = [
            (SuperFlags::RDONLY, ST_RDONLY),
            (SuperFlags::SYNCHRONOUS, ST_SYNCHRONOUS),
            (SuperFlags::MANDLOCK, ST_MANDLOCK),
        ];
        let set = told_flags.into_iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |set, (_, bit)| set | bit);
        let of_all = told_of_all.into_iter().filter(|(flag, _)| told.flags.contains(*flag));
        let set = of_all.fold(set, |set, (_, bit)| set | bit);
        let relative = if flags.intersects(MountFlags::NOATIME | MountFlags::STRICTATIME) { 0 } else { ST_RELATIME };
        Self {
            kind: told.magic as i64,
            bsize: PAGE_SIZE as i64,
            blocks: told.pages_max,
            bfree: told.pages_free,
            bavail: told.pages_free,
            files: told.inodes_max,
            ffree: told.inodes_free,
            fsid: [told.device as i32, (told.device >> 32) as i32],
            namelen: NAME_MAX as i64,
            frsize: PAGE_SIZE as i64,
            flags: (ST_VALID | set | relative).into(),
            _spare: [0; 4],
        }
    }
}

// statfs(2) f_flags (linux/statfs.h), which linux-raw-sys does not have.
const ST_RDONLY: u32 = 0x1;
const ST_NOSUID: u32 = 0x2;
const ST_NODEV: u32 = 0x4;
const ST_SYNCHRONOUS: u32 = 0x10;
const ST_MANDLOCK: u32 = 0x40;
const ST_NOSYMFOLLOW: u32 = 0x2000;
const ST_NOEXEC: u32 = 0x8;
const ST_VALID: u32 = 0x20;
const ST_NOATIME: u32 = 0x400;
const ST_NODIRATIME: u32 = 0x800;
const ST_RELATIME: u32 = 0x1000;

/// Appends a `struct linux_dirent64`; false if `room` bytes do not hold it.
pub fn push_dirent64(to: &mut Vec<u8>, room: usize, inode: u64, next_offset: u64, file_type: u8, name: &[u8]) -> bool {
    const HEADER_BYTES: usize = 19;
    let length = (HEADER_BYTES + name.len() + 1).next_multiple_of(8);
    if room - to.len() < length {
        return false;
    }
    let start = to.len();
    to.extend_from_slice(&inode.to_ne_bytes());
    to.extend_from_slice(&next_offset.to_ne_bytes());
    to.extend_from_slice(&(length as u16).to_ne_bytes());
    to.push(file_type);
    to.extend_from_slice(name);
    to.resize(start + length, 0);
    true
}

/// Appends a `struct linux_dirent` (getdents(2)); false if `room` bytes do not hold it. The type is its last byte.
pub fn push_dirent(to: &mut Vec<u8>, room: usize, inode: u64, next_offset: u64, file_type: u8, name: &[u8]) -> bool {
    const HEADER_BYTES: usize = 18;
    let length = (HEADER_BYTES + name.len() + 2).next_multiple_of(8);
    if room - to.len() < length {
        return false;
    }
    let start = to.len();
    to.extend_from_slice(&inode.to_ne_bytes());
    to.extend_from_slice(&next_offset.to_ne_bytes());
    to.extend_from_slice(&(length as u16).to_ne_bytes());
    to.extend_from_slice(name);
    to.resize(start + length - 1, 0);
    to.push(file_type);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    macro_rules! same {
        ($ours:ty = $theirs:ty: $($our:ident = $their:ident),*) => {
            assert_eq!(size_of::<$ours>(), size_of::<$theirs>());
            $(assert_eq!(offset_of!($ours, $our), offset_of!($theirs, $their), stringify!($our));)*
        };
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_layout_of_stat_is_linux_s() {
        same!(StatX86_64 = general::stat: dev = st_dev, ino = st_ino, nlink = st_nlink, mode = st_mode, uid = st_uid,
            gid = st_gid, rdev = st_rdev, size = st_size, blksize = st_blksize, blocks = st_blocks,
            accessed = st_atime, modified = st_mtime, changed = st_ctime);
    }

    #[test]
    fn the_layout_of_the_generic_stat_is_that_of_the_header() {
        // asm-generic/stat.h with 64-bit longs.
        assert_eq!(size_of::<StatGeneric>(), 128);
        assert_eq!(offset_of!(StatGeneric, rdev), 32);
        assert_eq!(offset_of!(StatGeneric, size), 48);
        assert_eq!(offset_of!(StatGeneric, blksize), 56);
        assert_eq!(offset_of!(StatGeneric, blocks), 64);
        assert_eq!(offset_of!(StatGeneric, changed), 104);
    }

    #[test]
    fn the_layouts_that_all_architectures_share_are_linux_s() {
        same!(Statx = general::statx: mask = stx_mask, attributes = stx_attributes, nlink = stx_nlink, mode = stx_mode,
            ino = stx_ino, blocks = stx_blocks, attributes_mask = stx_attributes_mask, accessed = stx_atime,
            born = stx_btime, changed = stx_ctime, modified = stx_mtime, rdev_major = stx_rdev_major,
            dev_major = stx_dev_major, mnt_id = stx_mnt_id);
        same!(StatFs = general::statfs64: kind = f_type, blocks = f_blocks, files = f_files, fsid = f_fsid,
            namelen = f_namelen, frsize = f_frsize, flags = f_flags);
        same!(PollFd = general::pollfd: fd = fd, events = events, revents = revents);
        same!(IoVec = general::iovec: base = iov_base, length = iov_len);
    }

    #[test]
    fn a_directory_entry_that_does_not_fit_is_left_out() {
        let mut bytes = Vec::new();
        assert!(push_dirent64(&mut bytes, 24, 1, 1, 4, b"...."));
        assert!(!push_dirent64(&mut bytes, 47, 2, 2, 4, b"x"));
        assert_eq!(bytes.len(), 24);
        assert_eq!(&bytes[18..24], &[4, b'.', b'.', b'.', b'.', 0]);
    }
}
