//! A socket: bound, listening, connected, shut down; its options; and what it is as an open file.

use super::{
    Address, Family, Packet, Sender, UnixName,
    address::canonical,
    inbox::{CAPACITY, Inbox, Look, PACKET_BYTES, Taken},
    interface::Interface,
    passing::{Passage, Passed},
    ports::Wish,
};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge},
    fs::{
        File, FileObject, Readiness,
        io::{Sink, Source},
    },
    ipc::Remembered,
    namespace::{NetworkNamespace, Pid},
    sched::WaitQueue,
    security::{Capabilities, Credentials},
    task::Thread,
};
use alloc::{
    collections::VecDeque,
    sync::{Arc, Weak},
    vec,
    vec::Vec,
};
use core::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};
use linux_raw_sys::net;
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, sync::SpinLock};

/// What a socket takes of the kernel heap, at most, its queue aside.
const SOCKET_BYTES: usize = 1024;
/// The most connections that wait to be accepted (net.core.somaxconn).
const BACKLOG_MAX: usize = 4096;
/// Bytes that are taken from a program at once, of a stream.
const PIECE: usize = 16 * 1024;
/// The longest UDP packet over IPv4.
const UDP_MAX: usize = 65507;

/// How bytes go, with Linux's numbers (SOCK_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// In order, without borders.
    Stream = net::SOCK_STREAM as isize,
    /// Packets, each for itself.
    Datagram = net::SOCK_DGRAM as isize,
    /// Packets in order over a connection.
    Packets = net::SOCK_SEQPACKET as isize,
}

/// Who asks, and who pays.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// What is allowed.
    pub credentials: &'a Credentials,
    /// What is charged.
    pub memory: &'a MemoryGroup,
    /// Which process.
    pub pid: &'a Pid,
}

impl Asker<'_> {
    fn sender(&self) -> Sender {
        Sender { pid: Remembered::new(self.pid), uid: self.credentials.euid, gid: self.credentials.egid }
    }
}

/// What setsockopt(2) sets and the kernel acts on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// SO_REUSEADDR.
    pub reuse_address: bool,
    /// SO_PASSCRED: each read tells who sent.
    pub pass_credentials: bool,
    /// IPV6_V6ONLY.
    pub v6_only: bool,
    /// SO_RCVTIMEO in nanoseconds; 0 for none.
    pub receive_timeout_ns: u64,
    /// SO_SNDTIMEO.
    pub send_timeout_ns: u64,
    /// SO_KEEPALIVE, SO_BROADCAST, TCP_NODELAY: kept and told; the loopback has no idle time, broadcasts or delays.
    pub kept: [bool; 3],
    /// SO_LINGER: kept and told; what was sent has arrived already.
    pub linger: Option<u32>,
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    family: Family,
    kind: Kind,
    namespace: Arc<NetworkNamespace>,
    inbox: Arc<Inbox>,
    passage: Arc<Passage>,
    listens: Arc<AtomicBool>,
    /// It stands in a listener's queue: nobody has accepted it yet.
    unaccepted: AtomicBool,
    state: SpinLock<State>,
    /// Woken when a connection waits to be accepted, or has been accepted, or the socket is shut down.
    connections: WaitQueue,
    owner_uid: u32,
    _charge: ObjectCharge,
}

#[derive(Debug, Default)]
struct State {
    options: Options,
    local: Option<Address>,
    remote: Option<Address>,
    /// The port to be given back.
    port: Option<u16>,
    node: Option<Arc<SocketNode>>,
    peer: Option<Peer>,
    /// Who listens, and how many connections may wait.
    listener: Option<Sender>,
    backlog: usize,
    waiting: VecDeque<Arc<Socket>>,
    write_shut: bool,
    read_shut: bool,
}

/// Where a connected socket sends to.
#[derive(Clone, Debug)]
struct Peer {
    inbox: Arc<Inbox>,
    socket: Weak<Socket>,
    /// Who connected or listened (SO_PEERCRED).
    identity: Option<Sender>,
}

/// The node of a pathname socket: what is bound there.
#[derive(Debug, Default)]
pub struct SocketNode(SpinLock<Weak<Socket>>);

impl SocketNode {
    fn socket(&self) -> Option<Arc<Socket>> {
        self.0.lock().upgrade()
    }
}

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

/// What recvmsg(2) gives.
pub type Received = Taken;

