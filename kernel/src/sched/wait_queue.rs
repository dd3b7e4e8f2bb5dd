//! Waiting for an event: whoever waits leaves a waker; whoever makes the event true wakes them all.

use alloc::vec::Vec;
use core::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};
use veridian_hal::sync::SpinLock;

/// A queue that has grown to this is woken as a whole before another waker comes: who still waits comes back, who was
/// killed or gave up does not. So wakers of the dead cannot pile up.
const SWEPT_AT: usize = 64;

/// Wakers of those who wait for one thing.
#[derive(Debug, Default)]
pub struct WaitQueue(SpinLock<Waiters>);

#[derive(Debug)]
struct Waiters {
    wakers: Vec<Waker>,
    /// When it is swept next: beyond those who came back the last time, or they would sweep each other for ever.
    swept_at: usize,
}

impl Default for Waiters {
    fn default() -> Self {
        Self::NONE
    }
}

impl Waiters {
    const NONE: Self = Self { wakers: Vec::new(), swept_at: SWEPT_AT };
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(SpinLock::new(Waiters::NONE))
    }

    /// Leaves `context`'s waker, to be woken once. To be called before the condition is looked at, so that no
    /// event falls between the look and the sleep.
    pub fn register(&self, context: &Context<'_>) {
        let mut waiters = self.0.lock();
        if waiters.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            return;
        }
        let swept = if waiters.wakers.len() >= waiters.swept_at {
            waiters.swept_at *= 2;
            core::mem::take(&mut waiters.wakers)
        } else {
            Vec::new()
        };
        waiters.wakers.push(context.waker().clone());
        drop(waiters);
        swept.into_iter().for_each(Waker::wake);
    }

    /// Wakes everyone who waits.
    pub fn wake_all(&self) {
        let woken = core::mem::take(&mut *self.0.lock());
        woken.wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `ready` gives a value; it is asked again after each [`Self::wake_all`].
    pub async fn wait_until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| {
            if let Some(value) = ready() {
                return Poll::Ready(value);
            }
            self.register(context);
            ready().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{sync::Arc, task::Wake};
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn many_who_wait_do_not_wake_each_other_for_ever() {
        let queue = WaitQueue::new();
        let all: Vec<Arc<Woken>> = (0..500).map(|_| Arc::default()).collect();
        let mut seen = alloc::vec![0; all.len()];
        let register = |one: &Arc<Woken>| queue.register(&Context::from_waker(&Waker::from(one.clone())));
        all.iter().for_each(register);
        // Who was woken by a sweep comes back, until nobody is.
        let rounds = (0..10).take_while(|_| {
            let mut again = false;
            for (one, seen) in all.iter().zip(&mut seen) {
                let count = one.0.load(Ordering::Relaxed);
                if core::mem::replace(seen, count) != count {
                    register(one);
                    again = true;
                }
            }
            again
        });
        assert!(rounds.count() < 10);
        queue.wake_all();
        assert!(all.iter().zip(seen).all(|(one, seen)| one.0.load(Ordering::Relaxed) > seen));
    }
}
