//! sendto(2), sendmsg(2), recvfrom(2), recvmsg(2), and what comes along in control messages (cmsg(3)).

use super::{ADDRESS_MAX, Manner, open_socket, outgoing, read_address, send_all, wait, write_address};
use crate::{
    fs::{File, io::Sink},
    mm::{UserBuffer, filled},
    net::{Address, Family, Kind, Outgoing, Received, Sender, Socket},
    security::Capabilities,
    syscall::{poll::timeout_ns, vectored::vectored},
    task::Thread,
};
use alloc::{sync::Arc, vec::Vec};
use bitflags::bitflags;
use linux_raw_sys::net;
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, clock};
use zerocopy::{FromBytes, Immutable, IntoBytes};

bitflags! {
    /// Flags of the calls; those that are not here are refused.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct MessageFlags: u32 {
        /// Look without taking.
        const PEEK = net::MSG_PEEK;
        /// Tell a packet's true length.
        const TRUNC = net::MSG_TRUNC;
        /// Do not wait.
        const DONTWAIT = net::MSG_DONTWAIT;
        /// Wait for all.
        const WAITALL = net::MSG_WAITALL;
        /// No SIGPIPE.
        const NOSIGNAL = net::MSG_NOSIGNAL;
        /// Close passed files on exec.
        const CMSG_CLOEXEC = net::MSG_CMSG_CLOEXEC;
        /// The end of a record: each packet is one.
        const EOR = net::MSG_EOR;
        /// More will follow: nothing is held back here.
        const MORE = net::MSG_MORE;
        /// The route and the neighbour: there is one.
        const DONTROUTE = net::MSG_DONTROUTE;
        /// As `DONTROUTE`.
        const CONFIRM = net::MSG_CONFIRM;
    }
}

/// EOPNOTSUPP for urgent data and error queues.
fn message_flags(bits: u32) -> Result<MessageFlags, Errno> {
    MessageFlags::from_bits(bits).ok_or(Errno::EOPNOTSUPP)
}

/// `struct msghdr` of 64-bit Linux.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: u32,
    _pad: u32,
    vector: usize,
    vector_length: usize,
    control: usize,
    control_length: usize,
    flags: u32,
    _pad_end: u32,
}

/// `struct cmsghdr`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct ControlHeader {
    length: usize,
    level: u32,
    kind: u32,
}

const CONTROL_HEADER: usize = size_of::<ControlHeader>();
/// The most bytes of control messages that are read.
const CONTROL_MAX: usize = 8192;

pub async fn sendto(
    thread: &Arc<Thread>,
    fd: i32,
    from: UserAddr,
    length: usize,
    flags: u32,
    address: UserAddr,
    address_length: u32,
) -> Result<usize, Errno> {
    let source = UserBuffer::new(thread.space(), from, length);
    let address = (address != UserAddr(0)).then_some((address, address_length));
    send(thread, fd, source, flags, address, &[], false).await
}

pub async fn sendmsg(thread: &Arc<Thread>, fd: i32, header: UserAddr, flags: u32) -> Result<usize, Errno> {
    send_message(thread, fd, header, flags, false).await
}

/// Sends a message, the first of a call or one after others have `begun` it.
async fn send_message(
    thread: &Arc<Thread>,
    fd: i32,
    header: UserAddr,
    flags: u32,
    begun: bool,
) -> Result<usize, Errno> {
    let space = thread.space();
    let header: MessageHeader = space.read(header)?;
    let count = i32::try_from(header.vector_length).map_err(|_| Errno::EMSGSIZE)?;
    let source = vectored(thread, UserAddr(header.vector), count)?;
    if header.control_length > CONTROL_MAX {
        return Err(Errno::ENOBUFS);
    }
    let mut control = filled(0, header.control_length)?;
    space.read_bytes(UserAddr(header.control), &mut control)?;
    let address = (header.name != 0).then_some((UserAddr(header.name), header.name_length));
    send(thread, fd, source, flags, address, &control, begun).await
}

/// `struct mmsghdr`.
const MANY_HEADER: usize = size_of::<MessageHeader>() + 8;
/// The most messages of one call (UIO_MAXIOV).
const MANY_MAX: u32 = 1024;
/// MSG_WAITFORONE: after the first message, only those that are there.
const WAIT_FOR_ONE: u32 = 0x1_0000;

