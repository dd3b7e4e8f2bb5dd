//! Open files: what a descriptor stands for, with its offset and flags, shared by all descriptors made of it.

mod extent;
mod listing;
mod transfer;

pub use extent::Allocation;
pub(super) use extent::permit_length;
pub use listing::DirectoryEntry;
pub use transfer::Whence;

use super::{
    Access, Dentry, FileObject, Inode, Location, Mount, MountFlags, OpenFlags, Readiness, Superblock,
    inode::{Attributes, Content},
    inotify::{self, Events},
    locks::Owner,
    pipe::PipeEnd,
};
use crate::{
    cgroup::MemoryGroup,
    mm::{AddressSpace, PageSource},
    net::Socket,
    task::Thread,
};
use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    any::Any,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};
use veridian_containers::abi::Errno;
use veridian_hal::{
    mem::Frame,
    sync::{Once, SpinLock},
};

/// An open file description.
#[derive(Debug)]
pub struct File {
    /// Where it was opened; `None` for an object that has no name.
    location: Option<Location>,
    /// Whose content is read and written.
    inode: Arc<Inode>,
    object: Option<Arc<dyn FileObject>>,
    access: Access,
    flags: AtomicU32,
    /// Who opened it may write without taking set-id bits away.
    keeps_set_ids: bool,
    /// Keeps others from executing it, or from writing it.
    hold: Hold,
    offset: SpinLock<u64>,
}

/// What an open regular file keeps others from, until it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nothing.
    None,
    /// From executing it: it is open for writing.
    Writes,
    /// From writing it: it is being executed.
    Executes,
}

const PIPEFS_MAGIC: u64 = 0x5049_5045;

/// The file system of what only descriptors hold.
fn anonymous() -> &'static Arc<Superblock> {
    static ANONYMOUS: Once<Arc<Superblock>> = Once::new();
    ANONYMOUS.call_once(|| Arc::new(Superblock::new("pipefs", PIPEFS_MAGIC, None, None)))
}

impl File {
    pub(super) fn new(
        location: Location,
        access: Access,
        flags: OpenFlags,
        object: Option<Arc<dyn FileObject>>,
        keeps_set_ids: bool,
        hold: Hold,
    ) -> Arc<Self> {
        // A directory is what all layers have; a file is that of the layer that it is in now.
        let inode = location.inode();
        let inode = if inode.is_directory() { inode } else { inode.real() }.clone();
        let mut file = Self::of(inode, object, access, flags);
        (file.location, file.keeps_set_ids, file.hold) = (Some(location), keeps_set_ids, hold);
        Arc::new(file)
    }

    /// One without a place that keeps nobody from anything.
    fn of(inode: Arc<Inode>, object: Option<Arc<dyn FileObject>>, access: Access, flags: OpenFlags) -> Self {
        let (flags, offset) = (AtomicU32::new(flags.bits()), SpinLock::new(0));
        Self { location: None, inode, object, access, flags, keeps_set_ids: true, hold: Hold::None, offset }
    }

    /// An open file for an object that has no name. `flags` say how it may be used and whether it waits.
    pub fn of_object(object: Arc<dyn FileObject>, flags: OpenFlags, uid: u32, gid: u32) -> Result<Arc<Self>, Errno> {
        Self::nameless(object, Content::Anonymous, flags, uid, gid)
    }

    /// An open file for a socket.
    pub fn of_socket(socket: Arc<Socket>, flags: OpenFlags, uid: u32, gid: u32) -> Result<Arc<Self>, Errno> {
        Self::nameless(socket, Content::Socket(Arc::default()), flags, uid, gid)
    }

    /// pipe2(2): the end for reading and the end for writing.
    pub fn pipe(flags: OpenFlags, uid: u32, gid: u32) -> Result<(Arc<Self>, Arc<Self>), Errno> {
        let pipe = super::pipe::Pipe::unnamed();
        let (read, write) = (pipe.open(true, false), pipe.open(false, true));
        write.set_packets(flags.contains(OpenFlags::DIRECT));
        let read = Self::nameless(read, Content::Fifo(pipe.clone()), flags, uid, gid)?;
        let inode = read.inode.clone();
        let write = Self::of(inode, Some(write), Access::WRITE, (flags | OpenFlags::WRONLY).kept());
        Ok((read, Arc::new(write)))
    }

