//! Who talks to whom (connect(2), listen(2), accept(2), shutdown(2)).

use super::{
    Address, Asker, Kind, Socket, SocketNode, UnixName, address::canonical, interface::Interface, socket::State,
};
use alloc::sync::{Arc, Weak};
use core::{
    net::SocketAddr,
    sync::atomic::Ordering,
    task::{Context, Poll},
};
use veridian_containers::abi::Errno;

/// Where to, as sendto(2) and connect(2) resolve it.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// To the peer that it is connected to.
    Peer,
    /// To what is bound to a node of the file system.
    Node(Arc<SocketNode>, Address),
    /// To an abstract name, an address and port.
    Address(Address),
}

impl Socket {
    /// listen(2).
    pub fn listen(self: &Arc<Self>, asker: &Asker<'_>, backlog: i32) -> Result<(), Errno> {
        if self.kind.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.is_unix() && self.state.lock().local.is_none() {
            return Err(Errno::EINVAL);
        }
        self.ensure_bound()?;
        let mut state = self.state.lock();
        if state.peer.is_some() {
            return Err(Errno::EINVAL);
        }
        // (As Linux: one more than asked, and a negative number is no limit of its own.)
        state.listener = Some(asker.sender());
        let most = self.namespace.backlog_max();
        state.backlog = usize::try_from(backlog).map_or(most, |backlog| backlog.min(most)) + 1;
        self.listens.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The socket that `to` leads to; ECONNREFUSED when none is there, ENETUNREACH beyond the loopback.
    pub(super) fn find(&self, to: &Outgoing) -> Result<(Arc<Self>, Address), Errno> {
        let fits = |other: &Arc<Self>| other.kind == self.kind;
        match to {
            Outgoing::Peer => Err(Errno::ENOTCONN),
            Outgoing::Node(node, address) => {
                let found = node.socket().ok_or(Errno::ECONNREFUSED)?;
                if fits(&found) { Ok((found, address.clone())) } else { Err(Errno::EPROTOTYPE) }
            }
            Outgoing::Address(Address::Unix(UnixName::Abstract(name))) => {
                let found = self.namespace.names.lock().get(name).and_then(Weak::upgrade);
                let found = found.ok_or(Errno::ECONNREFUSED)?;
                let address = Address::Unix(UnixName::Abstract(name.clone()));
                if fits(&found) { Ok((found, address)) } else { Err(Errno::EPROTOTYPE) }
            }
            Outgoing::Address(Address::Unix(_)) => Err(Errno::EINVAL),
            // The kernel is no socket.
            Outgoing::Address(Address::Netlink(_)) => Err(Errno::ECONNREFUSED),
            Outgoing::Address(Address::Ip(address)) => {
                let plain = canonical(*address);
                if !self.namespace.loopback.reaches(plain.ip()) {
                    return Err(Errno::ENETUNREACH);
                }
                if matches!(self.kind, Kind::Echo | Kind::RawIcmp) {
                    // The machine itself answers.
                    return Err(Errno::ECONNREFUSED);
                }
                let plain = SocketAddr::new(Interface::destination(plain.ip()), plain.port());
                let from = self.state.lock().local.clone();
                // What comes from one port goes to one of those that share theirs.
                let source = if let Some(Address::Ip(from)) = &from { from.port() } else { 0 };
                let all = self.namespace.ports.lock().receivers(self.kind, plain, source);
                let found = all.into_iter().find(|other| other.receives_from(from.as_ref()));
                Ok((found.ok_or(Errno::ECONNREFUSED)?, Address::Ip(plain)))
            }
        }
    }

    /// Whether what comes from an address is for it: one that is connected takes its peer's packets alone.
    fn receives_from(&self, from: Option<&Address>) -> bool {
        if !self.kind.is_datagram() {
            return self.is_listening();
        }
        match (self.remote(), from) {
            (Some(Address::Ip(remote)), Some(Address::Ip(from))) => {
                remote.port() == from.port()
                    && (from.ip().is_unspecified() || canonical(remote).ip() == canonical(*from).ip())
            }
            _ => true,
        }
    }

    /// connect(2) of a datagram socket: where it sends to and receives from; `None` undoes it.
    pub fn set_peer(self: &Arc<Self>, to: Option<Outgoing>) -> Result<(), Errno> {
        let Some(to) = to else {
            let old = {
                let mut state = self.state.lock();
                state.remote = None;
                state.peer.take()
            };
            drop(old);
            return Ok(());
        };
        self.ensure_bound()?;
        let (peer, remote) = match (&to, self.find(&to)) {
            (_, Ok((found, address))) => (Some(found.as_peer(None)), address),
            // Nobody has to be there yet.
            (Outgoing::Address(Address::Ip(address)), Err(Errno::ECONNREFUSED)) => {
                (None, Address::Ip(SocketAddr::new(Interface::destination(address.ip()), address.port())))
            }
            (Outgoing::Address(address @ Address::Netlink(0)), _) => (None, address.clone()),
            (_, Err(errno)) => return Err(errno),
        };
        let old = {
            let mut state = self.state.lock();
            state.remote = Some(remote.clone());
            Self::settle_local(&mut state, &remote);
            core::mem::replace(&mut state.peer, peer.filter(|_| self.is_unix()))
        };
        drop(old);
        Ok(())
    }

    /// Once it is clear whom it talks to, a socket bound to all addresses has the one that leads there.
    fn settle_local(state: &mut State, remote: &Address) {
        if let (Some(Address::Ip(local)), Address::Ip(remote)) = (&mut state.local, remote)
            && local.ip().is_unspecified()
        {
            *local = SocketAddr::new(Interface::source(remote.ip()), local.port());
        }
    }

    /// connect(2): pending while the listener's queue is full. ECONNREFUSED, EISCONN, EINVAL.
    pub fn poll_connect(
        self: &Arc<Self>,
        cx: &Context<'_>,
        asker: &Asker<'_>,
        to: &Outgoing,
    ) -> Poll<Result<(), Errno>> {
        if self.state.lock().peer.is_some() {
            return Poll::Ready(Err(Errno::EISCONN));
        }
        if self.is_listening() {
            return Poll::Ready(Err(if self.is_unix() { Errno::EINVAL } else { Errno::EISCONN }));
        }
        self.ensure_bound()?;
        let (listener, address) = self.find(to)?;
        listener.connections.register(cx);
        let listening = listener.state.lock().listener.clone();
        let identity = asker.sender();
        let accepted = Self::new(&listener.namespace, listener.family, self.kind, asker)?;
        accepted.unaccepted.store(true, Ordering::Relaxed);
        accepted.inherit(&listener);
        let local = {
            let mut state = self.state.lock();
            Self::settle_local(&mut state, &address);
            state.local.clone()
        };
        {
            let mut state = accepted.state.lock();
            state.local =
                Some(if self.is_unix() { listener.local().unwrap_or(address.clone()) } else { address.clone() });
            state.remote = Some(local.unwrap_or(Address::unspecified(self.family)));
            state.peer = Some(self.as_peer(Some(identity)));
        }
        // It is connected from here on for every other call on it, so that none connects it twice.
        let claimed = {
            let mut state = self.state.lock();
            if state.peer.is_none() {
                state.peer = Some(accepted.as_peer(listening));
                true
            } else {
                false
            }
        };
        let outcome = {
            let mut state = listener.state.lock();
            if !claimed {
                Poll::Ready(Err(Errno::EISCONN))
            } else if !listener.is_listening() || state.read_shut {
                Poll::Ready(Err(Errno::ECONNREFUSED))
            } else if state.waiting.len() >= state.backlog {
                Poll::Pending
            } else {
                state.waiting.push_back(accepted.clone());
                Poll::Ready(Ok(()))
            }
        };
        if outcome != Poll::Ready(Ok(())) {
            // It was never connected: nobody is to hear of its end.
            let unused =
                [accepted.state.lock().peer.take(), if claimed { self.state.lock().peer.take() } else { None }];
            drop(unused);
            return outcome;
        }
        self.state.lock().remote = Some(address);
        listener.connections.wake_all();
        outcome
    }

    /// accept(2): EINVAL when it does not listen.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<Result<Arc<Self>, Errno>> {
        if self.kind.is_datagram() {
            return Poll::Ready(Err(Errno::EOPNOTSUPP));
        }
        self.connections.register(cx);
        let next = {
            let mut state = self.state.lock();
            if !self.is_listening() || state.read_shut {
                return Poll::Ready(Err(Errno::EINVAL));
            }
            state.waiting.pop_front()
        };
        match next {
            Some(socket) => {
                socket.unaccepted.store(false, Ordering::Relaxed);
                self.connections.wake_all();
                Poll::Ready(Ok(socket))
            }
            None => Poll::Pending,
        }
    }

    /// shutdown(2).
    pub fn shut(&self, reading: bool, writing: bool) -> Result<(), Errno> {
        let peer = {
            let mut state = self.state.lock();
            if state.peer.is_none() && !self.is_listening() && state.remote.is_none() {
                return Err(Errno::ENOTCONN);
            }
            state.read_shut |= reading;
            state.write_shut |= writing;
            state.peer.clone()
        };
        if reading {
            self.inbox.stop();
            self.connections.wake_all();
        }
        if writing
            && !self.kind.is_datagram()
            && let Some(peer) = &peer
        {
            peer.inbox.end();
            // Who waits for room here is not to wait any longer.
            peer.inbox.room.wake_all();
        }
        Ok(())
    }
}
