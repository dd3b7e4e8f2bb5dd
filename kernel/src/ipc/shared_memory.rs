//! System V shared memory (shmget(2), shmop(2), shmctl(2)).
//!
//! A segment is a source of pages. Each area that maps it holds a handle to it, so that what `shm_nattch` tells is the
//! number of handles, and the last area of a segment that was marked for removal takes it along.

use super::{Caller, Limits, Permissions, Remembered, Viewer, now_s, table::*};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge},
    mm::{PageSource, SharedPages},
};
use alloc::{
    format,
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem::Frame, sync::SpinLock};

/// `SHM_DEST` of the mode: it goes with its last attachment.
const MARKED: u32 = 0o1000;
/// `SHM_LOCKED` of the mode.
const LOCKED: u32 = 0o2000;
/// What a segment takes of the kernel heap, at most.
const SEGMENT_BYTES: usize = 512;

/// The segments of a namespace.
#[derive(Debug, Default)]
pub struct Segments {
    table: SpinLock<Table<Handle>>,
    /// Pages of all segments, attached ones that are marked for removal included.
    pages: SpinLock<u64>,
}

#[derive(Clone, Debug)]
enum Handle {
    Kept(Arc<Segment>),
    /// Marked for removal: its attachments keep it.
    Marked(Weak<Segment>),
}

/// Memory that processes attach.
#[derive(Debug)]
pub struct Segment {
    segments: Weak<Segments>,
    id: Id,
    bytes: u64,
    pages: SharedPages,
    state: SpinLock<State>,
    _charge: ObjectCharge,
}

#[derive(Debug)]
struct State {
    permissions: Permissions,
    attached: i64,
    detached: i64,
    changed: i64,
    creator: Remembered,
    last: Remembered,
}

/// What IPC_STAT tells.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its id.
    pub id: Id,
    /// Who may what.
    pub permissions: Permissions,
    /// Length.
    pub bytes: u64,
    /// Seconds of the last shmat, shmdt and change.
    pub times: [i64; 3],
    /// Who made it.
    pub creator: Remembered,
    /// Who attached or detached it last.
    pub last: Remembered,
    /// Areas that map it.
    pub attachments: u64,
    /// Pages that take memory.
    pub resident: u64,
}

impl Handle {
    fn segment(&self) -> Option<Arc<Segment>> {
        match self {
            Self::Kept(segment) => Some(segment.clone()),
            Self::Marked(segment) => segment.upgrade(),
        }
    }

    fn attachments(&self) -> usize {
        match self {
            Self::Kept(segment) => Arc::strong_count(segment) - 1,
            Self::Marked(segment) => segment.strong_count(),
        }
    }
}

/// A segment as it was found in the table. It is dropped without the table's lock: it may be the last handle.
struct Seen {
    segment: Arc<Segment>,
    attachments: usize,
}

impl Seen {
    fn new(handle: &Handle) -> Option<Self> {
        // Counted before there is a handle more.
        let attachments = handle.attachments();
        Some(Self { segment: handle.segment()?, attachments })
    }

    fn status(&self) -> Status {
        let state = self.segment.state.lock();
        Status {
            id: self.segment.id,
            permissions: state.permissions,
            bytes: self.segment.bytes,
            times: [state.attached, state.detached, state.changed],
            creator: state.creator.clone(),
            last: state.last.clone(),
            attachments: self.attachments as u64,
            resident: self.segment.pages.resident() as u64,
        }
    }
}

impl Segments {
    /// shmget(2).
    pub fn get(
        self: &Arc<Self>,
        caller: &Caller<'_>,
        limits: &Limits,
        key: i32,
        bytes: u64,
        mode: u32,
    ) -> Result<i32, Errno> {
        let mut table = self.table.lock();
        let id = match table.get(key, get_flags(mode), limits.segments as usize)? {
            Found::Old(id, handle) => {
                let segment = handle.segment().ok_or(Errno::ENOENT)?;
                drop(table);
                if bytes > segment.bytes {
                    return Err(Errno::EINVAL);
                }
                let permitted = segment.state.lock().permissions.permit(caller.credentials, caller.owner, mode & 0o777);
                return permitted.map(|()| id.0);
            }
            Found::New(id) => id,
        };
        if bytes == 0 || bytes > limits.segment_bytes {
            return Err(Errno::EINVAL);
        }
        let pages = bytes.div_ceil(PAGE_SIZE as u64);
        if !usize::try_from(bytes).is_ok_and(crate::mm::layout::machine_holds) {
            return Err(Errno::ENOMEM);
        }
        let charge = caller.pool.charge(SEGMENT_BYTES, caller.memory)?;
        {
            let mut all = self.pages.lock();
            *all = all.checked_add(pages).filter(|all| *all <= limits.segment_pages).ok_or(Errno::ENOSPC)?;
        }
        let state = State {
            permissions: Permissions::new(key, mode, caller.credentials),
            attached: 0,
            detached: 0,
            changed: now_s(),
            creator: Remembered::new(caller.pid),
            last: Remembered::default(),
        };
        let segment = Arc::new(Segment {
            segments: Arc::downgrade(self),
            id,
            bytes,
            pages: SharedPages::new(pages),
            state: SpinLock::new(state),
            _charge: charge,
        });
        table.insert(id, key, Handle::Kept(segment));
        Ok(id.0)
    }

