//! The files of a group: their names, formats and errors are Linux's.

use super::{Opener, permit_change};
use crate::{
    cgroup::{Cgroup, Change, Controllers, memory::Limit, pids},
    sched::CpuMask,
    security::{Capabilities, Credentials},
    task::{self, Thread},
};
use alloc::{string::String, sync::Arc};
use core::fmt::Write;
use veridian_containers::abi::Errno;
use veridian_hal::cpu;

/// A file.
#[derive(Debug)]
pub(super) struct Row {
    pub name: &'static str,
    /// Whose it is; empty for those that every group has.
    controller: Controllers,
    on_root: bool,
    pub mode: u16,
}

const READ: u16 = 0o444;
const BOTH: u16 = 0o644;
const WRITE: u16 = 0o200;

const fn row(name: &'static str, controller: Controllers, on_root: bool, mode: u16) -> Row {
    Row { name, controller, on_root, mode }
}

const CORE: Controllers = Controllers::empty();

/// All files, in the order in which a directory lists them.
pub(super) const FILES: &[Row] = &[
    row("cgroup.type", CORE, false, BOTH),
    row("cgroup.procs", CORE, true, BOTH),
    row("cgroup.threads", CORE, true, BOTH),
    row("cgroup.controllers", CORE, true, READ),
    row("cgroup.subtree_control", CORE, true, BOTH),
    row("cgroup.events", CORE, false, READ),
    row("cgroup.max.descendants", CORE, true, BOTH),
    row("cgroup.max.depth", CORE, true, BOTH),
    row("cgroup.stat", CORE, true, READ),
    row("cgroup.freeze", CORE, false, BOTH),
    row("cgroup.kill", CORE, false, WRITE),
    row("cpu.stat", CORE, true, READ),
    row("cpu.weight", Controllers::CPU, false, BOTH),
    row("cpu.weight.nice", Controllers::CPU, false, BOTH),
    row("cpu.max", Controllers::CPU, false, BOTH),
    row("cpu.max.burst", Controllers::CPU, false, BOTH),
    row("cpu.idle", Controllers::CPU, false, BOTH),
    row("cpuset.cpus", Controllers::CPUSET, false, BOTH),
    row("cpuset.cpus.effective", Controllers::CPUSET, true, READ),
    row("memory.current", Controllers::MEMORY, false, READ),
    row("memory.peak", Controllers::MEMORY, false, READ),
    row("memory.min", Controllers::MEMORY, false, BOTH),
    row("memory.low", Controllers::MEMORY, false, BOTH),
    row("memory.high", Controllers::MEMORY, false, BOTH),
    row("memory.max", Controllers::MEMORY, false, BOTH),
    row("memory.events", Controllers::MEMORY, false, READ),
    row("memory.events.local", Controllers::MEMORY, false, READ),
    row("memory.stat", Controllers::MEMORY, true, READ),
    row("memory.oom.group", Controllers::MEMORY, false, BOTH),
    row("memory.swap.current", Controllers::MEMORY, false, READ),
    row("memory.swap.max", Controllers::MEMORY, false, BOTH),
    row("pids.current", Controllers::PIDS, false, READ),
    row("pids.peak", Controllers::PIDS, false, READ),
    row("pids.max", Controllers::PIDS, false, BOTH),
    row("pids.events", Controllers::PIDS, false, READ),
    row("pids.events.local", Controllers::PIDS, false, READ),
];

impl Row {
    /// Whether `group` has it.
    pub fn is_in(&self, group: &Cgroup) -> bool {
        (self.on_root || group.parent().is_some()) && group.controllers().contains(self.controller)
    }

    /// Whether those in a cgroup namespace may write it in the namespace's root group too.
    pub fn is_delegated(&self) -> bool {
        matches!(self.name, "cgroup.procs" | "cgroup.threads" | "cgroup.subtree_control")
    }

    /// Whether poll(2) tells of its changes.
    pub fn tells_changes(&self) -> bool {
        matches!(self.name, "cgroup.events" | "memory.events" | "memory.events.local")
    }
}

/// A file's text. EOPNOTSUPP for what can only be written.
pub(super) fn read(group: &Arc<Cgroup>, row: &Row, opener: &Opener) -> Result<String, Errno> {
    let mut text = String::new();
    let written = match row.name.split_once('.').map_or("", |(controller, _)| controller) {
        "cgroup" => core(group, row.name, opener, &mut text)?,
        "cpu" | "cpuset" => cpu_file(group, row.name, &mut text),
        "memory" => memory_file(group, row.name, &mut text),
        _ => pids_file(group, row.name, &mut text),
    };
    written.map_err(|_| Errno::EIO)?;
    Ok(text)
}

