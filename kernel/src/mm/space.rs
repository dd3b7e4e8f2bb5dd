//! The address space of a process: what is mapped, and mapping and unmapping.

use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{any::Any, ops::Range, sync::atomic::AtomicBool};
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    mem::{Frame, PageTable, Protection},
    sync::SpinLock,
};

use super::{
    Landmarks, PageSource,
    area::{AREA_BYTES, Area, Areas, AtFork, Backing},
    layout,
    shared::SharedPages,
};
use crate::{
    cgroup::{MemoryGroup, memory::KernelCharge},
    security::Rlimits,
};
use linux_raw_sys::general::{RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK};

/// What a process sees as its memory. Shared by `Arc` among the threads that run in it.
pub struct AddressSpace {
    pub(super) table: Arc<PageTable>,
    pub(super) state: SpinLock<State>,
    /// Itself.
    pub(super) handle: Weak<Self>,
    /// mlockall(2) with MCL_FUTURE.
    pub(super) locks_future: AtomicBool,
    /// Its programs may ask for barriers of their own (membarrier(2)).
    pub(super) barriers: AtomicBool,
}

/// What the space's lock guards.
pub(super) struct State {
    /// The group that is charged for what is mapped from now on.
    pub memory: Arc<MemoryGroup>,
    pub areas: Areas,
    /// Private pages that PROT_NONE keeps from the program. hal maps no page without rights, so that their frames
    /// wait here until the program gets at them again.
    pub parked: BTreeMap<usize, Frame>,
    pub limits: Limits,
    /// Mappings without an address are placed below this.
    pub mmap_top: usize,
    /// What the areas cost the kernel; few areas cost nothing.
    pub books: KernelCharge,
    /// From the end of the program to the program break.
    pub heap: Range<usize>,
    /// Where the parts of the program are.
    pub landmarks: Landmarks,
    /// Pages that are mapped now, and the most that were.
    pub resident: usize,
    pub peak_resident: usize,
}

/// Resource limits on a space, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What a stack may grow to (RLIMIT_STACK).
    pub stack: usize,
    /// All mappings together (RLIMIT_AS).
    pub address_space: usize,
    /// What a program may write and shares with nobody, stacks aside (RLIMIT_DATA).
    pub data: usize,
}

impl Limits {
    /// Those among the resource limits of a process.
    pub fn of(limits: &Rlimits) -> Self {
        let bytes = |kind| usize::try_from(limits.soft(kind)).unwrap_or(usize::MAX);
        Self { stack: bytes(RLIMIT_STACK), address_space: bytes(RLIMIT_AS), data: bytes(RLIMIT_DATA) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { stack: layout::STACK_BYTES, address_space: usize::MAX, data: usize::MAX }
    }
}

/// Where a new mapping is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// There if it is free, anywhere else otherwise. 0 is no wish.
    Near(UserAddr),
    /// There, instead of whatever is there now (MAP_FIXED).
    Fixed(UserAddr),
    /// There, or EEXIST (MAP_FIXED_NOREPLACE).
    Free(UserAddr),
}

/// What a new mapping shows.
#[derive(Clone)]
pub enum Content {
    /// Zeros of its own.
    Private,
    /// Zeros, shared with the children that are forked later.
    Shared,
    /// A stack: as `Private`, and grows down on a fault below it, up to [`Limits::stack`].
    Stack,
    /// A file from page `first` on, copied where it is written.
    PrivateFile {
        /// The file.
        source: Arc<dyn PageSource>,
        /// Page of the file that is mapped first.
        first: u64,
    },
    /// A file from page `first` on; writes go to the file.
    SharedFile {
        /// The file.
        source: Arc<dyn PageSource>,
        /// Page of the file that is mapped first.
        first: u64,
    },
}

/// A mapping to be made.
#[derive(Clone)]
pub struct Mapping {
    /// Where.
    pub place: Place,
    /// Bytes; rounded up to whole pages.
    pub length: usize,
    /// What the program may do; empty for PROT_NONE.
    pub protection: Protection,
    /// The most that mprotect may give later.
    pub allowed: Protection,
    /// What is there.
    pub content: Content,
    /// Whether to refuse more writable memory than the machine has at all, which the program could never fill
    /// (Linux's heuristic overcommit; MAP_NORESERVE goes without).
    pub bounded: bool,
}

