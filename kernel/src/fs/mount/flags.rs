//! Flags of mounts and of file systems, and how the flags of mount(2) say what is asked for.

use super::Sharing;
use bitflags::bitflags;
use veridian_containers::abi::Errno;

bitflags! {
    /// What a mount forbids, and how it keeps access times. Bits are those of mount(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// No change of any kind: EROFS.
        const RDONLY = 1;
        /// Set-user-id and set-group-id bits mean nothing.
        const NOSUID = 2;
        /// Devices are not opened: EACCES.
        const NODEV = 4;
        /// Nothing is executed: EACCES.
        const NOEXEC = 8;
        /// Symbolic links are not followed: ELOOP.
        const NOSYMFOLLOW = 1 << 8;
        /// Access times are left alone.
        const NOATIME = 1 << 10;
        /// Access times of directories are left alone.
        const NODIRATIME = 1 << 11;
        /// Access times are always kept; else only when they are older than the last change or than a day.
        const STRICTATIME = 1 << 24;
    }

    /// Flags of a whole file system, whatever mount it is reached through. Bits are those of mount(2).
    ///
    /// Only the first forbids anything. Files are in memory, so every write is as safe when it returns as it will ever
    /// be, and there is no storage that times could reach late; mandatory locks went from Linux in 5.15. What is left
    /// of the others is what Linux shows of them: in mountinfo, and `SYNCHRONOUS` and `MANDLOCK` in statfs(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SuperFlags: u32 {
        /// No change of any kind: EROFS.
        const RDONLY = 1;
        /// `sync`.
        const SYNCHRONOUS = 1 << 4;
        /// `mand`.
        const MANDLOCK = 1 << 6;
        /// `dirsync`.
        const DIRSYNC = 1 << 7;
        /// `iversion`: a counter of changes for network file systems to read; nothing in user mode sees it.
        const I_VERSION = 1 << 23;
        /// `lazytime`.
        const LAZYTIME = 1 << 25;
    }

    /// All flags of mount(2) that this kernel knows. Any other is refused.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct CallFlags: u64 {
        const ATTRIBUTES = MountFlags::all().bits() as u64;
        const SUPERBLOCK = SuperFlags::all().bits() as u64;
        const REMOUNT = 1 << 5;
        const BIND = 1 << 12;
        const MOVE = 1 << 13;
        const REC = 1 << 14;
        /// Says nothing in the log, which no mount does.
        const SILENT = 1 << 15;
        const UNBINDABLE = 1 << 17;
        const PRIVATE = 1 << 18;
        const SLAVE = 1 << 19;
        const SHARED = 1 << 20;
        const RELATIME = 1 << 21;
    }

    /// Flags of umount2(2) that are enforced.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct UmountFlags: u32 {
        /// End what the server of a network file system keeps waiting: there is none, so it changes nothing.
        const FORCE = 1;
        /// Detach now, free when nobody uses it any more.
        const DETACH = 2;
        /// Do not follow a symbolic link as the last component.
        const NOFOLLOW = 8;
    }
}

impl MountFlags {
    /// The ways of keeping access times, of which a mount has one.
    pub const TIMES: Self = Self::NOATIME.union(Self::STRICTATIME);
    /// All that is said of access times.
    pub(super) const ALL_TIMES: Self = Self::TIMES.union(Self::NODIRATIME);

    /// At most one way of keeping access times, as mount(2) chooses.
    fn normal(self) -> Self {
        if self.contains(Self::STRICTATIME) { self - Self::NOATIME } else { self }
    }

    /// These flags with `added`, of which a way of keeping access times replaces the old one.
    pub fn with(self, added: Self) -> Self {
        if added.intersects(Self::TIMES) { (self - Self::TIMES) | added } else { self | added }
    }
}

