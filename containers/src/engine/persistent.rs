//! What must be finished though whoever asked for it is gone.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Platform;

/// Work that owns all it needs.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Awaits some work. If it is dropped before that is done, the platform goes on with it.
pub(super) struct Persistent<P: Platform> {
    platform: Arc<P>,
    work: Option<Work>,
}

impl<P: Platform> Persistent<P> {
    pub(super) const fn new(platform: Arc<P>, work: Work) -> Self {
        Self { platform, work: Some(work) }
    }
}

impl<P: Platform> Future for Persistent<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.work else { return Poll::Ready(()) };
        let outcome = work.as_mut().poll(context);
        if outcome.is_ready() {
            self.work = None;
        }
        outcome
    }
}

impl<P: Platform> Drop for Persistent<P> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.platform.spawn(work);
        }
    }
}
