//! Sockets: Unix-domain ones, and TCP and UDP over the loopback interface of a network namespace.
//!
//! Owns: [`Socket`], its queue of received packets, names and ports; [`NetworkNamespace`](crate::namespace::NetworkNamespace)
//! holds the tables. May call: `fs` (files that are passed, nodes of pathname sockets), `cgroup`, `security`, `sched`.
//! Called by: `syscall`, `namespace`, `fs` (a socket's node).
//!
//! Both ends of a connection are on this machine and in one namespace (Unix-domain sockets with a path aside), so bytes
//! go straight from the sender to the receiver's queue: there are no segments, no timers and nothing to retransmit.
//! What leads out of the namespace does not exist: any address but the loopback's is unreachable.
//!
//! A packet lies on the kernel heap, paid for from the receiving namespace's pool by who sends it, and a queue is bounded.
//! A descriptor that is passed may be a socket, but only one that has no sockets in its own queue, to a socket that is
//! not itself under way: so that queues never hold each other in a circle, and nothing has to be collected.
//!
//! Lock order: a table of names or ports, then a socket's state, then a queue, then the passing lock. Nothing is woken
//! under them, and no packet and no handle to a socket is dropped.

mod address;
mod bind;
mod connect;
mod control;
mod echo;
mod file;
mod inbox;
mod interface;
mod netlink;
mod passing;
mod ports;
mod settings;
mod socket;
#[cfg(test)]
mod tests;
pub mod text;
mod transfer;

pub use address::{Address, Family, UnixName};
pub use bind::SocketNode;
pub use connect::Outgoing;
pub use inbox::{Packet, Sender};
pub use interface::Interface;
pub use passing::{FILES_MAX, Passed};
pub use ports::Ports;
pub use settings::Settings;
pub use socket::{Asker, KEPT_MAX, Kind, Options, Socket};
pub use transfer::Received;

use alloc::{boxed::Box, collections::BTreeMap, sync::Weak};

/// Abstract names of a namespace (unix(7)).
pub type AbstractNames = BTreeMap<Box<[u8]>, Weak<Socket>>;

/// All sockets of a namespace, by their address in memory.
pub type Sockets = BTreeMap<usize, Weak<Socket>>;
