//! The root of a container: the mount namespace that is built for it, and the caller's view that it is built from.

use super::mounts;
use crate::{
    cgroup::MemoryGroup,
    fs::{self, Caller, ContainerMounts, Location},
    namespace::UserNamespace,
    security::Credentials,
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::{abi::Errno, config, engine::Error};
use veridian_hal::sync::SpinLock;

/// A container's root.
pub struct Root {
    /// Its mount namespace while it is built, and afterwards.
    mounts: SpinLock<ContainerMounts>,
    /// Where it lies in the creator's tree.
    source: Location,
}

impl Root {
    /// Opens the directory that `path` of the configuration names as a root of a namespace of its own, which `owner` rules.
    pub fn open(caller: &Thread, owner: &Arc<UserNamespace>, bundle: &Location, path: &str) -> Result<Self, Error> {
        let view = View::of(caller);
        let source = view.open(bundle, path)?;
        let mounts = ContainerMounts::new(&view.caller(), &source, owner)?;
        Ok(Self { mounts: SpinLock::new(mounts), source })
    }

    /// Works on its mounts.
    pub fn with_mounts<R>(&self, work: impl FnOnce(&mut ContainerMounts) -> R) -> R {
        work(&mut self.mounts.lock())
    }

    /// The creator's view, with the container's root in it where it lies, in the container's namespace: until it is
    /// [pivoted](Self::pivot).
    pub fn surrounded(&self, creator: &Caller<'_>) -> Result<fs::Context, Error> {
        Ok(self.with_mounts(|mounts| mounts.surrounded(creator, &self.source))?)
    }

    /// Makes it the root. It is the root of a namespace of its own already, unless something was made to surround it.
    pub fn pivot(&self, settings: &config::Root) -> Result<(), Error> {
        let sharing = (mounts::sharing(settings.propagation.kind), settings.propagation.recursive);
        self.with_mounts(|mounts| mounts.complete(settings.readonly, sharing))?;
        Ok(())
    }

    /// Takes its mounts down.
    pub fn close(self) {
        self.mounts.into_inner().undo();
    }
}

/// What a caller sees, copied so that no lock is held.
pub struct View {
    context: fs::Context,
    credentials: Arc<Credentials>,
    memory: Arc<MemoryGroup>,
}

impl View {
    /// That of a thread.
    pub fn of(thread: &Thread) -> Self {
        Self { context: thread.with_fs(|fs| fs.clone()), credentials: thread.credentials(), memory: thread.memory() }
    }

    /// As the file system wants it.
    pub fn caller(&self) -> Caller<'_> {
        Caller { context: &self.context, credentials: &self.credentials, memory: &self.memory, thread: None }
    }

    /// A path of the configuration: from the caller's root, or beneath the bundle, out of which it must not lead
    /// (EXDEV).
    pub fn open(&self, bundle: &Location, path: &str) -> Result<Location, Error> {
        let caller = self.caller();
        let found = if path.starts_with('/') {
            caller.resolve(bundle, path.as_bytes(), true)
        } else {
            caller.resolve_beneath(bundle, path.as_bytes())
        };
        found.map_err(|errno| match errno {
            Errno::EXDEV => Error::new(errno).reason("it leads out of the bundle"),
            _ => Error::new(errno),
        })
    }
}
