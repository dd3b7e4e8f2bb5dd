//! Pipes (pipe(7)): 64 KiB of frames charged to who writes them, with or without a name.

use super::{
    FileObject, Readiness,
    io::{Sink, Source, moved},
};
use crate::{
    cgroup::{MemoryGroup, memory::Kind},
    sched::WaitQueue,
};
use alloc::{collections::VecDeque, sync::Arc};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem::Frame, sync::SpinLock};

/// Bytes that fit in a new pipe.
pub const CAPACITY: usize = 64 * 1024;
/// The most that fcntl(2) lets fit in (`fs.pipe-max-size`); who has CAP_SYS_RESOURCE gets up to [`LARGEST`].
const CAPACITY_MAX: usize = 1 << 20;
/// The most that any pipe takes.
const LARGEST: usize = 1 << 31;
/// A write of at most this many bytes is not mixed with others (PIPE_BUF).
pub const ATOMIC_BYTES: usize = 4096;

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    state: SpinLock<State>,
    /// Whether who opens an end waits for the other.
    meets: bool,
    /// Who waits for bytes, or for a writer.
    readers: WaitQueue,
    /// Who waits for room, or for a reader.
    writers: WaitQueue,
}

#[derive(Debug)]
struct State {
    /// Bytes that fit.
    capacity: usize,
    buffers: VecDeque<Buffer>,
    /// A frame that was read to its end, for what is written next.
    spare: Option<Frame>,
    bytes: usize,
    readers: usize,
    writers: usize,
    /// How often an end for reading, or writing, was ever opened.
    reader_opens: u64,
    writer_opens: u64,
}

/// The bytes `filled` of a frame.
#[derive(Clone, Debug)]
pub struct Buffer {
    frame: Frame,
    filled: Range<usize>,
    /// Whether what comes next may be put behind: nobody else has a part of the frame.
    grows: bool,
    /// It is read alone and whole, or cut to what the reader has room for (pipe(2), O_DIRECT).
    is_packet: bool,
}

impl Buffer {
    /// `bytes`, at most a page of them, in a frame charged to `memory`; ENOMEM.
    pub fn of(bytes: &[u8], memory: &MemoryGroup) -> Result<Self, Errno> {
        let frame = memory.zeroed_frame(Kind::Kernel)?;
        frame.write(0, bytes);
        Ok(Self { frame, filled: 0..bytes.len(), grows: true, is_packet: false })
    }

    fn len(&self) -> usize {
        self.filled.len()
    }

    /// Copies its first bytes to `to`.
    fn read(&self, to: &mut [u8]) {
        self.frame.read(self.filled.start, to);
    }

    /// Takes the first `count` bytes out.
    fn split_off_front(&mut self, count: usize) -> Self {
        let middle = self.filled.start + count;
        let filled = self.filled.start..middle;
        let front = Self { frame: self.frame.clone(), filled, grows: false, is_packet: self.is_packet };
        self.filled.start = middle;
        front
    }
}

/// Bytes that were taken out of a pipe, to be written elsewhere (splice(2)).
#[derive(Debug, Default)]
pub struct Taken(VecDeque<Buffer>);

impl Taken {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Buffer::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<Buffer> for Taken {
    fn from_iter<I: IntoIterator<Item = Buffer>>(buffers: I) -> Self {
        Self(buffers.into_iter().filter(|buffer| buffer.len() > 0).collect())
    }
}

impl Source for Taken {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn take(&mut self, mut bytes: &mut [u8]) -> Result<(), Errno> {
        while let Some(first) = self.0.front_mut().filter(|_| !bytes.is_empty()) {
            let step = bytes.len().min(first.len());
            let (now, later) = bytes.split_at_mut(step);
            first.read(now);
            first.filled.start += step;
            bytes = later;
            if first.filled.is_empty() {
                self.0.pop_front();
            }
        }
        Ok(())
    }

