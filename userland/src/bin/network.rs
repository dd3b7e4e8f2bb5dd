//! Driver: Unix-domain, TCP and UDP sockets; passing of descriptors; and that nothing leads from one network namespace to
//! another.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{CLONE_NEWNET, O_NONBLOCK, O_RDONLY, POLLHUP, POLLIN, POLLOUT, SIGPIPE};
use linux_raw_sys::ioctl::{SIOCGIFFLAGS, SIOCSIFFLAGS};
use linux_raw_sys::net::{
    AF_INET, AF_INET6, AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_RD, SHUT_WR, SO_ERROR, SO_PEERCRED,
    SO_REUSEADDR, SO_TYPE, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET,
};
use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, wait_for};
use veridian_userland::sys::{self, Fd, Start, close, read, unix_address, v4_address, v6_address, write};
use veridian_userland::{driver, program};

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
        _ => {}
    }
    let mut checks = Checks::new();
    enter_scratch();
    pairs(&mut checks);
    names(&mut checks);
    passing(&mut checks);
    tcp(&mut checks);
    udp(&mut checks);
    refusals(&mut checks);
    namespaces(&mut checks);
    containers(&mut checks);
    checks.finish()
}

fn pairs(checks: &mut Checks) {
    let (a, b) = sys::socketpair(SOCK_STREAM).expect("a pair");
    let mut buffer = [0; 64];
    checks.equal("a pair carries bytes", write(a, b"one").and_then(|_| write(a, b"two")), Ok(3));
    checks.equal("which can be looked at", sys::receive(b, &mut buffer, MSG_PEEK), Ok(6));
    checks.equal("before they are taken", read(b, &mut buffer[..4]), Ok(4));
    checks.equal("one after the other", read(b, &mut buffer), Ok(2));
    checks.equal("both ways", write(b, b"back").and_then(|_| read(a, &mut buffer)), Ok(4));
    checks.equal("nothing is EAGAIN", sys::receive(a, &mut buffer, MSG_DONTWAIT), Err(Errno::EAGAIN));
    checks.equal("and not ready", sys::poll(a, POLLIN | POLLOUT, Some(0)), Ok(POLLOUT));
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(write(b, b"late") != Ok(4))
    });
    checks.equal("a read waits", read(a, &mut buffer), Ok(4));
    checks.equal("for the other side", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    let child = sys::spawn(|| {
        let mut left = 1 << 20;
        while left > 0 {
            let Ok(count @ 1..) = read(b, &mut [0; 4096]) else { return 1 };
            left -= count;
        }
        0
    });
    let block = [7; 4096];
    checks.holds("1 MiB goes through", (0..256).all(|_| write(a, &block) == Ok(4096)));
    checks.equal("to who reads it", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal("shut for writing", sys::shutdown(a, SHUT_WR), Ok(()));
    checks.equal("the other side reads the end", read(b, &mut buffer), Ok(0));
    checks.equal("and may write still", write(b, b"x").and_then(|_| read(a, &mut buffer)), Ok(1));
    checks.equal("who shut it may not", sys::send(a, b"x", MSG_NOSIGNAL, None), Err(Errno::EPIPE));
    checks.ends("which is SIGPIPE too", WaitStatus::Signaled(Signal::SIGPIPE), || write(a, b"x").map_or(0, |_| 1));
    checks.equal("closed", close(b), Ok(()));
    checks.equal("it hangs up", sys::poll(a, POLLIN, Some(0)), Ok(POLLIN | POLLHUP));
    checks.equal("close", close(a), Ok(()));
    let long = sys::buffer(300_000).expect("memory");
    for kind in [SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = sys::socketpair(kind).expect("a pair");
        let sent = write(a, b"first").and_then(|_| write(a, b"second"));
        checks.equal("packets are sent", sent, Ok(6));
        checks.equal("and come one by one", read(b, &mut buffer[..3]), Ok(3));
        checks.equal("what is not read of one is gone", read(b, &mut buffer), Ok(6));
        checks.equal("too long: EMSGSIZE", sys::send(a, long, 0, None), Err(Errno::EMSGSIZE));
        let full = (0..10_000).any(|_| sys::send(a, b"x", MSG_DONTWAIT, None) == Err(Errno::EAGAIN));
        checks.holds("a queue is bounded", full);
        checks.equal("close", close(a).and(close(b)), Ok(()));
    }
    let (a, b) = sys::socketpair(SOCK_STREAM | O_NONBLOCK).expect("a pair");
    checks.equal("SOCK_NONBLOCK", read(a, &mut buffer), Err(Errno::EAGAIN));
    let who = sys::socket_option(a, SOL_SOCKET, SO_PEERCRED);
    checks.equal("SO_PEERCRED", who, Ok([sys::getpid(), 0, 0]));
    checks.equal("close", close(a).and(close(b)), Ok(()));
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

fn names(checks: &mut Checks) {
    for (kind, name) in [(SOCK_STREAM, &b"/tmp/socket"[..]), (SOCK_SEQPACKET, b"/tmp/packets"), (SOCK_STREAM, NAME)] {
        let listener = sys::socket(AF_UNIX, kind, 0).expect("a socket");
        let address = unix_address(name);
        checks.equal("not listening before it is bound", sys::listen(listener, 1), Err(Errno::EINVAL));
        checks.equal("nobody is there", ask(AF_UNIX, kind, &address).is_err(), true);
        checks.equal("it is bound", sys::bind(listener, &address), Ok(()));
        let other = sys::socket(AF_UNIX, kind, 0).expect("a socket");
        checks.equal("once", sys::bind(other, &address), Err(Errno::EADDRINUSE));
        checks.equal("and refuses until it listens", sys::connect(other, &address), Err(Errno::ECONNREFUSED));
        checks.equal("listen", sys::listen(listener, 8), Ok(()));
        let server = sys::spawn(|| echo(listener, 2));
        checks.equal("hello comes back", ask(AF_UNIX, kind, &address), Ok(5));
        checks.equal("and again", ask(AF_UNIX, kind, &address), Ok(5));
        checks.equal("the server ends", server.and_then(wait_for), Ok(WaitStatus::Exited(0)));
        checks.equal("close", close(listener).and(close(other)), Ok(()));
        checks.equal("nobody is there any more", ask(AF_UNIX, kind, &address), Err(Errno::ECONNREFUSED));
    }
    let found = sys::fstatat(sys::AT_FDCWD, c"/tmp/socket", 0).map(|found| found.st_mode & 0o170_000);
    checks.equal("a path is a socket's node", found, Ok(0o140_000));
    checks.equal("which is not opened: ENXIO", sys::open(c"/tmp/socket", O_RDONLY), Err(Errno::ENXIO));
    checks.equal(
        "and stays until it is unlinked",
        sys::unlink(c"/tmp/socket").and(sys::unlink(c"/tmp/packets")),
        Ok(()),
    );
    // A full backlog holds who connects.
    let listener = sys::socket(AF_UNIX, SOCK_STREAM, 0).expect("a socket");
    let ready = sys::bind(listener, &unix_address(NAME)).and(sys::listen(listener, 0));
    checks.equal("a backlog of none", ready, Ok(()));
    let clients = [(); 2].map(|()| sys::socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0).expect("a socket"));
    let connected = clients.map(|client| sys::connect(client, &unix_address(NAME)));
    checks.equal("takes one", connected, [Ok(()), Err(Errno::EAGAIN)]);
    checks.equal("is ready", sys::poll(listener, POLLIN, Some(0)), Ok(POLLIN));
    checks.equal("closed, it refuses who waits", close(listener), Ok(()));
    checks.equal("by the end", read(clients[0], &mut [0]), Ok(0));
    checks.equal("close", clients.map(close), [Ok(()); 2]);
}

fn passing(checks: &mut Checks) {
    let (a, b) = sys::socketpair(SOCK_STREAM).expect("a pair");
    let (from, to) = sys::pipe(0).expect("a pipe");
    checks.equal("a pipe is passed", sys::send_files(a, b"x", &[to]), Ok(1));
    checks.equal("and closed here", close(to), Ok(()));
    checks.equal("it is open on its way", sys::poll(from, POLLIN, Some(0)), Ok(0));
    let arrived = sys::receive_files(b, &mut [0; 8]);
    checks.equal("it arrives", arrived.map(|(bytes, count, _)| (bytes, count)), Ok((1, 1)));
    let other = arrived.map_or(-1, |(_, _, files)| files[0]);
    let through = write(other, b"through").and_then(|_| read(from, &mut [0; 8]));
    checks.equal("and is the same pipe", through, Ok(7));
    checks.equal("close", close(other), Ok(()));
    checks.equal("the last is gone", read(from, &mut [0]), Ok(0));
    let config = driver::config("", &["/bin/worker", "exit", "5"]);
    let container = driver::create("passed", &config, CreateFlags::empty()).expect("a container");
    checks.equal(
        "a container is passed",
        sys::send_files(a, b"x", &[container]).and(close(container).map(|()| 1)),
        Ok(1),
    );
    let arrived = sys::receive_files(b, &mut [0]).map_or(-1, |(_, _, files)| files[0]);
    let end = sys::container_start(arrived).and_then(|()| driver::wait(arrived)).map(|end| end.status);
    checks.equal("and is one still", end, Ok(WaitStatus::Exited(5)));
    checks.equal("to be deleted", driver::delete(arrived), Ok(()));
    // Circles: what would keep itself alive is refused.
    checks.equal("a socket is passed to its own other end", sys::send_files(a, b"x", &[a]), Ok(1));
    checks.equal("which is then not passed on", sys::send_files(a, b"x", &[b]), Err(Errno::ETOOMANYREFS));
    let (c, d) = sys::socketpair(SOCK_STREAM).expect("a pair");
    checks.equal("nor in another", sys::send_files(c, b"x", &[b]), Err(Errno::ETOOMANYREFS));
    checks.equal("nor is one that is under way given others", sys::send_files(b, b"x", &[c]), Err(Errno::ETOOMANYREFS));
    checks.equal("close", [a, b, c, d].map(close), [Ok(()); 4]);
    let before = free_bytes();
    for _ in 0..64 {
        let (a, b) = sys::socketpair(SOCK_DGRAM).expect("a pair");
        let _ = sys::send_files(a, &[0; 4096], &[a, b, from]);
        let _ = sys::send_files(b, &[0; 4096], &[a]);
        let _ = sys::send_files(a, &[0; 4096], &[from, from, from]);
        let _ = close(a).and(close(b));
    }
    let lost = before.saturating_sub(free_bytes());
    checks.holds(format_args!("closed pairs leave nothing: {lost} bytes are not back"), lost < 64 << 10);
    let (a, b) = sys::socketpair(SOCK_DGRAM).expect("a pair");
    let sent = (0..1000).take_while(|_| sys::send_files(a, b"", &[from; 4]).is_ok()).count();
    checks.equal("1024 files of a user are under way at most", sent, 256);
    checks.equal("which is", sys::send_files(a, b"", &[from]), Err(Errno::ETOOMANYREFS));
    checks.equal("over when they are closed", close(a).and(close(b)), Ok(()));
    let (a, b) = sys::socketpair(SOCK_DGRAM).expect("a pair");
    checks.equal("so that others go", sys::send_files(a, b"x", &[from]), Ok(1));
    checks.equal("close", [a, b, from].map(close), [Ok(()); 3]);
}

fn listen_on(domain: u32, address: &sys::Address) -> sys::Result<Fd> {
    let listener = sys::socket(domain, SOCK_STREAM, 0)?;
    let listening = sys::bind(listener, address).and_then(|()| sys::listen(listener, 16));
    listening.inspect_err(|_| {
        let _ = close(listener);
    })?;
    Ok(listener)
}

fn tcp(checks: &mut Checks) {
    let address = v4_address(LOCALHOST, PORT);
    checks.equal("nobody listens: ECONNREFUSED", ask(AF_INET, SOCK_STREAM, &address), Err(Errno::ECONNREFUSED));
    let Some(listener) = checks.value("one does", listen_on(AF_INET, &address)) else { return };
    checks.equal("another may not", listen_on(AF_INET, &v4_address([0; 4], PORT)), Err(Errno::EADDRINUSE));
    checks.equal(
        "but at another address",
        listen_on(AF_INET, &v4_address([127, 0, 0, 2], PORT)).and_then(close),
        Ok(()),
    );
    let server = sys::spawn(|| echo(listener, 3));
    checks.equal("hello comes back", ask(AF_INET, SOCK_STREAM, &address), Ok(5));
    checks.equal("and again", ask(AF_INET, SOCK_STREAM, &v4_address([0; 4], PORT)), Ok(5));
    let client = sys::socket(AF_INET, SOCK_STREAM, 0).expect("a socket");
    checks.equal("not connected: ENOTCONN", read(client, &mut [0]), Err(Errno::ENOTCONN));
    checks.equal("connected", sys::connect(client, &address), Ok(()));
    checks.equal("once", sys::connect(client, &address), Err(Errno::EISCONN));
    let own = sys::socket_name(client);
    checks.holds("with a port of its own", own.is_ok_and(|own| sys::port_of(&own) >= 32768));
    let mut left = 200_000;
    let mut buffer = [0; 4096];
    while left > 0 {
        let Ok(sent) = sys::send(client, &buffer[..50], 0, None) else { break };
        let mut back = 0;
        while back < sent {
            back += read(client, &mut buffer).unwrap_or(sent);
        }
        left -= sent.min(left);
    }
    checks.equal("200000 bytes come back", left, 0);
    checks.equal("close", close(client), Ok(()));
    checks.equal("the server ends", server.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    let client = sys::socket(AF_INET, SOCK_STREAM, 0).expect("a socket");
    let accepted = sys::connect(client, &address).and_then(|()| sys::accept(listener, 0)).expect("a connection");
    checks.equal("what is closed with bytes unread", write(accepted, b"x").and(close(client).map(|()| 1)), Ok(1));
    checks.equal("is reset", read(accepted, &mut [0]), Err(Errno::ECONNRESET));
    checks.equal("and then at its end", read(accepted, &mut [0]), Ok(0));
    let _ = sys::ignore_signal(SIGPIPE, true);
    checks.equal("nobody reads it any more", write(accepted, b"x"), Err(Errno::EPIPE));
    let _ = sys::ignore_signal(SIGPIPE, false);
    checks.equal("close", close(accepted).and(close(listener)), Ok(()));
    let six = listen_on(AF_INET6, &v6_address(PORT)).expect("::1");
    let server = sys::spawn(|| echo(six, 1));
    checks.equal("IPv6", ask(AF_INET6, SOCK_STREAM, &v6_address(PORT)), Ok(5));
    checks.equal("is not IPv4", ask(AF_INET, SOCK_STREAM, &address), Err(Errno::ECONNREFUSED));
    checks.equal("the server ends", server.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal("close", close(six), Ok(()));
    checks.succeeds("a port below 1024 needs a capability", || {
        let other = sys::setresuid(7, 7, 7);
        i32::from(other.is_err() || listen_on(AF_INET, &v4_address(LOCALHOST, 80)) != Err(Errno::EACCES))
    });
    checks.equal("which this process has", listen_on(AF_INET, &v4_address(LOCALHOST, 80)).and_then(close), Ok(()));
}

fn udp(checks: &mut Checks) {
    let server = sys::socket(AF_INET, SOCK_DGRAM, 0).expect("a socket");
    let address = v4_address(LOCALHOST, PORT);
    checks.equal("a UDP socket is bound", sys::bind(server, &address), Ok(()));
    let client = sys::socket(AF_INET, SOCK_DGRAM, 0).expect("a socket");
    checks.equal("no destination", sys::send(client, b"x", 0, None), Err(Errno::EDESTADDRREQ));
    checks.equal("a packet is sent", sys::send(client, b"packet", 0, Some(&address)), Ok(6));
    let mut buffer = [0; 64];
    let received = sys::receive_from(server, &mut buffer);
    checks.equal("and comes", received.as_ref().map(|(length, _)| *length), Ok(6));
    let from = received.map_or(v4_address([0; 4], 0), |(_, from)| from);
    let own = sys::socket_name(client).map(|own| sys::port_of(&own));
    checks.equal("from whom it was sent", (from[4..8] == LOCALHOST, Ok(sys::port_of(&from))), (true, own));
    checks.equal(
        "an answer",
        sys::send(server, b"answer", 0, Some(&from)).and_then(|_| read(client, &mut buffer)),
        Ok(6),
    );
    checks.equal("connected", sys::connect(client, &address), Ok(()));
    let stranger = sys::socket(AF_INET, SOCK_DGRAM, 0).expect("a socket");
    let to_client = v4_address(LOCALHOST, own.unwrap_or(0));
    checks.equal("a stranger's packet", sys::send(stranger, b"x", 0, Some(&to_client)), Ok(1));
    checks.equal("is not for it", sys::receive(client, &mut buffer, MSG_DONTWAIT), Err(Errno::EAGAIN));
    checks.equal("nobody is there any more", close(server).and_then(|()| sys::send(client, b"x", 0, None)), Ok(1));
    checks.equal("which the next call hears", sys::send(client, b"x", 0, None), Err(Errno::ECONNREFUSED));
    checks.equal("close", close(client).and(close(stranger)), Ok(()));
}

fn refusals(checks: &mut Checks) {
    checks.equal("no other family", sys::socket(AF_UNIX + 15, SOCK_RAW, 0), Err(Errno::EAFNOSUPPORT));
    checks.equal("no raw sockets", sys::socket(AF_INET, SOCK_RAW, 1), Err(Errno::ESOCKTNOSUPPORT));
    checks.equal("no other protocol", sys::socket(AF_INET, SOCK_STREAM, 17), Err(Errno::EPROTONOSUPPORT));
    checks.equal("what is no socket", sys::listen(1, 1), Err(Errno::ENOTSOCK));
    checks.equal("what is not open", sys::listen(99, 1), Err(Errno::EBADF));
    for octets in [[10, 0, 0, 1], [192, 168, 1, 1], [8, 8, 8, 8], [224, 0, 0, 1]] {
        let address = v4_address(octets, 80);
        checks.equal("nothing beyond the loopback", ask(AF_INET, SOCK_STREAM, &address), Err(Errno::ENETUNREACH));
        checks.equal("is ours", listen_on(AF_INET, &address), Err(Errno::EADDRNOTAVAIL));
    }
    let socket = sys::socket(AF_INET, SOCK_STREAM, 0).expect("a socket");
    checks.equal(
        "SO_TYPE",
        sys::socket_option(socket, SOL_SOCKET, SO_TYPE).map(|told| told[0]),
        Ok(SOCK_STREAM as i32),
    );
    checks.equal("SO_ERROR", sys::socket_option(socket, SOL_SOCKET, SO_ERROR).map(|told| told[0]), Ok(0));
    let set = sys::set_socket_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    let told = sys::socket_option(socket, SOL_SOCKET, SO_REUSEADDR).map(|told| told[0]);
    checks.equal("SO_REUSEADDR", (set, told), (Ok(()), Ok(1)));
    checks.equal("an unknown option", sys::set_socket_option(socket, SOL_SOCKET, 999, 1), Err(Errno::ENOPROTOOPT));
    checks.equal("lo is up", sys::interface(socket, SIOCGIFFLAGS, b"lo", 0).map(|flags| flags & 9), Ok(9));
    checks.equal("there is no eth0", sys::interface(socket, SIOCGIFFLAGS, b"eth0", 0), Err(Errno::ENODEV));
    checks.equal("nothing to shut", sys::shutdown(socket, SHUT_RD), Err(Errno::ENOTCONN));
    checks.equal("close", close(socket), Ok(()));
}

/// Whether somebody listens at the port and at the name.
fn outside_is_reached() -> bool {
    let port = ask(AF_INET, SOCK_STREAM, &v4_address(LOCALHOST, PORT));
    let name = ask(AF_UNIX, SOCK_STREAM, &unix_address(NAME));
    port == Ok(5) && name == Ok(5)
}

fn namespaces(checks: &mut Checks) {
    let by_port = listen_on(AF_INET, &v4_address(LOCALHOST, PORT)).expect("a port");
    let by_name = listen_on(AF_UNIX, &unix_address(NAME)).expect("a name");
    checks.succeeds("a new network namespace has neither its port nor its name", || {
        if sys::unshare(CLONE_NEWNET).is_err() {
            return 1;
        }
        let address = v4_address(LOCALHOST, PORT);
        let down = ask(AF_INET, SOCK_STREAM, &address) == Err(Errno::ENETUNREACH);
        let Ok(socket) = sys::socket(AF_INET, SOCK_STREAM, 0) else { return 2 };
        let up = sys::interface(socket, SIOCSIFFLAGS, b"lo", 1).is_ok();
        let refused = ask(AF_INET, SOCK_STREAM, &address) == Err(Errno::ECONNREFUSED);
        let unknown = ask(AF_UNIX, SOCK_STREAM, &unix_address(NAME)) == Err(Errno::ECONNREFUSED);
        let own = listen_on(AF_INET, &address).is_ok() && listen_on(AF_UNIX, &unix_address(NAME)).is_ok();
        i32::from(!(down && up && refused && unknown && own)) * 3
    });
    checks.succeeds("an unprivileged process makes none", || {
        let other = sys::setresuid(7, 7, 7);
        i32::from(other.is_err() || sys::unshare(CLONE_NEWNET) != Err(Errno::EPERM))
    });
    let servers = [by_port, by_name].map(|listener| sys::spawn(move || echo(listener, 2)));
    checks.holds("outside both are reached", outside_is_reached());
    let run = |id, lines, word| driver::run(id, &driver::config(lines, &["/bin/network", word])).map(|end| end.status);
    checks.equal("and in a container that shares them", run("shares", "", "outside"), Ok(WaitStatus::Exited(0)));
    checks.equal("the servers end", servers.map(|pid| pid.and_then(wait_for)), [Ok(WaitStatus::Exited(0)); 2]);
    checks.equal(
        "one with its own reaches neither",
        run("own", "namespace=network\n", "inside"),
        Ok(WaitStatus::Exited(0)),
    );
    checks.equal("close", close(by_port).and(close(by_name)), Ok(()));
}

/// In a container: `lo` is up, nobody is there, and the port and the name are free.
fn inside() -> i32 {
    let address = v4_address(LOCALHOST, PORT);
    if ask(AF_INET, SOCK_STREAM, &address) != Err(Errno::ECONNREFUSED) {
        return 1;
    }
    if ask(AF_UNIX, SOCK_STREAM, &unix_address(NAME)) != Err(Errno::ECONNREFUSED) {
        return 2;
    }
    if ask(AF_INET, SOCK_STREAM, &v4_address([10, 0, 0, 1], 80)) != Err(Errno::ENETUNREACH) {
        return 3;
    }
    serve()
}

/// In a container: an echo at the port that only this process finds.
fn serve() -> i32 {
    let (Ok(by_port), Ok(by_name)) =
        (listen_on(AF_INET, &v4_address(LOCALHOST, PORT)), listen_on(AF_UNIX, &unix_address(NAME)))
    else {
        return 4;
    };
    let server = sys::spawn(|| echo(by_port, 1) + echo(by_name, 1));
    let reached = outside_is_reached();
    let ended = server.and_then(wait_for) == Ok(WaitStatus::Exited(0));
    let _ = sys::sleep(20 * MILLISECOND);
    if reached && ended { 0 } else { 5 }
}

/// In a container: full queues until its memory is gone.
fn hog() -> i32 {
    loop {
        let Ok((a, _)) = sys::socketpair(SOCK_STREAM) else { return 3 };
        while sys::send(a, &[7; 4096], MSG_DONTWAIT, None).is_ok() {}
    }
}

fn containers(checks: &mut Checks) {
    let own = "namespace=network\nmemory_limit=16M\n";
    let pair = ["one", "two"].map(|id| {
        let config = driver::config(own, &["/bin/network", "serve"]);
        let container = driver::create(id, &config, CreateFlags::empty()).map_err(|(errno, _)| errno)?;
        sys::container_start(container).map(|()| container)
    });
    for container in pair {
        let end = container.and_then(|fd| driver::wait(fd).and_then(|end| driver::delete(fd).map(|()| end.status)));
        checks.equal("two serve the same port at once", end, Ok(WaitStatus::Exited(0)));
    }
    let hog = driver::config("namespace=network\nmemory_limit=4M\n", &["/bin/network", "hog"]);
    checks.equal("queues count against the memory limit", driver::run("hog", &hog).map(|end| end.oom), Ok(true));
    let before = free_bytes();
    for _ in 0..8 {
        let _ = driver::run("again", &driver::config(own, &["/bin/network", "inside"]));
    }
    let _ = driver::run("hog", &hog);
    let lost = before.saturating_sub(free_bytes());
    checks.holds(format_args!("their memory is back: {lost} bytes are not"), lost < 512 << 10);
}

fn free_bytes() -> u64 {
    sys::sysinfo().map_or(0, |info| info.freeram)
}