impl Mapping {
    /// An anonymous private mapping.
    pub fn private(place: Place, length: usize, protection: Protection) -> Self {
        Self { place, length, protection, allowed: Protection::all(), content: Content::Private, bounded: true }
    }

    fn area(&self) -> Result<Area, Errno> {
        let pages = (self.length.div_ceil(PAGE_SIZE)) as u64;
        let mut allowed = self.allowed;
        let backing = match &self.content {
            Content::Private | Content::Stack => Backing::Anonymous,
            Content::Shared => Backing::Source { source: Arc::new(SharedPages::new(pages)), first: 0 },
            Content::PrivateFile { source, first } | Content::SharedFile { source, first } => {
                first.checked_add(pages).filter(|end| *end <= u64::MAX / PAGE_SIZE as u64).ok_or(Errno::EOVERFLOW)?;
                Backing::Source { source: source.clone(), first: *first }
            }
        };
        let protection = readable(self.protection);
        if let Content::SharedFile { source, .. } = &self.content
            && let Err(errno) = source.permit_shared_writing()
        {
            if protection.contains(Protection::WRITE) {
                return Err(errno);
            }
            allowed -= Protection::WRITE;
        }
        if !allowed.contains(protection) {
            return Err(Errno::EACCES);
        }
        Ok(Area {
            protection,
            allowed,
            backing,
            shared: matches!(self.content, Content::Shared | Content::SharedFile { .. }),
            grows_down: matches!(self.content, Content::Stack),
            at_fork: AtFork::Shared,
        })
    }
}

/// Any access implies reading, as on the architectures we run on.
pub(super) fn readable(protection: Protection) -> Protection {
    if protection.is_empty() { protection } else { protection | Protection::READ }
}

