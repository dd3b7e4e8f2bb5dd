//! mount(2) and umount2(2). Every mount is private: nothing propagates.

use super::{Mount, MountFlags, TmpfsOptions, namespace::copy_tree};
use crate::{
    cgroup::MemoryGroup,
    fs::{Caller, Location, devfs, tmpfs},
    security::{Capabilities, Credentials},
};
use alloc::{sync::Arc, vec::Vec};
use bitflags::bitflags;
use veridian_containers::abi::Errno;

bitflags! {
    /// Flags of mount(2) that are enforced. Any other is refused.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct CallFlags: u64 {
        const RDONLY = 1;
        const NOSUID = 2;
        const NODEV = 4;
        const NOEXEC = 8;
        const REMOUNT = 1 << 5;
        const NOATIME = 1 << 10;
        const NODIRATIME = 1 << 11;
        const BIND = 1 << 12;
        const MOVE = 1 << 13;
        const REC = 1 << 14;
        const SILENT = 1 << 15;
        const PRIVATE = 1 << 18;
        const RELATIME = 1 << 21;
        const STRICTATIME = 1 << 24;
    }

    /// Flags of umount2(2) that are enforced.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct UmountFlags: u32 {
        /// Detach now, free when nobody uses it any more.
        const DETACH = 2;
        /// Do not follow a symbolic link as the last component.
        const NOFOLLOW = 8;
    }
}

/// What a call of mount(2) asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountCall {
    /// Mount a new file system.
    New(MountFlags),
    /// Show a part of the tree at a second place, with these flags added to those it has.
    Bind {
        /// With what is mounted beneath it.
        recursive: bool,
        /// Added flags.
        flags: MountFlags,
    },
    /// Set the flags of a mount.
    Remount(MountFlags),
    /// Move a mount.
    Move,
    /// Make mounts private, which they are.
    Private,
}

