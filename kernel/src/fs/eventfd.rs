//! A counter with a descriptor (eventfd(2)).

use super::{
    FileObject, Readiness,
    io::{Sink, Source},
};
use crate::sched::WaitQueue;
use alloc::string::String;
use core::task::{Context, Poll};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Bytes of the number that is read and written.
const BYTES: usize = size_of::<u64>();
/// The counter never gets beyond.
const COUNT_MAX: u64 = u64::MAX - 1;

/// What stands behind an eventfd's descriptor.
#[derive(Debug)]
pub struct EventFd {
    count: SpinLock<u64>,
    /// A read takes 1, not all.
    semaphore: bool,
    changed: WaitQueue,
}

impl EventFd {
    /// A counter that stands at `count`.
    pub fn new(count: u64, semaphore: bool) -> Self {
        Self { count: SpinLock::new(count), semaphore, changed: WaitQueue::new() }
    }

    /// The number that a write gives; EINVAL for one that is none.
    pub fn number(source: &mut dyn Source) -> Result<u64, Errno> {
        if source.remaining() < BYTES {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; BYTES];
        source.take(&mut bytes)?;
        Some(u64::from_ne_bytes(bytes)).filter(|&number| number <= COUNT_MAX).ok_or(Errno::EINVAL)
    }

    /// Adds `number`, as soon as the sum is a count; gives the bytes that were written.
    pub fn poll_add(&self, cx: &Context<'_>, number: u64) -> Poll<Result<usize, Errno>> {
        self.changed.register(cx);
        let fits = {
            let mut count = self.count.lock();
            let sum = count.checked_add(number).filter(|&sum| sum <= COUNT_MAX);
            *count = sum.unwrap_or(*count);
            sum.is_some()
        };
        if !fits {
            return Poll::Pending;
        }
        self.changed.wake_all();
        Poll::Ready(Ok(BYTES))
    }
}

impl FileObject for EventFd {
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        if sink.remaining() < BYTES {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        self.changed.register(cx);
        let taken = {
            let mut count = self.count.lock();
            let taken = if self.semaphore { (*count).min(1) } else { *count };
            *count -= taken;
            taken
        };
        if taken == 0 {
            return Poll::Pending;
        }
        self.changed.wake_all();
        Poll::Ready(sink.put(&taken.to_ne_bytes()).map(|()| BYTES))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        self.changed.register(cx);
        let count = *self.count.lock();
        let mut ready = Readiness::empty();
        ready.set(Readiness::READABLE, count > 0);
        ready.set(Readiness::WRITABLE, count < COUNT_MAX);
        ready
    }

    fn description(&self, _: u64) -> String {
        String::from("anon_inode:[eventfd]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::Waker;

    #[test]
    fn a_counter_is_taken_whole_and_a_semaphore_one_by_one() {
        let mut cx = Context::from_waker(Waker::noop());
        for (semaphore, expected) in [(false, [5, 0]), (true, [1, 1])] {
            let event = EventFd::new(2, semaphore);
            assert_eq!(event.poll_add(&cx, 3), Poll::Ready(Ok(8)));
            for expected in expected {
                let mut bytes = [0; 8];
                let result = event.poll_read(&mut cx, &mut &mut bytes[..]);
                assert_eq!(result.is_ready(), expected > 0);
                assert_eq!(u64::from_ne_bytes(bytes), expected);
            }
        }
    }

    #[test]
    fn a_counter_does_not_overflow() {
        let cx = Context::from_waker(Waker::noop());
        let event = EventFd::new(1, false);
        assert_eq!(event.poll_add(&cx, COUNT_MAX), Poll::Pending);
        assert_eq!(event.poll_add(&cx, COUNT_MAX - 1), Poll::Ready(Ok(8)));
        assert_eq!(event.poll_add(&cx, 0), Poll::Ready(Ok(8)));
        assert_eq!(event.poll_add(&cx, 1), Poll::Pending);
        assert_eq!(EventFd::number(&mut &u64::MAX.to_ne_bytes()[..]), Err(Errno::EINVAL));
        assert_eq!(EventFd::number(&mut &[0; 7][..]), Err(Errno::EINVAL));
    }
}
