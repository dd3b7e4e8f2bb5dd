//! Driver: Unix-domain, TCP and UDP sockets; passing of descriptors; and that nothing leads from one network namespace to
//! another.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod calls;
mod internet;
mod namespaces;
mod unix;

use linux_raw_sys::net::{SHUT_WR, SOCK_STREAM};
use veridian_userland::check::{Checks, enter_scratch};
use veridian_userland::program;
use veridian_userland::sys::{self, Fd, Start, close, read, write};

use calls::{events, many, stopped};
use internet::{echoes, raw, refusals, tcp, texts, udp};
use namespaces::{containers, hog, inside, is_set, namespaces, outside_is_reached, races, serve};
use unix::{names, pairs, passing};

program!(main);

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
const LOCALHOST: [u8; 4] = [127, 0, 0, 1];
/// The port, and the abstract name, that every namespace uses.
const PORT: u16 = 4242;
const NAME: &[u8] = b"\0everywhere";

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        Some("inside") => return inside(),
        Some("serve") => return serve(),
        Some("outside") => return i32::from(!outside_is_reached()),
        Some("hog") => return hog(),
        Some("set") => return is_set(),
        _ => {}
    }
    let mut checks = Checks::new();
    enter_scratch();
    for (kind, place) in [(c"proc", c"/tmp/p"), (c"sysfs", c"/tmp/s")] {
        let mounted = sys::mkdir(place, 0o755).and(sys::mount(kind, place, kind, 0, None));
        checks.equal("a file system is mounted", mounted, Ok(()));
    }
    pairs(&mut checks);
    names(&mut checks);
    passing(&mut checks);
    tcp(&mut checks);
    udp(&mut checks);
    refusals(&mut checks);
    many(&mut checks);
    stopped(&mut checks);
    events(&mut checks);
    raw(&mut checks);
    echoes(&mut checks);
    texts(&mut checks);
    namespaces(&mut checks);
    containers(&mut checks);
    races(&mut checks);
    checks.finish()
}

/// Answers each of `count` connections with what it says.
fn echo(listener: Fd, count: usize) -> i32 {
    for _ in 0..count {
        let Ok(connection) = sys::accept(listener, 0) else { return 1 };
        let mut buffer = [0; 64];
        while let Ok(length @ 1..) = read(connection, &mut buffer) {
            if write(connection, &buffer[..length]) != Ok(length) {
                return 2;
            }
        }
        let _ = close(connection);
    }
    0
}

/// What comes back from an echo.
fn ask(domain: u32, kind: u32, address: &sys::Address) -> sys::Result<usize> {
    let socket = sys::socket(domain, kind, 0)?;
    let answer = sys::connect(socket, address).and_then(|()| {
        write(socket, b"hello")?;
        sys::shutdown(socket, SHUT_WR)?;
        read(socket, &mut [0; 64])
    });
    close(socket)?;
    answer
}

fn listen_on(domain: u32, address: &sys::Address) -> sys::Result<Fd> {
    let listener = sys::socket(domain, SOCK_STREAM, 0)?;
    let listening = sys::bind(listener, address).and_then(|()| sys::listen(listener, 16));
    listening.inspect_err(|_| {
        let _ = close(listener);
    })?;
    Ok(listener)
}

fn free_bytes() -> u64 {
    sys::sysinfo().map_or(0, |info| info.freeram)
}