/// Where message `index` of `at` is, and where its length is told.
fn one_of_many(at: UserAddr, index: u32) -> Result<(UserAddr, UserAddr), Errno> {
    let header = at.checked_add(index as usize * MANY_HEADER).ok_or(Errno::EFAULT)?;
    Ok((header, header.checked_add(size_of::<MessageHeader>()).ok_or(Errno::EFAULT)?))
}

/// sendmmsg(2): messages until one fails; an error is told only of the first.
pub async fn sendmmsg(thread: &Arc<Thread>, fd: i32, at: UserAddr, count: u32, flags: u32) -> Result<usize, Errno> {
    let mut done = 0;
    while done < count.min(MANY_MAX) {
        let (header, length_to) = one_of_many(at, done)?;
        match send_message(thread, fd, header, flags, done > 0).await {
            Ok(length) => thread.space().write(length_to, &(length as u32))?,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        done += 1;
    }
    Ok(done as usize)
}

/// recvmmsg(2): as [`sendmmsg`]. The time is looked at after each message, as on Linux.
pub async fn recvmmsg(
    thread: &Thread,
    fd: i32,
    at: UserAddr,
    count: u32,
    mut flags: u32,
    timeout: UserAddr,
) -> Result<usize, Errno> {
    let limit = timeout_ns(thread, timeout)?;
    let deadline = limit.map(|limit| clock::now_ns().saturating_add(limit));
    let mut done = 0;
    while done < count.min(MANY_MAX) {
        let (header, length_to) = one_of_many(at, done)?;
        match receive_message(thread, fd, header, flags & !WAIT_FOR_ONE, done > 0).await {
            Ok(length) => thread.space().write(length_to, &(length as u32))?,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        done += 1;
        if flags & WAIT_FOR_ONE != 0 {
            flags |= net::MSG_DONTWAIT;
        }
        if deadline.is_some_and(|deadline| clock::now_ns() >= deadline) {
            break;
        }
    }
    Ok(done as usize)
}

async fn send(
    thread: &Arc<Thread>,
    fd: i32,
    mut source: UserBuffer,
    flags: u32,
    address: Option<(UserAddr, u32)>,
    control: &[u8],
    begun: bool,
) -> Result<usize, Errno> {
    let flags = message_flags(flags)?;
    let (file, socket) = open_socket(thread, fd)?;
    let to = match address {
        None => Outgoing::Peer,
        // A connected stream leads where it leads.
        Some(_) if socket.kind() == Kind::Stream && !socket.is_unix() => Outgoing::Peer,
        Some(_) if !socket.kind().is_datagram() && socket.remote().is_some() => return Err(Errno::EISCONN),
        Some(_) if !socket.kind().is_datagram() => return Err(Errno::EOPNOTSUPP),
        Some((at, length)) => {
            let address = read_address(thread, socket.family(), at, length)?;
            match address {
                Some(address) => outgoing(thread, address)?,
                None => Outgoing::Peer,
            }
        }
    };
    let files = passed_files(thread, &socket, control)?;
    let nonblocking = file.is_nonblocking() || flags.contains(MessageFlags::DONTWAIT);
    let told = !flags.contains(MessageFlags::NOSIGNAL);
    let manner = Manner { begun, nonblocking, told };
    send_all(thread, &socket, &mut source, &to, files, manner).await
}

/// The files that control messages pass. Credentials are checked and told as they are: EPERM for somebody else's, which
/// nobody may claim.
fn passed_files(thread: &Thread, socket: &Socket, mut control: &[u8]) -> Result<Vec<Arc<File>>, Errno> {
    let mut files = Vec::new();
    while let Ok((header, rest)) = ControlHeader::read_from_prefix(control) {
        let data = header.length.checked_sub(CONTROL_HEADER).ok_or(Errno::EINVAL)?;
        let body = rest.get(..data).ok_or(Errno::EINVAL)?;
        match (header.level, header.kind) {
            (net::SOL_SOCKET, net::SCM_RIGHTS) if socket.is_unix() => {
                for fd in body.as_chunks::<4>().0 {
                    files.push(thread.with_files(|files| files.get(i32::from_ne_bytes(*fd)))?);
                }
            }
            (net::SOL_SOCKET, net::SCM_CREDENTIALS) if socket.is_unix() => check_credentials(thread, body)?,
            _ => return Err(Errno::EINVAL),
        }
        control = rest.get(data.next_multiple_of(size_of::<usize>())..).unwrap_or(&[]);
    }
    if files.len() > crate::net::FILES_MAX { Err(Errno::EINVAL) } else { Ok(files) }
}

/// `struct ucred`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Ucred {
    pid: u32,
    uid: u32,
    gid: u32,
}

impl Ucred {
    /// As `viewer` sees a sender.
    pub fn new(sender: &Sender, viewer: &Thread) -> Self {
        let users = &viewer.credentials().user_namespace;
        Self {
            pid: sender.pid.number_for(viewer),
            uid: users.shown_user(sender.uid),
            gid: users.shown_group(sender.gid),
        }
    }
}

fn check_credentials(thread: &Thread, body: &[u8]) -> Result<(), Errno> {
    let claimed = Ucred::read_from_bytes(body).map_err(|_| Errno::EINVAL)?;
    let who = thread.credentials();
    let users = &who.user_namespace;
    let (uid, gid) = (users.user(claimed.uid)?, users.group(claimed.gid)?);
    let own_uid = [who.uid, who.euid, who.suid].contains(&uid) || who.capable_at_home(Capabilities::SETUID);
    let own_gid = [who.gid, who.egid, who.sgid].contains(&gid) || who.capable_at_home(Capabilities::SETGID);
    if claimed.pid == thread.process().leader_pid().number() && own_uid && own_gid { Ok(()) } else { Err(Errno::EPERM) }
}

/// Receives: of a stream all that is asked, if it is to.
async fn receive<S: Sink + Send>(
    thread: &Thread,
    file: &File,
    socket: &Arc<Socket>,
    sink: &mut S,
    flags: MessageFlags,
    begun: bool,
) -> Result<Received, Errno> {
    let nonblocking = file.is_nonblocking() || flags.contains(MessageFlags::DONTWAIT);
    let timeout = socket.options().receive_timeout_ns;
    let peek = flags.contains(MessageFlags::PEEK);
    let all = flags.contains(MessageFlags::WAITALL) && socket.kind() == Kind::Stream && !peek;
    let mut received = wait(thread, begun, nonblocking, timeout, |cx| socket.poll_receive(cx, sink, peek)).await?;
    while all && sink.remaining() > 0 && received.bytes > 0 && received.passed.is_none() {
        match wait(thread, true, nonblocking, timeout, |cx| socket.poll_receive(cx, sink, false)).await {
            Ok(more) if more.bytes > 0 => {
                received.bytes += more.bytes;
                received.passed = more.passed;
            }
            _ => break,
        }
    }
    Ok(received)
}

/// read(2) of a socket, and readv(2).
pub async fn read<S: Sink + Send>(
    thread: &Thread,
    file: &File,
    socket: &Arc<Socket>,
    waits: bool,
    sink: &mut S,
) -> Result<usize, Errno> {
    if sink.remaining() == 0 {
        return Ok(0);
    }
    let nonblocking = file.is_nonblocking() || !waits;
    let timeout = socket.options().receive_timeout_ns;
    // What comes along with the bytes is dropped here already: it need not be carried through the wait.
    wait(thread, false, nonblocking, timeout, |cx| {
        socket.poll_receive(cx, sink, false).map_ok(|received| received.bytes)
    })
    .await
}

/// The count that the call gives, and whether a packet was cut.
fn told(socket: &Socket, received: &Received, flags: MessageFlags) -> (usize, bool) {
    let cut = socket.kind() != Kind::Stream && received.whole > received.bytes;
    (if cut && flags.contains(MessageFlags::TRUNC) { received.whole } else { received.bytes }, cut)
}

/// Where what was received came from, as it is told: connected sockets other than of datagrams tell nothing.
fn origin(socket: &Socket, received: &Received) -> Option<Address> {
    if !socket.kind().is_datagram() {
        return None;
    }
    received.sender.as_ref()?;
    let unnamed = socket.family() == Family::Unix;
    received.from.clone().or_else(|| unnamed.then(|| Address::unspecified(Family::Unix)))
}

pub async fn recvfrom(
    thread: &Thread,
    fd: i32,
    to: UserAddr,
    length: usize,
    flags: u32,
    address: UserAddr,
    address_length: UserAddr,
) -> Result<usize, Errno> {
    let flags = message_flags(flags)?;
    let (file, socket) = open_socket(thread, fd)?;
    let mut sink = UserBuffer::new(thread.space(), to, length);
    let received = receive(thread, &file, &socket, &mut sink, flags, false).await?;
    if address != UserAddr(0) {
        match origin(&socket, &received) {
            Some(origin) => write_address(thread, socket.family(), &origin, address, address_length)?,
            None => thread.space().write(address_length, &0u32)?,
        }
    }
    Ok(told(&socket, &received, flags).0)
}

pub async fn recvmsg(thread: &Thread, fd: i32, header_at: UserAddr, flags: u32) -> Result<usize, Errno> {
    receive_message(thread, fd, header_at, flags, false).await
}

/// Receives a message, the first of a call or one after others have `begun` it.
async fn receive_message(
    thread: &Thread,
    fd: i32,
    header_at: UserAddr,
    flags: u32,
    begun: bool,
) -> Result<usize, Errno> {
    let flags = message_flags(flags)?;
    let (file, socket) = open_socket(thread, fd)?;
    let space = thread.space();
    let mut header: MessageHeader = space.read(header_at)?;
    let count = i32::try_from(header.vector_length).map_err(|_| Errno::EMSGSIZE)?;
    let mut sink = vectored(thread, UserAddr(header.vector), count)?;
    let mut received = receive(thread, &file, &socket, &mut sink, flags, begun).await?;
    let (bytes, cut) = told(&socket, &received, flags);
    let mut out = if cut { net::MSG_TRUNC } else { 0 };
    if header.name != 0 {
        let address = origin(&socket, &received).map(|origin| origin.to_bytes(socket.family())).unwrap_or_default();
        let room = (header.name_length as usize).min(ADDRESS_MAX);
        space.write_bytes(UserAddr(header.name), &address[..address.len().min(room)])?;
        header.name_length = address.len() as u32;
    }
    let mut control = Control { bytes: Vec::new(), room: header.control_length.min(CONTROL_MAX), cut: false };
    if socket.options().pass_credentials
        && let Some(sender) = &received.sender
    {
        control.push(net::SCM_CREDENTIALS, Ucred::new(sender, thread).as_bytes());
    }
    if let Some(passed) = received.passed.take() {
        let fds = control.room_for_files();
        let files = passed.arrive();
        let close_on_exec = flags.contains(MessageFlags::CMSG_CLOEXEC);
        let mut numbers: Vec<u8> = Vec::new();
        for file in files.iter().take(fds) {
            match thread.with_files(|files| files.insert(file.clone(), close_on_exec)) {
                Ok(fd) => numbers.extend_from_slice(&fd.to_ne_bytes()),
                Err(_) => break,
            }
        }
        control.cut |= numbers.len() / size_of::<i32>() < files.len();
        if !numbers.is_empty() {
            control.push(net::SCM_RIGHTS, &numbers);
        }
        // What there was no room for is closed (unix(7)).
        drop(files);
    }
    if control.cut {
        out |= net::MSG_CTRUNC;
    }
    // As Linux: what was asked for of what comes along is told too.
    out |= (flags & MessageFlags::CMSG_CLOEXEC).bits();
    space.write_bytes(UserAddr(header.control), &control.bytes)?;
    header.control_length = control.bytes.len();
    header.flags = out;
    space.write(header_at, &header)?;
    Ok(bytes)
}

/// Control messages that are told.
struct Control {
    bytes: Vec<u8>,
    room: usize,
    cut: bool,
}

impl Control {
    /// How many descriptors fit.
    fn room_for_files(&self) -> usize {
        self.room.saturating_sub(self.bytes.len() + CONTROL_HEADER) / size_of::<i32>()
    }

    fn push(&mut self, kind: u32, body: &[u8]) {
        let length = CONTROL_HEADER + body.len();
        if self.bytes.len() + length > self.room {
            self.cut = true;
            return;
        }
        self.bytes.extend_from_slice(ControlHeader { length, level: net::SOL_SOCKET, kind }.as_bytes());
        self.bytes.extend_from_slice(body);
        let aligned = self.bytes.len().next_multiple_of(size_of::<usize>()).min(self.room);
        self.bytes.resize(aligned, 0);
    }
}
