//! Memory: mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), madvise(2), msync(2), mlock(2).

use bitflags::bitflags;
use core::ops::Range;
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, mem::Protection};

use crate::{
    fs::Access,
    mm::{AtFork, Content, Destination, Discard, FaultError, Mapping, Place},
    sched,
    security::Capabilities,
    task::Thread,
};

bitflags! {
    /// mmap(2)'s `flags`, as far as they are known here; others are EINVAL, even where Linux looks away.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct MapFlags: u32 {
        const SHARED = general::MAP_SHARED;
        const PRIVATE = general::MAP_PRIVATE;
        const FIXED = general::MAP_FIXED;
        const ANONYMOUS = general::MAP_ANONYMOUS;
        const GROWSDOWN = general::MAP_GROWSDOWN;
        /// Without effect, as on Linux.
        const DENYWRITE = general::MAP_DENYWRITE;
        /// Without effect, as on Linux.
        const EXECUTABLE = general::MAP_EXECUTABLE;
        /// Nothing is ever swapped out: to lock is to populate.
        const LOCKED = general::MAP_LOCKED;
        /// Mappings reserve nothing.
        const NORESERVE = general::MAP_NORESERVE;
        const POPULATE = general::MAP_POPULATE;
        /// Takes the effect from `POPULATE`, as on Linux.
        const NONBLOCK = general::MAP_NONBLOCK;
        /// Without effect, as on Linux.
        const STACK = general::MAP_STACK;
        const FIXED_NOREPLACE = general::MAP_FIXED_NOREPLACE;
    }
}

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct RemapFlags: u32 {
        const MAYMOVE = general::MREMAP_MAYMOVE;
        const FIXED = general::MREMAP_FIXED;
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct SyncFlags: u32 {
        const ASYNC = general::MS_ASYNC;
        const INVALIDATE = general::MS_INVALIDATE;
        const SYNC = general::MS_SYNC;
    }
}

/// Pages that are populated before others may run.
const POPULATE_AT_ONCE: usize = 64;

/// mmap(2).
pub async fn mmap(
    thread: &Thread,
    address: UserAddr,
    length: usize,
    protection: usize,
    flags: usize,
    fd: i32,
    offset: u64,
) -> Result<usize, Errno> {
    let protection = self::protection(protection)?;
    let flags = u32::try_from(flags).ok().and_then(MapFlags::from_bits).ok_or(Errno::EINVAL)?;
    if length == 0 || !offset.is_multiple_of(PAGE_SIZE as u64) {
        return Err(Errno::EINVAL);
    }
    let shared = match flags & (MapFlags::SHARED | MapFlags::PRIVATE) {
        MapFlags::SHARED => true,
        MapFlags::PRIVATE => false,
        // With both bits (MAP_SHARED_VALIDATE) no flag but those above is known either.
        both if both == MapFlags::SHARED | MapFlags::PRIVATE => true,
        _ => return Err(Errno::EINVAL),
    };
    let place = if flags.contains(MapFlags::FIXED_NOREPLACE) {
        Place::Free(address)
    } else if flags.contains(MapFlags::FIXED) {
        Place::Fixed(address)
    } else {
        Place::Near(address)
    };
    let anonymous = flags.contains(MapFlags::ANONYMOUS);
    let grows_down = flags.contains(MapFlags::GROWSDOWN);
    if grows_down && (shared || !anonymous) {
        return Err(Errno::EINVAL);
    }
    let (content, allowed) = match (anonymous, shared) {
        (true, true) => (Content::Shared, Protection::all()),
        (true, false) if grows_down => (Content::Stack, Protection::all()),
        (true, false) => (Content::Private, Protection::all()),
        (false, shared) => file_content(thread, fd, offset / PAGE_SIZE as u64, shared, protection)?,
    };
    let space = thread.space();
    let bounded = !flags.contains(MapFlags::NORESERVE);
    let start = space.map(Mapping { place, length, protection, allowed, content, bounded })?;
    let populate = flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NONBLOCK);
    if (populate || flags.contains(MapFlags::LOCKED) || space.locks_future()) && !protection.is_empty() {
        // As on Linux, what cannot be populated is left for its first use to fail; but for want of memory the
        // mapping fails, since the group's limit is hit either way.
        if let Err(FaultError::OutOfMemory) = self::populate(thread, start.0..start.0 + length).await {
            space.unmap(start, length)?;
            return Err(Errno::ENOMEM);
        }
    }
    Ok(start.0)
}

