//! getsockopt(2) and setsockopt(2): the options that have an effect here, or whose effect there is nothing to have on.

use super::{message::Ucred, open_socket};
use crate::{
    net::{Family, KEPT_MAX, Kind, Sender, Socket},
    syscall::timespec::TimeVal,
    task::Thread,
};
use linux_raw_sys::net;
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

const TCP: u32 = net::IPPROTO_TCP as u32;
const UDP: u32 = net::IPPROTO_UDP as u32;
const IP: u32 = net::IPPROTO_IP as u32;
const IPV6: u32 = net::IPPROTO_IPV6 as u32;
const NS_PER_S: u64 = 1_000_000_000;
/// The most that SO_SNDBUF and SO_RCVBUF may ask for (net.core.wmem_max), and the least that they get.
const BUFFER_MAX: u32 = 212_992;
const SEND_BUFFER_LEAST: usize = 4608;
const RECEIVE_BUFFER_LEAST: usize = 2304;

/// An option that is kept and told. `least` to `most` are the numbers that Linux takes.
struct Kept {
    level: u32,
    name: u32,
    default: i32,
    least: i32,
    most: i32,
}

const fn switch(level: u32, name: u32) -> Kept {
    Kept { level, name, default: 0, least: 0, most: 1 }
}

const fn number(level: u32, name: u32, default: i32, most: i32) -> Kept {
    Kept { level, name, default, least: 1, most }
}

/// What has nothing to act upon here: a connection over the loopback never idles out, no packet is delayed, routed or sent
/// to many, none is urgent.
const KEPT: [Kept; 11] = [
    switch(net::SOL_SOCKET, net::SO_KEEPALIVE),
    switch(net::SOL_SOCKET, net::SO_BROADCAST),
    switch(net::SOL_SOCKET, net::SO_DONTROUTE),
    switch(net::SOL_SOCKET, net::SO_OOBINLINE),
    switch(TCP, net::TCP_NODELAY),
    switch(TCP, net::TCP_CORK),
    number(TCP, net::TCP_KEEPIDLE, 7200, 32767),
    number(TCP, net::TCP_KEEPINTVL, 75, 32767),
    number(TCP, net::TCP_KEEPCNT, 9, 127),
    Kept { level: TCP, name: net::TCP_USER_TIMEOUT, default: 0, least: 0, most: i32::MAX },
    Kept { level: IP, name: net::IP_TOS, default: 0, least: 0, most: 255 },
];
const _: () = assert!(KEPT.len() <= KEPT_MAX);

/// The kept option of this level and name, if `socket` has it.
fn kept(socket: &Socket, level: u32, name: u32) -> Option<usize> {
    let stream = socket.kind() == Kind::Stream && !socket.is_unix();
    let place = KEPT.iter().position(|kept| (kept.level, kept.name) == (level, name))?;
    (level != TCP || stream).then_some(place).filter(|_| level != IP || !socket.is_unix())
}

