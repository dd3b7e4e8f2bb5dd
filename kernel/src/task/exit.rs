//! The end of a process (exit(2)): what it held goes first, then its children get another parent, then its own
//! parent is told.

use super::{
    Disposition, SignalFlags, SignalSet, Signals, Thread, futex, group_is_orphaned,
    run::kill,
    send, send_to_group, timers,
    wait::{Event, notify},
};
use crate::cgroup::Cgroup;
use crate::{boot, tty};
use alloc::sync::Arc;
use veridian_containers::{Signal, abi::WaitStatus};
use veridian_hal::{mem, user::UserContext};

/// Ends `thread`, which runs this itself: alone, or with its process if it is the leader, who is the last. Gives where the
/// leader is to go on instead, if another thread began a program.
pub async fn exit(thread: &Arc<Thread>, status: WaitStatus) -> Option<UserContext> {
    if !thread.is_leader() {
        end_thread(thread);
        return None;
    }
    // Others are to look at its signals from now on.
    thread.signals().retire(true);
    if thread.process().thread_count() > 1 {
        thread.process().attend_all();
        futex::clean_up(thread);
    }
    if let Some(context) = thread.process().outlive().await {
        thread.signals().retire(false);
        thread.process().program_begins(thread);
        return Some(context);
    }
    end_process(thread, thread.process().fate().unwrap_or(status)).await;
    None
}

fn end_thread(thread: &Arc<Thread>) {
    thread.signals().retire(true);
    if thread.signals().pending_apart()[1] != SignalSet(0) {
        thread.process().attend_all();
    }
    futex::clean_up(thread);
    mem::leave_address_space();
    thread.shed_body();
    thread.depart();
    thread.leader().usage().take_over(thread.usage());
    thread.process().remove(thread);
}

async fn end_process(thread: &Arc<Thread>, status: WaitStatus) {
    log::trace!("{thread:?} {status}");
    if thread.pid().is_init() && thread.pid().global_number() == 1 {
        boot::machine_ends(status);
    }
    futex::clean_up(thread);
    // The last user of the address space frees it, and this CPU still has it loaded.
    mem::leave_address_space();
    thread.shed_body();
    thread.process().give_memory_back();
    timers::disarm(thread, true);
    tty::session_ends(thread);
    thread.namespaces().ipc.semaphores.undo(thread.pid());
    if thread.pid().is_init() {
        end_namespace(thread).await;
    }
    give_children_away(thread);
    if thread.parent().is_some_and(|parent| parent.group() != thread.group()) {
        continue_orphans(thread, thread);
    }
    thread.set_status(status);
    let parent = thread.parent();
    if parent.is_none() {
        // Before the end is told: who hears of it may make as many tasks more at once.
        thread.depart();
    }
    if let Some(observer) = thread.process().take_observer() {
        observer(status);
    }
    match parent {
        Some(parent) => tell_parent(&parent, thread, status),
        None => thread.show_end(),
    }
}

/// The first process of a pid namespace takes all others with it, and is the last to go (pid_namespaces(7)).
async fn end_namespace(init: &Arc<Thread>) {
    let namespace = init.pid().namespace();
    namespace.close();
    for thread in namespace.processes() {
        if !Arc::ptr_eq(&thread, init) {
            kill(&thread);
        }
    }
    for child in init.children() {
        if child.fresh_status().is_some() {
            init.disown(&child);
        }
    }
    namespace.processes().iter().for_each(free_zombie);
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
    let processes = boot::pid_namespace().processes();
    processes.iter().filter(|thread| group.contains(&thread.cgroup())).for_each(free_zombie);
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

/// Who takes over the children of `thread`: the nearest process above that asks for orphans, in its pid namespace, else
/// that namespace's first process.
fn adopter_of(thread: &Arc<Thread>) -> Option<Arc<Thread>> {
    let namespace = thread.pid().namespace();
    let mut above = thread.parent().filter(|_| !thread.pid().is_init());
    while let Some(process) = above {
        if !Arc::ptr_eq(process.pid().namespace(), namespace) {
            break;
        }
        if process.adopts_orphans() && !process.has_ended() {
            return Some(process);
        }
        above = process.parent().filter(|_| !process.pid().is_init());
    }
    namespace.init().filter(|init| !Arc::ptr_eq(init, thread))
}

fn give_children_away(thread: &Arc<Thread>) {
    let orphans = thread.give_up_children();
    if orphans.is_empty() {
        return;
    }
    let adopter = adopter_of(thread);
    for orphan in &orphans {
        if let Some(signal) = orphan.guard().death_signal {
            send(orphan, signal);
        }
        match &adopter {
            Some(adopter) => {
                adopter.adopt(orphan.clone());
                if let Some(status) = orphan.fresh_status() {
                    tell_parent(adopter, orphan, status);
                }
            }
            None => {
                orphan.forget_parent();
                if orphan.fresh_status().is_some() {
                    orphan.depart();
                }
            }
        }
    }
    orphans.iter().for_each(|orphan| continue_orphans(thread, orphan));
}

/// `thread`, which ends, was between the group of `member` and the rest of its session: if nobody is left who could
/// continue that group, and a process of it is stopped, the group is told (setpgid(2), "orphaned process group").
fn continue_orphans(thread: &Thread, member: &Thread) {
    let (group, session) = (member.group(), member.session());
    if !Signals::any_stopped() || session != thread.session() {
        return;
    }
    let processes = boot::pid_namespace().processes();
    let is_stopped = processes.iter().any(|process| process.group() == group && process.signals().is_stopped());
    if is_stopped && group_is_orphaned(group, session) {
        send_to_group(group, Signal::SIGHUP);
        send_to_group(group, Signal::SIGCONT);
    }
}

fn tell_parent(parent: &Arc<Thread>, child: &Arc<Thread>, status: WaitStatus) {
    if parent.has_ended() {
        // An ending parent waits for nobody. (One that ends just now looks for ended children afterwards.)
        parent.disown(child);
        child.show_end();
        return;
    }
    if let Some(signal) = Signal::new(child.exit_signal()) {
        // A parent that ignores SIGCHLD, or asks for no zombies, has none (wait(2)).
        let action = parent.signals().actions().get(signal);
        let unwanted = action.disposition() == Disposition::Ignore || action.flags.contains(SignalFlags::NO_CHILD_WAIT);
        if signal == Signal::SIGCHLD && unwanted {
            parent.disown(child);
        }
        notify(parent, child, signal, Event::Ended(status));
    }
    child.show_end();
    free_zombie(child);
    parent.child_event().wake_all();
}
