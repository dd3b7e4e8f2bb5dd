//! Namespaces that a process goes to: unshare(2), setns(2).

use crate::{
    fs::{File, NamespaceFile},
    task::{self, Thread},
};
use alloc::sync::Arc;
use linux_raw_sys::general;
use veridian_containers::{NamespaceSet, abi::Errno};

/// unshare(2). What only a process of one thread can have alone is EINVAL for one of several.
pub fn unshare(thread: &Thread, flags: u64) -> Result<usize, Errno> {
    const FS: u64 = general::CLONE_FS as u64;
    const FILES: u64 = general::CLONE_FILES as u64;
    const ALONE: u64 = (general::CLONE_THREAD | general::CLONE_SIGHAND | general::CLONE_VM) as u64;
    // What semaphore operations are to undo is shared with nobody but the process's threads.
    const KNOWN: u64 = FS | FILES | ALONE | general::CLONE_SYSVSEM as u64;
    let kinds = u32::try_from(flags & !KNOWN).ok().and_then(NamespaceSet::from_bits).ok_or(Errno::EINVAL)?;
    let alone = flags & ALONE != 0 || kinds.contains(NamespaceSet::USER);
    if alone && thread.process().thread_count() > 1 {
        return Err(Errno::EINVAL);
    }
    if flags & FILES != 0 {
        thread.unshare_files()?;
    }
    if flags & FS != 0 || kinds.intersects(NamespaceSet::USER | NamespaceSet::MOUNT) {
        thread.unshare_fs();
    }
    task::unshare(thread, kinds)?;
    Ok(0)
}

/// EINVAL where several threads, or processes that share root and working directory, would be half in a namespace.
fn permit_join(thread: &Thread, kinds: NamespaceSet) -> Result<(), Errno> {
    let several = kinds.contains(NamespaceSet::USER) && thread.process().thread_count() > 1;
    let shares = kinds.intersects(NamespaceSet::USER | NamespaceSet::MOUNT) && thread.shares_fs();
    if several || shares { Err(Errno::EINVAL) } else { Ok(()) }
}

/// setns(2): into the namespace that a descriptor stands for, which is of the kind `kinds` if that is not 0; or into those
/// of `kinds` of the process, or the container, that it stands for.
pub fn setns(thread: &Thread, fd: i32, kinds: u32) -> Result<usize, Errno> {
    let file = thread.with_files(|files| files.get(fd))?;
    let kinds = NamespaceSet::from_bits(kinds).ok_or(Errno::EINVAL)?;
    if let Some(namespace) = file.object::<NamespaceFile>() {
        let namespace = namespace.namespace();
        if !kinds.is_empty() && kinds != namespace.kind().flag() {
            return Err(Errno::EINVAL);
        }
        permit_join(thread, namespace.kind().flag())?;
        task::join(thread, namespace.clone())?;
        return Ok(0);
    }
    let target = process_of(&file)?;
    if kinds.is_empty() {
        return Err(Errno::EINVAL);
    }
    if target.has_ended() {
        return Err(Errno::ESRCH);
    }
    permit_join(thread, kinds)?;
    task::join_those_of(thread, &target, kinds)?;
    Ok(0)
}

/// The process of a pidfd, the first one of a container; EINVAL for another file.
fn process_of(file: &File) -> Result<Arc<Thread>, Errno> {
    #[cfg(feature = "containers")]
    if let Some(process) = crate::virt::containers::process_of(file) {
        return process;
    }
    super::pidfd::process_of(file).map_err(|_| Errno::EINVAL)
}
