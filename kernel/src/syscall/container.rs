//! The container calls. Their numbers and structures are in `veridian-containers::abi`; docs/abi.md describes them.
//!
//! Who may: [`Domain`] tells (EPERM). In a container the caller sees what was created in that container, and no others.

use super::{pidfd, place};
use crate::{
    boot,
    fs::{File, OpenFlags},
    mm::filled,
    task::{self, Thread},
    tty::pty::Master,
    virt::containers::{Container, Domain, Guest, container_of, descriptor_for, take_terminal},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use veridian_containers::{
    ContainerId, Signal,
    abi::{
        Args, Call, CreateArgs, CreateFlags, DeleteFlags, DocumentArgs, Errno, WaitResult, args_size, read_args,
        written_size,
    },
    config::{self, Config, ConfigError, Process, Resources},
    engine::{CreateRequest, Error, ExecRequest},
    features::{self, FEATURES},
};
use veridian_hal::UserAddr;

/// The longest path of `container_open`: ids down to the deepest pid namespace there can be.
const OPEN_PATH_MAX: usize = 32 * (veridian_containers::ID_MAX + 1);

/// Serves one of the container calls. A thread's task has room for the longest of its calls, whether it ever makes it or
/// not: what those of a manager of containers need is on the heap while they run.
pub async fn serve(thread: &Arc<Thread>, call: Call, words: [usize; 6]) -> Result<usize, Errno> {
    let domain = Domain::of(thread)?;
    let engine = boot::engine();
    let container = || {
        let container = container_of(thread, words[0] as i32)?;
        domain.permit(&container).map(|()| container)
    };
    let flags = |word: usize| u32::try_from(word).map_err(|_| Errno::EINVAL);
    match call {
        Call::Create => Box::pin(create(thread, UserAddr(words[0]))).await,
        Call::Open => open(thread, UserAddr(words[0]), words[1]),
        Call::Start => done(Box::pin(engine.start(&container()?)).await),
        Call::Kill => kill(&*container()?, words[1], flags(words[2])?),
        Call::Pause => done(Box::pin(engine.pause(&*container()?)).await),
        Call::Resume => done(Box::pin(engine.resume(&*container()?)).await),
        Call::Wait => wait(thread, &*container()?, UserAddr(words[1]), flags(words[2])?).await,
        Call::State => state(thread, &*container()?, UserAddr(words[1]), words[2]),
        Call::Stats => stats(thread, &*container()?, UserAddr(words[1])),
        Call::Delete => {
            let flags = DeleteFlags::try_from(flags(words[1])?)?;
            done(Box::pin(engine.delete(&container()?, flags)).await)
        }
        Call::List => list(thread, words[0] as u64, UserAddr(words[1])),
        Call::Exec => Box::pin(exec(thread, &*container()?, UserAddr(words[1]))).await,
        Call::Update => Box::pin(update(thread, &*container()?, UserAddr(words[1]))).await,
        Call::Features => {
            write_text(thread, &features::json(config::is_enforced, FEATURES), UserAddr(words[0]), words[1])
        }
    }
}

/// Reads a structure that begins with its size as the program knows it.
fn read_sized<T: Args>(thread: &Thread, at: UserAddr) -> Result<T, Errno> {
    let claimed: u64 = thread.space().read(at)?;
    let size = args_size::<T>(claimed)?;
    let mut bytes = [0; veridian_containers::abi::ARGS_SIZE_MAX];
    thread.space().read_bytes(at, &mut bytes[..size])?;
    read_args(&bytes[..size])
}

/// Writes as much of a structure as the program knows of it.
fn write_sized<T: Args>(thread: &Thread, at: UserAddr, value: &T) -> Result<(), Errno> {
    let claimed: u64 = thread.space().read(at)?;
    let size = written_size::<T>(claimed)?;
    let rest = size_of::<u64>();
    thread.space().write(at, &(size as u64))?;
    thread.space().write_bytes(at.checked_add(rest).ok_or(Errno::EFAULT)?, &value.as_bytes()[rest..size])
}

fn read_buffer(thread: &Thread, at: u64, length: u64, max: usize) -> Result<Vec<u8>, Errno> {
    let length = usize::try_from(length).ok().filter(|length| *length <= max).ok_or(Errno::E2BIG)?;
    let mut bytes = filled(0, length)?;
    thread.space().read_bytes(UserAddr(at as usize), &mut bytes)?;
    Ok(bytes)
}

/// Why a create failed: the number, and the words for the caller's message buffer.
struct Refusal {
    errno: Errno,
    message: String,
}

impl Refusal {
    fn of_document(error: ConfigError) -> Self {
        Self { errno: Errno::EINVAL, message: format!("{error}") }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { errno: error.errno(), message: format!("{error}") }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, message: format!("{errno}") }
    }
}

