//! Sockets: the calls, on [`net::Socket`](crate::net::Socket).

pub mod message;
pub mod option;

use crate::{
    cgroup::MemoryGroup,
    fs::{File, OpenFlags, io::Source},
    namespace::NetworkNamespace,
    net::{Address, Asker, Family, Kind, Outgoing, Socket, UnixName},
    sched,
    security::{Capabilities, Credentials},
    task::{self, Thread},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    any::Any,
    future::Future,
    pin::pin,
    task::{Context, Poll},
};
use linux_raw_sys::{general, net};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{UserAddr, clock};

use super::{
    place::{check_flags, here},
    transfer::interruptible,
};

/// The most bytes of an address.
const ADDRESS_MAX: usize = 128;
/// The bits of socket(2)'s type that are flags.
const TYPE_FLAGS: u32 = general::O_CLOEXEC | general::O_NONBLOCK;

/// Who calls, held while the call lasts.
struct Here {
    credentials: Arc<Credentials>,
    memory: Arc<MemoryGroup>,
    files_under_way: usize,
}

impl Here {
    fn of(thread: &Thread) -> Self {
        let credentials = thread.credentials();
        // (As Linux: RLIMIT_NOFILE, from which these two capabilities free.)
        let above =
            [Capabilities::SYS_RESOURCE, Capabilities::SYS_ADMIN].into_iter().any(|one| credentials.capable(one));
        let limit = usize::try_from(thread.confinement().limit(general::RLIMIT_NOFILE)).unwrap_or(usize::MAX);
        Self { credentials, memory: thread.memory(), files_under_way: if above { usize::MAX } else { limit } }
    }

    fn asker<'a>(&'a self, thread: &'a Thread) -> Asker<'a> {
        Asker {
            credentials: &self.credentials,
            memory: &self.memory,
            pid: thread.process().leader_pid(),
            files_under_way: self.files_under_way,
        }
    }
}

/// The socket behind an open file, if it is one.
pub(super) fn socket_of(file: &File) -> Option<Arc<Socket>> {
    let object: Arc<dyn Any + Send + Sync> = file.any_object()?.clone();
    object.downcast().ok()
}

/// An open socket: EBADF, ENOTSOCK.
fn open_socket(thread: &Thread, fd: i32) -> Result<(Arc<File>, Arc<Socket>), Errno> {
    let file = super::place::open_file(thread, fd)?;
    let socket = socket_of(&file).ok_or(Errno::ENOTSOCK)?;
    Ok((file, socket))
}

fn network(thread: &Thread) -> Arc<NetworkNamespace> {
    thread.namespaces().network
}

/// Waits for `poll`, at most `timeout_ns` (0: for ever), or not at all: EAGAIN. Where something is `begun`, a signal ends
/// the wait too.
async fn wait<T>(
    thread: &Thread,
    begun: bool,
    nonblocking: bool,
    timeout_ns: u64,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Errno>>,
) -> Result<T, Errno> {
    let deadline = (timeout_ns > 0).then(|| clock::now_ns().saturating_add(timeout_ns));
    let mut sleep = pin!(deadline.map(sched::sleep_until));
    interruptible(thread, begun, |cx| match poll(cx) {
        Poll::Pending if nonblocking => Poll::Ready(Err(Errno::EAGAIN)),
        Poll::Pending => match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| Err(Errno::EAGAIN)),
            None => Poll::Pending,
        },
        ready => ready,
    })
    .await
}

/// What socket(2) is asked for: the kind, and the flags of the descriptor.
fn asked(domain: u32, kind: u32, protocol: u32) -> Result<(Family, Kind, OpenFlags), Errno> {
    let family = Family::from_number(domain)?;
    let flags = OpenFlags::from_bits(kind & TYPE_FLAGS).ok_or(Errno::EINVAL)?;
    let kind = match kind & !TYPE_FLAGS {
        net::SOCK_RAW | net::SOCK_DGRAM if family == Family::Netlink => Kind::Netlink,
        _ if family == Family::Netlink => return Err(Errno::ESOCKTNOSUPPORT),
        net::SOCK_STREAM => Kind::Stream,
        net::SOCK_DGRAM => Kind::Datagram,
        net::SOCK_SEQPACKET => Kind::Packets,
        net::SOCK_RAW if family != Family::Unix => Kind::RawIcmp,
        net::SOCK_RAW | net::SOCK_RDM => return Err(Errno::ESOCKTNOSUPPORT),
        _ => return Err(Errno::EINVAL),
    };
    const TCP: u32 = net::IPPROTO_TCP as u32;
    const UDP: u32 = net::IPPROTO_UDP as u32;
    const ICMP: u32 = net::IPPROTO_ICMP as u32;
    const ICMP6: u32 = net::IPPROTO_ICMPV6;
    match (family, kind, protocol) {
        (Family::V4, Kind::RawIcmp, ICMP) | (Family::V6, Kind::RawIcmp, ICMP6) => Ok((family, kind, flags)),
        // NETLINK_ROUTE.
        (Family::Netlink, _, 0) => Ok((family, kind, flags)),
        (_, Kind::RawIcmp | Kind::Netlink, _) => Err(Errno::EPROTONOSUPPORT),
        (_, _, 0)
        | (Family::Unix, _, net::AF_UNIX)
        | (Family::V4 | Family::V6, Kind::Stream, TCP)
        | (Family::V4 | Family::V6, Kind::Datagram, UDP) => Ok((family, kind, flags)),
        (Family::V4, Kind::Datagram, ICMP) | (Family::V6, Kind::Datagram, ICMP6) => Ok((family, Kind::Echo, flags)),
        _ => Err(Errno::EPROTONOSUPPORT),
    }
}