impl Socket {
    /// socket(2). EPROTONOSUPPORT, ESOCKTNOSUPPORT for what there is not.
    pub fn new(
        namespace: &Arc<NetworkNamespace>,
        family: Family,
        kind: Kind,
        asker: &Asker<'_>,
    ) -> Result<Arc<Self>, Errno> {
        if family != Family::Unix && kind == Kind::Packets {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        Ok(Arc::new(Self {
            family,
            kind,
            namespace: namespace.clone(),
            inbox: Arc::default(),
            passage: Arc::default(),
            listens: Arc::default(),
            unaccepted: AtomicBool::new(false),
            state: SpinLock::default(),
            connections: WaitQueue::new(),
            owner_uid: asker.credentials.euid,
            _charge: namespace.pool.charge(SOCKET_BYTES, asker.memory)?,
        }))
    }

    /// socketpair(2).
    pub fn pair(
        namespace: &Arc<NetworkNamespace>,
        kind: Kind,
        asker: &Asker<'_>,
    ) -> Result<(Arc<Self>, Arc<Self>), Errno> {
        let (a, b) =
            (Self::new(namespace, Family::Unix, kind, asker)?, Self::new(namespace, Family::Unix, kind, asker)?);
        let identity = asker.sender();
        for (one, other) in [(&a, &b), (&b, &a)] {
            let mut state = one.state.lock();
            state.peer = Some(other.as_peer(Some(identity.clone())));
            state.remote = Some(Address::unspecified(Family::Unix));
        }
        Ok((a, b))
    }

    fn as_peer(self: &Arc<Self>, identity: Option<Sender>) -> Peer {
        Peer { inbox: self.inbox.clone(), socket: Arc::downgrade(self), identity }
    }

    /// What it speaks.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How its bytes go.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a Unix-domain socket.
    pub fn is_unix(&self) -> bool {
        self.family == Family::Unix
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Arc<NetworkNamespace> {
        &self.namespace
    }

    /// Its place among passed files.
    pub fn passage(&self) -> &Arc<Passage> {
        &self.passage
    }

    /// Whether connections can be made to it.
    pub fn is_listening(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// The same, to be looked at without the socket.
    pub fn listens(&self) -> &Arc<AtomicBool> {
        &self.listens
    }

    /// Its own address.
    pub fn local(&self) -> Option<Address> {
        self.state.lock().local.clone()
    }

    /// Its peer's address.
    pub fn remote(&self) -> Option<Address> {
        self.state.lock().remote.clone()
    }

    /// Who made it, for the texts.
    pub fn owner_uid(&self) -> u32 {
        self.owner_uid
    }

    /// Its options.
    pub fn options(&self) -> Options {
        self.state.lock().options
    }

    /// Changes its options.
    pub fn set_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state.lock().options);
    }

    /// SO_ERROR.
    pub fn take_error(&self) -> Option<Errno> {
        self.inbox.take_error()
    }

    /// SO_PEERCRED: who connected it, or listened when it was.
    pub fn peer_identity(&self) -> Option<Sender> {
        self.state.lock().peer.as_ref()?.identity.clone()
    }

    /// The state of `/proc/net/tcp`.
    pub fn state_number(&self) -> u8 {
        const ESTABLISHED: u8 = 1;
        const CLOSE: u8 = 7;
        const LISTEN: u8 = 10;
        match () {
            () if self.is_listening() => LISTEN,
            () if self.state.lock().peer.is_some() => ESTABLISHED,
            () => CLOSE,
        }
    }

    /// Bytes that wait to be read.
    pub fn readable_now(&self) -> usize {
        self.inbox.readable_bytes(self.kind == Kind::Stream)
    }

    // Names.

    /// bind(2) to an abstract name, or an address and port. EINVAL when it is bound, EADDRINUSE, EADDRNOTAVAIL; EACCES for
    /// a port below 1024 without CAP_NET_BIND_SERVICE.
    pub fn bind(self: &Arc<Self>, asker: &Asker<'_>, address: Address) -> Result<(), Errno> {
        if self.state.lock().local.is_some() {
            return Err(Errno::EINVAL);
        }
        match address {
            Address::Unix(UnixName::Abstract(name)) => {
                let mut names = self.namespace.names.lock();
                if names.get(&name).is_some_and(|other| other.strong_count() > 0) {
                    return Err(Errno::EADDRINUSE);
                }
                names.insert(name.clone(), Arc::downgrade(self));
                self.state.lock().local = Some(Address::Unix(UnixName::Abstract(name)));
                Ok(())
            }
            Address::Unix(_) => Err(Errno::EINVAL),
            Address::Ip(address) => {
                let may = !self.namespace.is_privileged(address.port())
                    || asker.credentials.capable_in(self.namespace.owner(), Capabilities::NET_BIND_SERVICE);
                if address.port() != 0 && !may {
                    return Err(Errno::EACCES);
                }
                self.bind_port(address)
            }
        }
    }

    /// bind(2) to a path whose node was just made.
    pub fn bind_node(self: &Arc<Self>, node: &Arc<SocketNode>, path: &[u8]) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.local.is_some() {
            return Err(Errno::EINVAL);
        }
        *node.0.lock() = Arc::downgrade(self);
        state.local = Some(Address::Unix(UnixName::Path(path.into())));
        state.node = Some(node.clone());
        Ok(())
    }