    /// An open file for an inode that has no name.
    pub(super) fn of_inode(inode: Arc<Inode>, access: Access, flags: OpenFlags) -> Arc<Self> {
        Arc::new(Self::of(inode, None, access, flags.kept()))
    }

    fn nameless(
        object: Arc<dyn FileObject>,
        content: Content,
        flags: OpenFlags,
        uid: u32,
        gid: u32,
    ) -> Result<Arc<Self>, Errno> {
        let access = flags.access()?;
        let inode = Inode::anonymous(anonymous(), Attributes::new(0o600, uid, gid), content);
        Ok(Arc::new(Self::of(inode, Some(object), access, flags.kept())))
    }

    /// Tells the object that `thread` has opened it; the file to use, which may be another object's.
    pub fn opened_by(self: Arc<Self>, thread: &Arc<Thread>, flags: OpenFlags) -> Result<Arc<Self>, Errno> {
        let Some(object) = &self.object else { return Ok(self) };
        let Some(object) = object.opened(thread, flags)? else { return Ok(self) };
        let mut file = Self::of(self.inode.clone(), Some(object), self.access, self.flags());
        (file.location, file.keeps_set_ids) = (self.location.clone(), self.keeps_set_ids);
        Ok(Arc::new(file))
    }

    /// Where it was opened.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// Where it was opened, or for an object that has no name a place outside of all namespaces: where a magic link to
    /// the file leads.
    pub fn place(&self) -> Location {
        static MOUNT: Once<Arc<Mount>> = Once::new();
        self.location.clone().unwrap_or_else(|| Location {
            mount: MOUNT
                .call_once(|| {
                    let root = Inode::anonymous(anonymous(), Attributes::new(0o600, 0, 0), Content::Anonymous);
                    Mount::of_kernel(Dentry::root(root))
                })
                .clone(),
            dentry: Dentry::root(self.inode.clone()),
        })
    }

    /// What it is, where it has no path.
    pub(super) fn description(&self) -> Vec<u8> {
        match (&self.object, &self.inode.content) {
            (Some(object), Content::Anonymous) => object.description(self.inode.number()).into_bytes(),
            _ => self.inode.description(),
        }
    }

    /// What `/proc/<pid>/fdinfo` tells of the flags of a descriptor that is closed on exec, or not.
    pub(super) fn told_flags(&self, close_on_exec: bool) -> u32 {
        let mut flags = self.flags();
        flags.set(OpenFlags::CLOEXEC, close_on_exec);
        flags.bits()
    }

    /// The place of a directory that is open, for a path relative to it.
    pub fn directory(&self) -> Result<&Location, Errno> {
        self.location.as_ref().filter(|location| location.inode().is_directory()).ok_or(Errno::ENOTDIR)
    }

    /// What is open.
    pub fn inode(&self) -> &Arc<Inode> {
        self.location.as_ref().map_or(&self.inode, |location| location.inode())
    }

    /// Whose locks are those of the open file itself (flock(2), F_OFD_SETLK).
    pub fn lock_owner(&self) -> Owner {
        Owner::File(core::ptr::from_ref(self).addr())
    }

    /// What it was opened for. Empty if it was opened as a place only (O_PATH).
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether it stands for a place only (O_PATH).
    pub fn is_path_only(&self) -> bool {
        self.flags().contains(OpenFlags::PATH)
    }

    /// The object behind it, if it is a `T`.
    pub fn object<T: FileObject>(&self) -> Option<&T> {
        let object: &dyn Any = &**self.object.as_ref()?;
        object.downcast_ref()
    }

    /// As [`Self::object`], to keep.
    pub fn object_handle<T: FileObject>(&self) -> Option<Arc<T>> {
        let object: Arc<dyn Any + Send + Sync> = self.object.clone()?;
        object.downcast().ok()
    }