fn open_file(thread: &Thread, socket: Arc<Socket>, flags: OpenFlags) -> Result<Arc<File>, Errno> {
    let who = thread.credentials();
    let flags = OpenFlags::RDWR | flags & OpenFlags::NONBLOCK;
    let file = File::of_socket(socket.clone(), flags, who.fsuid, who.fsgid)?;
    socket.set_inode(file.inode().number());
    Ok(file)
}

fn insert(thread: &Thread, file: Arc<File>, flags: OpenFlags) -> Result<usize, Errno> {
    thread.with_files(|files| files.insert(file, flags.contains(OpenFlags::CLOEXEC))).map(|fd| fd as usize)
}

pub fn socket(thread: &Thread, domain: u32, kind: u32, protocol: u32) -> Result<usize, Errno> {
    let (family, kind, flags) = asked(domain, kind, protocol)?;
    let here = Here::of(thread);
    let socket = Socket::new(&network(thread), family, kind, &here.asker(thread))?;
    insert(thread, open_file(thread, socket, flags)?, flags)
}

pub fn socketpair(thread: &Thread, domain: u32, kind: u32, protocol: u32, to: UserAddr) -> Result<usize, Errno> {
    let (family, kind, flags) = asked(domain, kind, protocol)?;
    if family != Family::Unix {
        return Err(Errno::EOPNOTSUPP);
    }
    let here = Here::of(thread);
    let (a, b) = Socket::pair(&network(thread), kind, &here.asker(thread))?;
    let (a, b) = (open_file(thread, a, flags)?, open_file(thread, b, flags)?);
    let withdraw = |fd: usize| drop(thread.with_files(|files| files.close(fd as i32)));
    let first = insert(thread, a, flags)?;
    let second = insert(thread, b, flags).inspect_err(|_| withdraw(first))?;
    let told = thread.space().write(to, &[first as i32, second as i32]);
    told.inspect_err(|_| [first, second].into_iter().for_each(withdraw))?;
    Ok(0)
}

/// The address of `length` bytes at `at`.
fn read_address(thread: &Thread, family: Family, at: UserAddr, length: u32) -> Result<Option<Address>, Errno> {
    let length = usize::try_from(length).ok().filter(|length| *length <= ADDRESS_MAX).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; ADDRESS_MAX];
    thread.space().read_bytes(at, &mut bytes[..length])?;
    Address::read(&bytes[..length], family)
}

/// Writes an address and its length, cut to the room that the length told.
fn write_address(
    thread: &Thread,
    family: Family,
    address: &Address,
    to: UserAddr,
    length_at: UserAddr,
) -> Result<(), Errno> {
    let space = thread.space();
    let room = usize::try_from(space.read::<i32>(length_at)?).map_err(|_| Errno::EINVAL)?;
    let bytes = address.to_bytes(family);
    space.write_bytes(to, &bytes[..bytes.len().min(room)])?;
    space.write(length_at, &(bytes.len() as u32))
}

/// Where an address leads for the caller: a path is walked as the caller sees it.
fn outgoing(thread: &Thread, address: Address) -> Result<Outgoing, Errno> {
    match address {
        Address::Unix(UnixName::Path(path)) => {
            let node = here(thread, |caller, base| caller.find_socket(base, &path))?;
            Ok(Outgoing::Node(node, Address::Unix(UnixName::Path(path))))
        }
        other => Ok(Outgoing::Address(other)),
    }
}

pub fn bind(thread: &Thread, fd: i32, at: UserAddr, length: u32) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let here_now = Here::of(thread);
    let asker = here_now.asker(thread);
    match read_address(thread, socket.family(), at, length)?.ok_or(Errno::EINVAL)? {
        Address::Unix(UnixName::Path(path)) => {
            if socket.local().is_some() {
                return Err(Errno::EINVAL);
            }
            let made = here(thread, |caller, base| caller.make_socket(base, &path));
            let node = made.map_err(|errno| if errno == Errno::EEXIST { Errno::EADDRINUSE } else { errno })?;
            socket.bind_node(&node, &path)?;
        }
        // Autobind (unix(7)): a name of five hexadecimal digits.
        Address::Unix(UnixName::Unnamed) => {
            let mut number = [0; 4];
            for _ in 0..64 {
                crate::device::random::fill(&mut number);
                let name = alloc::format!("{:05x}", u32::from_ne_bytes(number) & 0xf_ffff);
                match socket.bind(&asker, Address::Unix(UnixName::Abstract(name.as_bytes().into()))) {
                    Err(Errno::EADDRINUSE) => {}
                    result => return result.map(|()| 0),
                }
            }
            return Err(Errno::ENOSPC);
        }
        address => socket.bind(&asker, address)?,
    }
    Ok(0)
}

