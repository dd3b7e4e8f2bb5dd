//! `Platform` for this kernel: each operation of the engine, on objects already held.

use super::process::{self, Process};
use crate::{
    cgroup::Cgroup,
    fs::{self, Caller, ContainerMounts, Location, MountFlags, MountRequest, MountSource, TmpfsOptions},
    mm::image::Arguments,
    namespace::{Namespaces, PidNamespace, UtsNamespace},
    sched::WaitQueue,
    security::Credentials,
    task::{self, LoadError, NewThread, Signals, Thread},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use veridian_containers::{
    ContainerId, NamespaceSet, Signal,
    abi::Errno,
    config::{Filesystem, Limits, Mount, Process as Description},
    engine::{ContainerKey, Error, Housing, Platform},
};
use veridian_hal::{PAGE_SIZE, sync::SpinLock};

/// Where a program without a slash is looked for when the environment has no PATH (execvp(3)).
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Permission bits that files made by a container's process do not get, until it says otherwise (umask(2)).
const UMASK: u16 = 0o022;

/// This kernel, as the engine sees it.
#[derive(Debug, Default)]
pub struct Kernel {
    exits: WaitQueue,
}

impl Kernel {
    /// Woken whenever a container has stopped.
    pub fn exits(&self) -> &WaitQueue {
        &self.exits
    }
}

/// The namespaces of a container, the mount namespace aside.
pub struct ContainerNamespaces {
    uts: Arc<UtsNamespace>,
    pid: Arc<PidNamespace>,
}

/// A container's root: its mount namespace while it is built, and afterwards.
pub struct Root(SpinLock<ContainerMounts>);

impl Platform for Kernel {
    type Caller = Arc<Thread>;
    type Directory = Location;
    type Cgroup = Arc<Cgroup>;
    type Namespaces = ContainerNamespaces;
    type Root = Root;
    type Process = Process;

    async fn create_cgroup(
        &self,
        caller: &Arc<Thread>,
        id: &ContainerId,
        limits: &Limits,
    ) -> Result<Arc<Cgroup>, Error> {
        let memory = limits.memory.map(|bytes| bytes.0);
        let pids = limits.pids.map(u64::from);
        Ok(Cgroup::child(caller.cgroup(), id.as_str(), memory, pids))
    }

    async fn create_namespaces(
        &self,
        caller: &Arc<Thread>,
        _cgroup: &Arc<Cgroup>,
        new: NamespaceSet,
    ) -> Result<ContainerNamespaces, Error> {
        let Namespaces { mut uts, mut pid_for_children } = caller.namespaces();
        if new.contains(NamespaceSet::UTS) {
            uts = Arc::new(UtsNamespace::clone(&uts));
        }
        if new.contains(NamespaceSet::PID) {
            pid_for_children = PidNamespace::child(caller.pid().namespace())?;
        }
        Ok(ContainerNamespaces { uts, pid: pid_for_children })
    }

    async fn set_hostname(&self, namespaces: &ContainerNamespaces, hostname: &str) -> Result<(), Error> {
        Ok(namespaces.uts.set_host(hostname.as_bytes())?)
    }

    async fn open_root(
        &self,
        caller: &Arc<Thread>,
        _namespaces: &ContainerNamespaces,
        bundle: &Location,
        path: &str,
    ) -> Result<Root, Error> {
        let view = View::of(caller);
        let source = view.open(bundle, path)?;
        Ok(Root(SpinLock::new(ContainerMounts::new(&view.caller(), &source)?)))
    }

    async fn mount(
        &self,
        caller: &Arc<Thread>,
        _namespaces: &ContainerNamespaces,
        root: &Root,
        bundle: &Location,
        mount: &Mount,
    ) -> Result<(), Error> {
        let view = View::of(caller);
        let source = match mount.filesystem {
            Filesystem::Bind { recursive } => MountSource::Bind {
                source: view.open(bundle, &mount.source).map_err(|error| error.operand(mount.source.clone()))?,
                recursive,
            },
            Filesystem::Tmpfs { size, mode } => MountSource::Tmpfs(TmpfsOptions {
                pages_max: size.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX) / PAGE_SIZE),
                mode: Some(mode),
                ..TmpfsOptions::default()
            }),
            Filesystem::Dev => MountSource::Dev,
        };
        let request = MountRequest {
            destination: mount.destination.as_bytes(),
            source,
            set: MountFlags::from_bits_retain(mount.set.bits()),
            cleared: MountFlags::from_bits_retain(mount.cleared.bits()),
        };
        Ok(root.0.lock().add(&view.caller(), request)?)
    }

    async fn pivot_root(&self, _namespaces: &ContainerNamespaces, root: &Root, readonly: bool) -> Result<(), Error> {
        // The root is the root of a namespace of its own already: there is nothing outside to detach.
        if readonly {
            root.0.lock().make_root_readonly()?;
        }
        Ok(())
    }

    async fn load_process(
        &self,
        caller: &Arc<Thread>,
        key: ContainerKey,
        housing: Housing<'_, Self>,
        process: &Description,
    ) -> Result<Process, Error> {
        let cgroup = housing.cgroup.clone();
        let charge = cgroup.pids.charge()?;
        let pid = housing.namespaces.pid.allocate()?;
        let credentials = Credentials::of(process.uid, process.gid, Arc::from([]));
        let fs = context_of(caller, &housing, &credentials, process)?;
        let program = find_program(&fs, &credentials, &cgroup, process)?;
        let observed = cgroup.clone();
        let thread = Thread::new(NewThread {
            pid,
            charge,
            container: Some(cgroup.path().into()),
            space: program.space,
            files: caller.with_files(|files| files.standard_streams()),
            fs,
            namespaces: Namespaces {
                uts: housing.namespaces.uts.clone(),
                pid_for_children: housing.namespaces.pid.clone(),
            },
            credentials: Arc::new(program.credentials),
            signals: Signals::default(),
            name: program.name,
            parent: None,
            exit_signal: 0,
            on_exit: Some(alloc::boxed::Box::new(move |status| process::ended(key, observed, status))),
            cgroup,
        });
        Ok(Process::hold(thread, program.context))
    }

    async fn start_process(&self, process: &Process) -> Result<(), Error> {
        process.release()
    }

    fn signal_process(&self, process: &Process, signal: Signal) -> Result<(), Error> {
        process.signal(signal)
    }

    fn process_id(&self, process: &Process, caller: &Arc<Thread>) -> u32 {
        process.number(caller)
    }

    fn discard_process(&self, process: Process) {
        drop(process);
    }

    fn close_root(&self, root: Root) {
        root.0.into_inner().undo();
    }

    fn remove_namespaces(&self, namespaces: ContainerNamespaces) {
        drop(namespaces);
    }

    fn remove_cgroup(&self, cgroup: Arc<Cgroup>) {
        drop(cgroup);
    }
}

