//! The program of a container's process: found, loaded and housed.

use super::{
    Kernel,
    process::{self, Process},
};
use crate::{
    cgroup::Cgroup,
    fs::{self, Caller},
    mm::image::Arguments,
    security::Credentials,
    task::{self, LoadError, NewThread, Signals, Thread},
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use veridian_containers::{
    abi::Errno,
    config::Process as Description,
    engine::{ContainerKey, Error, Housing},
};

/// Where a program without a slash is looked for when the environment has no PATH (execvp(3)).
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Permission bits that files made by a container's process do not get, until it says otherwise (umask(2)).
const UMASK: u16 = 0o022;

/// Loads the program and holds its process before its first instruction.
pub fn load(
    caller: &Arc<Thread>,
    key: ContainerKey,
    housing: Housing<'_, Kernel>,
    process: &Description,
) -> Result<Process, Error> {
    let cgroup = housing.cgroup.clone();
    let admission = cgroup.admit()?;
    let mut namespaces = housing.namespaces.clone();
    namespaces.enter_time();
    let pid = namespaces.pid_for_children.allocate()?;
    let credentials = Credentials::of(process.user.uid, process.user.gid, Arc::from([]));
    let fs = context_of(caller, &housing, &credentials, process)?;
    let program = find_program(&fs, &credentials, &cgroup, process)?;
    let observed = cgroup.clone();
    let thread = Thread::new(NewThread {
        pid,
        admission,
        container: Some(cgroup.path().into()),
        space: program.space,
        files: caller.with_files(|files| files.standard_streams()),
        fs,
        namespaces,
        guard: program.guard,
        credentials: Arc::new(program.credentials),
        confinement: caller.confinement().inherited(),
        signals: Signals::default(),
        name: program.name,
        parent: None,
        exit_signal: 0,
        on_exit: Some(Box::new(move |status| process::ended(key, observed, status))),
    });
    Ok(Process::hold(thread, program.context))
}

/// Root, working directory and mounts of the container's process.
fn context_of(
    caller: &Arc<Thread>,
    housing: &Housing<'_, Kernel>,
    credentials: &Credentials,
    process: &Description,
) -> Result<fs::Context, Error> {
    let mut context = match housing.root {
        Some(root) => root.with_mounts(|mounts| mounts.context()),
        None => caller.with_fs(|fs| fs.clone()),
    };
    context.umask = UMASK;
    context.cwd = context.root.clone();
    let inside = Caller { context: &context, credentials, memory: &housing.cgroup.memory, thread: None };
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
    let inside = Caller { context: fs, credentials, memory: &cgroup.memory, thread: None };
    let load = |path: &[u8]| task::load(&inside, path, &arguments, &environment);
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
