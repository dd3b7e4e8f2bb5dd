//! mount_setattr(2), and MS_REMOUNT: the flags of mounts that are there.

use super::{Mount, MountFlags, Reflag, Sharing, SuperFlags, TmpfsOptions, topology::Topology};
use crate::{
    fs::{Caller, Location, tmpfs},
    security::Capabilities,
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::slice;
use veridian_containers::abi::Errno;

/// What mount_setattr(2) asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeChange {
    /// Of the flags.
    pub flags: Reflag,
    /// Of how mounts travel.
    pub sharing: Option<Sharing>,
    /// Of all that is mounted beneath, too.
    pub recursive: bool,
}

impl Caller<'_> {
    /// mount_setattr(2) of the mount whose root `target` is: on all mounts or on none.
    pub fn set_mount_attributes(&self, target: &Location, change: AttributeChange) -> Result<(), Errno> {
        self.permit_mount()?;
        let _topology = Topology::lock();
        let mount = self.own_mount(target)?;
        let mounts = if change.recursive { mount.subtree() } else { vec![mount] };
        set_flags(&mounts, change.flags)?;
        if let Some(sharing) = change.sharing {
            mounts.iter().for_each(|mount| mount.share(sharing));
        }
        Ok(())
    }

    /// mount(2) with MS_REMOUNT: sets the flags of the mount whose root `target` is, and, unless they are `None`, those
    /// of its file system and the options that are given for it as text.
    pub fn remount(
        &self,
        target: &Location,
        flags: Reflag,
        superblock: Option<SuperFlags>,
        data: &[u8],
    ) -> Result<(), Errno> {
        self.permit_mount()?;
        let _topology = Topology::lock();
        let mount = self.own_mount(target)?;
        let Some(new) = superblock else { return set_flags(&[mount], flags) };
        let superblock = mount.superblock();
        if !self.credentials.capable_in(superblock.owner(), Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        let options = match superblock.kind() {
            "tmpfs" => Some(TmpfsOptions::parse(data)?),
            _ if data.is_empty() => None,
            _ => return Err(Errno::EINVAL),
        };
        let old = superblock.flags();
        superblock.set_flags(new)?;
        let limited = options.map_or(Ok(()), |options| tmpfs::remount(superblock, &options));
        limited.and_then(|()| set_flags(slice::from_ref(&mount), flags)).inspect_err(|_| {
            // Only turning read-only is refused, and the old flags did not.
            let _ = superblock.set_flags(old);
        })
    }

    /// mount(2) with MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE.
    pub fn share(&self, target: &Location, sharing: Sharing, recursive: bool) -> Result<(), Errno> {
        let change = AttributeChange { sharing: Some(sharing), recursive, ..AttributeChange::default() };
        self.set_mount_attributes(target, change)
    }

    /// The topmost mount at `target`, which must be its root, if it is in the caller's namespace; else EINVAL.
    pub(super) fn own_mount(&self, target: &Location) -> Result<Arc<Mount>, Errno> {
        let target = target.clone().into_mounted();
        let is_own = target.is_mount_root() && self.context.namespace.has(&target.mount);
        if is_own { Ok(target.mount) } else { Err(Errno::EINVAL) }
    }
}

/// Sets the flags of all `mounts`, or of none: EBUSY where someone writes what would be read-only, EPERM where one is
/// locked.
pub(super) fn set_flags(mounts: &[Arc<Mount>], change: Reflag) -> Result<(), Errno> {
    let old: Vec<MountFlags> = mounts.iter().map(|mount| mount.flags()).collect();
    mounts.iter().zip(&old).try_for_each(|(mount, old)| mount.permit_flags(change.apply(*old)))?;
    for (index, mount) in mounts.iter().enumerate() {
        if let Err(errno) = mount.set_flags(change.apply(old[index])) {
            for (mount, old) in mounts[..index].iter().zip(old) {
                // Only turning read-only is refused, and the change that failed made nothing writable.
                let _ = mount.set_flags(old);
            }
            return Err(errno);
        }
    }
    Ok(())
}
