//! New processes and threads: clone(2), clone3(2), fork(2), vfork(2).

use super::{Outcome, pidfd, place::extensible};
use crate::{
    fs::{self, OpenFlags},
    namespace::Namespaces,
    task::{self, CloneFlags, CloneRequest, Thread},
};
use alloc::sync::Arc;
use linux_raw_sys::general;
use veridian_containers::{NamespaceSet, Signal, abi::Errno};
use veridian_hal::{UserAddr, user::UserContext};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The flags of clone(2) in their two parts; EINVAL for one that has no effect here.
fn split(bits: u64) -> Result<(CloneFlags, NamespaceSet), Errno> {
    let new = NamespaceSet::from_bits_truncate(bits as u32);
    let flags = CloneFlags::from_bits(bits & !u64::from(new.bits())).ok_or(Errno::EINVAL)?;
    if Namespaces::KINDS.contains(new) { Ok((flags, new)) } else { Err(Errno::EINVAL) }
}

/// Makes the child; `pidfd` is where the caller wants a descriptor for it, if it asks for one.
fn make(
    thread: &Arc<Thread>,
    context: &UserContext,
    request: &CloneRequest<'_>,
    pidfd: UserAddr,
) -> Result<Outcome, Errno> {
    request.flags.check(request.new)?;
    let asks = request.flags.contains(CloneFlags::PIDFD);
    let named = if asks { Some(pidfd::unnamed(thread, OpenFlags::empty())?) } else { None };
    let told = named.as_ref().map_or(Ok(()), |(descriptor, _)| thread.space().write(pidfd, descriptor));
    let made = told.and_then(|()| task::clone(thread, context, request)).inspect_err(|_| {
        if let Some((descriptor, _)) = &named {
            drop(thread.with_files(|files| files.close(*descriptor)));
        }
    });
    let (child, number) = made?;
    if let Some((_, named)) = named {
        named.stand_for(&child);
    }
    let waits = request.flags.contains(CloneFlags::VFORK);
    Ok(if waits { Outcome::LendsMemory(child, number) } else { Outcome::Returns(number as usize) })
}

/// fork(2).
pub fn fork(thread: &Arc<Thread>, context: &UserContext) -> Result<Outcome, Errno> {
    make(thread, context, &CloneRequest::fork(), UserAddr(0))
}

/// vfork(2).
pub fn vfork(thread: &Arc<Thread>, context: &UserContext) -> Result<Outcome, Errno> {
    let flags = CloneFlags::VM | CloneFlags::VFORK;
    make(thread, context, &CloneRequest { flags, ..CloneRequest::fork() }, UserAddr(0))
}

/// clone(2). The low byte of the flags is the exit signal; the last two arguments stand in another order on
/// x86_64 than elsewhere.
pub fn clone(thread: &Arc<Thread>, context: &UserContext) -> Result<Outcome, Errno> {
    let [word, stack, parent_tid, fourth, fifth, _] = context.syscall_args();
    let (child_tid, tls) = if super::number::IS_X86_64 { (fourth, fifth) } else { (fifth, fourth) };
    let (flags, new) = split(u64::from(word as u32 & !general::CSIGNAL))?;
    let exit_signal = word as u32 & general::CSIGNAL;
    // The descriptor is written where the number would be.
    let both = CloneFlags::PIDFD | CloneFlags::PARENT_SETTID;
    if exit_signal > Signal::MAX || flags.contains(both) {
        return Err(Errno::EINVAL);
    }
    let request = CloneRequest {
        flags,
        new,
        exit_signal,
        stack: UserAddr(stack),
        parent_tid: UserAddr(parent_tid),
        child_tid: UserAddr(child_tid),
        tls: UserAddr(tls),
        numbers: &[],
        cgroup: None,
    };
    make(thread, context, &request, UserAddr(parent_tid))
}

/// `struct clone_args`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The size that the structure had first.
const CLONE_ARGS_SIZE_MIN: usize = 64;
/// How many numbers a process can have: one a level of pid namespaces.
const NUMBERS_MAX: usize = 32;

/// clone3(2). The structure may be shorter than this kernel's, or longer if what is beyond is zero.
pub fn clone3(thread: &Arc<Thread>, context: &UserContext) -> Result<Outcome, Errno> {
    let [at, size, ..] = context.syscall_args();
    let mut args = CloneArgs::default();
    extensible(thread, UserAddr(at), size, CLONE_ARGS_SIZE_MIN, args.as_mut_bytes())?;
    let exit_signal = u32::try_from(args.exit_signal).ok().filter(|signal| *signal <= Signal::MAX);
    let exit_signal = exit_signal.ok_or(Errno::EINVAL)?;
    let (flags, new) = split(args.flags)?;
    let cgroup = if flags.contains(CloneFlags::INTO_CGROUP) {
        let fd = i32::try_from(args.cgroup).ok().filter(|_| size >= size_of::<CloneArgs>()).ok_or(Errno::EINVAL)?;
        let file = thread.with_files(|files| files.get(fd))?;
        Some(fs::cgroup::group_for_child(&file, thread)?)
    } else {
        None
    };
    if flags.intersects(CloneFlags::PARENT | CloneFlags::THREAD) && exit_signal != 0
        || flags.contains(CloneFlags::DETACHED)
        || (args.stack == 0) != (args.stack_size == 0)
    {
        return Err(Errno::EINVAL);
    }
    let stack = args.stack.checked_add(args.stack_size).ok_or(Errno::EINVAL)?;
    let mut numbers = [0u32; NUMBERS_MAX];
    let count = usize::try_from(args.set_tid_size).ok().filter(|count| *count <= NUMBERS_MAX).ok_or(Errno::EINVAL)?;
    if (args.set_tid == 0) != (count == 0) {
        return Err(Errno::EINVAL);
    }
    thread.space().read_bytes(UserAddr(args.set_tid as usize), numbers[..count].as_mut_bytes())?;
    let request = CloneRequest {
        flags,
        new,
        exit_signal,
        stack: UserAddr(stack as usize),
        parent_tid: UserAddr(args.parent_tid as usize),
        child_tid: UserAddr(args.child_tid as usize),
        tls: UserAddr(args.tls as usize),
        numbers: &numbers[..count],
        cgroup,
    };
    make(thread, context, &request, UserAddr(args.pidfd as usize))
}
