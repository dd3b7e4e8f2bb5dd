//! pivot_root(2).

use crate::fs::{Caller, Context, Location};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

use super::{
    Mountpoint,
    topology::{Topology, graft},
};

impl Caller<'_> {
    /// pivot_root(2): the mount whose root `new_root` is becomes the root mount, and the old root mount moves to
    /// `put_old`. Gives the caller's context after it; other processes of the namespace follow with
    /// [`Context::follow_pivot`]. Errors are those of the manual page, with one rule less: where the process's root is
    /// the namespace's own root, the new root takes that place.
    pub fn pivot_root(&self, new_root: Location, put_old: Location) -> Result<Context, Errno> {
        self.permit_mount()?;
        let namespace = &self.context.namespace;
        let root = &self.context.root;
        if !new_root.inode().is_directory() || !put_old.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let topology = Topology::lock();
        let put_old = put_old.into_mounted();
        if ![root, &new_root, &put_old].iter().all(|place| namespace.has(&place.mount)) {
            return Err(Errno::EINVAL);
        }
        if !new_root.dentry.is_linked() || !put_old.dentry.is_linked() {
            return Err(Errno::ENOENT);
        }
        if Arc::ptr_eq(&new_root.mount, &root.mount) || Arc::ptr_eq(&put_old.mount, &root.mount) {
            return Err(Errno::EBUSY);
        }
        if !root.is_mount_root() || !new_root.is_mount_root() || new_root.mount.is_locked() {
            return Err(Errno::EINVAL);
        }
        if !put_old.is_beneath(&new_root) || !new_root.is_beneath(root) {
            return Err(Errno::EINVAL);
        }
        let (above, above_new) = (root.mount.place(), new_root.mount.place());
        // What the move would have to be told to the peers of is not moved.
        let parents = [above.as_ref(), above_new.as_ref(), Some(&put_old)];
        if parents.into_iter().flatten().any(|place| place.mount.is_shared()) {
            return Err(Errno::EINVAL);
        }
        let old_mountpoint = Mountpoint::new(&put_old.dentry)?;
        let root_mountpoint = above.as_ref().map(|above| Mountpoint::new(&above.dentry)).transpose()?;
        // What the old root was locked to, the new one is.
        new_root.mount.set_locked(root.mount.is_locked());
        root.mount.set_locked(false);
        let places = (topology.lift(&new_root.mount), topology.lift(&root.mount));
        graft(&put_old.mount, root.mount.clone(), old_mountpoint);
        match (above, root_mountpoint) {
            (Some(above), Some(mountpoint)) => graft(&above.mount, new_root.mount.clone(), mountpoint),
            _ => namespace.set_root(&topology, new_root.mount.clone()),
        }
        drop(topology);
        drop(places);
        let mut context = self.context.clone();
        context.follow_pivot(root, &new_root);
        Ok(context)
    }
}

impl Context {
    /// Moves root and working directory along with a root that was pivoted, if they were just that root.
    pub fn follow_pivot(&mut self, old_root: &Location, new_root: &Location) {
        for place in [&mut self.root, &mut self.cwd] {
            if place == old_root {
                *place = new_root.clone();
            }
        }
    }
}
