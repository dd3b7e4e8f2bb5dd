//! mount_setattr(2).

use super::place::{at, check_flags, path};
use crate::{
    fs::{AttributeChange, MountFlags, Reflag, Sharing},
    task::Thread,
};
use alloc::vec;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY, MOUNT_ATTR_RELATIME, MOUNT_ATTR_STRICTATIME, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE,
};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// mount_setattr(2). Mapping ids (MOUNT_ATTR_IDMAP) is EINVAL, as for a file system that has none of it.
pub fn mount_setattr(
    thread: &Thread,
    fd: i32,
    target: UserAddr,
    flags: u32,
    attributes: UserAddr,
    size: usize,
) -> Result<usize, Errno> {
    check_flags(flags, AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)?;
    let change = read_attributes(thread, attributes, size)?.change(flags & AT_RECURSIVE != 0)?;
    let path = path(thread, target)?;
    if path.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    at(thread, fd, &path, |caller, base| {
        let target = caller.resolve_or_base(base, &path, flags & AT_SYMLINK_NOFOLLOW == 0)?;
        caller.set_mount_attributes(&target, change)
    })?;
    Ok(0)
}

/// Reads the attributes: a structure that may grow, in which what is not known yet must be 0 (E2BIG).
fn read_attributes(thread: &Thread, from: UserAddr, size: usize) -> Result<MountAttributes, Errno> {
    const KNOWN: usize = size_of::<MountAttributes>();
    if size < KNOWN {
        return Err(Errno::EINVAL);
    }
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mut rest = vec![0; size - KNOWN];
    thread.space().read_bytes(from.checked_add(KNOWN).ok_or(Errno::EFAULT)?, &mut rest)?;
    if rest.iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    thread.space().read(from)
}

/// `struct mount_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

impl MountAttributes {
    /// What it asks for: EINVAL for what is unknown or contradicts itself.
    fn change(self, recursive: bool) -> Result<AttributeChange, Errno> {
        let sharing = match u32::try_from(self.propagation).map_err(|_| Errno::EINVAL)? {
            0 => None,
            MS_SHARED => Some(Sharing::Shared),
            MS_SLAVE => Some(Sharing::Slave),
            MS_PRIVATE => Some(Sharing::Private),
            MS_UNBINDABLE => Some(Sharing::Unbindable),
            _ => return Err(Errno::EINVAL),
        };
        let times = u64::from(MOUNT_ATTR__ATIME);
        // A time is one value, not flags: to set one, all of it is cleared.
        let (set_time, clear_time) = (self.set & times, self.clear & times);
        if clear_time != 0 && clear_time != times || set_time != 0 && clear_time == 0 {
            return Err(Errno::EINVAL);
        }
        let time = match set_time as u32 {
            MOUNT_ATTR_RELATIME => MountFlags::empty(),
            MOUNT_ATTR_NOATIME => MountFlags::NOATIME,
            MOUNT_ATTR_STRICTATIME => MountFlags::STRICTATIME,
            _ => return Err(Errno::EINVAL),
        };
        let cleared_times = if clear_time == 0 { MountFlags::empty() } else { MountFlags::TIMES };
        let flags = Reflag {
            clear: mount_flags(self.clear & !times)? | cleared_times,
            set: mount_flags(self.set & !times)? | time,
        };
        Ok(AttributeChange { flags, sharing, recursive })
    }
}

/// Flags of mount_setattr(2), but for access times.
fn mount_flags(bits: u64) -> Result<MountFlags, Errno> {
    let known = [
        (MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
        (MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
        (MOUNT_ATTR_NOSYMFOLLOW, MountFlags::NOSYMFOLLOW),
    ];
    let mut rest = bits;
    let mut flags = MountFlags::empty();
    for (bit, flag) in known {
        if bits & u64::from(bit) != 0 {
            rest &= !u64::from(bit);
            flags |= flag;
        }
    }
    if rest == 0 { Ok(flags) } else { Err(Errno::EINVAL) }
}
