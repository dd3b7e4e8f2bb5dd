//! Copies of mounts and of trees of mounts.

use super::{Mount, Mountpoint, namespace::MOUNTS_MAX, propagation::Kinship, topology::graft};
use crate::{cgroup::MemoryGroup, fs::Dentry};
use alloc::{sync::Arc, vec};
use veridian_containers::abi::Errno;

/// How a tree is copied.
pub(super) struct Copying<'a> {
    /// With copies of what is mounted beneath.
    pub recursive: bool,
    /// What the copies are to the originals.
    pub kinship: Kinship,
    /// Whether mounts beneath that are unbindable are copied too.
    pub unbindable: bool,
    /// Who pays.
    pub memory: &'a MemoryGroup,
}

impl Copying<'_> {
    /// A copy of `mount` that shows `root`. `copied` is told of each pair of original and copy. ENOSPC for more mounts
    /// than a namespace may have, EPERM for an unbindable mount that is locked.
    pub fn copy(
        &self,
        mount: &Arc<Mount>,
        root: &Arc<Dentry>,
        copied: &mut dyn FnMut(&Arc<Mount>, &Arc<Mount>),
    ) -> Result<Arc<Mount>, Errno> {
        let top = self.one(mount, root)?;
        copied(mount, &top);
        let mut count = 1;
        let mut pairs = vec![(mount.clone(), top.clone())];
        while let Some((from, to)) = pairs.pop().filter(|_| self.recursive) {
            for child in from.child_mounts() {
                let Some(place) = child.place() else { continue };
                if !to.shows(&place.dentry) {
                    continue;
                }
                if !self.unbindable && child.is_unbindable() {
                    // Left out, it would show what it hides.
                    if child.is_locked() {
                        return Err(Errno::EPERM);
                    }
                    continue;
                }
                count += 1;
                if count > MOUNTS_MAX {
                    return Err(Errno::ENOSPC);
                }
                let copy = self.one(&child, child.root())?;
                copy.set_locked(child.is_locked());
                graft(&to, copy.clone(), Mountpoint::new(&place.dentry)?);
                copied(&child, &copy);
                pairs.push((child, copy));
            }
        }
        Ok(top)
    }

    fn one(&self, mount: &Arc<Mount>, root: &Arc<Dentry>) -> Result<Arc<Mount>, Errno> {
        let copy = mount.bind(root, self.memory)?;
        copy.set_propagation(mount.propagation().of_copy(self.kinship));
        Ok(copy)
    }
}
