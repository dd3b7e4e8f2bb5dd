//! Names of sockets: paths, abstract names, ports (bind(2)).

use super::{Address, Asker, Family, Kind, Socket, UnixName, address::canonical, ports::Wish};
use crate::security::Capabilities;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The node of a pathname socket: what is bound there.
#[derive(Debug, Default)]
pub struct SocketNode(SpinLock<Weak<Socket>>);

impl SocketNode {
    pub(super) fn socket(&self) -> Option<Arc<Socket>> {
        self.0.lock().upgrade()
    }
}

impl Socket {
    /// bind(2) to an abstract name, or an address and port. EINVAL when it is bound, EADDRINUSE, EADDRNOTAVAIL; EACCES for
    /// a port below 1024 without CAP_NET_BIND_SERVICE.
    pub fn bind(self: &Arc<Self>, asker: &Asker<'_>, address: Address) -> Result<(), Errno> {
        match address {
            Address::Unix(UnixName::Abstract(name)) => {
                let mut names = self.namespace.names.lock();
                let mut state = self.state.lock();
                if state.local.is_some() {
                    return Err(Errno::EINVAL);
                }
                if names.get(&name).is_some_and(|other| other.strong_count() > 0) {
                    return Err(Errno::EADDRINUSE);
                }
                names.insert(name.clone(), Arc::downgrade(self));
                state.local = Some(Address::Unix(UnixName::Abstract(name)));
                Ok(())
            }
            Address::Unix(_) => Err(Errno::EINVAL),
            Address::Netlink(port) => self.bind_netlink(asker, port),
            Address::Ip(address) => {
                let may = !self.namespace.is_privileged(address.port())
                    || asker.credentials.capable_in(self.namespace.owner(), Capabilities::NET_BIND_SERVICE);
                if address.port() != 0 && !may {
                    return Err(Errno::EACCES);
                }
                self.bind_port(address)
            }
        }
    }

    /// bind(2) to a path whose node was just made.
    pub fn bind_node(self: &Arc<Self>, node: &Arc<SocketNode>, path: &[u8]) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.local.is_some() {
            return Err(Errno::EINVAL);
        }
        *node.0.lock() = Arc::downgrade(self);
        state.local = Some(Address::Unix(UnixName::Path(path.into())));
        state.node = Some(node.clone());
        Ok(())
    }

    /// EINVAL when it is bound already.
    fn bind_port(self: &Arc<Self>, address: SocketAddr) -> Result<(), Errno> {
        let plain = canonical(address);
        let ip = plain.ip();
        if !(ip.is_unspecified() || ip.is_loopback() && self.namespace.loopback.is_up()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let range = self.namespace.local_ports();
        let mut ports = self.namespace.ports.lock();
        let mut state = self.state.lock();
        if self.kind == Kind::RawIcmp {
            // There are no ports; the one that is shown stays.
            if let Some(Address::Ip(local)) = &mut state.local {
                local.set_ip(address.ip());
            }
            return Ok(());
        }
        if state.local.is_some() {
            return Err(Errno::EINVAL);
        }
        let options = state.options;
        let both_versions = self.family == Family::V6 && !options.v6_only;
        if ip.is_ipv4() && self.family == Family::V6 && options.v6_only {
            return Err(Errno::EINVAL);
        }
        let sharer = options.reuse_port.then_some(self.owner_uid());
        let wish = Wish { address: ip, both_versions, shared: options.reuse_address, sharer };
        let port = ports.bind(self.kind, plain.port(), wish, range, self)?;
        state.port = Some(port);
        state.local = Some(Address::Ip(SocketAddr::new(address.ip(), port)));
        Ok(())
    }

    /// Whatever it is bound to: a name of its own if it was bound to none. Unix-domain sockets need none.
    pub(super) fn ensure_bound(self: &Arc<Self>) -> Result<(), Errno> {
        if self.is_unix() || self.local().is_some() {
            return Ok(());
        }
        let Address::Ip(any) = Address::unspecified(self.family) else { return Ok(()) };
        // Another call on the same socket may have been faster.
        self.bind_port(any).or_else(|errno| if self.local().is_some() { Ok(()) } else { Err(errno) })
    }
}
