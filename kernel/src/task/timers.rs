//! Timers of a process that send signals when they run out (setitimer(2), timer_create(2)).
//!
//! A timer that is armed has a task of the kernel's that sleeps until its time. The task ends when the timer is disarmed, so
//! that a process has at most as many of these as timers. A timer of CPU time has none: the threads of its process look at
//! it when the CPU's timer has interrupted them, so that it runs out within a slice of its time.

use super::{Counted, CpuClock, SignalInfo, Thread, queue};
use crate::{
    cgroup::KernelCharge,
    sched::{self, Left, Schedule, WaitQueue},
};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
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

/// By which time a timer runs out.
#[derive(Clone)]
pub enum TimerClock {
    /// The machine's; programs know it by this number.
    Machine(i32),
    /// CPU time that was had.
    Cpu(CpuClock),
}

impl TimerClock {
    fn now_ns(&self) -> u64 {
        match self {
            Self::Machine(_) => clock::now_ns(),
            Self::Cpu(clock) => clock.now_ns(),
        }
    }
}

/// A timer.
pub struct Timer {
    notice: Notice,
    clock: TimerClock,
    state: SpinLock<State>,
    changed: WaitQueue,
    _charge: KernelCharge,
}

#[derive(Default)]
struct State {
    /// By its clock (the machine's own, for one of the machine's).
    schedule: Schedule,
    /// It has a task.
    has_task: bool,
    /// Times that it ran out since it sent its last signal, and those before that.
    overruns: u32,
    overruns_before: u32,
}

impl Timer {
    /// One that is not armed. ENOMEM.
    pub fn new(notice: Notice, clock: TimerClock, payer: &Thread) -> Result<Arc<Self>, Errno> {
        let charge = payer.memory().charge_kernel(TIMER_BYTES)?;
        Ok(Arc::new(Self { notice, clock, state: SpinLock::default(), changed: WaitQueue::new(), _charge: charge }))
    }

    /// Its clock.
    pub fn clock(&self) -> &TimerClock {
        &self.clock
    }

    /// What is left of it.
    pub fn left(&self) -> Left {
        let state = self.state.lock();
        state.schedule.left(self.clock.now_ns())
    }

    /// How often it ran out and nobody had taken its last signal that was taken.
    pub fn overruns(&self) -> u32 {
        let waits = self.receiver().is_some_and(|(to, signal)| self.is_pending(&to, signal, 0));
        let state = self.state.lock();
        if waits { state.overruns_before } else { state.overruns }
    }

    /// Arms it, or disarms it with a value of 0; tells what was left of it.
    pub fn set(self: &Arc<Self>, Left { value_ns, interval_ns }: Left) -> Left {
        let now = self.clock.now_ns();
        let mut state = self.state.lock();
        let before = state.schedule.left(now);
        let next_ns = (value_ns > 0).then(|| now.saturating_add(value_ns));
        state.schedule = Schedule { next_ns, interval_ns };
        state.overruns = 0;
        let needs_task =
            state.schedule.next_ns.is_some() && !state.has_task && matches!(self.clock, TimerClock::Machine(_));
        state.has_task |= needs_task;
        drop(state);
        self.changed.wake_all();
        if needs_task {
            let timer = self.clone();
            sched::spawn(async move { timer.run().await });
        }
        before
    }

    /// Whom it tells, and by what.
    fn receiver(&self) -> Option<(Arc<Thread>, Signal)> {
        self.notice.to.upgrade().zip(self.notice.signal)
    }

    /// Whether a signal of its own waits, which is told of `more` times that it ran out.
    fn is_pending(&self, to: &Thread, signal: Signal, more: u32) -> bool {
        match self.notice.cause {
            Some((id, _)) => to.signals().overrun(signal, id, more, self.notice.alone),
            None => to.signals().pending().contains(signal),
        }
    }