/// Where a program wants the words of an error.
struct MessageBuffer {
    buffer: u64,
    size: u64,
    /// Where the number of bytes goes that were written.
    length_at: UserAddr,
}

impl MessageBuffer {
    fn of_create(at: UserAddr, args: &CreateArgs) -> Result<Self, Errno> {
        Self::new(at, CreateArgs::MESSAGE_LEN_OFFSET, args.message, args.message_size)
    }

    fn of_document(at: UserAddr, args: &DocumentArgs) -> Result<Self, Errno> {
        Self::new(at, DocumentArgs::MESSAGE_LEN_OFFSET, args.message, args.message_size)
    }

    fn new(at: UserAddr, offset: usize, buffer: u64, size: u64) -> Result<Self, Errno> {
        Ok(Self { buffer, size, length_at: at.checked_add(offset).ok_or(Errno::EFAULT)? })
    }

    /// Writes the words of `outcome`, as far as there is room for them, and their length; 0 for a success.
    fn tell<T>(&self, thread: &Thread, outcome: &Result<T, Refusal>) -> Result<(), Errno> {
        if self.size == 0 {
            return Ok(());
        }
        let message = outcome.as_ref().err().map_or("", |refusal| refusal.message.as_str());
        let room = usize::try_from(self.size).unwrap_or(usize::MAX).min(message.len());
        thread.space().write_bytes(UserAddr(self.buffer as usize), &message.as_bytes()[..room])?;
        thread.space().write(self.length_at, &(room as u64))
    }
}

async fn create(thread: &Arc<Thread>, at: UserAddr) -> Result<usize, Errno> {
    let args: CreateArgs = read_sized(thread, at)?;
    let buffer = MessageBuffer::of_create(at, &args)?;
    let outcome = build(thread, &args).await;
    let told = buffer.tell(thread, &outcome);
    let container = outcome.map_err(|refusal| refusal.errno)?;
    match told.and_then(|()| hand_over(thread, &container, at)) {
        Ok(descriptor) => Ok(descriptor),
        Err(errno) => {
            // Nobody asked for one without a descriptor.
            boot::engine().delete(&container, DeleteFlags::FORCE).await.map_err(|error| error.errno())?;
            Err(errno)
        }
    }
}

/// Descriptors for the creator: of his container, and of the terminal of its process if it has one.
fn hand_over(thread: &Thread, container: &Arc<Container>, at: UserAddr) -> Result<usize, Errno> {
    let terminal = give_terminal(thread, take_terminal(container), at, CreateArgs::TERMINAL_FD_OFFSET)?;
    let descriptor = descriptor_for(thread, container);
    if descriptor.is_err() {
        take_back(thread, terminal);
    }
    descriptor
}

/// A descriptor for the master side of a terminal, which is told at `offset` of the arguments `at`.
fn give_terminal(
    thread: &Thread,
    master: Option<Arc<Master>>,
    at: UserAddr,
    offset: usize,
) -> Result<Option<i32>, Errno> {
    let Some(master) = master else { return Ok(None) };
    let who = thread.credentials();
    let file = File::of_object(master, OpenFlags::RDWR, who.fsuid, who.fsgid)?;
    let descriptor = thread.with_files(|files| files.insert(file, true))?;
    let told = at.checked_add(offset).ok_or(Errno::EFAULT);
    match told.and_then(|at| thread.space().write(at, &i64::from(descriptor))) {
        Ok(()) => Ok(Some(descriptor)),
        Err(errno) => {
            take_back(thread, Some(descriptor));
            Err(errno)
        }
    }
}

