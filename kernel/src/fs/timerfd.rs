//! A timer with a descriptor (timerfd_create(2)).
//!
//! Time is reckoned when somebody looks. Whoever waits is woken by one sleep, whose waker is the timer itself.

use super::{FileObject, Readiness, io::Sink};
use crate::sched::{Sleep, WaitQueue, sleep_until};
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

/// When a timer expires, by the machine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// The next expiration; `None` when it is disarmed or has expired for good.
    next_ns: Option<u64>,
    /// 0 for once.
    interval_ns: u64,
    /// Expirations that nobody has read.
    expirations: u64,
}

impl State {
    /// Counts what has expired.
    fn reckon(&mut self, now_ns: u64) {
        let Some(next) = self.next_ns.filter(|&next| next <= now_ns) else { return };
        // Once, if it does not come again.
        let missed = (now_ns - next).checked_div(self.interval_ns);
        let count = missed.map_or(1, |missed| missed + 1);
        self.next_ns = missed.map(|_| next.saturating_add(count.saturating_mul(self.interval_ns)));
        self.expirations += count;
    }

    /// What is left until the next expiration (0 for none), and the interval.
    fn setting(&self, now_ns: u64) -> Setting {
        let left_ns = self.next_ns.map_or(0, |next| next.saturating_sub(now_ns).max(1));
        Setting { left_ns, interval_ns: self.interval_ns }
    }
}

/// What timerfd_settime(2) sets, and timerfd_gettime(2) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds until the next expiration; 0 is never.
    pub left_ns: u64,
    /// Nanoseconds between further ones; 0 for none.
    pub interval_ns: u64,
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

    /// Sets it anew, to expire at `next_ns` by the machine's clock (`None`: never) and then at each interval; gives how it
    /// was set. Expirations that nobody has read are forgotten.
    pub fn set(&self, next_ns: Option<u64>, interval_ns: u64) -> Setting {
        let now = clock::now_ns();
        let mut state = self.state.lock();
        state.reckon(now);
        let old = core::mem::replace(&mut *state, State { next_ns, interval_ns, expirations: 0 });
        drop(state);
        let sleep = self.sleep.lock().take();
        drop(sleep);
        // Who waits sleeps until the new time.
        self.due.0.wake_all();
        old.setting(now)
    }

    /// How it is set.
    pub fn setting(&self) -> Setting {
        let now = clock::now_ns();
        let mut state = self.state.lock();
        state.reckon(now);
        state.setting(now)
    }

    /// What has expired, which `take` may take; if nothing has, the task of `cx` is woken when something does.
    fn look(&self, cx: &Context<'_>, take: bool) -> u64 {
        self.due.0.register(cx);
        let (expirations, next) = {
            let mut state = self.state.lock();
            state.reckon(clock::now_ns());
            let expirations = if take { core::mem::take(&mut state.expirations) } else { state.expirations };
            (expirations, state.next_ns)
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
        let mut once = State { next_ns: Some(100), interval_ns: 0, expirations: 0 };
        once.reckon(99);
        assert_eq!((once.expirations, once.setting(99)), (0, Setting { left_ns: 1, interval_ns: 0 }));
        once.reckon(500);
        once.reckon(600);
        assert_eq!((once.expirations, once.setting(600).left_ns), (1, 0));
        let mut often = State { next_ns: Some(100), interval_ns: 10, expirations: 2 };
        often.reckon(125);
        assert_eq!((often.expirations, often.setting(125)), (5, Setting { left_ns: 5, interval_ns: 10 }));
        let mut last = State { next_ns: Some(100), interval_ns: u64::MAX, expirations: 0 };
        last.reckon(u64::MAX);
        assert_eq!(last.next_ns, Some(u64::MAX));
    }
}
