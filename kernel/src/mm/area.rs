//! Areas: what is mapped where, as one ordered map. Knows nothing of page tables: every rule about splitting,
//! merging and placing is here and is tested alone.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem::Protection};

use super::{PageSource, layout};

/// What an area takes of the kernel's heap, its share of tree nodes and a source of its own included.
pub(super) const AREA_BYTES: usize = 256;

/// What the pages of an area come from.
#[derive(Clone)]
pub(super) enum Backing {
    /// Zeros.
    Anonymous,
    /// The pages of a source, from `first` on.
    Source { source: Arc<dyn PageSource>, first: u64 },
}

/// What a child of fork(2) gets of an area (madvise(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtFork {
    /// Its pages, or copies.
    #[default]
    Shared,
    /// Nothing (MADV_DONTFORK).
    Left,
    /// Zeros (MADV_WIPEONFORK).
    Wiped,
}

/// What is the same over a stretch of pages.
#[derive(Clone)]
pub(super) struct Area {
    /// What the program may do; empty for PROT_NONE.
    pub protection: Protection,
    /// The most that mprotect may give.
    pub allowed: Protection,
    pub backing: Backing,
    /// Writes are seen by whoever maps the same pages; otherwise pages are copied on the first write.
    pub shared: bool,
    /// A stack: a fault below it makes it grow.
    pub grows_down: bool,
    pub at_fork: AtFork,
}

impl Area {
    /// Whether `other`, which begins `pages` pages after this area does, goes on where this one would.
    fn continues_in(&self, other: &Self, pages: usize) -> bool {
        let backing = match (&self.backing, &other.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (Backing::Source { source: a, first: i }, Backing::Source { source: b, first: j }) => {
                Arc::ptr_eq(a, b) && i + pages as u64 == *j
            }
            _ => false,
        };
        backing
            && (self.protection, self.allowed, self.shared, self.grows_down, self.at_fork)
                == (other.protection, other.allowed, other.shared, other.grows_down, other.at_fork)
    }

    /// Whether it counts as data: what the program may write alone, stacks aside.
    pub fn is_data(&self) -> bool {
        self.takes_frames() && !self.grows_down
    }

    /// Whether each of its pages takes a frame of its own once it is written.
    pub fn takes_frames(&self) -> bool {
        self.protection.contains(Protection::WRITE) && !self.shared
    }

    /// The same area, as seen from `bytes` further on.
    pub fn advanced(&self, bytes: usize) -> Self {
        let mut rest = self.clone();
        if let Backing::Source { first, .. } = &mut rest.backing {
            *first += (bytes / PAGE_SIZE) as u64;
        }
        rest
    }
}

#[derive(Clone)]
struct Entry {
    end: usize,
    area: Area,
}

/// The areas of a space by their start. They do not overlap, all bounds are page-aligned, and neighbours that
/// could be one are one.
#[derive(Clone, Default)]
pub(super) struct Areas {
    by_start: BTreeMap<usize, Entry>,
    /// Bytes in all areas together.
    bytes: usize,
}

impl Areas {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = (Range<usize>, &Area)> {
        self.by_start.iter().map(|(&start, entry)| (start..entry.end, &entry.area))
    }

    /// The area that holds `address`.
    pub fn find(&self, address: usize) -> Option<(Range<usize>, &Area)> {
        self.last_from(address).filter(|(range, _)| address < range.end)
    }

    /// The last area that begins at `address` or below.
    pub fn last_from(&self, address: usize) -> Option<(Range<usize>, &Area)> {
        let (&start, entry) = self.by_start.range(..=address).next_back()?;
        Some((start..entry.end, &entry.area))
    }

    /// The first area that begins above `address`.
    pub fn next_above(&self, address: usize) -> Option<(Range<usize>, &Area)> {
        let (&start, entry) = self.by_start.range(address + 1..).next()?;
        Some((start..entry.end, &entry.area))
    }

    /// The areas that begin at `address` or above, in order.
    pub fn starting_from(&self, address: usize) -> impl Iterator<Item = (Range<usize>, &Area)> {
        self.by_start.range(address..).map(|(&start, entry)| (start..entry.end, &entry.area))
    }

    /// The areas that reach into `range`, cut to it, in order.
    pub fn within(&self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, &Area)> {
        let from = self.find(range.start).map_or(range.start, |(first, _)| first.start);
        self.by_start
            .range(from..range.end.max(from))
            .map(move |(&start, entry)| (start.max(range.start)..entry.end.min(range.end), &entry.area))
    }

    pub fn is_free(&self, range: &Range<usize>) -> bool {
        self.last_from(range.end - 1).is_none_or(|(below, _)| below.end <= range.start)
    }

