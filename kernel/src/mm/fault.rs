//! Page faults: an access trapped, and either becomes possible here or is the program's own mistake. Fork, too,
//! whose price is paid here: the child shares every private page until one side writes it.

use alloc::{collections::BTreeMap, sync::Arc};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    mem::{Claim, Frame, MapError, PageTable, Protection},
    user::Access,
};

use super::{
    AddressSpace, FaultError, PageSource,
    area::{AREA_BYTES, Area, AtFork, Backing},
    layout,
    space::State,
};
use crate::cgroup::{
    MemoryGroup,
    memory::{Kind, OutOfMemory},
};

/// Pages that are mapped at once around a fault on a file, aligned to their number, if the file has them at hand.
const FAULT_AROUND: usize = 16;

impl AddressSpace {
    /// Makes possible what trapped. An access that is possible already (another CPU was faster) is no error.
    pub fn fault(&self, address: UserAddr, access: Access) -> Result<(), FaultError> {
        self.resolve(&mut self.state.lock(), address.page_start().0, access)
    }

    /// Makes each page of `range` present, for writing where a private page may be written; stops at the first that
    /// cannot be.
    pub fn populate(&self, range: Range<UserAddr>) -> Result<(), FaultError> {
        let mut state = self.state.lock();
        for page in (range.start.page_start().0..range.end.0).step_by(PAGE_SIZE) {
            let (_, area) = state.areas.find(page).ok_or(FaultError::NotMapped)?;
            let write = !area.shared && area.protection.contains(Protection::WRITE);
            self.resolve(&mut state, page, if write { Access::Write } else { Access::Read })?;
        }
        Ok(())
    }

    /// A copy of this space for a new process, charged to `memory`. Private pages are shared until either side
    /// writes them.
    ///
    /// # Errors
    /// ENOMEM; this space is as it was.
    pub fn fork(&self, memory: Arc<MemoryGroup>) -> Result<Arc<Self>, Errno> {
        let table = PageTable::new(memory.clone()).map_err(|_| Errno::ENOMEM)?;
        let state = self.state.lock();
        let mut books = memory.kernel_charge();
        books.cover(state.areas.count() * AREA_BYTES)?;
        let kept = state.areas.iter().filter(|(_, area)| area.at_fork == AtFork::Shared);
        let ranges = kept.map(|(r, area)| (UserAddr(r.start)..UserAddr(r.end), !area.shared));
        // Where this fails on the way, pages of ours have lost the right to write: the next write claims it
        // back, as nobody else holds the frames then.
        let resident = self.table.share_with(&table, ranges).map_err(|_| Errno::ENOMEM)?;
        let copy = State {
            memory: memory.clone(),
            areas: state.areas.forked(),
            parked: state.forked_parked(),
            limits: state.limits,
            mmap_top: state.mmap_top,
            books,
            heap: state.heap.clone(),
            landmarks: state.landmarks.clone(),
            resident,
            peak_resident: resident,
        };
        let child = Self::of(table, copy);
        if self.is_registered_for_barriers() {
            child.register_for_barriers();
        }
        // Under this space's lock: who takes pages away from it sees the child, too.
        child.announce(&state);
        Ok(child)
    }

    pub(super) fn resolve(&self, state: &mut State, page: usize, access: Access) -> Result<(), FaultError> {
        let needed = match access {
            Access::Read => Protection::READ,
            Access::Write => Protection::WRITE,
            Access::Execute => Protection::EXECUTE,
        };
        let (range, area) = match state.areas.find(page) {
            Some(found) => found,
            None => {
                state.grow_stack(page)?;
                state.areas.find(page).ok_or(FaultError::NotMapped)?
            }
        };
        if !area.protection.contains(needed) {
            return Err(FaultError::Denied);
        }
        let mut mapped = 0;
        if !state.parked.is_empty()
            && let Some(frame) = state.parked.get(&page)
        {
            // Whether it may be written is for the claim to say.
            self.table.map(UserAddr(page), frame.clone(), area.protection - Protection::WRITE)?;
            state.parked.remove(&page);
            mapped = 1;
        }
        let present = if access == Access::Write && !area.shared {
            match self.table.claim(UserAddr(page), area.protection) {
                Claim::Absent => false,
                Claim::Granted => true,
                Claim::Shared(original) => {
                    let copy = state.memory.copied_frame(Kind::Anon, &original)?;
                    self.table.map(UserAddr(page), copy, area.protection)?;
                    true
                }
            }
        } else {
            self.table.lookup(UserAddr(page)).is_some()
        };
        if !present {
            mapped += match &area.backing {
                Backing::Anonymous => {
                    self.table.map(UserAddr(page), state.memory.zeroed_frame(Kind::Anon)?, area.protection)?;
                    1
                }
                Backing::Source { source, first } => {
                    let file = FileRange { range, area, source: &**source, first: *first, memory: &state.memory };
                    self.map_file_page(&file, &state.parked, page, access)?
                }
            };
        }
        state.count_resident(mapped);
        Ok(())
    }

