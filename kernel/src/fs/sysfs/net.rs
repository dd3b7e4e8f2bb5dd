//! `/sys/class/net` (the kernel's ABI documents, sysfs-class-net): the loopback interface of the reader's network namespace.

use super::{Machine, Rows, directory};
use crate::{
    fs::{
        proc::table::{Kind, Row, text},
        synthetic::{Directory, Opener},
    },
    namespace::NetworkNamespace,
    net::Interface,
};
use alloc::{sync::Arc, vec::Vec};
use core::fmt::Write;
use veridian_containers::abi::Errno;

/// `/sys/class/net`.
pub(super) fn class(_: &Machine) -> Arc<dyn Directory> {
    static ROWS: [Row<Machine>; 1] = [Row {
        name: "lo",
        mode: 0o777,
        guarded: false,
        kind: Kind::Link(|_, _| Ok(b"../../devices/virtual/net/lo".to_vec())),
    }];
    directory(&ROWS)
}

/// `/sys/devices/virtual`.
pub(super) static VIRTUAL: &Rows = &[Row::directory("net", |_| directory(INTERFACES))];

static INTERFACES: &Rows = &[Row::directory("lo", |_| directory(LOOPBACK))];

const NO_ADDRESS: &[u8] = b"00:00:00:00:00:00\n";

static LOOPBACK: &Rows = &[
    Row::text("addr_len", |_, _| Ok(b"6\n".to_vec())),
    Row::text("address", |_, _| Ok(NO_ADDRESS.to_vec())),
    Row::text("broadcast", |_, _| Ok(NO_ADDRESS.to_vec())),
    // (Of an interface that is down, Linux tells EINVAL.)
    Row::text("carrier", |_, opener| if is_up(opener)? { Ok(b"1\n".to_vec()) } else { Err(Errno::EINVAL) }),
    Row::text("flags", |_, opener| {
        let up = is_up(opener)?;
        Ok(text(|to| writeln!(to, "{:#x}", Interface::LOOPBACK | if up { Interface::UP } else { 0 })))
    }),
    Row::text("ifindex", |_, _| number(Interface::INDEX.into())),
    Row::text("iflink", |_, _| number(Interface::INDEX.into())),
    Row::text("mtu", |_, _| number(Interface::MTU.into())),
    Row::text("operstate", |_, opener| Ok(if is_up(opener)? { b"unknown\n".to_vec() } else { b"down\n".to_vec() })),
    Row::directory("statistics", |_| directory(STATISTICS)),
    Row::text("tx_queue_len", |_, _| number(Interface::QUEUE_LENGTH.into())),
    Row::text("type", |_, _| number(Interface::HARDWARE.into())),
];

static STATISTICS: &Rows = &[
    Row::text("rx_bytes", |_, opener| number(network(opener)?.loopback.counts().1)),
    Row::text("rx_dropped", |_, _| number(0)),
    Row::text("rx_errors", |_, _| number(0)),
    Row::text("rx_packets", |_, opener| number(network(opener)?.loopback.counts().0)),
    Row::text("tx_bytes", |_, opener| number(network(opener)?.loopback.counts().1)),
    Row::text("tx_dropped", |_, _| number(0)),
    Row::text("tx_errors", |_, _| number(0)),
    Row::text("tx_packets", |_, opener| number(network(opener)?.loopback.counts().0)),
];

fn number(number: u64) -> Result<Vec<u8>, Errno> {
    Ok(text(|to| writeln!(to, "{number}")))
}

/// The network namespace of who opened the file; ESRCH once that process has gone.
fn network(opener: &Opener) -> Result<Arc<NetworkNamespace>, Errno> {
    Ok(opener.thread.upgrade().ok_or(Errno::ESRCH)?.namespaces().network)
}

fn is_up(opener: &Opener) -> Result<bool, Errno> {
    Ok(network(opener)?.loopback.is_up())
}
