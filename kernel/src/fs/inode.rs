//! Inodes: what a file is, apart from its names.
//!
//! All file systems of this kernel hold their files in memory, so an inode is one structure with the content of its
//! type in it, not a table of functions; but for what is made when it is looked at ([`super::synthetic`]).

use super::{
    Superblock, Timestamp,
    dentry::{Dentry, Entries},
    inotify::Watchers,
    locks::Locks,
    overlay,
    pipe::Pipe,
    synthetic::{Node, Ownership},
    tmpfs::Data,
    xattr::Xattrs,
};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge},
    net::SocketNode,
};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE,
    sync::{Once, RwLock, SpinLock},
};

/// What an inode costs on the kernel heap, at most, a link's target not counted.
pub(super) const INODE_BYTES: usize = 512;

/// Type of a file, with Linux's number (`S_IFMT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum FileType {
    /// A named or nameless pipe.
    Fifo = 0o010000,
    /// A character device.
    CharacterDevice = 0o020000,
    /// A directory.
    Directory = 0o040000,
    /// A block device (none exists behind such a node).
    BlockDevice = 0o060000,
    /// A regular file.
    Regular = 0o100000,
    /// A symbolic link.
    Symlink = 0o120000,
    /// What a Unix-domain socket is bound to.
    Socket = 0o140000,
    /// Neither of these: an object with a descriptor.
    Anonymous = 0,
}

impl FileType {
    /// `d_type` of getdents64(2).
    pub const fn directory_entry_type(self) -> u8 {
        (self as u16 >> 12) as u8
    }
}

/// A device's number, packed and unpacked as Linux does for user programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u32,
    /// The device.
    pub minor: u32,
}

impl DeviceNumber {
    /// A number of its parts.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Packed as in `struct stat` (glibc's makedev).
    pub const fn to_bits(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (major & 0xfff) << 8 | (major & !0xfff) << 32 | (minor & 0xff) | (minor & !0xff) << 12
    }

    /// Unpacked from what mknod(2) is given.
    pub const fn from_bits(bits: u64) -> Self {
        let major = (bits >> 8 & 0xfff) | (bits >> 32 & !0xfff);
        let minor = (bits & 0xff) | (bits >> 12 & !0xff);
        Self { major: major as u32, minor: minor as u32 }
    }
}

/// What an inode contains.
#[derive(Debug)]
pub(super) enum Content {
    Regular(Box<Data>),
    Directory(RwLock<Entries>),
    Symlink(Box<[u8]>),
    Device(FileType, DeviceNumber),
    Fifo(Arc<Pipe>),
    Socket(Arc<SocketNode>),
    Anonymous,
    /// Made when it is looked at.
    Synthetic(Node),
    /// Shows a file of a layer.
    Overlay(overlay::Node),
}

/// What can be changed of an inode without touching its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    /// Permission, set-id and sticky bits: 0 to 0o7777.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    /// It never had a name, and may be given one.
    pub is_linkable: bool,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
    pub born: Timestamp,
}

impl Attributes {
    /// Of a new inode with one name.
    pub fn new(mode: u16, uid: u32, gid: u32) -> Self {
        let now = Timestamp::now();
        Self { mode, uid, gid, links: 1, is_linkable: false, accessed: now, modified: now, changed: now, born: now }
    }
}

/// A file.
#[derive(Debug)]
pub struct Inode {
    number: u64,
    superblock: Arc<Superblock>,
    /// `None` for an inode that only descriptors hold.
    _charge: Option<ObjectCharge>,
    pub(super) attributes: SpinLock<Attributes>,
    pub(super) xattrs: Xattrs,
    pub(super) locks: Once<Box<Locks>>,
    pub(super) watchers: Watchers,
    pub(super) content: Content,
}

/// What stat(2) and statx(2) tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The file system instance.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// Type.
    pub file_type: FileType,
    /// Permission, set-id and sticky bits.
    pub mode: u16,
    /// Number of names.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device that a device node stands for.
    pub special: DeviceNumber,
    /// Length in bytes.
    pub length_bytes: u64,
    /// Units of 512 bytes that its data take.
    pub blocks: u64,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of the content.
    pub modified: Timestamp,
    /// Last change of content or attributes.
    pub changed: Timestamp,
    /// Creation.
    pub born: Timestamp,
}

