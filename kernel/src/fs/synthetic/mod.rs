//! Synthetic nodes: directories, texts, links and objects that are made when they are looked at. procfs, sysfs, cgroup2
//! and what else has no files of its own but shows kernel objects as files is made of them.
//!
//! A file system says what a name stands for ([`Directory::look_up`]) and what is there ([`Directory::list`]), and
//! answers with [`Node`]s: small values that hold the object they show (weakly, if it may go). The rest is here: a node
//! gets an inode and a dentry for as long as somebody uses it, and two look-ups of a name meanwhile find the same
//! dentry, so a mount on it stays. A directory knows its children weakly; a child holds its directory, so `..` and
//! getcwd(2) work. Inode numbers come of the path alone: they are the same each time.
//!
//! What a node shows may go. A node that [is gone](Entry::is_gone) is not found any more, and its operations answer with
//! an error of their own (ESRCH for a process). Nothing here is locked while a node's methods run, but for
//! [`Directory::remove_directory`] and [`Directory::remove_file`], which run under the file system's structure lock.
//!
//! To make such a file system: implement [`Directory`] for its root, give that to [`tree`], and mount the result
//! (`Mount::of_tree`). The root's node keeps what the file system needs: a pid namespace, a cgroup.

mod text;

pub use text::{Changes, OpenText};

use super::{
    Access, Caller, Dentry, DeviceNumber, FileObject, FileType, Inode, Location, Readiness, Superblock, inode::Content,
};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge},
    namespace::UserNamespace,
    security::Credentials,
    task::Thread,
};
use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{any::Any, fmt::Debug, task::Context};
use veridian_containers::abi::Errno;

/// What a name in such a file system stands for.
#[derive(Clone, Debug)]
pub enum Node {
    /// A directory.
    Directory(Arc<dyn Directory>),
    /// A file whose content is made as text when it is read.
    Text(Arc<dyn Text>),
    /// A symbolic link.
    Link(Arc<dyn Link>),
    /// What gives an object of its own to who opens it: a terminal, a message queue, a namespace.
    Object(Arc<dyn Openable>),
}

/// Who owns a node, and what they may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Permission, set-id and sticky bits: 0 to 0o7777.
    pub mode: u16,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Ownership {
    /// User and group 0.
    pub const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// What all nodes tell.
pub trait Entry: Any + Debug + Send + Sync {
    /// Who owns it: asked at each use, since it may follow what the node shows.
    fn ownership(&self) -> Ownership;

    /// chmod(2) and chown(2), already permitted. EPERM where a node's owner is not a matter of choice.
    fn set_ownership(&self, ownership: Ownership) -> Result<(), Errno> {
        let _ = ownership;
        Err(Errno::EPERM)
    }

    /// Whether what it shows has gone: the name is looked up anew then, and nothing is found in such a directory.
    fn is_gone(&self) -> bool {
        false
    }
}

/// A name that [`Directory::list`] tells.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The name.
    pub name: &'a [u8],
    /// What it stands for.
    pub file_type: FileType,
    /// Where the next name is listed from: above this one's.
    pub next: u64,
}