    async fn run(self: Arc<Self>) {
        while let Some(next) = self.next_or_end() {
            let mut sleep = pin!(sched::sleep_until(next));
            let is_due = poll_fn(|cx| {
                self.changed.register(cx);
                if self.state.lock().schedule.next_ns != Some(next) {
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

    /// Runs out, if it is of CPU time and that has been had.
    fn look(&self) {
        let due = self.state.lock().schedule.next_ns;
        if let (Some(due), TimerClock::Cpu(clock)) = (due, &self.clock)
            && clock.now_ns() >= due
        {
            self.run_out(due);
        }
    }

    fn run_out(&self, due: u64) {
        let now = self.clock.now_ns();
        let mut state = self.state.lock();
        if state.schedule.next_ns != Some(due) {
            return;
        }
        let Some(missed) = state.schedule.pass(now).checked_sub(1) else { return };
        drop(state);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        let Some((to, signal)) = self.receiver() else { return };
        if self.is_pending(&to, signal, missed.saturating_add(1)) {
            let mut state = self.state.lock();
            state.overruns = state.overruns.saturating_add(missed).saturating_add(1);
            return;
        }
        let mut state = self.state.lock();
        state.overruns_before = core::mem::replace(&mut state.overruns, missed);
        drop(state);
        let info = self.notice.cause.map_or(SignalInfo::kernel(), |(id, value)| SignalInfo::timer(id, missed, value));
        // A queue that is full is an overrun.
        if queue(&to, signal, info, self.notice.alone).is_err() {
            self.state.lock().overruns += 1;
        }
    }
}

/// Which of the timers of setitimer(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Real time (SIGALRM).
    Real = 0,
    /// The process's time in user mode (SIGVTALRM).
    Virtual = 1,
    /// All of its CPU time (SIGPROF).
    Profiling = 2,
}

/// The timers of a process.
#[derive(Default)]
pub struct Timers {
    /// Those of setitimer(2) and alarm(2).
    intervals: [Option<Arc<Timer>>; 3],
    /// Those of timer_create(2), by their ids.
    made: BTreeMap<u32, Arc<Timer>>,
}

impl Timers {
    /// An interval timer, made when it is first asked for.
    pub fn interval(&mut self, thread: &Thread, which: Interval) -> Result<Arc<Timer>, Errno> {
        let place = &mut self.intervals[which as usize];
        if let Some(timer) = place {
            return Ok(timer.clone());
        }
        let counted = |counted| TimerClock::Cpu(CpuClock::of_process(thread.process(), counted));
        let (signal, clock) = match which {
            Interval::Real => (Signal::SIGALRM, TimerClock::Machine(CLOCK_REALTIME as i32)),
            Interval::Virtual => (Signal::SIGVTALRM, counted(Counted::User)),
            Interval::Profiling => (Signal::SIGPROF, counted(Counted::All)),
        };
        let to = Arc::downgrade(&thread.leader());
        let notice = Notice { to, alone: false, signal: Some(signal), cause: None };
        let timer = Timer::new(notice, clock, thread)?;
        thread.process().note_timer(&timer);
        Ok(place.insert(timer).clone())
    }

    /// Adds one on `clock` to those of `thread`'s process, which tells what `notice` says of its id; gives that. EAGAIN
    /// when there are too many.
    pub fn add(
        &mut self,
        thread: &Thread,
        clock: TimerClock,
        notice: impl FnOnce(u32) -> Notice,
    ) -> Result<u32, Errno> {
        let id = (0..TIMERS_MAX as u32).find(|id| !self.made.contains_key(id)).ok_or(Errno::EAGAIN)?;
        let timer = Timer::new(notice(id), clock, thread)?;
        thread.process().note_timer(&timer);
        self.made.insert(id, timer);
        Ok(id)
    }

    /// The timer of an id; EINVAL.
    pub fn get(&self, id: u32) -> Result<Arc<Timer>, Errno> {
        self.made.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// Takes one out; EINVAL.
    pub fn remove(&mut self, id: u32) -> Result<Arc<Timer>, Errno> {
        self.made.remove(&id).ok_or(Errno::EINVAL)
    }

    /// Those of CPU time.
    fn of_cpu_time(&self) -> Vec<Arc<Timer>> {
        let all = self.intervals.iter().flatten().chain(self.made.values());
        all.filter(|timer| matches!(timer.clock, TimerClock::Cpu(_))).cloned().collect()
    }

    /// Takes out those that a new program does not have, or all; to be [disarmed](Timer::set) without any lock.
    fn take(&mut self, all: bool) -> impl Iterator<Item = Arc<Timer>> + use<> {
        let intervals = if all { core::mem::take(&mut self.intervals) } else { Default::default() };
        core::mem::take(&mut self.made).into_values().chain(intervals.into_iter().flatten())
    }
}

/// Whether a process has ever had timers of CPU time.
#[derive(Debug, Default)]
pub(super) struct CpuTimers(AtomicBool);

impl CpuTimers {
    /// It has `timer`.
    pub fn note(&self, timer: &Timer) {
        if matches!(timer.clock, TimerClock::Cpu(_)) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The running `thread` looks whether timers of its process have run out that count CPU time.
pub(super) fn look_at_cpu_time(thread: &Thread) {
    if thread.process().cpu_timers().0.load(Ordering::Relaxed) {
        let timers = thread.process().timers().lock().of_cpu_time();
        timers.iter().for_each(|timer| timer.look());
    }
}

/// A process ends, or begins another program: its timers do.
pub(super) fn disarm(thread: &Thread, all: bool) {
    let gone = thread.process().timers().lock().take(all);
    gone.for_each(|timer| {
        timer.set(Left::default());
    });
}
