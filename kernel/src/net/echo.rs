//! Echo requests of unprivileged programs (icmp(7), "ping sockets"): the only one who could answer is this machine, and
//! it does so at once.

use super::{Asker, Family, Packet, Socket, inbox::PACKET_BYTES};
use crate::{fs::io::Source, mm::filled};
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use veridian_containers::abi::Errno;

/// Bytes of a message's header: type, code, checksum, identifier, number.
const HEADER: usize = 8;
/// The protocol's number in the checksum's pseudo-header of IPv6.
const ICMP6: u8 = 58;

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
    /// Sends an echo request of `length` bytes to `address`, which is this machine's: the answer is there at once. One
    /// that there is no room for is lost.
    pub(super) fn echo(
        self: &Arc<Self>,
        asker: &Asker<'_>,
        source: &mut dyn Source,
        length: usize,
        address: IpAddr,
    ) -> Result<usize, Errno> {
        let charge = self.namespace.pool.charge(PACKET_BYTES + length, asker.memory)?;
        let mut message = filled(0, length)?.into_boxed_slice();
        source.take(&mut message)?;
        let identifier = self.state.lock().port.unwrap_or(0);
        answer(self.family, address, identifier, &mut message)?;
        self.namespace.loopback.count(length);
        self.namespace.loopback.count(length);
        let from = Some(super::Address::Ip(SocketAddr::new(address, 0)));
        let packet = Packet { bytes: message, read: 0, from, passed: None, sender: asker.sender(), charge };
        if self.inbox.room_for(length) == Ok(true) {
            drop(self.inbox.put(packet));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

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
    fn other_messages_are_refused() {
        for message in [&b"\x08\0\0\0"[..], b"\0\0\0\0\0\0\0\0", b"\x08\x01\0\0\0\0\0\0", b"\x80\0\0\0\0\0\0\0"] {
            let mut message = message.to_vec();
            let refused = answer(Family::V4, Ipv4Addr::LOCALHOST.into(), 1, &mut message);
            assert_eq!(refused, Err(Errno::EINVAL));
        }
    }
}