    /// The object behind it.
    pub fn any_object(&self) -> Option<&Arc<dyn FileObject>> {
        self.object.as_ref()
    }

    /// What F_GETFL tells.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// F_SETFL: those of [`OpenFlags::SETTABLE`].
    pub fn set_flags(&self, flags: OpenFlags) {
        let kept = self.flags() - OpenFlags::SETTABLE;
        self.flags.store((kept | flags & OpenFlags::SETTABLE).bits(), Ordering::Relaxed);
        if let Some(end) = self.object::<PipeEnd>() {
            end.set_packets(flags.contains(OpenFlags::DIRECT));
        }
    }

    /// Whether operations that would have to wait fail with EAGAIN instead.
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// What would not wait now; wakes the task of `cx` when any of `interest` becomes so.
    pub fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        if self.is_path_only() {
            return Readiness::NVAL;
        }
        match &self.object {
            Some(object) => object.poll_ready(cx, interest),
            None => Readiness::READABLE | Readiness::WRITABLE,
        }
    }

    /// Waits for a fifo's other end, unless opened not to wait.
    pub fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.object {
            Some(object) if !self.is_nonblocking() => object.poll_opened(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Whether the file can be mapped for reading (and execution, if `execute`): ENODEV when it is no regular file,
    /// EACCES when it is not open for reading, EPERM to execute from a noexec mount (mmap(2)).
    pub fn permit_mapping(&self, execute: bool) -> Result<(), Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        if !self.access.contains(Access::READ) {
            return Err(Errno::EACCES);
        }
        let noexec = |location: &Location| location.mount.flags().contains(MountFlags::NOEXEC);
        if execute && self.location.as_ref().is_some_and(noexec) {
            return Err(Errno::EPERM);
        }
        if matches!(self.inode.content, Content::Regular(_)) { Ok(()) } else { Err(Errno::ENODEV) }
    }

    /// Tells who watches the file that `events` happen to it.
    fn notify(&self, events: Events) {
        if let Some(location) = &self.location {
            inotify::notify(&location.dentry, events);
        }
    }

    fn touch_accessed(&self) {
        if let Some(location) = &self.location
            && !self.flags().contains(OpenFlags::NOATIME)
        {
            location.mount.touch_accessed(&self.inode);
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.inode().release_locks(self.lock_owner());
        if !self.is_path_only() {
            let written = self.access.contains(Access::WRITE);
            self.notify(if written { Events::CLOSE_WRITE } else { Events::CLOSE_NOWRITE });
        }
        if let (Content::Regular(data), Hold::Writes | Hold::Executes) = (&self.inode.content, self.hold) {
            data.used.end(self.hold == Hold::Executes);
        }
        if self.inode.holds_mount_writable(self.access)
            && let Some(location) = &self.location
        {
            location.mount.remove_writer();
        }
    }
}

impl PageSource for File {
    fn page(&self, index: u64, memory: &MemoryGroup) -> Result<Frame, Errno> {
        match &self.inode.content {
            Content::Regular(data) => data.page(index, self.inode.superblock(), memory),
            _ => Err(Errno::ENODEV),
        }
    }

    fn resident_page(&self, index: u64) -> Option<Frame> {
        match &self.inode.content {
            Content::Regular(data) => data.resident_page(index),
            _ => None,
        }
    }

    fn length_bytes(&self) -> u64 {
        match &self.inode.content {
            Content::Regular(data) => data.length_bytes(),
            _ => 0,
        }
    }

    fn permit_shared_writing(&self) -> Result<(), Errno> {
        match &self.inode.content {
            Content::Regular(data) if self.access.contains(Access::WRITE) => data.permit_shared_writing(),
            _ => Err(Errno::EACCES),
        }
    }

    fn mapped_in(&self, space: &Weak<AddressSpace>) {
        if let Content::Regular(data) = &self.inode.content {
            data.mapped_in(space);
        }
    }

    fn identity(&self) -> Option<usize> {
        if let Content::Regular(data) = &self.inode.content { Some(data.identity()) } else { None }
    }
}
