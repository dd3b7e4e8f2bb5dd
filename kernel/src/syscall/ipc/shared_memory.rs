//! shmget(2), shmat(2), shmdt(2), shmctl(2).

use super::{
    Here, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT,
    layout::{SegmentStatus, SegmentUsage},
};
use crate::{
    ipc::{READ, WRITE, shared_memory::Segment},
    mm::{Content, Mapping, Place},
    task::Thread,
};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, mem::Protection};

const SHM_RDONLY: u32 = 0o10000;
const SHM_RND: u32 = 0o20000;
const SHM_REMAP: u32 = 0o40000;
const SHM_EXEC: u32 = 0o100_000;
const SHM_LOCK: u32 = 11;
const SHM_UNLOCK: u32 = 12;
const SHM_STAT: u32 = 13;
const SHM_INFO: u32 = 14;
const SHM_STAT_ANY: u32 = 15;

pub fn shmget(thread: &Thread, key: i32, bytes: u64, flags: u32) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let limits = here.namespace.limits();
    here.namespace.segments.get(&here.caller(thread), &limits, key, bytes, flags).map(|id| id as usize)
}

/// shmat(2): the address.
pub fn shmat(thread: &Thread, id: i32, at: UserAddr, flags: u32) -> Result<usize, Errno> {
    if flags & !(SHM_RDONLY | SHM_RND | SHM_REMAP | SHM_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let has = |flag| flags & flag != 0;
    let at = if has(SHM_RND) { at.page_start() } else { at };
    if !at.is_page_aligned() || at == UserAddr(0) && has(SHM_REMAP) {
        return Err(Errno::EINVAL);
    }
    let place = match at {
        UserAddr(0) => Place::Near(at),
        _ if has(SHM_REMAP) => Place::Fixed(at),
        _ => Place::Free(at),
    };
    let mut protection = Protection::READ;
    protection.set(Protection::WRITE, !has(SHM_RDONLY));
    protection.set(Protection::EXECUTE, has(SHM_EXEC));
    let wanted = READ | if has(SHM_RDONLY) { 0 } else { WRITE } | u32::from(has(SHM_EXEC));
    let here = Here::of(thread);
    let caller = here.caller(thread);
    let segment = here.namespace.segments.open(&caller, id, wanted)?;
    let mut allowed = Protection::all();
    allowed.set(Protection::WRITE, !has(SHM_RDONLY));
    let length = usize::try_from(segment.bytes()).map_err(|_| Errno::ENOMEM)?.next_multiple_of(PAGE_SIZE);
    let content = Content::SharedFile { source: segment.clone(), first: 0 };
    let mapping = Mapping { place, length, protection, allowed, content, bounded: false };
    let start =
        thread.space().map(mapping).map_err(|errno| if errno == Errno::EEXIST { Errno::EINVAL } else { errno })?;
    segment.attached(&caller);
    Ok(start.0)
}

pub fn shmdt(thread: &Thread, at: UserAddr) -> Result<usize, Errno> {
    if !at.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    let segment = thread.space().unmap_source::<Segment>(at)?;
    let here = Here::of(thread);
    segment.detached(&here.caller(thread));
    Ok(0)
}

pub fn shmctl(thread: &Thread, id: i32, command: u32, at: UserAddr) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let caller = here.caller(thread);
    let segments = &here.namespace.segments;
    let space = thread.space();
    match command {
        IPC_STAT => space.write(at, &SegmentStatus::new(&segments.status(&caller, id)?, thread))?,
        SHM_STAT | SHM_STAT_ANY => {
            let status = segments.status_at((command == SHM_STAT).then_some(&caller), id)?;
            space.write(at, &SegmentStatus::new(&status, thread))?;
            return Ok(status.id.0 as usize);
        }
        IPC_SET => {
            segments.set(&caller, id, space.read::<SegmentStatus>(at)?.permissions.read(thread)?)?;
        }
        IPC_RMID => segments.remove(&caller, id)?,
        SHM_LOCK | SHM_UNLOCK => segments.set_locked(&caller, id, command == SHM_LOCK)?,
        IPC_INFO => {
            let limits = here.namespace.limits();
            let sets = u64::from(limits.segments);
            // struct shminfo64.
            let told = [limits.segment_bytes, 1, sets, sets, limits.segment_pages, 0, 0, 0, 0];
            space.write(at, &told)?;
            return Ok(segments.usage().3);
        }
        SHM_INFO => {
            let (count, pages, resident, highest) = segments.usage();
            space.write(at, &SegmentUsage { count: count as i32, _pad: 0, pages, resident, swap: [0; 3] })?;
            return Ok(highest);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
