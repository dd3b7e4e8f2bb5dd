//! Sockets without programs: two sides in one test.

use super::{Address, Asker, Family, Kind, Outgoing, Socket, UnixName};
use crate::{
    cgroup::{Cgroup, MemoryGroup, memory::Books},
    namespace::{NetworkNamespace, Pid, PidNamespace, UserNamespace},
    security::Credentials,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    net::{Ipv4Addr, SocketAddr},
    task::{Context, Poll, Waker},
};
use veridian_containers::abi::Errno;
use veridian_hal::{arch::hosted, mem};

struct World {
    namespace: Arc<NetworkNamespace>,
    credentials: Credentials,
    group: Arc<Cgroup>,
    pid: Pid,
}

impl World {
    fn new() -> Self {
        hosted::init(16 << 20);
        mem::set_ledger(&Books);
        let namespace = NetworkNamespace::new(UserNamespace::first());
        namespace.loopback.set_up(true);
        let pid = PidNamespace::first().allocate().expect("a pid");
        Self { namespace: Arc::new(namespace), credentials: Credentials::root(), group: Cgroup::root(), pid }
    }

    fn asker(&self) -> Asker<'_> {
        let memory: &MemoryGroup = &self.group.memory;
        Asker { credentials: &self.credentials, memory, pid: &self.pid, files_under_way: 16 }
    }

    fn socket(&self, family: Family, kind: Kind) -> Arc<Socket> {
        Socket::new(&self.namespace, family, kind, &self.asker()).expect("a socket")
    }

    fn connect(&self, socket: &Arc<Socket>, to: Address) -> Poll<Result<(), Errno>> {
        socket.poll_connect(&cx(), &self.asker(), &Outgoing::Address(to))
    }

    fn send(&self, socket: &Arc<Socket>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        socket.poll_send(&cx(), &self.asker(), &mut &*bytes, &Outgoing::Peer, &mut Vec::new())
    }

    fn receive(&self, socket: &Socket, length: usize) -> Poll<Result<usize, Errno>> {
        let mut buffer = alloc::vec![0; length];
        socket.poll_receive(&cx(), &mut buffer.as_mut_slice(), false).map_ok(|received| received.bytes)
    }
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn at(last: u8, port: u16) -> Address {
    Address::Ip(SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), port))
}

fn name(name: &[u8]) -> Address {
    Address::Unix(UnixName::Abstract(name.into()))
}

#[test]
fn a_connection_carries_bytes_until_it_is_shut() {
    let world = World::new();
    for (family, address) in [(Family::V4, at(1, 80)), (Family::Unix, name(b"x"))] {
        let listener = world.socket(family, Kind::Stream);
        let client = world.socket(family, Kind::Stream);
        assert_eq!(world.connect(&client, address.clone()), Poll::Ready(Err(Errno::ECONNREFUSED)));
        listener.bind(&world.asker(), address.clone()).expect("bound");
        assert_eq!(world.connect(&client, address.clone()), Poll::Ready(Err(Errno::ECONNREFUSED)));
        listener.listen(&world.asker(), 0).expect("listens");
        assert_eq!(world.connect(&client, address.clone()), Poll::Ready(Ok(())));
        let late = world.socket(family, Kind::Stream);
        assert_eq!(world.connect(&late, address.clone()), Poll::Pending);
        let Poll::Ready(Ok(server)) = listener.poll_accept(&cx()) else { panic!("nothing to accept") };
        assert!(listener.poll_accept(&cx()).is_pending());
        assert_eq!(world.receive(&server, 8), Poll::Pending);
        assert_eq!(world.send(&client, b"hello"), Poll::Ready(Ok(5)));
        assert_eq!(world.receive(&server, 3), Poll::Ready(Ok(3)));
        assert_eq!(world.receive(&server, 8), Poll::Ready(Ok(2)));
        client.shut(false, true).expect("shut");
        assert_eq!(world.receive(&server, 8), Poll::Ready(Ok(0)));
        assert_eq!(world.send(&client, b"x"), Poll::Ready(Err(Errno::EPIPE)));
        assert_eq!(world.send(&server, b"x"), Poll::Ready(Ok(1)));
        drop(client);
        assert_eq!(world.receive(&server, 8), Poll::Ready(Err(Errno::ECONNRESET)));
        assert_eq!(world.send(&server, b"x"), Poll::Ready(Err(Errno::EPIPE)));
    }
    assert_eq!(world.namespace.pool.bytes(), 0);
}

