//! Page tables: the user half of an address space. A table owns a handle to each frame it maps; whoever
//! unmaps gets nothing back before no CPU can reach the frame any more.
//!
//! The kernel half is the same in every table and belongs to the architecture.

use super::{Frame, OutOfFrames};
use crate::{
    PAGE_SHIFT, PAGE_SIZE, PhysAddr, UserAddr, arch,
    sync::SpinLock,
    user::{Access, Fault},
};
use alloc::sync::Arc;
use core::{
    ops::{ControlFlow, Range},
    sync::atomic::AtomicU32,
};

/// Entries in a table of any level, on the three architectures (4 KiB pages, 8-byte entries).
pub(crate) const TABLE_ENTRIES: usize = 512;
const INDEX_BITS: usize = 9;
/// Frames that leave a table between two flushes: they lie on the stack meanwhile.
const FRAMES_AT_ONCE: usize = 256;

bitflags::bitflags! {
    /// What user code may do with a page. Every mapped page is readable (no architecture of ours needs
    /// otherwise); a page without any flag of these is mapped for nobody.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Protection: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

/// Why a page could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frame for a table of a lower level.
    OutOfFrames,
    /// Not a page of the user half.
    NotUser,
}

impl From<OutOfFrames> for MapError {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// The architecture's entry format. An entry of 0 maps nothing.
pub(crate) trait PageFormat {
    /// Levels of tables, the root included: 3 or 4.
    const LEVELS: usize;
    /// Entry that refers to a table of the next level.
    fn table(address: PhysAddr) -> u64;
    /// Entry for a user page; `protection` is not empty.
    fn leaf(address: PhysAddr, protection: Protection) -> u64;
    /// Whether the entry refers to anything.
    fn is_present(entry: u64) -> bool;
    /// The table or frame that a present entry refers to.
    fn address(entry: u64) -> PhysAddr;
    /// What a present leaf allows.
    fn protection(entry: u64) -> Protection;
    /// Writes the kernel half into a new, zeroed root table.
    fn fill_root(root: &mut [u64; TABLE_ENTRIES]);
}

pub(super) type Format = arch::Format;

/// The user half of an address space. Shared by `Arc`: the threads that run in it and the CPUs that have it
/// loaded hold it.
pub struct PageTable {
    root: Frame,
    pub(super) tables: SpinLock<Tables>,
    /// One bit for each CPU that has this table loaded; kept by the architecture's `activate`.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "the simulated machine has one CPU"))]
    pub(crate) loaded_on: AtomicU32,
}

/// Where a page table's own pages come from, so that they are charged as other memory is. Called with the page
/// table's lock held.
pub trait FrameSource: Send + Sync {
    /// A frame filled with zeros.
    fn zeroed_frame(&self) -> Result<Frame, OutOfFrames>;
}

/// What the lock guards: the entries of all tables below the root, and the source of further ones.
pub(super) struct Tables {
    source: Arc<dyn FrameSource>,
}

impl PageTable {
    /// An empty table whose own pages come from `source`. They are released when it is dropped.
    pub fn new(source: Arc<dyn FrameSource>) -> Result<Arc<Self>, OutOfFrames> {
        let root = source.zeroed_frame()?;
        // SAFETY: a fresh frame that nobody else has a handle to.
        Format::fill_root(unsafe { &mut *root.pointer().cast::<[u64; TABLE_ENTRIES]>() });
        Ok(Arc::new(Self { root, tables: SpinLock::new(Tables { source }), loaded_on: AtomicU32::new(0) }))
    }

    /// Where the root table lies.
    #[cfg(target_os = "none")]
    pub(crate) fn root(&self) -> PhysAddr {
        self.root.address()
    }

