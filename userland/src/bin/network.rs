//! Driver: Unix-domain, TCP and UDP sockets; passing of descriptors; and that nothing leads from one network namespace to
//! another.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{
    CLONE_NEWNET, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP,
    O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, POLLHUP, POLLIN, POLLOUT, SIGCONT, SIGKILL, SIGPIPE, SIGSTOP, WUNTRACED,
};
use linux_raw_sys::ioctl::{SIOCGIFFLAGS, SIOCSIFFLAGS};
use linux_raw_sys::net::{
    AF_INET, AF_INET6, AF_UNIX, IPPROTO_ICMP, IPPROTO_TCP, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_RD, SHUT_WR,
    SO_ERROR, SO_PEERCRED, SO_REUSEADDR, SO_TYPE, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET,
    TCP_KEEPIDLE, TCP_NODELAY,
};
use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, await_sleep, enter_scratch, read_text, wait_for, write_text};
use veridian_userland::sys::{self, Fd, Start, close, read, unix_address, v4_address, v6_address, write};
use veridian_userland::{driver, program, text};

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
    echoes(&mut checks);
    texts(&mut checks);
    namespaces(&mut checks);
    containers(&mut checks);
    races(&mut checks);
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
    checks.succeeds("1024 files of a user are under way at most", || {
        let Ok(()) = sys::setresuid(7, 7, 7) else { return 1 };
        let pair = || sys::socketpair(SOCK_DGRAM).expect("a pair");
        let (a, b) = pair();
        let sent = (0..1000).take_while(|_| sys::send_files(a, b"", &[from; 4]).is_ok()).count();
        let refused = sys::send_files(a, b"", &[from]);
        // Closed, they are under way no more.
        let again = close(a).and(close(b)).and_then(|()| sys::send_files(pair().0, b"x", &[from]));
        if (sent, refused, again) == (256, Err(Errno::ETOOMANYREFS), Ok(1)) { 0 } else { 2 }
    });
    checks.equal("close", close(from), Ok(()));
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

/// Several messages in one call.
fn many(checks: &mut Checks) {
    let (a, b) = sys::socketpair(SOCK_DGRAM).expect("a pair");
    checks.equal("two are sent at once", sys::send_two(a, [b"first", b"second"]), Ok(2));
    let (mut first, mut second) = ([0; 8], [0; 8]);
    checks.equal("and received", sys::receive_two(b, [&mut first, &mut second]), Ok((2, [5, 6])));
    checks.holds("each in its place", first.starts_with(b"first") && second.starts_with(b"second"));
    checks.equal("one is sent", write(a, b"third"), Ok(5));
    checks.equal("and the other not waited for", sys::receive_two(b, [&mut first, &mut second]), Ok((1, [5, 0])));
    checks.equal("close", close(a).and(close(b)), Ok(()));
    let (a, b) = sys::socketpair(SOCK_STREAM).expect("a pair");
    checks.equal("nobody reads", close(b), Ok(()));
    let _ = sys::ignore_signal(SIGPIPE, true);
    checks.equal("an error is told of the first", sys::send_two(a, [b"x", b"y"]), Err(Errno::EPIPE));
    let _ = sys::ignore_signal(SIGPIPE, false);
    checks.equal("close", close(a), Ok(()));
    // What is kept without effect is told as it was set.
    let socket = sys::socket(AF_INET, SOCK_STREAM, 0).expect("a socket");
    for (level, name, value) in [(IPPROTO_TCP as u32, TCP_NODELAY, 1), (IPPROTO_TCP as u32, TCP_KEEPIDLE, 60)] {
        let set = sys::set_socket_option(socket, level, name, value);
        let told = sys::socket_option(socket, level, name).map(|told| told[0]);
        checks.equal("an option is kept", (set, told), (Ok(()), Ok(value)));
    }
    let refused = sys::set_socket_option(socket, IPPROTO_TCP as u32, TCP_KEEPIDLE, 0);
    checks.equal("but no value out of its range", refused, Err(Errno::EINVAL));
    checks.equal("close", close(socket), Ok(()));
}

