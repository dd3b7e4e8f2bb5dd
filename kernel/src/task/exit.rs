//! The end of a process (exit(2)): what it held goes first, then its children get another parent, then its own
//! parent is told.

use super::{Thread, run::kill, send};
use crate::cgroup::Cgroup;
use crate::{boot, tty};
use alloc::sync::Arc;
use veridian_containers::{Signal, abi::WaitStatus};
use veridian_hal::mem;

const SIGCHLD: u32 = 17;

/// Ends `thread`, which runs this itself.
pub async fn exit(thread: &Arc<Thread>, status: WaitStatus) {
    log::trace!("{thread:?} {status}");
    if thread.pid().is_init() && thread.pid().global_number() == 1 {
        boot::machine_ends(status);
    }
    // The last user of the address space frees it, and this CPU still has it loaded.
    mem::leave_address_space();
    let observer = thread.shed_body();
    tty::session_ends(thread);
    thread.namespaces().ipc.semaphores.undo(thread.pid());
    if thread.pid().is_init() {
        end_namespace(thread).await;
    }
    give_children_away(thread);
    thread.set_status(status);
    if let Some(observer) = observer {
        observer(status);
    }
    match thread.parent() {
        Some(parent) => tell_parent(&parent, thread),
        None => thread.depart(),
    }
}

/// The first process of a pid namespace takes all others with it, and is the last to go (pid_namespaces(7)).
async fn end_namespace(init: &Arc<Thread>) {
    let namespace = init.pid().namespace();
    namespace.close();
    for thread in namespace.threads() {
        if !Arc::ptr_eq(&thread, init) {
            kill(&thread);
        }
    }
    for child in init.children() {
        if child.status().is_some() {
            init.disown(&child);
        }
    }
    namespace.threads().iter().for_each(free_zombie);
    namespace.departures().wait_until(|| (namespace.pids_in_use() <= 1).then_some(())).await;
}

/// Ends a child of `parent` that was held and is not to run after all; nobody waits for it.
pub fn abandon(parent: &Thread, child: &Arc<Thread>) {
    child.forget_parent();
    parent.strike(child);
    kill(child);
}

/// Of the processes of a group in which none lives on, those that have ended and are still to be waited for from outside
/// hold nothing up any more.
pub fn free_zombies(group: &Cgroup) {
    let threads = boot::pid_namespace().threads();
    threads.iter().filter(|thread| group.contains(&thread.cgroup())).for_each(free_zombie);
}

/// If `thread` has ended and its parent is outside of what ends with it, gives its numbers and its place in its groups
/// back. (Linux lets the first process of a pid namespace wait for such a parent.) It can still be waited for.
fn free_zombie(thread: &Arc<Thread>) {
    let (Some(_), Some(parent)) = (thread.status(), thread.parent()) else { return };
    let namespace = thread.pid().namespace();
    let unseen = thread.pid().namespaces_are_closed() && parent.pid().number_in(namespace).is_none();
    let outside = |group: &Cgroup| !group.contains(&parent.cgroup());
    if unseen || thread.cgroup().condemned().is_some_and(outside) {
        thread.depart();
    }
}

fn give_children_away(thread: &Arc<Thread>) {
    let orphans = thread.give_up_children();
    if orphans.is_empty() {
        return;
    }
    let adopter = thread.pid().namespace().init().filter(|init| !Arc::ptr_eq(init, thread));
    for orphan in orphans {
        if let Some(signal) = orphan.guard().death_signal {
            send(&orphan, signal);
        }
        match &adopter {
            Some(adopter) => {
                adopter.adopt(orphan.clone());
                if orphan.status().is_some() {
                    tell_parent(adopter, &orphan);
                }
            }
            None => {
                orphan.forget_parent();
                if orphan.status().is_some() {
                    orphan.depart();
                }
            }
        }
    }
}

fn tell_parent(parent: &Arc<Thread>, child: &Arc<Thread>) {
    if parent.has_ended() {
        // An ending parent waits for nobody. (One that ends just now looks for ended children afterwards.)
        parent.disown(child);
        return;
    }
    if let Some(signal) = Signal::new(child.exit_signal()) {
        // A parent that ignores SIGCHLD has no zombies (wait(2)).
        if signal.number() == SIGCHLD && parent.signals().is_ignored(signal) {
            parent.disown(child);
        }
        send(parent, signal);
    }
    free_zombie(child);
    parent.child_event().wake_all();
}
