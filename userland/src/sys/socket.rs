//! Sockets.

use heapless::Vec;
use linux_raw_sys::general::{epoll_event, iovec};
use linux_raw_sys::net::{AF_INET, AF_INET6, AF_UNIX, SCM_RIGHTS, SOL_SOCKET};

use super::{Arg, Fd, Result, call};

/// An address as bytes.
pub type Address = Vec<u8, 128>;

/// An abstract name, or a path.
pub fn unix_address(name: &[u8]) -> Address {
    let mut address = Address::new();
    let whole = address.extend_from_slice(&(AF_UNIX as u16).to_ne_bytes()).and(address.extend_from_slice(name));
    whole.expect("a name that fits");
    address
}
/// An address of IPv4.
pub fn v4_address(octets: [u8; 4], port: u16) -> Address {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[4..8].copy_from_slice(&octets);
    Address::from_slice(&bytes).expect("16 bytes fit")
}
/// `::1`.
pub fn v6_address(port: u16) -> Address {
    let mut bytes = [0; 28];
    bytes[..2].copy_from_slice(&(AF_INET6 as u16).to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[23] = 1;
    Address::from_slice(&bytes).expect("28 bytes fit")
}
/// The port in an address.
pub fn port_of(address: &Address) -> u16 {
    u16::from_be_bytes([address[2], address[3]])
}

/// socket(2).
pub fn socket(domain: u32, kind: u32, protocol: u32) -> Result<Fd> {
    call!(__NR_socket, domain, kind, protocol).map(|fd| fd as Fd)
}
/// socketpair(2) of Unix-domain sockets.
pub fn socketpair(kind: u32) -> Result<(Fd, Fd)> {
    let mut pair = [-1; 2];
    call!(__NR_socketpair, AF_UNIX, kind, 0, Arg::write(&mut pair)).map(|_| (pair[0], pair[1]))
}
/// bind(2).
pub fn bind(socket: Fd, address: &Address) -> Result {
    call!(__NR_bind, socket, Arg::read(address.as_slice()), address.len()).map(drop)
}
/// listen(2).
pub fn listen(socket: Fd, backlog: i32) -> Result {
    call!(__NR_listen, socket, backlog).map(drop)
}
/// connect(2).
pub fn connect(socket: Fd, address: &Address) -> Result {
    call!(__NR_connect, socket, Arg::read(address.as_slice()), address.len()).map(drop)
}
/// accept4(2).
pub fn accept(socket: Fd, flags: u32) -> Result<Fd> {
    call!(__NR_accept4, socket, 0, 0, flags).map(|fd| fd as Fd)
}
/// getsockname(2).
pub fn socket_name(socket: Fd) -> Result<Address> {
    let (mut bytes, mut length) = ([0_u8; 128], 128_u32);
    call!(__NR_getsockname, socket, Arg::write(&mut bytes), Arg::write(&mut length))?;
    Ok(Address::from_slice(&bytes[..length as usize]).expect("it fits"))
}
/// shutdown(2).
pub fn shutdown(socket: Fd, how: u32) -> Result {
    call!(__NR_shutdown, socket, how).map(drop)
}
/// sendto(2).
pub fn send(socket: Fd, bytes: &[u8], flags: u32, to: Option<&Address>) -> Result<usize> {
    let (address, length) = to.map_or((Arg(0), 0), |to| (Arg::read(to.as_slice()), to.len()));
    call!(__NR_sendto, socket, Arg::read(bytes), bytes.len(), flags, address, length)
}
/// recvfrom(2).
pub fn receive(socket: Fd, buffer: &mut [u8], flags: u32) -> Result<usize> {
    call!(__NR_recvfrom, socket, Arg::write(buffer), buffer.len(), flags, 0, 0)
}
/// recvfrom(2), with where it came from.
pub fn receive_from(socket: Fd, buffer: &mut [u8]) -> Result<(usize, Address)> {
    let (mut bytes, mut length) = ([0_u8; 128], 128_u32);
    let from = [Arg::write(&mut bytes), Arg::write(&mut length)];
    let count = call!(__NR_recvfrom, socket, Arg::write(buffer), buffer.len(), 0, from[0], from[1])?;
    Ok((count, Address::from_slice(&bytes[..length as usize]).expect("it fits")))
}
/// getsockopt(2) of up to three numbers.
pub fn socket_option(socket: Fd, level: u32, name: u32) -> Result<[i32; 3]> {
    let (mut value, mut length) = ([0; 3], 12_u32);
    call!(__NR_getsockopt, socket, level, name, Arg::write(&mut value), Arg::write(&mut length)).map(|_| value)
}
/// setsockopt(2) of a number.
pub fn set_socket_option(socket: Fd, level: u32, name: u32, value: i32) -> Result {
    call!(__NR_setsockopt, socket, level, name, Arg::read(&value), size_of::<i32>()).map(drop)
}

/// `struct msghdr`.
#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: usize,
    vector: Arg,
    vector_length: usize,
    control: Arg,
    control_length: usize,
    flags: usize,
}

