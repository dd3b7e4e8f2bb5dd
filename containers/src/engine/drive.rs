//! For kernels without an executor.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// Runs a future of the engine to its end on the calling thread.
///
/// Over a platform whose operations never wait, create, start and an unforced delete are ready at the first poll
/// and `idle` is not called. What does wait (the end of a container) is polled again after each `idle`, which
/// lets other threads run: yield there, or sleep until something has happened.
pub fn drive<F: Future>(future: F, mut idle: impl FnMut()) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => idle(),
        }
    }
}
