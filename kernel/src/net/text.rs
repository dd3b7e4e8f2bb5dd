//! What `/proc/net` shows of a network namespace (proc_pid_net(5)).

use super::{Address, Family, Interface, Kind, Socket, UnixName};
use crate::namespace::{NetworkNamespace, UserNamespace};
use alloc::{
    format,
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `/proc/net/arp`: an interface without neighbours.
pub const NEIGHBOURS: &str = "IP address       HW type     Flags       HW address            Mask     Device\n";

/// `/proc/net/route`: Linux does not list the loopback's own addresses there, and nothing else leads anywhere.
pub const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";

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

/// The address in the clothes of a family.
fn dressed(address: SocketAddr, family: Family) -> SocketAddr {
    match (family, address.ip()) {
        (Family::V6, IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

impl NetworkNamespace {
    /// All sockets, by age or not: they are dropped without the table's lock.
    pub(super) fn all_sockets(&self) -> Vec<Arc<Socket>> {
        self.sockets.lock().values().filter_map(Weak::upgrade).collect()
    }

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

    /// `/proc/net/if_inet6`: the loopback's address while it is up; of the length of its prefix, of the host's scope,
    /// permanent.
    pub fn addresses_text(&self) -> String {
        if !self.loopback.is_up() {
            return String::new();
        }
        let octets: String = Ipv6Addr::LOCALHOST.octets().iter().map(|octet| format!("{octet:02x}")).collect();
        let name = String::from_utf8_lossy(Interface::NAME);
        format!("{octets} {:02x} 80 10 80 {name:>8}\n", Interface::INDEX)
    }

    /// `/proc/net/tcp` and `udp`, or with [`Family::V6`] `tcp6` and `udp6`: TCP's that listen or are connected, UDP's that
    /// are bound. Users are shown as `viewer` counts them.
    pub fn sockets_text(&self, kind: Kind, family: Family, viewer: &UserNamespace) -> String {
        const ESTABLISHED: u8 = 1;
        const CLOSE: u8 = 7;
        const LISTEN: u8 = 10;
        let wide = if family == Family::V6 { ["                       ", "                       "] } else { ["", ""] };
        let mut text = format!(
            "  sl  local_address {}rem_address   {}st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
            wide[0], wide[1]
        );
        let all = self.all_sockets();
        let shown = all.iter().filter(|socket| socket.kind() == kind && socket.family() == family);
        let mut index = 0;
        for socket in shown {
            let Some(Address::Ip(local)) = socket.local() else { continue };
            let (state, waiting) = match () {
                () if socket.is_listening() => (LISTEN, socket.waiting_connections()),
                () if socket.is_connected() => (ESTABLISHED, socket.readable_now()),
                () if kind == Kind::Stream => continue,
                () => (CLOSE, socket.readable_now()),
            };
            let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            let remote = match (socket.remote(), family) {
                (Some(Address::Ip(remote)), _) => remote,
                (_, Family::V6) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
                _ => nowhere,
            };
            text += &format!(
                "{index:4}: {} {} {state:02X} 00000000:{waiting:08X} 00:00000000 00000000 {:5}        0 {}\n",
                hexadecimal(dressed(local, family)),
                hexadecimal(dressed(remote, family)),
                viewer.shown_user(socket.owner_uid()),
                socket.inode(),
            );
            index += 1;
        }
        text
    }

    /// `/proc/net/unix`: all Unix-domain sockets of the namespace. (No addresses of memory are told.)
    pub fn unix_text(&self) -> String {
        const LISTENS: u32 = 0x10000;
        const UNCONNECTED: u8 = 1;
        const CONNECTED: u8 = 3;
        let mut text = String::from("Num       RefCount Protocol Flags    Type St Inode Path\n");
        let all = self.all_sockets();
        for socket in all.iter().filter(|socket| socket.is_unix()) {
            let flags = if socket.is_listening() { LISTENS } else { 0 };
            let state = if socket.is_connected() { CONNECTED } else { UNCONNECTED };
            text += &format!(
                "0000000000000000: 00000002 00000000 {flags:08X} {:04X} {state:02X} {:5}",
                socket.kind().number(),
                socket.inode(),
            );
            match socket.local() {
                Some(Address::Unix(UnixName::Abstract(name))) => {
                    text += &format!(" @{}", String::from_utf8_lossy(&name).replace('\0', "@"));
                }
                Some(Address::Unix(UnixName::Path(path))) => text += &format!(" {}", String::from_utf8_lossy(&path)),
                _ => {}
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_words_in_the_machines_order() {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080);
        assert_eq!(hexadecimal(address), "0100007F:1F90");
        assert_eq!(hexadecimal(dressed(address, Family::V6)), "0000000000000000FFFF00000100007F:1F90");
    }
}