fn take_back(thread: &Thread, descriptor: Option<i32>) {
    if let Some(descriptor) = descriptor {
        let closed = thread.with_files(|files| files.close(descriptor));
        drop(closed);
    }
}

/// EINVAL for a terminal that the caller's structure has no room for.
fn check_terminal(process: &Process, claimed: u64, offset: usize) -> Result<(), Refusal> {
    if process.terminal && claimed < (offset + size_of::<i64>()) as u64 {
        let message = String::from("the arguments have no room for the terminal's descriptor");
        return Err(Refusal { errno: Errno::EINVAL, message });
    }
    Ok(())
}

async fn exec(thread: &Arc<Thread>, container: &Container, at: UserAddr) -> Result<usize, Errno> {
    let args: DocumentArgs = read_sized(thread, at)?;
    let buffer = MessageBuffer::of_document(at, &args)?;
    // The descriptor first: what runs cannot be taken back.
    let (descriptor, pidfd) = pidfd::unnamed(thread, OpenFlags::empty())?;
    let outcome = run(thread, container, &args).await;
    let told = buffer.tell(thread, &outcome);
    let errno = match outcome {
        Ok(Guest { thread: guest, terminal }) => {
            let given = told.and_then(|()| give_terminal(thread, terminal, at, DocumentArgs::TERMINAL_FD_OFFSET));
            match given {
                Ok(_) => {
                    pidfd.stand_for(&guest);
                    task::release(&guest);
                    return Ok(descriptor as usize);
                }
                Err(errno) => {
                    task::abandon(thread, &guest);
                    errno
                }
            }
        }
        Err(refusal) => refusal.errno,
    };
    take_back(thread, Some(descriptor));
    Err(errno)
}

/// A further process in the container, still held.
async fn run(thread: &Arc<Thread>, container: &Container, args: &DocumentArgs) -> Result<Guest, Refusal> {
    let document = document(thread, args)?;
    let process = Process::parse(&document, &variables(container)).map_err(Refusal::of_document)?;
    check_terminal(&process, args.size, DocumentArgs::TERMINAL_FD_OFFSET)?;
    let request = ExecRequest { process: &process, caller: thread };
    Ok(boot::engine().exec(container, request).await?)
}

async fn update(thread: &Arc<Thread>, container: &Container, at: UserAddr) -> Result<usize, Errno> {
    let args: DocumentArgs = read_sized(thread, at)?;
    let buffer = MessageBuffer::of_document(at, &args)?;
    let outcome = change(thread, container, &args).await;
    buffer.tell(thread, &outcome)?;
    outcome.map(|()| 0).map_err(|refusal| refusal.errno)
}

async fn change(thread: &Arc<Thread>, container: &Container, args: &DocumentArgs) -> Result<(), Refusal> {
    let document = document(thread, args)?;
    let resources = Resources::parse(&document, &variables(container)).map_err(Refusal::of_document)?;
    Ok(boot::engine().update(container, &resources).await?)
}

fn document(thread: &Thread, args: &DocumentArgs) -> Result<Vec<u8>, Refusal> {
    if args.document_len > config::LEN_MAX as u64 {
        let message = format!("the document has {} bytes; at most {} are read", args.document_len, config::LEN_MAX);
        return Err(Refusal { errno: Errno::E2BIG, message });
    }
    Ok(read_buffer(thread, args.document, args.document_len, config::LEN_MAX)?)
}

