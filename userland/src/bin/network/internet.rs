//! TCP, UDP and echo requests, and what files tell of them.

use super::{LOCALHOST, NAME, PORT, ask, echo, listen_on};
use core::ffi::CStr;
use linux_raw_sys::general::{CLONE_NEWNET, SIGPIPE};
use linux_raw_sys::ioctl::{SIOCGIFFLAGS, SIOCSIFFLAGS};
use linux_raw_sys::net::{
    AF_INET, AF_INET6, AF_UNIX, IPPROTO_ICMP, MSG_DONTWAIT, SHUT_RD, SO_ERROR, SO_REUSEADDR, SO_TYPE, SOCK_DGRAM,
    SOCK_RAW, SOCK_STREAM, SOL_SOCKET,
};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, read_text, wait_for, write_text};
use veridian_userland::sys::{self, close, read, unix_address, v4_address, v6_address, write};

pub fn tcp(checks: &mut Checks) {
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

pub fn udp(checks: &mut Checks) {
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

pub fn refusals(checks: &mut Checks) {
    checks.equal("no other family", sys::socket(AF_UNIX + 16, SOCK_RAW, 0), Err(Errno::EAFNOSUPPORT));
    checks.equal("no raw sockets but ICMP's", sys::socket(AF_INET, SOCK_RAW, 6), Err(Errno::EPROTONOSUPPORT));
    checks.equal("of Unix neither", sys::socket(AF_UNIX, SOCK_RAW, 0), Err(Errno::ESOCKTNOSUPPORT));
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

/// A request whose sum and identifier the kernel fills in.
const ECHO: &[u8] = b"\x08\0\0\0\0\0\0\x01payload";

/// Raw sockets show all messages of ICMP, requests and answers, in their packets.
pub fn raw(checks: &mut Checks) {
    const ICMP: u32 = IPPROTO_ICMP as u32;
    const HEADER: usize = 20;
    checks.succeeds("a raw socket takes CAP_NET_RAW", || {
        let other = sys::setresuid(7, 7, 7);
        i32::from(other.is_err() || sys::socket(AF_INET, SOCK_RAW, ICMP) != Err(Errno::EPERM))
    });
    let sender = sys::socket(AF_INET, SOCK_RAW, ICMP).expect("a raw socket");
    let other = sys::socket(AF_INET, SOCK_RAW, ICMP).expect("a raw socket");
    let address = v4_address(LOCALHOST, 0);
    let mut request = [0; ECHO.len()];
    request.copy_from_slice(ECHO);
    request[5] = 77;
    checks.equal("it sends", sys::send(sender, &request, 0, Some(&address)), Ok(request.len()));
    for (whose, socket) in [("it", sender), ("and another", other)] {
        for (what, kind) in [("the request", 8), ("and the answer", 0)] {
            let mut packet = [0; 64];
            let read = sys::receive(socket, &mut packet, MSG_DONTWAIT);
            let seen = (read, packet[0], packet[9], packet[HEADER], packet[HEADER + 5]);
            checks.equal(format_args!("{whose} sees {what}"), seen, (Ok(HEADER + request.len()), 0x45, 1, kind, 77));
        }
        checks.equal("and no more", sys::receive(socket, &mut [0; 64], MSG_DONTWAIT), Err(Errno::EAGAIN));
    }
    checks.equal("one that is bound elsewhere", sys::bind(other, &v4_address([127, 0, 0, 9], 0)), Ok(()));
    checks.equal("sees nothing", sys::send(sender, b"no echo", 0, Some(&address)), Ok(7));
    checks.equal("of it", sys::receive(other, &mut [0; 64], MSG_DONTWAIT), Err(Errno::EAGAIN));
    checks.equal("which nobody answers", sys::receive(sender, &mut [0; 64], MSG_DONTWAIT), Ok(HEADER + 7));
    let last = sys::receive(sender, &mut [0; 64], MSG_DONTWAIT);
    checks.equal("but its sender sees", last, Err(Errno::EAGAIN));
    checks.equal("close", close(sender).and(close(other)), Ok(()));
}

/// Echo requests without a raw socket.
pub fn echoes(checks: &mut Checks) {
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
pub fn texts(checks: &mut Checks) {
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
