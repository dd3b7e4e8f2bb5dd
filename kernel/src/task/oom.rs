//! Out of memory: a group at its limit is killed whole (cgroup-v2 with `memory.oom.group`), so that a container
//! never lives on in part; a machine at its end takes whoever asked.

use super::{Thread, run::kill};
use crate::{boot, cgroup::MemoryGroup};
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
    kill_group(&group);
    true
}

fn kill_group(group: &Arc<MemoryGroup>) {
    if group.set_out_of_memory() {
        log::warn!("out of memory: a group at its limit of {} KiB is killed", group.current_bytes() / 1024);
    }
    for thread in boot::pid_namespace().threads() {
        if group.contains(&thread.cgroup().memory) && !thread.has_ended() {
            kill(&thread);
        }
    }
}