/// A call that was stopped in the middle does not send again what it has sent.
fn stopped(checks: &mut Checks) {
    const LENGTH: usize = 600_000;
    let (a, b) = sys::socketpair(SOCK_STREAM).expect("a pair");
    let child = sys::spawn(|| {
        // As many bytes as it is told were taken.
        let bytes = sys::buffer(LENGTH).expect("memory");
        let mut sent = 0;
        while sent < LENGTH {
            let Ok(count) = write(a, &bytes[sent..]) else { return 1 };
            sent += count;
        }
        0
    });
    let child = child.expect("a child");
    let stop = || {
        await_sleep("/tmp/p", child);
        sys::kill(child, SIGSTOP).and(sys::wait4(child, WUNTRACED).map(drop)).and(sys::kill(child, SIGCONT))
    };
    checks.equal("a sender is stopped, and goes on", stop(), Ok(()));
    checks.equal("and so again", stop(), Ok(()));
    checks.equal("close", close(a), Ok(()));
    let mut buffer = [0; 4096];
    let mut received = 0;
    while let Ok(count @ 1..) = read(b, &mut buffer) {
        received += count;
    }
    checks.equal("no byte comes twice", received, LENGTH);
    checks.equal("the sender ends", wait_for(child), Ok(WaitStatus::Exited(0)));
    checks.equal("close", close(b), Ok(()));
}

/// epoll on sockets and pipes.
fn events(checks: &mut Checks) {
    let epoll = sys::epoll().expect("an epoll");
    let (a, b) = sys::socketpair(SOCK_STREAM).expect("a pair");
    let watch = |what, fd, events, data| sys::epoll_set(epoll, what, fd, events, data);
    checks.equal("a socket is watched", watch(EPOLL_CTL_ADD, b, EPOLLIN, 7), Ok(()));
    checks.equal("once", watch(EPOLL_CTL_ADD, b, EPOLLIN, 7), Err(Errno::EEXIST));
    checks.equal("not itself", watch(EPOLL_CTL_ADD, epoll, EPOLLIN, 7), Err(Errno::EINVAL));
    let file = sys::openat(sys::AT_FDCWD, c"/tmp/file", O_CREAT | O_RDWR, 0o600).expect("a file");
    checks.equal("nor a file", watch(EPOLL_CTL_ADD, file, EPOLLIN, 7), Err(Errno::EPERM));
    checks.equal("nor what is not open", watch(EPOLL_CTL_ADD, 99, EPOLLIN, 7), Err(Errno::EBADF));
    checks.equal("what is not watched is not set", watch(EPOLL_CTL_MOD, a, EPOLLIN, 7), Err(Errno::ENOENT));
    checks.equal("nor is a file an epoll", sys::epoll_set(file, EPOLL_CTL_ADD, b, EPOLLIN, 7), Err(Errno::EINVAL));
    checks.equal("nothing is ready", sys::epoll_wait(epoll, 0), Ok((0, 0, 0)));
    let begin = sys::now();
    checks.equal("and not for a while", sys::epoll_wait(epoll, 20), Ok((0, 0, 0)));
    checks.holds("that lasts", sys::now() - begin >= 20 * MILLISECOND);
    let ready = Ok((1, EPOLLIN, 7));
    checks.equal("bytes come", write(a, b"x"), Ok(1));
    checks.equal("and are told", [(); 2].map(|()| sys::epoll_wait(epoll, -1)), [ready; 2]);
    checks.equal("until they are read", read(b, &mut [0]).and(sys::epoll_wait(epoll, 0)), Ok((0, 0, 0)));
    checks.equal("at an edge", watch(EPOLL_CTL_MOD, b, EPOLLIN | EPOLLET, 7).and(write(a, b"x")), Ok(1));
    let told = [(); 2].map(|()| sys::epoll_wait(epoll, 0));
    checks.equal("they are told once", told, [ready, Ok((0, 0, 0))]);
    checks.equal("and again when more come", write(a, b"x").and(sys::epoll_wait(epoll, 0)), ready);
    let once = watch(EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 7);
    let told = [(); 2].map(|()| sys::epoll_wait(epoll, 0));
    checks.equal("or once and no more", (once, told), (Ok(()), [ready, Ok((0, 0, 0))]));
    let again = watch(EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 8).and(sys::epoll_wait(epoll, 0));
    checks.equal("until it is set anew", again, Ok((1, EPOLLIN, 8)));
    checks.equal("not watched any more", watch(EPOLL_CTL_DEL, b, 0, 0), Ok(()));
    checks.equal("nothing is told", sys::epoll_wait(epoll, 0), Ok((0, 0, 0)));
    // A child's write wakes who waits.
    checks.equal("read", read(b, &mut [0; 8]), Ok(2));
    checks.equal("watched", watch(EPOLL_CTL_ADD, b, EPOLLIN | EPOLLRDHUP, 9), Ok(()));
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(write(a, b"late") != Ok(4))
    });
    checks.equal("who waits is woken", sys::epoll_wait(epoll, -1), Ok((1, EPOLLIN, 9)));
    checks.equal("by a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    // The same in sets of bits.
    let bits = |fds: &[Fd]| fds.iter().fold(0, |set, fd| set | 1 << fd);
    let selected = sys::select(bits(&[a, b]), bits(&[a]), None);
    checks.equal("select tells which", selected, Ok((2, bits(&[b]), bits(&[a]))));
    checks.equal("or that the time is over", sys::select(bits(&[a]), 0, Some(MILLISECOND)), Ok((0, 0, 0)));
    checks.equal("nothing of what is not open", sys::select(1 << 50, 0, None), Err(Errno::EBADF));
    // Epolls watch each other, but not in a circle or a long chain.
    let outer = sys::epoll().expect("an epoll");
    checks.equal("an epoll is watched", sys::epoll_set(outer, EPOLL_CTL_ADD, epoll, EPOLLIN, 3), Ok(()));
    checks.equal("and ready with what it watches", sys::epoll_wait(outer, -1), Ok((1, EPOLLIN, 3)));
    checks.equal("not in a circle", watch(EPOLL_CTL_ADD, outer, EPOLLIN, 0), Err(Errno::ELOOP));
    checks.equal("read", read(b, &mut [0; 8]), Ok(4));
    checks.equal("nor longer than that", sys::epoll_wait(outer, 0), Ok((0, 0, 0)));
    let hung = sys::shutdown(a, SHUT_WR).and(sys::epoll_wait(epoll, 0));
    checks.equal("the end is told", hung, Ok((1, EPOLLIN | EPOLLRDHUP, 9)));
    checks.equal("with its last descriptor a watch ends", close(b).and(sys::epoll_wait(epoll, 0)), Ok((0, 0, 0)));
    checks.equal("close", [a, epoll, outer, file].map(close), [Ok(()); 4]);
    // Watches are paid for, and go with their epoll.
    let before = free_bytes();
    let (from, to) = sys::pipe(0).expect("a pipe");
    for _ in 0..64 {
        let epoll = sys::epoll().expect("an epoll");
        let _ = sys::epoll_set(epoll, EPOLL_CTL_ADD, from, EPOLLIN, 0);
        let _ = sys::epoll_set(epoll, EPOLL_CTL_ADD, to, EPOLLOUT | EPOLLET, 0);
        let _ = close(epoll);
    }
    checks.equal("close", close(from).and(close(to)), Ok(()));
    let lost = before.saturating_sub(free_bytes());
    checks.holds(format_args!("closed epolls leave nothing: {lost} bytes are not back"), lost < 64 << 10);
}