pub fn listen(thread: &Thread, fd: i32, backlog: i32) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let here = Here::of(thread);
    socket.listen(&here.asker(thread), backlog)?;
    Ok(0)
}

pub async fn connect(thread: &Thread, fd: i32, at: UserAddr, length: u32) -> Result<usize, Errno> {
    let (file, socket) = open_socket(thread, fd)?;
    let address = read_address(thread, socket.family(), at, length)?;
    if socket.kind().is_datagram() {
        let to = address.map(|address| outgoing(thread, address)).transpose()?;
        socket.set_peer(to)?;
        return Ok(0);
    }
    let to = outgoing(thread, address.ok_or(Errno::EINVAL)?)?;
    let here = Here::of(thread);
    let asker = here.asker(thread);
    let timeout = socket.options().send_timeout_ns;
    wait(thread, false, file.is_nonblocking(), timeout, |cx| socket.poll_connect(cx, &asker, &to)).await?;
    Ok(0)
}

pub async fn accept(thread: &Thread, fd: i32, to: UserAddr, length_at: UserAddr) -> Result<usize, Errno> {
    accept4(thread, fd, to, length_at, 0).await
}

pub async fn accept4(thread: &Thread, fd: i32, to: UserAddr, length_at: UserAddr, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, TYPE_FLAGS)?;
    let flags = OpenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (file, socket) = open_socket(thread, fd)?;
    let timeout = socket.options().receive_timeout_ns;
    let accepted = wait(thread, false, file.is_nonblocking(), timeout, |cx| socket.poll_accept(cx)).await?;
    let remote = accepted.remote().unwrap_or(Address::unspecified(socket.family()));
    if to != UserAddr(0) {
        write_address(thread, socket.family(), &remote, to, length_at)?;
    }
    insert(thread, open_file(thread, accepted, flags)?, flags)
}

pub fn getsockname(thread: &Thread, fd: i32, to: UserAddr, length_at: UserAddr) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let local = socket.local().unwrap_or(Address::unspecified(socket.family()));
    write_address(thread, socket.family(), &local, to, length_at)?;
    Ok(0)
}

pub fn getpeername(thread: &Thread, fd: i32, to: UserAddr, length_at: UserAddr) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let remote = socket.remote().ok_or(Errno::ENOTCONN)?;
    write_address(thread, socket.family(), &remote, to, length_at)?;
    Ok(0)
}

pub fn shutdown(thread: &Thread, fd: i32, how: u32) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let (reading, writing) = match how {
        net::SHUT_RD => (true, false),
        net::SHUT_WR => (false, true),
        net::SHUT_RDWR => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    socket.shut(reading, writing)?;
    Ok(0)
}

/// How a call sends.
#[derive(Clone, Copy)]
struct Manner {
    /// It has sent other messages before: a signal does not have it made again.
    begun: bool,
    nonblocking: bool,
    /// SIGPIPE tells that nobody reads any more.
    told: bool,
}

/// Sends all of `source`, of a stream in pieces.
async fn send_all(
    thread: &Arc<Thread>,
    socket: &Arc<Socket>,
    source: &mut dyn SendSource,
    to: &Outgoing,
    mut files: Vec<Arc<File>>,
    Manner { begun, nonblocking, told }: Manner,
) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let asker = here.asker(thread);
    let timeout = socket.options().send_timeout_ns;
    let whole = source.remaining();
    let mut done = 0;
    loop {
        let result = wait(thread, begun || done > 0, nonblocking, timeout, |cx| {
            socket.poll_send(cx, &asker, source.as_source(), to, &mut files)
        })
        .await;
        match result {
            Ok(count) => done += count,
            Err(errno) => {
                if errno == Errno::EPIPE && told && !socket.kind().is_datagram() {
                    task::send_to_itself(thread, Signal::SIGPIPE);
                }
                return if done > 0 { Ok(done) } else { Err(errno) };
            }
        }
        if done >= whole || socket.kind() != Kind::Stream {
            return Ok(done);
        }
    }
}

/// A source that a future may hold.
trait SendSource: Source + Send {
    fn as_source(&mut self) -> &mut dyn Source;
}

impl<S: Source + Send> SendSource for S {
    fn as_source(&mut self) -> &mut dyn Source {
        self
    }
}

/// write(2) to a socket.
pub(super) async fn write<S: Source + Send>(
    thread: &Arc<Thread>,
    file: &File,
    socket: &Arc<Socket>,
    source: &mut S,
) -> Result<usize, Errno> {
    let manner = Manner { begun: false, nonblocking: file.is_nonblocking(), told: true };
    send_all(thread, socket, source, &Outgoing::Peer, Vec::new(), manner).await
}
