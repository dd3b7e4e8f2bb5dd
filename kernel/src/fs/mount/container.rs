//! The mount namespace of a container, built from its bundle.
//!
//! The container's root is the root mount of a namespace of its own, so there is nothing to pivot away from: no `..`,
//! descriptor or link leads to a mount that is not in the tree. Destinations are resolved with the new root as the
//! process's root: a symbolic link cannot lead out, wherever it points.

use super::{
    Mount, MountFlags, MountNamespace, Reflag, Sharing, SuperFlags, TmpfsOptions,
    attributes::set_flags,
    copy::Copying,
    propagation::{Kinship, Propagation},
    topology::Topology,
};
use crate::fs::{
    Caller, Context, Dentry, FileType, Location, OverlayLayers, change, devfs,
    inode::DeviceNumber,
    overlay,
    path::{LastKind, Look, Walk},
    tmpfs, types,
};
use crate::{namespace::UserNamespace, security::Capabilities};
use alloc::{string::String, sync::Arc, vec, vec::Vec};
use veridian_containers::abi::Errno;

/// A mount that a configuration asks for.
#[derive(Clone, Debug)]
pub struct MountRequest<'a> {
    /// Where, inside the container: an absolute path.
    pub destination: &'a [u8],
    /// What.
    pub source: MountSource,
    /// What /proc tells as the source.
    pub name: &'a [u8],
    /// Flags that the mount gets, and those that it does not keep of what it is bound from.
    pub flags: Reflag,
    /// The same, of it and of all that is bound along with it, after [`Self::flags`].
    pub flags_beneath: Reflag,
    /// Of the file system, if that is new or mounted anew.
    pub superblock: SuperFlags,
    /// How mounts travel to it and from it once the container is complete; if the second is true, also to and from
    /// what is bound along with it.
    pub sharing: Option<(Sharing, bool)>,
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
    /// As [`Self::Tmpfs`], with the default devices and links in it.
    TmpfsWithDevices(TmpfsOptions),
    /// A new file system of another type.
    Other {
        /// The type's name.
        kind: &'static str,
        /// Its options, as mount(2) takes them.
        data: String,
    },
    /// A new overlay.
    Overlay(OverlayLayers),
    /// What is mounted there already.
    Remount {
        /// Whether the flags of the file system stay as they are.
        bind: bool,
    },
    /// Another new file system, by its root.
    Tree(Arc<Dentry>),
}

/// A container's namespace while it is built. Dropped, it leaves nothing but the mount points that it made, and
/// [`Self::undo`] removes those too.
#[derive(Debug)]
pub struct ContainerMounts {
    pub(super) context: Context,
    /// The creator's view of it, while there is one.
    pub(super) surroundings: Option<Context>,
    pub(super) made: Vec<Made>,
    /// Whether it is for another user namespace than the one that the caller's mounts are ruled from.
    foreign: bool,
    root: Vec<Bound>,
    /// What becomes what when the container is complete. Until then every mount is private: what is mounted while the
    /// container is built is seen nowhere else.
    sharing: Vec<(Bound, Sharing)>,
}

/// A mount of the container, and what its original sends and receives.
#[derive(Clone, Debug)]
struct Bound {
    mount: Arc<Mount>,
    origin: Propagation,
}

/// What had to be made in the bundle: a mount point, a node.
#[derive(Debug)]
pub(super) struct Made {
    pub directory: Arc<Dentry>,
    pub dentry: Arc<Dentry>,
}

impl ContainerMounts {
    /// A namespace of `owner` with the directory `source` of the caller's tree as its root, and with what is mounted
    /// beneath. EPERM for who may not change the caller's mounts: he could take the copy apart.
    pub fn new(caller: &Caller<'_>, source: &Location, owner: &Arc<UserNamespace>) -> Result<Self, Errno> {
        caller.permit_mount()?;
        if !source.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let root = bind_from(caller, source, true)?;
        let context = Context::at_root_of(MountNamespace::new(root[0].mount.clone(), owner)?);
        let foreign = caller.context.namespace.owner() != owner;
        Ok(Self { context, surroundings: None, made: Vec::new(), foreign, root, sharing: Vec::new() })
    }