impl Inode {
    /// A new inode in `superblock`, paid for by `memory`.
    pub(super) fn new(
        superblock: &Arc<Superblock>,
        attributes: Attributes,
        content: Content,
        memory: &MemoryGroup,
    ) -> Result<Arc<Self>, Errno> {
        let target_bytes = if let Content::Symlink(target) = &content { target.len() } else { 0 };
        let charge = superblock.charge_object(INODE_BYTES + target_bytes, memory)?;
        Ok(Arc::new(Self {
            number: superblock.reserve_inode()?,
            superblock: superblock.clone(),
            _charge: Some(charge),
            attributes: SpinLock::new(attributes),
            xattrs: Xattrs::default(),
            locks: Once::new(),
            watchers: Watchers::default(),
            content,
        }))
    }

    /// An inode that no file system holds, for an object that has only descriptors.
    pub(super) fn anonymous(superblock: &Arc<Superblock>, attributes: Attributes, content: Content) -> Arc<Self> {
        let number = superblock.reserve_inode().expect("no limit on anonymous inodes");
        Self::unpaid(superblock, number, attributes, content)
    }

    /// The inode of a node that is made when it is looked at; its dentry pays for it.
    pub(super) fn synthetic(superblock: &Arc<Superblock>, number: u64, node: Node) -> Arc<Self> {
        superblock.reserve_inode().expect("no limit on synthetic inodes");
        let Ownership { mode, uid, gid } = node.entry().ownership();
        Self::unpaid(superblock, number, Attributes::new(mode, uid, gid), Content::Synthetic(node))
    }

    /// The inode of a name of an overlay; its dentry pays for it.
    pub(super) fn overlay(superblock: &Arc<Superblock>, number: u64, node: overlay::Node) -> Arc<Self> {
        superblock.reserve_inode().expect("no limit on an overlay's inodes");
        Self::unpaid(superblock, number, Attributes::new(0, 0, 0), Content::Overlay(node))
    }

    /// One that is charged to nobody itself.
    fn unpaid(superblock: &Arc<Superblock>, number: u64, attributes: Attributes, content: Content) -> Arc<Self> {
        Arc::new(Self {
            number,
            superblock: superblock.clone(),
            _charge: None,
            attributes: SpinLock::new(attributes),
            xattrs: Xattrs::default(),
            locks: Once::new(),
            watchers: Watchers::default(),
            content,
        })
    }

    /// The inode's number in its file system.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file system it is in.
    pub fn superblock(&self) -> &Arc<Superblock> {
        &self.superblock
    }

    /// Its type.
    pub fn file_type(&self) -> FileType {
        match &self.content {
            Content::Regular(_) => FileType::Regular,
            Content::Directory(_) => FileType::Directory,
            Content::Symlink(_) => FileType::Symlink,
            Content::Device(file_type, _) => *file_type,
            Content::Fifo(_) => FileType::Fifo,
            Content::Socket(_) => FileType::Socket,
            Content::Anonymous => FileType::Anonymous,
            Content::Synthetic(node) => node.file_type(),
            Content::Overlay(node) => node.real().file_type(),
        }
    }

    /// The file whose content it shows: itself, but in an overlay.
    pub(super) fn real(self: &Arc<Self>) -> &Arc<Self> {
        self.overlay_node().map_or(self, overlay::Node::real)
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        match &self.content {
            Content::Directory(_) | Content::Synthetic(Node::Directory(_)) => true,
            Content::Overlay(node) => node.real().is_directory(),
            _ => false,
        }
    }

    /// Whether it is a symbolic link.
    pub(super) fn is_symlink(&self) -> bool {
        match &self.content {
            Content::Symlink(_) | Content::Synthetic(Node::Link(_)) => true,
            Content::Overlay(node) => node.real().is_symlink(),
            _ => false,
        }
    }

    /// The synthetic node, if it is one.
    pub(super) fn node(&self) -> Option<&Node> {
        if let Content::Synthetic(node) = &self.content { Some(node) } else { None }
    }