pub fn setsockopt(thread: &Thread, fd: i32, level: u32, name: u32, at: UserAddr, length: u32) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let space = thread.space();
    let number = || if length < 4 { Err(Errno::EINVAL) } else { space.read::<i32>(at) };
    let switch = || number().map(|number| number != 0);
    if let Some(place) = kept(&socket, level, name) {
        let Kept { least, most, .. } = KEPT[place];
        let value = match number()? {
            on if (least, most) == (0, 1) => i32::from(on != 0),
            value if (least..=most).contains(&value) => value,
            _ => return Err(Errno::EINVAL),
        };
        socket.set_options(|options| options.kept[place] = Some(value));
        return Ok(0);
    }
    match (level, name) {
        (net::SOL_SOCKET, net::SO_REUSEADDR) => {
            let on = switch()?;
            socket.set_options(|options| options.reuse_address = on);
        }
        (net::SOL_SOCKET, net::SO_PASSCRED) if socket.is_unix() => {
            let on = switch()?;
            socket.set_options(|options| options.pass_credentials = on);
        }
        (net::SOL_SOCKET, net::SO_LINGER) => {
            let [on, seconds] = if length < 8 { return Err(Errno::EINVAL) } else { space.read::<[i32; 2]>(at)? };
            let linger = if on != 0 { Some(u32::try_from(seconds).map_err(|_| Errno::EINVAL)?) } else { None };
            socket.set_options(|options| options.linger = linger);
        }
        (net::SOL_SOCKET, net::SO_REUSEPORT) => {
            let on = switch()?;
            socket.set_options(|options| options.reuse_port = on);
        }
        // Twice of what is asked for, as the books of packets take room too (socket(7)).
        (net::SOL_SOCKET, net::SO_SNDBUF) => {
            let bytes = buffer(number()?).max(SEND_BUFFER_LEAST);
            socket.set_options(|options| options.send_buffer = Some(bytes));
        }
        (net::SOL_SOCKET, net::SO_RCVBUF) => socket.set_receive_buffer(buffer(number()?).max(RECEIVE_BUFFER_LEAST)),
        (net::SOL_SOCKET, net::SO_RCVTIMEO | net::SO_SNDTIMEO) => {
            if (length as usize) < size_of::<TimeVal>() {
                return Err(Errno::EINVAL);
            }
            let time: TimeVal = space.read(at)?;
            let part = u64::try_from(time.microseconds).ok().filter(|part| *part < 1_000_000).ok_or(Errno::EDOM)?;
            let whole = u64::try_from(time.seconds).unwrap_or(0);
            let timeout = whole.saturating_mul(NS_PER_S).saturating_add(part * 1000);
            socket.set_options(|options| {
                if name == net::SO_RCVTIMEO {
                    options.receive_timeout_ns = timeout;
                } else {
                    options.send_timeout_ns = timeout;
                }
            });
        }
        (IPV6, net::IPV6_V6ONLY) if socket.family() == Family::V6 => {
            if socket.local().is_some() {
                return Err(Errno::EINVAL);
            }
            let on = switch()?;
            socket.set_options(|options| options.v6_only = on);
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(0)
}

pub fn getsockopt(
    thread: &Thread,
    fd: i32,
    level: u32,
    name: u32,
    to: UserAddr,
    length_at: UserAddr,
) -> Result<usize, Errno> {
    let (_file, socket) = open_socket(thread, fd)?;
    let options = socket.options();
    if let Some(place) = kept(&socket, level, name) {
        let value = options.kept[place].unwrap_or(KEPT[place].default);
        return tell(thread, value.as_bytes(), to, length_at);
    }
    let number = match (level, name) {
        (net::SOL_SOCKET, net::SO_TYPE) => socket.kind().number() as i32,
        (net::SOL_SOCKET, net::SO_DOMAIN) => socket.family().number() as i32,
        (net::SOL_SOCKET, net::SO_PROTOCOL) => match (socket.family(), socket.kind()) {
            (Family::Unix | Family::Netlink, _) => 0,
            (_, Kind::Datagram) => UDP as i32,
            (Family::V4, Kind::Echo | Kind::RawIcmp) => net::IPPROTO_ICMP as i32,
            (Family::V6, Kind::Echo | Kind::RawIcmp) => net::IPPROTO_ICMPV6 as i32,
            _ => TCP as i32,
        },
        (net::SOL_SOCKET, net::SO_ERROR) => socket.take_error().map_or(0, |errno| i32::from(errno.get())),
        (net::SOL_SOCKET, net::SO_ACCEPTCONN) => socket.is_listening().into(),
        (net::SOL_SOCKET, net::SO_REUSEADDR) => options.reuse_address.into(),
        (net::SOL_SOCKET, net::SO_PASSCRED) if socket.is_unix() => options.pass_credentials.into(),
        (net::SOL_SOCKET, net::SO_REUSEPORT) => options.reuse_port.into(),
        (net::SOL_SOCKET, net::SO_SNDBUF) => socket.send_buffer() as i32,
        (net::SOL_SOCKET, net::SO_RCVBUF) => socket.receive_buffer() as i32,
        (IPV6, net::IPV6_V6ONLY) if socket.family() == Family::V6 => options.v6_only.into(),
        (net::SOL_SOCKET, net::SO_LINGER) => {
            let told = [i32::from(options.linger.is_some()), options.linger.unwrap_or(0) as i32];
            return tell(thread, told.as_bytes(), to, length_at);
        }
        (net::SOL_SOCKET, net::SO_RCVTIMEO | net::SO_SNDTIMEO) => {
            let ns = if name == net::SO_RCVTIMEO { options.receive_timeout_ns } else { options.send_timeout_ns };
            let told = TimeVal::from_ns(ns);
            return tell(thread, told.as_bytes(), to, length_at);
        }
        (net::SOL_SOCKET, net::SO_PEERCRED) if socket.is_unix() => {
            let nobody = Sender { pid: Default::default(), uid: u32::MAX, gid: u32::MAX };
            let told = Ucred::new(&socket.peer_identity().unwrap_or(nobody), thread);
            return tell(thread, told.as_bytes(), to, length_at);
        }
        _ => return Err(Errno::ENOPROTOOPT),
    };
    tell(thread, number.as_bytes(), to, length_at)
}

fn buffer(asked: i32) -> usize {
    (asked as u32).min(BUFFER_MAX) as usize * 2
}

fn tell(thread: &Thread, value: &[u8], to: UserAddr, length_at: UserAddr) -> Result<usize, Errno> {
    let space = thread.space();
    let room = usize::try_from(space.read::<i32>(length_at)?).map_err(|_| Errno::EINVAL)?;
    let length = value.len().min(room);
    space.write_bytes(to, &value[..length])?;
    space.write(length_at, &(length as u32))?;
    Ok(0)
}
