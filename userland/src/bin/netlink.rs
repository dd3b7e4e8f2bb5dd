//! Plain: the kernel tells of the network by netlink as on Linux, and changes what may be changed.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{self as linux, CLONE_NEWNET, POLLIN};
use linux_raw_sys::ioctl::SIOCGIFFLAGS;
use linux_raw_sys::net::{
    AF_INET, AF_INET6, AF_NETLINK, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM,
};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::desk::{
    Arg::{At, N},
    Desk,
};
use veridian_userland::heapless::Vec;
use veridian_userland::program;
use veridian_userland::sys::{self, Fd, Result, Start, close};

program!(main);

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    let desk = Desk::new();
    checks.equal("a network of its own", sys::unshare(CLONE_NEWNET), Ok(()));
    sockets(&mut checks, &desk);
    links(&mut checks);
    wrong(&mut checks);
    checks.finish()
}

fn netlink() -> Fd {
    sys::socket(AF_NETLINK, SOCK_RAW, 0).expect("a socket")
}

fn sockets(checks: &mut Checks, desk: &Desk) {
    let refused = [sys::socket(AF_NETLINK, SOCK_RAW, 15), sys::socket(AF_NETLINK, SOCK_STREAM, 0)];
    checks.equal("other protocols and kinds", refused, [Err(Errno::EPROTONOSUPPORT), Err(Errno::ESOCKTNOSUPPORT)]);
    let fd = netlink();
    let bind = |fd: Fd, port: i32, groups: i32| {
        desk.ints(0, &[AF_NETLINK as i32, port, groups]);
        desk.call(linux::__NR_bind, &[N(fd.into()), At(0), N(12)])
    };
    let port = |fd: Fd| {
        desk.ints(64, &[12]);
        let told = desk.call(linux::__NR_getsockname, &[N(fd.into()), At(128), At(64)]);
        told.map(|_| (desk.int(64), desk.short(128), desk.int(132)))
    };
    checks.equal("no groups", bind(fd, 0, 1), Err(Errno::EPERM));
    checks.equal("bound", bind(fd, 0, 0), Ok(0));
    let own = sys::getpid() as u32;
    checks.equal("to the process's number", port(fd), Ok((12, 16, own)));
    checks.equal("once", bind(fd, 7, 0), Err(Errno::EINVAL));
    let other = netlink();
    checks.equal("a port is one socket's", bind(other, own as i32, 0), Err(Errno::EADDRINUSE));
    checks.equal("another", (bind(other, 0, 0), port(other).map(|told| told.2 != own)), (Ok(0), Ok(true)));
    desk.ints(0, &[AF_NETLINK as i32, own as i32, 0]);
    let send = desk.call(linux::__NR_sendto, &[N(other.into()), At(256), N(16), N(0), At(0), N(12)]);
    checks.equal("nobody sends to another", send, Err(Errno::ECONNREFUSED));
    checks.equal("close", (close(fd), close(other)), (Ok(()), Ok(())));
}