    /// Whether every page of `range` is in some area.
    pub fn covers(&self, range: &Range<usize>) -> bool {
        let mut at = range.start;
        for (piece, _) in self.within(range.clone()) {
            if piece.start != at {
                return false;
            }
            at = piece.end;
        }
        at == range.end
    }

    /// Whether there is room for the areas that emptying `range` and filling it with `new` areas adds.
    pub fn check_replacing(&self, range: &Range<usize>, new: usize) -> Result<(), Errno> {
        // Two edges inside one area make two of it; one edge only shortens an area.
        self.check_more(self.edges_inside(range).saturating_sub(1) + new)
    }

    /// Whether there is room for the areas that changing `range` adds.
    pub fn check_changing(&self, range: &Range<usize>) -> Result<(), Errno> {
        self.check_more(self.edges_inside(range))
    }

    pub fn count(&self) -> usize {
        self.by_start.len()
    }

    fn check_more(&self, more: usize) -> Result<(), Errno> {
        if more > 0 && self.by_start.len() + more > layout::AREAS_MAX { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// How many ends of `range` lie inside an area, so that it has to be split there.
    fn edges_inside(&self, range: &Range<usize>) -> usize {
        let inside = |at: usize| self.find(at).is_some_and(|(area, _)| area.start < at);
        usize::from(inside(range.start)) + usize::from(inside(range.end))
    }

    /// Puts an area in a free range, as one with its neighbours where they agree.
    pub fn insert(&mut self, range: Range<usize>, area: Area) {
        debug_assert!(range.start < range.end && self.is_free(&range));
        self.bytes += range.len();
        let Range { start, mut end } = range;
        if let Some(next) = self.by_start.get(&end)
            && area.continues_in(&next.area, (end - start) / PAGE_SIZE)
        {
            let next = self.by_start.remove(&end).expect("it was just found");
            end = next.end;
        }
        if let Some((&before, entry)) = self.by_start.range_mut(..start).next_back()
            && entry.end == start
            && entry.area.continues_in(&area, (start - before) / PAGE_SIZE)
        {
            entry.end = end;
            return;
        }
        self.by_start.insert(start, Entry { end, area });
    }

    /// Those that a child of fork(2) has.
    pub fn forked(&self) -> Self {
        let mut all = self.clone();
        let left = all.by_start.extract_if(.., |_, entry| entry.area.at_fork == AtFork::Left);
        let bytes: usize = left.map(|(start, entry)| entry.end - start).sum();
        all.bytes -= bytes;
        all
    }

    /// Takes `range` out, splitting the areas at its edges; gives what was there, in order.
    pub fn carve(&mut self, range: Range<usize>) -> Vec<(Range<usize>, Area)> {
        self.split(range.start);
        self.split(range.end);
        let mut taken = Vec::new();
        while let Some((&start, _)) = self.by_start.range(range.start..range.end).next() {
            let entry = self.by_start.remove(&start).expect("it was just found");
            self.bytes -= entry.end - start;
            taken.push((start..entry.end, entry.area));
        }
        taken
    }

    /// Lowers the start of the area that begins at `start`.
    pub fn grow_down(&mut self, start: usize, to: usize) {
        if let Some(entry) = self.by_start.remove(&start) {
            self.bytes += start - to;
            self.by_start.insert(to, entry);
        }
    }

    /// The highest free range of `length` bytes that ends at `top` or below, and begins at or above
    /// [`layout::LOWEST`]. Below a stack [`layout::STACK_GUARD_GAP`] stays free.
    pub fn find_gap(&self, length: usize, top: usize) -> Option<usize> {
        let mut ceiling = top;
        for (&start, entry) in self.by_start.range(..top).rev() {
            if entry.end <= ceiling && ceiling - entry.end >= length {
                break;
            }
            let gap = if entry.area.grows_down { layout::STACK_GUARD_GAP } else { 0 };
            ceiling = ceiling.min(start.saturating_sub(gap));
        }
        ceiling.checked_sub(length).filter(|&start| start >= layout::LOWEST)
    }

    fn split(&mut self, at: usize) {
        let Some((_, entry)) = self.by_start.range_mut(..at).next_back() else { return };
        if entry.end <= at {
            return;
        }
        let end = core::mem::replace(&mut entry.end, at);
        // The distance from this entry's start is its length now.
        let start = *self.by_start.range(..at).next_back().expect("it was just found").0;
        let area = self.by_start[&start].area.advanced(at - start);
        self.by_start.insert(at, Entry { end, area });
    }
}
