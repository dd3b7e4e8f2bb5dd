//! Messages of ICMP: echo requests of unprivileged programs (icmp(7), "ping sockets"), and raw sockets (raw(7)). The only
//! one who could answer is this machine, and it does so at once.

use super::{Address, Asker, Family, Kind, Packet, Socket, inbox::PACKET_BYTES};
use crate::{fs::io::Source, mm::filled};
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use veridian_containers::abi::Errno;

/// Bytes of a message's header: type, code, checksum, identifier, number.
const HEADER: usize = 8;
/// The protocol's number over IPv4.
const ICMP: u8 = 1;
/// The protocol's number over IPv6, and in its checksum's pseudo-header.
const ICMP6: u8 = 58;
/// Bytes of an IPv4 header without options, which raw sockets are given too.
const IP_HEADER: usize = 20;

impl Address {
    /// The address of a raw socket that is not bound: its port is the protocol's number.
    pub(super) fn of_protocol(family: Family) -> Self {
        let (any, protocol): (IpAddr, u8) = match family {
            Family::V6 => (Ipv6Addr::UNSPECIFIED.into(), ICMP6),
            _ => (Ipv4Addr::UNSPECIFIED.into(), ICMP),
        };
        Self::Ip(SocketAddr::new(any, protocol.into()))
    }
}

/// Turns an echo request into the answer to it, under the identifier of the socket that asks. EINVAL for what is no echo
/// request.
fn answer(family: Family, address: IpAddr, identifier: u16, message: &mut [u8]) -> Result<(), Errno> {
    let (request, reply) = if family == Family::V6 { (128, 129) } else { (8, 0) };
    if message.len() < HEADER || message[0] != request || message[1] != 0 {
        return Err(Errno::EINVAL);
    }
    message[0] = reply;
    message[2..4].fill(0);
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    let mut sum = sum_of(message);
    if let (Family::V6, IpAddr::V6(address)) = (family, address) {
        sum += pseudo_header(address, message.len());
    }
    message[2..4].copy_from_slice(&folded(sum).to_be_bytes());
    Ok(())
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|word| u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]))).sum()
}

/// What IPv6 adds: both addresses, which are the same here, the length and the protocol (RFC 8200, section 8.1).
fn pseudo_header(address: Ipv6Addr, length: usize) -> u64 {
    2 * sum_of(&address.octets()) + sum_of(&(length as u32).to_be_bytes()) + u64::from(ICMP6)
}

/// The Internet checksum (RFC 1071).
fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

impl Socket {
    /// Sends a message of `length` bytes to `address`, which is this machine's: the answer to an echo request is there at
    /// once, and raw sockets are given both. What there is no room for is lost.
    pub(super) fn echo(
        self: &Arc<Self>,
        asker: &Asker<'_>,
        source: &mut dyn Source,
        length: usize,
        address: IpAddr,
    ) -> Result<usize, Errno> {
        let cost = self.namespace.pool.charge(PACKET_BYTES + length, asker.memory)?;
        let mut message = filled(0, length)?;
        source.take(&mut message)?;
        let own = self.state.lock().port;
        let identifier = own.unwrap_or_else(|| message.get(4..6).map_or(0, |id| u16::from_be_bytes([id[0], id[1]])));
        let mut reply = filled(0, length)?;
        reply.copy_from_slice(&message);
        let answered = answer(self.family, address, identifier, &mut reply);
        if self.kind == Kind::Echo {
            answered?;
            if own.is_some() {
                message[4..6].copy_from_slice(&identifier.to_be_bytes());
            }
        }
        drop(cost);
        self.namespace.loopback.count(length);
        self.show_raw(asker, &message, address);
        if answered.is_ok() {
            self.namespace.loopback.count(length);
            self.show_raw(asker, &reply, address);
            if self.kind == Kind::Echo {
                self.put_message(asker, &[&reply], address);
            }
        }
        Ok(length)
    }

