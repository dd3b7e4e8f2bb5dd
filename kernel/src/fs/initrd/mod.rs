//! The initial RAM disk: a cpio archive, unpacked into the machine's root tmpfs without copying: a regular file begins
//! as a slice of the archive and takes memory only where it is written.
//!
//! All or nothing: the whole archive is parsed before the first file is made, and on an error the caller drops the
//! namespace it was for.

pub mod cpio;

use super::{
    DeviceNumber, FileType, Location, MountNamespace, Timestamp,
    change::insert_new,
    dentry::{Dentry, Entries},
    inode::{Attributes, Content},
    pipe::Pipe,
    tmpfs::{Archived, Data},
};
use crate::cgroup::MemoryGroup;
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc};
use core::fmt;
use cpio::{Entry, Malformed};
use veridian_containers::abi::Errno;
use veridian_hal::{boot_info::Initrd, sync::RwLock};

/// Why an archive was not unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// The archive is not one.
    Malformed(Malformed),
    /// The entry whose header is at this offset could not be made.
    Entry {
        /// Bytes from the start of the archive.
        offset: usize,
        /// Why.
        errno: Errno,
    },
}

impl UnpackError {
    /// The number for it.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Malformed(_) => Errno::EINVAL,
            Self::Entry { errno, .. } => *errno,
        }
    }
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Entry { offset, errno } => write!(f, "entry at byte {offset}: {errno}"),
        }
    }
}

/// The namespace whose root is the content of `initrd`: the machine's first.
pub fn unpack(initrd: &Initrd, memory: &MemoryGroup) -> Result<Arc<MountNamespace>, UnpackError> {
    unpack_bytes(initrd.bytes(), Some(*initrd), memory)
}

/// The content of the regular file `path` of an archive, in place, before anything is unpacked.
pub fn file<'a>(archive: &'a [u8], path: &[u8]) -> Option<&'a [u8]> {
    let wanted = |entry: &Entry<'_>| components(entry.name).eq(components(path));
    let mut entries = cpio::entries(archive).map_while(Result::ok).filter(wanted);
    entries.find(|entry| entry.file_type() == Ok(FileType::Regular)).map(|entry| entry.data)
}

pub(super) fn unpack_bytes(
    archive: &'static [u8],
    initrd: Option<Initrd>,
    memory: &MemoryGroup,
) -> Result<Arc<MountNamespace>, UnpackError> {
    for entry in cpio::entries(archive) {
        entry.map_err(UnpackError::Malformed)?;
    }
    let failed = |offset| move |errno| UnpackError::Entry { offset, errno };
    let namespace = MountNamespace::with_tmpfs(memory).map_err(failed(0))?;
    let mut unpacking = Unpacking { root: namespace.root(), initrd, memory, linked: BTreeMap::new() };
    for entry in cpio::entries(archive) {
        let entry = entry.map_err(UnpackError::Malformed)?;
        unpacking.add(&entry).map_err(failed(entry.offset))?;
    }
    Ok(namespace)
}

struct Unpacking<'a> {
    root: Location,
    initrd: Option<Initrd>,
    memory: &'a MemoryGroup,
    /// Files of several names that were met, by (device, inode).
    linked: BTreeMap<(u64, u32), Arc<Dentry>>,
}

impl Unpacking<'_> {
    fn add(&mut self, entry: &Entry<'static>) -> Result<(), Errno> {
        let mut attributes = Attributes::new((entry.mode & 0o7777) as u16, entry.uid, entry.gid);
        let time = Timestamp { seconds: entry.modified_seconds.into(), nanoseconds: 0 };
        (attributes.modified, attributes.accessed) = (time, time);
        let Some((path, name)) = split(entry.name) else {
            // The archive's own root directory.
            if entry.file_type()? != FileType::Directory {
                return Err(Errno::EINVAL);
            }
            self.root.inode().set_attributes(&attributes);
            return Ok(());
        };
        let directory = self.directory(path)?;
        let file_type = entry.file_type()?;
        if let Some(existing) = existing(&directory, name, file_type)? {
            existing.inode().set_attributes(&attributes);
            return Ok(());
        }
        let content = match file_type {
            FileType::Regular => return self.add_regular(entry, &directory, name, attributes),
            FileType::Directory => Content::Directory(RwLock::new(Entries::new())),
            FileType::Symlink if entry.data.is_empty() => return Err(Errno::EINVAL),
            FileType::Symlink => Content::Symlink(entry.data.into()),
            FileType::Fifo => Content::Fifo(Pipe::fifo()),
            FileType::CharacterDevice | FileType::BlockDevice => {
                Content::Device(file_type, DeviceNumber::new(entry.special.0, entry.special.1))
            }
            FileType::Socket | FileType::Anonymous => return Err(Errno::EINVAL),
        };
        insert_new(&directory, name, attributes, content, self.memory).map(drop)
    }

    /// A regular file. Of one with several names, the data come with the last name (or any).
    fn add_regular(
        &mut self,
        entry: &Entry<'static>,
        directory: &Arc<Dentry>,
        name: &[u8],
        attributes: Attributes,
    ) -> Result<(), Errno> {
        if entry.links > 1
            && let Some(first) = self.linked.get(&entry.identity)
        {
            let inode = first.inode();
            if !entry.data.is_empty() {
                let Content::Regular(data) = &inode.content else { return Err(Errno::EINVAL) };
                data.fill(self.archived(entry))?;
            }
            let name: Arc<[u8]> = name.into();
            let dentry = Dentry::new(directory, name.clone(), inode.clone(), self.memory)?;
            inode.attributes.lock().links += 1;
            directory.inode().entries()?.write().insert(name, dentry);
            return Ok(());
        }
        let content = Content::Regular(Box::new(Data::archived(self.archived(entry))));
        let dentry = insert_new(directory, name, attributes, content, self.memory)?;
        if entry.links > 1 {
            self.linked.insert(entry.identity, dentry);
        }
        Ok(())
    }

    fn archived(&self, entry: &Entry<'static>) -> Archived {
        let place = self.initrd.map(|initrd| (initrd, entry.data_offset));
        Archived { bytes: entry.data, place }
    }

    /// The directory with the path `path`, made with those above it where missing.
    fn directory(&self, path: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let mut at = self.root.dentry.clone();
        for name in components(path) {
            let next = at.inode().entries()?.read().get(name).cloned();
            at = match next {
                Some(next) if next.inode().is_directory() => next,
                Some(_) => return Err(Errno::ENOTDIR),
                None => {
                    let content = Content::Directory(RwLock::new(Entries::new()));
                    insert_new(&at, name, Attributes::new(0o755, 0, 0), content, self.memory)?
                }
            };
        }
        Ok(at)
    }
}

/// A directory named twice is the same one; anything else named twice is an error.
fn existing(directory: &Arc<Dentry>, name: &[u8], file_type: FileType) -> Result<Option<Arc<Dentry>>, Errno> {
    let existing = directory.inode().entries()?.read().get(name).cloned();
    match existing {
        Some(dentry) if dentry.inode().is_directory() && file_type == FileType::Directory => Ok(Some(dentry)),
        Some(_) => Err(Errno::EEXIST),
        None => Ok(None),
    }
}

/// Components of a path that the parser has accepted: no `..` among them.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// The path of the directory, and the name in it; `None` for the root.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = components(path).last()?;
    let end = name.as_ptr().addr() - path.as_ptr().addr();
    Some((&path[..end], name))
}
