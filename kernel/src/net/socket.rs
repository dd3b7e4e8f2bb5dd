//! A socket: what it is made of, its options, what is told of it, its end.

use super::{
    Address, Family, Sender, SocketNode, UnixName,
    inbox::{CAPACITY, Inbox},
    passing::Passage,
};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge},
    ipc::Remembered,
    namespace::{NetworkNamespace, Pid},
    sched::WaitQueue,
    security::{Capabilities, Credentials},
};
use alloc::{
    collections::VecDeque,
    sync::{Arc, Weak},
};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use linux_raw_sys::net;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// What a socket takes of the kernel heap, at most, its queue aside.
const SOCKET_BYTES: usize = 1024;

/// Of the room that a connection of TCP has, what the receiver's is.
const TCP_RECEIVE: usize = 131_072;

/// How bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// In order, without borders.
    Stream,
    /// Packets, each for itself.
    Datagram,
    /// Packets in order over a connection.
    Packets,
    /// Echo requests and the answers to them.
    Echo,
    /// Messages of ICMP of one's own making, and all that come.
    RawIcmp,
    /// Requests to the kernel (netlink(7)).
    Netlink,
}

impl Kind {
    /// Linux's number (SOCK_*).
    pub fn number(self) -> u32 {
        match self {
            Self::Stream => net::SOCK_STREAM,
            Self::Datagram | Self::Echo => net::SOCK_DGRAM,
            Self::Packets => net::SOCK_SEQPACKET,
            Self::RawIcmp | Self::Netlink => net::SOCK_RAW,
        }
    }

    /// Whether each packet goes for itself.
    pub fn is_datagram(self) -> bool {
        matches!(self.number(), net::SOCK_DGRAM | net::SOCK_RAW)
    }
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
    /// The most files that its user may have under way (RLIMIT_NOFILE).
    pub files_under_way: usize,
}

impl Asker<'_> {
    pub(super) fn sender(&self) -> Sender {
        Sender { pid: Remembered::new(self.pid), uid: self.credentials.euid, gid: self.credentials.egid }
    }
}

/// How many options may be kept without effect.
pub const KEPT_MAX: usize = 16;

/// What setsockopt(2) sets and the kernel acts on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// SO_REUSEADDR.
    pub reuse_address: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// SO_SNDBUF, if it is set.
    pub send_buffer: Option<usize>,
    /// SO_PASSCRED: each read tells who sent.
    pub pass_credentials: bool,
    /// IPV6_V6ONLY.
    pub v6_only: bool,
    /// SO_RCVTIMEO in nanoseconds; 0 for none.
    pub receive_timeout_ns: u64,
    /// SO_SNDTIMEO.
    pub send_timeout_ns: u64,
    /// SO_LINGER: kept and told; what was sent has arrived already.
    pub linger: Option<u32>,
    /// Numbers that are kept and told, and have nothing to act upon: the loopback loses, delays and routes nothing.
    pub kept: [Option<i32>; KEPT_MAX],
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    pub(super) family: Family,
    pub(super) kind: Kind,
    pub(super) namespace: Arc<NetworkNamespace>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) passage: Arc<Passage>,
    pub(super) listens: Arc<AtomicBool>,
    /// It stands in a listener's queue: nobody has accepted it yet.
    pub(super) unaccepted: AtomicBool,
    pub(super) state: SpinLock<State>,
    /// Woken when a connection waits to be accepted, or has been accepted, or the socket is shut down.
    pub(super) connections: WaitQueue,
    owner_uid: u32,
    /// The number of its node, once it is open.
    inode: AtomicU64,
    _charge: ObjectCharge,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) local: Option<Address>,
    pub(super) remote: Option<Address>,
    /// The port to be given back.
    pub(super) port: Option<u16>,
    pub(super) node: Option<Arc<SocketNode>>,
    pub(super) peer: Option<Peer>,
    /// Who listens, and how many connections may wait.
    pub(super) listener: Option<Sender>,
    pub(super) backlog: usize,
    pub(super) waiting: VecDeque<Arc<Socket>>,
    pub(super) write_shut: bool,
    pub(super) read_shut: bool,
}

/// Where a connected socket sends to.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) inbox: Arc<Inbox>,
    pub(super) socket: Weak<Socket>,
    /// Who connected or listened (SO_PEERCRED).
    pub(super) identity: Option<Sender>,
}

