//! An open text: made when it is read from the beginning, kept in frames that its opener's memory group pays for.

use super::{Opener, Text, WRITE_MAX};
use crate::{
    cgroup::{MemoryGroup, memory::Kind},
    fs::{
        FileObject, Positioned, Readiness,
        io::{Sink, Source, moved},
    },
    mm::filled,
    sched::WaitQueue,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    task::Context,
};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem::Frame, sync::SpinLock};

/// Counts the changes of something that programs watch by poll(2) on a file that shows it.
#[derive(Debug, Default)]
pub struct Changes {
    count: AtomicU64,
    watchers: WaitQueue,
}

impl Changes {
    /// No change yet.
    pub const fn new() -> Self {
        Self { count: AtomicU64::new(0), watchers: WaitQueue::new() }
    }

    /// Something has changed: wakes who watches. Not to be called under a lock.
    pub fn notify(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.watchers.wake_all();
    }

    /// Waits until `ready` gives a value; it is asked again after each change.
    pub async fn wait_until<T>(&self, ready: impl FnMut() -> Option<T>) -> T {
        self.watchers.wait_until(ready).await
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

/// A text that is open.
#[derive(Debug)]
pub struct OpenText {
    node: Arc<dyn Text>,
    opener: Opener,
    kept: SpinLock<Option<Arc<Pages>>>,
    changes: Option<Arc<Changes>>,
    /// How many changes there had been when the text was last made.
    seen: AtomicU64,
}

impl OpenText {
    pub(super) fn new(node: Arc<dyn Text>, opener: Opener) -> Self {
        let changes = node.changes();
        let seen = AtomicU64::new(changes.as_ref().map_or(0, |changes| changes.count()));
        Self { node, opener, kept: SpinLock::new(None), changes, seen }
    }

    fn make(&self) -> Result<Arc<Pages>, Errno> {
        if let Some(changes) = &self.changes {
            self.seen.store(changes.count(), Ordering::Release);
        }
        let text = self.node.read(&self.opener)?;
        let pages = Arc::new(Pages::new(&text, &self.opener.memory)?);
        let old = self.kept.lock().replace(pages.clone());
        drop(old);
        Ok(pages)
    }
}

impl Positioned for OpenText {
    /// From 0 on, the text is made anew.
    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let kept = self.kept.lock().clone();
        let pages = match kept {
            Some(pages) if offset > 0 => pages,
            _ => self.make()?,
        };
        pages.read(offset, sink)
    }

    /// Takes what one write brings, wherever it is.
    fn write_at(&self, _: u64, source: &mut dyn Source) -> Result<usize, Errno> {
        let count = source.remaining();
        if count > WRITE_MAX {
            return Err(Errno::E2BIG);
        }
        let mut bytes = filled(0, count)?;
        source.take(&mut bytes)?;
        self.node.write(&bytes, &self.opener)?;
        Ok(count)
    }
}

impl FileObject for OpenText {
    fn positioned(&self) -> Option<&dyn Positioned> {
        Some(self)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        let always = Readiness::READABLE | Readiness::WRITABLE;
        let Some(changes) = &self.changes else { return always };
        changes.watchers.register(cx);
        let changed = changes.count() != self.seen.load(Ordering::Acquire);
        if changed { always | Readiness::PRI | Readiness::ERR } else { always }
    }
}

/// A text in frames.
#[derive(Debug)]
struct Pages {
    frames: Vec<Frame>,
    length: usize,
}

impl Pages {
    fn new(text: &[u8], memory: &MemoryGroup) -> Result<Self, Errno> {
        let mut frames = Vec::with_capacity(text.len().div_ceil(PAGE_SIZE));
        for part in text.chunks(PAGE_SIZE) {
            let frame = memory.zeroed_frame(Kind::Kernel)?;
            frame.write(0, part);
            frames.push(frame);
        }
        Ok(Self { frames, length: text.len() })
    }

    fn read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let before = sink.remaining();
        let result = self.copy(offset, sink);
        moved(before - sink.remaining(), result)
    }

    fn copy(&self, offset: u64, sink: &mut dyn Sink) -> Result<(), Errno> {
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        while at < self.length && sink.remaining() > 0 {
            let start = at % PAGE_SIZE;
            let count = (PAGE_SIZE - start).min(self.length - at).min(sink.remaining());
            sink.put_frame(&self.frames[at / PAGE_SIZE], start..start + count)?;
            at += count;
        }
        Ok(())
    }
}
