//! Out of memory: a group at its limit is killed whole (cgroup-v2 with `memory.oom.group`), so that a container
//! never lives on in part; a machine at its end takes whoever asked.

use super::{Thread, run::kill};
use crate::{boot, cgroup::Cgroup};
use alloc::sync::Arc;

/// `thread` cannot go on without the frame that it was refused.
pub(super) fn out_of_memory(thread: &Arc<Thread>) {
    if refused(thread) {
        return;
    }
    log::warn!("out of memory: the machine has no frame left for {thread:?}, which is killed");
    kill(thread);
}

/// If a group refused a charge for `thread`, kills that group; tells whether it did.
pub(super) fn refused(thread: &Thread) -> bool {
    let Some(group) = thread.memory().take_refusal() else { return false };
    if group.set_out_of_memory() {
        log::warn!("out of memory: a group at its limit of {} KiB is killed", group.current_bytes() / 1024);
    }
    kill_those(|thread| group.contains(&thread.cgroup().memory));
    true
}

/// Kills every process of `cgroup`, those included that are being made (cgroup-v2 `cgroup.kill`).
pub fn kill_group(cgroup: &Cgroup) {
    cgroup.set_killed();
    kill_those(|thread| cgroup.memory.contains(&thread.cgroup().memory));
}

fn kill_those(doomed: impl Fn(&Thread) -> bool) {
    for thread in boot::pid_namespace().threads() {
        if doomed(&thread) && !thread.has_ended() {
            kill(&thread);
        }
    }
}
