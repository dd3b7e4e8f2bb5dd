//! tmpfs: files in memory, charged page by page to who writes them.
//!
//! The dentry tree is the directory: nothing is stored elsewhere. The machine's root is a tmpfs too, whose regular
//! files begin as slices of the initial RAM disk.

mod data;

pub(super) use data::{Archived, Data};

use super::{
    Dentry, Inode, Mount, MountFlags, Superblock,
    dentry::Entries,
    inode::{Attributes, Content},
    mount::TmpfsOptions,
};
use crate::{cgroup::MemoryGroup, namespace::UserNamespace};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::sync::RwLock;

/// TMPFS_MAGIC of statfs(2).
const MAGIC: u64 = 0x0102_1994;

/// A new tmpfs of `owner`, mounted nowhere yet.
pub(super) fn mount(
    options: &TmpfsOptions,
    flags: MountFlags,
    owner: &Arc<UserNamespace>,
    memory: &MemoryGroup,
) -> Result<Arc<Mount>, Errno> {
    Ok(Mount::of_tree(tree("tmpfs", MAGIC, options, owner, memory)?, flags))
}

/// The root of a new file system in memory, whatever it is called.
pub(super) fn tree(
    kind: &'static str,
    magic: u64,
    options: &TmpfsOptions,
    owner: &Arc<UserNamespace>,
    memory: &MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let superblock = Arc::new(Superblock::new(kind, magic, options.pages_max, options.inodes_max).owned_by(owner));
    let mut attributes =
        Attributes::new(options.mode.unwrap_or(0o1777), options.uid.unwrap_or(0), options.gid.unwrap_or(0));
    attributes.links = 2;
    let content = Content::Directory(RwLock::new(Entries::new()));
    Ok(Dentry::root(Inode::new(&superblock, attributes, content, memory)?))
}
