//! open(2): from a path to an open file.

use super::{
    Access, Caller, File, FileType, Inode, Location, MountFlags,
    file::Hold,
    inode::Content,
    inotify::{self, Events},
    overlay,
    path::{LastKind, Look, Resolve, Walk},
    tmpfs::Data,
};
use crate::{cgroup::devices::DeviceAccess, device, security::SetIds};
use alloc::{boxed::Box, sync::Arc};
use bitflags::bitflags;
use linux_raw_sys::general as linux;
use veridian_containers::abi::Errno;

bitflags! {
    /// Flags of openat(2), with the numbers of this architecture. Those that are not here are refused.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        /// Write only.
        const WRONLY = linux::O_WRONLY;
        /// Read and write.
        const RDWR = linux::O_RDWR;
        /// Make the file if it does not exist.
        const CREAT = linux::O_CREAT;
        /// With `CREAT`: fail if it exists.
        const EXCL = linux::O_EXCL;
        /// Do not make it the controlling terminal (nothing is, so this is always so).
        const NOCTTY = linux::O_NOCTTY;
        /// Cut the file to nothing.
        const TRUNC = linux::O_TRUNC;
        /// Each write goes to the end.
        const APPEND = linux::O_APPEND;
        /// Do not wait.
        const NONBLOCK = linux::O_NONBLOCK;
        /// Writes reach the storage before they return: in memory they always have.
        const DSYNC = linux::O_DSYNC;
        /// As `DSYNC`.
        const SYNC = linux::O_SYNC;
        /// Transfers without a cache: there is none.
        const DIRECT = linux::O_DIRECT;
        /// Large files: told of all that were opened by a name.
        const LARGEFILE = linux::O_LARGEFILE;
        /// It must be a directory.
        const DIRECTORY = linux::O_DIRECTORY;
        /// Do not follow a symbolic link as the last component.
        const NOFOLLOW = linux::O_NOFOLLOW;
        /// Leave the access time alone; for the owner.
        const NOATIME = linux::O_NOATIME;
        /// Close on exec.
        const CLOEXEC = linux::O_CLOEXEC;
        /// A place only: nothing is opened.
        const PATH = linux::O_PATH;
        /// With `DIRECTORY`: a new file of that directory's file system, without a name.
        const TMPFILE = linux::__O_TMPFILE;
    }
}

impl OpenFlags {
    /// Flags that F_SETFL may change, of those that there are.
    pub const SETTABLE: Self = Self::APPEND.union(Self::NONBLOCK).union(Self::NOATIME).union(Self::DIRECT);
    /// Flags that F_GETFL tells, with the way of access.
    const KEPT: Self =
        Self::SETTABLE.union(Self::WRONLY).union(Self::RDWR).union(Self::SYNC).union(Self::PATH).union(Self::LARGEFILE);