    /// Maps an absent page of a file, and neighbours that cost nothing; tells how many pages.
    fn map_file_page(
        &self,
        file: &FileRange<'_>,
        parked: &BTreeMap<usize, Frame>,
        page: usize,
        access: Access,
    ) -> Result<usize, FaultError> {
        let index = file.index(page);
        if index >= file.source.length_bytes().div_ceil(PAGE_SIZE as u64) {
            return Err(FaultError::Bus);
        }
        let frame = file.source.page(index, file.memory).map_err(|error| match error {
            Errno::ENOMEM => FaultError::OutOfMemory,
            _ => FaultError::Bus,
        })?;
        if access == Access::Write && !file.area.shared {
            // A source that keeps no handle has made the frame for us.
            let own = if frame.is_shared() { file.memory.copied_frame(Kind::Anon, &frame)? } else { frame };
            self.table.map(UserAddr(page), own, file.area.protection)?;
            return Ok(1);
        }
        let rights = if file.area.shared { file.area.protection } else { file.area.protection - Protection::WRITE };
        let window = page & !(FAULT_AROUND * PAGE_SIZE - 1);
        let mut frame = Some(frame);
        let frames: [Option<Frame>; FAULT_AROUND] = core::array::from_fn(|i| {
            let at = window + i * PAGE_SIZE;
            if at == page {
                frame.take()
            } else if file.range.contains(&at) && !parked.contains_key(&at) {
                // (Over a parked page, which may have been written, the file's would hide what was written.)
                file.source.resident_page(file.index(at))
            } else {
                None
            }
        });
        Ok(self.table.map_run(UserAddr(window), frames, rights)?)
    }
}

/// A file area and where it lies.
struct FileRange<'a> {
    range: Range<usize>,
    area: &'a Area,
    source: &'a dyn PageSource,
    first: u64,
    memory: &'a MemoryGroup,
}

impl FileRange<'_> {
    /// Which page of the file is at `page`.
    fn index(&self, page: usize) -> u64 {
        self.first + ((page - self.range.start) / PAGE_SIZE) as u64
    }
}

impl State {
    /// Of the frames that PROT_NONE keeps from the program, those that a child of fork(2) has.
    fn forked_parked(&self) -> BTreeMap<usize, Frame> {
        let is_kept = |page: usize| self.areas.find(page).is_some_and(|(_, area)| area.at_fork == AtFork::Shared);
        self.parked.iter().filter(|(page, _)| is_kept(**page)).map(|(page, frame)| (*page, frame.clone())).collect()
    }

    /// Grows the stack above `page`, if there is one, down to it.
    fn grow_stack(&mut self, page: usize) -> Result<(), FaultError> {
        let (stack, area) = self.areas.next_above(page).ok_or(FaultError::NotMapped)?;
        let below = self.areas.last_from(page);
        let too_close = below
            .is_some_and(|(below, area)| !area.protection.is_empty() && page - below.end < layout::STACK_GUARD_GAP);
        let grown = self.areas.bytes() + (stack.start - page);
        if !area.grows_down
            || page < layout::LOWEST
            || stack.end - page > self.limits.stack
            || grown > self.limits.address_space
            || too_close
        {
            return Err(FaultError::NotMapped);
        }
        self.areas.grow_down(stack.start, page);
        Ok(())
    }
}

impl From<OutOfMemory> for FaultError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<MapError> for FaultError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::OutOfFrames => Self::OutOfMemory,
            MapError::NotUser => Self::NotMapped,
        }
    }
}