impl Socket {
    /// socket(2). ESOCKTNOSUPPORT for what there is not, EACCES for echo requests of who may send none, EPERM for a raw
    /// socket without CAP_NET_RAW.
    pub fn new(
        namespace: &Arc<NetworkNamespace>,
        family: Family,
        kind: Kind,
        asker: &Asker<'_>,
    ) -> Result<Arc<Self>, Errno> {
        if family != Family::Unix && kind == Kind::Packets {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        if kind == Kind::Echo && !namespace.may_ping(asker.credentials) {
            return Err(Errno::EACCES);
        }
        if kind == Kind::RawIcmp && !asker.credentials.capable_in(namespace.owner(), Capabilities::NET_RAW) {
            return Err(Errno::EPERM);
        }
        let charge = namespace.pool.charge(SOCKET_BYTES, asker.memory)?;
        let receive_buffer = if family.is_ip() && kind == Kind::Stream { TCP_RECEIVE } else { CAPACITY };
        let local = (kind == Kind::RawIcmp).then(|| Address::of_protocol(family));
        let socket = Arc::new(Self {
            family,
            kind,
            namespace: namespace.clone(),
            inbox: Arc::new(Inbox::new(receive_buffer)),
            passage: Arc::default(),
            listens: Arc::default(),
            unaccepted: AtomicBool::new(false),
            state: SpinLock::new(State { local, ..State::default() }),
            connections: WaitQueue::new(),
            owner_uid: asker.credentials.euid,
            inode: AtomicU64::new(0),
            _charge: charge,
        });
        namespace.sockets.lock().insert(Arc::as_ptr(&socket).addr(), Arc::downgrade(&socket));
        Ok(socket)
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

    pub(super) fn as_peer(self: &Arc<Self>, identity: Option<Sender>) -> Peer {
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

    /// The number of its node, which `/proc/<pid>/fd` shows too; 0 before it is open.
    pub fn inode(&self) -> u64 {
        self.inode.load(Ordering::Relaxed)
    }

    /// It is open behind the node of this number.
    pub fn set_inode(&self, number: u64) {
        self.inode.store(number, Ordering::Relaxed);
    }

    /// Its options.
    pub fn options(&self) -> Options {
        self.state.lock().options
    }

    /// Changes its options.
    pub fn set_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state.lock().options);
    }

    /// SO_SNDBUF: bytes that it may have sent and are not read.
    pub fn send_buffer(&self) -> usize {
        let usual = if self.family.is_ip() && self.kind == Kind::Stream { CAPACITY - TCP_RECEIVE } else { CAPACITY };
        self.options().send_buffer.unwrap_or(usual)
    }

    /// SO_RCVBUF: bytes that may have come and are not read.
    pub fn receive_buffer(&self) -> usize {
        self.inbox.buffer()
    }

    /// Sets that.
    pub fn set_receive_buffer(&self, bytes: usize) {
        self.inbox.set_buffer(bytes);
    }

    /// What a connection has of its listener: TCP's options and buffers.
    pub(super) fn inherit(&self, listener: &Self) {
        if self.family.is_ip() {
            self.inbox.set_buffer(listener.inbox.buffer());
            let options = listener.options();
            self.set_options(|own| *own = options);
        }
    }

    /// SO_ERROR.
    pub fn take_error(&self) -> Option<Errno> {
        self.inbox.take_error()
    }

    /// SO_PEERCRED: who connected it, or listened when it was.
    pub fn peer_identity(&self) -> Option<Sender> {
        self.state.lock().peer.as_ref()?.identity.clone()
    }

    /// Whether it is connected to somebody, or was.
    pub fn is_connected(&self) -> bool {
        let state = self.state.lock();
        state.peer.is_some() || state.remote.is_some()
    }

    /// Connections that wait to be accepted.
    pub fn waiting_connections(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Bytes that wait to be read.
    pub fn readable_now(&self) -> usize {
        self.inbox.readable_bytes(self.kind == Kind::Stream)
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
            && !self.kind.is_datagram()
        {
            // Who lingers for no time takes back what was sent (socket(7)).
            let resets = self.family != Family::Unix && state.options.linger == Some(0);
            if (unread || resets) && self.kind == Kind::Stream {
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
        self.namespace.sockets.lock().remove(&this.addr());
        drop(waiting);
        self.connections.wake_all();
    }
}
