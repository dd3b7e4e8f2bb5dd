//! How long an open file is, where it has memory, and what is sealed of it.

use super::File;
use crate::{
    cgroup::MemoryGroup,
    fs::{Access, inode::Content, inotify::Events, tmpfs::Seals},
};
use core::ops::Range;
use veridian_containers::abi::Errno;

/// What fallocate(2) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Lengthens the file, if it is shorter.
    Lengthen,
    /// FALLOC_FL_KEEP_SIZE.
    KeepLength,
    /// FALLOC_FL_PUNCH_HOLE.
    Punch,
}

impl File {
    /// ftruncate(2). EFBIG to lengthen it beyond `most` bytes (RLIMIT_FSIZE).
    pub fn truncate(&self, length: u64, most: u64) -> Result<(), Errno> {
        if !self.access.contains(Access::WRITE) {
            return Err(if self.is_path_only() { Errno::EBADF } else { Errno::EINVAL });
        }
        let Content::Regular(data) = &self.inode.content else { return Err(Errno::EINVAL) };
        permit_length(data.length_bytes(), length, most)?;
        data.set_length(length, self.inode.superblock())?;
        self.inode.written(self.keeps_set_ids);
        self.notify(Events::MODIFY);
        Ok(())
    }

    /// fallocate(2): gives the bytes of `range` memory, or with `punches` takes it back. EBADF, ESPIPE, EISDIR and ENODEV
    /// for what is not open for writing or no regular file; EFBIG to lengthen it beyond `most` bytes (RLIMIT_FSIZE).
    pub fn allocate(
        &self,
        range: Range<u64>,
        manner: Allocation,
        memory: &MemoryGroup,
        most: u64,
    ) -> Result<(), Errno> {
        let data = match self.writable()? {
            Content::Regular(data) => data,
            Content::Fifo(_) => return Err(Errno::ESPIPE),
            _ if self.inode.is_directory() => return Err(Errno::EISDIR),
            _ => return Err(Errno::ENODEV),
        };
        if i64::try_from(range.end).is_err() {
            return Err(Errno::EFBIG);
        }
        let superblock = self.inode.superblock();
        match manner {
            Allocation::Punch => data.punch(range, superblock, memory)?,
            Allocation::KeepLength => data.allocate(range, true, superblock, memory)?,
            Allocation::Lengthen => {
                permit_length(data.length_bytes(), range.end, most)?;
                data.allocate(range, false, superblock, memory)?;
            }
        }
        self.inode.written(self.keeps_set_ids);
        self.notify(Events::MODIFY);
        Ok(())
    }

    /// What is forbidden of it for good; EINVAL for what is no file in memory.
    pub fn seals(&self) -> Result<Seals, Errno> {
        if let Content::Regular(data) = &self.inode.content { Ok(data.seals()) } else { Err(Errno::EINVAL) }
    }

    /// Forbids more for good: EPERM where it is not open for writing, or no seals may be set.
    pub fn add_seals(&self, seals: Seals) -> Result<(), Errno> {
        let Content::Regular(data) = &self.inode.content else { return Err(Errno::EINVAL) };
        if !self.access.contains(Access::WRITE) {
            return Err(Errno::EPERM);
        }
        data.add_seals(seals)
    }
}

/// EFBIG when a file would become longer than `most` bytes.
pub(in crate::fs) fn permit_length(before: u64, after: u64, most: u64) -> Result<(), Errno> {
    if after > before && after > most { Err(Errno::EFBIG) } else { Ok(()) }
}
