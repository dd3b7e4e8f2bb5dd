//! Bytes and packets, sent and received (send(2), recv(2)).

use super::{
    Address, Asker, Kind, Outgoing, Packet, Passed, Socket,
    inbox::{Inbox, Look, PACKET_BYTES, Taken},
    interface::Interface,
    socket::Peer,
};
use crate::{
    fs::{
        File,
        io::{Sink, Source},
    },
    mm::filled,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    net::SocketAddr,
    sync::atomic::Ordering,
    task::{Context, Poll},
};
use veridian_containers::abi::Errno;

/// Bytes that are taken from a program at once, of a stream.
const PIECE: usize = 16 * 1024;
/// The longest UDP packet over IPv4.
const UDP_MAX: usize = 65507;

/// What recvmsg(2) gives.
pub type Received = Taken;

impl Socket {
    /// Sends from `source`: of a stream as much as there is room for, else a packet of all of it. Pending while there is no
    /// room. `files` go along with the first byte.
    ///
    /// # Errors
    /// EPIPE, ECONNRESET, ENOTCONN, EDESTADDRREQ, ECONNREFUSED, EMSGSIZE, ENETUNREACH, ETOOMANYREFS, ENOMEM.
    pub fn poll_send(
        self: &Arc<Self>,
        cx: &Context<'_>,
        asker: &Asker<'_>,
        source: &mut dyn Source,
        to: &Outgoing,
        files: &mut Vec<Arc<File>>,
    ) -> Poll<Result<usize, Errno>> {
        if self.kind.is_datagram() && (!self.is_unix() || !matches!(to, Outgoing::Peer)) {
            return self.send_datagram(cx, asker, source, to, files);
        }
        let (peer, shut) = {
            let state = self.state.lock();
            (state.peer.clone(), state.write_shut)
        };
        if let Some(errno) = self.inbox.take_error() {
            return Poll::Ready(Err(errno));
        }
        if shut {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let Some(peer) = peer else {
            return Poll::Ready(Err(if self.is_unix() { Errno::ENOTCONN } else { Errno::EPIPE }));
        };
        let whole = source.remaining();
        peer.inbox.room.register(cx);
        let most = self.most_at(&peer.inbox);
        let length = if self.kind == Kind::Stream {
            if whole == 0 {
                return Poll::Ready(Ok(0));
            }
            match peer.inbox.room(most)? {
                0 => return Poll::Pending,
                room => whole.min(room).min(PIECE),
            }
        } else {
            if whole + PACKET_BYTES > most {
                return Poll::Ready(Err(Errno::EMSGSIZE));
            }
            if !self.refused_as_datagram(peer.inbox.room_for(whole, most))? {
                return Poll::Pending;
            }
            whole
        };
        Poll::Ready(self.deliver(asker, source, length, &peer, None, files))
    }

    /// Bytes of this socket's that may wait to be read in `inbox`: the sender has the room of Unix-domain sockets
    /// (unix(7)), the receiver that of packets, both that of TCP.
    pub(super) fn most_at(&self, inbox: &Inbox) -> usize {
        match self.kind {
            _ if self.is_unix() => self.send_buffer(),
            Kind::Stream => self.send_buffer() + inbox.buffer(),
            _ => inbox.buffer(),
        }
    }

    /// A closed receiver of datagrams is one that refuses.
    fn refused_as_datagram(&self, room: Result<bool, Errno>) -> Result<bool, Errno> {
        if self.kind.is_datagram() { room.map_err(|_| Errno::ECONNREFUSED) } else { room }
    }

    fn send_datagram(
        self: &Arc<Self>,
        cx: &Context<'_>,
        asker: &Asker<'_>,
        source: &mut dyn Source,
        to: &Outgoing,
        files: &mut Vec<Arc<File>>,
    ) -> Poll<Result<usize, Errno>> {
        if let Some(errno) = self.inbox.take_error() {
            return Poll::Ready(Err(errno));
        }
        let (remote, shut) = {
            let state = self.state.lock();
            (state.remote.clone(), state.write_shut)
        };
        if shut {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let length = source.remaining();
        let max = if self.is_unix() { self.send_buffer() - PACKET_BYTES } else { UDP_MAX };
        if length > max {
            return Poll::Ready(Err(Errno::EMSGSIZE));
        }
        if self.kind == Kind::Netlink {
            let to_kernel = match to {
                Outgoing::Peer => true,
                Outgoing::Address(address) => *address == Address::Netlink(0),
                Outgoing::Node(..) => false,
            };
            let result = if to_kernel { self.request(asker, source, length) } else { Err(Errno::ECONNREFUSED) };
            return Poll::Ready(result);
        }
        self.ensure_bound()?;
        let own = matches!(to, Outgoing::Peer);
        let to = match (to, remote) {
            (Outgoing::Peer, Some(remote)) => Outgoing::Address(remote),
            (Outgoing::Peer, None) => return Poll::Ready(Err(Errno::EDESTADDRREQ)),
            (to, _) => to.clone(),
        };
        if let (Kind::Echo | Kind::RawIcmp, Outgoing::Address(Address::Ip(to))) = (self.kind, &to) {
            let address = to.ip().to_canonical();
            if !self.namespace.loopback.reaches(address) {
                return Poll::Ready(Err(Errno::ENETUNREACH));
            }
            return Poll::Ready(self.echo(asker, source, length, Interface::destination(address)));
        }
        match self.find(&to) {
            Ok((found, address)) => {
                let peer = found.as_peer(None);
                peer.inbox.room.register(cx);
                match peer.inbox.room_for(length, self.most_at(&peer.inbox)) {
                    Ok(true) => Poll::Ready(self.deliver(asker, source, length, &peer, Some(&address), files)),
                    Ok(false) if self.is_unix() => Poll::Pending,
                    Err(_) if self.is_unix() => Poll::Ready(Err(Errno::ECONNREFUSED)),
                    // What UDP has no room for is lost.
                    _ => Poll::Ready(Ok(length)),
                }
            }
            // It is sent, and nobody is there: the next call of a connected socket hears of it (udp(7)).
            Err(Errno::ECONNREFUSED) if !self.is_unix() => {
                if own {
                    self.inbox.set_error(Errno::ECONNREFUSED);
                }
                Poll::Ready(Ok(length))
            }
            Err(errno) => Poll::Ready(Err(errno)),
        }
    }

    fn deliver(
        &self,
        asker: &Asker<'_>,
        source: &mut dyn Source,
        length: usize,
        peer: &Peer,
        to: Option<&Address>,
        files: &mut Vec<Arc<File>>,
    ) -> Result<usize, Errno> {
        let books = PACKET_BYTES + files.len() * size_of::<Arc<File>>();
        let charge = self.namespace.pool.charge(books + length, asker.memory)?;
        let passed = match core::mem::take(files) {
            none if none.is_empty() => None,
            files => {
                let receiver = peer.socket.upgrade().ok_or(Errno::EPIPE)?;
                let waits = receiver.unaccepted.load(Ordering::Relaxed);
                Some(Passed::new(files, asker.credentials.uid, &receiver.passage, waits, asker.files_under_way)?)
            }
        };
        let mut bytes = filled(0, length)?.into_boxed_slice();
        source.take(&mut bytes)?;
        let from = match (self.local(), to) {
            (Some(Address::Ip(local)), Some(Address::Ip(to))) if local.ip().is_unspecified() => {
                Some(Address::Ip(SocketAddr::new(Interface::source(to.ip()), local.port())))
            }
            (local, _) => local,
        };
        if !self.is_unix() {
            self.namespace.loopback.count(length);
        }
        let packet = Packet { bytes, read: 0, from, passed, sender: asker.sender(), charge };
        peer.inbox.put(packet).map_err(|_| Errno::EPIPE)?;
        Ok(length)
    }

    /// Receives into `sink`; pending while nothing is there. 0 bytes without a sender are the end.
    pub fn poll_receive(&self, cx: &Context<'_>, sink: &mut dyn Sink, peek: bool) -> Poll<Result<Received, Errno>> {
        if !self.kind.is_datagram() && self.state.lock().peer.is_none() {
            let errno = if self.is_unix() { Errno::EINVAL } else { Errno::ENOTCONN };
            return Poll::Ready(Err(self.inbox.take_error().unwrap_or(errno)));
        }
        self.inbox.arrival.register(cx);
        let look = Look { stream: self.kind == Kind::Stream, peek };
        match self.inbox.take(sink, look)? {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Poll::Pending,
        }
    }
}
