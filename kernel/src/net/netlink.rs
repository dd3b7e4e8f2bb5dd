//! rtnetlink(7): requests to the kernel about the network, answered at once into the asker's own queue. There is one
//! interface, whose addresses and routes cannot be changed: it is told, and brought up and down.

use super::{Address, Asker, Interface, Packet, Socket, inbox::PACKET_BYTES};
use crate::{fs::io::Source, mm::filled, namespace::NetworkNamespace, security::Capabilities};
use alloc::{sync::Arc, vec, vec::Vec};
use veridian_containers::abi::Errno;

/// Bytes of a message's header: length, type, flags, number, port.
const HEADER: usize = 16;

// Types of messages (linux/netlink.h, linux/rtnetlink.h).
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_FIRST: u16 = 16;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;

// Flags of messages.
const REQUEST: u16 = 1;
const MULTI: u16 = 2;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

// Attributes.
const IFLA_ADDRESS: u16 = 1;
const IFLA_BROADCAST: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_QDISC: u16 = 6;
const IFLA_TXQLEN: u16 = 13;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKMODE: u16 = 17;
const IFLA_STATS64: u16 = 23;
const IFLA_GROUP: u16 = 27;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;

/// Of an address: it does not run out (IFA_F_PERMANENT).
const PERMANENT: u8 = 0x80;
/// RT_SCOPE_HOST.
const SCOPE_HOST: u8 = 254;
/// RT_TABLE_LOCAL.
const TABLE_LOCAL: u8 = 255;
/// RTPROT_KERNEL.
const BY_KERNEL: u8 = 2;
/// RTN_LOCAL.
const LOCAL: u8 = 2;
/// IFF_RUNNING and IFF_LOWER_UP.
const RUNNING: u32 = 0x1_0040;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// What is told of a message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    length: usize,
    kind: u16,
    flags: u16,
    number: u32,
}

impl Header {
    /// The header at the start of `bytes`, which has all of its message; `None` where there is none.
    fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEADER>()?;
        let short = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = word(0) as usize;
        (HEADER..=bytes.len()).contains(&length).then(|| Self {
            length,
            kind: short(4),
            flags: short(6),
            number: word(8),
        })
    }
}

/// Answers to one asker.
struct Answers {
    bytes: Vec<u8>,
    port: u32,
    number: u32,
}

impl Answers {
    /// Adds a message of a fixed part and attributes.
    fn add(&mut self, kind: u16, flags: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.number.to_ne_bytes());
        self.bytes.extend_from_slice(&self.port.to_ne_bytes());
        self.bytes.extend_from_slice(fixed);
        for (name, value) in attributes {
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
            self.bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
            self.bytes.extend_from_slice(&name.to_ne_bytes());
            self.bytes.extend_from_slice(value);
        }
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Tells how a request came out: with all of it if it failed, with its header alone if not.
    fn acknowledge(&mut self, request: &[u8], result: Result<(), Errno>) {
        let code = result.map_or_else(|errno| errno.to_return() as i32, |()| 0);
        let told = if code == 0 { &request[..HEADER] } else { request };
        self.add(NLMSG_ERROR, 0, &[&code.to_ne_bytes(), told].concat(), &[]);
    }
}