    /// What is asked for: EINVAL for both ways of writing at once.
    pub(super) fn access(self) -> Result<Access, Errno> {
        match self & (Self::WRONLY | Self::RDWR) {
            flags if flags.is_empty() => Ok(Access::READ),
            Self::WRONLY => Ok(Access::WRITE),
            Self::RDWR => Ok(Access::READ | Access::WRITE),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What an open file remembers of the flags it was opened with.
    pub(super) fn kept(self) -> Self {
        self & Self::KEPT
    }
}

/// A program that may be executed.
#[derive(Clone, Debug)]
pub struct Executable {
    /// Its bytes.
    pub source: Arc<File>,
    /// The ids that it sets: none on a nosuid mount.
    pub set_ids: SetIds,
    /// Whether the caller may read it too.
    pub readable: bool,
}

impl Caller<'_> {
    /// openat(2). `mode` is for a file that is made. A fifo may still have to wait for its other end:
    /// [`File::poll_opened`].
    pub fn open(&self, base: &Location, path: &[u8], flags: OpenFlags, mode: u16) -> Result<Arc<File>, Errno> {
        self.open_within(base, path, flags, mode, Resolve::empty())
    }

    /// openat2(2): as [`Self::open`], on a way that `resolve` allows.
    pub fn open_within(
        &self,
        base: &Location,
        path: &[u8],
        flags: OpenFlags,
        mode: u16,
        resolve: Resolve,
    ) -> Result<Arc<File>, Errno> {
        let mut walk = Walk::within(self, base, path, resolve)?;
        let follow = !flags.contains(OpenFlags::NOFOLLOW);
        if flags.contains(OpenFlags::PATH) {
            return self.open_path(walk.reach_end(follow)?, flags);
        }
        let access = flags.access()?;
        if flags.contains(OpenFlags::TMPFILE) {
            if !flags.contains(OpenFlags::DIRECTORY)
                || flags.contains(OpenFlags::CREAT)
                || !access.contains(Access::WRITE)
            {
                return Err(Errno::EINVAL);
            }
            let directory = walk.reach_end(follow)?;
            let dentry = self.make_unnamed(&directory, mode & 0o7777, !flags.contains(OpenFlags::EXCL))?;
            let location = Location { mount: directory.mount, dentry };
            return self.open_location(location, flags - (OpenFlags::DIRECTORY | OpenFlags::TRUNC), access, true);
        }
        if !flags.contains(OpenFlags::CREAT) {
            let location = walk.reach_end(follow)?;
            return self.open_location(location, flags, access, false);
        }
        if flags.contains(OpenFlags::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        let exclusive = flags.contains(OpenFlags::EXCL);
        loop {
            let last = walk.reach_last()?;
            if last.slash || last.kind != LastKind::Name {
                return Err(Errno::EISDIR);
            }
            match walk.look(&last)? {
                Look::Absent => {
                    let content = Content::Regular(Box::new(Data::new()));
                    match self.make(&walk.at, walk.name(&last), content, mode & 0o7777) {
                        Ok(dentry) => {
                            let location = Location { mount: walk.at.mount.clone(), dentry };
                            return self.open_location(location, flags, access, true);
                        }
                        // Made by another meanwhile.
                        Err(Errno::EEXIST) if !exclusive => match walk.look(&last)? {
                            Look::At(location) => return self.open_location(location, flags, access, false),
                            Look::Link(_) | Look::Absent => return Err(Errno::ENOENT),
                        },
                        Err(errno) => return Err(errno),
                    }
                }
                Look::At(_) | Look::Link(_) if exclusive => return Err(Errno::EEXIST),
                Look::At(location) => return self.open_location(location, flags, access, false),
                Look::Link(_) if flags.contains(OpenFlags::NOFOLLOW) => return Err(Errno::ELOOP),
                Look::Link(link) => {
                    if let Some(place) = walk.follow(&link)? {
                        return self.open_location(place, flags, access, false);
                    }
                }
            }
        }
    }

    /// Opens a program for execve(2): a regular file, executable for the caller, on a mount that lets it.
    pub fn open_executable(&self, base: &Location, path: &[u8]) -> Result<Executable, Errno> {
        let location = self.resolve(base, path, true)?;
        self.executable(location)
    }

    /// As [`Self::open_executable`], of a place already known.
    pub fn executable(&self, location: Location) -> Result<Executable, Errno> {
        let inode = location.inode();
        if !matches!(inode.real().content, Content::Regular(_)) || location.mount.flags().contains(MountFlags::NOEXEC) {
            return Err(Errno::EACCES);
        }
        inode.permit(self.credentials, Access::EXECUTE)?;
        location.mount.touch_accessed(inode);
        let set_ids = self.set_ids(&location);
        let readable = inode.permit(self.credentials, Access::READ).is_ok();
        let hold = hold(inode.real(), Hold::Executes)?;
        inotify::notify(&location.dentry, Events::OPEN);
        let source = File::new(location, Access::READ, OpenFlags::empty(), None, false, hold);
        Ok(Executable { source, set_ids, readable })
    }

    fn open_path(&self, location: Location, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        if flags.contains(OpenFlags::DIRECTORY) && !location.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(File::new(location, Access::empty(), OpenFlags::PATH, None, false, Hold::None))
    }

    /// Opens what is at `location`. Who made it just now may write it whatever its mode says.
    fn open_location(
        &self,
        location: Location,
        flags: OpenFlags,
        access: Access,
        made: bool,
    ) -> Result<Arc<File>, Errno> {
        let inode = location.inode();
        if flags.contains(OpenFlags::DIRECTORY) && !inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let cut = flags.contains(OpenFlags::TRUNC) && !made;
        let wanted = if cut { access | Access::WRITE } else { access };
        match inode.file_type() {
            FileType::Symlink => return Err(Errno::ELOOP),
            FileType::Directory if wanted.contains(Access::WRITE) || flags.contains(OpenFlags::CREAT) => {
                return Err(Errno::EISDIR);
            }
            FileType::CharacterDevice | FileType::BlockDevice if location.mount.forbids_devices() => {
                return Err(Errno::EACCES);
            }
            _ => {}
        }
        if !made {
            inode.permit(self.credentials, wanted)?;
        }
        if let Content::Device(kind, number) = inode.content {
            self.permit_device(kind, number, device_access(wanted))?;
        }
        if flags.contains(OpenFlags::NOATIME) {
            inode.permit_owner(self.credentials)?;
        }
        let keeps_set_ids = self.credentials.capable(crate::security::Capabilities::FSETID);
        let is_written = wanted.contains(Access::WRITE) && inode.file_type() == FileType::Regular;
        if is_written && inode.overlay_node().is_some() {
            let _change = location.mount.begin_change()?;
            overlay::copy_up(&location.dentry, !cut, self.memory)?;
        }
        let inode = inode.real();
        let mut held = Hold::None;
        let object: Option<Arc<dyn super::FileObject>> = match &inode.content {
            Content::Regular(data) => {
                let change = if wanted.contains(Access::WRITE) { Some(location.mount.begin_change()?) } else { None };
                if wanted.contains(Access::WRITE) {
                    held = hold(inode, Hold::Writes)?;
                }
                let result = if cut { data.set_length(0, inode.superblock()) } else { Ok(()) };
                if held == Hold::Writes && (result.is_err() || !access.contains(Access::WRITE)) {
                    data.used.end(false);
                    held = Hold::None;
                }
                result?;
                if cut {
                    inode.written(keeps_set_ids);
                }
                if access.contains(Access::WRITE) {
                    // Taken over by the file, which gives it back when it is closed.
                    core::mem::forget(change);
                }
                None
            }
            Content::Synthetic(node) => {
                let change =
                    if inode.holds_mount_writable(access) { Some(location.mount.begin_change()?) } else { None };
                let object = node.open(self, access)?;
                core::mem::forget(change);
                Some(object)
            }
            Content::Device(file_type, number) => Some(device::open(*file_type, *number).ok_or(Errno::ENXIO)?),
            Content::Fifo(pipe) => {
                // A layer's fifo is one for each overlay: nobody meets in a lower layer.
                let pipe = location.inode().overlay_node().map_or(pipe, |node| node.pipe());
                let (reads, writes) = (access.contains(Access::READ), access.contains(Access::WRITE));
                if writes && !reads && flags.contains(OpenFlags::NONBLOCK) && pipe.awaits_readers() {
                    return Err(Errno::ENXIO);
                }
                Some(pipe.open(reads, writes))
            }
            Content::Directory(_) => None,
            Content::Symlink(_) | Content::Socket(_) | Content::Anonymous | Content::Overlay(_) => {
                return Err(Errno::ENXIO);
            }
        };
        if cut && inode.file_type() == FileType::Regular {
            inotify::notify(&location.dentry, Events::MODIFY);
        }
        inotify::notify(&location.dentry, Events::OPEN);
        Ok(File::new(location, access, flags.kept(), object, keeps_set_ids, held))
    }

    /// What the set-id bits at `location` mean to the caller. They mean nothing on a nosuid mount, on a mount of another
    /// mount namespace, in a file system of a user namespace that the caller's is not in, and where the caller's user
    /// namespace has no such ids: nobody gets by them what he could not have been given there.
    fn set_ids(&self, location: &Location) -> SetIds {
        let namespace = &self.credentials.user_namespace;
        let status = location.inode().status();
        let counts = !location.mount.flags().contains(MountFlags::NOSUID)
            && self.context.namespace.has(&location.mount)
            && location.inode().superblock().owner().contains(namespace)
            && namespace.maps(status.uid, status.gid);
        if !counts {
            return SetIds::default();
        }
        SetIds {
            uid: (status.mode & 0o4000 != 0).then_some(status.uid),
            gid: (status.mode & 0o2010 == 0o2010).then_some(status.gid),
        }
    }
}

/// Keeps others from executing the file, or from writing it; ETXTBSY.
fn hold(inode: &Inode, hold: Hold) -> Result<Hold, Errno> {
    if let Content::Regular(data) = &inode.content {
        data.used.begin(hold == Hold::Executes)?;
    }
    Ok(hold)
}

/// What an open for `access` does with a device.
fn device_access(access: Access) -> DeviceAccess {
    let mut device = DeviceAccess::empty();
    device.set(DeviceAccess::READ, access.contains(Access::READ));
    device.set(DeviceAccess::WRITE, access.contains(Access::WRITE));
    device
}
