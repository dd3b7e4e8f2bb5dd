//! How processes are scheduled: sched(7), ioprio_set(2), getcpu(2).
//!
//! There are no classes of real time: SCHED_FIFO, SCHED_RR and SCHED_DEADLINE are EPERM for everybody, as they are for a
//! container without CAP_SYS_NICE.

use super::{
    place::check_flags,
    usage::{by_pid, named},
};
use crate::{
    sched::{Class, Policy, Task},
    security::Capabilities,
    task::Thread,
};
use alloc::sync::Arc;
use linux_raw_sys::general::{self, SCHED_DEADLINE, SCHED_FIFO, SCHED_RR};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, cpu};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What a CPU gives one task before it looks at others, in nanoseconds.
const SLICE_NS: i64 = 4_000_000;
const RESET_ON_FORK: u32 = general::SCHED_RESET_ON_FORK;

fn target(thread: &Arc<Thread>, pid: i32) -> Result<(Arc<Thread>, Arc<Task>), Errno> {
    let target = by_pid(thread, u32::try_from(pid).map_err(|_| Errno::EINVAL)?)?;
    let task = target.task().cloned().ok_or(Errno::ESRCH)?;
    Ok((target, task))
}

/// The number that programs see.
fn number(policy: Policy) -> u32 {
    policy.class as u32 | if policy.reset_on_fork { RESET_ON_FORK } else { 0 }
}

/// What `number` asks for with `priority`: EINVAL for what is no policy, or a priority that it has not; EPERM for those of
/// real time.
fn policy(number: u32, priority: i32) -> Result<Policy, Errno> {
    let class = match number & !RESET_ON_FORK {
        0 => Class::Normal,
        3 => Class::Batch,
        5 => Class::Idle,
        SCHED_FIFO | SCHED_RR if (1..=99).contains(&priority) => return Err(Errno::EPERM),
        SCHED_DEADLINE => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    if priority != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Policy { class, reset_on_fork: number & RESET_ON_FORK != 0 })
}

/// EPERM unless the caller may set how `target` is scheduled.
fn permit(thread: &Thread, target: &Thread, old: Policy, new: Policy) -> Result<(), Errno> {
    let (caller, owner) = (thread.credentials(), target.credentials());
    let owns = [owner.uid, owner.euid].contains(&caller.euid);
    // Who is idle, or keeps his children from inheriting, stays so (RLIMIT_NICE lets nobody here).
    let rises = old.class == Class::Idle && new.class != Class::Idle && target.nice() < 0
        || old.reset_on_fork && !new.reset_on_fork;
    if (owns && !rises) || caller.capable(Capabilities::SYS_NICE) { Ok(()) } else { Err(Errno::EPERM) }
}

fn set(thread: &Arc<Thread>, pid: i32, number: Option<u32>, priority: i32) -> Result<(), Errno> {
    let (target, task) = target(thread, pid)?;
    let old = task.policy();
    let new = policy(number.unwrap_or(self::number(old)), priority)?;
    permit(thread, &target, old, new)?;
    task.set_policy(new);
    Ok(())
}

pub fn sched_setscheduler(thread: &Arc<Thread>, pid: i32, policy: i32, from: UserAddr) -> Result<usize, Errno> {
    let policy = u32::try_from(policy).map_err(|_| Errno::EINVAL)?;
    set(thread, pid, Some(policy), thread.space().read(from)?).map(|()| 0)
}

pub fn sched_getscheduler(thread: &Arc<Thread>, pid: i32) -> Result<usize, Errno> {
    Ok(number(target(thread, pid)?.1.policy()) as usize)
}

pub fn sched_setparam(thread: &Arc<Thread>, pid: i32, from: UserAddr) -> Result<usize, Errno> {
    set(thread, pid, None, thread.space().read(from)?).map(|()| 0)
}

/// No task has a priority of real time: 0.
pub fn sched_getparam(thread: &Arc<Thread>, pid: i32, to: UserAddr) -> Result<usize, Errno> {
    target(thread, pid)?;
    thread.space().write(to, &0_i32)?;
    Ok(0)
}

/// `struct sched_attr` as it was first, which is all of it that means something here.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const KEEP_POLICY: u64 = 0x08;
const KEEP_PARAMS: u64 = 0x10;
const FLAG_RESET_ON_FORK: u64 = 0x01;