impl AddressSpace {
    /// An empty space whose frames are charged to `memory`, and where mappings are placed below `mmap_top`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(memory: Arc<MemoryGroup>, limits: Limits, mmap_top: usize) -> Result<Arc<Self>, Errno> {
        let state = State {
            memory: memory.clone(),
            areas: Areas::default(),
            parked: BTreeMap::new(),
            limits,
            mmap_top,
            books: memory.kernel_charge(),
            heap: 0..0,
            landmarks: Landmarks::default(),
            resident: 0,
            peak_resident: 0,
        };
        let table = PageTable::new(memory).map_err(|_| Errno::ENOMEM)?;
        Ok(Self::of(table, state))
    }

    /// A space of a table and what is to be in it.
    pub(super) fn of(table: Arc<PageTable>, state: State) -> Arc<Self> {
        Arc::new_cyclic(|handle| Self {
            table,
            state: SpinLock::new(state),
            handle: handle.clone(),
            locks_future: AtomicBool::new(false),
            barriers: AtomicBool::new(false),
        })
    }

    /// The page table, to run user code with.
    pub fn page_table(&self) -> &Arc<PageTable> {
        &self.table
    }

    /// The group that is charged for what is mapped from now on.
    pub fn memory(&self) -> Arc<MemoryGroup> {
        self.state.lock().memory.clone()
    }

    /// Charges another group for what is mapped from now on. (Its page table still draws on the first one.)
    pub fn charge_to(&self, memory: Arc<MemoryGroup>) {
        let old = core::mem::replace(&mut self.state.lock().memory, memory);
        drop(old);
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.state.lock().limits
    }

    /// Changes the limits. What is mapped already stays.
    pub fn set_limits(&self, limits: Limits) {
        self.state.lock().limits = limits;
    }

    /// Bytes in all mappings, touched or not.
    pub fn mapped_bytes(&self) -> usize {
        self.state.lock().areas.bytes()
    }

    /// Bytes that are mapped to frames now.
    pub fn resident_bytes(&self) -> usize {
        self.state.lock().resident * PAGE_SIZE
    }

    /// The most that [`Self::resident_bytes`] ever was (getrusage's maxrss).
    pub fn peak_resident_bytes(&self) -> usize {
        self.state.lock().peak_resident * PAGE_SIZE
    }

    /// Makes a mapping; gives its first address. No frame is charged before it is touched.
    ///
    /// # Errors
    /// EINVAL: no length, an unaligned address. ENOMEM: no room, or over a limit. EEXIST: [`Place::Free`] is not
    /// free. EPERM: a fixed address below [`layout::LOWEST`]. EACCES: more rights than the file allows. EOVERFLOW:
    /// behind the end of all files.
    pub fn map(&self, mapping: Mapping) -> Result<UserAddr, Errno> {
        if mapping.length == 0 {
            return Err(Errno::EINVAL);
        }
        let length = layout::whole_pages(mapping.length).ok_or(Errno::ENOMEM)?;
        let mut state = self.state.lock();
        if let Content::PrivateFile { source, .. } | Content::SharedFile { source, .. } = &mapping.content {
            source.mapped_in(&self.handle);
        }
        let area = mapping.area()?;
        let takes_frames = area.takes_frames() || matches!(mapping.content, Content::Shared);
        if mapping.bounded && takes_frames && !layout::machine_holds(length) {
            return Err(Errno::ENOMEM);
        }
        let range = state.place(mapping.place, length)?;
        state.check_growth(&range, &area, 1)?;
        state.cover_areas()?;
        let gone = state.clear(&self.table, range.clone());
        state.areas.insert(range.clone(), area);
        drop(state);
        drop(gone);
        Ok(UserAddr(range.start))
    }

    /// Where `length` bytes are free, below all that was placed so before.
    pub(super) fn find_room(&self, length: usize) -> Option<usize> {
        let state = self.state.lock();
        state.areas.find_gap(length, state.mmap_top)
    }

    /// Unmaps whatever is in a range; nothing there is no error.
    ///
    /// # Errors
    /// EINVAL: no length, unaligned, not user addresses. ENOMEM: the split would make one area too many.
    pub fn unmap(&self, start: UserAddr, length: usize) -> Result<(), Errno> {
        let range = layout::user_range(start, length).filter(|r| !r.is_empty()).ok_or(Errno::EINVAL)?;
        let mut state = self.state.lock();
        state.areas.check_replacing(&range, 0)?;
        state.cover_areas()?;
        let gone = state.clear(&self.table, range);
        drop(state);
        drop(gone);
        Ok(())
    }

    /// Unmaps what is left of a source of type `S` that was mapped whole at `start`; gives the source (shmdt(2)).
    ///
    /// # Errors
    /// EINVAL: no such thing is mapped there.
    pub fn unmap_source<S: PageSource>(&self, start: UserAddr) -> Result<Arc<S>, Errno> {
        let mut state = self.state.lock();
        let whole = |range: &Range<usize>, area: &Area| match &area.backing {
            Backing::Source { source, first } if ((range.start - start.0) / PAGE_SIZE) as u64 == *first => {
                let source: Arc<dyn Any + Send + Sync> = source.clone();
                source.downcast::<S>().ok()
            }
            _ => None,
        };
        let mut mapped =
            state.areas.starting_from(start.0).filter_map(|(range, area)| Some((range.clone(), whole(&range, area)?)));
        let (first, source) = mapped.next().ok_or(Errno::EINVAL)?;
        let end = start.0.saturating_add(usize::try_from(source.length_bytes()).unwrap_or(usize::MAX));
        let mut pieces = alloc::vec![first];
        let rest = mapped.take_while(|(range, _)| range.end <= end);
        pieces.extend(rest.filter(|(_, other)| Arc::ptr_eq(other, &source)).map(|(range, _)| range));
        let gone: Vec<_> = pieces.into_iter().map(|piece| state.clear(&self.table, piece)).collect();
        drop(state);
        drop(gone);
        Ok(source)
    }

    /// Unmaps everything: the process has ended, whoever still holds the space.
    pub fn clear(&self) {
        let gone = self.state.lock().clear(&self.table, 0..layout::TOP);
        drop(gone);
    }

    /// Sets where the heap begins: the program's end, page-aligned by the caller.
    pub(super) fn set_heap_start(&self, start: usize) {
        self.state.lock().heap = start..start;
    }

    /// brk(2) as the kernel gives it: moves the program break, and tells where it is then. On any failure it is
    /// where it was.
    pub fn set_break(&self, to: UserAddr) -> UserAddr {
        let mut state = self.state.lock();
        let gone = state.move_break(&self.table, to.0);
        let now = UserAddr(state.heap.end);
        drop(state);
        drop(gone);
        now
    }
}

