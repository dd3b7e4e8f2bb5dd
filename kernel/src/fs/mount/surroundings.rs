//! What surrounds a container's root while it is built, for programs that are to see both (the createContainer hooks):
//! a copy of the creator's tree, in the container's namespace, with the container's root where it lies in that tree.
//! When the container is complete it is cut off.

use super::{
    ContainerMounts, Mountpoint,
    copy::Copying,
    namespace::MOUNTS_MAX,
    propagation::Kinship,
    topology::{Topology, graft},
};
use crate::fs::{Caller, Context, Location};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

impl ContainerMounts {
    /// The creator's view from within the container's namespace: his root and working directory in a copy of his mounts,
    /// and the container's root on `place`. The copy is private: what is mounted there is seen nowhere else, and goes
    /// with [`Self::cut_off`]; what is mounted beneath the container's root stays.
    pub fn surrounded(&mut self, creator: &Caller<'_>, place: &Location) -> Result<Context, Errno> {
        if let Some(context) = &self.surroundings {
            return Ok(context.clone());
        }
        let namespace = self.context.namespace.clone();
        let (mut root, mut cwd) = (creator.context.root.clone(), creator.context.cwd.clone());
        let mut at = place.clone();
        let copying = Copying { recursive: true, kinship: Kinship::Private, unbindable: true, memory: creator.memory };
        let topology = Topology::lock();
        let outermost = creator.context.namespace.root();
        let copy = copying.copy(&outermost.mount, &outermost.dentry, &mut |from, to| {
            for place in [&mut root, &mut cwd, &mut at] {
                if Arc::ptr_eq(&place.mount, from) {
                    place.mount = to.clone();
                }
            }
        })?;
        let copies = copy.subtree();
        if namespace.mounts() + copies.len() > MOUNTS_MAX {
            return Err(Errno::ENOSPC);
        }
        if !copies.iter().any(|mount| Arc::ptr_eq(mount, &at.mount)) {
            return Err(Errno::EINVAL);
        }
        let mountpoint = Mountpoint::new(&at.dentry)?;
        for mount in &copies {
            *mount.namespace.lock() = Arc::downgrade(&namespace);
        }
        namespace.add_mounts(copies.len());
        namespace.set_root(&topology, copy);
        graft(&at.mount, self.context.root.mount.clone(), mountpoint);
        drop(topology);
        let context = Context { root, cwd, umask: creator.context.umask, namespace };
        self.surroundings = Some(context.clone());
        Ok(context)
    }

    /// Makes the container's root the root of its namespace again, and nothing beside it is left in that.
    pub fn cut_off(&mut self) {
        let Some(surroundings) = self.surroundings.take() else { return };
        let namespace = &self.context.namespace;
        let own = self.context.root.mount.clone();
        let topology = Topology::lock();
        let around = namespace.root().mount;
        let place = topology.lift(&own);
        namespace.set_root(&topology, own);
        let gone = topology.detach(&around);
        drop(topology);
        drop((surroundings, place, gone));
    }
}
