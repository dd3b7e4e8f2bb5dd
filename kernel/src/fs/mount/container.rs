//! The mount namespace of a container, built from its bundle.
//!
//! The container's root is the root mount of a namespace of its own, so there is nothing to pivot away from: no `..`,
//! descriptor or link leads to a mount that is not in the tree. Destinations are resolved with the new root as the
//! process's root: a symbolic link cannot lead out, wherever it points.

use super::{Mount, MountFlags, MountNamespace, MountOptions, change, namespace::copy_tree};
use crate::fs::{
    Caller, Context, Dentry, FileType, Location,
    inode::DeviceNumber,
    path::{LastKind, Look, Walk},
};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

/// A mount that a configuration asks for.
#[derive(Clone, Copy, Debug)]
pub struct MountRequest<'a> {
    /// Where, inside the container: an absolute path.
    pub destination: &'a [u8],
    /// The file system's type; unused for a bind mount.
    pub kind: &'a [u8],
    /// What to bind: a path as the caller sees it, relative to the bundle if not absolute.
    pub source: &'a [u8],
    /// Options, parsed.
    pub options: MountOptions,
}

/// What could not be mounted, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountError {
    /// The index of the mount request; `None` for the root.
    pub which: Option<usize>,
    /// Why.
    pub errno: Errno,
}

/// A container's namespace, not used by any process yet.
#[derive(Debug)]
pub struct ContainerMounts {
    /// The tree.
    pub namespace: Arc<MountNamespace>,
    /// Its root.
    pub root: Location,
    made: Vec<Made>,
}

/// A mount point that had to be made in the bundle.
#[derive(Debug)]
struct Made {
    directory: Arc<Dentry>,
    dentry: Arc<Dentry>,
}

impl ContainerMounts {
    /// Drops the namespace and removes the mount points that were made for it, so that the bundle is as it was.
    pub fn undo(self) {
        let Self { namespace, root, mut made } = self;
        drop((namespace, root));
        while let Some(Made { directory, dentry }) = made.pop() {
            crate::fs::change::withdraw(&directory, &dentry);
        }
    }
}

impl MountNamespace {
    /// The namespace of a container: `root_path` (as the caller sees it, relative to `bundle` if not absolute) as its
    /// root with what is mounted beneath, then each of `mounts` in order, then the root made read-only. Destinations
    /// that do not exist are made. On an error nothing is left of it.
    pub fn for_container(
        caller: &Caller<'_>,
        bundle: &Location,
        root_path: &[u8],
        readonly: bool,
        mounts: &[MountRequest<'_>],
    ) -> Result<ContainerMounts, MountError> {
        let of_root = |errno| MountError { which: None, errno };
        let mut container = Self::container_root(caller, bundle, root_path).map_err(of_root)?;
        for (index, request) in mounts.iter().enumerate() {
            if let Err(errno) = container.add(caller, bundle, request) {
                container.undo();
                return Err(MountError { which: Some(index), errno });
            }
        }
        if readonly && let Err(errno) = container.root.mount.set_flags(container.root.mount.flags() | MountFlags::RDONLY) {
            container.undo();
            return Err(of_root(errno));
        }
        Ok(container)
    }

    fn container_root(caller: &Caller<'_>, bundle: &Location, root_path: &[u8]) -> Result<ContainerMounts, Errno> {
        let source = caller.resolve(bundle, root_path, true)?;
        if !source.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let root = bind_from(caller, &source, true)?;
        let namespace = Self::new(root)?;
        Ok(ContainerMounts { root: namespace.root(), namespace, made: Vec::new() })
    }
}

impl ContainerMounts {
    fn add(&mut self, caller: &Caller<'_>, bundle: &Location, request: &MountRequest<'_>) -> Result<(), Errno> {
        if request.destination.first() != Some(&b'/') {
            return Err(Errno::EINVAL);
        }
        let mount = match request.options.bind {
            Some(recursive) => {
                let source = caller.resolve(bundle, request.source, true)?;
                let mount = bind_from(caller, &source, recursive)?;
                mount.set_flags(change::with(mount.flags(), request.options.flags))?;
                mount
            }
            None => change::new_file_system(
                request.kind,
                &request.options.file_system,
                request.options.flags,
                caller.memory,
            )?,
        };
        let context = Context {
            root: self.root.clone(),
            cwd: self.root.clone(),
            umask: 0o022,
            namespace: self.namespace.clone(),
        };
        let inside = Caller { context: &context, ..*caller };
        let is_directory = mount.root().inode().is_directory();
        let at = self.mountpoint(&inside, request.destination, is_directory)?;
        self.namespace.attach(&mut self.namespace.lock(), mount, at)
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
            if whole && found == self.root {
                return Err(Errno::EINVAL);
            }
            if whole {
                return Ok(found);
            }
        }
    }

    fn reach(&mut self, inside: &Caller<'_>, path: &[u8], is_directory: bool) -> Result<Location, Errno> {
        match inside.resolve(&self.root, path, true) {
            Err(Errno::ENOENT) => {}
            found => return found,
        }
        let mut walk = Walk::new(inside, &self.root, path)?;
        let last = walk.to_last()?;
        if last.kind != LastKind::Name || !matches!(walk.look(&last)?, Look::Absent) {
            // A link that leads nowhere is not made to lead somewhere.
            return Err(Errno::ENOENT);
        }
        if is_directory {
            inside.mkdir(&self.root, path, 0o755)?;
        } else {
            inside.mknod(&self.root, path, FileType::Regular, 0o755, DeviceNumber::new(0, 0))?;
        }
        let directory = walk.at.dentry.clone();
        let location = inside.resolve(&self.root, path, false)?;
        self.made.push(Made { directory, dentry: location.dentry.clone() });
        Ok(location)
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
