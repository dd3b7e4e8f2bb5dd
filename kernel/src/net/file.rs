//! A socket as an open file: read(2), poll(2), ioctl(2).

use super::Socket;
use crate::{
    fs::{FileObject, Readiness, io::Sink},
    task::Thread,
};
use alloc::sync::Arc;
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

impl FileObject for Socket {
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        self.poll_receive(cx, sink, false).map_ok(|received| received.bytes)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        let mut ready = Readiness::empty();
        if self.is_listening() {
            self.connections.register(cx);
            let state = self.state.lock();
            ready.set(Readiness::READABLE, !state.waiting.is_empty());
            return ready;
        }
        let (some, ended, error) = self.inbox.condition(cx);
        let (peer, write_shut, read_shut) = {
            let state = self.state.lock();
            (state.peer.clone(), state.write_shut, state.read_shut)
        };
        ready.set(Readiness::READABLE, some || ended || read_shut);
        ready.set(Readiness::RDHUP, !self.kind.is_datagram() && (ended || read_shut));
        ready.set(Readiness::ERR, error);
        match peer {
            Some(peer) => {
                peer.inbox.room.register(cx);
                let most = self.most_at(&peer.inbox);
                let room = peer.inbox.room(most);
                ready.set(Readiness::WRITABLE, room.map_or(true, |room| room >= most / 4) || write_shut);
                // Who has closed its end of TCP has said only that it sends no more.
                let gone = write_shut || room.is_err() && (self.is_unix() || error);
                ready.set(Readiness::HUP, !self.kind.is_datagram() && ended && gone);
            }
            None if self.kind.is_datagram() => ready |= Readiness::WRITABLE,
            // Never connected (tcp(7), as Linux tells it).
            None => ready |= Readiness::WRITABLE | Readiness::HUP,
        }
        ready
    }

    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        super::control::ioctl(thread, self, request, argument).map(|()| 0)
    }

    fn readable_bytes(&self) -> Option<usize> {
        Some(self.readable_now())
    }
}
