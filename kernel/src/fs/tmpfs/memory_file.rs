//! Files in memory that have no name in any directory (memfd_create(2)).

use super::{Data, MAGIC, Seals};
use crate::{
    cgroup::MemoryGroup,
    fs::{
        Access, Caller, File, Inode, OpenFlags, Superblock,
        inode::{Attributes, Content},
    },
};
use alloc::{boxed::Box, sync::Arc};
use veridian_containers::abi::Errno;
use veridian_hal::sync::Once;

/// The file system of such files, which is mounted nowhere.
fn superblock() -> &'static Arc<Superblock> {
    static SUPERBLOCK: Once<Arc<Superblock>> = Once::new();
    SUPERBLOCK.call_once(|| Arc::new(Superblock::new("tmpfs", MAGIC, None, None)))
}

impl File {
    /// memfd_create(2): an empty file, shown as `/memfd:NAME`; `seals` are those that it has from the beginning.
    pub fn in_memory(
        name: &[u8],
        mode: u16,
        seals: Seals,
        caller: &Caller<'_>,
        memory: &MemoryGroup,
    ) -> Result<Arc<Self>, Errno> {
        let data = Data::nameless(name);
        if !seals.contains(Seals::SEAL) {
            data.allow_seals();
            data.add_seals(seals)?;
        }
        let attributes = Attributes::new(mode, caller.credentials.fsuid, caller.credentials.fsgid);
        let inode = Inode::new(superblock(), attributes, Content::Regular(Box::new(data)), memory)?;
        Ok(Self::of_inode(inode, Access::READ | Access::WRITE, OpenFlags::RDWR))
    }
}
