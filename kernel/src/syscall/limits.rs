//! Resource limits (getrlimit(2), prlimit(2)). The rules are in `security`; here are their calls.

use crate::{
    security::{Capabilities, Credentials, Rlimit},
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct rlimit64`, and on 64-bit machines `struct rlimit`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct RawLimit {
    soft: u64,
    hard: u64,
}

pub fn getrlimit(thread: &Arc<Thread>, kind: u32, to: UserAddr) -> Result<usize, Errno> {
    let limit = thread.confinement().limits().get(kind)?;
    put(thread, to, limit)
}

pub fn setrlimit(thread: &Arc<Thread>, kind: u32, from: UserAddr) -> Result<usize, Errno> {
    let limit = get(thread, from)?;
    change(thread, thread, kind, limit).map(|_| 0)
}

/// prlimit64(2): of a process that the caller may change, or 0 for its own.
pub fn prlimit64(thread: &Arc<Thread>, pid: u32, kind: u32, new: UserAddr, old: UserAddr) -> Result<usize, Errno> {
    let new = if new == UserAddr(0) { None } else { Some(get(thread, new)?) };
    let target = match pid {
        0 => thread.clone(),
        _ => thread.pid().namespace().thread(pid).ok_or(Errno::ESRCH)?,
    };
    if !Arc::ptr_eq(&target, thread) && !may_change(&thread.credentials(), &target.credentials()) {
        return Err(Errno::EPERM);
    }
    let before = match new {
        Some(limit) => change(thread, &target, kind, limit)?,
        None => target.confinement().limits().get(kind)?,
    };
    if old == UserAddr(0) { Ok(0) } else { put(thread, old, before) }
}

/// All of the target's ids are the caller's, or it may exceed limits where the target is (prlimit(2)).
fn may_change(caller: &Credentials, target: &Credentials) -> bool {
    let same = [target.uid, target.euid, target.suid] == [caller.uid; 3]
        && [target.gid, target.egid, target.sgid] == [caller.gid; 3];
    same || caller.capable_in(&target.user_namespace, Capabilities::SYS_RESOURCE)
}

fn change(thread: &Thread, target: &Thread, kind: u32, limit: Rlimit) -> Result<Rlimit, Errno> {
    let privileged = thread.credentials().capable(Capabilities::SYS_RESOURCE);
    let before = target.confinement().set_limit(kind, limit, privileged)?;
    target.apply_limits();
    Ok(before)
}

fn get(thread: &Thread, from: UserAddr) -> Result<Rlimit, Errno> {
    let RawLimit { soft, hard } = thread.space().read(from)?;
    Ok(Rlimit { soft, hard })
}

fn put(thread: &Thread, to: UserAddr, Rlimit { soft, hard }: Rlimit) -> Result<usize, Errno> {
    thread.space().write(to, &RawLimit { soft, hard })?;
    Ok(0)
}
