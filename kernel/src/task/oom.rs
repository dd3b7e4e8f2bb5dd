//! Out of memory: of a group at its limit, or of the machine at its end, somebody is killed: who has most, moved by
//! oom_score_adj; or all of his group, if that is to live or die as one (cgroup-v2 `memory.oom.group`).

use super::{Thread, run::kill};
use crate::{
    boot,
    cgroup::{
        Cgroup, MemoryGroup,
        memory::{Event, Limit},
    },
    sched,
    security::OomScoreAdj,
};
use alloc::{sync::Arc, vec::Vec};
use veridian_hal::{PAGE_SIZE, clock, mem};

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
            log::warn!("out of memory: the machine has no frame left for {thread:?}");
            let machine = boot::cgroup();
            relieve_for(thread, machine, &machine.memory)
        }
        relief => relief,
    }
}

/// Makes room in `group` for `thread`, which dies itself if nobody else may be killed.
fn relieve_for(thread: &Arc<Thread>, group: &Arc<Cgroup>, memory: &Arc<MemoryGroup>) -> Relief {
    if !relieve(group, memory) {
        log::warn!("out of memory: nobody in {group:?} may be killed but {thread:?}, which asks");
        kill(thread);
    }
    if thread.signals().is_killed() { Relief::Killed } else { Relief::OtherKilled }
}

/// If a group refused a charge for `thread`, makes room in that group by killing.
pub(super) fn refused(thread: &Arc<Thread>) -> Relief {
    let Some(memory) = thread.memory().take_refusal() else { return Relief::None };
    let mut at = thread.cgroup();
    while !Arc::ptr_eq(&at.memory, &memory) {
        let Some(parent) = at.parent().cloned() else { return Relief::None };
        at = parent;
    }
    relieve_for(thread, &at, &memory)
}

/// Has processes of `group` killed until what it has fits `memory.max`, which was lowered.
pub fn fit_memory(group: &Arc<Cgroup>) {
    const PAUSE_NS: u64 = 1_000_000;
    let group = group.clone();
    if !group.memory.is_over_max() || !group.memory.begin_fitting() {
        return;
    }
    sched::spawn(async move {
        loop {
            while group.memory.is_over_max() && group.is_populated() && relieve(&group, &group.memory) {
                sched::sleep_until(clock::now_ns() + PAUSE_NS).await;
            }
            let fits = !group.memory.is_over_max();
            group.memory.end_fitting();
            // The limit may have been lowered again in between, by who saw that somebody was at it.
            if !fits || !group.memory.is_over_max() || !group.memory.begin_fitting() {
                return;
            }
        }
    });
}

/// How much a process is in the way where there are `total` bytes (Linux's oom_badness): what it has, and a thousandth of
/// all for each point of its oom_score_adj. `None` for who has ended, and for who is never killed: the machine's first
/// process, or by its score.
pub fn badness(thread: &Thread, total: u64) -> Option<i64> {
    let adjustment = thread.confinement().oom_score_adj().get();
    if thread.has_ended() || adjustment == OomScoreAdj::NEVER || thread.pid().global_number() == 1 {
        return None;
    }
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    Some(thread.resident_bytes() as i64 + i64::from(adjustment) * (total / 1000))
}

/// The machine's memory in bytes.
pub fn machine_bytes() -> u64 {
    (mem::statistics().total * PAGE_SIZE) as u64
}

/// Kills the worst process of `group` and below, or all of the topmost group below `group` that the process is in and
/// that lives or dies as one. Whether somebody ends, now or already.
pub(super) fn relieve(group: &Arc<Cgroup>, memory: &Arc<MemoryGroup>) -> bool {
    let threads: Vec<_> = group.subtree().iter().flat_map(|group| group.threads()).collect();
    // Who is being killed gives back what it has; who has done so may wait for long to be waited for.
    if threads.iter().any(|thread| thread.signals().is_killed() && thread.is_present()) {
        return true;
    }
    memory.count(Event::Oom);
    let total = memory.limit(Limit::Max).map_or(machine_bytes(), |limit| limit.min(machine_bytes()));
    let rated = threads.iter().filter_map(|thread| Some((badness(thread, total)?, thread)));
    let Some((_, victim)) = rated.max_by_key(|(badness, _)| *badness) else { return false };
    let cgroup = victim.cgroup();
    let inside = cgroup.groups_to_root().take_while(|above| group.contains(above));
    let whole = inside.filter(|above| above.memory.kills_whole()).last();
    let kib = memory.current_bytes() / 1024;
    match whole {
        Some(whole) => {
            log::warn!("out of memory: {group:?} is at its limit of {kib} KiB; {whole:?} is killed");
            whole.memory.count(Event::OomGroupKill);
            let killed = whole.kill_unless(|thread| badness(thread, total).is_none());
            (0..killed).for_each(|_| whole.memory.count(Event::OomKill));
        }
        None => {
            log::warn!("out of memory: {group:?} is at its limit of {kib} KiB; {victim:?} is killed");
            cgroup.memory.count(Event::OomKill);
            kill(victim);
        }
    }
    group.groups_to_root().for_each(|above| above.changes().notify());
    true
}
