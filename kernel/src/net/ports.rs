//! Ports of a network namespace: who receives what comes to an address (ip(7)).

use super::{Kind, Socket};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, Ordering},
};
use veridian_containers::abi::Errno;

/// Bound sockets, by kind and port.
#[derive(Debug, Default)]
pub struct Ports {
    bound: BTreeMap<(Kind, u16), Vec<Entry>>,
    /// The one to try next when any will do.
    next: u16,
}

#[derive(Debug)]
struct Entry {
    wish: Wish,
    listens: Arc<AtomicBool>,
    socket: Weak<Socket>,
}

/// How a socket wants to be bound.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Its address; the unspecified one stands for all.
    pub address: IpAddr,
    /// It takes what is sent to addresses of IPv4 too.
    pub both_versions: bool,
    /// Others may be bound there, if they want the same (SO_REUSEADDR).
    pub shared: bool,
    /// The user whose sockets share what comes, if they want that too (SO_REUSEPORT).
    pub sharer: Option<u32>,
}

impl Wish {
    fn takes(&self, to: IpAddr) -> bool {
        if self.address == to {
            return true;
        }
        match self.address {
            IpAddr::V4(own) => own.is_unspecified() && to.is_ipv4(),
            IpAddr::V6(own) => own.is_unspecified() && (to.is_ipv6() || self.both_versions),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.takes(other.address) || other.takes(self.address)
    }
}

impl Ports {
    /// Binds `socket` to `port`, or for 0 to one of `range` that is free; gives the port. EADDRINUSE.
    pub fn bind(
        &mut self,
        kind: Kind,
        port: u16,
        wish: Wish,
        range: RangeInclusive<u16>,
        socket: &Arc<Socket>,
    ) -> Result<u16, Errno> {
        let port = match port {
            0 => self.free_port(kind, &wish, range)?,
            port if self.is_free(kind, port, &wish) => port,
            _ => return Err(Errno::EADDRINUSE),
        };
        self.bound.entry((kind, port)).or_default().push(Entry {
            wish,
            listens: socket.listens().clone(),
            socket: Arc::downgrade(socket),
        });
        Ok(port)
    }

    fn is_free(&self, kind: Kind, port: u16, wish: &Wish) -> bool {
        let taken = |other: &Entry| {
            // What is shared is so as long as nobody listens.
            let shared = wish.shared && other.wish.shared && !other.listens.load(Ordering::Relaxed);
            let shared = shared || wish.sharer.is_some() && wish.sharer == other.wish.sharer;
            other.socket.strong_count() > 0 && other.wish.meets(wish) && !shared
        };
        !self.bound.get(&(kind, port)).is_some_and(|entries| entries.iter().any(taken))
    }

    fn free_port(&mut self, kind: Kind, wish: &Wish, range: RangeInclusive<u16>) -> Result<u16, Errno> {
        let alone = Wish { shared: false, sharer: None, ..*wish };
        let first = if range.contains(&self.next) { self.next } else { *range.start() };
        let mut candidates = (first..=*range.end()).chain(*range.start()..first);
        let port = candidates.find(|port| self.is_free(kind, *port, &alone)).ok_or(Errno::EADDRINUSE)?;
        self.next = port.wrapping_add(1);
        Ok(port)
    }

    /// Gives the port of a socket back.
    pub fn release(&mut self, kind: Kind, port: u16, socket: *const Socket) {
        if let Some(entries) = self.bound.get_mut(&(kind, port)) {
            entries.retain(|entry| !core::ptr::eq(entry.socket.as_ptr(), socket));
            if entries.is_empty() {
                self.bound.remove(&(kind, port));
            }
        }
    }

    /// Who may receive what is sent to `to`: the nearest address first, then who was bound last; of those that share it,
    /// each is the first for another port `from` that it comes from. (To be dropped without
    /// the table's lock, as all handles are: the last one gives the port back.)
    pub fn receivers(&self, kind: Kind, to: SocketAddr, from: u16) -> Vec<Arc<Socket>> {
        let Some(entries) = self.bound.get(&(kind, to.port())) else { return Vec::new() };
        let mut fit: Vec<&Entry> = entries.iter().rev().filter(|entry| entry.wish.takes(to.ip())).collect();
        fit.sort_by_key(|entry| entry.wish.address != to.ip());
        let first = fit.first().map(|entry| entry.wish);
        let shares = |entry: &&&Entry| {
            first.is_some_and(|first| (first.address, first.sharer) == (entry.wish.address, entry.wish.sharer))
        };
        let sharers = fit.iter().take_while(shares).count();
        if first.is_some_and(|first| first.sharer.is_some()) {
            fit[..sharers].rotate_left(usize::from(from) % sharers);
        }
        fit.into_iter().filter_map(|entry| entry.socket.upgrade()).collect()
    }
}
