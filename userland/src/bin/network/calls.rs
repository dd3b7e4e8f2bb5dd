//! Several messages in one call, calls that are stopped, epoll.

use super::{MILLISECOND, free_bytes};
use linux_raw_sys::general::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, O_CREAT, O_RDWR,
    SIGCONT, SIGPIPE, SIGSTOP, WUNTRACED,
};
use linux_raw_sys::net::{AF_INET, IPPROTO_TCP, SHUT_WR, SOCK_DGRAM, SOCK_STREAM, TCP_KEEPIDLE, TCP_NODELAY};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, await_sleep, wait_for};
use veridian_userland::sys::{self, Fd, close, read, write};

/// Several messages in one call.
pub fn many(checks: &mut Checks) {
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
pub fn stopped(checks: &mut Checks) {
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
pub fn events(checks: &mut Checks) {
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
