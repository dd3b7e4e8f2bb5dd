//! What the engine asks of a kernel.

use core::future::Future;

use super::{ContainerKey, Error};
use crate::config::{self, Mount, Process, Resources};
use crate::{ContainerId, NamespaceSet, Signal};

/// A kernel, as far as containers need one.
///
/// Each method is one operation on objects that are already held; no path is ever looked up twice. Three kinds:
///
/// * *Operations* return futures and may fail. A failed operation has changed nothing. So has one whose future is
///   dropped before it is ready: the engine drops it when the task that called the engine is killed. A blocking
///   kernel writes `async fn` bodies without an await and calls the engine through [`drive`](super::drive).
/// * *Undo* methods take a handle by value, cannot wait and cannot fail: what a kernel has built, it can give
///   back. They run in the reverse order of the operations, after a failed create and at delete alike.
/// * `signal_process` and `process_id` neither wait nor are undone.
///
/// The engine calls no method while it holds a lock of its own, so a method may call the engine.
pub trait Platform: Send + Sync {
    /// Who asks: the task whose system call this is, with its credentials, its root and mount namespace, its
    /// descriptors 0 to 2 (which become the container's) and its pid namespace.
    type Caller: Send + Sync + ?Sized;
    /// A directory that is held open: the bundle.
    type Directory: Send + Sync + ?Sized;
    /// A cgroup with its limits.
    type Cgroup: Send + Sync;
    /// The set of namespaces that the container's process gets: new ones as asked, the caller's else.
    type Namespaces: Send + Sync;
    /// The directory that is the container's root.
    type Root: Send + Sync;
    /// The container's first process.
    type Process: Send + Sync;

    /// Makes a cgroup below the caller's own, named for the container, and sets its limits. Whatever is charged
    /// to it later stays within `limits` and within those of every cgroup above it.
    fn create_cgroup(
        &self,
        caller: &Self::Caller,
        id: &ContainerId,
        limits: &Resources,
    ) -> impl Future<Output = Result<Self::Cgroup, Error>> + Send;

    /// Makes one new namespace of each kind in `new` and takes the caller's of every other kind. A new mount
    /// namespace begins as a copy of the caller's, from which no change goes back; a new uts namespace with the
    /// caller's names; in a new pid namespace the container's process will be pid 1. Memory that they need is
    /// charged to `cgroup` where the platform charges for it.
    fn create_namespaces(
        &self,
        caller: &Self::Caller,
        cgroup: &Self::Cgroup,
        new: NamespaceSet,
    ) -> impl Future<Output = Result<Self::Namespaces, Error>> + Send;

    /// Sets the host name of the new uts namespace.
    fn set_hostname(
        &self,
        namespaces: &Self::Namespaces,
        hostname: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Opens the directory that will be the container's root. An absolute `path` starts at the caller's root; a
    /// relative one starts at `bundle` and must not lead out of it, by `..` or by a symbolic link (EXDEV, as
    /// openat2(2) says for `RESOLVE_BENEATH`). ENOTDIR if it is no directory. Called only with a new mount
    /// namespace.
    fn open_root(
        &self,
        caller: &Self::Caller,
        namespaces: &Self::Namespaces,
        bundle: &Self::Directory,
        path: &str,
    ) -> impl Future<Output = Result<Self::Root, Error>> + Send;

    /// Mounts a file system in the new mount namespace. The destination is resolved inside `root` as if it were
    /// `/` already: neither `..` nor a symbolic link leads out. The source of a bind mount is resolved like the
    /// path of [`open_root`](Self::open_root). `mount.set` holds from the first moment the mount is visible; a
    /// bind mount keeps the flags of its source but for `mount.cleared`.
    fn mount(
        &self,
        caller: &Self::Caller,
        namespaces: &Self::Namespaces,
        root: &Self::Root,
        bundle: &Self::Directory,
        mount: &Mount,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes `root` the root of the new mount namespace and drops from it all that is not below: nothing of the
    /// caller's view can be reached any more, by any path or descriptor. With `settings.readonly` the root mount (not
    /// the mounts below it) is read-only from here on. From here on, too, mounts and unmounts spread as
    /// `settings.propagation` and each mount's `propagation` say; before, no mount of the container is seen elsewhere.
    fn pivot_root(
        &self,
        namespaces: &Self::Namespaces,
        root: &Self::Root,
        settings: &config::Root,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes the container's first process and holds it before its first instruction. `process.args[0]` is found
    /// as execvp(3) does, by the `PATH` of `process.env` if it holds no slash, and in the container's own view.
    /// The process has nothing of the caller's but descriptors 0, 1 and 2. When it ends, and whatever else is
    /// left in the cgroup has ended too, the platform calls [`Engine::exited`](super::Engine::exited) with `key`.
    /// ENOENT, EACCES, ENOEXEC and so on as execve(2) says; the error names the operand if that is another than
    /// the program, the working directory for one.
    fn load_process(
        &self,
        caller: &Self::Caller,
        key: ContainerKey,
        housing: Housing<'_, Self>,
        process: &Process,
    ) -> impl Future<Output = Result<Self::Process, Error>> + Send;

    /// Lets the held process run. ESRCH if it was killed in the meantime.
    fn start_process(&self, process: &Self::Process) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes a signal pending for the process. SIGKILL ends it even while it is held. From outside its pid
    /// namespace SIGKILL and SIGSTOP also reach a pid 1 that does not want them; other signals do not reach a
    /// pid 1 that has no handler for them (pid_namespaces(7)). ESRCH if it has ended.
    fn signal_process(&self, process: &Self::Process, signal: Signal) -> Result<(), Error>;

    /// The id of the process in the pid namespace of the caller, 0 if it has none there.
    fn process_id(&self, process: &Self::Process, caller: &Self::Caller) -> u32;

    /// Undoes [`load_process`](Self::load_process): ends the process if it has not ended, and gives back its id
    /// and all else of it.
    fn discard_process(&self, process: Self::Process);

    /// Undoes [`open_root`](Self::open_root).
    fn close_root(&self, root: Self::Root);

    /// Undoes [`create_namespaces`](Self::create_namespaces) and with it the host name and every mount.
    fn remove_namespaces(&self, namespaces: Self::Namespaces);

    /// Undoes [`create_cgroup`](Self::create_cgroup). No process is left in it.
    fn remove_cgroup(&self, cgroup: Self::Cgroup);
}

/// Where a process will live.
pub struct Housing<'a, P: Platform + ?Sized> {
    /// What it is charged to.
    pub cgroup: &'a P::Cgroup,
    /// What it sees.
    pub namespaces: &'a P::Namespaces,
    /// Its root directory; `None` without a new mount namespace: the caller's root.
    pub root: Option<&'a P::Root>,
}

impl<P: Platform + ?Sized> Clone for Housing<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform + ?Sized> Copy for Housing<'_, P> {}
