//! What `/proc/net` shows of a network namespace.

use super::{Address, Interface, Kind, Socket, UnixName};
use crate::namespace::NetworkNamespace;
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

/// An address as `/proc/net/tcp` and its kin write it: words in the machine's order, the port as a number.
fn hexadecimal(address: SocketAddr) -> String {
    let words = |octets: &[u8]| {
        let words = octets.as_chunks::<4>().0.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word)));
        words.collect::<String>()
    };
    let ip = match address.ip() {
        IpAddr::V4(ip) => words(&ip.octets()),
        IpAddr::V6(ip) => words(&ip.octets()),
    };
    format!("{ip}:{:04X}", address.port())
}

impl NetworkNamespace {
    /// `/proc/net/dev`.
    pub fn devices_text(&self) -> String {
        let (packets, bytes) = self.loopback.counts();
        let name = String::from_utf8_lossy(Interface::NAME);
        format!(
            "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo \
             frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n{name:>6}: {bytes:7} \
             {packets:7}    0    0    0     0          0         0 {bytes:8} {packets:7}    0    0    0     0       0          0\n"
        )
    }

    /// `/proc/net/tcp` or `udp`; with `v6` those of `tcp6` or `udp6`. (Of TCP: listening and bound sockets.)
    pub fn sockets_text(&self, kind: Kind, v6: bool) -> String {
        let mut text = String::from(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
        );
        let sockets: Vec<Arc<Socket>> = self.ports.lock().sockets();
        let of_version = |local: &SocketAddr| local.is_ipv6() == v6;
        for (index, socket) in sockets.iter().filter(|socket| socket.kind() == kind).enumerate() {
            let Some(Address::Ip(local)) = socket.local() else { continue };
            if !of_version(&local) {
                continue;
            }
            let nowhere = SocketAddr::new(if v6 { [0u16; 8].into() } else { [0u8; 4].into() }, 0);
            let remote = match socket.remote() {
                Some(Address::Ip(remote)) => remote,
                _ => nowhere,
            };
            let state = socket.state_number();
            let waiting = socket.readable_now();
            text += &format!(
                "{index:4}: {} {} {state:02X} 00000000:{waiting:08X} 00:00000000 00000000 {:5}        0 0\n",
                hexadecimal(local),
                hexadecimal(remote),
                socket.owner_uid(),
            );
        }
        text
    }

    /// `/proc/net/unix`: abstract sockets.
    pub fn unix_text(&self) -> String {
        let mut text = String::from("Num       RefCount Protocol Flags    Type St Inode Path\n");
        let sockets: Vec<Arc<Socket>> = self.names.lock().values().filter_map(alloc::sync::Weak::upgrade).collect();
        for socket in sockets {
            let Some(Address::Unix(UnixName::Abstract(name))) = socket.local() else { continue };
            let flags = if socket.is_listening() { 0x10000 } else { 0 };
            let name = String::from_utf8_lossy(&name).replace('\0', "@").to_string();
            text += &format!(
                "0000000000000000: 00000002 00000000 {flags:08X} {:04X} 01     0 @{name}\n",
                socket.kind() as u32
            );
        }
        text
    }
}