impl MountCall {
    /// Reads the flags of mount(2): EINVAL for one that is unknown, not enforced, or senseless beside another.
    pub fn from_flags(mut bits: u64) -> Result<Self, Errno> {
        const MAGIC: u64 = 0xc0ed_0000;
        if bits & 0xffff_0000 == MAGIC {
            bits &= !MAGIC;
        }
        let given = CallFlags::from_bits(bits).ok_or(Errno::EINVAL)? - CallFlags::SILENT;
        let flags = MountFlags::from_bits_truncate(given.bits() as u32);
        let times = given & (CallFlags::RELATIME | CallFlags::STRICTATIME | CallFlags::NOATIME);
        if times.bits().count_ones() > 1 {
            return Err(Errno::EINVAL);
        }
        let kind = given - CallFlags::from_bits_truncate(flags.bits().into()) - CallFlags::RELATIME;
        match kind {
            kind if kind.is_empty() => Ok(Self::New(flags)),
            kind if kind == CallFlags::REMOUNT | CallFlags::BIND => Ok(Self::Remount(flags)),
            CallFlags::BIND => Ok(Self::Bind { recursive: false, flags }),
            kind if kind == CallFlags::BIND | CallFlags::REC => Ok(Self::Bind { recursive: true, flags }),
            CallFlags::MOVE if flags.is_empty() => Ok(Self::Move),
            kind if kind - CallFlags::REC == CallFlags::PRIVATE && flags.is_empty() => Ok(Self::Private),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// A new file system of type `kind`, not mounted anywhere yet. ENODEV for a type that there is not.
pub(super) fn new_file_system(
    kind: &[u8],
    options: &TmpfsOptions,
    flags: MountFlags,
    credentials: &Credentials,
    memory: &MemoryGroup,
) -> Result<Arc<Mount>, Errno> {
    let owner = &credentials.user_namespace;
    let options = &options.for_mounter(credentials)?;
    match kind {
        b"tmpfs" => tmpfs::mount(options, flags, owner, memory),
        // Devices are the machine's.
        _ if !owner.is_first() => Err(Errno::EPERM),
        b"dev" if options.limits_nothing() => devfs::mount(options, flags, memory),
        b"dev" => Err(Errno::EINVAL),
        _ => Err(Errno::ENODEV),
    }
}

impl Caller<'_> {
    /// mount(2) of a new file system at `target`; `data` are its options, as text.
    pub fn mount(&self, target: Location, kind: &[u8], flags: MountFlags, data: &[u8]) -> Result<(), Errno> {
        self.permit_mount()?;
        let options = TmpfsOptions::parse(data)?;
        let mount = new_file_system(kind, &options, flags, self.credentials, self.memory)?;
        let namespace = &self.context.namespace;
        namespace.attach(&mut namespace.lock(), mount, target)
    }

    /// mount(2) with MS_BIND: shows `source` at `target` too.
    pub fn bind(&self, source: &Location, target: Location, recursive: bool, flags: MountFlags) -> Result<(), Errno> {
        self.permit_mount()?;
        let namespace = &self.context.namespace;
        let mut tree = namespace.lock();
        if !namespace.has(&source.mount) {
            return Err(Errno::EINVAL);
        }
        let mount = copy_tree(&source.mount, &source.dentry, recursive, &mut |_, _| {})?;
        mount.set_flags(with(mount.flags(), flags))?;
        namespace.attach(&mut tree, mount, target)
    }

    /// mount(2) with MS_REMOUNT and MS_BIND: sets the flags of the mount whose root `target` is.
    pub fn remount(&self, target: &Location, flags: MountFlags) -> Result<(), Errno> {
        self.permit_mount()?;
        let target = target.clone().into_mounted();
        let _tree = self.context.namespace.lock();
        if !target.is_mount_root() || !self.context.namespace.has(&target.mount) {
            return Err(Errno::EINVAL);
        }
        target.mount.set_flags(flags)
    }

    /// mount(2) with MS_PRIVATE: `target` must be a mount's root.
    pub fn make_private(&self, target: &Location) -> Result<(), Errno> {
        self.permit_mount()?;
        let target = target.clone().into_mounted();
        if target.is_mount_root() && self.context.namespace.has(&target.mount) { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// mount(2) with MS_MOVE: the mount whose root `source` is, to `target`.
    pub fn move_mount(&self, source: &Location, target: Location) -> Result<(), Errno> {
        self.permit_mount()?;
        let namespace = &self.context.namespace;
        let source = source.clone().into_mounted();
        let _tree = namespace.lock();
        let target = target.into_mounted();
        let (mount, old) = (&source.mount, source.mount.place().ok_or(Errno::EINVAL)?);
        if !source.is_mount_root() || !namespace.has(mount) || !namespace.has(&target.mount) {
            return Err(Errno::EINVAL);
        }
        if mount.is_above(&target.mount) {
            return Err(Errno::ELOOP);
        }
        if target.inode().is_directory() != source.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let mountpoint = super::Mountpoint::new(&target.dentry)?;
        namespace.lift(mount);
        super::namespace::graft(&target.mount, mount.clone(), mountpoint);
        drop(old);
        Ok(())
    }

    /// umount2(2) of the topmost mount at `target`.
    pub fn umount(&self, target: Location, flags: UmountFlags) -> Result<(), Errno> {
        self.permit_mount()?;
        let target = target.into_mounted();
        let namespace = &self.context.namespace;
        let mut tree = namespace.lock();
        let place = target.mount.place().ok_or(Errno::EINVAL)?;
        if !target.is_mount_root() || !namespace.has(&target.mount) {
            return Err(Errno::EINVAL);
        }
        if !flags.contains(UmountFlags::DETACH) {
            // While the parent's children are locked, only who holds the mount already can come by another handle.
            let mut siblings = place.mount.children.write();
            /// The parent's and ours.
            const HANDLES: usize = 2;
            if Arc::strong_count(&target.mount) > HANDLES || !target.mount.children.read().is_empty() {
                return Err(Errno::EBUSY);
            }
            siblings.remove(&super::key(&place.dentry));
        }
        let gone: Vec<Arc<Mount>> = namespace.detach(&mut tree, &target.mount);
        drop(tree);
        drop(gone);
        Ok(())
    }

    /// EPERM without CAP_SYS_ADMIN in the user namespace that owns the mount namespace.
    pub(super) fn permit_mount(&self) -> Result<(), Errno> {
        let owner = self.context.namespace.owner();
        if self.credentials.capable_in(owner, Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
    }
}

/// `old` with `added`, of which a way of keeping access times replaces the old one.
pub(super) fn with(old: MountFlags, added: MountFlags) -> MountFlags {
    let times = MountFlags::NOATIME | MountFlags::STRICTATIME;
    if added.intersects(times) { (old - times) | added } else { old | added }
}