    /// Maps `frame` at the page `page`, instead of what was there.
    pub fn map(&self, page: UserAddr, frame: Frame, protection: Protection) -> Result<(), MapError> {
        if protection.is_empty() {
            return Err(MapError::NotUser);
        }
        let tables = self.tables.lock();
        let slot = self.entry_or_create(&tables, page)?;
        // SAFETY: `entry_or_create` gave a live slot of this table, and the lock is held.
        let old = unsafe { *slot };
        // SAFETY: as above. A page-table walk by another CPU sees the old or the new entry.
        unsafe { slot.write_volatile(Format::leaf(frame.into_address(), protection)) };
        if Format::is_present(old) {
            arch::flush_pages(self, page, 1);
            drop(tables);
            // SAFETY: the entry owned one handle; it is gone from the table and from every TLB.
            drop(unsafe { Frame::from_address(Format::address(old)) });
        } else {
            arch::published_entry(self, page);
        }
        Ok(())
    }

    /// The frame mapped at `page`, and what the mapping allows.
    pub fn lookup(&self, page: UserAddr) -> Option<(Frame, Protection)> {
        let _tables = self.tables.lock();
        let slot = self.find(page)?;
        // SAFETY: a live slot; the lock is held.
        let entry = unsafe { *slot };
        if !Format::is_present(entry) {
            return None;
        }
        // SAFETY: the entry's own handle exists while the lock is held.
        Some((unsafe { Frame::borrow_address(Format::address(entry)) }, Format::protection(entry)))
    }

    /// Unmaps every page of `pages` (page-aligned) and tells how many were mapped. The frames are released once no
    /// TLB holds them.
    pub fn unmap(&self, pages: Range<UserAddr>) -> usize {
        let mut unmapped = 0;
        self.protect(pages, |_| {
            unmapped += 1;
            Protection::empty()
        });
        unmapped
    }

