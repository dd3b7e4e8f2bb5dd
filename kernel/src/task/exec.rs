//! Another program in the same process (execve(2)), and the first program of a new one.

use super::{Guard, Thread};
use crate::{
    device::random,
    fs::{self, Caller},
    mm::{
        AddressSpace, Limits,
        image::{self, Arguments, Identity},
    },
    security::{Credentials, Executed},
};
use alloc::{borrow::Cow, string::String, sync::Arc};
use veridian_containers::abi::Errno;
use veridian_hal::user::UserContext;

/// A program that is loaded and has not run yet.
pub struct Program {
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Where it begins.
    pub context: UserContext,
    /// Who it runs as: the file's set-ids are in.
    pub credentials: Credentials,
    /// It got rights that its caller had not.
    pub secure: bool,
    /// What keeps others out of it.
    pub guard: Guard,
    /// `comm`: the last name of the path.
    pub name: String,
}

/// Why a program cannot run: the number for the program that asked, the reason for people.
#[derive(Debug)]
pub struct LoadError {
    /// As execve(2) says.
    pub errno: Errno,
    /// What is wrong with the file.
    pub reason: Cow<'static, str>,
}

impl From<image::ExecError> for LoadError {
    fn from(error: image::ExecError) -> Self {
        Self { errno: error.errno, reason: error.reason }
    }
}

impl From<Errno> for LoadError {
    fn from(errno: Errno) -> Self {
        Self { errno, reason: Cow::Borrowed("") }
    }
}

/// Loads the program at `path`, as `caller` finds it, from its working directory.
pub fn load(
    caller: &Caller<'_>,
    path: &[u8],
    arguments: &Arguments,
    environment: &Arguments,
) -> Result<Program, LoadError> {
    let executable = caller.open_executable(&caller.context.cwd, path)?;
    let Executed { credentials: after, secure } = caller.credentials.at_exec(executable.set_ids);
    let namespace = &after.user_namespace;
    let identity = Identity {
        uid: namespace.shown_user(after.uid),
        euid: namespace.shown_user(after.euid),
        gid: namespace.shown_group(after.gid),
        egid: namespace.shown_group(after.egid),
        secure,
    };
    let image = image::load(
        &image::Program {
            file: executable.source,
            path,
            argv: arguments,
            envp: environment,
            identity,
            random: random::bytes(),
            limits: caller.thread.map_or_else(Limits::default, |thread| Limits::of(&thread.confinement().limits())),
        },
        caller.memory,
    )?;
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    Ok(Program {
        space: image.space,
        context: UserContext::new(image.entry, image.stack),
        secure,
        guard: Guard::of_program(&after, secure || !executable.readable),
        credentials: after,
        name: comm(last),
    })
}

/// A name as `comm` keeps it: 15 bytes, whatever they are shown as text.
pub(super) fn comm(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(15)]).into_owned()
}

/// execve(2): nothing of the process has changed when this fails. Gives the context to go on with.
pub fn exec(
    thread: &Arc<Thread>,
    path: &[u8],
    arguments: &Arguments,
    environment: &Arguments,
) -> Result<UserContext, Errno> {
    let (context, credentials, memory) = (thread.with_fs(|fs| fs.clone()), thread.credentials(), thread.memory());
    thread.confinement().permit_exec(&credentials)?;
    let caller = Caller { context: &context, credentials: &credentials, memory: &memory, thread: Some(thread) };
    let loaded = load(&caller, path, arguments, environment);
    let program = loaded.map_err(|error| {
        log::debug!("{thread:?}: {}: {} ({})", String::from_utf8_lossy(path), error.reason, error.errno);
        error.errno
    })?;
    let closed = thread.with_files(fs::FdTable::close_on_exec);
    drop(closed);
    // The new program's guard stands before anybody can see who it runs as, or into its memory.
    let death_signal = thread.guard().death_signal.filter(|_| !program.secure);
    thread.change_guard(|guard| guard.dumpable = false);
    thread.set_credentials(program.credentials);
    let mut namespaces = thread.namespaces();
    namespaces.enter_time();
    thread.set_namespaces(namespaces);
    let old = thread.replace_program(program.space, program.name);
    thread.change_guard(|guard| *guard = Guard { death_signal, ..program.guard });
    drop(old);
    Ok(program.context)
}