/// A request whose sum and identifier the kernel fills in.
const ECHO: &[u8] = b"\x08\0\0\0\0\0\0\x01payload";

/// Echo requests without a raw socket.
fn echoes(checks: &mut Checks) {
    const ICMP: u32 = IPPROTO_ICMP as u32;
    checks.equal("nobody may ping at first: EACCES", sys::socket(AF_INET, SOCK_DGRAM, ICMP), Err(Errno::EACCES));
    checks.succeeds("but in a namespace that lets them", || {
        let made =
            sys::unshare(CLONE_NEWNET).and(write_text(c"/tmp/p/sys/net/ipv4/ping_group_range", "0 2147483647\n"));
        let Ok(socket) = made.and_then(|()| sys::socket(AF_INET, SOCK_DGRAM, ICMP)) else { return 1 };
        let localhost = v4_address(LOCALHOST, 0);
        if sys::send(socket, ECHO, 0, Some(&localhost)) != Err(Errno::ENETUNREACH) {
            return 2;
        }
        let _ = sys::interface(socket, SIOCSIFFLAGS, b"lo", 1);
        if sys::send(socket, b"no request", 0, Some(&localhost)) != Err(Errno::EINVAL)
            || sys::send(socket, ECHO, 0, Some(&v4_address([8, 8, 8, 8], 0))) != Err(Errno::ENETUNREACH)
            || sys::send(socket, ECHO, 0, Some(&localhost)) != Ok(ECHO.len())
        {
            return 3;
        }
        let mut answer = [0; 64];
        let Ok((length, from)) = sys::receive_from(socket, &mut answer) else { return 4 };
        let is_answer = length == ECHO.len() && answer[0] == 0 && answer[6..length] == ECHO[6..];
        i32::from(!is_answer || from[4..8] != LOCALHOST) * 5
    });
}

