//! Changing what is mapped already: mprotect, mremap, madvise, msync.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{ops::Range, sync::atomic::Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    mem::{Frame, Protection},
};

use super::{
    AddressSpace, PageSource,
    area::{Area, AtFork, Backing},
    layout,
    space::{Content, Mapping, Place, State, readable},
};

/// Where mremap may leave a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Where it is.
    InPlace,
    /// Where it is, or elsewhere if it does not fit there.
    Anywhere,
    /// There, instead of whatever is there now.
    Fixed(UserAddr),
}

/// What of a range [`AddressSpace::discard`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Every mapping: its pages are read anew from where they come from (MADV_DONTNEED).
    Any,
    /// Private anonymous mappings; others are refused (MADV_FREE).
    PrivateAnonymous,
}

impl AddressSpace {
    /// Changes what the program may do with a range. All or nothing.
    ///
    /// # Errors
    /// EINVAL: unaligned. ENOMEM: not all of it is mapped, or there would be too many areas. EACCES: more than the
    /// mapping allows.
    pub fn protect(&self, start: UserAddr, length: usize, protection: Protection) -> Result<(), Errno> {
        let range = mapped_range(start, length)?;
        let protection = readable(protection);
        let mut state = self.state.lock();
        if !state.areas.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        if !state.areas.within(range.clone()).all(|(_, area)| area.allowed.contains(protection)) {
            return Err(Errno::EACCES);
        }
        if state.areas.within(range.clone()).all(|(_, area)| area.protection == protection) {
            return Ok(());
        }
        if protection.contains(Protection::WRITE) {
            let pieces = state.areas.within(range.clone());
            let more = pieces.filter(|(_, area)| !area.is_data() && Area { protection, ..(*area).clone() }.is_data());
            let more = more.map(|(piece, _)| piece.len()).sum();
            state.check_data(more)?;
        }
        state.areas.check_changing(&range)?;
        state.cover_areas()?;
        for (piece, mut area) in state.areas.carve(range) {
            if area.protection != protection {
                self.apply(&mut state, &piece, area.shared, protection);
                area.protection = protection;
            }
            state.areas.insert(piece, area);
        }
        Ok(())
    }

