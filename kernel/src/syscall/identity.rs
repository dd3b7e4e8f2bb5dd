//! User and group ids (credentials(7)). The rules are in `security`; here are their calls.

use crate::{
    security::{Capabilities, Credentials},
    task::Thread,
};
use alloc::vec;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

/// -1 leaves an id as it is.
fn given(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

fn become_who(
    thread: &Thread,
    change: impl FnOnce(&Credentials) -> Result<Credentials, Errno>,
) -> Result<usize, Errno> {
    thread.set_credentials(change(&thread.credentials())?);
    Ok(0)
}

pub async fn getuid(thread: &Thread) -> Result<usize, Errno> {
    Ok(thread.credentials().uid as usize)
}

pub async fn geteuid(thread: &Thread) -> Result<usize, Errno> {
    Ok(thread.credentials().euid as usize)
}

pub async fn getgid(thread: &Thread) -> Result<usize, Errno> {
    Ok(thread.credentials().gid as usize)
}

pub async fn getegid(thread: &Thread) -> Result<usize, Errno> {
    Ok(thread.credentials().egid as usize)
}

fn three(thread: &Thread, at: [UserAddr; 3], ids: [u32; 3]) -> Result<usize, Errno> {
    let space = thread.space();
    for (address, id) in at.into_iter().zip(ids) {
        space.write(address, &id)?;
    }
    Ok(0)
}

pub async fn getresuid(thread: &Thread, real: UserAddr, effective: UserAddr, saved: UserAddr) -> Result<usize, Errno> {
    let who = thread.credentials();
    three(thread, [real, effective, saved], [who.uid, who.euid, who.suid])
}

pub async fn getresgid(thread: &Thread, real: UserAddr, effective: UserAddr, saved: UserAddr) -> Result<usize, Errno> {
    let who = thread.credentials();
    three(thread, [real, effective, saved], [who.gid, who.egid, who.sgid])
}

pub async fn setuid(thread: &Thread, uid: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_uid(uid))
}

pub async fn setgid(thread: &Thread, gid: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_gid(gid))
}

pub async fn setreuid(thread: &Thread, real: u32, effective: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_re_uid(given(real), given(effective)))
}

pub async fn setregid(thread: &Thread, real: u32, effective: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_re_gid(given(real), given(effective)))
}

pub async fn setresuid(thread: &Thread, real: u32, effective: u32, saved: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_res_uid(given(real), given(effective), given(saved)))
}

pub async fn setresgid(thread: &Thread, real: u32, effective: u32, saved: u32) -> Result<usize, Errno> {
    become_who(thread, |who| who.set_res_gid(given(real), given(effective), given(saved)))
}

/// getgroups(2): the number; with room, the groups too.
pub async fn getgroups(thread: &Thread, room: i32, to: UserAddr) -> Result<usize, Errno> {
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let who = thread.credentials();
    if room > 0 {
        if room < who.groups.len() {
            return Err(Errno::EINVAL);
        }
        thread.space().write_bytes(to, who.groups.as_bytes())?;
    }
    Ok(who.groups.len())
}

pub async fn setgroups(thread: &Thread, count: i32, from: UserAddr) -> Result<usize, Errno> {
    let who = thread.credentials();
    if !who.capable(Capabilities::SETGID) {
        return Err(Errno::EPERM);
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= crate::security::GROUPS_MAX);
    let mut groups = vec![0u32; count.ok_or(Errno::EINVAL)?];
    thread.space().read_bytes(from, groups.as_mut_bytes())?;
    become_who(thread, |who| who.set_groups(&groups))
}