/// A directory.
pub trait Directory: Entry {
    /// What `name` (not `.` or `..`) stands for; ENOENT.
    fn look_up(&self, name: &[u8], caller: &Caller<'_>) -> Result<Node, Errno>;

    /// Tells the names from `from` on (0 at first, then a [`Listed::next`]), until `tell` answers false. Names that come
    /// or go meanwhile neither hide nor repeat others.
    fn list(&self, from: u64, opener: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno>;

    /// mkdir(2), already permitted by the directory's mode; `mode` is masked already. EEXIST if the name is taken.
    fn make_directory(&self, name: &[u8], mode: u16, caller: &Caller<'_>) -> Result<Node, Errno> {
        let _ = (name, mode, caller);
        Err(Errno::EPERM)
    }

    /// open(2) with O_CREAT, as [`Self::make_directory`].
    fn make_file(&self, name: &[u8], mode: u16, caller: &Caller<'_>) -> Result<Node, Errno> {
        let _ = (name, mode, caller);
        Err(Errno::EACCES)
    }

    /// rmdir(2) of a directory in it, already permitted by the mode; nothing is mounted there.
    fn remove_directory(&self, name: &[u8], caller: &Caller<'_>) -> Result<(), Errno> {
        let _ = (name, caller);
        Err(Errno::EPERM)
    }

    /// unlink(2) of what is no directory, as [`Self::remove_directory`].
    fn remove_file(&self, name: &[u8], caller: &Caller<'_>) -> Result<(), Errno> {
        let _ = (name, caller);
        Err(Errno::EPERM)
    }
}

/// A file whose content is made as text when it is read.
pub trait Text: Entry {
    /// Whether `caller` may open it for `access`, beyond what the mode says.
    fn permit(&self, caller: &Caller<'_>, access: Access) -> Result<(), Errno> {
        let _ = (caller, access);
        Ok(())
    }

    /// The whole text. It is made when the file is read from its beginning, and kept for the reads after that.
    fn read(&self, opener: &Opener) -> Result<Vec<u8>, Errno>;

    /// Takes what one write(2) brings (at most [`WRITE_MAX`] bytes), all or nothing.
    fn write(&self, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
        let _ = (bytes, opener);
        Err(Errno::EIO)
    }

    /// What tells of changes: then poll(2) says POLLPRI and POLLERR from a change until the file is read anew.
    fn changes(&self) -> Option<Arc<Changes>> {
        None
    }
}

/// A symbolic link.
pub trait Link: Entry {
    /// What readlink(2) gives; for a magic link, a description.
    fn target(&self, caller: &Caller<'_>) -> Result<Vec<u8>, Errno>;

    /// Where it leads. A magic link leads to a place itself, whatever path (if any) leads there too; it asks for
    /// itself whether `caller` may go there.
    fn follow(&self, caller: &Caller<'_>) -> Result<Target, Errno> {
        self.target(caller).map(Target::Path)
    }
}

/// Where a link leads.
#[derive(Clone, Debug)]
pub enum Target {
    /// A path, from the link's directory.
    Path(Vec<u8>),
    /// A place. The kernel's own walks, and those that must stay beneath a directory, do not go there.
    Place(Location),
}

/// What gives an object of its own to who opens it.
pub trait Openable: Entry {
    /// A regular file, or a character device.
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    /// The number, if it is a device.
    fn special(&self) -> DeviceNumber {
        DeviceNumber::new(0, 0)
    }

    /// What it is, where it has no name: what a magic link to it reads as.
    fn description(&self) -> Vec<u8> {
        b"anon_inode:[object]".to_vec()
    }

    /// open(2), already permitted by the mode.
    fn open(&self, caller: &Caller<'_>, access: Access) -> Result<Arc<dyn FileObject>, Errno>;
}

/// Who opened a file or directory: what is read and written later is for them.
#[derive(Clone, Debug)]
pub struct Opener {
    /// Who they were then.
    pub credentials: Arc<Credentials>,
    /// The process, which may have ended since. None if the kernel opened it.
    pub thread: Weak<Thread>,
    /// Who pays.
    pub memory: Arc<MemoryGroup>,
}

impl Opener {
    fn of(caller: &Caller<'_>) -> Self {
        let thread = caller.thread.and_then(|thread| thread.pid().namespace().thread(thread.pid().number()));
        Self {
            credentials: Arc::new(caller.credentials.clone()),
            thread: thread.as_ref().map_or_else(Weak::new, Arc::downgrade),
            memory: caller.memory.clone(),
        }
    }
}

/// The most bytes of one write to a text.
pub const WRITE_MAX: usize = veridian_hal::PAGE_SIZE;

/// The inode number of a tree's root.
const ROOT_INODE: u64 = 1;

/// A new file system of such nodes, to be mounted. `kind` is its type's name, `magic` what statfs(2) tells, `owner` the
/// user namespace that it is mounted in.
pub fn tree(kind: &'static str, magic: u64, owner: &Arc<UserNamespace>, root: Arc<dyn Directory>) -> Arc<Dentry> {
    let superblock = Arc::new(Superblock::new(kind, magic, None, None).owned_by(owner));
    Dentry::root(Inode::synthetic(&superblock, ROOT_INODE, Node::Directory(root)))
}

/// Tells the names of a directory that are known beforehand, or were collected: their order is their cookies'.
pub fn list_names<'a>(
    names: impl IntoIterator<Item = (&'a [u8], FileType)>,
    from: u64,
    tell: &mut dyn FnMut(Listed<'_>) -> bool,
) {
    let numbered = (1..).zip(names).skip(usize::try_from(from).unwrap_or(usize::MAX));
    for (next, (name, file_type)) in numbered {
        if !tell(Listed { name, file_type, next }) {
            break;
        }
    }
}

impl Node {
    /// What all nodes tell.
    pub fn entry(&self) -> &dyn Entry {
        match self {
            Self::Directory(directory) => &**directory,
            Self::Text(text) => &**text,
            Self::Link(link) => &**link,
            Self::Object(object) => &**object,
        }
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        match self {
            Self::Directory(_) => FileType::Directory,
            Self::Text(_) => FileType::Regular,
            Self::Link(_) => FileType::Symlink,
            Self::Object(object) => object.file_type(),
        }
    }

    /// The object behind an open file of it; none is needed for a link, which is not opened.
    pub(super) fn open(&self, caller: &Caller<'_>, access: Access) -> Result<Arc<dyn FileObject>, Errno> {
        match self {
            Self::Directory(_) => Ok(Arc::new(OpenDirectory(Opener::of(caller)))),
            Self::Text(text) => {
                text.permit(caller, access)?;
                Ok(Arc::new(OpenText::new(text.clone(), Opener::of(caller))))
            }
            Self::Link(_) => Err(Errno::ELOOP),
            Self::Object(object) => object.open(caller, access),
        }
    }
}

/// Who opened a directory.
#[derive(Debug)]
pub(super) struct OpenDirectory(pub Opener);

impl FileObject for OpenDirectory {
    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }
}

/// The entry `name` of the synthetic directory `parent`.
pub(super) fn look_up(
    parent: &Arc<Dentry>,
    directory: &Arc<dyn Directory>,
    name: &[u8],
    caller: &Caller<'_>,
) -> Result<Option<Arc<Dentry>>, Errno> {
    if directory.is_gone() {
        return Ok(None);
    }
    if let Some(known) = parent.made_child(name) {
        if !known.inode().is_gone() {
            return Ok(Some(known));
        }
        parent.forget_child(&known);
    }
    match directory.look_up(name, caller) {
        Ok(node) => Seat::reserve(parent, caller)?.give(parent, name, node).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Makes `name` in the synthetic directory `parent`, by what `make` makes. All or nothing.
pub(super) fn make(
    parent: &Arc<Dentry>,
    name: &[u8],
    caller: &Caller<'_>,
    make: impl FnOnce() -> Result<Node, Errno>,
) -> Result<Arc<Dentry>, Errno> {
    let seat = Seat::reserve(parent, caller)?;
    seat.give(parent, name, make()?)
}

/// Room for a dentry and its inode, paid for.
struct Seat(ObjectCharge);

impl Seat {
    fn reserve(parent: &Arc<Dentry>, caller: &Caller<'_>) -> Result<Self, Errno> {
        Dentry::charge_made(parent, caller.memory).map(Self)
    }

    /// The dentry of `name`: a new one, unless another look-up was faster.
    fn give(self, parent: &Arc<Dentry>, name: &[u8], node: Node) -> Result<Arc<Dentry>, Errno> {
        let number = child_number(parent.inode().number(), name);
        let inode = Inode::synthetic(parent.inode().superblock(), number, node);
        Ok(Dentry::made(parent, name, inode, self.0))
    }
}

/// The inode number of `name` in the directory with number `parent`: a hash of both (FNV-1a, with a last mixing as
/// splitmix64's), never 0 or the root's.
pub(super) fn child_number(parent: u64, name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ parent;
    for &byte in name {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ hash >> 31).max(ROOT_INODE + 1)
}

impl Inode {
    /// Whether what a synthetic node shows has gone.
    pub(super) fn is_gone(&self) -> bool {
        matches!(&self.content, Content::Synthetic(node) if node.entry().is_gone())
    }
}
