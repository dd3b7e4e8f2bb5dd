//! The first process of a container: held, released, ended.

use crate::{
    boot,
    cgroup::{Cgroup, memory::Event},
    sched,
    task::{self, Thread},
};
use alloc::sync::{Arc, Weak};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
    engine::{ContainerKey, Error, Exit},
};
use veridian_hal::{sync::SpinLock, user::UserContext};

/// A handle to it. What is held back is the thread itself: it lives while held, and from its release until its end.
pub struct Process {
    thread: Weak<Thread>,
    held: SpinLock<Option<(Arc<Thread>, UserContext)>>,
}

impl Process {
    /// Holds `thread` before its first instruction.
    pub fn hold(thread: Arc<Thread>, context: UserContext) -> Self {
        Self { thread: Arc::downgrade(&thread), held: SpinLock::new(Some((thread, context))) }
    }

    /// Lets it run; ESRCH when it was killed before.
    pub fn release(&self) -> Result<(), Error> {
        let held = self.held.lock().take();
        let (thread, context) = held.ok_or(Errno::ESRCH)?;
        task::spawn(thread, context);
        Ok(())
    }

    /// Sends a signal from outside; SIGKILL ends it even while it is held.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let thread = self.thread.upgrade().filter(|thread| !thread.has_ended()).ok_or(Errno::ESRCH)?;
        task::send_from_above(&thread, signal);
        if signal == Signal::SIGKILL {
            // It runs as far as its signals. If it is released just now, it does that anyway.
            let _ = self.release();
        }
        Ok(())
    }

    /// Its number as `viewer` sees it; 0 if it has none there.
    pub fn number(&self, viewer: &Thread) -> u32 {
        let thread = self.thread.upgrade();
        thread.and_then(|thread| thread.pid().number_in(viewer.pid().namespace())).unwrap_or(0)
    }
}

/// What becomes of the container when its first process has ended: all that is left in the group ends too, and
/// then the engine hears of it.
pub fn ended(key: ContainerKey, cgroup: Arc<Cgroup>, status: WaitStatus) {
    cgroup.condemn();
    sched::spawn(async move {
        cgroup.pids.wait_empty().await;
        let exit = Exit {
            status,
            oom_killed: cgroup.memory.event(Event::OomKill) > 0,
            memory_peak: cgroup.memory.peak_bytes(),
            tasks_peak: cgroup.pids.peak(),
        };
        drop(cgroup);
        let engine = boot::engine();
        engine.exited(key, exit);
        engine.platform().exits().wake_all();
    });
}
