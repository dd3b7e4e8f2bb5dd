//! Another program in the same process (execve(2)), and the first program of a new one.

use super::{Guard, Thread, futex, timers};
use crate::{
    cgroup::MemoryGroup,
    device::random,
    fs::{self, Caller, File, FileType},
    log,
    mm::{
        AddressSpace, Layout, Limits, PageSource,
        image::{self, Arguments, Elf, Identity},
    },
    namespace::TimeNamespace,
    security::{Credentials, Executed, SetIds},
};
use alloc::{borrow::Cow, format, string::String, sync::Arc};
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

/// Loads the program at `path`, as `caller` finds it, from its working directory; its clocks will be those of `time`.
pub fn load(
    caller: &Caller<'_>,
    time: &TimeNamespace,
    path: &[u8],
    arguments: &Arguments,
    environment: &Arguments,
) -> Result<Program, LoadError> {
    let executable = caller.open_executable(&caller.context.cwd, path)?;
    load_opened(caller, time, executable, path, true, arguments, environment)
}

/// Loads a program that has been found, and is told that it is `path`; whether it can find itself by that.
fn load_opened(
    caller: &Caller<'_>,
    time: &TimeNamespace,
    executable: fs::Executable,
    path: &[u8],
    is_found: bool,
    arguments: &Arguments,
    environment: &Arguments,
) -> Result<Program, LoadError> {
    let chosen = Chosen::find(caller, executable, path, is_found, arguments)?;
    let Executed { credentials: after, secure } = caller.credentials.at_exec(chosen.set_ids);
    let namespace = &after.user_namespace;
    let identity = Identity {
        uid: namespace.shown_user(after.uid),
        euid: namespace.shown_user(after.euid),
        gid: namespace.shown_group(after.gid),
        egid: namespace.shown_group(after.egid),
        secure,
    };
    let limits = caller.thread.map_or_else(Limits::default, |thread| Limits::of(&thread.confinement().limits()));
    let image = image::load(
        &image::Program {
            elf: &chosen.elf,
            interpreter: chosen.interpreter.as_ref(),
            path,
            argv: &chosen.arguments,
            envp: environment,
            identity,
            random: random::bytes(),
            limits,
            vdso: time.vdso(),
            layout: Layout::random(core::array::from_fn(|_| random::u64()), limits.stack),
        },
        caller.memory,
    )?;
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    Ok(Program {
        space: image.space,
        context: UserContext::new(image.entry, image.stack),
        secure,
        guard: Guard::of_program(&after, secure || !chosen.readable),
        credentials: after,
        name: comm(last),
    })
}

/// The files that are loaded when a path is executed.
struct Chosen<'a> {
    /// The program: of a script, the one that reads it.
    elf: Elf,
    /// The program's own interpreter.
    interpreter: Option<Elf>,
    /// What the program is called with.
    arguments: Cow<'a, Arguments>,
    /// The ids that the program sets; a script sets none.
    set_ids: SetIds,
    /// Whether the caller may read all that is loaded.
    readable: bool,
}

impl<'a> Chosen<'a> {
    /// Scripts that may name each other as interpreters.
    const SCRIPTS_MAX: usize = 5;

    fn find(
        caller: &Caller<'_>,
        mut executable: fs::Executable,
        path: &[u8],
        is_found: bool,
        arguments: &'a Arguments,
    ) -> Result<Self, LoadError> {
        let open = |path: &[u8]| caller.open_executable(&caller.context.cwd, path);
        let (mut path, mut arguments) = (Cow::Borrowed(path), Cow::Borrowed(arguments));
        for _ in 0..=Self::SCRIPTS_MAX {
            let elf = match image::Executable::read(executable.source, caller.memory)? {
                image::Executable::Elf(elf) => elf,
                // Its descriptor is closed before it could be read.
                image::Executable::Script(_) if !is_found => {
                    return Err(LoadError { errno: Errno::ENOENT, reason: "a script that is closed on exec".into() });
                }
                image::Executable::Script(script) => {
                    arguments = Cow::Owned(script.arguments(&path, &arguments));
                    path = Cow::Owned(script.interpreter);
                    executable = open(&path).map_err(|errno| interpreter_error(&path, errno))?;
                    continue;
                }
            };
            let mut chosen =
                Self { elf, interpreter: None, arguments, set_ids: executable.set_ids, readable: executable.readable };
            if let Some(path) = chosen.elf.interpreter() {
                let executable = open(path).map_err(|errno| interpreter_error(path, errno))?;
                chosen.interpreter = Some(linker(path, executable.source, caller.memory)?);
                chosen.readable &= executable.readable;
            }
            return Ok(chosen);
        }
        Err(LoadError { errno: Errno::ELOOP, reason: "too many scripts that name each other".into() })
    }
}

