//! The end of a process (exit(2)): what it held goes first, then its children get another parent, then its own
//! parent is told.

use super::{Thread, run::kill, send};
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
    namespace.departures().wait_until(|| (namespace.pids_in_use() <= 1).then_some(())).await;
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
    parent.child_event().wake_all();
}