    /// Shows `new` wherever `old` is mapped, which is as long.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn exchange(&self, old: &Arc<dyn PageSource>, new: &Arc<dyn PageSource>) -> Result<(), Errno> {
        for stretch in self.stretches() {
            if let Some((source, first)) = stretch.source
                && Arc::ptr_eq(&source, old)
            {
                let content = Content::PrivateFile { source: new.clone(), first };
                let place = Place::Fixed(UserAddr(stretch.range.start));
                let allowed = stretch.protection;
                let mapping = Mapping::private(place, stretch.range.len(), stretch.protection);
                self.map(Mapping { content, allowed, ..mapping })?;
            }
        }
        Ok(())
    }

    /// Says what a child of fork(2) gets of a range.
    ///
    /// # Errors
    /// EINVAL: unaligned, or to be wiped and not private memory of no file. ENOMEM: not all of it is mapped; too many
    /// areas.
    pub fn set_at_fork(&self, start: UserAddr, length: usize, at_fork: AtFork) -> Result<(), Errno> {
        let range = mapped_range(start, length)?;
        let mut state = self.state.lock();
        let can_be_wiped = |area: &Area| matches!(area.backing, Backing::Anonymous) && !area.shared;
        if at_fork == AtFork::Wiped && !state.areas.within(range.clone()).all(|(_, area)| can_be_wiped(area)) {
            return Err(Errno::EINVAL);
        }
        if !state.areas.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        state.areas.check_changing(&range)?;
        state.cover_areas()?;
        for (piece, area) in state.areas.carve(range) {
            state.areas.insert(piece, Area { at_fork, ..area });
        }
        Ok(())
    }

    /// Tells the sources of all areas that this space maps them.
    pub(super) fn announce(&self, state: &State) {
        for (_, area) in state.areas.iter() {
            if let Backing::Source { source, .. } = &area.backing {
                source.mapped_in(&self.handle);
            }
        }
    }

    /// Forgets the pages that show `pages` of the source of that identity: they are asked for anew. Pages that a private
    /// mapping has, or has copied, go where `is_gone` says so of the page and what is mapped.
    pub fn forget_pages(&self, identity: usize, pages: Range<u64>, is_gone: &dyn Fn(u64, &Frame) -> bool) {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        for (range, area) in state.areas.iter() {
            let Backing::Source { source, first } = &area.backing else { continue };
            if source.identity() != Some(identity) {
                continue;
            }
            let own = *first..first + (range.len() / PAGE_SIZE) as u64;
            let (from, to) = (own.start.max(pages.start), own.end.min(pages.end));
            if from >= to {
                continue;
            }
            let address = |index: u64| range.start + (index - own.start) as usize * PAGE_SIZE;
            let index = |page: usize| own.start + ((page - range.start) / PAGE_SIZE) as u64;
            let wanted = address(from)..address(to);
            let mut found = Vec::new();
            self.table.for_each(UserAddr(wanted.start)..UserAddr(wanted.end), |page, frame, _| {
                if is_gone(index(page.0), &frame) {
                    found.push(page.0);
                }
            });
            let parked = state.parked.range(wanted).filter(|&(&page, frame)| is_gone(index(page), frame));
            found.extend(parked.map(|(&page, _)| page));
            taken.append(&mut found);
        }
        // Stretches, not pages: each is an order to all CPUs.
        taken.sort_unstable();
        for stretch in taken.chunk_by(|page, next| page + PAGE_SIZE == *next) {
            if let (Some(first), Some(last)) = (stretch.first(), stretch.last()) {
                let table = self.table.clone();
                state.discard(&table, *first..last + PAGE_SIZE);
            }
        }
    }

    /// Whether any mapping of the source of that identity writes it, or may be changed to.
    pub fn may_write(&self, identity: usize) -> bool {
        let state = self.state.lock();
        state.areas.iter().any(|(_, area)| {
            let of_source = |source: &Arc<dyn PageSource>| source.identity() == Some(identity);
            area.shared
                && area.allowed.contains(Protection::WRITE)
                && matches!(&area.backing, Backing::Source { source, .. } if of_source(source))
        })
    }

    /// Which pages of a range are at hand: a byte of 1 or 0 for each.
    ///
    /// # Errors
    /// ENOMEM: not all of it is mapped.
    pub fn residence(&self, range: Range<usize>) -> Result<Vec<u8>, Errno> {
        let state = self.state.lock();
        if !state.areas.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        let is_at_hand = |page: usize| {
            self.table.lookup(UserAddr(page)).is_some()
                || state.parked.contains_key(&page)
                || state.areas.find(page).is_some_and(|(area_range, area)| match &area.backing {
                    Backing::Anonymous => false,
                    Backing::Source { source, first } => {
                        source.resident_page(first + ((page - area_range.start) / PAGE_SIZE) as u64).is_some()
                    }
                })
        };
        Ok(range.step_by(PAGE_SIZE).map(|page| u8::from(is_at_hand(page))).collect())
    }

    /// The ranges that the program may touch.
    pub fn accessible(&self) -> Vec<Range<usize>> {
        let state = self.state.lock();
        let areas = state.areas.iter().filter(|(_, area)| !area.protection.is_empty());
        areas.map(|(range, _)| range).collect()
    }

    /// Whether what is mapped from now on is made present at once (mlockall(2), MCL_FUTURE).
    pub fn set_locks_future(&self, locks: bool) {
        self.locks_future.store(locks, Ordering::Relaxed);
    }

    /// The programs in it may ask for barriers from now on (membarrier(2)).
    pub fn register_for_barriers(&self) {
        self.barriers.store(true, Ordering::Relaxed);
    }

    /// Whether they may.
    pub fn is_registered_for_barriers(&self) -> bool {
        self.barriers.load(Ordering::Relaxed)
    }

    /// See [`Self::set_locks_future`].
    pub fn locks_future(&self) -> bool {
        self.locks_future.load(Ordering::Relaxed)
    }

    /// Brings the page table in line with new rights of `piece`.
    fn apply(&self, state: &mut State, piece: &Range<usize>, shared: bool, to: Protection) {
        let pages = UserAddr(piece.start)..UserAddr(piece.end);
        if to.is_empty() {
            // Shared pages come again from their source.
            if !shared {
                self.table.for_each(pages.clone(), |page, frame, _| {
                    state.parked.insert(page.0, frame);
                });
            }
            state.resident -= self.table.unmap(pages);
        } else {
            // A private page gets the right to write when it is written, once nobody shares it.
            let kept = if shared { Protection::empty() } else { Protection::WRITE };
            self.table.protect(pages, |old| (to - kept) | (to & old & kept));
        }
    }

    /// Changes length and, if need be, place of a mapping; gives its first address.
    ///
    /// # Errors
    /// EINVAL: unaligned, no length, source and destination overlap. EFAULT: the old range is not within one
    /// mapping. ENOMEM: no room there, no room at all, or over a limit.
    pub fn remap(
        &self,
        old: UserAddr,
        old_length: usize,
        new_length: usize,
        to: Destination,
    ) -> Result<UserAddr, Errno> {
        let old = layout::user_range(old, old_length).filter(|r| !r.is_empty()).ok_or(Errno::EINVAL)?;
        let new_length = layout::whole_pages(new_length).filter(|&n| n > 0).ok_or(Errno::EINVAL)?;
        let target = match to {
            Destination::Fixed(at) => {
                let target = layout::user_range(at, new_length).ok_or(Errno::EINVAL)?;
                if target.start < layout::LOWEST {
                    return Err(Errno::EPERM);
                }
                if target.start < old.end && old.start < target.end {
                    return Err(Errno::EINVAL);
                }
                Some(target)
            }
            _ => None,
        };
        let mut state = self.state.lock();
        state.cover_areas()?;
        let (range, area) = state.areas.find(old.start).ok_or(Errno::EFAULT)?;
        if old.end > range.end {
            return Err(Errno::EFAULT);
        }
        let (at_its_end, moved) = (old.end == range.end, area.advanced(old.start - range.start));
        check_source_end(&moved, new_length)?;
        if new_length > old.len() && moved.takes_frames() && !layout::machine_holds(new_length) {
            return Err(Errno::ENOMEM);
        }
        let (start, gone) = match target {
            Some(target) => {
                state.check_growth(&target, &moved, 2)?;
                let mut gone = state.clear(&self.table, target.clone());
                gone.extend(self.move_pages(&mut state, old, &target, moved)?);
                (target.start, gone)
            }
            None if new_length <= old.len() => {
                let tail = old.start + new_length..old.end;
                state.areas.check_replacing(&tail, 0)?;
                let gone = if tail.is_empty() { Vec::new() } else { state.clear(&self.table, tail) };
                (old.start, gone)
            }
            None => {
                let more = layout::user_range(UserAddr(old.end), new_length - old.len());
                if at_its_end && let Some(more) = more.filter(|more| state.areas.is_free(more)) {
                    state.check_growth(&more, &moved, 1)?;
                    state.areas.insert(more, moved.advanced(old.len()));
                    (old.start, Vec::new())
                } else if to == Destination::Anywhere {
                    let start = state.areas.find_gap(new_length, state.mmap_top).ok_or(Errno::ENOMEM)?;
                    let target = start..start + new_length;
                    state.check_growth(&target, &moved, 2)?;
                    let gone = self.move_pages(&mut state, old, &target, moved)?;
                    (start, gone)
                } else {
                    return Err(Errno::ENOMEM);
                }
            }
        };
        drop(state);
        drop(gone);
        Ok(UserAddr(start))
    }

    /// Moves the pages of `old` to the free range `target`, where they are `area`. On an error all is as it was.
    fn move_pages(
        &self,
        state: &mut State,
        old: Range<usize>,
        target: &Range<usize>,
        area: Area,
    ) -> Result<Vec<(Range<usize>, Area)>, Errno> {
        let pages = UserAddr(old.start)..UserAddr(old.start + old.len().min(target.len()));
        let mut moving: Vec<(usize, Frame, Protection)> = Vec::new();
        self.table.for_each(pages, |page, frame, rights| moving.push((page.0 - old.start, frame, rights)));
        let mut moved = 0;
        for (offset, frame, rights) in moving {
            if self.table.map(UserAddr(target.start + offset), frame, rights).is_err() {
                self.table.unmap(UserAddr(target.start)..UserAddr(target.end));
                return Err(Errno::ENOMEM);
            }
            moved += 1;
        }
        // Counted twice for a moment, until the old place is cleared.
        state.resident += moved;
        let parked = state.unpark(&old);
        let gone = state.clear(&self.table, old.clone());
        let kept = parked.into_iter().map(|(page, frame)| (page - old.start + target.start, frame));
        state.parked.extend(kept.filter(|(page, _)| target.contains(page)).collect::<BTreeMap<_, _>>());
        state.areas.insert(target.clone(), area);
        Ok(gone)
    }

    /// Forgets the pages of a range: they are zero, or what their file holds, when they are touched next.
    ///
    /// # Errors
    /// EINVAL: unaligned, or a mapping that `what` is not for (nothing is forgotten). ENOMEM: not all of it is
    /// mapped (what is has been forgotten).
    pub fn discard(&self, start: UserAddr, length: usize, what: Discard) -> Result<(), Errno> {
        let range = mapped_range(start, length)?;
        let mut state = self.state.lock();
        let fits = |area: &Area| what == Discard::Any || (matches!(area.backing, Backing::Anonymous) && !area.shared);
        if !state.areas.within(range.clone()).all(|(_, area)| fits(area)) {
            return Err(Errno::EINVAL);
        }
        state.discard(&self.table, range.clone());
        if state.areas.covers(&range) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Whether a range is mapped throughout: what remains to be said of advice that changes nothing, and of msync
    /// where memory is the file.
    ///
    /// # Errors
    /// EINVAL: unaligned. ENOMEM: not all of it is mapped.
    pub fn check_mapped(&self, start: UserAddr, length: usize) -> Result<(), Errno> {
        let range = mapped_range(start, length)?;
        if self.state.lock().areas.covers(&range) { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}

/// The pages of a range that has to be mapped; it may be empty.
fn mapped_range(start: UserAddr, length: usize) -> Result<Range<usize>, Errno> {
    if !start.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(start.0..start.0);
    }
    layout::user_range(start, length).ok_or(Errno::ENOMEM)
}

/// A file mapping must not reach behind the end of all files.
fn check_source_end(area: &Area, length: usize) -> Result<(), Errno> {
    match &area.backing {
        Backing::Source { first, .. } => first
            .checked_add((length / PAGE_SIZE) as u64)
            .filter(|end| *end <= u64::MAX / PAGE_SIZE as u64)
            .map(|_| ())
            .ok_or(Errno::EINVAL),
        Backing::Anonymous => Ok(()),
    }
}
