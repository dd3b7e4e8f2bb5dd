//! Unix-domain sockets: pairs, names, passing of descriptors.

use super::{MILLISECOND, NAME, ask, echo, free_bytes};
use linux_raw_sys::general::{O_NONBLOCK, O_RDONLY, POLLHUP, POLLIN, POLLOUT};
use linux_raw_sys::net::{
    AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SO_PEERCRED, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM,
    SOL_SOCKET,
};
use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, wait_for};
use veridian_userland::driver;
use veridian_userland::sys::{self, close, read, unix_address, write};

pub fn pairs(checks: &mut Checks) {
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

pub fn names(checks: &mut Checks) {
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

pub fn passing(checks: &mut Checks) {
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