/// What of a file is mapped, and what mprotect may give later.
fn file_content(
    thread: &Thread,
    fd: i32,
    first: u64,
    shared: bool,
    wanted: Protection,
) -> Result<(Content, Protection), Errno> {
    let file = thread.with_files(|files| files.get_open(fd))?;
    file.permit_mapping(wanted.contains(Protection::EXECUTE))?;
    let mut allowed = Protection::all();
    if file.permit_mapping(true).is_err() {
        allowed -= Protection::EXECUTE;
    }
    if !shared {
        return Ok((Content::PrivateFile { source: file, first }, allowed));
    }
    if !file.access().contains(Access::WRITE) {
        allowed -= Protection::WRITE;
    }
    Ok((Content::SharedFile { source: file, first }, allowed))
}

/// munmap(2).
pub fn munmap(thread: &Thread, address: UserAddr, length: usize) -> Result<usize, Errno> {
    thread.space().unmap(address, length).map(|()| 0)
}

/// mprotect(2).
pub fn mprotect(thread: &Thread, address: UserAddr, length: usize, protection: usize) -> Result<usize, Errno> {
    thread.space().protect(address, length, self::protection(protection)?).map(|()| 0)
}

/// brk(2): the break, moved if it can be.
pub fn brk(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    Ok(thread.space().set_break(to).0)
}

/// mremap(2). MREMAP_DONTUNMAP is EINVAL, and so is an old length of 0.
pub fn mremap(
    thread: &Thread,
    old: UserAddr,
    old_length: usize,
    new_length: usize,
    flags: usize,
    new: UserAddr,
) -> Result<usize, Errno> {
    let flags = u32::try_from(flags).ok().and_then(RemapFlags::from_bits).ok_or(Errno::EINVAL)?;
    let to = match (flags.contains(RemapFlags::MAYMOVE), flags.contains(RemapFlags::FIXED)) {
        (true, true) => Destination::Fixed(new),
        (true, false) => Destination::Anywhere,
        (false, false) => Destination::InPlace,
        (false, true) => return Err(Errno::EINVAL),
    };
    thread.space().remap(old, old_length, new_length, to).map(|start| start.0)
}

/// madvise(2). Advice that on Linux, too, changes nothing that a program could see is checked and not acted on;
/// advice that changes what a program sees and is not known is EINVAL.
pub fn madvise(thread: &Thread, address: UserAddr, length: usize, advice: u32) -> Result<usize, Errno> {
    let space = thread.space();
    match advice {
        general::MADV_NORMAL
        | general::MADV_RANDOM
        | general::MADV_SEQUENTIAL
        | general::MADV_WILLNEED
        | general::MADV_COLD
        | general::MADV_PAGEOUT => space.check_mapped(address, length),
        general::MADV_DONTNEED => space.discard(address, length, Discard::Any),
        // Linux may take its time; the pages are zero from now on here.
        general::MADV_FREE => space.discard(address, length, Discard::PrivateAnonymous),
        general::MADV_DONTFORK => space.set_at_fork(address, length, AtFork::Left),
        general::MADV_WIPEONFORK => space.set_at_fork(address, length, AtFork::Wiped),
        general::MADV_DOFORK | general::MADV_KEEPONFORK => space.set_at_fork(address, length, AtFork::Shared),
        _ => Err(Errno::EINVAL),
    }
    .map(|()| 0)
}

/// msync(2): memory is the only place that a file's pages have, so they are where they belong.
pub fn msync(thread: &Thread, address: UserAddr, length: usize, flags: u32) -> Result<usize, Errno> {
    let flags = SyncFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(SyncFlags::ASYNC | SyncFlags::SYNC) {
        return Err(Errno::EINVAL);
    }
    thread.space().check_mapped(address, length).map(|()| 0)
}

