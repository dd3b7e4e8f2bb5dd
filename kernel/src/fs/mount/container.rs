//! The mount namespace of a container, built from its bundle.
//!
//! The container's root is the root mount of a namespace of its own, so there is nothing to pivot away from: no `..`,
//! descriptor or link leads to a mount that is not in the tree. Destinations are resolved with the new root as the
//! process's root: a symbolic link cannot lead out, wherever it points.

use super::{Mount, MountFlags, MountNamespace, TmpfsOptions, namespace::copy_tree};
use crate::fs::{
    Caller, Context, Dentry, FileType, Location, change, devfs,
    inode::DeviceNumber,
    path::{LastKind, Look, Walk},
    tmpfs,
};
use crate::namespace::UserNamespace;
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

/// A mount that a configuration asks for.
#[derive(Clone, Debug)]
pub struct MountRequest<'a> {
    /// Where, inside the container: an absolute path.
    pub destination: &'a [u8],
    /// What.
    pub source: MountSource,
    /// Flags that the mount gets.
    pub set: MountFlags,
    /// Flags that it does not keep of the mount that it is bound from.
    pub cleared: MountFlags,
}

/// What is mounted.
#[derive(Clone, Debug)]
pub enum MountSource {
    /// A part of the caller's tree.
    Bind {
        /// Which, already resolved.
        source: Location,
        /// With what is mounted beneath it.
        recursive: bool,
    },
    /// A new tmpfs.
    Tmpfs(TmpfsOptions),
    /// A new `dev` file system.
    Dev,
}

/// A container's namespace while it is built. Dropped, it leaves nothing but the mount points that it made, and
/// [`Self::undo`] removes those too.
#[derive(Debug)]
pub struct ContainerMounts {
    context: Context,
    made: Vec<Made>,
}

/// A mount point that had to be made in the bundle.
#[derive(Debug)]
struct Made {
    directory: Arc<Dentry>,
    dentry: Arc<Dentry>,
}

impl ContainerMounts {
    /// A namespace of `owner` with the directory `source` of the caller's tree as its root, and with what is mounted
    /// beneath.
    pub fn new(caller: &Caller<'_>, source: &Location, owner: &Arc<UserNamespace>) -> Result<Self, Errno> {
        if !source.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let root = bind_from(caller, source, true)?;
        Ok(Self { context: Context::at_root_of(MountNamespace::new(root, owner)?), made: Vec::new() })
    }

    /// Mounts what `request` asks for, on top of what is there. The destination is made if it does not exist. On an
    /// error everything is as it was.
    pub fn add(&mut self, caller: &Caller<'_>, request: MountRequest<'_>) -> Result<(), Errno> {
        if request.destination.first() != Some(&b'/') {
            return Err(Errno::EINVAL);
        }
        let mount = match &request.source {
            MountSource::Bind { source, recursive } => bind_from(caller, source, *recursive)?,
            MountSource::Tmpfs(options) => {
                tmpfs::mount(options, MountFlags::empty(), self.context.namespace.owner(), caller.memory)?
            }
            MountSource::Dev => devfs::mount(&TmpfsOptions::default(), MountFlags::empty(), caller.memory)?,
        };
        mount.set_flags(super::change::with(mount.flags() - request.cleared, request.set))?;
        let made_before = self.made.len();
        let context = self.context.clone();
        let inside = Caller { context: &context, ..*caller };
        let is_directory = mount.root().inode().is_directory();
        let attached = self
            .mountpoint(&inside, request.destination, is_directory)
            .and_then(|at| context.namespace.attach(&mut context.namespace.lock(), mount, at));
        if attached.is_err() {
            self.withdraw_from(made_before);
        }
        attached
    }

    /// Makes the root mount read-only: EBUSY while something is written there.
    pub fn make_root_readonly(&mut self) -> Result<(), Errno> {
        let mount = &self.context.root.mount;
        mount.set_flags(mount.flags() | MountFlags::RDONLY)
    }

    /// At the container's root, for its first process.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Drops the namespace and removes the mount points that were made for it, as far as they are still empty and
    /// nothing is mounted there: the bundle is as it was.
    pub fn undo(self) {
        let Self { context, made } = self;
        drop(context);
        made.into_iter().rev().for_each(Made::withdraw);
    }

    fn withdraw_from(&mut self, first: usize) {
        self.made.split_off(first).into_iter().rev().for_each(Made::withdraw);
    }

    /// Where `path` leads in the container; what is missing of it is made: directories, and at the end a directory or
    /// an empty file.
    fn mountpoint(&mut self, inside: &Caller<'_>, path: &[u8], is_directory: bool) -> Result<Location, Errno> {
        let mut end = 0;
        loop {
            // One component more each time, so that each is resolved with those before it in being.
            end = match path[end + 1..].iter().position(|&byte| byte == b'/') {
                Some(length) => end + 1 + length,
                None => path.len(),
            };
            let whole = path[end..].iter().all(|&byte| byte == b'/');
            let found = self.reach(inside, &path[..end], is_directory || !whole)?;
            if whole && found == inside.context.root {
                return Err(Errno::EINVAL);
            }
            if whole {
                return Ok(found);
            }
        }
    }

    fn reach(&mut self, inside: &Caller<'_>, path: &[u8], is_directory: bool) -> Result<Location, Errno> {
        let root = &inside.context.root;
        match inside.resolve(root, path, true) {
            Err(Errno::ENOENT) => {}
            found => return found,
        }
        let mut walk = Walk::new(inside, root, path)?;
        let last = walk.reach_last()?;
        if last.kind != LastKind::Name || !matches!(walk.look(&last)?, Look::Absent) {
            // A link that leads nowhere is not made to lead somewhere.
            return Err(Errno::ENOENT);
        }
        if is_directory {
            inside.mkdir(root, path, 0o755)?;
        } else {
            inside.mknod(root, path, FileType::Regular, 0o755, DeviceNumber::new(0, 0))?;
        }
        let directory = walk.at.dentry.clone();
        let location = inside.resolve(root, path, false)?;
        self.made.push(Made { directory, dentry: location.dentry.clone() });
        Ok(location)
    }
}

impl Made {
    fn withdraw(self) {
        change::withdraw(&self.directory, &self.dentry);
    }
}

/// A bind mount of what is at `source`, in the caller's namespace.
fn bind_from(caller: &Caller<'_>, source: &Location, recursive: bool) -> Result<Arc<Mount>, Errno> {
    let namespace = &caller.context.namespace;
    let _tree = namespace.lock();
    if !namespace.has(&source.mount) {
        return Err(Errno::EINVAL);
    }
    copy_tree(&source.mount, &source.dentry, recursive, &mut |_, _| {})
}