/// What `${NAME}` stands for in a document about a container that is there.
fn variables(container: &Container) -> [(&'static str, &str); 2] {
    [("CONTAINER_ID", container.id().as_str()), ("BUNDLE", container.bundle())]
}

async fn build(thread: &Arc<Thread>, args: &CreateArgs) -> Result<Arc<Container>, Refusal> {
    let flags = CreateFlags::try_from(args.flags)?;
    let id = read_buffer(thread, args.id, args.id_len, veridian_containers::ID_MAX).map_err(|errno| match errno {
        Errno::E2BIG => Errno::EINVAL,
        other => other,
    })?;
    let id = core::str::from_utf8(&id).map_err(|_| Errno::EINVAL).and_then(ContainerId::new).map_err(|errno| {
        Refusal { errno, message: format!("{:?} is not a container id", String::from_utf8_lossy(&id)) }
    })?;
    if args.config_len > config::LEN_MAX as u64 {
        let message = format!("the configuration has {} bytes; at most {} are read", args.config_len, config::LEN_MAX);
        return Err(Refusal { errno: Errno::E2BIG, message });
    }
    let document = read_buffer(thread, args.config, args.config_len, config::LEN_MAX)?;
    let bundle = place::directory(thread, args.bundle_fd)?;
    let bundle_path = thread.with_fs(|fs| fs.path_of(&bundle))?;
    let bundle_path = String::from_utf8(bundle_path).map_err(|_| Errno::EINVAL)?;
    let config = Config::parse(&document, &[("CONTAINER_ID", id.as_str()), ("BUNDLE", &bundle_path)])
        .map_err(Refusal::of_document)?;
    drop(document);
    check_terminal(&config.process, args.size, CreateArgs::TERMINAL_FD_OFFSET)?;
    for warning in config.warnings() {
        log::warn!("container {id}: {warning}");
    }
    let request = CreateRequest { id, config, flags, bundle: &bundle, bundle_path, caller: thread };
    Ok(boot::engine().create(request).await?)
}

fn done(outcome: Result<(), Error>) -> Result<usize, Errno> {
    outcome.map(|()| 0).map_err(|error| error.errno())
}

/// A descriptor of the container with this id.
fn open(thread: &Arc<Thread>, at: UserAddr, length: usize) -> Result<usize, Errno> {
    let path = read_buffer(thread, at.0 as u64, length as u64, OPEN_PATH_MAX).map_err(|errno| match errno {
        Errno::E2BIG => Errno::ENAMETOOLONG,
        other => other,
    })?;
    let path = core::str::from_utf8(&path).map_err(|_| Errno::ENOENT)?;
    let container = boot::engine().open(thread, path).map_err(|error| error.errno())?;
    descriptor_for(thread, &container)
}

fn kill(container: &Container, signal: usize, flags: u32) -> Result<usize, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let signal = u32::try_from(signal).map_err(|_| Errno::EINVAL).and_then(Signal::try_from)?;
    done(boot::engine().kill(container, signal))
}

async fn wait(thread: &Thread, container: &Container, to: UserAddr, flags: u32) -> Result<usize, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let exit = container.stopped().await;
    write_sized(thread, to, &WaitResult::from(exit))?;
    Ok(0)
}

fn state(thread: &Arc<Thread>, container: &Container, to: UserAddr, room: usize) -> Result<usize, Errno> {
    let json = boot::engine().state_json(container, thread).map_err(|error| error.errno())?;
    write_text(thread, &json, to, room)
}

/// Writes a text if there is room for all of it: ERANGE if not; its length. Without any room, the length alone.
fn write_text(thread: &Thread, text: &str, to: UserAddr, room: usize) -> Result<usize, Errno> {
    if room > 0 {
        if room < text.len() {
            return Err(Errno::ERANGE);
        }
        thread.space().write_bytes(to, text.as_bytes())?;
    }
    Ok(text.len())
}

fn stats(thread: &Thread, container: &Container, to: UserAddr) -> Result<usize, Errno> {
    let stats = boot::engine().stats(container).map_err(|error| error.errno())?;
    write_sized(thread, to, &stats)?;
    Ok(0)
}

fn list(thread: &Arc<Thread>, cookie: u64, to: UserAddr) -> Result<usize, Errno> {
    let engine = boot::engine();
    let mut cookie = cookie;
    while let Some(container) = engine.next_after(thread, cookie) {
        cookie = container.key().cookie();
        let Some(entry) = engine.list_entry(&container, thread) else { continue };
        write_sized(thread, to, &entry)?;
        return Ok(cookie as usize);
    }
    Ok(0)
}
