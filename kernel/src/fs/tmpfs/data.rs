//! The bytes of a regular file: frames, slices of the initial RAM disk, and holes.
//!
//! No lock is held while bytes are copied: a fault in the program's buffer may need a page of this very file.

use super::{
    Seals,
    mapped::{Mappers, Use},
};
use crate::{
    cgroup::{MemoryGroup, memory::Kind},
    fs::{
        Superblock,
        io::{Sink, Source, moved},
    },
};
use alloc::{boxed::Box, collections::BTreeMap};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SHIFT, PAGE_SIZE, boot_info::Initrd, mem::Frame, sync::SpinLock};

/// The largest length of a file, in bytes.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// A file's content as the initial RAM disk has it.
#[derive(Clone, Copy)]
pub(in crate::fs) struct Archived {
    /// The bytes, in the archive.
    pub bytes: &'static [u8],
    /// The archive and where in it they begin, so that whole pages can be mapped in place.
    pub place: Option<(Initrd, usize)>,
}

/// The bytes of a regular file.
pub(in crate::fs) struct Data {
    /// Of a file that has no name in any directory.
    name: Option<Box<[u8]>>,
    /// Held by who writes, and by who sets the length, until it is done: writes come one after the other (write(2)), and
    /// the file's end stays where an append has found it.
    writer: SpinLock<()>,
    pub(super) pages: SpinLock<Pages>,
    pub(super) mappers: SpinLock<Mappers>,
    /// Who writes it, or executes it.
    pub used: Use,
}

pub(super) struct Pages {
    /// Grows with what is written: nobody reads behind what has come.
    pub length: u64,
    pub frames: BTreeMap<u64, Frame>,
    /// What lies where there is no frame; no longer than `length`.
    pub archived: Archived,
    /// What is forbidden for good.
    pub seals: Seals,
}

impl core::fmt::Debug for Data {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let pages = self.pages.lock();
        write!(f, "{} bytes, {} frames", pages.length, pages.frames.len())
    }
}

/// Part of a page, by where it is.
enum Piece {
    Frame(Frame),
    /// Perhaps shorter than the part; zeros follow.
    Archived(&'static [u8]),
}

impl Data {
    /// An empty file.
    pub fn new() -> Self {
        Self::archived(Archived { bytes: &[], place: None })
    }

    /// A file with the content of a slice of the archive.
    pub fn archived(archived: Archived) -> Self {
        Self::of(Pages { length: archived.bytes.len() as u64, frames: BTreeMap::new(), archived, seals: Seals::SEAL })
    }

    fn of(pages: Pages) -> Self {
        let (pages, mappers) = (SpinLock::new(pages), SpinLock::default());
        Self { name: None, pages, writer: SpinLock::new(()), mappers, used: Use::default() }
    }

    /// An empty file that is in no directory, and is called `name` where it is shown.
    pub fn nameless(name: &[u8]) -> Self {
        Self { name: Some(name.into()), ..Self::new() }
    }

    /// What it was called when it was made, if it is in no directory.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Gives an empty file the content of a slice of the archive; EEXIST if it has any.
    pub fn fill(&self, archived: Archived) -> Result<(), Errno> {
        let mut pages = self.pages.lock();
        if pages.length > 0 {
            return Err(Errno::EEXIST);
        }
        (pages.length, pages.archived) = (archived.bytes.len() as u64, archived);
        Ok(())
    }

    /// A file with the same content in `superblock`; its own frames are copied, and paid for by `memory`, and what is
    /// the archive's still is.
    pub fn duplicate(&self, superblock: &Superblock, memory: &MemoryGroup) -> Result<Self, Errno> {
        let copy = {
            let pages = self.pages.lock();
            Pages { frames: BTreeMap::new(), ..*pages }
        };
        let copy = Self::of(copy);
        let mut next = 0;
        let outcome = loop {
            let found = self.pages.lock().frames.range(next..).next().map(|(&index, frame)| (index, frame.clone()));
            let Some((index, frame)) = found else { break Ok(()) };
            next = index + 1;
            if let Err(errno) = superblock.reserve_page() {
                break Err(errno);
            }
            match memory.copied_frame(Kind::Shmem, &frame) {
                Ok(frame) => drop(copy.pages.lock().frames.insert(index, frame)),
                Err(errno) => {
                    superblock.release_pages(1);
                    break Err(errno.into());
                }
            }
        };
        match outcome {
            Ok(()) => Ok(copy),
            Err(errno) => {
                superblock.release_pages(copy.charged_pages());
                Err(errno)
            }
        }
    }

