//! What a socket has received and not yet read: packets, each with where it came from and what came with it.

use super::{Address, Passed};
use crate::{cgroup::ObjectCharge, fs::io::Sink, ipc::Remembered, sched::WaitQueue};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Context,
};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Bytes that a buffer has unless it is set, the books of its packets included (net.core.rmem_default).
pub const CAPACITY: usize = 212_992;
/// What a packet takes besides its bytes.
pub const PACKET_BYTES: usize = 256;

/// Who has sent (SCM_CREDENTIALS): ids are the machine's.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The process.
    pub pid: Remembered,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// What was sent at once.
#[derive(Debug)]
pub struct Packet {
    /// The bytes.
    pub bytes: Box<[u8]>,
    /// How many of them are read.
    pub read: usize,
    /// Where it came from.
    pub from: Option<Address>,
    /// Files that came with it.
    pub passed: Option<Passed>,
    /// Who sent it.
    pub sender: Sender,
    /// What it is paid with.
    pub charge: ObjectCharge,
}

impl Packet {
    fn size(&self) -> usize {
        self.bytes.len() + PACKET_BYTES
    }
}

/// The queue of a socket.
#[derive(Debug)]
pub struct Inbox {
    state: SpinLock<State>,
    /// Bytes that the receiver has room for (SO_RCVBUF).
    buffer: AtomicUsize,
    /// Woken when something has come, and when nothing will.
    pub arrival: WaitQueue,
    /// Woken when there is more room, and when nothing is taken any more.
    pub room: WaitQueue,
}

#[derive(Debug, Default)]
struct State {
    packets: VecDeque<Packet>,
    size: usize,
    /// Nothing will come any more.
    ended: bool,
    /// Nothing is taken any more.
    closed: bool,
    error: Option<Errno>,
}

/// What a read came to.
#[derive(Debug, Default)]
pub struct Taken {
    /// Bytes that were given out.
    pub bytes: usize,
    /// Bytes that the packet had, if it was taken whole.
    pub whole: usize,
    /// Where it came from.
    pub from: Option<Address>,
    /// Files that came with it.
    pub passed: Option<Passed>,
    /// Who sent it; none at the end.
    pub sender: Option<Sender>,
}

/// How a read looks at packets.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// As bytes, whose packets do not count.
    pub stream: bool,
    /// Without taking.
    pub peek: bool,
}

impl Inbox {
    /// With a buffer of so many bytes.
    pub fn new(buffer: usize) -> Self {
        let (state, buffer) = (SpinLock::default(), AtomicUsize::new(buffer));
        Self { state, buffer, arrival: WaitQueue::new(), room: WaitQueue::new() }
    }

    /// Bytes that the receiver has room for.
    pub fn buffer(&self) -> usize {
        self.buffer.load(Ordering::Relaxed)
    }

    /// Changes that; what is there stays.
    pub fn set_buffer(&self, bytes: usize) {
        self.buffer.store(bytes, Ordering::Relaxed);
        self.room.wake_all();
    }

    /// Whether `bytes` more would be taken now, to a sum of `most`; `Err` when nothing will be any more.
    pub fn room_for(&self, bytes: usize, most: usize) -> Result<bool, Errno> {
        let state = self.state.lock();
        if state.closed {
            return Err(Errno::EPIPE);
        }
        Ok(state.size == 0 || state.size + bytes + PACKET_BYTES <= most)
    }

    /// How many bytes of a stream would be taken now, to a sum of `most`.
    pub fn room(&self, most: usize) -> Result<usize, Errno> {
        let state = self.state.lock();
        if state.closed {
            return Err(Errno::EPIPE);
        }
        Ok(most.saturating_sub(state.size + PACKET_BYTES))
    }

