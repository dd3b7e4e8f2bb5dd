//! mount(2) and umount2(2): what comes to a place, and what goes.

use super::{Mount, MountFlags, SuperFlags, UmountFlags, copy::Copying, propagation::Kinship, topology::Topology};
use crate::{
    fs::{Caller, Location, types},
    security::Capabilities,
};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

/// A new file system that mount(2) asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewMount<'a> {
    /// The type.
    pub kind: &'a [u8],
    /// Where it is from: for the types that there are, only /proc tells it.
    pub source: &'a [u8],
    /// Options of the type, as text.
    pub data: &'a [u8],
    /// Flags of the mount.
    pub flags: MountFlags,
    /// Flags of the file system.
    pub superblock: SuperFlags,
}

impl Caller<'_> {
    /// mount(2) of a new file system at `target`.
    pub fn mount(&self, target: Location, new: &NewMount<'_>) -> Result<(), Errno> {
        self.permit_mount()?;
        let tree = types::tree(new.kind, new.data, self)?;
        tree.inode().superblock().add_flags(new.superblock)?;
        let mount = Mount::of_tree(tree, new.source, new.flags, self.memory)?;
        self.context.namespace.attach(mount, target, self.memory)
    }

    /// mount(2) with MS_BIND: shows `source` at `target` too.
    pub fn bind(&self, source: &Location, target: Location, recursive: bool, flags: MountFlags) -> Result<(), Errno> {
        self.permit_mount()?;
        let topology = Topology::lock();
        self.permit_place(&target)?;
        if !self.context.namespace.has(&source.mount) || source.mount.is_unbindable() {
            return Err(Errno::EINVAL);
        }
        if !recursive && source.mount.has_locked_beneath(&source.dentry) {
            return Err(Errno::EINVAL);
        }
        let copying = Copying { recursive, kinship: Kinship::Like, unbindable: false, memory: self.memory };
        let mount = copying.copy(&source.mount, &source.dentry, &mut |_, _| {})?;
        let flags = mount.flags().with(flags);
        mount.permit_flags(flags)?;
        mount.set_flags(flags)?;
        topology.attach(mount, target, self.memory)
    }

    /// mount(2) with MS_MOVE: the mount whose root `source` is, to `target`.
    pub fn move_mount(&self, source: &Location, target: Location) -> Result<(), Errno> {
        self.permit_mount()?;
        let topology = Topology::lock();
        let mount = self.own_mount(source)?;
        let old = mount.place().ok_or(Errno::EINVAL)?;
        self.permit_place(&target)?;
        let target = target.into_mounted();
        // A mount that its parent's peers have too cannot be taken from that parent alone.
        if old.mount.is_shared() || mount.is_locked() {
            return Err(Errno::EINVAL);
        }
        if target.mount.is_shared() && mount.subtree().iter().any(|mount| mount.is_unbindable()) {
            return Err(Errno::EINVAL);
        }
        if mount.is_above(&target.mount) {
            return Err(Errno::ELOOP);
        }
        topology.attach(mount, target, self.memory)
    }

    /// umount2(2) of the topmost mount at `target`.
    pub fn umount(&self, target: Location, flags: UmountFlags) -> Result<(), Errno> {
        self.permit_mount()?;
        let target = target.into_mounted();
        let topology = Topology::lock();
        let mount = self.own_mount(&target)?;
        let place = mount.place().filter(|_| !mount.is_locked()).ok_or(Errno::EINVAL)?;
        drop(target);
        if !flags.contains(UmountFlags::DETACH) {
            // While the parent's children are locked, only who holds the mount already can come by another handle.
            let mut siblings = place.mount.children.write();
            /// The parent's and ours.
            const HANDLES: usize = 2;
            if Arc::strong_count(&mount) > HANDLES || !mount.children.read().is_empty() {
                return Err(Errno::EBUSY);
            }
            let key = super::key(&place.dentry);
            siblings.remove(&key);
            drop(siblings);
            if topology.is_busy_elsewhere(&mount) {
                place.mount.children.write().insert(key, mount);
                return Err(Errno::EBUSY);
            }
        }
        let gone = topology.detach(&mount);
        drop(topology);
        drop(gone);
        Ok(())
    }

    /// EPERM without CAP_SYS_ADMIN in the user namespace that owns the mount namespace.
    pub(super) fn permit_mount(&self) -> Result<(), Errno> {
        let owner = self.context.namespace.owner();
        if self.credentials.capable_in(owner, Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// EINVAL unless `target` is in the caller's namespace.
    fn permit_place(&self, target: &Location) -> Result<(), Errno> {
        let target = target.clone().into_mounted();
        if self.context.namespace.has(&target.mount) { Ok(()) } else { Err(Errno::EINVAL) }
    }
}