/// The attributes of `bytes`, one after the other: EINVAL for what is none.
fn attributes(mut bytes: &[u8]) -> Result<Vec<(u16, &[u8])>, Errno> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let name = u16::from_ne_bytes([bytes[2], bytes[3]]);
        let value = bytes.get(4..length).ok_or(Errno::EINVAL)?;
        found.push((name, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

/// A name as programs write it, with a NUL or without.
fn is_loopback(name: &[u8]) -> bool {
    name.split(|&byte| byte == 0).next() == Some(Interface::NAME)
}

/// Serves the requests of a packet; gives the answers, and (apart, as Linux does) what ends a list.
fn serve(namespace: &NetworkNamespace, may_change: bool, port: u32, mut packet: &[u8]) -> [Vec<u8>; 2] {
    let mut answers = Answers { bytes: Vec::new(), port, number: 0 };
    let mut ends = Answers { bytes: Vec::new(), port, number: 0 };
    while let Some(header) = Header::read(packet) {
        let request = &packet[..header.length];
        packet = packet.get(header.length.next_multiple_of(4)..).unwrap_or_default();
        (answers.number, ends.number) = (header.number, header.number);
        if header.flags & REQUEST == 0 || header.kind < NLMSG_FIRST || header.kind == NLMSG_NOOP {
            if header.flags & ACK != 0 {
                answers.acknowledge(request, Ok(()));
            }
            continue;
        }
        let body = &request[HEADER..];
        let is_list = header.flags & DUMP == DUMP;
        let result = match header.kind {
            RTM_GETLINK if is_list => {
                add_link(namespace, &mut answers, MULTI);
                Ok(())
            }
            RTM_GETLINK => asked_link(body).map(|()| add_link(namespace, &mut answers, 0)),
            RTM_GETADDR if is_list => {
                add_addresses(namespace, &mut answers, body.first().copied().unwrap_or(0));
                Ok(())
            }
            RTM_GETROUTE if is_list => {
                add_routes(namespace, &mut answers, body.first().copied().unwrap_or(0));
                Ok(())
            }
            RTM_GETNEIGH if is_list => Ok(()),
            // (Who may not asks in vain; there is nothing that could be changed but one flag.)
            kind if kind % 4 != 2 && !may_change => Err(Errno::EPERM),
            RTM_NEWLINK | RTM_SETLINK => change_link(namespace, body),
            _ => Err(Errno::EOPNOTSUPP),
        };
        if result.is_ok() && is_list {
            ends.add(NLMSG_DONE, MULTI, &0_i32.to_ne_bytes(), &[]);
        } else if result.is_err() || header.flags & ACK != 0 {
            answers.acknowledge(request, result);
        }
    }
    [answers.bytes, ends.bytes]
}

/// Whether a request names the interface: ENODEV for another, EINVAL for none.
fn asked_link(body: &[u8]) -> Result<(), Errno> {
    let fixed = body.get(..16).ok_or(Errno::EINVAL)?;
    let index = u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let attributes = attributes(&body[16..])?;
    let name = attributes.iter().find(|(name, _)| *name == IFLA_IFNAME).map(|(_, value)| *value);
    match (index, name) {
        (Interface::INDEX, _) => Ok(()),
        (0, Some(name)) if is_loopback(name) => Ok(()),
        (0, None) => Err(Errno::EINVAL),
        _ => Err(Errno::ENODEV),
    }
}

/// Brings the interface up or down; EOPNOTSUPP for any other change.
fn change_link(namespace: &NetworkNamespace, body: &[u8]) -> Result<(), Errno> {
    asked_link(body)?;
    if attributes(&body[16..])?.iter().any(|(name, _)| *name != IFLA_IFNAME) {
        return Err(Errno::EOPNOTSUPP);
    }
    let word = |at: usize| u32::from_ne_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    let (flags, change) = (word(8), word(12));
    let up = u32::from(Interface::UP);
    // (As Linux: no change named is all of them.)
    let change = if change == 0 { u32::MAX } else { change };
    if change & up != 0 {
        namespace.loopback.set_up(flags & up != 0);
    }
    Ok(())
}

fn add_link(namespace: &NetworkNamespace, answers: &mut Answers, flags: u16) {
    let loopback = &namespace.loopback;
    let up = if loopback.is_up() { u32::from(Interface::UP) | RUNNING } else { 0 };
    let (packets, bytes) = loopback.counts();
    let mut fixed = vec![0, 0];
    fixed.extend_from_slice(&Interface::HARDWARE.to_ne_bytes());
    for word in [Interface::INDEX, u32::from(Interface::LOOPBACK) | up, 0] {
        fixed.extend_from_slice(&word.to_ne_bytes());
    }
    // What was received and sent, first packets, then bytes; nothing was ever lost.
    let mut statistics = [packets, packets, bytes, bytes].map(u64::to_ne_bytes).concat();
    statistics.resize(25 * size_of::<u64>(), 0);
    answers.add(
        RTM_NEWLINK,
        flags,
        &fixed,
        &[
            (IFLA_IFNAME, b"lo\0"),
            (IFLA_TXQLEN, &Interface::QUEUE_LENGTH.to_ne_bytes()),
            (IFLA_OPERSTATE, &[0]),
            (IFLA_LINKMODE, &[0]),
            (IFLA_MTU, &Interface::MTU.to_ne_bytes()),
            (IFLA_GROUP, &[0; 4]),
            (IFLA_QDISC, b"noqueue\0"),
            (IFLA_ADDRESS, &[0; 6]),
            (IFLA_BROADCAST, &[0; 6]),
            (IFLA_STATS64, &statistics),
        ],
    );
}

/// The addresses of the interface, with the lengths of their prefixes.
fn addresses(namespace: &NetworkNamespace, family: u8) -> impl Iterator<Item = (u8, u8, Vec<u8>)> {
    let v4 = (AF_INET, 8, Vec::from([127, 0, 0, 1]));
    let v6 = (AF_INET6, 128, Vec::from(core::net::Ipv6Addr::LOCALHOST.octets()));
    let up = namespace.loopback.is_up();
    [v4, v6].into_iter().filter(move |(own, ..)| up && (family == 0 || family == *own))
}

fn add_addresses(namespace: &NetworkNamespace, answers: &mut Answers, family: u8) {
    for (family, prefix, address) in addresses(namespace, family) {
        let mut fixed = vec![family, prefix, PERMANENT, SCOPE_HOST];
        fixed.extend_from_slice(&Interface::INDEX.to_ne_bytes());
        let for_ever = [u32::MAX, u32::MAX, 0, 0].map(u32::to_ne_bytes).concat();
        let flags = u32::from(PERMANENT).to_ne_bytes();
        let mut told: Vec<(u16, &[u8])> = vec![(IFA_ADDRESS, &address)];
        if family == AF_INET {
            told.extend([(IFA_LOCAL, &address[..]), (IFA_LABEL, b"lo\0")]);
        }
        told.extend([(IFA_FLAGS, &flags[..]), (IFA_CACHEINFO, &for_ever)]);
        answers.add(RTM_NEWADDR, MULTI, &fixed, &told);
    }
}

fn add_routes(namespace: &NetworkNamespace, answers: &mut Answers, family: u8) {
    for (family, prefix, address) in addresses(namespace, family) {
        let whole = (address.len() * 8) as u8;
        let mut targets = vec![(whole, address.clone())];
        if prefix < whole {
            let mut network = address.clone();
            network[usize::from(prefix / 8)..].fill(0);
            targets.insert(0, (prefix, network));
        }
        for (prefix, to) in targets {
            let fixed = [family, prefix, 0, 0, TABLE_LOCAL, BY_KERNEL, SCOPE_HOST, LOCAL, 0, 0, 0, 0];
            answers.add(
                RTM_NEWROUTE,
                MULTI,
                &fixed,
                &[
                    (RTA_TABLE, &u32::from(TABLE_LOCAL).to_ne_bytes()),
                    (RTA_DST, &to),
                    (RTA_PREFSRC, &address),
                    (RTA_OIF, &Interface::INDEX.to_ne_bytes()),
                ],
            );
        }
    }
}

impl Socket {
    /// bind(2) to a port, or with 0 to a free one; EINVAL when it is bound, EADDRINUSE.
    pub(super) fn bind_netlink(self: &Arc<Self>, asker: &Asker<'_>, port: u32) -> Result<(), Errno> {
        let others = self.namespace.all_sockets();
        let taken = |port: u32| others.iter().any(|other| other.local() == Some(Address::Netlink(port)));
        let port = match port {
            // The first of a process has the process's number.
            0 if !taken(asker.pid.number()) => asker.pid.number(),
            0 => (1..=u32::MAX).rev().find(|&port| !taken(port)).ok_or(Errno::EADDRINUSE)?,
            port if taken(port) => return Err(Errno::EADDRINUSE),
            port => port,
        };
        let mut state = self.state.lock();
        if state.local.is_some() {
            return Err(Errno::EINVAL);
        }
        state.local = Some(Address::Netlink(port));
        Ok(())
    }

    /// Sends requests to the kernel; the answers are there at once. ENOBUFS when there is no room for them.
    pub(super) fn request(
        self: &Arc<Self>,
        asker: &Asker<'_>,
        source: &mut dyn Source,
        length: usize,
    ) -> Result<usize, Errno> {
        if self.local().is_none() {
            // Another thread may have been faster.
            self.bind_netlink(asker, 0).or_else(|errno| if self.local().is_some() { Ok(()) } else { Err(errno) })?;
        }
        let port = if let Some(Address::Netlink(port)) = self.local() { port } else { 0 };
        let _charge = self.namespace.pool.charge(length, asker.memory)?;
        let mut packet = filled(0, length)?;
        source.take(&mut packet)?;
        let may_change = asker.credentials.capable_in(self.namespace.owner(), Capabilities::NET_ADMIN);
        for bytes in serve(&self.namespace, may_change, port, &packet) {
            if bytes.is_empty() {
                continue;
            }
            if self.inbox.room_for(bytes.len(), self.inbox.buffer()) != Ok(true) {
                return Err(Errno::ENOBUFS);
            }
            let charge = self.namespace.pool.charge(PACKET_BYTES + bytes.len(), asker.memory)?;
            let (bytes, from) = (bytes.into_boxed_slice(), Some(Address::Netlink(0)));
            drop(self.inbox.put(Packet { bytes, read: 0, from, passed: None, sender: asker.sender(), charge }));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::UserNamespace;

    fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(((HEADER + body.len()) as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(body);
        bytes
    }

    fn kinds(mut bytes: &[u8]) -> Vec<u16> {
        let mut kinds = Vec::new();
        while let Some(header) = Header::read(bytes) {
            assert_eq!(header.number, 7);
            kinds.push(header.kind);
            bytes = bytes.get(header.length.next_multiple_of(4)..).unwrap_or_default();
        }
        kinds
    }

    #[test]
    fn lists_have_an_end_and_addresses_come_with_the_interface() {
        let namespace = NetworkNamespace::new(UserNamespace::first());
        let list = |kind| serve(&namespace, false, 1, &request(kind, DUMP, &[0; 16])).map(|bytes| kinds(&bytes));
        let done = vec![NLMSG_DONE];
        assert_eq!(list(RTM_GETLINK), [vec![RTM_NEWLINK], done.clone()]);
        assert_eq!(list(RTM_GETADDR), [vec![], done.clone()]);
        namespace.loopback.set_up(true);
        assert_eq!(list(RTM_GETADDR), [vec![RTM_NEWADDR; 2], done.clone()]);
        assert_eq!(list(RTM_GETROUTE), [vec![RTM_NEWROUTE; 3], done.clone()]);
        assert_eq!(list(RTM_GETNEIGH), [vec![], done]);
    }

    #[test]
    fn the_interface_goes_up_for_who_may() {
        let namespace = NetworkNamespace::new(UserNamespace::first());
        let up = [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        let code = |may, body: &[u8]| {
            let [answers, _] = serve(&namespace, may, 1, &request(RTM_NEWLINK, ACK, body));
            i32::from_ne_bytes([answers[16], answers[17], answers[18], answers[19]])
        };
        assert_eq!((code(false, &up), namespace.loopback.is_up()), (-1, false));
        assert_eq!((code(true, &up), namespace.loopback.is_up()), (0, true));
        let mut other = up;
        other[4] = 2;
        assert_eq!(code(true, &other), -19);
        assert_eq!(code(true, &up[..4]), -22);
    }

    #[test]
    fn what_is_cut_off_is_no_request() {
        let namespace = NetworkNamespace::new(UserNamespace::first());
        let whole = request(RTM_GETLINK, DUMP, &[0; 16]);
        for length in 0..whole.len() {
            assert!(serve(&namespace, false, 1, &whole[..length]).iter().all(Vec::is_empty));
        }
        assert_eq!(attributes(&[3, 0, 1, 0]).err(), Some(Errno::EINVAL));
        assert_eq!(attributes(&[8, 0, 1, 0, 1]).err(), Some(Errno::EINVAL));
    }
}
