//! Who waits for an object to become ready.

use alloc::vec::Vec;
use core::task::{Context, Waker};
use veridian_hal::sync::SpinLock;

/// A queue longer than this is woken as a whole: who still waits comes back, who was killed does not. So
/// wakers of the dead cannot pile up.
const WAITERS_BEFORE_SWEEP: usize = 64;

/// Wakers of tasks that wait. A wake-up is a hint: the woken look again.
#[derive(Debug, Default)]
pub struct WaitQueue {
    wakers: SpinLock<Vec<Waker>>,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { wakers: SpinLock::new(Vec::new()) }
    }

    /// Wakes `cx`'s task at the next [`Self::wake_all`]. To be called before the condition is looked at for the last
    /// time, or under the lock that guards it.
    pub fn register(&self, cx: &Context<'_>) {
        let mut wakers = self.wakers.lock();
        if wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            return;
        }
        let swept = if wakers.len() >= WAITERS_BEFORE_SWEEP { core::mem::take(&mut *wakers) } else { Vec::new() };
        wakers.push(cx.waker().clone());
        drop(wakers);
        swept.into_iter().for_each(Waker::wake);
    }

    /// Wakes everyone in the queue and empties it.
    pub fn wake_all(&self) {
        let wakers = core::mem::take(&mut *self.wakers.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}