/// A request with a body of words.
fn request(kind: u16, flags: u16, body: &[u32]) -> Vec<u8, 128> {
    let mut bytes = Vec::new();
    let head = [16 + 4 * body.len() as u32, u32::from(kind) | u32::from(flags | 1) << 16, 9, 0];
    for word in head.iter().chain(body) {
        let _ = bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// The kinds of messages that answer a request, and the code of the first error or acknowledgement.
fn ask(fd: Fd, request: &[u8]) -> Result<(Vec<u16, 16>, Option<i32>)> {
    sys::send(fd, request, 0, None)?;
    let (mut kinds, mut code) = (Vec::new(), None);
    let mut buffer = [0; 2048];
    while let Ok(length) = sys::receive(fd, &mut buffer, MSG_DONTWAIT) {
        let mut rest = &buffer[..length];
        while rest.len() >= 16 {
            let word = |at: usize| u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
            let _ = kinds.push(word(4) as u16);
            if word(4) as u16 == ERROR && code.is_none() {
                code = Some(word(16) as i32);
            }
            rest = rest.get((word(0) as usize).next_multiple_of(4)..).unwrap_or_default();
        }
    }
    Ok((kinds, code))
}

fn list(fd: Fd, kind: u16, family: u32) -> Result<Vec<u16, 16>> {
    ask(fd, &request(kind, DUMP, &[family, 0, 0, 0])).map(|(kinds, _)| kinds)
}

fn links(checks: &mut Checks) {
    let fd = netlink();
    let of = |kinds: &[u16]| Ok(Vec::from_slice(kinds).expect("few"));
    checks.equal("the interface", list(fd, GETLINK, 0), of(&[NEWLINK, DONE]));
    checks.equal("has no address while it is down", list(fd, GETADDR, 0), of(&[DONE]));
    let set = |fd: Fd, flags: u32| ask(fd, &request(NEWLINK, ACK, &[0, 1, flags, 1])).map(|(_, code)| code);
    checks.equal(
        "who may not changes nothing",
        in_child(|| {
            let _ = sys::setresuid(1000, 1000, 1000);
            let fd = netlink();
            let told = list(fd, GETLINK, 0).is_ok_and(|kinds| kinds.len() == 2);
            i32::from(!told || set(fd, 1) != Ok(Some(-1)))
        }),
        Ok(WaitStatus::Exited(0)),
    );
    checks.equal("it goes up", set(fd, 1), Ok(Some(0)));
    let socket = sys::socket(AF_INET, SOCK_DGRAM, 0).expect("a socket");
    checks.equal("and is", sys::interface(socket, SIOCGIFFLAGS, b"lo", 0), Ok(0x49));
    checks.equal("with addresses", list(fd, GETADDR, 0), of(&[NEWADDR, NEWADDR, DONE]));
    let families = [AF_INET, AF_INET6, 200].map(|family| list(fd, GETADDR, family).map_or(0, |kinds| kinds.len()));
    checks.equal("of each family", families, [2, 2, 1]);
    checks.equal("and routes", list(fd, GETROUTE, AF_INET), of(&[NEWROUTE, NEWROUTE, DONE]));
    checks.equal("by its number", ask(fd, &request(GETLINK, 0, &[0, 1, 0, 0])).map(|told| told.0), of(&[NEWLINK]));
    let name = u32::from_ne_bytes(*b"lo\0\0");
    let by_name = request(GETLINK, 0, &[0, 0, 0, 0, 7 | 3 << 16, name]);
    checks.equal("by its name", ask(fd, &by_name).map(|told| told.0), of(&[NEWLINK]));
    let other = request(GETLINK, 0, &[0, 0, 0, 0, 7 | 3 << 16, u32::from_ne_bytes(*b"xy\0\0")]);
    let codes = [request(GETLINK, 0, &[0, 2, 0, 0]), other].map(|request| ask(fd, &request).map(|told| told.1));
    checks.equal("there is no other", codes, [Ok(Some(-19)); 2]);
    checks.equal(
        "it does not go away",
        ask(fd, &request(DELLINK, ACK, &[0, 1, 0, 0])).map(|told| told.1),
        Ok(Some(-95)),
    );
    checks.equal("nor gets addresses", ask(fd, &request(NEWADDR, ACK, &[2, 1])).map(|told| told.1), Ok(Some(-95)));
    checks.equal("it goes down", set(fd, 0), Ok(Some(0)));
    checks.equal("with its addresses", list(fd, GETADDR, 0), of(&[DONE]));
    checks.equal("and up", set(fd, 1), Ok(Some(0)));
    let _ = sys::send(fd, &request(GETLINK, DUMP, &[0; 4]), 0, None);
    checks.equal("answers wait", sys::poll(fd, POLLIN, Some(0)), Ok(POLLIN));
    let whole = sys::receive(fd, &mut [0; 8], MSG_PEEK | MSG_TRUNC);
    checks.holds("as long as they are", whole.is_ok_and(|length| length > 200));
    checks.equal("close", (close(fd), close(socket)), (Ok(()), Ok(())));
}

fn wrong(checks: &mut Checks) {
    let fd = netlink();
    let nothing = |bytes: &[u8]| ask(fd, bytes).is_ok_and(|(kinds, _)| kinds.is_empty());
    let whole = request(GETLINK, DUMP, &[0; 4]);
    checks.holds("what is cut off is no request", (0..whole.len()).all(|length| nothing(&whole[..length])));
    let mut long = whole.clone();
    long[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
    checks.holds("nor what says that it is longer", nothing(&long));
    long[..4].copy_from_slice(&0_u32.to_ne_bytes());
    checks.holds("nor what says that it is nothing", nothing(&long));
    let attribute = |length: u32| request(GETLINK, 0, &[0, 0, 0, 0, length | 3 << 16, 0]);
    let codes = [0, 3, 9, 0xffff].map(|length| ask(fd, &attribute(length)).map(|told| told.1));
    checks.equal("attributes are looked at", codes, [Ok(Some(-22)); 4]);
    // Every kind, with every flag that means something, with and without a body.
    let mut seed = 1_u32;
    let survives = (0..2000).all(|_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let body = [seed, seed >> 3, seed << 5, seed >> 7, seed.rotate_left(16), seed];
        let kind = (seed >> 8) as u16 % 120;
        // (Not to bring it down.)
        let kind = if kind == NEWLINK || kind == 19 { GETLINK } else { kind };
        ask(fd, &request(kind, (seed >> 20) as u16 & 0xf06, &body[..seed as usize % 7])).is_ok()
    });
    checks.holds("nonsense is answered, and nothing more", survives);
    // Nobody reads: there is an end to what waits.
    let refused = (0..10_000).find_map(|_| sys::send(fd, &whole, 0, None).err());
    checks.equal("a full queue is ENOBUFS", refused, Some(Errno::ENOBUFS));
    checks.equal("close", close(fd), Ok(()));
}
