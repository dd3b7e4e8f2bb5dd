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
pub struct WaitQueue(SpinLock<Vec<Waker>>);

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(SpinLock::new(Vec::new()))
    }

    /// Leaves `context`'s waker, to be woken once. To be called before the condition is looked at, so that no
    /// event falls between the look and the sleep.
    pub fn register(&self, context: &Context<'_>) {
        let mut wakers = self.0.lock();
        if wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            return;
        }
        let swept = if wakers.len() >= SWEPT_AT { core::mem::take(&mut *wakers) } else { Vec::new() };
        wakers.push(context.waker().clone());
        drop(wakers);
        swept.into_iter().for_each(Waker::wake);
    }

    /// Wakes everyone who waits.
    pub fn wake_all(&self) {
        let wakers = core::mem::take(&mut *self.0.lock());
        wakers.into_iter().for_each(Waker::wake);
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