    /// Length in bytes.
    pub fn length_bytes(&self) -> u64 {
        self.pages.lock().length
    }

    /// Pages that take memory.
    pub fn resident_pages(&self) -> usize {
        let pages = self.pages.lock();
        pages.frames.len() + pages.archived.bytes.len().div_ceil(PAGE_SIZE)
    }

    /// Pages that count against the file system's limit.
    pub fn charged_pages(&self) -> usize {
        self.pages.lock().frames.len()
    }

    /// Reads up to `count` bytes at `offset`, fewer at the end of the file.
    pub fn read(&self, offset: u64, count: usize, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let before = sink.remaining();
        let result = self.read_pieces(offset, count.min(before), sink);
        moved(before - sink.remaining(), result)
    }

    fn read_pieces(&self, mut offset: u64, mut count: usize, sink: &mut dyn Sink) -> Result<(), Errno> {
        while count > 0 {
            let (piece, part) = {
                let pages = self.pages.lock();
                let left = pages.length.saturating_sub(offset);
                let (index, part) = part_of_page(offset, count.min(usize::try_from(left).unwrap_or(usize::MAX)));
                if part.is_empty() {
                    break;
                }
                (pages.piece(index, part.clone()), part)
            };
            let length = part.len();
            match piece {
                Piece::Frame(frame) => sink.put_frame(&frame, part)?,
                Piece::Archived(bytes) => {
                    sink.put(bytes)?;
                    sink.put_zeros(length - bytes.len())?;
                }
            }
            offset += length as u64;
            count -= length;
        }
        Ok(())
    }

    /// Writes up to `count` bytes at `offset`; the file grows as far as bytes were written.
    pub fn write(
        &self,
        offset: u64,
        count: usize,
        source: &mut dyn Source,
        superblock: &Superblock,
        memory: &MemoryGroup,
    ) -> Result<usize, Errno> {
        let _writer = self.writer.lock();
        self.write_alone(offset, count, source, superblock, memory)
    }

    /// Writes at the file's end, which `room` is told: it says how many bytes are allowed there. Gives where they begin,
    /// and how many were written.
    pub fn append(
        &self,
        source: &mut dyn Source,
        superblock: &Superblock,
        memory: &MemoryGroup,
        room: impl FnOnce(u64) -> Result<usize, Errno>,
    ) -> (u64, Result<usize, Errno>) {
        let _writer = self.writer.lock();
        let start = self.length_bytes();
        (start, room(start).and_then(|count| self.write_alone(start, count, source, superblock, memory)))
    }

    fn write_alone(
        &self,
        offset: u64,
        count: usize,
        source: &mut dyn Source,
        superblock: &Superblock,
        memory: &MemoryGroup,
    ) -> Result<usize, Errno> {
        let count = count.min(source.remaining());
        if count == 0 {
            return Ok(0);
        }
        let room = LENGTH_MAX.saturating_sub(offset);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        let before = source.remaining();
        let mut count = count.min(usize::try_from(room).unwrap_or(usize::MAX));
        {
            let pages = self.pages.lock();
            let room = pages.seals.room_to_write(pages.length.saturating_sub(offset))?;
            count = count.min(usize::try_from(room).unwrap_or(usize::MAX));
        }
        let result = self.write_pieces(offset, count, source, superblock, memory);
        moved(before - source.remaining(), result)
    }

    fn write_pieces(
        &self,
        mut offset: u64,
        mut count: usize,
        source: &mut dyn Source,
        superblock: &Superblock,
        memory: &MemoryGroup,
    ) -> Result<(), Errno> {
        while count > 0 {
            let (index, part) = part_of_page(offset, count);
            let frame = {
                let mut pages = self.pages.lock();
                if offset > pages.length {
                    pages.zero_tail();
                }
                pages.own_frame(index, superblock, memory)?
            };
            let before = source.remaining();
            let result = source.take_to_frame(&frame, part.clone());
            let done = before - source.remaining();
            offset += done as u64;
            count -= done;
            let mut pages = self.pages.lock();
            pages.length = pages.length.max(offset);
            if result.is_err() {
                // What was copied but not counted must not be seen when the file grows.
                pages.zero_tail();
                return result;
            }
        }
        Ok(())
    }