/// `struct cmsghdr` with up to four descriptors.
#[repr(C)]
struct Rights {
    length: usize,
    level: u32,
    kind: u32,
    files: [Fd; 4],
}

/// sendmsg(2) of bytes and up to four descriptors.
pub fn send_files(socket: Fd, bytes: &[u8], files: &[Fd]) -> Result<usize> {
    let mut rights = Rights { length: 16 + files.len() * 4, level: SOL_SOCKET, kind: SCM_RIGHTS, files: [-1; 4] };
    rights.files[..files.len()].copy_from_slice(files);
    let part = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() as u64 };
    let header = MessageHeader {
        name: 0,
        name_length: 0,
        vector: Arg::read(&part),
        vector_length: 1,
        control: Arg::read(&rights),
        control_length: rights.length,
        flags: 0,
    };
    call!(__NR_sendmsg, socket, Arg::read(&header), 0)
}
/// recvmsg(2): how many bytes, how many descriptors, and which (up to four).
pub fn receive_files(socket: Fd, buffer: &mut [u8]) -> Result<(usize, usize, [Fd; 4])> {
    let mut rights = Rights { length: 0, level: 0, kind: 0, files: [-1; 4] };
    let mut part = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() as u64 };
    let mut header = MessageHeader {
        name: 0,
        name_length: 0,
        vector: Arg::write(&mut part),
        vector_length: 1,
        control: Arg::write(&mut rights),
        control_length: size_of::<Rights>(),
        flags: 0,
    };
    let count = call!(__NR_recvmsg, socket, Arg::write(&mut header), 0)?;
    let passed = if header.control_length == 0 { 0 } else { (rights.length - 16) / 4 };
    Ok((count, passed, rights.files))
}
/// `struct mmsghdr`.
#[repr(C)]
struct ManyHeader {
    header: MessageHeader,
    length: usize,
}

fn many(parts: &mut [iovec; 2], flags: usize) -> [ManyHeader; 2] {
    parts.each_mut().map(|part| ManyHeader {
        header: MessageHeader {
            name: 0,
            name_length: 0,
            vector: Arg::write(part),
            vector_length: 1,
            control: Arg(0),
            control_length: 0,
            flags,
        },
        length: 0,
    })
}

/// sendmmsg(2) of two messages: how many were sent.
pub fn send_two(socket: Fd, messages: [&[u8]; 2]) -> Result<usize> {
    let mut parts =
        messages.map(|bytes| iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() as u64 });
    let mut headers = many(&mut parts, 0);
    call!(__NR_sendmmsg, socket, Arg::write(&mut headers), 2, 0)
}
/// recvmmsg(2) of up to two messages, once there is one: how many there were, and how long each.
pub fn receive_two(socket: Fd, buffers: [&mut [u8]; 2]) -> Result<(usize, [usize; 2])> {
    const WAIT_FOR_ONE: u32 = 0x1_0000;
    let mut parts = buffers.map(|bytes| iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() as u64 });
    let mut headers = many(&mut parts, 0);
    let count = call!(__NR_recvmmsg, socket, Arg::write(&mut headers), 2, WAIT_FOR_ONE, 0)?;
    Ok((count, headers.map(|header| header.length as u32 as usize)))
}

/// epoll_create1(2).
pub fn epoll() -> Result<Fd> {
    call!(__NR_epoll_create1, 0).map(|fd| fd as Fd)
}
/// epoll_ctl(2): `data` is told with the events.
pub fn epoll_set(epoll: Fd, what: u32, fd: Fd, events: u32, data: u64) -> Result {
    let event = epoll_event { events, data };
    call!(__NR_epoll_ctl, epoll, what, fd, Arg::read(&event)).map(drop)
}
/// epoll_pwait(2): the first of the events, with its data, and how many there were.
pub fn epoll_wait(epoll: Fd, timeout_ms: i32) -> Result<(usize, u32, u64)> {
    let mut events = [epoll_event { events: 0, data: 0 }; 4];
    let count = call!(__NR_epoll_pwait, epoll, Arg::write(&mut events), 4, timeout_ms, 0, 0)?;
    Ok((count, events[0].events, events[0].data))
}

/// ioctl(2) on an interface by name: the first two bytes of what is told, with `set` given before.
pub fn interface(socket: Fd, request: u32, name: &[u8], set: u16) -> Result<u16> {
    let mut asked = [0_u8; 40];
    asked[..name.len()].copy_from_slice(name);
    asked[16..18].copy_from_slice(&set.to_ne_bytes());
    call!(__NR_ioctl, socket, request, Arg::write(&mut asked))?;
    Ok(u16::from_ne_bytes([asked[16], asked[17]]))
}
