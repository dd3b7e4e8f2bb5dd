//! A descriptor that signals are read from (signalfd(2)): those of the thread that reads, and of its process. Where it is
//! not known who asks, as in epoll, those of the process that made it.

use super::{SignalInfo, SignalSet, Thread};
use crate::fs::{FileObject, Readiness, io::Sink};
use alloc::{
    string::String,
    sync::{Arc, Weak},
};
use core::task::{Context, Poll};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::sync::SpinLock;

/// Bytes of `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// What stands behind the descriptor.
#[derive(Debug)]
pub struct SignalFd {
    process: Weak<Thread>,
    wanted: SpinLock<SignalSet>,
}

impl SignalFd {
    /// For `wanted` signals of the process of `thread`, as far as they are blocked there.
    pub fn new(thread: &Thread, wanted: SignalSet) -> Self {
        Self { process: Arc::downgrade(&thread.leader()), wanted: SpinLock::new(wanted) }
    }

    /// Reads the signals of `thread` and its process into `sink`.
    pub fn poll_read_by(&self, thread: &Thread, cx: &Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        if sink.remaining() < RECORD {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        thread.signals().raised().register(cx);
        let wanted = *self.wanted.lock();
        let mut done = 0;
        while sink.remaining() >= RECORD
            && let Some((signal, info)) = thread.signals().take_of(wanted)
        {
            sink.put(&Self::record(signal, &info))?;
            done += RECORD;
        }
        if done > 0 { Poll::Ready(Ok(done)) } else { Poll::Pending }
    }

    /// Whether there is a signal for `thread` to read.
    pub fn poll_ready_for(&self, thread: &Thread, cx: &Context<'_>, interest: Readiness) -> Readiness {
        if interest.intersects(Readiness::READABLE) {
            thread.signals().raised().register(cx);
        }
        let waiting = thread.signals().pending().0 & self.wanted.lock().0;
        if waiting != 0 { Readiness::READABLE } else { Readiness::empty() }
    }

    /// Changes which.
    pub fn set_wanted(&self, wanted: SignalSet) {
        *self.wanted.lock() = wanted;
        if let Some(thread) = self.process.upgrade() {
            thread.signals().raised().wake_all();
        }
    }

    fn record(signal: Signal, info: &SignalInfo) -> [u8; RECORD] {
        const SI_TIMER: i32 = -2;
        let [first, second, third, fourth] = info.fields;
        let (low, high) = info.sender();
        let mut record = [0; RECORD];
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &signal.number().to_ne_bytes());
        put(4, &info.errno.to_ne_bytes());
        put(8, &info.code.to_ne_bytes());
        if signal == Signal::SIGCHLD && info.code > 0 {
            put(12, &low.to_ne_bytes());
            put(16, &high.to_ne_bytes());
            put(40, &(second as u32).to_ne_bytes());
            put(56, &third.to_ne_bytes());
            put(64, &fourth.to_ne_bytes());
        } else if info.code > 0 {
            put(72, &first.to_ne_bytes());
        } else {
            let (at, then) = if info.code == SI_TIMER { (24, 32) } else { (12, 16) };
            put(at, &low.to_ne_bytes());
            put(then, &high.to_ne_bytes());
            put(44, &(second as u32).to_ne_bytes());
            put(48, &second.to_ne_bytes());
        }
        record
    }
}

impl FileObject for SignalFd {
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        self.process.upgrade().map_or(Poll::Pending, |thread| self.poll_read_by(&thread, cx, sink))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Readiness) -> Readiness {
        self.process.upgrade().map_or(Readiness::empty(), |thread| self.poll_ready_for(&thread, cx, interest))
    }

    fn description(&self, _: u64) -> String {
        String::from("anon_inode:[signalfd]")
    }
}
