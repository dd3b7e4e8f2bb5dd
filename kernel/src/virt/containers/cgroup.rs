//! The group of a container: below the caller's, with the limits that the configuration gives.

use crate::{
    cgroup::{
        Cgroup, KernelCharge,
        devices::{DeviceAccess, DeviceRule},
        memory::{Event, Limit},
        pids,
    },
    fs::FileType,
    task::Thread,
};
use alloc::sync::Arc;
use veridian_containers::{
    ContainerId,
    abi::{Errno, Stats},
    config::{DeviceRule as Rule, DeviceRuleKind, Resources},
    engine::Error,
};

/// Makes the group and sets its limits.
pub fn create(
    caller: &Thread,
    id: &ContainerId,
    path: Option<&str>,
    resources: &Resources,
) -> Result<Arc<Cgroup>, Error> {
    let group = make(&caller.cgroup(), path.unwrap_or(id.as_str()))?;
    // A container never lives on in part.
    group.memory.set_kills_whole(true);
    group.set_devices(resources.devices.iter().map(device_rule).collect());
    group.set_container();
    match group.update(resources) {
        Ok(()) => Ok(group),
        Err(errno) => {
            remove(&group);
            Err(errno.into())
        }
    }
}

/// Makes the group at `path` below `top`, and those on the way that are missing, which go with it again. EEXIST if it is
/// there already.
fn make(top: &Arc<Cgroup>, path: &str) -> Result<Arc<Cgroup>, Errno> {
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    let mut at = top.clone();
    while let Some(name) = names.next() {
        let there = at.child(name).filter(|_| names.peek().is_some());
        at = match there {
            Some(group) => group,
            None => match at.create(name) {
                Ok(group) => {
                    group.own_all_controllers();
                    group.set_passing(names.peek().is_some());
                    group
                }
                Err(errno) => {
                    remove_passing(Some(&at));
                    return Err(errno);
                }
            },
        };
    }
    if Arc::ptr_eq(&at, top) { Err(Errno::EINVAL) } else { Ok(at) }
}

/// Removes the group, those that the container has made below it, and those that were made only to lead to it.
pub fn remove(group: &Arc<Cgroup>) {
    group.remove_tree();
    remove_passing(group.parent());
}

fn remove_passing(mut group: Option<&Arc<Cgroup>>) {
    while let Some(passing) = group.filter(|group| group.is_passing())
        && passing.remove().is_ok()
    {
        group = passing.parent();
    }
}

/// Charges kernel memory to the caller's group.
pub fn charge(caller: &Thread, bytes: usize) -> Result<KernelCharge, Error> {
    Ok(caller.memory().charge_kernel(bytes).map_err(Errno::from)?)
}

/// Freezes the group; ready when nothing in it runs any more. Dropped before, it is as it was.
pub async fn freeze(cgroup: &Arc<Cgroup>) {
    /// Thaws again unless disarmed.
    struct Thawing<'a>(Option<&'a Arc<Cgroup>>);

    impl Drop for Thawing<'_> {
        fn drop(&mut self) {
            if let Some(cgroup) = self.0 {
                cgroup.thaw();
            }
        }
    }

    let mut thawing = Thawing(Some(cgroup));
    cgroup.freeze().await;
    thawing.0 = None;
}

/// What the group uses.
pub fn stats(cgroup: &Cgroup) -> Stats {
    let (memory, pids, cpu) = (&cgroup.memory, cgroup.pids.stat(), cgroup.cpu.stat());
    let limit = |max| if max == pids::UNLIMITED { Stats::UNLIMITED } else { max };
    Stats {
        size: size_of::<Stats>() as u64,
        memory_current: memory.current_bytes(),
        memory_peak: memory.peak_bytes(),
        memory_limit: memory.limit(Limit::Max).unwrap_or(Stats::UNLIMITED),
        memory_high_events: memory.event(Event::High),
        memory_max_events: memory.event(Event::Max),
        memory_oom_events: memory.event(Event::Oom),
        memory_oom_kills: memory.event(Event::OomKill),
        cpu_usage_ns: cpu.times.total_ns(),
        cpu_user_ns: cpu.times.user_ns,
        cpu_system_ns: cpu.times.system_ns,
        cpu_periods: cpu.periods,
        cpu_throttled_periods: cpu.throttled,
        cpu_throttled_ns: cpu.throttled_ns,
        pids_current: pids.current,
        pids_peak: pids.peak,
        pids_limit: limit(pids.max),
        pids_max_events: pids.refused,
        memory_low_events: 0,
    }
}

fn device_rule(rule: &Rule) -> DeviceRule {
    let kind = match rule.kind {
        DeviceRuleKind::All => None,
        DeviceRuleKind::Character => Some(FileType::CharacterDevice),
        DeviceRuleKind::Block => Some(FileType::BlockDevice),
    };
    // The bits are the same.
    let access = DeviceAccess::from_bits_truncate(rule.access.bits());
    DeviceRule { allow: rule.allow, kind, major: rule.major, minor: rule.minor, access }
}
