//! The container calls. Their numbers and structures are in `veridian-containers::abi`; docs/abi.md describes them.
//!
//! Who may: the caller needs CAP_SYS_ADMIN (EPERM). In a container it sees what was created in that container, and no
//! others.

use super::place;
use crate::{
    boot,
    security::Capabilities,
    task::Thread,
    virt::containers::{Container, container_of, descriptor_for},
};
use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use veridian_containers::{
    ContainerId, Signal,
    abi::{Args, Call, CreateArgs, CreateFlags, DeleteFlags, Errno, WaitResult, args_size, read_args, written_size},
    config::{self, Config},
    engine::{CreateRequest, Error},
};
use veridian_hal::UserAddr;

/// The longest path of `container_open`: ids down to the deepest pid namespace there can be.
const OPEN_PATH_MAX: usize = 32 * (veridian_containers::ID_MAX + 1);

/// Serves one of the container calls.
pub async fn serve(thread: &Arc<Thread>, call: Call, words: [usize; 6]) -> Result<usize, Errno> {
    if !thread.credentials().capable(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let engine = boot::engine();
    let container = || container_of(thread, words[0] as i32);
    let flags = |word: usize| u32::try_from(word).map_err(|_| Errno::EINVAL);
    match call {
        Call::Create => create(thread, UserAddr(words[0])).await,
        Call::Open => open(thread, UserAddr(words[0]), words[1]),
        Call::Start => done(engine.start(&container()?).await),
        Call::Kill => kill(&*container()?, words[1], flags(words[2])?),
        Call::Pause => done(engine.pause(&*container()?).await),
        Call::Resume => done(engine.resume(&*container()?).await),
        Call::Wait => wait(thread, &*container()?, UserAddr(words[1]), flags(words[2])?).await,
        Call::State => state(thread, &*container()?, UserAddr(words[1]), words[2]),
        Call::Stats => stats(thread, &*container()?, UserAddr(words[1])),
        Call::Delete => done(engine.delete(&container()?, DeleteFlags::try_from(flags(words[1])?)?).await),
        Call::List => list(thread, words[0] as u64, UserAddr(words[1])),
        Call::Exec | Call::Update | Call::Features => Err(Errno::ENOSYS),
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
    let mut bytes = vec![0; length];
    thread.space().read_bytes(UserAddr(at as usize), &mut bytes)?;
    Ok(bytes)
}

/// Why a create failed: the number, and the words for the caller's message buffer.
struct Refusal {
    errno: Errno,
    message: String,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, message: format!("{errno}") }
    }
}

async fn create(thread: &Arc<Thread>, at: UserAddr) -> Result<usize, Errno> {
    let args: CreateArgs = read_sized(thread, at)?;
    let outcome = build(thread, &args).await;
    let message = outcome.as_ref().err().map_or("", |refusal| refusal.message.as_str());
    tell(thread, at, &args, message)?;
    let container = outcome.map_err(|refusal| refusal.errno)?;
    match descriptor_for(thread, &container) {
        Ok(descriptor) => Ok(descriptor),
        Err(errno) => {
            // Without a descriptor nobody could ever start it.
            boot::engine().delete(&container, DeleteFlags::FORCE).await.map_err(|error| error.errno())?;
            Err(errno)
        }
    }
}

/// Writes the message, as far as it has room, and its length.
fn tell(thread: &Thread, at: UserAddr, args: &CreateArgs, message: &str) -> Result<(), Errno> {
    if args.message_size == 0 {
        return Ok(());
    }
    let room = usize::try_from(args.message_size).unwrap_or(usize::MAX).min(message.len());
    thread.space().write_bytes(UserAddr(args.message as usize), &message.as_bytes()[..room])?;
    let length_at = at.checked_add(CreateArgs::MESSAGE_LEN_OFFSET).ok_or(Errno::EFAULT)?;
    thread.space().write(length_at, &(room as u64))
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
        .map_err(|error| Refusal { errno: Errno::EINVAL, message: format!("{error}") })?;
    drop(document);
    for warning in config.warnings() {
        log::warn!("container {id}: {warning}");
    }
    let request = CreateRequest { id, config, flags, bundle: &bundle, bundle_path, caller: thread };
    let created = boot::engine().create(request).await;
    created.map_err(|error| Refusal { errno: error.errno(), message: format!("{error}") })
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
    if room > 0 {
        if room < json.len() {
            return Err(Errno::ERANGE);
        }
        thread.space().write_bytes(to, json.as_bytes())?;
    }
    Ok(json.len())
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
