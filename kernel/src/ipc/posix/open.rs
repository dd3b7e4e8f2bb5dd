//! An open POSIX queue: what a descriptor stands for.

use super::{Notification, PosixQueue};
use crate::{
    fs::{
        FileObject, Readiness,
        io::{Sink, moved},
    },
    namespace::{Pid, PidNamespace},
    task::Thread,
};
use alloc::sync::{Arc, Weak};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};
use veridian_containers::{Signal, abi::Errno};

/// What stands behind a queue's descriptor.
#[derive(Debug)]
pub struct OpenQueue {
    queue: Arc<PosixQueue>,
    /// In whose numbers a read tells of processes.
    viewer: Weak<PidNamespace>,
    /// How much of the text has been read.
    read: AtomicUsize,
}

impl OpenQueue {
    /// `queue`, opened by a process.
    pub fn new(queue: &Arc<PosixQueue>, opener: &Pid) -> Self {
        Self { queue: queue.clone(), viewer: Arc::downgrade(opener.namespace()), read: AtomicUsize::new(0) }
    }

    /// The queue.
    pub fn queue(&self) -> &Arc<PosixQueue> {
        &self.queue
    }

    fn mark(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// mq_notify(2): has `process` told of the next message that comes to the empty queue, by a signal or not at all
    /// (SIGEV_NONE); EBUSY when somebody is told already.
    pub fn notify(&self, process: &Arc<Thread>, signal: Option<Signal>) -> Result<(), Errno> {
        let mut state = self.queue.state.lock();
        let taken = |told: &Notification| told.process.upgrade().is_some_and(|process| !process.has_ended());
        if state.notification.as_ref().is_some_and(taken) {
            return Err(Errno::EBUSY);
        }
        state.notification = Some(Notification { process: Arc::downgrade(process), through: self.mark(), signal });
        Ok(())
    }

    /// mq_notify(2) without a way: `process` is not to be told any more.
    pub fn forget(&self, process: &Arc<Thread>) {
        let mut state = self.queue.state.lock();
        let own = |told: &mut Notification| core::ptr::eq(told.process.as_ptr(), Arc::as_ptr(process));
        let gone = state.notification.take_if(own);
        drop(state);
        drop(gone);
    }
}

impl Drop for OpenQueue {
    /// The last descriptor is closed: so is what was asked through it.
    fn drop(&mut self) {
        let mark = self.mark();
        let gone = self.queue.state.lock().notification.take_if(|told| told.through == mark);
        drop(gone);
    }
}

impl FileObject for OpenQueue {
    /// The queue's state, as Linux shows it.
    fn poll_read(&self, _: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        let text = self.viewer.upgrade().map(|viewer| self.queue.text(&viewer)).unwrap_or_default();
        let rest = text.as_bytes().get(self.read.load(Ordering::Relaxed)..).unwrap_or(&[]);
        let before = sink.remaining();
        let result = sink.put(&rest[..rest.len().min(before)]);
        let done = before - sink.remaining();
        self.read.fetch_add(done, Ordering::Relaxed);
        Poll::Ready(moved(done, result))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        if interest.intersects(Readiness::READABLE) {
            self.queue.arrival.register(cx);
        }
        if interest.intersects(Readiness::WRITABLE) {
            self.queue.room.register(cx);
        }
        let count = self.queue.count();
        let mut ready = Readiness::empty();
        ready.set(Readiness::READABLE, count > 0);
        ready.set(Readiness::WRITABLE, count < self.queue.attributes.messages);
        ready
    }
}
