//! A timer with a descriptor (timerfd_create(2)).
//!
//! Time is reckoned when somebody looks. Whoever waits is woken by one sleep, whose waker is the timer itself.

use super::{FileObject, Readiness, io::Sink};
use crate::sched::{Left, Schedule, Sleep, WaitQueue, sleep_until};
use alloc::{string::String, sync::Arc, task::Wake};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use veridian_containers::abi::Errno;
use veridian_hal::{clock, sync::SpinLock};

/// Bytes of the number of expirations.
const BYTES: usize = size_of::<u64>();

/// What stands behind a timerfd's descriptor.
#[derive(Debug)]
pub struct TimerFd {
    /// The clock's number, for programs.
    clock: i32,
    state: SpinLock<State>,
    /// Until the next expiration that somebody waits for.
    sleep: SpinLock<Option<(u64, Sleep)>>,
    due: Arc<Due>,
}

/// Who waits for the timer.
#[derive(Debug, Default)]
struct Due(WaitQueue);

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        self.0.wake_all();
    }
}

/// When it expires, by the machine's clock.
#[derive(Debug, Default)]
struct State {
    schedule: Schedule,
    /// Expirations that nobody has read.
    expirations: u64,
}

impl State {
    /// Counts what has expired.
    fn reckon(&mut self, now_ns: u64) {
        self.expirations += self.schedule.pass(now_ns);
    }
}

impl TimerFd {
    /// A disarmed timer.
    pub fn new(clock: i32) -> Self {
        Self { clock, state: SpinLock::default(), sleep: SpinLock::new(None), due: Arc::default() }
    }

    /// The number of its clock.
    pub fn clock(&self) -> i32 {
        self.clock
    }

    /// Sets it anew; gives what was left. Expirations that nobody has read are forgotten.
    pub fn set(&self, schedule: Schedule) -> Left {
        let now = clock::now_ns();
        let mut state = self.state.lock();
        state.reckon(now);
        let old = core::mem::replace(&mut *state, State { schedule, expirations: 0 });
        drop(state);
        let sleep = self.sleep.lock().take();
        drop(sleep);
        // Who waits sleeps until the new time.
        self.due.0.wake_all();
        old.schedule.left(now)
    }

    /// What is left of it.
    pub fn left(&self) -> Left {
        let now = clock::now_ns();
        let mut state = self.state.lock();
        state.reckon(now);
        state.schedule.left(now)
    }

    /// What has expired, which `take` may take; if nothing has, the task of `cx` is woken when something does.
    fn look(&self, cx: &Context<'_>, take: bool) -> u64 {
        self.due.0.register(cx);
        let (expirations, next) = {
            let mut state = self.state.lock();
            state.reckon(clock::now_ns());
            let expirations = if take { core::mem::take(&mut state.expirations) } else { state.expirations };
            (expirations, state.schedule.next_ns)
        };
        if expirations == 0
            && let Some(next) = next
        {
            self.sleep_until(next);
        }
        expirations
    }

    /// Sees to it that those who wait are woken at `next`.
    fn sleep_until(&self, next: u64) {
        let mut sleep = self.sleep.lock();
        if sleep.as_ref().is_some_and(|(until, _)| *until == next) {
            return;
        }
        let mut new = sleep_until(next);
        let waker = Waker::from(self.due.clone());
        let over = Pin::new(&mut new).poll(&mut Context::from_waker(&waker)).is_ready();
        let old = sleep.replace((next, new));
        drop(sleep);
        drop(old);
        if over {
            self.due.0.wake_all();
        }
    }
}

impl FileObject for TimerFd {
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        if sink.remaining() < BYTES {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        match self.look(cx, true) {
            0 => Poll::Pending,
            expirations => Poll::Ready(sink.put(&expirations.to_ne_bytes()).map(|()| BYTES)),
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        if self.look(cx, false) > 0 { Readiness::READABLE } else { Readiness::empty() }
    }

    fn description(&self, _: u64) -> String {
        String::from("anon_inode:[timerfd]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expirations_are_counted_when_somebody_looks() {
        let mut state = State { schedule: Schedule { next_ns: Some(100), interval_ns: 10 }, expirations: 2 };
        state.reckon(125);
        assert_eq!((state.expirations, state.schedule.left(125)), (5, Left { value_ns: 5, interval_ns: 10 }));
    }
}