/// mlock(2): nothing is swapped out, so that what is present is locked; what is not is made present.
pub async fn mlock(thread: &Thread, address: UserAddr, length: usize) -> Result<usize, Errno> {
    mlock2(thread, address, length, 0).await
}

/// mlock2(2).
pub async fn mlock2(thread: &Thread, address: UserAddr, length: usize, flags: u32) -> Result<usize, Errno> {
    if flags & !general::MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    let range = pages(address, length)?;
    thread.space().check_mapped(UserAddr(range.start), range.len())?;
    if flags & general::MLOCK_ONFAULT == 0 {
        populate(thread, range).await.map_err(|_| Errno::ENOMEM)?;
    }
    Ok(0)
}

/// munlock(2).
pub fn munlock(thread: &Thread, address: UserAddr, length: usize) -> Result<usize, Errno> {
    let range = pages(address, length)?;
    thread.space().check_mapped(UserAddr(range.start), range.len()).map(|()| 0)
}

/// mlockall(2): what is mapped is made present, and (MCL_FUTURE) what will be.
pub async fn mlockall(thread: &Thread, flags: u32) -> Result<usize, Errno> {
    let known = general::MCL_CURRENT | general::MCL_FUTURE | general::MCL_ONFAULT;
    if flags & !known != 0 || flags & (general::MCL_CURRENT | general::MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL);
    }
    let locked = thread.confinement().limit(general::RLIMIT_MEMLOCK);
    if locked == 0 && !thread.credentials().capable(Capabilities::IPC_LOCK) {
        return Err(Errno::EPERM);
    }
    let now = flags & general::MCL_ONFAULT == 0;
    let space = thread.space();
    space.set_locks_future(now && flags & general::MCL_FUTURE != 0);
    if now && flags & general::MCL_CURRENT != 0 {
        for range in space.accessible() {
            // As on Linux, what cannot be made present is left.
            let _ = populate(thread, range).await;
        }
    }
    Ok(0)
}

pub fn munlockall(thread: &Thread) -> Result<usize, Errno> {
    thread.space().set_locks_future(false);
    Ok(0)
}

/// mincore(2): a byte for each page, 1 for one that is at hand.
pub fn mincore(thread: &Thread, address: UserAddr, length: usize, to: UserAddr) -> Result<usize, Errno> {
    const AT_ONCE: usize = 1024 * PAGE_SIZE;
    if !address.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    let range = pages(address, length).map_err(|_| Errno::ENOMEM)?;
    let space = thread.space();
    for start in range.clone().step_by(AT_ONCE) {
        let part = start..range.end.min(start + AT_ONCE);
        let told = space.residence(part)?;
        let at = to.checked_add((start - range.start) / PAGE_SIZE).ok_or(Errno::EFAULT)?;
        space.write_bytes(at, &told)?;
    }
    Ok(0)
}

/// Makes pages present, and lets others run now and then.
async fn populate(thread: &Thread, range: Range<usize>) -> Result<(), FaultError> {
    for start in range.clone().step_by(POPULATE_AT_ONCE * PAGE_SIZE) {
        let end = range.end.min(start + POPULATE_AT_ONCE * PAGE_SIZE);
        thread.space().populate(UserAddr(start)..UserAddr(end))?;
        if sched::slice_is_over() {
            sched::yield_now().await;
        }
    }
    Ok(())
}

/// The pages that `length` bytes at `address` touch (mlock(2) rounds both ways).
fn pages(address: UserAddr, length: usize) -> Result<Range<usize>, Errno> {
    let start = address.page_start().0;
    let end = address.0.checked_add(length).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    end.map(|end| start..end).ok_or(Errno::EINVAL)
}

/// `prot` of mmap and mprotect.
fn protection(bits: usize) -> Result<Protection, Errno> {
    const KNOWN: usize = (general::PROT_READ | general::PROT_WRITE | general::PROT_EXEC) as usize;
    if bits & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let has = |bit: u32| bits & bit as usize != 0;
    let mut protection = Protection::empty();
    protection.set(Protection::READ, has(general::PROT_READ));
    protection.set(Protection::WRITE, has(general::PROT_WRITE));
    protection.set(Protection::EXECUTE, has(general::PROT_EXEC));
    Ok(protection)
}