fn core(group: &Arc<Cgroup>, name: &str, opener: &Opener, to: &mut String) -> Result<core::fmt::Result, Errno> {
    let most = |to: &mut String, most: usize| match most {
        usize::MAX => writeln!(to, "max"),
        most => writeln!(to, "{most}"),
    };
    Ok(match name {
        "cgroup.type" => writeln!(to, "domain"),
        "cgroup.procs" | "cgroup.threads" => {
            let viewer = opener.thread.upgrade().ok_or(Errno::ESRCH)?;
            let namespace = viewer.pid().namespace();
            // A process that has no number there is 0, as on Linux.
            let wanted = |thread: &Arc<Thread>| name == "cgroup.threads" || thread.is_leader();
            let members = group.threads().into_iter().filter(wanted);
            let mut numbers = members.map(|thread| thread.pid().number_in(namespace).unwrap_or(0));
            numbers.try_for_each(|number| writeln!(to, "{number}"))
        }
        "cgroup.controllers" => writeln!(to, "{}", group.controllers().names()),
        "cgroup.subtree_control" => writeln!(to, "{}", group.subtree_control().names()),
        "cgroup.events" => {
            let (populated, frozen) = (u8::from(group.is_populated()), u8::from(group.is_at_rest()));
            writeln!(to, "populated {populated}\nfrozen {frozen}")
        }
        "cgroup.max.descendants" => most(to, group.descendants_max()),
        "cgroup.max.depth" => most(to, group.depth_max()),
        "cgroup.stat" => {
            let (there, dying) = (group.descendants(), group.dying_descendants());
            writeln!(to, "nr_descendants {there}\nnr_dying_descendants {dying}")
        }
        "cgroup.freeze" => writeln!(to, "{}", u8::from(group.is_frozen())),
        _ => return Err(Errno::EOPNOTSUPP),
    })
}

fn cpu_file(group: &Arc<Cgroup>, name: &str, to: &mut String) -> core::fmt::Result {
    let group_cpu = &group.cpu;
    let max = group.cpu_max();
    match name {
        "cpu.weight" if group_cpu.is_idle() => writeln!(to, "0"),
        "cpu.weight" => writeln!(to, "{}", group_cpu.weight()),
        "cpu.weight.nice" => writeln!(to, "{}", Change::nice_of(group_cpu.weight())),
        "cpu.max" => match max.quota_us {
            Some(quota) => writeln!(to, "{quota} {}", max.period_us),
            None => writeln!(to, "max {}", max.period_us),
        },
        "cpu.max.burst" => writeln!(to, "{}", max.burst_us),
        "cpu.idle" => writeln!(to, "{}", u8::from(group_cpu.is_idle())),
        "cpuset.cpus" => writeln!(to, "{}", cpu_list(group_cpu.own_cpus(), true)),
        "cpuset.cpus.effective" => writeln!(to, "{}", cpu_list(group_cpu.cpus(), false)),
        _ => {
            let stat = group_cpu.stat();
            let us = |ns: u64| ns / 1000;
            let times = stat.times;
            writeln!(to, "usage_usec {}\nuser_usec {}", us(times.total_ns()), us(times.user_ns))?;
            writeln!(to, "system_usec {}", us(times.system_ns))?;
            if group.parent().is_none() {
                return Ok(());
            }
            writeln!(to, "nr_periods {}\nnr_throttled {}", stat.periods, stat.throttled)?;
            writeln!(to, "throttled_usec {}", us(stat.throttled_ns))?;
            writeln!(to, "nr_bursts {}\nburst_usec {}", stat.bursts, us(stat.burst_ns))
        }
    }
}

/// A mask as a list; what stands for all is empty where `own` is asked for.
fn cpu_list(mask: CpuMask, own: bool) -> String {
    let mut list = String::new();
    if own && mask == CpuMask::MAX {
        return list;
    }
    let mut next = 0;
    while let Some(first) = (next..cpu::count()).find(|cpu| mask >> cpu & 1 == 1) {
        let end = (first..cpu::count()).find(|cpu| mask >> cpu & 1 == 0).unwrap_or(cpu::count());
        let comma = if list.is_empty() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = match end - first {
            1 => write!(list, "{comma}{first}"),
            _ => write!(list, "{comma}{first}-{}", end - 1),
        };
        next = end;
    }
    list
}

