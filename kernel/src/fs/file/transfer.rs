//! What reads and writes of an open file do, with its offset.

use super::File;
use crate::{
    cgroup::MemoryGroup,
    fs::{
        Access, FileObject, OpenFlags, Positioned,
        inode::Content,
        inotify::Events,
        io::{Sink, Source},
        tmpfs::Data,
    },
};
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;

/// Where lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The beginning.
    Set,
    /// The offset now.
    Current,
    /// The end.
    End,
    /// From the given offset, the first byte that is in no hole.
    Data,
    /// From the given offset, the first byte that is in one.
    Hole,
}

impl File {
    /// Reads at the offset, and moves it.
    pub fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let result = self.read_on(cx, sink);
        self.transferred(&result, Events::ACCESS);
        result
    }

    fn read_on(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let data = match self.readable()? {
            Content::Regular(data) => data,
            _ if self.inode.is_directory() => return Poll::Ready(Err(Errno::EISDIR)),
            _ => match self.positioned() {
                Some(object) => return Poll::Ready(self.at_offset(|at| object.read_at(at, sink))),
                None => return self.poll_object(|object| object.poll_read(cx, sink)),
            },
        };
        // The stretch is taken at once, so that two readers that share the offset get different bytes.
        let (start, count) = {
            let mut offset = self.offset.lock();
            let left = data.length_bytes().saturating_sub(*offset);
            let count = sink.remaining().min(usize::try_from(left).unwrap_or(usize::MAX));
            let start = *offset;
            *offset += count as u64;
            (start, count)
        };
        let result = data.read(start, count, sink);
        self.settle(start, count, &result);
        self.touch_accessed();
        Poll::Ready(result)
    }

    /// Reads at `at`; the offset stays.
    pub fn poll_read_at(&self, cx: &mut Context<'_>, at: u64, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let result = self.read_from(cx, at, sink);
        self.transferred(&result, Events::ACCESS);
        result
    }

    fn read_from(&self, cx: &mut Context<'_>, at: u64, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        match self.readable()? {
            Content::Regular(data) => {
                let result = data.read(at, sink.remaining(), sink);
                self.touch_accessed();
                Poll::Ready(result)
            }
            _ if self.inode.is_directory() => Poll::Ready(Err(Errno::EISDIR)),
            _ => match self.positioned() {
                Some(object) => Poll::Ready(object.read_at(at, sink)),
                None => {
                    self.ignores_offsets()?;
                    self.poll_object(|object| object.poll_read(cx, sink))
                }
            },
        }
    }

    /// Reads a regular file into kernel memory.
    pub fn read_at(&self, at: u64, mut bytes: &mut [u8]) -> Result<usize, Errno> {
        let Content::Regular(data) = self.readable()? else { return Err(Errno::EINVAL) };
        data.read(at, bytes.len(), &mut bytes)
    }

    /// Writes at the offset (or the end, with O_APPEND), and moves it. New frames are charged to `memory`. A regular
    /// file is not written at or behind byte `most` (RLIMIT_FSIZE): less is written, or EFBIG.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        memory: &MemoryGroup,
        most: u64,
    ) -> Poll<Result<usize, Errno>> {
        let Content::Regular(data) = self.writable()? else {
            let result = match self.positioned() {
                Some(object) => Poll::Ready(self.at_offset(|at| object.write_at(at, source))),
                None => self.poll_object(|object| object.poll_write(cx, source, memory)),
            };
            self.transferred(&result, Events::MODIFY);
            return result;
        };
        let count = source.remaining();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.flags().contains(OpenFlags::APPEND) {
            let result = self.append(data, source, memory, most);
            return Poll::Ready(result);
        }
        let (start, count) = {
            let mut offset = self.offset.lock();
            let start = *offset;
            let count = room(start, count, most)?;
            *offset = start.checked_add(count as u64).ok_or(Errno::EFBIG)?;
            (start, count)
        };
        let result = data.write(start, count, source, self.inode.superblock(), memory);
        self.settle(start, count, &result);
        self.written(&result);
        Poll::Ready(result)
    }

    /// Writes at the end, whatever the file was opened with. The offset is behind what was written then, or (`stays`)
    /// where it was.
    pub fn poll_append(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        memory: &MemoryGroup,
        most: u64,
        stays: bool,
    ) -> Poll<Result<usize, Errno>> {
        let Content::Regular(data) = self.writable()? else { return self.poll_write(cx, source, memory, most) };
        if source.remaining() == 0 {
            return Poll::Ready(Ok(0));
        }
        let before = *self.offset.lock();
        let result = self.append(data, source, memory, most);
        if stays {
            *self.offset.lock() = before;
        }
        Poll::Ready(result)
    }

    /// Writes at `at` (but at the end, with O_APPEND, as Linux does); the offset stays.
    pub fn poll_write_at(
        &self,
        cx: &mut Context<'_>,
        at: u64,
        source: &mut dyn Source,
        memory: &MemoryGroup,
        most: u64,
    ) -> Poll<Result<usize, Errno>> {
        let Content::Regular(data) = self.writable()? else {
            if let Some(object) = self.positioned() {
                return Poll::Ready(object.write_at(at, source));
            }
            self.ignores_offsets()?;
            return self.poll_object(|object| object.poll_write(cx, source, memory));
        };
        if self.flags().contains(OpenFlags::APPEND) {
            return self.poll_append(cx, source, memory, most, true);
        }
        let result = data.write(at, room(at, source.remaining(), most)?, source, self.inode.superblock(), memory);
        self.written(&result);
        Poll::Ready(result)
    }

    /// lseek(2).
    pub fn seek(&self, whence: Whence, by: i64) -> Result<u64, Errno> {
        let end = match &self.inode.content {
            _ if self.is_path_only() => return Err(Errno::EBADF),
            Content::Regular(data) => match whence {
                Whence::Data | Whence::Hole => {
                    let from = u64::try_from(by).map_err(|_| Errno::ENXIO)?;
                    let to = data.seek(from, whence == Whence::Hole)?;
                    *self.offset.lock() = to;
                    return Ok(to);
                }
                _ => data.length_bytes(),
            },
            _ if self.inode.is_directory() || self.positioned().is_some() => match whence {
                Whence::Set | Whence::Current => 0,
                _ => return Err(Errno::EINVAL),
            },
            _ => return self.ignores_offsets().map(|()| 0),
        };
        let mut offset = self.offset.lock();
        let from = match whence {
            Whence::Current => *offset,
            Whence::End => end,
            _ => 0,
        };
        let to = from.checked_add_signed(by).filter(|to| *to <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
        *offset = to;
        Ok(to)
    }

    fn readable(&self) -> Result<&Content, Errno> {
        if self.access.contains(Access::READ) { Ok(&self.inode.content) } else { Err(Errno::EBADF) }
    }

    pub(super) fn writable(&self) -> Result<&Content, Errno> {
        if self.access.contains(Access::WRITE) { Ok(&self.inode.content) } else { Err(Errno::EBADF) }
    }

    /// Moves the offset by what `transfer`, told the offset, has moved.
    fn at_offset(&self, transfer: impl FnOnce(u64) -> Result<usize, Errno>) -> Result<usize, Errno> {
        let start = *self.offset.lock();
        let moved = transfer(start)?;
        *self.offset.lock() = start + moved as u64;
        Ok(moved)
    }

    fn positioned(&self) -> Option<&dyn Positioned> {
        self.object.as_ref()?.positioned()
    }

    /// ESPIPE for an object that has no offsets.
    fn ignores_offsets(&self) -> Result<(), Errno> {
        let ignores = self.object.as_ref().is_some_and(|object| object.ignores_offsets());
        if ignores { Ok(()) } else { Err(Errno::ESPIPE) }
    }

    fn poll_object(
        &self,
        operation: impl FnOnce(&dyn FileObject) -> Poll<Result<usize, Errno>>,
    ) -> Poll<Result<usize, Errno>> {
        let object = self.object.as_ref().ok_or(Errno::EINVAL)?;
        match operation(&**object) {
            Poll::Pending if self.is_nonblocking() => Poll::Ready(Err(Errno::EAGAIN)),
            other => other,
        }
    }

    fn append(&self, data: &Data, source: &mut dyn Source, memory: &MemoryGroup, most: u64) -> Result<usize, Errno> {
        let count = source.remaining();
        let (start, result) = data.append(source, self.inode.superblock(), memory, |start| room(start, count, most));
        *self.offset.lock() = start + *result.as_ref().unwrap_or(&0) as u64;
        self.written(&result);
        result
    }

    /// Gives back what of the stretch `start..start + count` was not used, unless the offset has moved on since.
    fn settle(&self, start: u64, count: usize, result: &Result<usize, Errno>) {
        let done = *result.as_ref().unwrap_or(&0);
        if done < count {
            let mut offset = self.offset.lock();
            if *offset == start + count as u64 {
                *offset = start + done as u64;
            }
        }
    }

    fn written(&self, result: &Result<usize, Errno>) {
        if result.is_ok() {
            self.inode.written(self.keeps_set_ids);
        }
        self.transferred(&Poll::Ready(*result), Events::MODIFY);
    }

    /// Tells who watches the file that something was read or written.
    fn transferred(&self, result: &Poll<Result<usize, Errno>>, events: Events) {
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.notify(events);
        }
    }
}

/// How many of `count` bytes may be written from `start` on; EFBIG for none.
fn room(start: u64, count: usize, most: u64) -> Result<usize, Errno> {
    match most.checked_sub(start) {
        None | Some(0) if count > 0 => Err(Errno::EFBIG),
        left => Ok(count.min(usize::try_from(left.unwrap_or(0)).unwrap_or(usize::MAX))),
    }
}
