//! Where a file has bytes and where it has holes: fallocate(2), and lseek(2)'s SEEK_DATA and SEEK_HOLE.

use super::{Data, Seals};
use crate::{
    cgroup::{MemoryGroup, memory::Kind},
    fs::Superblock,
};
use alloc::vec::Vec;
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SHIFT, PAGE_SIZE};

const PAGE: u64 = PAGE_SIZE as u64;

/// The pages that `range` of bytes touches.
fn touched(range: &Range<u64>) -> Range<u64> {
    range.start >> PAGE_SHIFT..range.end.div_ceil(PAGE)
}

impl Data {
    /// Gives each page of `range` that has none a frame, and lengthens the file to its end unless `keeps_length`. All or
    /// nothing: ENOSPC, ENOMEM, EPERM for what is sealed.
    pub fn allocate(
        &self,
        range: Range<u64>,
        keeps_length: bool,
        superblock: &Superblock,
        memory: &MemoryGroup,
    ) -> Result<(), Errno> {
        let wanted = touched(&range);
        let permit = |seals: Seals, length: u64| {
            if seals.contains(Seals::GROW) && range.end > length { Err(Errno::EPERM) } else { Ok(()) }
        };
        let missing = {
            let pages = self.pages.lock();
            permit(pages.seals, pages.length)?;
            let present = pages.frames.range(wanted.clone()).count();
            usize::try_from(wanted.end - wanted.start).map_err(|_| Errno::ENOSPC)? - present
        };
        // The frames are got before any is put in its place, so that nothing has to be taken back.
        let mut spare = Vec::new();
        let mut reserved = 0;
        let outcome = loop {
            if spare.len() == missing {
                break Ok(());
            }
            if let Err(errno) = superblock.reserve_page() {
                break Err(errno);
            }
            reserved += 1;
            if spare.try_reserve(1).is_err() {
                break Err(Errno::ENOMEM);
            }
            match memory.zeroed_frame(Kind::Shmem) {
                Ok(frame) => spare.push(frame),
                Err(error) => break Err(error.into()),
            }
        };
        if let Err(errno) = outcome {
            superblock.release_pages(reserved);
            return Err(errno);
        }
        let mut pages = self.pages.lock();
        if let Err(errno) = permit(pages.seals, pages.length) {
            drop(pages);
            superblock.release_pages(reserved);
            return Err(errno);
        }
        if range.end > pages.length {
            pages.zero_tail();
        }
        for index in wanted {
            if !pages.frames.contains_key(&index)
                && let Some(frame) = spare.pop()
            {
                frame.write(0, pages.archived_part(index, 0..PAGE_SIZE));
                pages.frames.insert(index, frame);
            }
        }
        if !keeps_length {
            pages.length = pages.length.max(range.end);
        }
        drop(pages);
        superblock.release_pages(spare.len());
        Ok(())
    }

    /// Makes `range` read as zeros, and takes back the frames of its whole pages. EPERM for what is sealed; ENOMEM where
    /// the initial RAM disk has what must be hidden.
    pub fn punch(&self, range: Range<u64>, superblock: &Superblock, memory: &MemoryGroup) -> Result<(), Errno> {
        let mut pages = self.pages.lock();
        if pages.seals.intersects(Seals::OF_WRITES) {
            return Err(Errno::EPERM);
        }
        let end = range.end.min(pages.length);
        let archived = (pages.archived.bytes.len() as u64).div_ceil(PAGE);
        let hidden = touched(&(range.start..end));
        for index in hidden.start..hidden.end.min(archived) {
            pages.own_frame(index, superblock, memory)?;
        }
        let to_the_end = range.end >= pages.length;
        let whole_end = if to_the_end { range.end.div_ceil(PAGE) } else { range.end >> PAGE_SHIFT };
        let mut gone = pages.frames.split_off(&range.start.div_ceil(PAGE));
        pages.frames.append(&mut gone.split_off(&whole_end));
        // What the archive has there stays hidden by a frame of zeros.
        for (index, frame) in gone.extract_if(..archived, |_, _| true) {
            frame.zero(0..PAGE_SIZE);
            pages.frames.insert(index, frame);
        }
        for index in [range.start >> PAGE_SHIFT, end >> PAGE_SHIFT] {
            let start = index * PAGE;
            let part = range.start.max(start)..end.min(start + PAGE);
            if part.start < part.end
                && let Some(frame) = pages.frames.get(&index)
            {
                frame.zero((part.start - start) as usize..(part.end - start) as usize);
            }
        }
        drop(pages);
        self.unmap(&gone);
        superblock.release_pages(gone.len());
        Ok(())
    }

