//! Timers of a process that send signals when they run out (setitimer(2), timer_create(2)).
//!
//! A timer that is armed has a task of the kernel's that sleeps until its time. The task ends when the timer is disarmed, so
//! that a process has at most as many of these as timers.

use super::{SignalInfo, Thread, queue};
use crate::{
    cgroup::KernelCharge,
    sched::{self, WaitQueue},
};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use linux_raw_sys::general::CLOCK_REALTIME;
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{clock, sync::SpinLock};

/// Timers that a process makes by timer_create(2).
const TIMERS_MAX: usize = 128;
/// What one takes of the kernel's heap while it is armed.
const TIMER_BYTES: usize = 1024;

/// Whom a timer tells that it ran out.
#[derive(Clone)]
pub struct Notice {
    /// A thread of the process.
    pub to: Weak<Thread>,
    /// To that thread alone, or to its process.
    pub alone: bool,
    /// What is sent; `None` for nothing.
    pub signal: Option<Signal>,
    /// What is said of the cause; `None` for a timer that says nothing (setitimer(2)).
    pub cause: Option<(u32, u64)>,
}

/// When a timer runs out, in nanoseconds of the machine's clock; and how much later again, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// `None`: it is not armed.
    pub next_ns: Option<u64>,
    /// From one time to the next.
    pub interval_ns: u64,
}

impl Schedule {
    /// What is left of it now: until it runs out, at least a nanosecond when it is armed, and the interval.
    pub fn left(&self) -> (u64, u64) {
        (self.next_ns.map_or(0, |next| next.saturating_sub(clock::now_ns()).max(1)), self.interval_ns)
    }
}

/// A timer.
pub struct Timer {
    notice: Notice,
    /// The number of the clock that times are given by.
    clock: i32,
    state: SpinLock<State>,
    changed: WaitQueue,
    _charge: KernelCharge,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    /// It has a task.
    has_task: bool,
    /// Times that it ran out while its signal was still pending.
    overruns: u32,
}

impl Timer {
    /// One that is not armed, of a clock. ENOMEM.
    pub fn new(notice: Notice, clock: i32, payer: &Thread) -> Result<Arc<Self>, Errno> {
        let charge = payer.memory().charge_kernel(TIMER_BYTES)?;
        Ok(Arc::new(Self { notice, clock, state: SpinLock::default(), changed: WaitQueue::new(), _charge: charge }))
    }

    /// The number of its clock.
    pub fn clock(&self) -> i32 {
        self.clock
    }

    /// When it runs out.
    pub fn schedule(&self) -> Schedule {
        self.state.lock().schedule
    }

    /// How often it ran out and nobody had taken its last signal.
    pub fn overruns(&self) -> u32 {
        self.state.lock().overruns
    }

    /// Arms it, or disarms it; gives the schedule before.
    pub fn set(self: &Arc<Self>, schedule: Schedule) -> Schedule {
        let mut state = self.state.lock();
        let before = core::mem::replace(&mut state.schedule, schedule);
        state.overruns = 0;
        let needs_task = schedule.next_ns.is_some() && !state.has_task;
        state.has_task |= needs_task;
        drop(state);
        self.changed.wake_all();
        if needs_task {
            let timer = self.clone();
            sched::spawn(async move { timer.run().await });
        }
        before
    }

    async fn run(self: Arc<Self>) {
        while let Some(next) = self.next_or_end() {
            let mut sleep = pin!(sched::sleep_until(next));
            let is_due = poll_fn(|cx| {
                self.changed.register(cx);
                if self.schedule().next_ns != Some(next) {
                    return Poll::Ready(false);
                }
                sleep.as_mut().poll(cx).map(|()| true)
            })
            .await;
            if is_due {
                self.run_out(next);
            }
        }
    }

    /// The next time; when there is none, the task ends.
    fn next_or_end(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.has_task = state.schedule.next_ns.is_some();
        state.schedule.next_ns
    }

    fn run_out(&self, due: u64) {
        let mut state = self.state.lock();
        if state.schedule.next_ns != Some(due) {
            return;
        }
        let interval = state.schedule.interval_ns;
        // Times that were missed are skipped: the next one is to come.
        let missed = clock::now_ns().saturating_sub(due).checked_div(interval).unwrap_or(0);
        state.schedule.next_ns = (interval > 0).then(|| due.saturating_add((missed + 1).saturating_mul(interval)));
        let Some((to, signal)) = self.notice.to.upgrade().zip(self.notice.signal) else { return };
        if to.signals().pending().contains(signal) {
            state.overruns = state.overruns.saturating_add(1 + missed as u32);
            return;
        }
        state.overruns = missed as u32;
        drop(state);
        let info =
            self.notice.cause.map_or(SignalInfo::kernel(), |(id, value)| SignalInfo::timer(id, missed as u32, value));
        // A queue that is full is an overrun.
        if queue(&to, signal, info, self.notice.alone).is_err() {
            self.state.lock().overruns += 1;
        }
    }
}

/// The timers of a process.
#[derive(Default)]
pub struct Timers {
    /// That of setitimer(2) and alarm(2), in real time.
    real: Option<Arc<Timer>>,
    /// Those of timer_create(2), by their ids.
    made: BTreeMap<u32, Arc<Timer>>,
}

impl Timers {
    /// The real-time interval timer, made when it is first asked for.
    pub fn real(&mut self, thread: &Thread) -> Result<Arc<Timer>, Errno> {
        if let Some(timer) = &self.real {
            return Ok(timer.clone());
        }
        let to = Arc::downgrade(&thread.leader());
        let notice = Notice { to, alone: false, signal: Some(Signal::SIGALRM), cause: None };
        Ok(self.real.insert(Timer::new(notice, CLOCK_REALTIME as i32, thread)?).clone())
    }

    /// The id that the next timer gets; EAGAIN when there are too many.
    pub fn free_id(&self) -> Result<u32, Errno> {
        (0..TIMERS_MAX as u32).find(|id| !self.made.contains_key(id)).ok_or(Errno::EAGAIN)
    }

    /// Adds one.
    pub fn add(&mut self, id: u32, timer: Arc<Timer>) {
        self.made.insert(id, timer);
    }

    /// The timer of an id; EINVAL.
    pub fn get(&self, id: u32) -> Result<Arc<Timer>, Errno> {
        self.made.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// Takes one out; EINVAL.
    pub fn remove(&mut self, id: u32) -> Result<Arc<Timer>, Errno> {
        self.made.remove(&id).ok_or(Errno::EINVAL)
    }

    /// Takes out those that a new program does not have, or all; to be [disarmed](Timer::set) without any lock.
    pub(super) fn take(&mut self, all: bool) -> impl Iterator<Item = Arc<Timer>> + use<> {
        let real = if all { self.real.take() } else { None };
        core::mem::take(&mut self.made).into_values().chain(real)
    }
}

/// A process ends, or begins another program: its timers do.
pub(super) fn disarm(thread: &Thread, all: bool) {
    let gone = thread.process().timers().lock().take(all);
    gone.for_each(|timer| {
        timer.set(Schedule::default());
    });
}
