//! What page tables offer for sharing frames: a forked space maps its parent's frames read-only, and a write
//! takes a page over when nobody else holds it. Also maps runs of pages at once.

use super::{
    Frame, MapError, PageTable, Protection,
    paging::{Format, PageFormat, TABLE_ENTRIES},
};
use crate::{PAGE_SHIFT, PAGE_SIZE, UserAddr, arch};
use core::ops::{ControlFlow, Range};

/// How a page stands that a program wants to write ([`PageTable::claim`]).
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing is mapped there.
    Absent,
    /// The page has the rights asked for.
    Granted,
    /// There are other handles to the frame: it has to be copied first.
    Shared(Frame),
}

impl PageTable {
    /// Gives the page `page` the rights `protection` if the table holds the only handle to its frame. Looks and
    /// decides under the table's lock, so that no handle appears in between.
    pub fn claim(&self, page: UserAddr, protection: Protection) -> Claim {
        let _tables = self.tables.lock();
        let Some(slot) = self.find(page) else { return Claim::Absent };
        // SAFETY: a live slot; the lock is held.
        let entry = unsafe { *slot };
        if !Format::is_present(entry) {
            return Claim::Absent;
        }
        if Format::protection(entry).contains(protection) {
            return Claim::Granted;
        }
        // SAFETY: the entry's own handle exists while the lock is held; with the borrowed one there are two.
        let frame = unsafe { Frame::borrow_address(Format::address(entry)) };
        if frame.handles() > 2 {
            return Claim::Shared(frame);
        }
        // SAFETY: same frame, more rights: the entry keeps its handle.
        unsafe { slot.write_volatile(Format::leaf(frame.address(), protection)) };
        arch::flush_pages(self, page, 1);
        Claim::Granted
    }

    /// Maps the frames that `frames` gives at the pages from `first` on, where nothing is mapped yet; a `None`
    /// leaves its page out. Tells how many were mapped. On an error those before it stay mapped.
    pub fn map_run(
        &self,
        first: UserAddr,
        frames: impl IntoIterator<Item = Option<Frame>>,
        protection: Protection,
    ) -> Result<usize, MapError> {
        if protection.is_empty() {
            return Err(MapError::NotUser);
        }
        let tables = self.tables.lock();
        let mut mapped = 0;
        let mut run: Option<*mut u64> = None;
        for (index, frame) in frames.into_iter().enumerate() {
            let page = UserAddr(first.0.saturating_add(index << PAGE_SHIFT));
            if (page.0 >> PAGE_SHIFT).is_multiple_of(TABLE_ENTRIES) {
                run = None;
            }
            let Some(frame) = frame else {
                run = run.map(|slot| slot.wrapping_add(1));
                continue;
            };
            let slot = match run {
                Some(slot) => slot,
                None => self.entry_or_create(&tables, page)?,
            };
            run = Some(slot.wrapping_add(1));
            // SAFETY: `slot` came from `entry_or_create`, for this page or for one before it in the same table.
            unsafe {
                if !Format::is_present(*slot) {
                    slot.write_volatile(Format::leaf(frame.into_address(), protection));
                    arch::published_entry(self, page);
                    mapped += 1;
                }
            }
        }
        Ok(mapped)
    }

    /// Maps in `child`, which nobody runs yet, what this table maps in `ranges` (page-aligned, ascending). Where
    /// the second part is true both lose the right to write, so that the first write makes a copy. Tells how many
    /// pages were mapped.
    ///
    /// # Errors
    /// No frame for a table of the child. The child is of no use then; this table maps what it did, though
    /// pages may have lost the right to write.
    pub fn share_with(
        &self,
        child: &Self,
        ranges: impl Iterator<Item = (Range<UserAddr>, bool)>,
    ) -> Result<usize, MapError> {
        let _tables = self.tables.lock();
        let child_tables = child.tables.lock();
        let mut result = Ok(0);
        let mut touched: Option<Range<UserAddr>> = None;
        for (pages, copy_on_write) in ranges {
            // The child's slot for the next page, while that lies in the same table.
            let mut run: Option<(usize, *mut u64)> = None;
            self.for_each_leaf(&pages, |page, slot| {
                let Ok(mapped) = &mut result else { return ControlFlow::Break(()) };
                // SAFETY: live, present slots under the lock.
                let mut entry = unsafe { *slot };
                let rights = Format::protection(entry);
                if copy_on_write && rights.contains(Protection::WRITE) {
                    entry = Format::leaf(Format::address(entry), rights - Protection::WRITE);
                    // SAFETY: same frame, other rights: the entry keeps its handle.
                    unsafe { slot.write_volatile(entry) };
                    touched = Some(touched.as_ref().map_or(page, |t| t.start)..UserAddr(page.0 + PAGE_SIZE));
                }
                let table = page.0 >> PAGE_SHIFT & !(TABLE_ENTRIES - 1);
                let first = match run {
                    Some((of, first)) if of == table => first,
                    _ => match child.entry_or_create(&child_tables, UserAddr(table << PAGE_SHIFT)) {
                        Ok(first) => first,
                        Err(error) => {
                            result = Err(error);
                            return ControlFlow::Break(());
                        }
                    },
                };
                run = Some((table, first));
                let to = first.wrapping_add((page.0 >> PAGE_SHIFT) - table);
                // SAFETY: a slot of the child's table, whose lock is held; the parent's handle exists meanwhile.
                // A slot that was filled is left as it is.
                unsafe {
                    if !Format::is_present(*to) {
                        let frame = Frame::borrow_address(Format::address(entry));
                        to.write_volatile(Format::leaf(frame.into_address(), Format::protection(entry)));
                        *mapped += 1;
                    }
                }
                ControlFlow::Continue(())
            });
        }
        if let Some(touched) = touched {
            arch::flush_pages(self, touched.start, (touched.end.0 - touched.start.0) >> PAGE_SHIFT);
        }
        result
    }
}
