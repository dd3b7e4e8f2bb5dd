//! sysfs (sysfs(5)), as far as runtimes and shells read it: the CPUs, the one memory node, the loopback interface, and
//! the directories that programs expect. Nothing in it can be written.

mod net;

use super::{
    Caller, Dentry, FileType,
    proc::{
        cpu_list,
        table::{Row, Shown, Table, find, names, text},
    },
    synthetic::{self, Directory, Entry, Listed, Node, Opener, Ownership, list_names},
};
use crate::namespace::UserNamespace;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::fmt::Write;
use veridian_containers::abi::Errno;
use veridian_hal::cpu;

/// SYSFS_MAGIC of statfs(2).
const MAGIC: u64 = 0x6265_6572;

/// A new instance, mounted by somebody of the user namespace `owner`.
pub fn tree(owner: &Arc<UserNamespace>) -> Arc<Dentry> {
    synthetic::tree("sysfs", MAGIC, owner, directory(&ROOT))
}

/// What is shown.
#[derive(Clone, Copy, Debug)]
struct Machine;

impl Shown for Machine {}

type Rows = [Row<Machine>];

fn directory(rows: &'static Rows) -> Arc<dyn Directory> {
    Arc::new(Table { shown: Machine, rows })
}

static NOTHING: [Row<Machine>; 0] = [];

static ROOT: [Row<Machine>; 8] = [
    Row::directory("block", |_| directory(&NOTHING)),
    Row::directory("bus", |_| directory(&NOTHING)),
    Row::directory("class", |_| directory(&CLASS)),
    Row::directory("dev", |_| directory(&DEV)),
    Row::directory("devices", |_| directory(&DEVICES)),
    Row::directory("fs", |_| directory(&FS)),
    Row::directory("kernel", |_| directory(&NOTHING)),
    Row::directory("module", |_| directory(&NOTHING)),
];

static CLASS: [Row<Machine>; 1] = [Row::directory("net", net::class)];

static DEV: [Row<Machine>; 2] =
    [Row::directory("block", |_| directory(&NOTHING)), Row::directory("char", |_| directory(&NOTHING))];

/// A place to mount the cgroups.
static FS: [Row<Machine>; 1] = [Row::directory("cgroup", |_| directory(&NOTHING))];

static DEVICES: [Row<Machine>; 2] =
    [Row::directory("system", |_| directory(&SYSTEM)), Row::directory("virtual", |_| directory(net::VIRTUAL))];

static SYSTEM: [Row<Machine>; 2] =
    [Row::directory("cpu", |_| Arc::new(Cpus)), Row::directory("node", |_| directory(&NODES))];

static CPUS: [Row<Machine>; 4] = [
    Row::text("kernel_max", |_, _| Ok(text(|to| writeln!(to, "{}", cpu::MAX_CPUS - 1)))),
    Row::text("online", all_cpus),
    Row::text("possible", all_cpus),
    Row::text("present", all_cpus),
];

static NODES: [Row<Machine>; 3] = [
    Row::directory("node0", |_| directory(&NODE)),
    Row::text("online", |_, _| Ok(b"0\n".to_vec())),
    Row::text("possible", |_, _| Ok(b"0\n".to_vec())),
];

static NODE: [Row<Machine>; 2] = [Row::text("cpulist", all_cpus), Row::text("cpumap", cpu_map)];

/// Every CPU that was brought up stays so, and no other can come.
fn all_cpus(_: &Machine, _: &Opener) -> Result<Vec<u8>, Errno> {
    Ok(text(|to| writeln!(to, "{}", cpu_list((1 << cpu::count()) - 1))))
}

/// The same as [`all_cpus`], a bit for each CPU, in hexadecimal.
fn cpu_map(_: &Machine, _: &Opener) -> Result<Vec<u8>, Errno> {
    let digits = cpu::count().div_ceil(4);
    Ok(text(|to| writeln!(to, "{:0digits$x}", (1_u64 << cpu::count()) - 1)))
}

/// `/sys/devices/system/cpu`: the lists, and a directory for each CPU.
#[derive(Debug)]
struct Cpus;

impl Entry for Cpus {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o555)
    }
}

impl Directory for Cpus {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        if let Some(row) = find(&CPUS, name) {
            return Ok(row.node(&Machine));
        }
        let is_cpu = (0..cpu::count()).any(|cpu| format!("cpu{cpu}").as_bytes() == name);
        if is_cpu { Ok(Node::Directory(directory(&NOTHING))) } else { Err(Errno::ENOENT) }
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let cpus: Vec<String> = (0..cpu::count()).map(|cpu| format!("cpu{cpu}")).collect();
        let mut all: Vec<(&[u8], FileType)> = names(&CPUS).collect();
        all.extend(cpus.iter().map(|name| (name.as_bytes(), FileType::Directory)));
        list_names(all, from, tell);
        Ok(())
    }
}