/// What a call of mount(2) asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountCall {
    /// Mount a new file system.
    New {
        /// Of the mount.
        flags: MountFlags,
        /// Of the file system.
        superblock: SuperFlags,
    },
    /// Show a part of the tree at a second place, with these flags added to those it has.
    Bind {
        /// With what is mounted beneath it.
        recursive: bool,
        /// Added flags.
        flags: MountFlags,
    },
    /// Set the flags of a mount, and those of its file system if they are given.
    Remount {
        /// Of the mount.
        flags: Reflag,
        /// Of the file system (without MS_BIND).
        superblock: Option<SuperFlags>,
    },
    /// Move a mount.
    Move,
    /// Say how mounts and unmounts travel from and to a mount.
    Share {
        /// How.
        sharing: Sharing,
        /// Also of all that is mounted beneath.
        recursive: bool,
    },
}

/// A change of a mount's flags: first those of `clear` go, then those of `set` come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reflag {
    /// What goes.
    pub clear: MountFlags,
    /// What comes.
    pub set: MountFlags,
}

impl Reflag {
    /// Flags of mount(2) to set and to clear. A way of keeping access times (MS_RELATIME among them) replaces the old
    /// one; flags of the file system are not looked at.
    pub fn of_bits(set: u32, clear: u32) -> Self {
        let names_time = set & (CallFlags::RELATIME.bits() as u32 | MountFlags::TIMES.bits()) != 0;
        let times = if names_time { MountFlags::TIMES } else { MountFlags::empty() };
        let set = MountFlags::from_bits_truncate(set).normal();
        Self { clear: MountFlags::from_bits_truncate(clear) | times, set }
    }

    /// The flags after it.
    pub fn apply(self, old: MountFlags) -> MountFlags {
        old.difference(self.clear).union(self.set)
    }
}

impl MountCall {
    /// Reads the flags of mount(2): EINVAL for one that is unknown, not enforced, or senseless beside another.
    pub fn from_flags(mut bits: u64) -> Result<Self, Errno> {
        const MAGIC: u64 = 0xc0ed_0000;
        if bits & 0xffff_0000 == MAGIC {
            bits &= !MAGIC;
        }
        let given = CallFlags::from_bits(bits).ok_or(Errno::EINVAL)? - CallFlags::SILENT;
        let flags = MountFlags::from_bits_truncate(given.bits() as u32).normal();
        let superblock = SuperFlags::from_bits_truncate(given.bits() as u32);
        let operation = given - CallFlags::ATTRIBUTES - CallFlags::SUPERBLOCK - CallFlags::RELATIME;
        let recursive = operation.contains(CallFlags::REC);
        if operation.contains(CallFlags::REMOUNT) && (operation - CallFlags::BIND) == CallFlags::REMOUNT {
            // Nothing said of access times leaves them as they are.
            let says_times = flags.intersects(MountFlags::ALL_TIMES) || given.contains(CallFlags::RELATIME);
            let kept = if says_times { MountFlags::empty() } else { MountFlags::ALL_TIMES };
            let flags = Reflag { clear: MountFlags::all() - kept, set: flags };
            let superblock = (!operation.contains(CallFlags::BIND)).then_some(superblock);
            return Ok(Self::Remount { flags, superblock });
        }
        match operation - CallFlags::REC {
            none if none.is_empty() && !recursive => Ok(Self::New { flags, superblock }),
            CallFlags::BIND => Ok(Self::Bind { recursive, flags }),
            CallFlags::MOVE if given == CallFlags::MOVE => Ok(Self::Move),
            kind if given - CallFlags::REC == kind => {
                let sharing = match kind {
                    CallFlags::SHARED => Sharing::Shared,
                    CallFlags::SLAVE => Sharing::Slave,
                    CallFlags::PRIVATE => Sharing::Private,
                    CallFlags::UNBINDABLE => Sharing::Unbindable,
                    _ => return Err(Errno::EINVAL),
                };
                Ok(Self::Share { sharing, recursive })
            }
            _ => Err(Errno::EINVAL),
        }
    }
}
