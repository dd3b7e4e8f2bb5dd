//! User and group ids (credentials(7)). The rules are in `security`; here are their calls.

use crate::{
    mm::filled,
    security::{Credentials, Groups},
    task::Thread,
};
use alloc::vec::Vec;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

/// -1 leaves an id as it is.
fn given(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// The machine's user id for one that the program gave: EINVAL when its user namespace does not map it. -1 stays none.
fn user(who: &Credentials, id: u32) -> Result<Option<u32>, Errno> {
    given(id).map(|id| who.user_namespace.user(id)).transpose()
}

/// As [`user`], of a group id.
fn group(who: &Credentials, id: u32) -> Result<Option<u32>, Errno> {
    given(id).map(|id| who.user_namespace.group(id)).transpose()
}

fn become_who(
    thread: &Thread,
    change: impl FnOnce(&Credentials) -> Result<Credentials, Errno>,
) -> Result<usize, Errno> {
    thread.set_credentials(change(&thread.credentials())?);
    Ok(0)
}

pub fn getuid(thread: &Thread) -> Result<usize, Errno> {
    let who = thread.credentials();
    Ok(who.user_namespace.shown_user(who.uid) as usize)
}

pub fn geteuid(thread: &Thread) -> Result<usize, Errno> {
    let who = thread.credentials();
    Ok(who.user_namespace.shown_user(who.euid) as usize)
}

pub fn getgid(thread: &Thread) -> Result<usize, Errno> {
    let who = thread.credentials();
    Ok(who.user_namespace.shown_group(who.gid) as usize)
}

pub fn getegid(thread: &Thread) -> Result<usize, Errno> {
    let who = thread.credentials();
    Ok(who.user_namespace.shown_group(who.egid) as usize)
}

fn three(thread: &Thread, at: [UserAddr; 3], ids: [u32; 3]) -> Result<usize, Errno> {
    let space = thread.space();
    for (address, id) in at.into_iter().zip(ids) {
        space.write(address, &id)?;
    }
    Ok(0)
}

pub fn getresuid(thread: &Thread, real: UserAddr, effective: UserAddr, saved: UserAddr) -> Result<usize, Errno> {
    let who = thread.credentials();
    three(thread, [real, effective, saved], [who.uid, who.euid, who.suid].map(|id| who.user_namespace.shown_user(id)))
}

pub fn getresgid(thread: &Thread, real: UserAddr, effective: UserAddr, saved: UserAddr) -> Result<usize, Errno> {
    let who = thread.credentials();
    three(thread, [real, effective, saved], [who.gid, who.egid, who.sgid].map(|id| who.user_namespace.shown_group(id)))
}

pub fn setuid(thread: &Thread, uid: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_uid(who.user_namespace.user(uid)?))
}

pub fn setgid(thread: &Thread, gid: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_gid(who.user_namespace.group(gid)?))
}

pub fn setreuid(thread: &Thread, real: u32, effective: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_re_uid(user(who, real)?, user(who, effective)?))
}

pub fn setregid(thread: &Thread, real: u32, effective: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_re_gid(group(who, real)?, group(who, effective)?))
}

pub fn setresuid(thread: &Thread, real: u32, effective: u32, saved: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_res_uid(user(who, real)?, user(who, effective)?, user(who, saved)?))
}

pub fn setresgid(thread: &Thread, real: u32, effective: u32, saved: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_res_gid(group(who, real)?, group(who, effective)?, group(who, saved)?))
}

/// getgroups(2): the number; with room, the groups too.
pub fn getgroups(thread: &Thread, room: i32, to: UserAddr) -> Result<usize, Errno> {
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let who = thread.credentials();
    if room > 0 {
        if room < who.groups.len() {
            return Err(Errno::EINVAL);
        }
        let shown: Vec<u32> = who.groups.iter().map(|gid| who.user_namespace.shown_group(*gid)).collect();
        thread.space().write_bytes(to, shown.as_bytes())?;
    }
    Ok(who.groups.len())
}

pub fn setgroups(thread: &Thread, count: i32, from: UserAddr) -> Result<usize, Errno> {
    let who = thread.credentials();
    who.permit_set_groups()?;
    let count = usize::try_from(count).ok().filter(|count| *count <= Groups::MAX);
    let mut groups = filled(0_u32, count.ok_or(Errno::EINVAL)?)?;
    thread.space().read_bytes(from, groups.as_mut_bytes())?;
    for gid in &mut groups {
        *gid = who.user_namespace.group(*gid)?;
    }
    let groups = Groups::paid_by(&thread.memory(), groups)?;
    become_who(thread, |who| who.set_groups(groups))
}

/// setfsuid(2): the id before; an id that is not mapped, or not allowed, changes nothing.
pub fn setfsuid(thread: &Thread, uid: u32) -> Result<usize, Errno> {
    let who = thread.credentials();
    if let Ok(uid) = who.user_namespace.user(uid) {
        thread.set_credentials(who.set_fs_uid(uid));
    }
    Ok(who.user_namespace.shown_user(who.fsuid) as usize)
}

/// setfsgid(2), as [`setfsuid`].
pub fn setfsgid(thread: &Thread, gid: u32) -> Result<usize, Errno> {
    let who = thread.credentials();
    if let Ok(gid) = who.user_namespace.group(gid) {
        thread.set_credentials(who.set_fs_gid(gid));
    }
    Ok(who.user_namespace.shown_group(who.fsgid) as usize)
}
