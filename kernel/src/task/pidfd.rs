//! A descriptor that stands for a process (pidfd_open(2)): it names that one and no other, however numbers are used
//! again, and is readable once the process has ended.

use super::Thread;
use crate::fs::{FileObject, Readiness};
use alloc::sync::Arc;
use core::task::Context;
use veridian_hal::sync::Once;

/// What stands behind the descriptor.
#[derive(Debug, Default)]
pub struct PidFd(Once<Arc<Thread>>);

impl PidFd {
    /// One for a process that is still to be made: [`Self::stand_for`] names it.
    pub fn unnamed() -> Self {
        Self::default()
    }

    /// Makes it stand for `thread`. It stays with the first.
    pub fn stand_for(&self, thread: &Arc<Thread>) {
        self.0.call_once(|| thread.clone());
    }

    /// The process, also when it has ended and was waited for.
    pub fn thread(&self) -> Option<&Arc<Thread>> {
        self.0.get()
    }
}

impl FileObject for PidFd {
    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        let Some(thread) = self.thread() else { return Readiness::empty() };
        if interest.intersects(Readiness::READABLE) {
            thread.ended().register(cx);
        }
        if thread.status().is_some() { Readiness::READABLE } else { Readiness::empty() }
    }
}