/// Reads a program's interpreter.
fn linker(path: &[u8], file: Arc<dyn PageSource>, memory: &MemoryGroup) -> Result<Elf, LoadError> {
    Elf::read(file, memory).map_err(|error| {
        let errno = if error.errno == Errno::ENOEXEC { Errno::ELIBBAD } else { error.errno };
        LoadError { errno, reason: format!("its interpreter {}: {error}", path.escape_ascii()).into() }
    })
}

/// Why an interpreter was not opened.
fn interpreter_error(path: &[u8], errno: Errno) -> LoadError {
    LoadError { errno, reason: format!("its interpreter {}: {errno}", path.escape_ascii()).into() }
}

/// A name as `comm` keeps it: 15 bytes, whatever they are shown as text.
pub(super) fn comm(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(15)]).into_owned()
}

/// Where execveat(2) finds a program.
pub struct Origin<'a> {
    /// The open file that a path begins at, or that is the program, and whether its descriptor is closed on exec; `None`
    /// for the working directory.
    pub base: Option<(&'a File, bool)>,
    /// The path; empty for the open file itself.
    pub path: &'a [u8],
    /// Whether a symbolic link at its end is followed.
    pub follow: bool,
}

impl Origin<'_> {
    fn open(&self, caller: &Caller<'_>) -> Result<fs::Executable, Errno> {
        let location = match self.base {
            Some((file, _)) if self.path.is_empty() => file.place(),
            Some((file, _)) => caller.resolve(file.directory()?, self.path, self.follow)?,
            None => caller.resolve(&caller.context.cwd, self.path, self.follow)?,
        };
        if location.inode().file_type() == FileType::Symlink {
            return Err(Errno::ELOOP);
        }
        caller.executable(location)
    }
}

/// Loads the program that execve(2) asks for, by the name `path`: nothing of the process has changed yet.
pub fn prepare(
    thread: &Arc<Thread>,
    origin: Origin<'_>,
    path: &[u8],
    arguments: &Arguments,
    environment: &Arguments,
) -> Result<Program, Errno> {
    let (context, credentials, memory) = (thread.with_fs(|fs| fs.clone()), thread.credentials(), thread.memory());
    thread.confinement().permit_exec(&credentials)?;
    let caller = Caller { context: &context, credentials: &credentials, memory: &memory, thread: Some(thread) };
    let is_found = origin.base.is_none_or(|(_, closes)| !closes);
    let executable = origin.open(&caller).map_err(LoadError::from);
    let time = thread.namespaces().time_for_children;
    let loaded =
        executable.and_then(|found| load_opened(&caller, &time, found, path, is_found, arguments, environment));
    let program = loaded.map_err(|error| {
        static RATE: log::Rate = log::Rate::new();
        if !error.reason.is_empty() && RATE.allows() {
            ::log::info!("{thread:?} executes {}: {}", path.escape_ascii(), error.reason);
        }
        error.errno
    })?;
    thread.unshare_files()?;
    Ok(program)
}

/// Exchanges what `thread` runs: it is its process's only thread, or all that is left beside a leader that will succeed
/// it. Gives the context to go on with.
pub(super) fn begin(thread: &Arc<Thread>, program: Program) -> UserContext {
    thread.process().note_program();
    let closed = thread.with_files(fs::FdTable::close_on_exec);
    drop(closed);
    // The new program's guard stands before anybody can see who it runs as, or into its memory.
    let death_signal = thread.guard().death_signal.filter(|_| !program.secure);
    thread.change_guard(|guard| guard.dumpable = false);
    thread.set_credentials(program.credentials);
    let mut namespaces = thread.namespaces();
    namespaces.enter_time();
    thread.set_namespaces(namespaces);
    thread.unshare_fs();
    thread.signals().begin_program();
    futex::clean_up(thread);
    timers::disarm(thread, false);
    let old = thread.replace_program(program.space, program.name);
    thread.change_guard(|guard| *guard = Guard { death_signal, ..program.guard });
    thread.process().give_memory_back();
    drop(old);
    program.context
}
