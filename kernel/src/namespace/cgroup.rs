//! The cgroup namespace (cgroup_namespaces(7)): the group that its processes take for the root of the hierarchy. They
//! see, and may change, nothing of what is above or beside it.

use super::UserNamespace;
use crate::{boot, cgroup::Cgroup};
use alloc::{string::String, sync::Arc};

/// A view of the hierarchy from one group down.
#[derive(Debug)]
pub struct CgroupNamespace {
    root: Arc<Cgroup>,
    inode: u64,
    owner: Arc<UserNamespace>,
}

impl CgroupNamespace {
    /// One whose root is `root`; `owner` rules it.
    pub fn new(root: Arc<Cgroup>, owner: &Arc<UserNamespace>) -> Arc<Self> {
        Arc::new(Self { root, inode: super::next_inode(), owner: owner.clone() })
    }

    /// The group that is the root here.
    pub fn root(&self) -> &Arc<Cgroup> {
        &self.root
    }

    /// Whether this is the machine's first one, which sees everything.
    pub fn is_first(&self) -> bool {
        Arc::ptr_eq(&self.root, boot::cgroup())
    }

    /// The path of `group` as it is seen here (`/proc/<pid>/cgroup`): `/..` leads above the root.
    pub fn path_of(&self, group: &Cgroup) -> String {
        self.root.path_of(group)
    }

    /// Its number, as stat(2) of `/proc/<pid>/ns/cgroup` tells it.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The user namespace whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }
}
