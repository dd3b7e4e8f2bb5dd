//! What processes have used, and how CPU time is divided among them: getrusage(2), times(2), nice values, CPUs.

use super::timespec::TimeVal;
use crate::{
    sched::{CpuMask, Times},
    security::Capabilities,
    task::Thread,
};
use alloc::{sync::Arc, vec, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, clock, cpu};
use zerocopy::{Immutable, IntoBytes};

const NS_PER_S: u64 = 1_000_000_000;
/// Clock ticks a second (sysconf(_SC_CLK_TCK)).
const TICKS_PER_S: u64 = 100;

/// `struct rusage`. What is not counted is 0, as in Linux for most of its fields.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
pub struct ResourceUsage {
    user: TimeVal,
    system: TimeVal,
    /// In KiB.
    peak_resident: i64,
    _not_counted: [i64; 13],
}

impl ResourceUsage {
    fn new(times: Times, peak_resident_bytes: usize) -> Self {
        Self {
            user: TimeVal::from_ns(times.user_ns),
            system: TimeVal::from_ns(times.system_ns),
            peak_resident: (peak_resident_bytes / 1024) as i64,
            _not_counted: [0; 13],
        }
    }

    /// Of an ended child and of its children, as wait4(2) tells it.
    pub fn of_child(child: &Thread) -> Self {
        let mut times = child.times();
        times += child.children_times();
        Self::new(times, child.peak_resident_bytes().max(child.children_peak_resident_bytes()))
    }
}

pub fn getrusage(thread: &Thread, who: i32, to: UserAddr) -> Result<usize, Errno> {
    const RUSAGE_SELF: i32 = 0;
    const RUSAGE_CHILDREN: i32 = -1;
    const RUSAGE_THREAD: i32 = 1;
    let usage = match who {
        RUSAGE_SELF => ResourceUsage::new(thread.times(), thread.peak_resident_bytes()),
        RUSAGE_THREAD => ResourceUsage::new(thread.own_times(), thread.peak_resident_bytes()),
        RUSAGE_CHILDREN => ResourceUsage::new(thread.children_times(), thread.children_peak_resident_bytes()),
        _ => return Err(Errno::EINVAL),
    };
    thread.space().write(to, &usage)?;
    Ok(0)
}

/// times(2): CPU times in ticks; the result is a number of ticks since boot.
pub fn times(thread: &Thread, to: UserAddr) -> Result<usize, Errno> {
    let ticks = |ns: u64| ns / (NS_PER_S / TICKS_PER_S);
    if to != UserAddr(0) {
        let (own, children) = (thread.times(), thread.children_times());
        let words = [own.user_ns, own.system_ns, children.user_ns, children.system_ns].map(ticks);
        thread.space().write(to, &words)?;
    }
    Ok(ticks(clock::now_ns()) as usize)
}

/// The processes that getpriority(2) and setpriority(2) name.
pub(super) fn named(thread: &Arc<Thread>, which: u32, who: u32) -> Result<Vec<Arc<Thread>>, Errno> {
    const PRIO_PROCESS: u32 = 0;
    const PRIO_PGRP: u32 = 1;
    const PRIO_USER: u32 = 2;
    let namespace = thread.pid().namespace();
    let all = || namespace.processes().into_iter().filter(|other| !other.has_ended());
    let found: Vec<_> = match which {
        PRIO_PROCESS if who == 0 => vec![thread.clone()],
        PRIO_PROCESS => namespace.thread(who).into_iter().collect(),
        PRIO_PGRP => {
            let group = if who == 0 {
                thread.group()
            } else {
                namespace.thread(who).map_or(0, |leader| leader.pid().global_number())
            };
            all().filter(|other| other.group() == group).collect()
        }
        PRIO_USER => {
            let uid = if who == 0 { thread.credentials().uid } else { who };
            all().filter(|other| other.credentials().uid == uid).collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// The call gives 20 less the nice value, which is above 0 always; the C library turns it back.
pub fn getpriority(thread: &Arc<Thread>, which: u32, who: u32) -> Result<usize, Errno> {
    let lowest = named(thread, which, who)?.iter().map(|other| other.nice()).min().unwrap_or(0);
    Ok((20 - lowest) as usize)
}

pub fn setpriority(thread: &Arc<Thread>, which: u32, who: u32, nice: i32) -> Result<usize, Errno> {
    let nice = nice.clamp(-20, 19);
    let caller = thread.credentials();
    for other in named(thread, which, who)? {
        let target = other.credentials();
        let own = [target.uid, target.euid].contains(&caller.euid);
        if !own && !caller.capable(Capabilities::SYS_NICE) {
            return Err(Errno::EPERM);
        }
        if nice < other.nice() && !caller.capable(Capabilities::SYS_NICE) {
            return Err(Errno::EACCES);
        }
        other.set_nice(nice);
    }
    Ok(0)
}

pub(super) fn by_pid(thread: &Arc<Thread>, pid: u32) -> Result<Arc<Thread>, Errno> {
    if pid == 0 {
        return Ok(thread.clone());
    }
    thread.pid().namespace().thread(pid).ok_or(Errno::ESRCH)
}

fn machine() -> CpuMask {
    CpuMask::MAX >> (CpuMask::BITS as usize - cpu::count())
}

/// The mask of a set of CPUs as programs pass it; what is not there is 0.
pub async fn sched_setaffinity(thread: &Arc<Thread>, pid: u32, length: usize, from: UserAddr) -> Result<usize, Errno> {
    let mut bytes = [0; size_of::<CpuMask>()];
    let known = length.min(bytes.len());
    thread.space().read_bytes(from, &mut bytes[..known])?;
    let target = by_pid(thread, pid)?;
    let (caller, owner) = (thread.credentials(), target.credentials());
    if ![owner.uid, owner.euid].contains(&caller.euid) && !caller.capable(Capabilities::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let wanted = CpuMask::from_le_bytes(bytes) & machine();
    let allowed = wanted & target.cgroup().cpu.cpus();
    if allowed == 0 {
        return Err(Errno::EINVAL);
    }
    target.task().ok_or(Errno::ESRCH)?.set_cpus(wanted);
    if Arc::ptr_eq(&target, thread) {
        // It is on an allowed CPU when the call returns.
        crate::sched::yield_now().await;
    }
    Ok(0)
}

/// The number of bytes that were written, as the bare call gives it.
pub fn sched_getaffinity(thread: &Arc<Thread>, pid: u32, length: usize, to: UserAddr) -> Result<usize, Errno> {
    const WORD: usize = size_of::<u64>();
    if length < WORD || !length.is_multiple_of(WORD) {
        return Err(Errno::EINVAL);
    }
    let target = by_pid(thread, pid)?;
    let mask = target.task().map_or(machine(), |task| task.cpus()) & machine();
    thread.space().write(to, &u64::from(mask))?;
    Ok(WORD)
}
