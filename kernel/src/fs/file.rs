//! Open files: what a descriptor stands for, with its offset and flags, shared by all descriptors made of it.

use super::{
    Access, Dentry, FileObject, Inode, Location, Mount, MountFlags, OpenFlags, Readiness, Superblock,
    dentry::FIRST_COOKIE,
    inode::{Attributes, Content, FileType},
    io::{Sink, Source},
    locks::Owner,
    synthetic::{self, Listed, Node, OpenDirectory, OpenText},
    tmpfs::{Data, Seals},
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
    ops::Range,
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

/// Where lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The beginning.
    Set,
    /// The offset now.
    Current,
    /// The end.
    End,
    /// From the given offset, the first byte that is in no hole.
    Data,
    /// From the given offset, the first byte that is in one.
    Hole,
}

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
        let (location, flags) = (Some(location), AtomicU32::new(flags.bits()));
        Arc::new(Self { location, inode, object, access, flags, keeps_set_ids, hold, offset: SpinLock::new(0) })
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
        let pipe = super::pipe::Pipe::new();
        let (read, write) = (pipe.open(true, false), pipe.open(false, true));
        let read = Self::nameless(read, Content::Fifo(pipe.clone()), flags, uid, gid)?;
        let inode = read.inode.clone();
        let access = Access::WRITE;
        let flags = AtomicU32::new((flags | OpenFlags::WRONLY).kept().bits());
        let offset = SpinLock::new(0);
        let write = Self {
            location: None,
            inode,
            object: Some(write),
            access,
            flags,
            keeps_set_ids: true,
            hold: Hold::None,
            offset,
        };
        Ok((read, Arc::new(write)))
    }

    /// An open file for an inode that has no name.
    pub(super) fn of_inode(inode: Arc<Inode>, access: Access, flags: OpenFlags) -> Arc<Self> {
        let (flags, offset) = (AtomicU32::new(flags.kept().bits()), SpinLock::new(0));
        Arc::new(Self {
            location: None,
            inode,
            object: None,
            access,
            flags,
            keeps_set_ids: true,
            hold: Hold::None,
            offset,
        })
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
        let flags = AtomicU32::new(flags.kept().bits());
        let offset = SpinLock::new(0);
        Ok(Arc::new(Self {
            location: None,
            inode,
            object: Some(object),
            access,
            flags,
            keeps_set_ids: true,
            hold: Hold::None,
            offset,
        }))
    }

    /// Tells the object that `thread` has opened it; the file to use, which may be another object's.
    pub fn opened_by(self: Arc<Self>, thread: &Arc<Thread>, flags: OpenFlags) -> Result<Arc<Self>, Errno> {
        let Some(object) = &self.object else { return Ok(self) };
        let Some(object) = object.opened(thread, flags)? else { return Ok(self) };
        let (location, inode) = (self.location.clone(), self.inode.clone());
        let (access, flags, keeps_set_ids) = (self.access, AtomicU32::new(self.flags().bits()), self.keeps_set_ids);
        let offset = SpinLock::new(0);
        let hold = Hold::None;
        Ok(Arc::new(Self { location, inode, object: Some(object), access, flags, keeps_set_ids, hold, offset }))
    }

    /// Where it was opened.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// Where it was opened, or for an object that has no name a place outside of all namespaces: where a magic link to
    /// the file leads.
    pub(super) fn place(&self) -> Location {
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
        let mut flags = self.flags() | OpenFlags::LARGEFILE;
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
    }

    /// Whether operations that would have to wait fail with EAGAIN instead.
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// Reads at the offset, and moves it.
    pub fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let data = match self.readable()? {
            Content::Regular(data) => data,
            _ if self.inode.is_directory() => return Poll::Ready(Err(Errno::EISDIR)),
            _ => match self.object::<OpenText>() {
                Some(text) => return Poll::Ready(self.at_offset(|at| text.read_at(at, sink))),
                None => return self.poll_object(|object| object.poll_read(cx, sink)),
            },
        };
        // The stretch is taken at once, so that two readers that share the offset get different bytes.
        let (start, count) = {
            let mut offset = self.offset.lock();
            let left = data.length_bytes().saturating_sub(*offset);
            let count = sink.remaining().min(usize::try_from(left).unwrap_or(usize::MAX));
            let start = *offset;
            *offset += count as u64;
            (start, count)
        };
        let result = data.read(start, count, sink);
        self.settle(start, count, &result);
        self.touch_accessed();
        Poll::Ready(result)
    }

    /// Reads at `at`; the offset stays.
    pub fn poll_read_at(&self, cx: &mut Context<'_>, at: u64, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        match self.readable()? {
            Content::Regular(data) => {
                let result = data.read(at, sink.remaining(), sink);
                self.touch_accessed();
                Poll::Ready(result)
            }
            _ if self.inode.is_directory() => Poll::Ready(Err(Errno::EISDIR)),
            _ => match self.object::<OpenText>() {
                Some(text) => Poll::Ready(text.read_at(at, sink)),
                None => {
                    self.positioned()?;
                    self.poll_object(|object| object.poll_read(cx, sink))
                }
            },
        }
    }

    /// Reads a regular file into kernel memory.
    pub fn read_at(&self, at: u64, mut bytes: &mut [u8]) -> Result<usize, Errno> {
        let Content::Regular(data) = self.readable()? else { return Err(Errno::EINVAL) };
        data.read(at, bytes.len(), &mut bytes)
    }

    /// Writes at the offset (or the end, with O_APPEND), and moves it. New frames are charged to `memory`. A regular
    /// file is not written at or behind byte `most` (RLIMIT_FSIZE): less is written, or EFBIG.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        memory: &MemoryGroup,
        most: u64,
    ) -> Poll<Result<usize, Errno>> {
        let Content::Regular(data) = self.writable()? else {
            return match self.object::<OpenText>() {
                Some(text) => Poll::Ready(self.at_offset(|_| text.write(source))),
                None => self.poll_object(|object| object.poll_write(cx, source, memory)),
            };
        };
        let count = source.remaining();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.flags().contains(OpenFlags::APPEND) {
            let result = self.append(data, source, memory, most);
            return Poll::Ready(result);
        }
        let (start, count) = {
            let mut offset = self.offset.lock();
            let start = *offset;
            let count = room(start, count, most)?;
            *offset = start.checked_add(count as u64).ok_or(Errno::EFBIG)?;
            (start, count)
        };
        let result = data.write(start, count, source, self.inode.superblock(), memory);
        self.settle(start, count, &result);
        self.written(&result);
        Poll::Ready(result)
    }

    /// Writes at the end, whatever the file was opened with. The offset is behind what was written then, or (`stays`)
    /// where it was.
    pub fn poll_append(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        memory: &MemoryGroup,
        most: u64,
        stays: bool,
    ) -> Poll<Result<usize, Errno>> {
        let Content::Regular(data) = self.writable()? else { return self.poll_write(cx, source, memory, most) };
        if source.remaining() == 0 {
            return Poll::Ready(Ok(0));
        }
        let before = *self.offset.lock();
        let result = self.append(data, source, memory, most);
        if stays {
            *self.offset.lock() = before;
        }
        Poll::Ready(result)
    }

    /// Writes at `at` (but at the end, with O_APPEND, as Linux does); the offset stays.
    pub fn poll_write_at(
        &self,
        cx: &mut Context<'_>,
        at: u64,
        source: &mut dyn Source,
        memory: &MemoryGroup,
        most: u64,
    ) -> Poll<Result<usize, Errno>> {
        let Content::Regular(data) = self.writable()? else {
            if let Some(text) = self.object::<OpenText>() {
                return Poll::Ready(text.write(source));
            }
            self.positioned()?;
            return self.poll_object(|object| object.poll_write(cx, source, memory));
        };
        if self.flags().contains(OpenFlags::APPEND) {
            return self.poll_append(cx, source, memory, most, true);
        }
        let result = data.write(at, room(at, source.remaining(), most)?, source, self.inode.superblock(), memory);
        self.written(&result);
        Poll::Ready(result)
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

    /// lseek(2).
    pub fn seek(&self, whence: Whence, by: i64) -> Result<u64, Errno> {
        let end = match &self.inode.content {
            _ if self.is_path_only() => return Err(Errno::EBADF),
            Content::Regular(data) => match whence {
                Whence::Data | Whence::Hole => {
                    let from = u64::try_from(by).map_err(|_| Errno::ENXIO)?;
                    let to = data.seek(from, whence == Whence::Hole)?;
                    *self.offset.lock() = to;
                    return Ok(to);
                }
                _ => data.length_bytes(),
            },
            _ if self.inode.is_directory() || self.object::<OpenText>().is_some() => match whence {
                Whence::Set | Whence::Current => 0,
                _ => return Err(Errno::EINVAL),
            },
            _ => return self.positioned().map(|()| 0),
        };
        let mut offset = self.offset.lock();
        let from = match whence {
            Whence::Current => *offset,
            Whence::End => end,
            _ => 0,
        };
        let to = from.checked_add_signed(by).filter(|to| *to <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
        *offset = to;
        Ok(to)
    }

    /// ftruncate(2). EFBIG to lengthen it beyond `most` bytes (RLIMIT_FSIZE).
    pub fn truncate(&self, length: u64, most: u64) -> Result<(), Errno> {
        if !self.access.contains(Access::WRITE) {
            return Err(if self.is_path_only() { Errno::EBADF } else { Errno::EINVAL });
        }
        let Content::Regular(data) = &self.inode.content else { return Err(Errno::EINVAL) };
        permit_length(data.length_bytes(), length, most)?;
        data.set_length(length, self.inode.superblock())?;
        self.inode.written(self.keeps_set_ids);
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

    /// Tells the entries from the offset on, until `tell` answers false; that entry is told again next time.
    /// Entries made or removed meanwhile neither hide nor repeat others.
    pub fn read_directory(&self, mut tell: impl FnMut(DirectoryEntry<'_>) -> bool) -> Result<(), Errno> {
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

    fn readable(&self) -> Result<&Content, Errno> {
        if self.access.contains(Access::READ) { Ok(&self.inode.content) } else { Err(Errno::EBADF) }
    }

    fn writable(&self) -> Result<&Content, Errno> {
        if self.access.contains(Access::WRITE) { Ok(&self.inode.content) } else { Err(Errno::EBADF) }
    }

    /// Moves the offset by what `transfer`, told the offset, has moved.
    fn at_offset(&self, transfer: impl FnOnce(u64) -> Result<usize, Errno>) -> Result<usize, Errno> {
        let start = *self.offset.lock();
        let moved = transfer(start)?;
        *self.offset.lock() = start + moved as u64;
        Ok(moved)
    }

    /// ESPIPE for an object that has no offsets.
    fn positioned(&self) -> Result<(), Errno> {
        let ignores = self.object.as_ref().is_some_and(|object| object.ignores_offsets());
        if ignores { Ok(()) } else { Err(Errno::ESPIPE) }
    }

    fn poll_object(
        &self,
        operation: impl FnOnce(&dyn FileObject) -> Poll<Result<usize, Errno>>,
    ) -> Poll<Result<usize, Errno>> {
        let object = self.object.as_ref().ok_or(Errno::EINVAL)?;
        match operation(&**object) {
            Poll::Pending if self.is_nonblocking() => Poll::Ready(Err(Errno::EAGAIN)),
            other => other,
        }
    }

    fn append(&self, data: &Data, source: &mut dyn Source, memory: &MemoryGroup, most: u64) -> Result<usize, Errno> {
        let count = source.remaining();
        let start = data.reserve_at_end(count)?;
        let end = start + count as u64;
        let result = room(start, count, most)
            .and_then(|count| data.write(start, count, source, self.inode.superblock(), memory));
        let written = start + *result.as_ref().unwrap_or(&0) as u64;
        if written < end {
            data.give_back_end(end, written);
        }
        *self.offset.lock() = written;
        self.written(&result);
        result
    }

    /// Gives back what of the stretch `start..start + count` was not used, unless the offset has moved on since.
    fn settle(&self, start: u64, count: usize, result: &Result<usize, Errno>) {
        let done = *result.as_ref().unwrap_or(&0);
        if done < count {
            let mut offset = self.offset.lock();
            if *offset == start + count as u64 {
                *offset = start + done as u64;
            }
        }
    }

    fn written(&self, result: &Result<usize, Errno>) {
        if result.is_ok() {
            self.inode.written(self.keeps_set_ids);
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

/// How many of `count` bytes may be written from `start` on; EFBIG for none.
fn room(start: u64, count: usize, most: u64) -> Result<usize, Errno> {
    match most.checked_sub(start) {
        None | Some(0) if count > 0 => Err(Errno::EFBIG),
        left => Ok(count.min(usize::try_from(left.unwrap_or(0)).unwrap_or(usize::MAX))),
    }
}

/// EFBIG when a file would become longer than `most` bytes.
pub(super) fn permit_length(before: u64, after: u64, most: u64) -> Result<(), Errno> {
    if after > before && after > most { Err(Errno::EFBIG) } else { Ok(()) }
}
