//! Waiting for children (wait(2)).

use super::{SignalFlags, Thread, exit, send_info};
use alloc::sync::Arc;
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
};

/// Which children.
#[derive(Clone, Debug)]
pub enum WaitFor {
    /// Every child.
    Any,
    /// The child of this number in the caller's pid namespace.
    Pid(u32),
    /// This child.
    Process(Arc<Thread>),
    /// Children of this process group, by its leader's number in the first pid namespace.
    Group(u32),
}

bitflags::bitflags! {
    /// wait4(2)'s options, with Linux's numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: u32 {
        /// Do not wait.
        const NOHANG = 1;
        /// Stopped children too.
        const UNTRACED = 2;
        /// Ended children (waitid(2); wait4(2) always has it).
        const EXITED = 4;
        /// Continued children too.
        const CONTINUED = 8;
        /// Leave the child as it is, to be waited for again (waitid(2)).
        const NOWAIT = 0x0100_0000;
    }
}

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The child has ended, and is gone now.
    Ended(WaitStatus),
    /// The signal stopped it.
    Stopped(Signal),
    /// It goes on.
    Continued,
}

/// A child and what became of it.
#[derive(Debug)]
pub struct Waited {
    /// The child.
    pub child: Arc<Thread>,
    /// What became of it.
    pub event: Event,
}

/// Waits until something can be told of one of the children asked for. `None` with NOHANG when nothing can;
/// ECHILD when there is no such child.
pub async fn wait(parent: &Thread, which: WaitFor, options: WaitOptions) -> Result<Option<Waited>, Errno> {
    parent
        .child_event()
        .wait_until(|| match look(parent, &which, options) {
            Ok(None) if !options.contains(WaitOptions::NOHANG) => None,
            outcome => Some(outcome),
        })
        .await
}

fn look(parent: &Thread, which: &WaitFor, options: WaitOptions) -> Result<Option<Waited>, Errno> {
    let mut any = false;
    for child in parent.children() {
        let asked_for = match which {
            WaitFor::Any => true,
            WaitFor::Pid(number) => child.pid().number_in(parent.pid().namespace()) == Some(*number),
            WaitFor::Process(process) => Arc::ptr_eq(&child, process),
            WaitFor::Group(leader) => child.group() == *leader,
        };
        if !asked_for {
            continue;
        }
        any = true;
        if let Some(event) = event_of(&child, options) {
            if !options.contains(WaitOptions::NOWAIT) {
                match event {
                    Event::Ended(_) if !parent.disown(&child) => continue,
                    Event::Ended(_) => parent.inherit_times(&child),
                    Event::Stopped(_) | Event::Continued => drop(child.set_report(None)),
                }
            }
            return Ok(Some(Waited { child, event }));
        }
    }
    if any { Ok(None) } else { Err(Errno::ECHILD) }
}

fn event_of(child: &Thread, options: WaitOptions) -> Option<Event> {
    if let Some(status) = child.status() {
        return options.contains(WaitOptions::EXITED).then_some(Event::Ended(status));
    }
    let report = child.report()?;
    if report.number() == SIGCONT {
        options.contains(WaitOptions::CONTINUED).then_some(Event::Continued)
    } else {
        options.contains(WaitOptions::UNTRACED).then_some(Event::Stopped(report))
    }
}

const SIGCONT: u32 = 18;

/// Tells the parent that `child` was stopped by `signal`, or goes on (SIGCONT).
pub(super) fn report_to_parent(child: &Thread, signal: Signal) {
    const CLD_STOPPED: i32 = 5;
    const CLD_CONTINUED: i32 = 6;
    child.set_report(Some(signal));
    if let Some(parent) = child.parent() {
        let code = if signal.number() == SIGCONT { CLD_CONTINUED } else { CLD_STOPPED };
        if !parent.signals().actions().get(Signal::SIGCHLD).flags.contains(SignalFlags::NO_CHILD_STOP) {
            let info = exit::child_change(&parent, child, code, signal.number() as i32);
            // Only what a program queues is refused.
            let _ = send_info(&parent, Signal::SIGCHLD, info);
        }
        parent.child_event().wake_all();
    }
}