    /// The segment to attach, for which the caller may do all of `wanted`.
    pub fn open(&self, caller: &Caller<'_>, id: i32, wanted: u32) -> Result<Arc<Segment>, Errno> {
        let segment = self.table.lock().find(id)?.segment().ok_or(Errno::EINVAL)?;
        segment.state.lock().permissions.permit(caller.credentials, caller.owner, wanted)?;
        Ok(segment)
    }

    /// IPC_STAT: for who may read.
    pub fn status(&self, caller: &Caller<'_>, id: i32) -> Result<Status, Errno> {
        let seen = self.table.lock().find(id).map(Seen::new)?.ok_or(Errno::EINVAL)?;
        let status = seen.status();
        status.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        Ok(status)
    }

    /// SHM_STAT_ANY: of a place in the table; with `caller`, for who may read (SHM_STAT).
    pub fn status_at(&self, caller: Option<&Caller<'_>>, index: i32) -> Result<Status, Errno> {
        let seen = self.table.lock().at(index).map(|(_, handle)| Seen::new(handle))?.ok_or(Errno::EINVAL)?;
        let status = seen.status();
        if let Some(caller) = caller {
            status.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        }
        Ok(status)
    }

    /// IPC_SET of owner, group and mode.
    pub fn set(&self, caller: &Caller<'_>, id: i32, new: [u32; 3]) -> Result<(), Errno> {
        self.change(caller, id, |permissions| permissions.set(new))
    }

    /// SHM_LOCK, SHM_UNLOCK: nothing is swapped out, so that only the mark is left to be set.
    pub fn set_locked(&self, caller: &Caller<'_>, id: i32, locked: bool) -> Result<(), Errno> {
        self.change(caller, id, |permissions| {
            permissions.mode = permissions.mode & !LOCKED | if locked { LOCKED } else { 0 };
        })
    }

    fn change(&self, caller: &Caller<'_>, id: i32, change: impl FnOnce(&mut Permissions)) -> Result<(), Errno> {
        let segment = self.table.lock().find(id)?.segment().ok_or(Errno::EINVAL)?;
        let mut state = segment.state.lock();
        state.permissions.permit_change(caller.credentials, caller.owner)?;
        change(&mut state.permissions);
        state.changed = now_s();
        Ok(())
    }

    /// IPC_RMID: it goes with its last attachment, and is found by its id alone until then.
    pub fn remove(&self, caller: &Caller<'_>, id: i32) -> Result<(), Errno> {
        let segment = self.table.lock().find(id)?.segment().ok_or(Errno::EINVAL)?;
        {
            let mut state = segment.state.lock();
            state.permissions.permit_change(caller.credentials, caller.owner)?;
            state.permissions.mode |= MARKED;
            state.permissions.key = 0;
        }
        let kept = {
            let mut table = self.table.lock();
            table.forget_key(segment.id);
            table.find_mut(id).map(|handle| core::mem::replace(handle, Handle::Marked(Arc::downgrade(&segment))))
        };
        // With these goes the segment, unless it is attached.
        drop((kept, segment));
        Ok(())
    }

    /// Segments, pages of all of them, pages that take memory, and the highest place taken.
    pub fn usage(&self) -> (usize, u64, u64, usize) {
        let seen = self.seen();
        let resident = seen.iter().map(|one| one.segment.pages.resident() as u64).sum();
        let highest = self.table.lock().highest();
        (seen.len(), *self.pages.lock(), resident, highest)
    }

    fn seen(&self) -> Vec<Seen> {
        self.table.lock().iter().filter_map(|(_, handle)| Seen::new(handle)).collect()
    }

    /// `/proc/sysvipc/shm`.
    pub fn text(&self, viewer: &Viewer<'_>) -> String {
        let mut text = String::from(
            "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      \
             dtime      ctime                   rss                  swap\n",
        );
        for one in self.seen().iter().map(Seen::status) {
            let p = one.permissions;
            let [attached, detached, changed] = one.times;
            let [uid, gid, creator_uid, creator_gid] = viewer.owners(&p);
            text += &format!(
                "{:10} {:10}  {:4o} {:21} {:5} {:5}  {:5} {uid:5} {gid:5} {creator_uid:5} {creator_gid:5} {attached:10} \
                 {detached:10} {changed:10} {:21} {:21}\n",
                p.key,
                one.id.0,
                p.mode,
                one.bytes,
                one.creator.number_in(viewer.pids),
                one.last.number_in(viewer.pids),
                one.attachments,
                one.resident * PAGE_SIZE as u64,
                0,
            );
        }
        text
    }
}

impl Segment {
    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes that `caller` has attached it.
    pub fn attached(&self, caller: &Caller<'_>) {
        let mut state = self.state.lock();
        (state.attached, state.last) = (now_s(), Remembered::new(caller.pid));
    }

    /// Notes that `caller` has detached it.
    pub fn detached(&self, caller: &Caller<'_>) {
        let mut state = self.state.lock();
        (state.detached, state.last) = (now_s(), Remembered::new(caller.pid));
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let Some(segments) = self.segments.upgrade() else { return };
        let handle = segments.table.lock().remove(self.id);
        drop(handle);
        *segments.pages.lock() -= self.bytes.div_ceil(PAGE_SIZE as u64);
    }
}

impl PageSource for Segment {
    fn page(&self, index: u64, memory: &MemoryGroup) -> Result<Frame, Errno> {
        self.pages.page(index, memory)
    }

    fn resident_page(&self, index: u64) -> Option<Frame> {
        self.pages.resident_page(index)
    }

    fn length_bytes(&self) -> u64 {
        self.pages.length_bytes()
    }

    fn permit_shared_writing(&self) -> Result<(), Errno> {
        Ok(())
    }
}
