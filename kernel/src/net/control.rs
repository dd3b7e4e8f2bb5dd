//! ioctl(2) on a socket about interfaces (netdevice(7)): `lo` is told, and brought up and down.

use super::{Interface, Socket};
use crate::{security::Capabilities, task::Thread};
use linux_raw_sys::{ioctl as requests, net};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct ifreq`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Request {
    name: [u8; 16],
    value: [u8; 24],
}

/// IFF_RUNNING.
const FLAG_RUNNING: u16 = 0x40;

impl Request {
    fn of_loopback(value: &[u8]) -> Self {
        let mut request = Self { name: [0; 16], value: [0; 24] };
        request.name[..Interface::NAME.len()].copy_from_slice(Interface::NAME);
        request.value[..value.len()].copy_from_slice(value);
        request
    }

    fn is_of_loopback(&self) -> bool {
        self.name.split(|&byte| byte == 0).next() == Some(Interface::NAME)
    }

    fn index(&self) -> u32 {
        self.value.first_chunk().map_or(0, |index| u32::from_ne_bytes(*index))
    }
}

/// An address of IPv4 as `struct sockaddr_in`.
fn address(octets: [u8; 4]) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&(net::AF_INET as u16).to_ne_bytes());
    bytes[4..].copy_from_slice(&octets);
    bytes
}

/// Answers a request; ENOTTY for one that is not about interfaces, ENODEV for another interface than `lo`.
pub(super) fn ioctl(thread: &Thread, socket: &Socket, request: u32, at: UserAddr) -> Result<(), Errno> {
    let space = thread.space();
    let loopback = &socket.namespace().loopback;
    if request == requests::SIOCGIFCONF {
        return list(thread, socket, at);
    }
    let known = [
        requests::SIOCGIFNAME,
        requests::SIOCGIFFLAGS,
        requests::SIOCSIFFLAGS,
        requests::SIOCGIFADDR,
        requests::SIOCSIFADDR,
        requests::SIOCGIFNETMASK,
        requests::SIOCSIFNETMASK,
        requests::SIOCGIFMTU,
        requests::SIOCGIFHWADDR,
        requests::SIOCGIFINDEX,
        requests::SIOCGIFMETRIC,
        requests::SIOCGIFTXQLEN,
    ];
    if !known.contains(&request) {
        return Err(Errno::ENOTTY);
    }
    let asked: Request = space.read(at)?;
    let found =
        if request == requests::SIOCGIFNAME { asked.index() == Interface::INDEX } else { asked.is_of_loopback() };
    if !found {
        return Err(Errno::ENODEV);
    }
    let up = if loopback.is_up() { Interface::UP | FLAG_RUNNING } else { 0 };
    let told = match request {
        requests::SIOCGIFNAME => Request::of_loopback(&Interface::INDEX.to_ne_bytes()),
        requests::SIOCGIFFLAGS => Request::of_loopback(&(Interface::LOOPBACK | up).to_ne_bytes()),
        requests::SIOCSIFFLAGS | requests::SIOCSIFADDR | requests::SIOCSIFNETMASK
            if !thread.credentials().capable_in(socket.namespace().owner(), Capabilities::NET_ADMIN) =>
        {
            return Err(Errno::EPERM);
        }
        // It has these and no others.
        requests::SIOCSIFADDR | requests::SIOCSIFNETMASK => {
            let own = if request == requests::SIOCSIFADDR { Interface::ADDRESS } else { Interface::NETMASK };
            return if asked.value[..8] == address(own) { Ok(()) } else { Err(Errno::EOPNOTSUPP) };
        }
        requests::SIOCSIFFLAGS => {
            let flags = asked.value.first_chunk().map_or(0, |flags| u16::from_ne_bytes(*flags));
            loopback.set_up(flags & Interface::UP != 0);
            return Ok(());
        }
        requests::SIOCGIFADDR | requests::SIOCGIFNETMASK if !loopback.is_up() => return Err(Errno::EADDRNOTAVAIL),
        requests::SIOCGIFADDR => Request::of_loopback(&address(Interface::ADDRESS)),
        requests::SIOCGIFNETMASK => Request::of_loopback(&address(Interface::NETMASK)),
        requests::SIOCGIFMTU => Request::of_loopback(&Interface::MTU.to_ne_bytes()),
        requests::SIOCGIFHWADDR => Request::of_loopback(&Interface::HARDWARE.to_ne_bytes()),
        requests::SIOCGIFTXQLEN => Request::of_loopback(&Interface::QUEUE_LENGTH.to_ne_bytes()),
        requests::SIOCGIFINDEX => Request::of_loopback(&Interface::INDEX.to_ne_bytes()),
        _ => Request::of_loopback(&[0; 4]),
    };
    space.write(at, &told)
}

/// `struct ifconf`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct List {
    length: u32,
    _pad: u32,
    buffer: usize,
}

/// SIOCGIFCONF: the interfaces that have an address.
fn list(thread: &Thread, socket: &Socket, at: UserAddr) -> Result<(), Errno> {
    let space = thread.space();
    let mut list: List = space.read(at)?;
    let size = size_of::<Request>();
    let up = socket.namespace().loopback.is_up();
    let told = match list.buffer {
        0 => usize::from(up) * size,
        buffer if up && list.length as usize >= size => {
            space.write(UserAddr(buffer), &Request::of_loopback(&address(Interface::ADDRESS)))?;
            size
        }
        _ => 0,
    };
    list.length = told as u32;
    space.write(at, &list)
}