    /// Mode, owner, times and number of names as they are now.
    pub(super) fn attributes(&self) -> Attributes {
        if let Some(node) = self.overlay_node() {
            return node.real().attributes();
        }
        let Some(node) = self.node() else { return *self.attributes.lock() };
        let Ownership { mode, uid, gid } = node.entry().ownership();
        Attributes { mode, uid, gid, ..*self.attributes.lock() }
    }

    /// Whether a file that is open for `access` keeps its mount from turning read-only.
    pub(super) fn holds_mount_writable(&self, access: super::Access) -> bool {
        access.contains(super::Access::WRITE)
            && matches!(self.content, Content::Regular(_) | Content::Synthetic(Node::Text(_)))
    }

    /// The entries, if it is a directory that holds any; else ENOTDIR.
    pub(super) fn entries(&self) -> Result<&RwLock<Entries>, Errno> {
        if let Content::Directory(entries) = &self.content { Ok(entries) } else { Err(Errno::ENOTDIR) }
    }

    /// What stat(2) tells.
    pub fn status(&self) -> Status {
        if let Some(node) = self.overlay_node() {
            let real = node.real().status();
            // How many directories are in a merged one is not counted: 1 says so.
            let links = if node.is_merged() { 1 } else { real.links };
            return Status { device: self.superblock.device(), inode: self.number, links, ..real };
        }
        let (length_bytes, pages) = match &self.content {
            Content::Regular(data) => (data.length_bytes(), data.resident_pages()),
            Content::Symlink(target) => (target.len() as u64, 0),
            Content::Directory(entries) => (entries.read().len() as u64, 0),
            Content::Device(..)
            | Content::Fifo(_)
            | Content::Socket(_)
            | Content::Anonymous
            | Content::Synthetic(_)
            | Content::Overlay(_) => (0, 0),
        };
        let special = match &self.content {
            Content::Device(_, number) => *number,
            Content::Synthetic(Node::Object(object)) => object.special(),
            _ => DeviceNumber::new(0, 0),
        };
        let attributes = self.attributes();
        Status {
            device: self.superblock.device(),
            inode: self.number,
            file_type: self.file_type(),
            mode: attributes.mode,
            links: attributes.links,
            uid: attributes.uid,
            gid: attributes.gid,
            special,
            length_bytes,
            blocks: (pages * (PAGE_SIZE / 512)) as u64,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            born: attributes.born,
        }
    }

    /// What it is, where it has no name.
    pub(super) fn description(&self) -> Vec<u8> {
        match &self.content {
            Content::Socket(_) => format!("socket:[{}]", self.number).into_bytes(),
            Content::Fifo(_) => format!("pipe:[{}]", self.number).into_bytes(),
            Content::Synthetic(Node::Object(object)) => object.description(),
            Content::Regular(data) => [b"/memfd:", data.name().unwrap_or_default(), b" (deleted)"].concat(),
            _ => b"anon_inode:[object]".to_vec(),
        }
    }

    /// Sets mode, owner and times to those of `attributes`.
    pub(super) fn set_attributes(&self, attributes: &Attributes) {
        let mut own = self.attributes.lock();
        *own = Attributes { links: own.links, is_linkable: own.is_linkable, born: own.born, ..*attributes };
    }

    /// The content has changed.
    pub(super) fn touch_modified(&self) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        (attributes.modified, attributes.changed) = (now, now);
    }

    /// The number of names, or another attribute, has changed.
    pub(super) fn touch_changed(&self) {
        self.attributes.lock().changed = Timestamp::now();
    }

    fn take_entries(&mut self) -> Vec<Arc<Dentry>> {
        if let Content::Directory(entries) = &mut self.content { entries.get_mut().take_all() } else { Vec::new() }
    }
}

impl Drop for Inode {
    /// A directory's tree is taken apart here level by level, not by recursion: its depth is up to programs, and the
    /// kernel's stack is not.
    fn drop(&mut self) {
        let mut below = self.take_entries();
        while let Some(dentry) = below.pop() {
            if let Some(mut inode) = Arc::into_inner(dentry).and_then(|dentry| Arc::into_inner(dentry.into_inode())) {
                below.append(&mut inode.take_entries());
            }
        }
        if let Content::Regular(data) = &self.content {
            self.superblock.release_pages(data.charged_pages());
        }
        self.superblock.release_inode();
    }
}