pub fn sched_setattr(thread: &Arc<Thread>, pid: i32, from: UserAddr, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, 0)?;
    let space = thread.space();
    let known = size_of::<Attributes>();
    let size = match space.read::<u32>(from)? as usize {
        0 => known,
        size => size,
    };
    let fits = (known..=PAGE_SIZE).contains(&size);
    let mut bytes = [0; size_of::<Attributes>()];
    let read =
        if fits { super::place::extensible(thread, from, size, bytes.len(), &mut bytes) } else { Err(Errno::E2BIG) };
    if let Err(errno) = read {
        if errno == Errno::E2BIG {
            space.write(from, &(known as u32))?;
        }
        return Err(errno);
    }
    let asked = Attributes::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
    if asked.flags & !(KEEP_POLICY | KEEP_PARAMS | FLAG_RESET_ON_FORK) != 0 {
        return Err(Errno::EINVAL);
    }
    let (target, task) = target(thread, pid)?;
    let old = task.policy();
    let reset = if asked.flags & FLAG_RESET_ON_FORK != 0 { RESET_ON_FORK } else { 0 };
    let wanted = if asked.flags & KEEP_POLICY != 0 { old.class as u32 } else { asked.policy };
    if wanted & RESET_ON_FORK != 0 {
        return Err(Errno::EINVAL);
    }
    let new = policy(wanted | reset, i32::try_from(asked.priority).map_err(|_| Errno::EINVAL)?)?;
    permit(thread, &target, old, new)?;
    if asked.flags & KEEP_PARAMS == 0 && new.class != Class::Idle {
        let nice = asked.nice.clamp(-20, 19);
        if nice < target.nice() && !thread.credentials().capable(Capabilities::SYS_NICE) {
            return Err(Errno::EPERM);
        }
        target.set_nice(nice);
    }
    task.set_policy(new);
    Ok(0)
}

pub fn sched_getattr(thread: &Arc<Thread>, pid: i32, to: UserAddr, size: u32, flags: u32) -> Result<usize, Errno> {
    check_flags(flags, 0)?;
    let known = size_of::<Attributes>();
    if !(known..=PAGE_SIZE).contains(&(size as usize)) {
        return Err(Errno::EINVAL);
    }
    let (target, task) = target(thread, pid)?;
    let policy = task.policy();
    let flags = if policy.reset_on_fork { FLAG_RESET_ON_FORK } else { 0 };
    let size = known as u32;
    let told = Attributes { size, policy: policy.class as u32, flags, nice: target.nice(), ..Default::default() };
    thread.space().write(to, &told)?;
    Ok(0)
}

pub fn sched_get_priority_max(_: &Thread, policy: u32) -> Result<usize, Errno> {
    bounds(policy).map(|(_, most)| most)
}

pub fn sched_get_priority_min(_: &Thread, policy: u32) -> Result<usize, Errno> {
    bounds(policy).map(|(least, _)| least)
}

fn bounds(policy: u32) -> Result<(usize, usize), Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        0 | 3 | 5 | SCHED_DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_rr_get_interval(2): the slice.
pub fn sched_rr_get_interval(thread: &Arc<Thread>, pid: i32, to: UserAddr) -> Result<usize, Errno> {
    target(thread, pid)?;
    thread.space().write(to, &[0, SLICE_NS])?;
    Ok(0)
}

const IOPRIO_WHO_PROCESS: u32 = 1;
/// Where the class of an I/O priority begins, and the classes.
const IOPRIO_CLASS_SHIFT: u32 = 13;
const IOPRIO_LEVELS: u32 = 8;
const IOPRIO_CLASS_IDLE: u32 = 3;

/// The processes that ioprio_get(2) and ioprio_set(2) name: groups and users as for getpriority(2), with other numbers.
fn io_targets(thread: &Arc<Thread>, which: u32, who: u32) -> Result<alloc::vec::Vec<Arc<Thread>>, Errno> {
    named(thread, which.checked_sub(IOPRIO_WHO_PROCESS).ok_or(Errno::EINVAL)?, who)
}

pub fn ioprio_set(thread: &Arc<Thread>, which: u32, who: u32, priority: u32) -> Result<usize, Errno> {
    let (class, level) = (priority >> IOPRIO_CLASS_SHIFT, priority & ((1 << IOPRIO_CLASS_SHIFT) - 1));
    let caller = thread.credentials();
    match class {
        0 if level == 0 => {}
        1 if !caller.capable(Capabilities::SYS_NICE) && !caller.capable(Capabilities::SYS_ADMIN) => {
            return Err(Errno::EPERM);
        }
        1 | 2 if level < IOPRIO_LEVELS => {}
        IOPRIO_CLASS_IDLE => {}
        _ => return Err(Errno::EINVAL),
    }
    let priority = u16::try_from(priority).map_err(|_| Errno::EINVAL)?;
    let targets = io_targets(thread, which, who)?;
    let may = |other: &Arc<Thread>| [caller.euid, caller.uid].contains(&other.credentials().uid);
    if !targets.iter().all(may) && !caller.capable(Capabilities::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    targets.iter().filter_map(|other| other.task()).for_each(|task| task.set_io_priority(priority));
    Ok(0)
}

/// The best of those named: the lowest number that is one.
pub fn ioprio_get(thread: &Arc<Thread>, which: u32, who: u32) -> Result<usize, Errno> {
    let targets = io_targets(thread, which, who)?;
    let all = targets.iter().filter_map(|other| other.task()).map(|task| task.io_priority());
    Ok(all.min_by_key(|&priority| if priority == 0 { u16::MAX } else { priority }).unwrap_or(0).into())
}

/// getcpu(2): there is one node.
pub fn getcpu(thread: &Thread, cpu_at: UserAddr, node_at: UserAddr, _unused: usize) -> Result<usize, Errno> {
    for (at, value) in [(cpu_at, cpu::id() as u32), (node_at, 0)] {
        if at != UserAddr(0) {
            thread.space().write(at, &value)?;
        }
    }
    Ok(0)
}