    fn take_to_frame(&mut self, frame: &Frame, range: Range<usize>) -> Result<(), Errno> {
        let mut chunk = [0; 512];
        for at in range.clone().step_by(chunk.len()) {
            let bytes = &mut chunk[..(range.end - at).min(512)];
            self.take(bytes)?;
            frame.write(at, bytes);
        }
        Ok(())
    }
}

/// An open end, or both.
#[derive(Debug)]
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// How often the other end had been opened when this one was, if nobody had it open then.
    awaited: Option<u64>,
    /// What is written through it are packets.
    packets: AtomicBool,
}

impl Pipe {
    /// The pipe behind a fifo, where who opens an end waits for the other.
    pub fn fifo() -> Arc<Self> {
        Self::new(true)
    }

    /// The pipe of pipe(2). One who opens an end again, by `/proc/PID/fd`, finds it open whoever has the other.
    pub fn unnamed() -> Arc<Self> {
        Self::new(false)
    }

    /// An empty pipe without open ends.
    fn new(meets: bool) -> Arc<Self> {
        let state = State {
            capacity: CAPACITY,
            buffers: VecDeque::new(),
            spare: None,
            bytes: 0,
            readers: 0,
            writers: 0,
            reader_opens: 0,
            writer_opens: 0,
        };
        Arc::new(Self { state: SpinLock::new(state), meets, readers: WaitQueue::new(), writers: WaitQueue::new() })
    }

    /// Takes up to `most` bytes, at least one; none at the end (no writer is left).
    pub fn poll_take(&self, cx: &Context<'_>, most: usize) -> Poll<Taken> {
        let mut taken = Taken::default();
        {
            self.readers.register(cx);
            let mut state = self.state.lock();
            if state.bytes == 0 {
                return if state.writers == 0 { Poll::Ready(taken) } else { Poll::Pending };
            }
            let mut left = most.min(state.bytes);
            state.bytes -= left;
            while left > 0
                && let Some(mut first) = state.buffers.pop_front()
            {
                if first.len() > left {
                    taken.0.push_back(first.split_off_front(left));
                    left = 0;
                    state.buffers.push_front(first);
                } else {
                    left -= first.len();
                    taken.0.push_back(first);
                }
            }
        }
        self.writers.wake_all();
        Poll::Ready(taken)
    }

    /// Copies of the first bytes, up to `most`, which stay (tee(2)); none at the end.
    pub fn poll_look(&self, cx: &Context<'_>, most: usize) -> Poll<Taken> {
        self.readers.register(cx);
        let mut state = self.state.lock();
        if state.bytes == 0 && state.writers > 0 {
            return Poll::Pending;
        }
        let mut taken = Taken::default();
        let mut left = most.min(state.bytes);
        for buffer in &mut state.buffers {
            if left == 0 {
                break;
            }
            let count = left.min(buffer.len());
            // Nobody writes behind what is in two pipes.
            buffer.grows = false;
            taken.0.push_back(buffer.clone().split_off_front(count));
            left -= count;
        }
        Poll::Ready(taken)
    }

    /// Puts back what was taken and not used.
    pub fn put_back(&self, mut unused: Taken) {
        {
            let mut state = self.state.lock();
            state.bytes += unused.len();
            while let Some(last) = unused.0.pop_back() {
                state.buffers.push_front(last);
            }
        }
        self.readers.wake_all();
    }