/// What procfs and sysfs tell.
fn texts(checks: &mut Checks) {
    let listener = listen_on(AF_INET, &v4_address(LOCALHOST, PORT)).expect("a port");
    let bound = sys::socket(AF_INET6, SOCK_DGRAM, 0).expect("a socket");
    checks.equal("a UDP socket is bound", sys::bind(bound, &v6_address(PORT)), Ok(()));
    let named = listen_on(AF_UNIX, &unix_address(NAME)).expect("a name");
    let has = |path: &CStr, word: &str| read_text::<8192>(path).is_ok_and(|told| told.contains(word));
    let tcp = "0100007F:1092 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 ";
    checks.holds("TCP's sockets are listed", has(c"/tmp/p/self/net/tcp", tcp));
    checks.holds("UDP's over IPv6", has(c"/tmp/p/net/udp6", "00000000000000000000000001000000:1092"));
    checks.holds("Unix-domain ones", has(c"/tmp/p/net/unix", "@everywhere"));
    checks.holds("the interface", has(c"/tmp/p/net/dev", "    lo: "));
    checks.holds("its addresses", has(c"/tmp/p/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo"));
    checks.holds("no routes but the loopback's own", has(c"/tmp/p/net/route", "Iface\tDestination"));
    checks.equal("sysfs", read_text::<16>(c"/tmp/s/class/net/lo/mtu").as_deref(), Ok("65536\n"));
    checks.equal("tells its flags", read_text::<16>(c"/tmp/s/class/net/lo/flags").as_deref(), Ok("0x9\n"));
    checks.succeeds("of a new namespace they tell nothing of this one", || {
        let left = sys::unshare(CLONE_NEWNET);
        let lines = |path| read_text::<512>(path).map_or(0, |told| told.lines().count());
        let empty = [c"/tmp/p/self/net/tcp", c"/tmp/p/self/net/udp6", c"/tmp/p/self/net/unix"].map(lines) == [1; 3];
        let down = read_text::<16>(c"/tmp/s/class/net/lo/flags").as_deref() == Ok("0x8\n");
        i32::from(left.is_err() || !empty || !down)
    });
    checks.equal("close", [listener, bound, named].map(close), [Ok(()); 3]);
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
    checks.succeeds("it can be joined by its file", || {
        let (from, to) = sys::pipe(0).expect("a pipe");
        let child = sys::spawn(|| {
            let socket = sys::unshare(CLONE_NEWNET).and_then(|()| sys::socket(AF_INET, SOCK_STREAM, 0));
            let up = socket.and_then(|socket| sys::interface(socket, SIOCSIFFLAGS, b"lo", 1));
            let ready = up.and_then(|_| listen_on(AF_INET, &v4_address([127, 0, 0, 9], PORT)));
            let told = ready.and_then(|_| write(to, b"x"));
            let _ = sys::sleep(60_000 * MILLISECOND);
            i32::from(told.is_err())
        });
        let Ok(child) = child else { return 1 };
        let _ = read(from, &mut [0]);
        let path = text!(64, "/tmp/p/{child}/ns/net\0");
        let path = CStr::from_bytes_until_nul(path.as_bytes()).expect("a NUL at its end");
        // What was made before belongs to where it was made.
        let Ok(old) = sys::socket(AF_INET, SOCK_STREAM, 0) else { return 2 };
        let joined = sys::open(path, O_RDONLY).and_then(|file| sys::setns(file, CLONE_NEWNET));
        let there = v4_address([127, 0, 0, 9], PORT);
        let inside = sys::socket(AF_INET, SOCK_STREAM, 0).and_then(|socket| sys::connect(socket, &there));
        let outside = sys::connect(old, &there);
        let ended = sys::kill(child, SIGKILL).and_then(|()| wait_for(child));
        i32::from(joined.is_err() || inside.is_err() || outside != Err(Errno::ECONNREFUSED) || ended.is_err()) * 3
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

/// In a container: what its configuration has set.
fn is_set() -> i32 {
    let free = sys::setresuid(7, 7, 7).and_then(|()| listen_on(AF_INET, &v4_address(LOCALHOST, 80)));
    let ping = sys::socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP as u32);
    i32::from(free.is_err() || ping.is_err())
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
    // One that is joined by its path: of a process that waits in it.
    let (from, to) = sys::pipe(0).expect("a pipe");
    let child = sys::spawn(|| {
        let made = sys::unshare(CLONE_NEWNET).and_then(|()| sys::socket(AF_INET, SOCK_STREAM, 0));
        let up = made.and_then(|socket| sys::interface(socket, SIOCSIFFLAGS, b"lo", 1));
        let listening = [listen_on(AF_INET, &v4_address(LOCALHOST, PORT)), listen_on(AF_UNIX, &unix_address(NAME))];
        let ready = up.and_then(|_| write(to, b"x"));
        ready.map_or(1, |_| listening.map(|listener| listener.map_or(2, |listener| echo(listener, 1))).iter().sum())
    });
    let child = child.expect("a child");
    checks.equal("a namespace waits", read(from, &mut [0]), Ok(1));
    let joined = text!(128, "namespace=network:/tmp/p/{child}/ns/net\n");
    let joined = driver::run("joined", &driver::config(&joined, &["/bin/network", "outside"])).map(|end| end.status);
    checks.equal("a container joins it by its path", joined, Ok(WaitStatus::Exited(0)));
    checks.equal("and was heard there", wait_for(child), Ok(WaitStatus::Exited(0)));
    checks.equal("close", close(from).and(close(to)), Ok(()));
    let wrong = driver::config("namespace=network:/tmp/p/self/ns/uts\n", &["/bin/network", "outside"]);
    let wrong = driver::create("wrong", &wrong, CreateFlags::empty()).map_err(|(errno, _)| errno);
    checks.equal("not one of another kind", wrong, Err(Errno::EINVAL));
    let docker = "namespace=network\nsysctl=net.ipv4.ip_unprivileged_port_start=0\n\
        sysctl=net.ipv4.ping_group_range=0 2147483647\n";
    let set = driver::run("set", &driver::config(docker, &["/bin/network", "set"])).map(|end| end.status);
    checks.equal("a configuration sets what a namespace lets users do", set, Ok(WaitStatus::Exited(0)));
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

/// Sockets that several processes use, bind, connect, pass and close at once, in a namespace of their own.
fn races(checks: &mut Checks) {
    const ROUNDS: usize = 100;
    let before = free_bytes();
    checks.succeeds("what several do with the same sockets at once leaves nothing bound", || {
        let Ok(()) = sys::unshare(CLONE_NEWNET) else { return 1 };
        let shared = [(); 4].map(|()| sys::socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0).expect("a socket"));
        let (a, b) = sys::socketpair(SOCK_STREAM | O_NONBLOCK).expect("a pair");
        let name = unix_address(NAME);
        let busy = |own: usize| {
            for round in 0..ROUNDS {
                let socket = shared[(own + round) % shared.len()];
                let _ = sys::bind(socket, &unix_address(&[0, b'a' + (round % 3) as u8]));
                let _ = sys::listen(socket, 2);
                let mine = sys::socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0).expect("a socket");
                let _ = sys::bind(mine, &name).and(sys::listen(mine, 1));
                let other = sys::socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0).expect("a socket");
                let connected = sys::connect(other, &name);
                // Two connect the same one: it is connected once.
                let again = sys::connect(shared[own], &name);
                let accepted = sys::accept(mine, 0);
                let _ = sys::send_files(a, b"x", &[mine, other]);
                let _ = sys::send_files(b, b"x", &[a]);
                if let Ok((_, count, files)) = sys::receive_files(b, &mut [0]) {
                    for &fd in &files[..count] {
                        let _ = close(fd);
                    }
                }
                let _ = (connected, again, accepted.and_then(close));
                if close(mine).and(close(other)).is_err() {
                    return 1;
                }
            }
            0
        };
        let children = [0, 1, 2, 3].map(|own| sys::spawn(|| busy(own)));
        if children.map(|child| child.and_then(wait_for)) != [Ok(WaitStatus::Exited(0)); 4] {
            return 2;
        }
        let ended = shared.map(close) == [Ok(()); 4] && [a, b].map(close) == [Ok(()); 2];
        let lines = read_text::<2048>(c"/tmp/p/self/net/unix").map_or(0, |told| told.lines().count());
        i32::from(!ended || lines != 1) * 3
    });
    let lost = before.saturating_sub(free_bytes());
    checks.holds(format_args!("nor in memory: {lost} bytes are not back"), lost < 64 << 10);
}

fn free_bytes() -> u64 {
    sys::sysinfo().map_or(0, |info| info.freeram)
}
