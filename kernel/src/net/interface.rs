//! The one interface of a network namespace: `lo` (netdevice(7)).

use core::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The loopback interface.
#[derive(Debug, Default)]
pub struct Interface {
    up: AtomicBool,
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Interface {
    /// Its name.
    pub const NAME: &'static [u8] = b"lo";
    /// Its number.
    pub const INDEX: u32 = 1;
    /// Its address, when it is up.
    pub const ADDRESS: [u8; 4] = [127, 0, 0, 1];
    /// How much of [`Self::ADDRESS`] is the network's.
    pub const NETMASK: [u8; 4] = [255, 0, 0, 0];
    /// Bytes of a packet at most.
    pub const MTU: u32 = 65536;
    /// What kind of hardware it is (ARPHRD_LOOPBACK).
    pub const HARDWARE: u16 = 772;
    /// Packets that wait to be sent at most, as Linux tells it; none waits here.
    pub const QUEUE_LENGTH: u32 = 1000;
    /// That it is up (IFF_UP).
    pub const UP: u16 = 1;
    /// That it is a loopback (IFF_LOOPBACK).
    pub const LOOPBACK: u16 = 8;

    /// Whether it is up: whether there are any addresses.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Brings it up or down.
    pub fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// Whether what is sent to an address arrives: those of the interface, and the unspecified ones, which mean it.
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.is_up() && (address.is_loopback() || address.is_unspecified())
    }

    /// The address that stands for this one as a destination.
    pub fn destination(address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => core::net::Ipv6Addr::LOCALHOST.into(),
            other => other,
        }
    }

    /// The address that a packet to `destination` comes from, if its sender has none.
    pub fn source(destination: IpAddr) -> IpAddr {
        if destination.to_canonical().is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            core::net::Ipv6Addr::LOCALHOST.into()
        }
    }

    /// Counts a packet, which is sent and received at once.
    pub fn count(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Packets and bytes so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}