    /// How many bytes fit, as soon as any do; EPIPE when nobody reads.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<usize, Errno>> {
        self.writers.register(cx);
        let state = self.state.lock();
        match state.room() {
            _ if state.readers == 0 => Poll::Ready(Err(Errno::EPIPE)),
            0 => Poll::Pending,
            room => Poll::Ready(Ok(room)),
        }
    }

    /// Puts bytes in, whether they fit or not: who gives them has asked for room before.
    pub fn push(&self, mut more: Taken) {
        {
            let mut state = self.state.lock();
            state.bytes += more.len();
            state.buffers.append(&mut more.0);
        }
        self.readers.wake_all();
    }

    /// Bytes that fit.
    pub fn capacity(&self) -> usize {
        self.state.lock().capacity
    }

    /// Makes at least so many bytes fit, in a power of two of pages; gives how many. EBUSY when there are more in it,
    /// EPERM past the bound for who is bounded, EINVAL for more than any pipe takes.
    pub fn set_capacity(&self, bytes: usize, unbounded: bool) -> Result<usize, Errno> {
        if bytes > LARGEST {
            return Err(Errno::EINVAL);
        }
        let capacity = bytes.max(PAGE_SIZE).next_power_of_two();
        let mut state = self.state.lock();
        if capacity > state.capacity && capacity > CAPACITY_MAX && !unbounded {
            return Err(Errno::EPERM);
        }
        if capacity < state.bytes {
            return Err(Errno::EBUSY);
        }
        state.capacity = capacity;
        drop(state);
        self.writers.wake_all();
        Ok(capacity)
    }

    /// Opens an end, or both.
    pub fn open(self: &Arc<Self>, reads: bool, writes: bool) -> Arc<PipeEnd> {
        // Who finds the other end open has met it, be it closed again before he looks once more.
        let awaited = {
            let mut state = self.state.lock();
            state.readers += usize::from(reads);
            state.writers += usize::from(writes);
            state.reader_opens += u64::from(reads);
            state.writer_opens += u64::from(writes);
            let (peers, opens) =
                if reads { (state.writers, state.writer_opens) } else { (state.readers, state.reader_opens) };
            (self.meets && peers == 0).then_some(opens)
        };
        self.readers.wake_all();
        self.writers.wake_all();
        Arc::new(PipeEnd { pipe: self.clone(), reads, writes, awaited, packets: AtomicBool::new(false) })
    }

    /// Whether an end for writing cannot be opened without waiting: nobody has a fifo open for reading.
    pub(super) fn awaits_readers(&self) -> bool {
        self.meets && self.state.lock().readers == 0
    }
}

impl State {
    /// Bytes that fit now.
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes)
    }

    fn read(&mut self, sink: &mut dyn Sink) -> Result<(), Errno> {
        while let Some(buffer) = self.buffers.front_mut() {
            let start = buffer.filled.start;
            let step = buffer.filled.len().min(sink.remaining());
            if step == 0 {
                break;
            }
            let before = sink.remaining();
            let result = sink.put_frame(&buffer.frame, start..start + step);
            let done = before - sink.remaining();
            buffer.filled.start += done;
            self.bytes -= done;
            let ends = buffer.is_packet && result.is_ok();
            if ends {
                self.bytes -= buffer.len();
            }
            if ends || buffer.filled.is_empty() {
                let emptied = self.buffers.pop_front();
                self.spare =
                    self.spare.take().or(emptied.map(|buffer| buffer.frame).filter(|frame| !frame.is_shared()));
            }
            result?;
            if ends {
                break;
            }
        }
        Ok(())
    }

    /// A buffer to be written to, charged to `memory`; ENOMEM. (Only what is filled of it is ever read.)
    fn empty_buffer(&mut self, memory: &MemoryGroup) -> Result<Buffer, Errno> {
        match self.spare.take().filter(|frame| frame.owner() == memory.owner(Kind::Kernel)) {
            Some(frame) => Ok(Buffer { frame, filled: 0..0, grows: true, is_packet: false }),
            None => Buffer::of(&[], memory),
        }
    }

    /// Writes packets of a page at most.
    fn write_packets(&mut self, count: usize, source: &mut dyn Source, memory: &MemoryGroup) -> Result<(), Errno> {
        let mut left = count;
        while left > 0 {
            let length = left.min(PAGE_SIZE);
            let mut packet = Buffer { is_packet: true, grows: false, ..self.empty_buffer(memory)? };
            source.take_to_frame(&packet.frame, 0..length)?;
            packet.filled = 0..length;
            self.bytes += length;
            self.buffers.push_back(packet);
            left -= length;
        }
        Ok(())
    }

    fn write(&mut self, mut count: usize, source: &mut dyn Source, memory: &MemoryGroup) -> Result<(), Errno> {
        while count > 0 {
            if self.buffers.back().is_none_or(|buffer| buffer.filled.end == PAGE_SIZE || !buffer.grows) {
                let buffer = self.empty_buffer(memory)?;
                self.buffers.push_back(buffer);
            }
            let buffer = self.buffers.back_mut().expect("just seen or made");
            let end = buffer.filled.end;
            let step = count.min(PAGE_SIZE - end);
            let before = source.remaining();
            let result = source.take_to_frame(&buffer.frame, end..end + step);
            let done = before - source.remaining();
            buffer.filled.end += done;
            self.bytes += done;
            count -= done;
            if buffer.filled.is_empty() {
                self.buffers.pop_back();
            }
            result?;
        }
        Ok(())
    }
}

