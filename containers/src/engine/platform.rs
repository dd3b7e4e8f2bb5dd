//! What the engine asks of a kernel.

use alloc::boxed::Box;
use core::future::{Future, ready};
use core::pin::Pin;

use super::{ContainerKey, Error, HookRun};
use crate::abi::{Errno, Stats};
use crate::config::{Device, IdMapping, Mount, Namespaces, Process, Resources, Root, Seccomp, TimeOffsets};
use crate::keys::KeyId;
use crate::{ContainerId, Signal};

/// A kernel, as far as containers need one.
///
/// Each method is one operation on objects that are already held; no path is ever looked up twice. The kinds:
///
/// * *Operations* return futures and may fail. A failed operation has changed nothing. So has one whose future is
///   dropped before it is ready: the engine drops it when the task that called the engine is killed. A blocking
///   kernel writes `async fn` bodies without an await and calls the engine through [`drive`](super::drive).
/// * *Undo* methods take a handle by value, cannot wait and cannot fail: what a kernel has built, it can give
///   back. They run in the reverse order of the operations, after a failed create and at delete alike.
/// * *Questions* tell something and change nothing.
/// * Operations that belong to single keys or calls fail with ENOSYS unless they are written. A kernel that does not
///   [enforce](Self::enforces) the key leaves them out, and is not asked; one without the call is asked, and refuses.
/// * `signal_process` and `spawn` neither wait nor are undone.
///
/// The engine calls no method while it holds a lock of its own, so a method may call the engine.
pub trait Platform: Send + Sync + Sized + 'static {
    /// Who asks: the task whose system call this is, with its credentials, its root and mount namespace, its
    /// descriptors 0 to 2 (which become the container's), its pid namespace and its cgroup.
    type Caller: Send + Sync + ?Sized;
    /// A directory that is held open: the bundle.
    type Directory: Send + Sync + ?Sized;
    /// The runtime's side of a container: what [`Self::run_hook`] needs to know of the caller that created it, kept
    /// for as long as the container has hooks to run.
    type Runtime: Send + Sync;
    /// Kernel memory that is charged to the creator of a container. Its drop gives it back.
    type Charge: Send + Sync;
    /// A cgroup with its limits.
    type Cgroup: Send + Sync;
    /// The set of namespaces that the container's process gets: new or joined ones as asked, the caller's else.
    type Namespaces: Send + Sync;
    /// The directory that is the container's root.
    type Root: Send + Sync;
    /// The container's first process.
    type Process: Send + Sync;
    /// A further process in a container, as its maker holds it.
    type Guest: Send + Sync;

    /// Whether this kernel enforces a key of the language, or what `word` says of it ([`Demand`](crate::config::Demand) lists the words). The
    /// engine asks before it does anything, and refuses a configuration, a process or limits that need more.
    ///
    /// Name what is enforced and answer false to all else: what is added to the language later is refused then, until
    /// somebody has seen to it. What a kernel has no way to do is enforced by that: without devices, every
    /// `device_rule` holds.
    fn enforces(&self, key: KeyId, word: &str) -> bool;

    /// The container that the caller is in: what it creates is inside that one.
    fn container_of(&self, caller: &Self::Caller) -> Option<ContainerKey>;

    /// The caller's user id, which the container's state reports as its owner.
    fn user_of(&self, caller: &Self::Caller) -> u32;

    /// Whether a cgroup is the caller's own or lies below it.
    fn sees(&self, caller: &Self::Caller, cgroup: &Self::Cgroup) -> bool;

    /// Nanoseconds since 1970-01-01, by the wall clock.
    fn now(&self) -> u64;

    /// Charges `bytes` of kernel memory to the caller; ENOMEM.
    fn charge(&self, caller: &Self::Caller, bytes: usize) -> Result<Self::Charge, Error>;

    /// What hooks will need of the caller. Called only for a container that has hooks.
    fn runtime_of(&self, caller: &Self::Caller) -> Self::Runtime;

    /// Runs `future` to its end on nobody's account: what must be finished though whoever asked for it is gone. A
    /// kernel without an executor keeps it and drives it when it has time.
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>);

    /// Makes a cgroup below the caller's own, at `path` (relative to the caller's; named for the container if there is
    /// none), and sets its limits. Whatever is charged to it later stays within `resources` and within those of every
    /// cgroup above it. EBUSY if one of that path has tasks, or is frozen.
    fn create_cgroup(
        &self,
        caller: &Self::Caller,
        id: &ContainerId,
        path: Option<&str>,
        resources: &Resources,
    ) -> impl Future<Output = Result<Self::Cgroup, Error>> + Send;

    /// Makes one new namespace of each kind in `request.namespaces.new`, joins those of `joined` (each path resolved as
    /// the caller resolves it, and joined by setns(2)'s rules) and takes the caller's of every other kind. A new mount
    /// namespace begins as a copy of the caller's, from which no change goes back; a new uts namespace with the
    /// caller's names; in a new pid namespace the container's process will be pid 1. Memory that they need is
    /// charged to `cgroup` where the platform charges for it.
    fn create_namespaces(
        &self,
        caller: &Self::Caller,
        cgroup: &Self::Cgroup,
        request: NamespaceRequest<'_>,
    ) -> impl Future<Output = Result<Self::Namespaces, Error>> + Send;

    /// Sets the host name and the domain name of the container's own uts namespace, as far as they are given.
    fn set_names(
        &self,
        namespaces: &Self::Namespaces,
        host: Option<&str>,
        domain: Option<&str>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sets a variable of the container's own namespaces, named with dots (sysctl(8)).
    ///
    /// Not asked of a kernel that does not enforce `sysctl`.
    fn set_sysctl(
        &self,
        namespaces: &Self::Namespaces,
        name: &str,
        value: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (namespaces, name, value);
        ready(Err(Errno::ENOSYS.into()))
    }

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

    /// Mounts a file system in the new mount namespace. The destination is resolved inside `house.root` as if it were
    /// `/` already: neither `..` nor a symbolic link leads out. The source of a bind mount is resolved like the
    /// path of [`open_root`](Self::open_root). `mount.set` holds from the first moment the mount is visible; a
    /// bind mount keeps the flags of its source but for `mount.cleared`.
    ///
    /// Not asked of a kernel that does not enforce `mount`.
    fn mount(
        &self,
        caller: &Self::Caller,
        house: House<'_, Self>,
        bundle: &Self::Directory,
        mount: &Mount,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (caller, house, bundle, mount);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Makes a device node in the container, its path resolved like the destination of a mount.
    ///
    /// Not asked of a kernel that does not enforce `device`.
    fn make_device(
        &self,
        caller: &Self::Caller,
        house: House<'_, Self>,
        device: &Device,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (caller, house, device);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Makes the container's first process, still without a program: it has its numbers from here on, and counts in
    /// its cgroup. When it ends, and whatever else is left in the cgroup has ended too, the platform calls
    /// [`Engine::exited`](super::Engine::exited) with `key`.
    fn create_process(
        &self,
        caller: &Self::Caller,
        key: ContainerKey,
        house: House<'_, Self>,
    ) -> impl Future<Output = Result<Self::Process, Error>> + Send;

    /// Runs a hook and waits for its end: it must exit with 0. Its program is found at the absolute path
    /// `run.hook.path`; descriptor 0 reads `run.state`, 1 and 2 are the creator's, it has no other. Where it runs
    /// and where its path is looked up, [`HookPlace`] says. After `run.hook.timeout`, and if the future is dropped,
    /// it and all that it made are killed.
    ///
    /// Fails with the error of execve(2) if it could not be run, ECANCELED if it ended in another way than by
    /// exiting with 0, ETIMEDOUT after the timeout.
    ///
    /// Not asked of a kernel that enforces no `hook_*`.
    fn run_hook(
        &self,
        runtime: &Self::Runtime,
        place: HookPlace<'_, Self>,
        run: HookRun<'_>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (runtime, place, run);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Makes the container's root the root of the new mount namespace and drops from it all that is not below: nothing
    /// of the caller's view can be reached any more, by any path or descriptor. With `root.readonly` the root mount (not
    /// the mounts below it) is read-only from here on. From here on, too, mounts and unmounts spread as
    /// `root.propagation` and each mount's `propagation` say; before, no mount of the container is seen elsewhere.
    fn pivot_root(&self, house: House<'_, Self>, root: &Root) -> impl Future<Output = Result<(), Error>> + Send;

    /// Hides what is at an absolute path in the container; nothing to do if there is nothing. A file then reads as
    /// empty, a directory has no entries and none can be made.
    ///
    /// Not asked of a kernel that does not enforce `masked_path`.
    fn mask_path(&self, house: House<'_, Self>, path: &str) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (house, path);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Makes what is at and below an absolute path in the container read-only; nothing to do if there is nothing.
    ///
    /// Not asked of a kernel that does not enforce `readonly_path`.
    fn protect_path(&self, house: House<'_, Self>, path: &str) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (house, path);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Loads the program of the container's process and holds it before its first instruction. `program.args[0]` is
    /// found as execvp(3) does, by the `PATH` of `program.env` if it holds no slash, and in the container's own view.
    /// The process has nothing of the caller's but descriptors 0, 1 and 2, and may nothing that the caller may not.
    /// ENOENT, EACCES, ENOEXEC and so on as execve(2) says; the error names the operand if that is another than
    /// the program, the working directory for one.
    fn load_process(
        &self,
        caller: &Self::Caller,
        house: House<'_, Self>,
        process: &Self::Process,
        program: Program<'_>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes a further process in a running container, loaded and held as [`load_process`](Self::load_process) says, in
    /// the namespaces, cgroup and root of `process`. It is a child of the caller, and ends with the container. To let
    /// it run is between the caller and the platform.
    fn exec_process(
        &self,
        caller: &Self::Caller,
        key: ContainerKey,
        house: House<'_, Self>,
        process: &Self::Process,
        program: Program<'_>,
    ) -> impl Future<Output = Result<Self::Guest, Error>> + Send {
        let _ = (caller, key, house, process, program);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Lets the held process run. ESRCH if it was killed in the meantime.
    fn start_process(&self, process: &Self::Process) -> impl Future<Output = Result<(), Error>> + Send;

    /// Freezes every process of the cgroup and of those below; ready when none runs any more.
    fn freeze(&self, cgroup: &Self::Cgroup) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cgroup;
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Takes a [`freeze`](Self::freeze) back.
    fn thaw(&self, cgroup: &Self::Cgroup) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cgroup;
        ready(Err(Errno::ENOSYS.into()))
    }

    /// Sets those limits that `resources` gives, all or none; `None` leaves one as it is. EINVAL, EBUSY.
    fn update_cgroup(
        &self,
        cgroup: &Self::Cgroup,
        resources: &Resources,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (cgroup, resources);
        ready(Err(Errno::ENOSYS.into()))
    }

    /// What the cgroup has used, and its limits.
    fn stats(&self, cgroup: &Self::Cgroup) -> Stats;

    /// Makes a signal pending for the process. SIGKILL ends it even while it is held or frozen. From outside its pid
    /// namespace SIGKILL and SIGSTOP also reach a pid 1 that does not want them; other signals do not reach a
    /// pid 1 that has no handler for them (pid_namespaces(7)). ESRCH if it has ended.
    fn signal_process(&self, process: &Self::Process, signal: Signal) -> Result<(), Error>;

    /// The number of the process as `viewer` sees it, 0 if it has none there.
    fn process_id(&self, process: &Self::Process, viewer: Viewer<'_, Self>) -> u32;

    /// Undoes [`create_process`](Self::create_process) and [`load_process`](Self::load_process): ends the process if it
    /// has not ended, and gives back its id and all else of it.
    fn discard_process(&self, process: Self::Process);

    /// Undoes [`open_root`](Self::open_root).
    fn close_root(&self, root: Self::Root);

    /// Undoes [`create_namespaces`](Self::create_namespaces) and with it names, variables, mounts and nodes.
    fn remove_namespaces(&self, namespaces: Self::Namespaces);

    /// Undoes [`create_cgroup`](Self::create_cgroup). No process is left in it.
    fn remove_cgroup(&self, cgroup: Self::Cgroup);
}

/// What [`Platform::create_namespaces`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceRequest<'a> {
    /// Which are new, and which are joined.
    pub namespaces: &'a Namespaces,
    /// The user ids of a new user namespace.
    pub uid_mappings: &'a [IdMapping],
    /// The group ids of a new user namespace.
    pub gid_mappings: &'a [IdMapping],
    /// The clocks of a new time namespace.
    pub time_offsets: &'a TimeOffsets,
}

/// A program to load, and what binds it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// What runs, and as whom.
    pub process: &'a Process,
    /// Which system calls it may make.
    pub seccomp: &'a Seccomp,
}

/// Where a process will live.
pub struct House<'a, P: Platform> {
    /// What it is charged to.
    pub cgroup: &'a P::Cgroup,
    /// What it sees.
    pub namespaces: &'a P::Namespaces,
    /// Its root directory; `None` without a new mount namespace: the caller's root.
    pub root: Option<&'a P::Root>,
}

impl<P: Platform> Clone for House<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for House<'_, P> {}

/// Where a hook runs.
pub enum HookPlace<'a, P: Platform> {
    /// As a child of the creator would: in its namespaces, its cgroup, its working directory, with its rights.
    Runtime,
    /// In the container's namespaces and cgroup, with the creator's rights, before the root is changed: it sees the
    /// creator's tree, with the container's root where it lies in it. Its path is looked up in the creator's view.
    Create(House<'a, P>),
    /// As the container's process will run: in its namespaces, cgroup, root and with its rights. Its path is looked
    /// up there.
    Start(House<'a, P>, Program<'a>),
}

impl<P: Platform> Clone for Viewer<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Viewer<'_, P> {}

/// Whose numbers [`Platform::process_id`] gives.
pub enum Viewer<'a, P: Platform> {
    /// A caller's.
    Caller(&'a P::Caller),
    /// The creator's.
    Runtime(&'a P::Runtime),
    /// The process's own.
    Itself,
}
