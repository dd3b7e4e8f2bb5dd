//! Waiting for children (wait(2)).

use super::{SignalFlags, SignalInfo, Thread, send_info};
use alloc::sync::Arc;
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
};
use veridian_hal::cpu;

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
    // The parent has the signal before it can wait for the child, and can wait for it when it has the signal.
    while child.is_telling_its_end() {
        cpu::relax();
    }
    let event = child.status().map(Event::Ended).or_else(|| child.report())?;
    let asked_for = match event {
        Event::Ended(_) => WaitOptions::EXITED,
        Event::Stopped(_) => WaitOptions::UNTRACED,
        Event::Continued => WaitOptions::CONTINUED,
    };
    options.contains(asked_for).then_some(event)
}

impl Event {
    /// `si_code` and `si_status` that tell of it (sigaction(2)).
    fn cause(self) -> (i32, i32) {
        const CLD_EXITED: i32 = 1;
        const CLD_KILLED: i32 = 2;
        const CLD_STOPPED: i32 = 5;
        const CLD_CONTINUED: i32 = 6;
        let number = |signal: Signal| signal.number() as i32;
        match self {
            Self::Ended(WaitStatus::Exited(status)) => (CLD_EXITED, status.into()),
            Self::Ended(WaitStatus::Signaled(signal)) => (CLD_KILLED, number(signal)),
            Self::Stopped(signal) => (CLD_STOPPED, number(signal)),
            Self::Continued => (CLD_CONTINUED, number(Signal::SIGCONT)),
        }
    }

    fn info(self, parent: &Thread, child: &Thread, ticks: [u64; 2]) -> SignalInfo {
        let (code, value) = self.cause();
        let pid = child.pid().number_in(parent.pid().namespace()).unwrap_or(0);
        let uid = parent.credentials().user_namespace.shown_user(child.credentials().uid);
        SignalInfo::child(code, pid, uid, value, ticks)
    }
}

impl Waited {
    /// What waitid(2) tells `parent` of it.
    pub fn info(&self, parent: &Thread) -> SignalInfo {
        self.event.info(parent, &self.child, [0; 2])
    }
}

/// Sends `signal` to `parent`, for what became of `child`.
pub(super) fn notify(parent: &Arc<Thread>, child: &Thread, signal: Signal, event: Event) {
    const NS_PER_TICK: u64 = 10_000_000;
    let times = child.times();
    let ticks = [times.user_ns, times.system_ns].map(|ns| ns / NS_PER_TICK);
    send_info(parent, signal, event.info(parent, child, ticks), false);
}

/// Tells the parent that `child` was stopped, or goes on.
pub(super) fn report_to_parent(child: &Thread, event: Event) {
    child.set_report(Some(event));
    if let Some(parent) = child.parent() {
        if !parent.signals().actions().get(Signal::SIGCHLD).flags.contains(SignalFlags::NO_CHILD_STOP) {
            notify(&parent, child, Signal::SIGCHLD, event);
        }
        parent.child_event().wake_all();
    }
}