/// What a caller sees, copied so that no lock is held.
struct View {
    context: fs::Context,
    credentials: Arc<Credentials>,
    memory: Arc<crate::cgroup::MemoryGroup>,
}

impl View {
    fn of(thread: &Thread) -> Self {
        Self { context: thread.with_fs(|fs| fs.clone()), credentials: thread.credentials(), memory: thread.memory() }
    }

    fn caller(&self) -> Caller<'_> {
        Caller { context: &self.context, credentials: &self.credentials, memory: &self.memory }
    }

    /// A path of the configuration: from the caller's root, or beneath the bundle, out of which it must not lead
    /// (EXDEV).
    fn open(&self, bundle: &Location, path: &str) -> Result<Location, Error> {
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

/// Root, working directory and mounts of the container's process.
fn context_of(
    caller: &Arc<Thread>,
    housing: &Housing<'_, Kernel>,
    credentials: &Credentials,
    process: &Description,
) -> Result<fs::Context, Error> {
    let mut context = match housing.root {
        Some(root) => root.0.lock().context(),
        None => caller.with_fs(|fs| fs.clone()),
    };
    context.umask = UMASK;
    context.cwd = context.root.clone();
    let inside = Caller { context: &context, credentials, memory: &housing.cgroup.memory };
    let cwd = inside.resolve_directory(&context.root, process.cwd.as_bytes());
    let cwd = cwd.map_err(|errno| Error::new(errno).operand(process.cwd.clone()).reason("the working directory"))?;
    context.cwd = cwd;
    Ok(context)
}

/// Loads the program that the first argument names, as execvp(3) finds it in the container.
fn find_program(
    fs: &fs::Context,
    credentials: &Credentials,
    cgroup: &Cgroup,
    process: &Description,
) -> Result<task::Program, Error> {
    let arguments: Arguments = process.args.iter().map(String::as_bytes).collect();
    let environment: Arguments = process.env.iter().map(String::as_bytes).collect();
    let load = |path: &[u8]| task::load(fs, credentials, &cgroup.memory, path, &arguments, &environment);
    let name = process.args.first().map_or("", String::as_str);
    if name.contains('/') {
        return load(name.as_bytes()).map_err(error);
    }
    let path = process.env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let mut outcome = LoadError::from(Errno::ENOENT);
    for directory in path.split(':') {
        let mut candidate: Vec<u8> = Vec::with_capacity(directory.len() + 1 + name.len());
        candidate.extend_from_slice(if directory.is_empty() { "." } else { directory }.as_bytes());
        candidate.push(b'/');
        candidate.extend_from_slice(name.as_bytes());
        match load(&candidate) {
            Ok(program) => return Ok(program),
            // As execvp(3): a file that may not be executed is remembered, while one may be found that may.
            Err(failed) if failed.errno == Errno::EACCES => outcome = failed,
            Err(failed) if matches!(failed.errno, Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(failed) => return Err(error(failed)),
        }
    }
    Err(error(outcome))
}

fn error(failed: LoadError) -> Error {
    let error = Error::new(failed.errno);
    if failed.reason.is_empty() { error } else { error.reason(failed.reason) }
}