    fn bind_port(self: &Arc<Self>, address: SocketAddr) -> Result<(), Errno> {
        let options = self.options();
        let plain = canonical(address);
        let ip = plain.ip();
        if !(ip.is_unspecified() || ip.is_loopback() && self.namespace.loopback.is_up()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let both_versions = self.family == Family::V6 && !options.v6_only;
        if ip.is_ipv4() && self.family == Family::V6 && options.v6_only {
            return Err(Errno::EINVAL);
        }
        let wish = Wish { address: ip, both_versions, shared: options.reuse_address };
        let port = self.namespace.ports.lock().bind(self.kind, plain.port(), wish, self)?;
        let mut state = self.state.lock();
        state.port = Some(port);
        state.local = Some(Address::Ip(SocketAddr::new(address.ip(), port)));
        Ok(())
    }

    /// Whatever it is bound to: a name of its own if it was bound to none. Unix-domain sockets need none.
    fn ensure_bound(self: &Arc<Self>) -> Result<(), Errno> {
        if self.is_unix() || self.state.lock().local.is_some() {
            return Ok(());
        }
        let Address::Ip(any) = Address::unspecified(self.family) else { return Ok(()) };
        self.bind_port(any)
    }

    // Connections.

    /// listen(2).
    pub fn listen(self: &Arc<Self>, asker: &Asker<'_>, backlog: i32) -> Result<(), Errno> {
        if self.kind == Kind::Datagram {
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
        state.backlog = usize::try_from(backlog).map_or(BACKLOG_MAX, |backlog| backlog.min(BACKLOG_MAX)) + 1;
        self.listens.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The socket that `to` leads to; ECONNREFUSED when none is there, ENETUNREACH beyond the loopback.
    fn find(&self, to: &Outgoing) -> Result<(Arc<Self>, Address), Errno> {
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
            Outgoing::Address(Address::Ip(address)) => {
                let plain = canonical(*address);
                if !self.namespace.loopback.reaches(plain.ip()) {
                    return Err(Errno::ENETUNREACH);
                }
                let plain = SocketAddr::new(Interface::destination(plain.ip()), plain.port());
                let all = self.namespace.ports.lock().receivers(self.kind, plain);
                let from = self.state.lock().local.clone();
                let found = all.into_iter().find(|other| other.receives_from(from.as_ref()));
                Ok((found.ok_or(Errno::ECONNREFUSED)?, Address::Ip(plain)))
            }
        }
    }

    /// Whether what comes from an address is for it: one that is connected takes its peer's packets alone.
    fn receives_from(&self, from: Option<&Address>) -> bool {
        if self.kind != Kind::Datagram {
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
            // Nobody has to be there of UDP.
            (Outgoing::Address(Address::Ip(address)), Err(Errno::ECONNREFUSED)) => {
                (None, Address::Ip(SocketAddr::new(Interface::destination(address.ip()), address.port())))
            }
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
        let identity = asker.sender();
        let accepted = Self::new(&listener.namespace, listener.family, self.kind, asker)?;
        accepted.unaccepted.store(true, Ordering::Relaxed);
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
        let outcome = {
            let mut state = listener.state.lock();
            if !listener.is_listening() || state.read_shut {
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
            let unused = accepted.state.lock().peer.take();
            drop(unused);
            return outcome;
        }
        {
            let listening = listener.state.lock().listener.clone();
            let mut state = self.state.lock();
            state.peer = Some(accepted.as_peer(listening));
            state.remote = Some(address);
        }
        listener.connections.wake_all();
        outcome
    }

    /// accept(2): EINVAL when it does not listen.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<Result<Arc<Self>, Errno>> {
        if self.kind == Kind::Datagram {
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
            && self.kind != Kind::Datagram
            && let Some(peer) = &peer
        {
            peer.inbox.end();
            // Who waits for room here is not to wait any longer.
            peer.inbox.room.wake_all();
        }
        Ok(())
    }

    // Bytes.

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
        if self.kind == Kind::Datagram && !matches!(to, Outgoing::Peer)
            || self.kind == Kind::Datagram && !self.is_unix()
        {
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
        let Some(peer) = peer else { return Poll::Ready(Err(Errno::ENOTCONN)) };
        let whole = source.remaining();
        peer.inbox.room.register(cx);
        let length = if self.kind == Kind::Stream {
            if whole == 0 {
                return Poll::Ready(Ok(0));
            }
            match peer.inbox.room()? {
                0 => return Poll::Pending,
                room => whole.min(room).min(PIECE),
            }
        } else {
            if whole + PACKET_BYTES > CAPACITY {
                return Poll::Ready(Err(Errno::EMSGSIZE));
            }
            if !self.refused_as_datagram(peer.inbox.room_for(whole))? {
                return Poll::Pending;
            }
            whole
        };
        Poll::Ready(self.deliver(asker, source, length, &peer, None, files))
    }

    /// A closed receiver of datagrams is one that refuses.
    fn refused_as_datagram(&self, room: Result<bool, Errno>) -> Result<bool, Errno> {
        if self.kind == Kind::Datagram { room.map_err(|_| Errno::ECONNREFUSED) } else { room }
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
        let max = if self.is_unix() { CAPACITY - PACKET_BYTES } else { UDP_MAX };
        if length > max {
            return Poll::Ready(Err(Errno::EMSGSIZE));
        }
        self.ensure_bound()?;
        let own = matches!(to, Outgoing::Peer);
        let to = match (to, remote) {
            (Outgoing::Peer, Some(remote)) => Outgoing::Address(remote),
            (Outgoing::Peer, None) => return Poll::Ready(Err(Errno::EDESTADDRREQ)),
            (to, _) => to.clone(),
        };
        match self.find(&to) {
            Ok((found, address)) => {
                let peer = found.as_peer(None);
                peer.inbox.room.register(cx);
                match peer.inbox.room_for(length) {
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
        let charge = self.namespace.pool.charge(PACKET_BYTES + length, asker.memory)?;
        let passed = match core::mem::take(files) {
            none if none.is_empty() => None,
            files => {
                let receiver = peer.socket.upgrade().ok_or(Errno::EPIPE)?;
                let waits = receiver.unaccepted.load(Ordering::Relaxed);
                Some(Passed::new(files, asker.credentials.uid, &receiver.passage, waits)?)
            }
        };
        let mut bytes = vec![0; length].into_boxed_slice();
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
        if self.kind != Kind::Datagram && self.state.lock().peer.is_none() {
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
        ready.set(Readiness::ERR, error);
        match peer {
            Some(peer) => {
                peer.inbox.room.register(cx);
                let room = peer.inbox.room();
                ready.set(Readiness::WRITABLE, room.map_or(true, |room| room >= CAPACITY / 4) || write_shut);
                ready.set(
                    Readiness::HUP,
                    self.kind != Kind::Datagram && (ended && write_shut || ended && room.is_err()),
                );
            }
            None if self.kind == Kind::Datagram => ready |= Readiness::WRITABLE,
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

impl Drop for Socket {
    /// The last descriptor is closed. Who is connected hears of it, and who waits to be accepted is refused.
    fn drop(&mut self) {
        let unread = self.inbox.close();
        let this: *const Self = self;
        let state = self.state.get_mut();
        let waiting = core::mem::take(&mut state.waiting);
        if let Some(peer) = state.peer.take()
            && self.kind != Kind::Datagram
        {
            if unread && self.kind == Kind::Stream {
                peer.inbox.set_error(Errno::ECONNRESET);
            }
            peer.inbox.end();
        }
        if let Some(port) = state.port {
            self.namespace.ports.lock().release(self.kind, port, this);
        }
        if let Some(Address::Unix(UnixName::Abstract(name))) = &state.local {
            let mut names = self.namespace.names.lock();
            if names.get(name).is_some_and(|other| core::ptr::eq(other.as_ptr(), this)) {
                names.remove(name);
            }
        }
        drop(waiting);
        self.connections.wake_all();
    }
}