impl PipeEnd {
    /// Whether bytes can be taken from it, and put into it.
    pub fn ways(&self) -> (bool, bool) {
        (self.reads, self.writes)
    }

    /// Has what is written be packets, or a stream again.
    pub fn set_packets(&self, packets: bool) {
        self.packets.store(packets, Ordering::Relaxed);
    }

    /// What it is an end of.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl FileObject for PipeEnd {
    fn is_atomic(&self) -> bool {
        true
    }

    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let before = sink.remaining();
        if before == 0 {
            return Poll::Ready(Ok(0));
        }
        let result = {
            let mut state = self.pipe.state.lock();
            if state.bytes == 0 {
                if state.writers == 0 {
                    return Poll::Ready(Ok(0));
                }
                self.pipe.readers.register(cx);
                return Poll::Pending;
            }
            state.read(sink)
        };
        let done = before - sink.remaining();
        if done > 0 {
            self.pipe.writers.wake_all();
        }
        Poll::Ready(moved(done, result))
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        source: &mut dyn Source,
        memory: &MemoryGroup,
    ) -> Poll<Result<usize, Errno>> {
        let before = source.remaining();
        if before == 0 {
            return Poll::Ready(Ok(0));
        }
        let result = {
            let mut state = self.pipe.state.lock();
            if state.readers == 0 {
                return Poll::Ready(Err(Errno::EPIPE));
            }
            let room = state.room();
            if room < before.min(ATOMIC_BYTES) && (before <= ATOMIC_BYTES || room == 0) {
                self.pipe.writers.register(cx);
                return Poll::Pending;
            }
            let count = before.min(room);
            if self.packets.load(Ordering::Relaxed) {
                state.write_packets(count, source, memory)
            } else {
                state.write(count, source, memory)
            }
        };
        let done = before - source.remaining();
        if done > 0 {
            self.pipe.readers.wake_all();
        }
        Poll::Ready(moved(done, result))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        // What is ready already may become so once more, which epoll(7) tells with EPOLLET.
        if self.reads {
            self.pipe.readers.register(cx);
        }
        if self.writes {
            self.pipe.writers.register(cx);
        }
        let state = self.pipe.state.lock();
        let mut ready = Readiness::empty();
        if self.reads {
            if state.bytes > 0 {
                ready |= Readiness::READABLE;
            }
            if state.writers == 0 {
                ready |= Readiness::HUP;
            }
        }
        if self.writes {
            if state.room() >= ATOMIC_BYTES {
                ready |= Readiness::WRITABLE;
            }
            if state.readers == 0 {
                ready |= Readiness::ERR;
            }
        }
        ready
    }

    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(awaited) = self.awaited else { return Poll::Ready(()) };
        let state = self.pipe.state.lock();
        let (opens, queue) = if self.reads {
            (state.writer_opens, &self.pipe.readers)
        } else {
            (state.reader_opens, &self.pipe.writers)
        };
        if opens != awaited {
            return Poll::Ready(());
        }
        queue.register(cx);
        Poll::Pending
    }

    fn readable_bytes(&self) -> Option<usize> {
        Some(self.pipe.state.lock().bytes)
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let left = {
            let mut state = self.pipe.state.lock();
            state.readers -= usize::from(self.reads);
            state.writers -= usize::from(self.writes);
            // A pipe that nobody has open loses what is in it (fifo(7)).
            if state.readers + state.writers == 0 {
                state.bytes = 0;
                core::mem::take(&mut state.buffers)
            } else {
                VecDeque::new()
            }
        };
        drop(left);
        self.pipe.readers.wake_all();
        self.pipe.writers.wake_all();
    }
}