fn memory_file(group: &Arc<Cgroup>, name: &str, to: &mut String) -> core::fmt::Result {
    let memory = &group.memory;
    let mut limit = |limit: Limit| match memory.limit(limit) {
        Some(bytes) => writeln!(to, "{bytes}"),
        None => writeln!(to, "max"),
    };
    let events = |to: &mut String, events: [u64; 5]| {
        let [high, max, oom, oom_kill, oom_group_kill] = events;
        // Nothing is taken back from anybody: `low` has nothing to count.
        writeln!(to, "low 0\nhigh {high}\nmax {max}\noom {oom}\noom_kill {oom_kill}\noom_group_kill {oom_group_kill}")
    };
    match name {
        "memory.min" => limit(Limit::Min),
        "memory.low" => limit(Limit::Low),
        "memory.high" => limit(Limit::High),
        "memory.max" => limit(Limit::Max),
        "memory.swap.max" => limit(Limit::SwapMax),
        "memory.swap.current" => writeln!(to, "0"),
        "memory.current" => writeln!(to, "{}", memory.current_bytes()),
        "memory.peak" => writeln!(to, "{}", memory.peak_bytes()),
        "memory.oom.group" => writeln!(to, "{}", u8::from(memory.kills_whole())),
        "memory.events" => events(to, memory.events_below()),
        "memory.events.local" => events(to, memory.events_here()),
        _ => {
            let stat = memory.stat();
            // Files live in memory that is not backed by anything: all of them are shmem.
            writeln!(to, "anon {}\nfile {}\nkernel {}", stat.anon, stat.shmem, stat.kernel)?;
            writeln!(to, "pagetables {}\nsock {}\nshmem {}", stat.page_tables, stat.sock, stat.shmem)
        }
    }
}

fn pids_file(group: &Arc<Cgroup>, name: &str, to: &mut String) -> core::fmt::Result {
    let stat = group.pids.stat();
    match name {
        "pids.current" => writeln!(to, "{}", stat.current),
        "pids.peak" => writeln!(to, "{}", stat.peak),
        "pids.events" => writeln!(to, "max {}", stat.refused),
        "pids.events.local" => writeln!(to, "max {}", stat.refused_here),
        _ if stat.max == pids::UNLIMITED => writeln!(to, "max"),
        _ => writeln!(to, "{}", stat.max),
    }
}

/// Takes what is written to a file.
pub(super) fn write(group: &Arc<Cgroup>, row: &Row, text: &str, opener: &Opener) -> Result<(), Errno> {
    let flag = || match text.parse::<i64>() {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        Ok(_) => Err(Errno::ERANGE),
        Err(_) => Err(Errno::EINVAL),
    };
    let most = || match text {
        "max" => Ok(usize::MAX),
        _ => match text.parse::<i64>().map_err(|_| Errno::EINVAL)? {
            number @ 0..=0x7fff_ffff => Ok(number as usize),
            _ => Err(Errno::ERANGE),
        },
    };
    if row.mode & WRITE == 0 {
        return Err(Errno::EINVAL);
    }
    match row.name {
        // Threads of a process stay together: there is one each.
        "cgroup.type" | "cgroup.threads" => Err(Errno::EOPNOTSUPP),
        "cgroup.procs" => attach(group, text, opener),
        "cgroup.subtree_control" => group.control_subtree(text),
        "cgroup.max.descendants" => most().map(|most| group.set_descendants_max(most)),
        "cgroup.max.depth" => most().map(|most| group.set_depth_max(most)),
        "cgroup.freeze" => flag().map(|frozen| group.set_frozen(frozen)),
        "cgroup.kill" => {
            if !flag()? {
                return Err(Errno::ERANGE);
            }
            group.kill();
            Ok(())
        }
        name => {
            let mut change = Change::of(group);
            change.write(name, text)?;
            change.apply();
            if name == "memory.max" {
                task::fit_memory(group);
            }
            Ok(())
        }
    }
}

/// Moves the process that `text` names for who opened the file: 0 is the process itself.
fn attach(group: &Arc<Cgroup>, text: &str, opener: &Opener) -> Result<(), Errno> {
    let number: u32 = text.parse().map_err(|_| Errno::EINVAL)?;
    let mover = opener.thread.upgrade().ok_or(Errno::ESRCH)?;
    let found = if number == 0 { Some(mover.clone()) } else { mover.pid().namespace().thread(number) };
    let thread: Arc<Thread> = found.filter(|thread| !thread.has_ended()).ok_or(Errno::ESRCH)?;
    permit_move(&mover, &thread.cgroup(), group, &opener.credentials)?;
    group.attach(&thread)
}

/// Whether `mover` may move a process from one group to another: ENOENT where its cgroup namespace does not show both,
/// EPERM, EACCES unless `credentials` may write `cgroup.procs` of the group that has both in it.
pub(super) fn permit_move(
    mover: &Thread,
    from: &Cgroup,
    to: &Arc<Cgroup>,
    credentials: &Credentials,
) -> Result<(), Errno> {
    let root = mover.namespaces().cgroup.root().clone();
    if !root.contains(from) || !root.contains(to) {
        return Err(Errno::ENOENT);
    }
    let common = to.groups_to_root().find(|above| above.contains(from)).ok_or(Errno::ENOENT)?;
    permit_change(Some(mover), &common)?;
    permit_procs(&common, credentials)
}

/// EACCES unless `credentials` may write the group's `cgroup.procs`.
pub(super) fn permit_procs(group: &Cgroup, credentials: &Credentials) -> Result<(), Errno> {
    let (uid, _) = group.owner(Some("cgroup.procs"));
    let may = credentials.fsuid == uid || credentials.capable(Capabilities::DAC_OVERRIDE);
    if may { Ok(()) } else { Err(Errno::EACCES) }
}