#[test]
fn ports_are_taken_by_address_and_given_back() {
    let world = World::new();
    let (one, other, all) = (
        world.socket(Family::V4, Kind::Stream),
        world.socket(Family::V4, Kind::Stream),
        world.socket(Family::V4, Kind::Stream),
    );
    assert_eq!(one.bind(&world.asker(), at(1, 80)), Ok(()));
    assert_eq!(one.bind(&world.asker(), at(1, 81)), Err(Errno::EINVAL));
    assert_eq!(other.bind(&world.asker(), at(1, 80)), Err(Errno::EADDRINUSE));
    assert_eq!(other.bind(&world.asker(), at(2, 80)), Ok(()));
    let any = Address::Ip(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 80));
    assert_eq!(all.bind(&world.asker(), any.clone()), Err(Errno::EADDRINUSE));
    drop((one, other));
    assert_eq!(all.bind(&world.asker(), any), Ok(()));
    let udp = world.socket(Family::V4, Kind::Datagram);
    assert_eq!(udp.bind(&world.asker(), at(1, 80)), Ok(()));
    let elsewhere = Address::Ip(SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), 80));
    let stranger = world.socket(Family::V4, Kind::Datagram);
    assert_eq!(stranger.bind(&world.asker(), elsewhere), Err(Errno::EADDRNOTAVAIL));
    let mut poor = world.credentials.clone();
    poor.effective = crate::security::Capabilities::empty();
    let asker = Asker { credentials: &poor, ..world.asker() };
    assert_eq!(stranger.bind(&asker, at(1, 1023)), Err(Errno::EACCES));
    world.namespace.set_sysctl("net/ipv4/ip_unprivileged_port_start", "1023").expect("set");
    assert_eq!(stranger.bind(&asker, at(1, 1023)), Ok(()));
}

#[test]
fn namespaces_do_not_see_each_other() {
    let (here, there) = (World::new(), World::new());
    let listener = here.socket(Family::V4, Kind::Stream);
    listener.bind(&here.asker(), at(1, 80)).and_then(|()| listener.listen(&here.asker(), 1)).expect("listens");
    let client = there.socket(Family::V4, Kind::Stream);
    assert_eq!(there.connect(&client, at(1, 80)), Poll::Ready(Err(Errno::ECONNREFUSED)));
    there.namespace.loopback.set_up(false);
    assert_eq!(there.connect(&client, at(1, 80)), Poll::Ready(Err(Errno::ENETUNREACH)));
}

#[test]
fn packets_keep_their_borders_and_queues_their_bounds() {
    let world = World::new();
    let (a, b) = Socket::pair(&world.namespace, Kind::Packets, &world.asker()).expect("a pair");
    assert_eq!(world.send(&a, b"first"), Poll::Ready(Ok(5)));
    assert_eq!(world.send(&a, b""), Poll::Ready(Ok(0)));
    assert_eq!(world.send(&a, b"second"), Poll::Ready(Ok(6)));
    assert_eq!(world.receive(&b, 2), Poll::Ready(Ok(2)));
    assert_eq!(world.receive(&b, 8), Poll::Ready(Ok(0)));
    assert_eq!(world.receive(&b, 8), Poll::Ready(Ok(6)));
    while world.send(&a, &[7; 1000]).is_ready() {}
    assert!(world.namespace.pool.bytes() < 2 * super::inbox::CAPACITY);
    assert_eq!(world.send(&a, &[7; 300_000]), Poll::Ready(Err(Errno::EMSGSIZE)));
    drop(b);
    assert_eq!(world.send(&a, b"x"), Poll::Ready(Err(Errno::EPIPE)));
    drop(a);
    assert_eq!(world.namespace.pool.bytes(), 0);
}
