//! Network namespaces: that nothing leads from one to another; and sockets that many use at once.

use super::{LOCALHOST, MILLISECOND, NAME, PORT, ask, echo, free_bytes, listen_on};
use core::ffi::CStr;
use linux_raw_sys::general::{CLONE_NEWNET, O_NONBLOCK, O_RDONLY, SIGKILL};
use linux_raw_sys::ioctl::SIOCSIFFLAGS;
use linux_raw_sys::net::{AF_INET, AF_UNIX, IPPROTO_ICMP, MSG_DONTWAIT, SOCK_DGRAM, SOCK_STREAM};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, read_text, wait_for};
use veridian_userland::sys::{self, close, read, unix_address, v4_address, write};
use veridian_userland::{driver, text};

/// Whether somebody listens at the port and at the name.
pub fn outside_is_reached() -> bool {
    let port = ask(AF_INET, SOCK_STREAM, &v4_address(LOCALHOST, PORT));
    let name = ask(AF_UNIX, SOCK_STREAM, &unix_address(NAME));
    port == Ok(5) && name == Ok(5)
}

pub fn namespaces(checks: &mut Checks) {
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
pub fn inside() -> i32 {
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
pub fn serve() -> i32 {
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
pub fn is_set() -> i32 {
    let free = sys::setresuid(7, 7, 7).and_then(|()| listen_on(AF_INET, &v4_address(LOCALHOST, 80)));
    let ping = sys::socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP as u32);
    i32::from(free.is_err() || ping.is_err())
}

/// In a container: full queues until its memory is gone.
pub fn hog() -> i32 {
    loop {
        let Ok((a, _)) = sys::socketpair(SOCK_STREAM) else { return 3 };
        while sys::send(a, &[7; 4096], MSG_DONTWAIT, None).is_ok() {}
    }
}

pub fn containers(checks: &mut Checks) {
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
pub fn races(checks: &mut Checks) {
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