    /// Mounts what `request` asks for, on top of what is there. The destination is made if it does not exist. On an
    /// error everything is as it was.
    pub fn add(&mut self, caller: &Caller<'_>, request: MountRequest<'_>) -> Result<(), Errno> {
        if request.destination.first() != Some(&b'/') {
            return Err(Errno::EINVAL);
        }
        let tree = match &request.source {
            MountSource::Bind { source, recursive } => {
                let bound = bind_from(caller, source, *recursive)?;
                return self.place(caller, &request, bound);
            }
            MountSource::Tree(root) => {
                types::permit_tree(root, caller)?;
                self.refuse_link(caller, request.destination)?;
                root.clone()
            }
            MountSource::Remount { bind } => return self.remount(caller, &request, *bind),
            MountSource::Tmpfs(options) => {
                let owner = self.context.namespace.owner();
                tmpfs::tree(&options.mapped(owner)?, owner, caller.memory)?
            }
            MountSource::Overlay(layers) => {
                types::permit("overlay", caller)?;
                overlay::tree(layers, caller)?
            }
            MountSource::Dev => {
                types::permit("dev", caller)?;
                devfs::tree("dev", &TmpfsOptions::default(), caller.memory)?
            }
            MountSource::TmpfsWithDevices(options) => {
                let owner = self.context.namespace.owner();
                devfs::tree("tmpfs", &options.mapped(owner)?, caller.memory)?
            }
            MountSource::Other { kind, data } => types::tree(kind.as_bytes(), data.as_bytes(), caller)?,
        };
        tree.inode().superblock().add_flags(request.superblock)?;
        let mount = Mount::of_tree(tree, request.name, MountFlags::empty(), caller.memory)?;
        self.place(caller, &request, vec![Bound { mount, origin: Propagation::Private }])
    }

    /// Gives the mounts `bound`, of which the first holds the others, their flags and their place.
    fn place(&mut self, caller: &Caller<'_>, request: &MountRequest<'_>, bound: Vec<Bound>) -> Result<(), Errno> {
        let mounts: Vec<Arc<Mount>> = bound.iter().map(|bound| bound.mount.clone()).collect();
        set_flags(&mounts[..1], request.flags)?;
        set_flags(&mounts, request.flags_beneath)?;
        let made_before = self.made.len();
        let context = self.context.clone();
        let inside = Caller { context: &context, ..*caller };
        let is_directory = mounts[0].root().inode().is_directory();
        let attached = self
            .mountpoint(&inside, request.destination, is_directory)
            .and_then(|at| Topology::lock().attach(mounts[0].clone(), at, caller.memory));
        if attached.is_err() {
            self.withdraw_from(made_before);
        } else {
            self.note_sharing(request, &bound);
        }
        attached
    }

    /// A further mount of what is at `place` in the container, for the container itself.
    pub(super) fn bind_own(inside: &Caller<'_>, place: &Location) -> Result<Vec<Arc<Mount>>, Errno> {
        Ok(bind_from(inside, place, true)?.into_iter().map(|bound| bound.mount).collect())
    }

    /// ELOOP where `path` ends at a symbolic link: what shows kernel objects must be where programs look for it, not
    /// where files of the container lead it.
    fn refuse_link(&self, caller: &Caller<'_>, path: &[u8]) -> Result<(), Errno> {
        let inside = Caller { context: &self.context, ..*caller };
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        match inside.resolve(&self.context.root, &path[..end], false) {
            Ok(found) if found.inode().is_symlink() => Err(Errno::ELOOP),
            _ => Ok(()),
        }
    }

