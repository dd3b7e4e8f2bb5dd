//! What an open directory tells of its entries.

use super::File;
use crate::fs::{
    Access,
    dentry::FIRST_COOKIE,
    inode::FileType,
    inotify::Events,
    synthetic::{self, Listed, Node, OpenDirectory},
};
use veridian_containers::abi::Errno;

/// An entry, as [`File::read_directory`] tells it.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    /// The inode's number.
    pub inode: u64,
    /// The type of the inode.
    pub file_type: FileType,
    /// Where the next entry is read from.
    pub next_offset: u64,
    /// The name.
    pub name: &'a [u8],
}

impl File {
    /// Tells the entries from the offset on, until `tell` answers false; that entry is told again next time.
    /// Entries made or removed meanwhile neither hide nor repeat others.
    pub fn read_directory(&self, tell: impl FnMut(DirectoryEntry<'_>) -> bool) -> Result<(), Errno> {
        self.list(tell)?;
        self.notify(Events::ACCESS);
        Ok(())
    }

    fn list(&self, mut tell: impl FnMut(DirectoryEntry<'_>) -> bool) -> Result<(), Errno> {
        let location = self.directory()?;
        if !self.access.contains(Access::READ) {
            return Err(Errno::EBADF);
        }
        let inode = location.inode();
        let mut offset = self.offset.lock();
        let above = if location.is_mount_root() { location.mount.place() } else { None };
        let parent = above.map_or_else(|| location.dentry.parent(), |above| above.dentry.parent());
        let parent = parent.as_ref().map_or(inode, |parent| parent.inode());
        for (cookie, (name, inode)) in [(&b"."[..], inode), (b"..", parent)].into_iter().enumerate() {
            let next_offset = cookie as u64 + 1;
            let entry = DirectoryEntry { inode: inode.number(), file_type: FileType::Directory, next_offset, name };
            if *offset < next_offset {
                if !tell(entry) {
                    return Ok(());
                }
                *offset = next_offset;
            }
        }
        if let Some(opened) = self.object::<OpenDirectory>() {
            let from = offset.max(FIRST_COOKIE);
            drop(offset);
            return self.read_synthetic(opened, from, tell);
        }
        if let Some(node) = inode.overlay_node() {
            *offset = node.list((*offset).max(FIRST_COOKIE), tell);
            self.touch_accessed();
            return Ok(());
        }
        let entries = inode.entries()?.read();
        if entries.is_closed() {
            return Err(Errno::ENOENT);
        }
        for (cookie, dentry) in entries.since((*offset).max(FIRST_COOKIE)) {
            let Some(place) = dentry.place() else { continue };
            let inode = dentry.inode();
            let (number, file_type, next_offset) = (inode.number(), inode.file_type(), cookie + 1);
            if !tell(DirectoryEntry { inode: number, file_type, next_offset, name: &place.name }) {
                break;
            }
            *offset = next_offset;
        }
        drop(entries);
        self.touch_accessed();
        Ok(())
    }

    fn read_synthetic(
        &self,
        opened: &OpenDirectory,
        from: u64,
        mut tell: impl FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let Some(Node::Directory(directory)) = self.inode.node() else { return Err(Errno::ENOTDIR) };
        if directory.is_gone() {
            return Err(Errno::ENOENT);
        }
        let mut reached = from;
        directory.list(from - FIRST_COOKIE, &opened.0, &mut |Listed { name, file_type, next }| {
            let inode = synthetic::child_number(self.inode.number(), name);
            let next_offset = next + FIRST_COOKIE;
            let taken = tell(DirectoryEntry { inode, file_type, next_offset, name });
            if taken {
                reached = next_offset;
            }
            taken
        })?;
        *self.offset.lock() = reached;
        Ok(())
    }
}