    /// The first byte from `from` on that is in no hole, or (`hole`) that is in one; the file's end is a hole. ENXIO
    /// behind the end, and where no data comes any more.
    pub fn seek(&self, from: u64, hole: bool) -> Result<u64, Errno> {
        let pages = self.pages.lock();
        if from >= pages.length {
            return Err(Errno::ENXIO);
        }
        let archived = (pages.archived.bytes.len() as u64).div_ceil(PAGE);
        let first = from >> PAGE_SHIFT;
        if !hole {
            let next = pages.frames.range(first..).next().map(|(&index, _)| index);
            let next = if first < archived { Some(first) } else { next };
            let at = next.map(|index| from.max(index * PAGE)).filter(|&at| at < pages.length);
            return at.ok_or(Errno::ENXIO);
        }
        let mut index = first.max(archived);
        for (&present, _) in pages.frames.range(index..) {
            if present != index {
                break;
            }
            index += 1;
        }
        Ok(from.max(index * PAGE).min(pages.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{Cgroup, memory::Books};
    use alloc::sync::Arc;
    use veridian_hal::{arch::hosted, mem};

    struct World {
        data: Data,
        superblock: Superblock,
        group: Arc<Cgroup>,
    }

    /// A file of a file system of 16 pages, with frames as `frames` say.
    fn world(length: u64, frames: &[u64]) -> World {
        hosted::init(64 << 20);
        mem::set_ledger(&Books);
        let world =
            World { data: Data::new(), superblock: Superblock::new("test", 0, Some(16), None), group: Cgroup::root() };
        world.data.set_length(length, &world.superblock).expect("a length");
        for &index in frames {
            let page = world.data.page(index, &world.superblock, &world.group.memory).expect("a page");
            page.write(0, &[7; PAGE_SIZE]);
        }
        world
    }

    #[test]
    fn data_and_holes_are_found_in_turn() {
        let World { data, .. } = world(5 * PAGE, &[1, 2]);
        assert_eq!(data.seek(0, false), Ok(PAGE));
        assert_eq!(data.seek(PAGE + 5, false), Ok(PAGE + 5));
        assert_eq!(data.seek(3 * PAGE, false), Err(Errno::ENXIO));
        assert_eq!(data.seek(0, true), Ok(0));
        assert_eq!(data.seek(PAGE, true), Ok(3 * PAGE));
        assert_eq!(data.seek(5 * PAGE, true), Err(Errno::ENXIO));
    }

    #[test]
    fn a_punched_hole_is_zeros_and_costs_nothing() {
        let World { data, superblock, group } = world(4 * PAGE, &[0, 1, 2, 3]);
        data.punch(100..2 * PAGE + 50, &superblock, &group.memory).expect("a hole");
        assert_eq!(data.charged_pages(), 3);
        let mut bytes = [1; 4 * PAGE_SIZE];
        assert_eq!(data.read(0, bytes.len(), &mut &mut bytes[..]), Ok(bytes.len()));
        let zeros = 100..2 * PAGE_SIZE + 50;
        assert!(bytes.iter().enumerate().all(|(at, &byte)| (byte == 0) == zeros.contains(&at)));
        data.punch(0..10 * PAGE, &superblock, &group.memory).expect("a hole");
        assert_eq!((data.charged_pages(), data.length_bytes()), (0, 4 * PAGE));
    }

    #[test]
    fn an_allocation_is_whole_or_not_at_all() {
        let World { data, superblock, group } = world(PAGE, &[0]);
        assert_eq!(data.allocate(0..17 * PAGE, false, &superblock, &group.memory), Err(Errno::ENOSPC));
        assert_eq!((data.charged_pages(), data.length_bytes()), (1, PAGE));
        assert_eq!(data.allocate(10..4 * PAGE + 1, true, &superblock, &group.memory), Ok(()));
        assert_eq!((data.charged_pages(), data.length_bytes()), (5, PAGE));
        assert_eq!(data.allocate(0..16 * PAGE, false, &superblock, &group.memory), Ok(()));
        assert_eq!((data.charged_pages(), data.length_bytes()), (16, 16 * PAGE));
    }
}
