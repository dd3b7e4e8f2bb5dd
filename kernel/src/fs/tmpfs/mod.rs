//! tmpfs: files in memory, charged page by page to who writes them.
//!
//! The dentry tree is the directory: nothing is stored elsewhere. The machine's root is a tmpfs too, whose regular
//! files begin as slices of the initial RAM disk.

mod data;
mod mapped;
mod memory_file;
mod seals;
mod space;

pub(super) use data::{Archived, Data};
pub use seals::Seals;

use super::{
    Dentry, Inode, Superblock,
    dentry::Entries,
    inode::{Attributes, Content},
    mount::TmpfsOptions,
};
use crate::{cgroup::MemoryGroup, namespace::UserNamespace};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::{mem, sync::RwLock};

/// TMPFS_MAGIC of statfs(2).
const MAGIC: u64 = 0x0102_1994;

/// The root of a new tmpfs of `owner`. Its data is limited to half of the machine's memory
/// unless its options say otherwise.
pub(super) fn tree(
    options: &TmpfsOptions,
    owner: &Arc<UserNamespace>,
    memory: &MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let pages_max = options.pages_max.or(Some(mem::statistics().total / 2));
    let root = tree_of("tmpfs", MAGIC, &TmpfsOptions { pages_max, ..*options }, owner, memory)?;
    // A limit that nobody asked for is not told, as on Linux.
    root.inode().superblock().set_options(options.text());
    Ok(root)
}

/// The root of a new file system in memory, whatever it is called.
pub(super) fn tree_of(
    kind: &'static str,
    magic: u64,
    options: &TmpfsOptions,
    owner: &Arc<UserNamespace>,
    memory: &MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let limit = |max: Option<usize>| max.filter(|&max| max > 0);
    let superblock = Superblock::new(kind, magic, limit(options.pages_max), limit(options.inodes_max)).owned_by(owner);
    superblock.set_options(options.text());
    let mut attributes =
        Attributes::new(options.mode.unwrap_or(TmpfsOptions::MODE), options.uid.unwrap_or(0), options.gid.unwrap_or(0));
    attributes.links = 2;
    let content = Content::Directory(RwLock::new(Entries::new()));
    Ok(Dentry::root(Inode::new(&Arc::new(superblock), attributes, content, memory)?))
}

/// MS_REMOUNT of a tmpfs: its limits, where `options` say them. The rest is for a new one alone, as on Linux.
pub(super) fn remount(superblock: &Superblock, options: &TmpfsOptions) -> Result<(), Errno> {
    superblock.set_limits(options.pages_max, options.inodes_max)?;
    let old = TmpfsOptions::parse(superblock.options().as_bytes())?;
    let new = TmpfsOptions {
        pages_max: options.pages_max.or(old.pages_max),
        inodes_max: options.inodes_max.or(old.inodes_max),
        ..old
    };
    superblock.set_options(new.text());
    Ok(())
}
