//! The container calls.

use core::ffi::CStr;
use veridian_containers::abi::{
    Call, CreateArgs, CreateFlags, DeleteFlags, DocumentArgs, ListEntry, Stats, WaitResult,
};

use super::{Arg, Errno, Fd, Result, invoke};

/// `container_create`. On an error the second value is how many bytes of `message` the kernel wrote.
pub fn container_create(
    config: &[u8],
    id: &[u8],
    bundle: Fd,
    flags: CreateFlags,
    message: &mut [u8],
) -> core::result::Result<Fd, (Errno, usize)> {
    container_create_with_terminal(config, id, bundle, flags, message).map(|(container, _)| container)
}
/// As [`container_create`], with the master side of the terminal that the configuration asks for.
pub fn container_create_with_terminal(
    config: &[u8],
    id: &[u8],
    bundle: Fd,
    flags: CreateFlags,
    message: &mut [u8],
) -> core::result::Result<(Fd, Option<Fd>), (Errno, usize)> {
    let mut args = CreateArgs {
        size: size_of::<CreateArgs>() as u64,
        config: Arg::read(config).0 as u64,
        config_len: config.len() as u64,
        id: Arg::read(id).0 as u64,
        id_len: id.len() as u64,
        bundle_fd: bundle,
        flags: flags.bits(),
        message: Arg::write(message).0 as u64,
        message_size: message.len() as u64,
        message_len: 0,
        terminal_fd: -1,
    };
    match invoke(Call::Create.number() as u32, [Arg::write(&mut args)]) {
        Ok(fd) => Ok((fd as Fd, terminal(args.terminal_fd))),
        Err(errno) => Err((errno, (args.message_len as usize).min(message.len()))),
    }
}
fn terminal(descriptor: i64) -> Option<Fd> {
    Fd::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0)
}
/// A call on a container with one number, and no flags.
fn on(which: Call, container: Fd, number: u32) -> Result<usize> {
    invoke(which.number() as u32, [Arg::from(container), Arg::from(number), Arg(0)])
}
/// `container_start`.
pub fn container_start(container: Fd) -> Result {
    on(Call::Start, container, 0).map(drop)
}
/// `container_kill`.
pub fn container_kill(container: Fd, signal: u32) -> Result {
    on(Call::Kill, container, signal).map(drop)
}
/// `container_wait`: blocks until the container is stopped.
pub fn container_wait(container: Fd) -> Result<WaitResult> {
    let mut result = WaitResult { size: size_of::<WaitResult>() as u64, ..WaitResult::default() };
    invoke(Call::Wait.number() as u32, [Arg::from(container), Arg::write(&mut result), Arg(0)]).map(|_| result)
}
/// `container_state`: OCI state as JSON.
pub fn container_state(container: Fd, buffer: &mut [u8]) -> Result<usize> {
    invoke(Call::State.number() as u32, [Arg::from(container), Arg::write(buffer), Arg(buffer.len())])
}
/// `container_delete`.
pub fn container_delete(container: Fd, flags: DeleteFlags) -> Result {
    on(Call::Delete, container, flags.bits()).map(drop)
}
/// `container_open`.
pub fn container_open(path: &str) -> Result<Fd> {
    invoke(Call::Open.number() as u32, [Arg::read(path.as_bytes()), Arg(path.len())]).map(|fd| fd as Fd)
}
/// `container_pause`.
pub fn container_pause(container: Fd) -> Result {
    on(Call::Pause, container, 0).map(drop)
}
/// `container_resume`.
pub fn container_resume(container: Fd) -> Result {
    on(Call::Resume, container, 0).map(drop)
}
/// `container_exec`: a descriptor of the process. On an error the second value is as in [`container_create`].
pub fn container_exec(container: Fd, process: &[u8], message: &mut [u8]) -> core::result::Result<Fd, (Errno, usize)> {
    container_exec_with_terminal(container, process, message).map(|(pidfd, _)| pidfd)
}
/// As [`container_exec`], with the master side of the terminal that the process asks for.
pub fn container_exec_with_terminal(
    container: Fd,
    process: &[u8],
    message: &mut [u8],
) -> core::result::Result<(Fd, Option<Fd>), (Errno, usize)> {
    with_document(Call::Exec, container, process, message).map(|(fd, terminal)| (fd as Fd, terminal))
}
/// `container_update`. On an error the second value is as in [`container_create`].
pub fn container_update(
    container: Fd,
    resources: &[u8],
    message: &mut [u8],
) -> core::result::Result<(), (Errno, usize)> {
    with_document(Call::Update, container, resources, message).map(drop)
}
fn with_document(
    which: Call,
    container: Fd,
    document: &[u8],
    message: &mut [u8],
) -> core::result::Result<(usize, Option<Fd>), (Errno, usize)> {
    let mut args = DocumentArgs {
        size: size_of::<DocumentArgs>() as u64,
        document: Arg::read(document).0 as u64,
        document_len: document.len() as u64,
        message: Arg::write(message).0 as u64,
        message_size: message.len() as u64,
        message_len: 0,
        terminal_fd: -1,
    };
    let answer = invoke(which.number() as u32, [Arg::from(container), Arg::write(&mut args)]);
    match answer {
        Ok(value) => Ok((value, terminal(args.terminal_fd))),
        Err(errno) => Err((errno, (args.message_len as usize).min(message.len()))),
    }
}
/// `container_stats`.
pub fn container_stats(container: Fd) -> Result<Stats> {
    let mut stats = Stats { size: size_of::<Stats>() as u64, ..Stats::default() };
    invoke(Call::Stats.number() as u32, [Arg::from(container), Arg::write(&mut stats)]).map(|_| stats)
}
/// `container_features`: OCI features JSON.
pub fn container_features(buffer: &mut [u8]) -> Result<usize> {
    invoke(Call::Features.number() as u32, [Arg::write(buffer), Arg(buffer.len())])
}
/// `container_list`: the entry after `cookie`, and the cookie to go on with, 0 past the last.
pub fn container_list(cookie: usize) -> Result<(usize, ListEntry)> {
    let mut entry = ListEntry { size: size_of::<ListEntry>() as u64, ..ListEntry::default() };
    invoke(Call::List.number() as u32, [Arg(cookie), Arg::write(&mut entry)]).map(|next| (next, entry))
}
/// The id in an entry of `container_list`.
pub fn entry_id(entry: &ListEntry) -> &str {
    let bytes = &entry.id[..(entry.id_len as usize).min(entry.id.len())];
    core::str::from_utf8(bytes).unwrap_or("(not UTF-8)")
}
/// The text that the kernel wrote of a C string field, up to its NUL.
pub fn text_of(field: &[core::ffi::c_char]) -> &str {
    // SAFETY: `c_char` is a byte, signed or not.
    let bytes = unsafe { core::slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    CStr::from_bytes_until_nul(bytes).ok().and_then(|text| text.to_str().ok()).unwrap_or("(not a string)")
}
