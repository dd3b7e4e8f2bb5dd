//! The cpio "newc" format (`man 5 cpio`, the kernel's initramfs buffer format): a pure reader over bytes.
//!
//! Header of 110 characters in hexadecimal, name with its NUL or several, data; header with name, and data, are each padded to
//! four bytes. `TRAILER!!!` ends an archive; another may follow after zero bytes.

use crate::fs::{
    FileType,
    name::{NAME_MAX, PATH_MAX},
};
use core::fmt;
use veridian_containers::abi::Errno;

const HEADER_BYTES: usize = 110;
const MAGIC: &[u8] = b"070701";
/// As the above, with a checksum of the data, which is not looked at.
const MAGIC_WITH_CHECKSUM: &[u8] = b"070702";
const TRAILER: &[u8] = b"TRAILER!!!";

/// A file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where its header begins.
    pub offset: usize,
    /// Its path, without the NUL: not empty, no `..`.
    pub name: &'a [u8],
    /// Type and permission bits, as in `struct stat`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub links: u32,
    /// Time of the last change.
    pub modified_seconds: u32,
    /// Device and inode number: what entries of one file have in common.
    pub identity: (u64, u32),
    /// The device that a device node stands for: major, minor.
    pub special: (u32, u32),
    /// Where its data begin.
    pub data_offset: usize,
    /// Its data; a link's target.
    pub data: &'a [u8],
}

impl Entry<'_> {
    /// The type; EINVAL if it is none that can be made.
    pub fn file_type(&self) -> Result<FileType, Errno> {
        [
            FileType::Fifo,
            FileType::CharacterDevice,
            FileType::Directory,
            FileType::BlockDevice,
            FileType::Regular,
            FileType::Symlink,
        ]
        .into_iter()
        .find(|&file_type| file_type as u32 == self.mode & 0o170000)
        .ok_or(Errno::EINVAL)
    }
}

/// What is wrong with an archive, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Bytes from the start.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a cpio archive (newc): byte {}: {}", self.offset, self.reason)
    }
}

/// The files of `archive`, in order, up to the first error.
pub fn entries(archive: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Malformed>> {
    let mut position = Some(0);
    core::iter::from_fn(move || {
        let at = position?;
        match next(archive, at) {
            Ok(Some((entry, after))) => {
                position = Some(after);
                Some(Ok(entry))
            }
            Ok(None) => {
                position = None;
                None
            }
            Err(malformed) => {
                position = None;
                Some(Err(malformed))
            }
        }
    })
}

/// The entry at `at` or, past trailers, behind it; and where the one after it begins. `None` at the end.
fn next(archive: &[u8], mut at: usize) -> Result<Option<(Entry<'_>, usize)>, Malformed> {
    loop {
        let (entry, after) = entry_at(archive, at)?;
        if entry.name != TRAILER {
            check(&entry)?;
            return Ok(Some((entry, after)));
        }
        let zeros = archive.get(after..).unwrap_or_default().iter().take_while(|&&byte| byte == 0).count();
        at = after.min(archive.len()) + zeros;
        if at >= archive.len() {
            return Ok(None);
        }
    }
}

fn entry_at(archive: &[u8], offset: usize) -> Result<(Entry<'_>, usize), Malformed> {
    let malformed = |reason| Malformed { offset, reason };
    let rest = archive.get(offset..).unwrap_or_default();
    let header = rest.get(..HEADER_BYTES).ok_or(malformed("ends without a trailer"))?;
    if ![MAGIC, MAGIC_WITH_CHECKSUM].contains(&&header[..MAGIC.len()]) {
        return Err(malformed("no header here"));
    }
    let mut fields = [0; 13];
    for (field, digits) in fields.iter_mut().zip(header[MAGIC.len()..].chunks(8)) {
        *field = hexadecimal(digits).ok_or(malformed("a field is not hexadecimal"))?;
    }
    let [
        inode,
        mode,
        uid,
        gid,
        links,
        modified_seconds,
        size,
        major,
        minor,
        special_major,
        special_minor,
        name_size,
        _,
    ] = fields;
    let name_start = offset + HEADER_BYTES;
    let name_end = name_start.checked_add(name_size as usize).ok_or(malformed("the name is too long"))?;
    let name = archive.get(name_start..name_end).ok_or(malformed("the name is cut off"))?;
    let name = name.strip_suffix(&[0]).ok_or(malformed("the name does not end in NUL"))?;
    // More NULs pad the entry, so that its data begin on a page of their own.
    let padding = name.iter().rev().take_while(|&&byte| byte == 0).count();
    let name = &name[..name.len() - padding];
    let data_offset = name_end.next_multiple_of(4);
    let data_end = data_offset.checked_add(size as usize).ok_or(malformed("the data are too long"))?;
    let data = archive.get(data_offset..data_end).ok_or(malformed("the data are cut off"))?;
    let identity = (u64::from(major) << 32 | u64::from(minor), inode);
    let special = (special_major, special_minor);
    let entry = Entry { offset, name, mode, uid, gid, links, modified_seconds, identity, special, data_offset, data };
    Ok((entry, data_end.next_multiple_of(4)))
}

fn check(entry: &Entry<'_>) -> Result<(), Malformed> {
    let malformed = |reason| Err(Malformed { offset: entry.offset, reason });
    if entry.name.is_empty() || entry.name.contains(&0) {
        return malformed("a name is empty or holds a NUL");
    }
    if entry.name.len() >= PATH_MAX || entry.name.split(|&byte| byte == b'/').any(|name| name.len() > NAME_MAX) {
        return malformed("a name is too long");
    }
    if entry.name.split(|&byte| byte == b'/').any(|name| name == b"..") {
        return malformed("a name holds `..`");
    }
    match entry.file_type() {
        Err(_) => malformed("a file of unknown type"),
        Ok(FileType::Symlink) if entry.data.is_empty() || entry.data.len() >= PATH_MAX || entry.data.contains(&0) => {
            malformed("a symbolic link's target is no path")
        }
        Ok(_) => Ok(()),
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | (digit as char).to_digit(16)?))
}