    /// Cuts the file, or lengthens it by a hole.
    pub fn set_length(&self, length: u64, superblock: &Superblock) -> Result<(), Errno> {
        if length > LENGTH_MAX {
            return Err(Errno::EFBIG);
        }
        let _writer = self.writer.lock();
        let mut pages = self.pages.lock();
        let before = pages.length;
        pages.seals.permit_length(before, length)?;
        if length > pages.length {
            pages.zero_tail();
        }
        pages.length = length;
        let cut = usize::try_from(length).unwrap_or(usize::MAX).min(pages.archived.bytes.len());
        pages.archived.bytes = &pages.archived.bytes[..cut];
        let gone = pages.frames.split_off(&length.div_ceil(PAGE_SIZE as u64));
        pages.zero_tail();
        let shorter = length < before;
        drop(pages);
        if shorter {
            self.unmap_from(length.div_ceil(PAGE_SIZE as u64));
        }
        superblock.release_pages(gone.len());
        Ok(())
    }

    /// The page `index` for a mapping: the file's own frame, or a frame of the archive that is wholly the file's. ENXIO
    /// behind the end.
    pub fn page(&self, index: u64, superblock: &Superblock, memory: &MemoryGroup) -> Result<Frame, Errno> {
        let mut pages = self.pages.lock();
        if index >= pages.length.div_ceil(PAGE_SIZE as u64) {
            return Err(Errno::ENXIO);
        }
        match pages.resident(index) {
            Some(frame) => Ok(frame),
            None => pages.own_frame(index, superblock, memory),
        }
    }

    /// The page `index` if it costs nothing to give.
    pub fn resident_page(&self, index: u64) -> Option<Frame> {
        self.pages.lock().resident(index)
    }

    /// Whether mappings may write the file's pages: not while some are the archive's (EACCES), and not once that is
    /// forbidden (EPERM).
    pub fn permit_shared_writing(&self) -> Result<(), Errno> {
        let pages = self.pages.lock();
        if pages.seals.intersects(Seals::OF_WRITES) {
            return Err(Errno::EPERM);
        }
        if pages.archived.bytes.is_empty() { Ok(()) } else { Err(Errno::EACCES) }
    }
}

impl Pages {
    fn piece(&self, index: u64, part: Range<usize>) -> Piece {
        match self.frames.get(&index) {
            Some(frame) => Piece::Frame(frame.clone()),
            None => Piece::Archived(self.archived_part(index, part)),
        }
    }

    /// What of `part` of page `index` the archive has.
    pub fn archived_part(&self, index: u64, part: Range<usize>) -> &'static [u8] {
        let bytes = self.archived.bytes;
        let start = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(PAGE_SIZE);
        let bound = |within: usize| start.saturating_add(within).min(bytes.len());
        &bytes[bound(part.start)..bound(part.end)]
    }

    fn resident(&self, index: u64) -> Option<Frame> {
        if let Some(frame) = self.frames.get(&index) {
            return Some(frame.clone());
        }
        let (initrd, start) = self.archived.place?;
        let whole_page = self.archived_part(index, 0..PAGE_SIZE).len() == PAGE_SIZE;
        if whole_page { initrd.frame_at(start + index as usize * PAGE_SIZE) } else { None }
    }

    /// The file's own frame of page `index`, made with the page's content if there is none.
    pub fn own_frame(&mut self, index: u64, superblock: &Superblock, memory: &MemoryGroup) -> Result<Frame, Errno> {
        if let Some(frame) = self.frames.get(&index) {
            return Ok(frame.clone());
        }
        superblock.reserve_page()?;
        let frame = memory.zeroed_frame(Kind::Shmem).inspect_err(|_| superblock.release_pages(1))?;
        frame.write(0, self.archived_part(index, 0..PAGE_SIZE));
        self.frames.insert(index, frame.clone());
        Ok(frame)
    }

    /// Zeros what lies behind the end of the file in its last frame: the bytes that a longer file begins with there.
    pub fn zero_tail(&self) {
        let within = self.length as usize % PAGE_SIZE;
        if let Some(frame) = self.frames.get(&(self.length >> PAGE_SHIFT)) {
            frame.zero(within..PAGE_SIZE);
        }
    }
}

/// The page that holds `offset`, and what of it the next `count` bytes take.
fn part_of_page(offset: u64, count: usize) -> (u64, Range<usize>) {
    let start = offset as usize % PAGE_SIZE;
    (offset >> PAGE_SHIFT, start..(start + count.min(PAGE_SIZE - start)))
}