    /// Sets the flags of what is mounted at the destination.
    fn remount(&mut self, caller: &Caller<'_>, request: &MountRequest<'_>, bind: bool) -> Result<(), Errno> {
        let inside = Caller { context: &self.context, ..*caller };
        let target = inside.resolve(&self.context.root, request.destination, true)?;
        if !target.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        let _topology = Topology::lock();
        if !bind {
            let superblock = target.mount.superblock();
            if !caller.credentials.capable_in(superblock.owner(), Capabilities::SYS_ADMIN) {
                return Err(Errno::EPERM);
            }
            superblock.set_flags(request.superblock)?;
        }
        set_flags(core::slice::from_ref(&target.mount), request.flags)?;
        set_flags(&target.mount.subtree(), request.flags_beneath)?;
        self.note_sharing(request, &[Bound { origin: target.mount.propagation(), mount: target.mount }]);
        Ok(())
    }

    fn note_sharing(&mut self, request: &MountRequest<'_>, bound: &[Bound]) {
        if let Some((sharing, beneath)) = request.sharing {
            let count = if beneath { bound.len() } else { 1 };
            self.sharing.extend(bound[..count].iter().map(|bound| (bound.clone(), sharing)));
        }
    }

    /// The container is complete: nothing surrounds its root any more, its root is read-only if it is to be (EBUSY while something is written there) and
    /// what `sharing` says (with `true` along with what is bound with it), and its mounts are what their requests said.
    pub fn complete(&mut self, readonly: bool, sharing: (Sharing, bool)) -> Result<(), Errno> {
        self.cut_off();
        let _topology = Topology::lock();
        if readonly {
            let mount = &self.context.root.mount;
            mount.set_flags(mount.flags() | MountFlags::RDONLY)?;
        }
        let count = if sharing.1 { self.root.len() } else { 1 };
        let root = core::mem::take(&mut self.root).into_iter().take(count).map(|bound| (bound, sharing.0));
        for (Bound { mount, origin }, sharing) in root.chain(core::mem::take(&mut self.sharing)) {
            // Nothing is sent from there to where there are more rights.
            mount.set_propagation(if self.foreign { origin.of_copy(Kinship::Slave) } else { origin });
            mount.share(sharing);
        }
        if self.foreign {
            self.context.root.mount.lock_tree();
        }
        Ok(())
    }

    /// Whether it is for another user namespace than the one that the caller's mounts are ruled from.
    pub(super) const fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// At the container's root, for its first process.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Drops the namespace and removes the mount points that were made for it, as far as they are still empty and
    /// nothing is mounted there: the bundle is as it was.
    pub fn undo(self) {
        let mut mounts = self;
        mounts.cut_off();
        let Self { context, made, root, sharing, .. } = mounts;
        drop((context, root, sharing));
        made.into_iter().rev().for_each(Made::withdraw);
    }

    pub(super) fn withdraw_from(&mut self, first: usize) {
        self.made.split_off(first).into_iter().rev().for_each(Made::withdraw);
    }

    /// Where `path` leads in the container; what is missing of it is made: directories, and at the end a directory or
    /// an empty file.
    pub(super) fn mountpoint(
        &mut self,
        inside: &Caller<'_>,
        path: &[u8],
        is_directory: bool,
    ) -> Result<Location, Errno> {
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

/// Private copies of what is at `source`, in the caller's namespace, and of what is mounted beneath it. EINVAL where one
/// alone would show what a locked mount hides.
fn bind_from(caller: &Caller<'_>, source: &Location, recursive: bool) -> Result<Vec<Bound>, Errno> {
    let _topology = Topology::lock();
    if !caller.context.namespace.has(&source.mount) || source.mount.is_unbindable() {
        return Err(Errno::EINVAL);
    }
    if !recursive && source.mount.has_locked_beneath(&source.dentry) {
        return Err(Errno::EINVAL);
    }
    let copying = Copying { recursive, kinship: Kinship::Private, unbindable: false, memory: caller.memory };
    let mut bound = Vec::new();
    copying.copy(&source.mount, &source.dentry, &mut |from, to| {
        bound.push(Bound { mount: to.clone(), origin: from.propagation() });
    })?;
    Ok(bound)
}