    /// Sets what the mapped pages of `pages` allow: `to` is given each page's present protection. An empty
    /// answer unmaps the page. Allocates nothing; a large range is done in several steps, each under the lock.
    pub fn protect(&self, pages: Range<UserAddr>, mut to: impl FnMut(Protection) -> Protection) {
        let mut rest = pages;
        while !rest.is_empty() {
            let mut gone: heapless::Vec<Frame, FRAMES_AT_ONCE> = heapless::Vec::new();
            let mut changed: Option<Range<UserAddr>> = None;
            let tables = self.tables.lock();
            let mut done = rest.end;
            self.for_each_leaf(&rest, |page, slot| {
                // SAFETY: live, present slots under the lock.
                let entry = unsafe { *slot };
                let old = Format::protection(entry);
                let new = to(old);
                if new == old {
                    return ControlFlow::Continue(());
                }
                let behind = UserAddr(page.0 + PAGE_SIZE);
                changed = Some(changed.take().map_or(page, |c| c.start)..behind);
                if !new.is_empty() {
                    // SAFETY: same frame, other rights: the entry keeps its handle.
                    unsafe { slot.write_volatile(Format::leaf(Format::address(entry), new)) };
                    return ControlFlow::Continue(());
                }
                // SAFETY: the entry's handle moves out as the entry goes.
                let frame = unsafe {
                    slot.write_volatile(0);
                    Frame::from_address(Format::address(entry))
                };
                // There is room: the walk stops when the last place is taken.
                let _ = gone.push(frame);
                if gone.is_full() {
                    done = behind;
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            if let Some(changed) = changed {
                arch::flush_pages(self, changed.start, (changed.end.0 - changed.start.0) >> PAGE_SHIFT);
            }
            drop(tables);
            // Only now, with no CPU able to reach them and no lock held that the ledger could want.
            drop(gone);
            rest.start = done;
        }
    }

    /// Calls `each` for every mapped page of `pages`, in order, with a handle to its frame.
    pub fn for_each(&self, pages: Range<UserAddr>, mut each: impl FnMut(UserAddr, Frame, Protection)) {
        let _tables = self.tables.lock();
        self.for_each_leaf(&pages, |page, slot| {
            // SAFETY: live, present slots under the lock; the entry keeps its handle meanwhile.
            let (frame, protection) =
                unsafe { (Frame::borrow_address(Format::address(*slot)), Format::protection(*slot)) };
            each(page, frame, protection);
            ControlFlow::Continue(())
        });
    }

    /// Copies from user memory. On a fault, the bytes before [`Fault::address`] have been copied.
    pub fn read(self: &Arc<Self>, from: UserAddr, to: &mut [u8]) -> Result<(), Fault> {
        let reachable = reachable(from, to.len());
        arch::activate(self);
        // SAFETY: `to` is a live kernel buffer and the source lies in the user half, where this CPU has
        // `self` loaded; a fault there ends the copy.
        let left = unsafe { arch::copy_from_user(to.as_mut_ptr(), from.0, reachable) };
        stopped(from, to.len(), reachable - left, Access::Read)
    }

    /// Copies to user memory. On a fault, the bytes before [`Fault::address`] have been copied.
    pub fn write(self: &Arc<Self>, to: UserAddr, from: &[u8]) -> Result<(), Fault> {
        let reachable = reachable(to, from.len());
        arch::activate(self);
        // SAFETY: as in `read`, with source and destination exchanged.
        let left = unsafe { arch::copy_to_user(to.0, from.as_ptr(), reachable) };
        stopped(to, from.len(), reachable - left, Access::Write)
    }

    /// Writes part of a frame to user memory, without a detour over a kernel buffer.
    pub fn write_frame(self: &Arc<Self>, to: UserAddr, frame: &Frame, range: Range<usize>) -> Result<(), Fault> {
        assert!(range.start <= range.end && range.end <= PAGE_SIZE, "range past the end of a frame");
        let reachable = reachable(to, range.len());
        arch::activate(self);
        // SAFETY: as in `write`; the source lies within a frame that we hold.
        let left = unsafe { arch::copy_to_user(to.0, frame.pointer().add(range.start), reachable) };
        stopped(to, range.len(), reachable - left, Access::Write)
    }

    /// Reads part of user memory into a frame, without a detour over a kernel buffer.
    pub fn read_frame(self: &Arc<Self>, from: UserAddr, frame: &Frame, range: Range<usize>) -> Result<(), Fault> {
        assert!(range.start <= range.end && range.end <= PAGE_SIZE, "range past the end of a frame");
        let reachable = reachable(from, range.len());
        arch::activate(self);
        // SAFETY: as in `read`; the destination lies within a frame that we hold.
        let left = unsafe { arch::copy_from_user(frame.pointer().add(range.start), from.0, reachable) };
        stopped(from, range.len(), reachable - left, Access::Read)
    }

    pub(super) fn entry_or_create(&self, tables: &Tables, page: UserAddr) -> Result<*mut u64, MapError> {
        if page.0 >= arch::USER_END || !page.is_page_aligned() {
            return Err(MapError::NotUser);
        }
        let mut table = self.root.address();
        for level in (1..Format::LEVELS).rev() {
            let slot = slot(table, page, level);
            // SAFETY: a slot of a live table; the lock is held by the caller.
            let entry = unsafe { *slot };
            table = if Format::is_present(entry) {
                Format::address(entry)
            } else {
                let next = tables.source.zeroed_frame()?.into_address();
                // SAFETY: as above.
                unsafe { slot.write_volatile(Format::table(next)) };
                next
            };
        }
        Ok(slot(table, page, 0))
    }

    pub(super) fn find(&self, page: UserAddr) -> Option<*mut u64> {
        if page.0 >= arch::USER_END {
            return None;
        }
        let mut table = self.root.address();
        for level in (1..Format::LEVELS).rev() {
            // SAFETY: a slot of a live table; the lock is held by the caller.
            let entry = unsafe { *slot(table, page, level) };
            if !Format::is_present(entry) {
                return None;
            }
            table = Format::address(entry);
        }
        Some(slot(table, page, 0))
    }

    /// Visits the present leaves of `pages` until told to stop; whole absent tables are stepped over at once.
    pub(super) fn for_each_leaf(
        &self,
        pages: &Range<UserAddr>,
        mut visit: impl FnMut(UserAddr, *mut u64) -> ControlFlow<()>,
    ) {
        let end = pages.end.0.min(arch::USER_END);
        let mut at = pages.start.page_start().0;
        'pages: while at < end {
            let mut table = self.root.address();
            for level in (1..Format::LEVELS).rev() {
                // SAFETY: a slot of a live table; the lock is held by the caller.
                let entry = unsafe { *slot(table, UserAddr(at), level) };
                if !Format::is_present(entry) {
                    let span = 1 << (PAGE_SHIFT + INDEX_BITS * level);
                    at = (at & !(span - 1)) + span;
                    continue 'pages;
                }
                table = Format::address(entry);
            }
            // The rest of this lowest table.
            loop {
                let slot = slot(table, UserAddr(at), 0);
                // SAFETY: as above.
                if Format::is_present(unsafe { *slot }) && visit(UserAddr(at), slot).is_break() {
                    return;
                }
                at += PAGE_SIZE;
                if at >= end || (at >> PAGE_SHIFT).is_multiple_of(TABLE_ENTRIES) {
                    continue 'pages;
                }
            }
        }
    }
}

/// The slot of `address` in the table at `table`, which is of level `level` (0 is the lowest).
fn slot(table: PhysAddr, address: UserAddr, level: usize) -> *mut u64 {
    let index = (address.0 >> (PAGE_SHIFT + INDEX_BITS * level)) % TABLE_ENTRIES;
    // `table` is a frame of entries, and the index is below TABLE_ENTRIES.
    arch::phys_to_virt(table).cast::<u64>().wrapping_add(index)
}

/// How much of `length` bytes at `start` lies in the user half.
fn reachable(start: UserAddr, length: usize) -> usize {
    arch::USER_END.saturating_sub(start.0).min(length)
}

fn stopped(start: UserAddr, wanted: usize, copied: usize, access: Access) -> Result<(), Fault> {
    if copied == wanted {
        return Ok(());
    }
    Err(Fault { address: UserAddr(start.0.wrapping_add(copied)), access })
}

impl Drop for PageTable {
    /// Releases every frame and every table. No CPU has the table loaded: each that does holds an `Arc`.
    fn drop(&mut self) {
        /// Most entries are empty: they are looked at so many at a time, and one by one where one is present.
        const AT_ONCE: usize = 8;
        fn release(table: PhysAddr, level: usize, entries: usize) {
            let start = arch::phys_to_virt(table).cast::<u64>();
            // SAFETY: the table is ours alone, and has at least so many entries: a multiple of AT_ONCE.
            let entries = unsafe { core::slice::from_raw_parts(start.cast_const(), entries) };
            let (groups, _) = entries.as_chunks::<AT_ONCE>();
            let groups =
                groups.iter().filter(|group| Format::is_present(group.iter().fold(0, |all, entry| all | entry)));
            for &entry in groups.flatten().filter(|entry| Format::is_present(**entry)) {
                if level > 0 {
                    release(Format::address(entry), level - 1, TABLE_ENTRIES);
                }
                // SAFETY: each entry owned one handle, of a table or of a frame.
                drop(unsafe { Frame::from_address(Format::address(entry)) });
            }
        }
        let span = 1usize << (PAGE_SHIFT + INDEX_BITS * (Format::LEVELS - 1));
        let user_entries = arch::USER_END.div_ceil(span).min(TABLE_ENTRIES);
        release(self.root.address(), Format::LEVELS - 1, user_entries);
    }
}

/// Makes this CPU leave whatever address space it has loaded, so that the space can be freed.
pub fn leave_address_space() {
    arch::deactivate();
}

#[cfg(test)]
mod tests;
