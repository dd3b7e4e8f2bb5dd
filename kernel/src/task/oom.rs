//! Out of memory: of a group at its limit somebody is killed, the group whole if it is to live or die as one
//! (cgroup-v2 `memory.oom.group`); a machine at its end takes whoever asked.

use super::{Thread, run::kill};
use crate::cgroup::{Cgroup, MemoryGroup, memory::Event};
use crate::sched;
use alloc::{sync::Arc, vec::Vec};
use veridian_hal::clock;

/// What was done for a thread that was refused memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relief {
    /// No group had refused it.
    None,
    /// It is killed itself.
    Killed,
    /// Another process of the group ends: there will be room.
    OtherKilled,
}

/// `thread` cannot go on without the frame that it was refused.
pub(super) fn out_of_memory(thread: &Arc<Thread>) -> Relief {
    match refused(thread) {
        Relief::None => {
            log::warn!("out of memory: the machine has no frame left for {thread:?}, which is killed");
            kill(thread);
            Relief::Killed
        }
        relief => relief,
    }
}

/// If a group refused a charge for `thread`, makes room in that group by killing.
pub(super) fn refused(thread: &Arc<Thread>) -> Relief {
    let Some(memory) = thread.memory().take_refusal() else { return Relief::None };
    let mut at = thread.cgroup();
    while !Arc::ptr_eq(&at.memory, &memory) {
        let Some(parent) = at.parent().cloned() else { return Relief::None };
        at = parent;
    }
    relieve(&at, &memory);
    if thread.signals().is_killed() { Relief::Killed } else { Relief::OtherKilled }
}

/// Has processes of `group` killed until what it has fits `memory.max`, which was lowered.
pub fn fit_memory(group: &Arc<Cgroup>) {
    const PAUSE_NS: u64 = 1_000_000;
    let group = group.clone();
    if !group.memory.is_over_max() {
        return;
    }
    sched::spawn(async move {
        while group.memory.is_over_max() && group.is_populated() {
            relieve(&group, &group.memory);
            sched::sleep_until(clock::now_ns() + PAUSE_NS).await;
        }
    });
}

/// Kills the process of `group` and below that frees most, or all of the topmost group below `group` that the process
/// is in and that lives or dies as one.
pub(super) fn relieve(group: &Arc<Cgroup>, memory: &Arc<MemoryGroup>) {
    let threads: Vec<_> = group.subtree().iter().flat_map(|group| group.threads()).collect();
    if threads.iter().any(|thread| thread.signals().is_killed() && !thread.has_ended()) {
        // Somebody ends already.
        return;
    }
    memory.count(Event::Oom);
    let Some(victim) = threads.iter().max_by_key(|thread| thread.resident_bytes()) else { return };
    let cgroup = victim.cgroup();
    let inside = cgroup.groups_to_root().take_while(|above| group.contains(above));
    let whole = inside.filter(|above| above.memory.kills_whole()).last();
    let kib = memory.current_bytes() / 1024;
    match whole {
        Some(whole) => {
            log::warn!("out of memory: {group:?} is at its limit of {kib} KiB; {whole:?} is killed");
            whole.memory.count(Event::OomGroupKill);
            for _ in 0..whole.live() {
                whole.memory.count(Event::OomKill);
            }
            whole.kill();
        }
        None => {
            log::warn!("out of memory: {group:?} is at its limit of {kib} KiB; {victim:?} is killed");
            cgroup.memory.count(Event::OomKill);
            kill(victim);
        }
    }
    group.groups_to_root().for_each(|above| above.changes().notify());
}