impl State {
    /// Where a new mapping goes.
    fn place(&self, place: Place, length: usize) -> Result<Range<usize>, Errno> {
        let fixed = |at: UserAddr| match layout::user_range(at, length) {
            _ if !at.is_page_aligned() => Err(Errno::EINVAL),
            _ if at.0 < layout::LOWEST => Err(Errno::EPERM),
            range => range.ok_or(Errno::ENOMEM),
        };
        match place {
            Place::Fixed(at) => fixed(at),
            Place::Free(at) => {
                fixed(at).and_then(|range| if self.areas.is_free(&range) { Ok(range) } else { Err(Errno::EEXIST) })
            }
            Place::Near(hint) => {
                if hint.0 >= layout::LOWEST
                    && let Some(range) = layout::user_range(hint.page_start(), length)
                    && self.areas.is_free(&range)
                {
                    return Ok(range);
                }
                let start = self.areas.find_gap(length, self.mmap_top).ok_or(Errno::ENOMEM)?;
                Ok(start..start + length)
            }
        }
    }

    /// Whether `range` may be filled: within the limits, with `new` areas more.
    pub fn check_growth(&self, range: &Range<usize>, area: &Area, new: usize) -> Result<(), Errno> {
        let replaced: usize = self.areas.within(range.clone()).map(|(piece, _)| piece.len()).sum();
        let bytes = self.areas.bytes() - replaced + range.len();
        if bytes > self.limits.address_space {
            return Err(Errno::ENOMEM);
        }
        if area.is_data() {
            let replaced = self.areas.within(range.clone()).filter(|(_, area)| area.is_data());
            let replaced: usize = replaced.map(|(piece, _)| piece.len()).sum();
            self.check_data(range.len() - replaced)?;
        }
        self.areas.check_replacing(range, new)
    }

    /// ENOMEM when `more` bytes of data would be more than the limit allows.
    pub fn check_data(&self, more: usize) -> Result<(), Errno> {
        if self.limits.data == usize::MAX || more == 0 {
            return Ok(());
        }
        let data = self.areas.iter().filter(|(_, area)| area.is_data()).map(|(range, _)| range.len());
        if data.sum::<usize>() + more > self.limits.data { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Charges for the areas there are and the few that one call adds.
    pub fn cover_areas(&mut self) -> Result<(), Errno> {
        Ok(self.books.cover((self.areas.count() + 3) * AREA_BYTES)?)
    }

    /// Empties `range`. The areas are given back so that their sources are dropped without the lock.
    #[must_use]
    pub fn clear(&mut self, table: &PageTable, range: Range<usize>) -> Vec<(Range<usize>, Area)> {
        let gone = self.areas.carve(range.clone());
        if let (Some((first, _)), Some((last, _))) = (gone.first(), gone.last()) {
            self.discard(table, first.start..last.end);
        }
        gone
    }

    /// Forgets the pages of `range`; the areas stay.
    pub fn discard(&mut self, table: &PageTable, range: Range<usize>) {
        self.resident -= table.unmap(UserAddr(range.start)..UserAddr(range.end));
        drop(self.unpark(&range));
    }

    /// Takes the parked frames of `range`.
    pub fn unpark(&mut self, range: &Range<usize>) -> BTreeMap<usize, Frame> {
        if self.parked.is_empty() {
            return BTreeMap::new();
        }
        let mut taken = self.parked.split_off(&range.start);
        self.parked.append(&mut taken.split_off(&range.end));
        taken
    }

    pub fn count_resident(&mut self, more: usize) {
        self.resident += more;
        self.peak_resident = self.peak_resident.max(self.resident);
    }

    fn move_break(&mut self, table: &PageTable, to: usize) -> Vec<(Range<usize>, Area)> {
        let Range { start, end } = self.heap;
        let (Some(old), Some(new)) = (layout::whole_pages(end), layout::whole_pages(to)) else { return Vec::new() };
        if to < start || new > layout::TOP {
            return Vec::new();
        }
        let mut gone = Vec::new();
        if new > old {
            // A free page stays between the heap and what lies above it.
            let grown = old..new;
            let area = Area {
                protection: Protection::READ | Protection::WRITE,
                allowed: Protection::all(),
                backing: Backing::Anonymous,
                shared: false,
                grows_down: false,
                at_fork: AtFork::Shared,
            };
            let room = self.areas.is_free(&(old..new + PAGE_SIZE)) && layout::machine_holds(grown.len());
            if !room || self.check_growth(&grown, &area, 1).is_err() {
                return gone;
            }
            self.areas.insert(grown, area);
        } else if new < old {
            if self.areas.check_replacing(&(new..old), 0).is_err() {
                return gone;
            }
            gone = self.clear(table, new..old);
        }
        self.heap.end = to;
        gone
    }
}