    /// Gives a message to the raw sockets of the namespace that want such from `address`, which is its destination too.
    fn show_raw(&self, asker: &Asker<'_>, message: &[u8], address: IpAddr) {
        for socket in self.namespace.all_sockets() {
            let wants = |own: Option<Address>| match own {
                Some(Address::Ip(own)) => own.ip().is_unspecified() || own.ip() == address,
                _ => true,
            };
            if socket.kind != Kind::RawIcmp
                || socket.family != self.family
                || !wants(socket.local())
                || !wants(socket.remote())
            {
                continue;
            }
            match address {
                IpAddr::V4(v4) => socket.put_message(asker, &[&ip_header(v4, message.len()), message], address),
                IpAddr::V6(_) => socket.put_message(asker, &[message], address),
            }
        }
    }

    /// Puts a message of these parts into the queue, if there is room and the namespace can pay for it.
    fn put_message(&self, asker: &Asker<'_>, parts: &[&[u8]], address: IpAddr) {
        let length = parts.iter().map(|part| part.len()).sum();
        if self.inbox.room_for(length, self.inbox.buffer()) != Ok(true) {
            return;
        }
        let Ok(charge) = self.namespace.pool.charge(PACKET_BYTES + length, asker.memory) else { return };
        let Ok(mut message) = filled(0, length) else { return };
        let mut rest = &mut message[..];
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        let from = Some(Address::Ip(SocketAddr::new(address, 0)));
        let bytes = message.into_boxed_slice();
        drop(self.inbox.put(Packet { bytes, read: 0, from, passed: None, sender: asker.sender(), charge }));
    }
}

/// The header of a packet from this machine to itself that carries `length` bytes of ICMP (RFC 791).
fn ip_header(address: Ipv4Addr, length: usize) -> [u8; IP_HEADER] {
    let mut header = [0; IP_HEADER];
    // Version 4, five words; no fragment of a larger one; time to live.
    (header[0], header[6], header[8], header[9]) = (0x45, 0x40, 64, ICMP);
    header[2..4].copy_from_slice(&((IP_HEADER + length) as u16).to_be_bytes());
    header[12..16].copy_from_slice(&address.octets());
    header[16..20].copy_from_slice(&address.octets());
    let sum = folded(sum_of(&header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_with_their_bytes_and_a_checksum() {
        let mut message = *b"\x08\0\xff\xff\x12\x34\0\x01odd";
        assert_eq!(answer(Family::V4, Ipv4Addr::LOCALHOST.into(), 0xabcd, &mut message), Ok(()));
        assert_eq!(message[0], 0);
        assert_eq!(message[4..], *b"\xab\xcd\0\x01odd");
        // A message with its checksum in it adds up to all ones.
        assert_eq!(folded(sum_of(&message)), 0);
    }

    #[test]
    fn the_checksum_of_ipv6_covers_the_addresses() {
        let mut message = *b"\x80\0\0\0\0\0\0\x01";
        assert_eq!(answer(Family::V6, Ipv6Addr::LOCALHOST.into(), 7, &mut message), Ok(()));
        assert_eq!(message[0], 129);
        assert_eq!(folded(sum_of(&message) + pseudo_header(Ipv6Addr::LOCALHOST, message.len())), 0);
    }

    #[test]
    fn the_header_of_a_raw_packet_adds_up() {
        let header = ip_header(Ipv4Addr::LOCALHOST, 64);
        assert_eq!(folded(sum_of(&header)), 0);
        assert_eq!((header[0], &header[2..4], &header[16..]), (0x45, &[0, 84][..], &[127, 0, 0, 1][..]));
    }

    #[test]
    fn other_messages_are_refused() {
        for message in [&b"\x08\0\0\0"[..], b"\0\0\0\0\0\0\0\0", b"\x08\x01\0\0\0\0\0\0", b"\x80\0\0\0\0\0\0\0"] {
            let mut message = message.to_vec();
            let refused = answer(Family::V4, Ipv4Addr::LOCALHOST.into(), 1, &mut message);
            assert_eq!(refused, Err(Errno::EINVAL));
        }
    }
}
