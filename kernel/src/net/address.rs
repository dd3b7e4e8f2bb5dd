//! Addresses of sockets, as programs write them (`struct sockaddr_un`, `sockaddr_in`, `sockaddr_in6`).

use alloc::{boxed::Box, vec::Vec};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use linux_raw_sys::net;
use veridian_containers::abi::Errno;

/// Bytes of a Unix-domain name (`sun_path`).
const NAME_MAX: usize = 108;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AF_UNIX.
    Unix,
    /// AF_INET.
    V4,
    /// AF_INET6.
    V6,
    /// AF_NETLINK.
    Netlink,
}

impl Family {
    /// Whether it is IPv4 or IPv6.
    pub fn is_ip(self) -> bool {
        matches!(self, Self::V4 | Self::V6)
    }

    /// EAFNOSUPPORT for another.
    pub fn from_number(number: u32) -> Result<Self, Errno> {
        match number {
            net::AF_UNIX => Ok(Self::Unix),
            net::AF_INET => Ok(Self::V4),
            net::AF_INET6 => Ok(Self::V6),
            net::AF_NETLINK => Ok(Self::Netlink),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// Linux's number.
    pub fn number(self) -> u32 {
        match self {
            Self::Unix => net::AF_UNIX,
            Self::V4 => net::AF_INET,
            Self::V6 => net::AF_INET6,
            Self::Netlink => net::AF_NETLINK,
        }
    }
}

/// A Unix-domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixName {
    /// None.
    Unnamed,
    /// A path, as it was given.
    Path(Box<[u8]>),
    /// A name of the network namespace.
    Abstract(Box<[u8]>),
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Of a Unix-domain socket.
    Unix(UnixName),
    /// Of a TCP or UDP socket.
    Ip(SocketAddr),
    /// A port of netlink; 0 is the kernel's.
    Netlink(u32),
}

impl Address {
    /// Reads what a program gives to a socket of `family`; `None` for AF_UNSPEC, which undoes a connection. EINVAL when it
    /// is too short or long, EAFNOSUPPORT when it is another family's.
    pub fn read(bytes: &[u8], family: Family) -> Result<Option<Self>, Errno> {
        let (number, rest) = bytes.split_first_chunk::<2>().ok_or(Errno::EINVAL)?;
        let number = u32::from(u16::from_ne_bytes(*number));
        if number == net::AF_UNSPEC {
            return Ok(None);
        }
        if number != family.number() {
            return Err(if family == Family::Unix { Errno::EINVAL } else { Errno::EAFNOSUPPORT });
        }
        let field = |at: usize| bytes.get(at..).ok_or(Errno::EINVAL);
        let port = || field(2)?.first_chunk().map(|port| u16::from_be_bytes(*port)).ok_or(Errno::EINVAL);
        Ok(Some(match family {
            Family::Unix => Self::Unix(match rest {
                [] => UnixName::Unnamed,
                _ if rest.len() > NAME_MAX => return Err(Errno::EINVAL),
                [0, name @ ..] => UnixName::Abstract(name.into()),
                _ => UnixName::Path(rest.split(|&byte| byte == 0).next().unwrap_or(rest).into()),
            }),
            Family::Netlink => {
                let [port, groups, ..] = *field(4)?.as_chunks::<4>().0 else { return Err(Errno::EINVAL) };
                // Nothing is told to groups.
                if u32::from_ne_bytes(groups) != 0 {
                    return Err(Errno::EPERM);
                }
                Self::Netlink(u32::from_ne_bytes(port))
            }
            Family::V4 => {
                if bytes.len() < 16 {
                    return Err(Errno::EINVAL);
                }
                let octets: [u8; 4] = *field(4)?.first_chunk().ok_or(Errno::EINVAL)?;
                Self::Ip(SocketAddr::new(Ipv4Addr::from(octets).into(), port()?))
            }
            Family::V6 => {
                let octets: [u8; 16] = *field(8)?.first_chunk().ok_or(Errno::EINVAL)?;
                Self::Ip(SocketAddr::new(Ipv6Addr::from(octets).into(), port()?))
            }
        }))
    }

    /// What a program is told.
    pub fn to_bytes(&self, family: Family) -> Vec<u8> {
        let mut bytes = Vec::from((family.number() as u16).to_ne_bytes());
        match self {
            Self::Unix(UnixName::Unnamed) => {}
            Self::Unix(UnixName::Path(path)) => {
                bytes.extend_from_slice(path);
                bytes.push(0);
            }
            Self::Unix(UnixName::Abstract(name)) => {
                bytes.push(0);
                bytes.extend_from_slice(name);
            }
            Self::Netlink(port) => {
                bytes.extend_from_slice(&[0; 2]);
                bytes.extend_from_slice(&port.to_ne_bytes());
                bytes.extend_from_slice(&[0; 4]);
            }
            Self::Ip(address) => {
                bytes.extend_from_slice(&address.port().to_be_bytes());
                match (family, address.ip()) {
                    (Family::V6, ip) => {
                        let ip = match ip {
                            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                            IpAddr::V6(ip) => ip,
                        };
                        bytes.extend_from_slice(&[0; 4]);
                        bytes.extend_from_slice(&ip.octets());
                        bytes.extend_from_slice(&[0; 4]);
                    }
                    (_, IpAddr::V4(ip)) => {
                        bytes.extend_from_slice(&ip.octets());
                        bytes.extend_from_slice(&[0; 8]);
                    }
                    // No such address gets into a socket of IPv4.
                    (_, IpAddr::V6(_)) => {}
                }
            }
        }
        bytes
    }

    /// The address of a socket that has none.
    pub fn unspecified(family: Family) -> Self {
        match family {
            Family::Unix => Self::Unix(UnixName::Unnamed),
            Family::Netlink => Self::Netlink(0),
            Family::V4 => Self::Ip(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
            Family::V6 => Self::Ip(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0))),
        }
    }
}

/// The address as it counts: one of IPv4 in IPv6's clothes is one of IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_were_told() {
        for (family, bytes) in [
            (Family::Unix, &b"\x01\0"[..]),
            (Family::Unix, b"\x01\0/tmp/x\0"),
            (Family::Unix, b"\x01\0\0hidden\0x"),
            (Family::V4, b"\x02\0\x1f\x90\x7f\0\0\x01\0\0\0\0\0\0\0\0"),
            (Family::Netlink, b"\x10\0\0\0\x07\0\0\0\0\0\0\0"),
            (Family::V6, b"\x0a\0\x1f\x90\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0"),
        ] {
            let address = Address::read(bytes, family).expect("valid").expect("not AF_UNSPEC");
            assert_eq!(address.to_bytes(family), bytes);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(Address::read(b"\x02", Family::V4), Err(Errno::EINVAL));
        assert_eq!(Address::read(b"\x02\0\0\0", Family::V4), Err(Errno::EINVAL));
        assert_eq!(Address::read(b"\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Family::V4), Err(Errno::EAFNOSUPPORT));
        assert_eq!(Address::read(&[1; 120], Family::Unix), Err(Errno::EINVAL));
        assert_eq!(Address::read(b"\0\0", Family::V4), Ok(None));
    }
}
