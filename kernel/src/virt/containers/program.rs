//! A program for a container: found, loaded, and settled where it will run.

use super::{Kernel, confinement, namespaces::ContainerNamespaces, runtime::Runtime, terminal};
use crate::{
    cgroup::{Admission, Cgroup},
    fs::{self, Caller},
    mm::image::Arguments,
    namespace::{Namespaces, Pid},
    security::{Capabilities, Confinement, Credentials, Groups, SecureBits},
    task::{self, ExitObserver, Kin, LoadError, NewThread, Signals, Thread},
    tty::pty::Master,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::num::NonZeroU64;
use veridian_containers::{
    Signal,
    abi::Errno,
    config::{CapabilitySet, Process as Description},
    engine::{Error, House, Program},
};
use veridian_hal::{sync::SpinLock, user::UserContext};

/// Where a program without a slash is looked for when the environment has no PATH (execvp(3)).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Where a process will run, and as whom.
pub struct Tenant {
    /// What it is charged to.
    pub cgroup: Arc<Cgroup>,
    /// Its namespaces, the mount namespace aside.
    pub namespaces: Namespaces,
    /// Its root, working directory, umask and mounts.
    pub fs: fs::Context,
    /// Its descriptors.
    pub files: fs::FdTable,
    /// Who it is, before its program is executed.
    pub credentials: Credentials,
    /// What binds it.
    pub confinement: Confinement,
    /// The key of the container that it is in.
    pub container: Option<NonZeroU64>,
    /// The master side of its terminal, if it has one of its own.
    pub terminal: Option<Arc<Master>>,
}

/// What a process is beside that: its numbers, its place in its group and whom it belongs to.
pub struct Birth {
    /// Its numbers.
    pub pid: Pid,
    /// Its place in its group.
    pub admission: Admission,
    /// Whom it is to be waited for by.
    pub parent: Option<Arc<Thread>>,
    /// Is called when it has ended.
    pub on_exit: Option<ExitObserver>,
}

impl Tenant {
    /// One of a container's, as the configuration of its process says.
    pub fn of_container(
        creator: &Runtime,
        house: House<'_, Kernel>,
        container: NonZeroU64,
        program: Program<'_>,
    ) -> Result<Self, Error> {
        let process = program.process;
        let credentials = credentials_of(&creator.credentials, house.namespaces, process)?;
        let fs = context_of(creator, house, &credentials, process)?;
        let mut namespaces = house.namespaces.set.clone();
        namespaces.enter_time();
        let confinement = confinement::of(creator, &credentials, process, program.seccomp)?;
        let (terminal, files) = if process.terminal {
            let inside = Caller { context: &fs, credentials: &credentials, memory: &house.cgroup.memory, thread: None };
            let opened = terminal::open(&inside, process.console_size);
            let (master, files) = opened.map_err(|errno| Error::new(errno).reason("the terminal"))?;
            (Some(master), files)
        } else {
            (None, creator.files.standard_streams())
        };
        Ok(Self {
            cgroup: house.cgroup.clone(),
            namespaces,
            fs,
            files,
            credentials,
            confinement,
            container: Some(container),
            terminal,
        })
    }

    /// Loads the program that the first argument names, as execvp(3) finds it.
    pub fn find(&self, process: &Description) -> Result<task::Program, Error> {
        let name = process.args.first().map_or("", String::as_str);
        let load = |path: &[u8]| self.load(path, &process.args, &process.env);
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

    /// Himself, as the file system wants him.
    pub fn inside(&self) -> Caller<'_> {
        Caller { context: &self.fs, credentials: &self.credentials, memory: &self.cgroup.memory, thread: None }
    }

    /// Loads the program at `path`.
    pub fn load(&self, path: &[u8], args: &[String], env: &[String]) -> Result<task::Program, LoadError> {
        let arguments: Arguments = args.iter().map(String::as_bytes).collect();
        let environment: Arguments = env.iter().map(String::as_bytes).collect();
        task::load(&self.inside(), &self.namespaces.time_for_children, path, &arguments, &environment)
    }

    /// Makes the process, in a session of its own, held before its first instruction.
    pub fn settle(self, program: task::Program, birth: Birth) -> Arc<Thread> {
        let exit_signal = if birth.parent.is_some() { Signal::SIGCHLD.number() } else { 0 };
        let context: UserContext = program.context;
        let thread = Thread::new(NewThread {
            pid: birth.pid,
            admission: birth.admission,
            container: self.container,
            space: program.space,
            files: Arc::new(SpinLock::new(self.files)),
            fs: Arc::new(SpinLock::new(self.fs)),
            namespaces: self.namespaces,
            credentials: Arc::new(program.credentials),
            confinement: self.confinement,
            signals: Signals::default(),
            name: program.name,
            kin: Kin::Process {
                guard: program.guard,
                parent: birth.parent,
                exit_signal,
                on_exit: birth.on_exit,
                borrows_memory: false,
            },
        });
        thread.lead_session();
        if let Some(master) = &self.terminal {
            // A session that is new has none, and the terminal is nobody's.
            let _ = master.pair().control(&thread);
        }
        thread.hold(context);
        thread
    }
}

/// Who a container's process is: ids and capabilities of its user namespace, and none that its creator does not have
/// unless that namespace is below his. EPERM where he could not become that himself.
fn credentials_of(
    creator: &Credentials,
    namespaces: &ContainerNamespaces,
    process: &Description,
) -> Result<Credentials, Error> {
    let (user, home) = (&process.user, &namespaces.user);
    let unmapped = |name: &'static str, id: u32| {
        move |errno| Error::new(errno).operand(format!("{name} {id}")).reason("the user namespace has no such id")
    };
    let uid = home.user(user.uid).map_err(unmapped("user", user.uid))?;
    let gid = home.group(user.gid).map_err(unmapped("group", user.gid))?;
    let mut groups = Vec::with_capacity(user.additional_gids.len());
    for &group in &user.additional_gids {
        groups.push(home.group(group).map_err(unmapped("group", group))?);
    }
    let groups = Groups::of(groups);
    let may = |needed| creator.capable_in(home, needed);
    let becomes = (uid == creator.euid || may(Capabilities::SETUID))
        && (gid == creator.egid || may(Capabilities::SETGID))
        && (groups == creator.groups || may(Capabilities::SETGID) && home.allows_set_groups());
    let same = creator.user_namespace == *home;
    if !becomes || !same && !may(Capabilities::SYS_ADMIN) {
        return Err(Error::new(Errno::EPERM).reason("its creator may not become this user"));
    }
    let (most, bound) =
        if same { (creator.permitted, creator.bounding) } else { (Capabilities::all(), Capabilities::all()) };
    let set = |set: CapabilitySet| Capabilities::from_bits_truncate(set.bits());
    let sets = &process.capabilities;
    let permitted = set(sets.permitted) & most;
    let inheritable = set(sets.inheritable) & most;
    Ok(Credentials {
        effective: set(sets.effective) & permitted,
        permitted,
        inheritable,
        bounding: set(sets.bounding) & bound,
        ambient: set(sets.ambient) & permitted & inheritable,
        securebits: if same { creator.securebits } else { SecureBits::empty() },
        no_new_privileges: process.no_new_privileges || creator.no_new_privileges,
        user_namespace: home.clone(),
        ..Credentials::of(uid, gid, groups)
    })
}

/// Root, working directory and mounts of a container's process.
fn context_of(
    creator: &Runtime,
    house: House<'_, Kernel>,
    credentials: &Credentials,
    process: &Description,
) -> Result<fs::Context, Error> {
    let mut context = match house.root {
        Some(root) => root.with_mounts(|mounts| mounts.context()),
        None => house.namespaces.files(creator),
    };
    context.umask = process.user.umask;
    context.cwd = context.root.clone();
    let inside = Caller { context: &context, credentials, memory: &house.cgroup.memory, thread: None };
    let cwd = inside.resolve_directory(&context.root, process.cwd.as_bytes());
    let cwd = cwd.map_err(|errno| Error::new(errno).operand(process.cwd.clone()).reason("the working directory"))?;
    context.cwd = cwd;
    Ok(context)
}

/// What the engine is told of a program that cannot run.
pub fn error(failed: LoadError) -> Error {
    let error = Error::new(failed.errno);
    if failed.reason.is_empty() { error } else { error.reason(failed.reason) }
}
