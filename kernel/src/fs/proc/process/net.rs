//! `/proc/<pid>/net`: the network namespace of a process (proc_pid_net(5)).

use super::{Process, text};
use crate::{
    fs::{
        proc::table::{Row, Table},
        synthetic::{Directory, Opener},
    },
    namespace::NetworkNamespace,
    net::{Family, Kind, text as told},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt::Write;
use veridian_containers::abi::Errno;

/// Lines of `route` are padded to this, as on Linux.
const ROUTE_WIDTH: usize = 127;

pub fn directory(process: &Process) -> Arc<dyn Directory> {
    Arc::new(Table { shown: process.clone(), rows: &ROWS })
}

static ROWS: [Row<Process>; 12] = [
    Row::text("arp", |_, _| Ok(told::NEIGHBOURS.into())),
    Row::text("dev", |process, _| shown(process, NetworkNamespace::devices_text)),
    Row::text("if_inet6", |process, _| shown(process, NetworkNamespace::addresses_text)),
    Row::text("raw", |process, opener| sockets(process, opener, Kind::RawIcmp, Family::V4)),
    Row::text("raw6", |process, opener| sockets(process, opener, Kind::RawIcmp, Family::V6)),
    Row::text("route", |_, _| Ok(text(|to| writeln!(to, "{:ROUTE_WIDTH$}", told::ROUTES)))),
    Row::text("tcp", |process, opener| sockets(process, opener, Kind::Stream, Family::V4)),
    Row::text("tcp6", |process, opener| sockets(process, opener, Kind::Stream, Family::V6)),
    Row::text("udp", |process, opener| sockets(process, opener, Kind::Datagram, Family::V4)),
    Row::text("udp6", |process, opener| sockets(process, opener, Kind::Datagram, Family::V6)),
    Row::text("icmp", |process, opener| sockets(process, opener, Kind::Echo, Family::V4)),
    Row::text("unix", |process, _| shown(process, NetworkNamespace::unix_text)),
];

fn shown(process: &Process, show: impl FnOnce(&NetworkNamespace) -> String) -> Result<Vec<u8>, Errno> {
    let thread = process.live()?;
    // One that has ended is in no namespace any more (EINVAL, as on Linux).
    if thread.has_ended() { Err(Errno::EINVAL) } else { Ok(show(&thread.namespaces().network).into_bytes()) }
}

fn sockets(process: &Process, opener: &Opener, kind: Kind, family: Family) -> Result<Vec<u8>, Errno> {
    shown(process, |network| network.sockets_text(kind, family, &opener.credentials.user_namespace))
}