    /// Takes a packet, whatever its size; gives it back when nothing is taken any more.
    #[expect(clippy::result_large_err, reason = "it goes back as it came, without a copy on the heap")]
    pub fn put(&self, packet: Packet) -> Result<(), Packet> {
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(packet);
            }
            state.size += packet.size();
            state.packets.push_back(packet);
        }
        self.arrival.wake_all();
        Ok(())
    }

    /// Reads into `sink`: of a stream as much as there is up to the end of a packet with files, else one packet. `None` when
    /// there is nothing yet; a pending error first.
    pub fn take(&self, sink: &mut dyn Sink, look: Look) -> Result<Option<Taken>, Errno> {
        let mut gone: Vec<Packet> = Vec::new();
        let result = self.take_from(&mut self.state.lock(), sink, look, &mut gone);
        if !gone.is_empty() {
            self.room.wake_all();
        }
        result
    }

    fn take_from(
        &self,
        state: &mut State,
        sink: &mut dyn Sink,
        look: Look,
        gone: &mut Vec<Packet>,
    ) -> Result<Option<Taken>, Errno> {
        if state.packets.is_empty() {
            if let Some(errno) = state.error.take() {
                return Err(errno);
            }
            return Ok((state.ended || state.closed).then(Taken::default));
        }
        let mut taken = Taken::default();
        let mut at = 0;
        while let Some(packet) = state.packets.get_mut(at) {
            // What came with files ends a read (unix(7), "Ancillary messages").
            if at + gone.len() > 0 && (!look.stream || taken.passed.is_some()) {
                break;
            }
            let left = &packet.bytes[packet.read..];
            let step = left.len().min(sink.remaining());
            if look.stream && step == 0 && !left.is_empty() {
                break;
            }
            let before = sink.remaining();
            let result = sink.put(&left[..step]);
            let done = before - sink.remaining();
            if let Err(errno) = result
                && done + taken.bytes == 0
            {
                return Err(errno);
            }
            taken.bytes += done;
            if taken.sender.is_none() {
                taken.whole = left.len();
                taken.from = packet.from.clone();
                taken.sender = Some(packet.sender.clone());
            }
            if look.peek {
                if let Some(passed) = &packet.passed {
                    taken.passed = passed.again().ok();
                }
                at += 1;
            } else {
                if let Some(passed) = packet.passed.take() {
                    taken.passed = Some(passed);
                }
                packet.read += done;
                if look.stream && packet.read < packet.bytes.len() {
                    break;
                }
                if let Some(packet) = state.packets.pop_front() {
                    state.size -= packet.size();
                    gone.push(packet);
                }
            }
            if !look.stream || result.is_err() || sink.remaining() == 0 {
                break;
            }
        }
        Ok(Some(taken))
    }

    /// Bytes that can be read at once: of a stream all, else the next packet's.
    pub fn readable_bytes(&self, stream: bool) -> usize {
        let state = self.state.lock();
        let counted = if stream { usize::MAX } else { 1 };
        state.packets.iter().take(counted).map(|packet| packet.bytes.len() - packet.read).sum()
    }

    /// Whether a read would not wait, whether nothing will come any more, and whether an error waits.
    pub fn condition(&self, cx: &Context<'_>) -> (bool, bool, bool) {
        self.arrival.register(cx);
        let state = self.state.lock();
        (!state.packets.is_empty(), state.ended || state.closed, state.error.is_some())
    }

    /// Nothing will come any more.
    pub fn end(&self) {
        self.state.lock().ended = true;
        self.arrival.wake_all();
    }

    /// Nothing is taken any more; what is there is dropped. Tells whether there was anything.
    pub fn close(&self) -> bool {
        let dropped = {
            let mut state = self.state.lock();
            state.closed = true;
            state.size = 0;
            core::mem::take(&mut state.packets)
        };
        self.stop();
        !dropped.is_empty()
    }

    /// Nothing further is taken; what is there can still be read (shutdown(2)).
    pub fn stop(&self) {
        self.state.lock().closed = true;
        self.arrival.wake_all();
        self.room.wake_all();
    }

    /// Leaves an error for the next call.
    pub fn set_error(&self, errno: Errno) {
        self.state.lock().error = Some(errno);
        self.arrival.wake_all();
        self.room.wake_all();
    }

    /// Takes the error (SO_ERROR).
    pub fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }
}
