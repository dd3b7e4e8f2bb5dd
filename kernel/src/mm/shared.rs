//! Shared anonymous memory: frames that belong to no file and are seen by all who map them.

use alloc::collections::BTreeMap;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem::Frame, sync::SpinLock};

use super::PageSource;
use crate::cgroup::{MemoryGroup, memory::Kind};

/// Pages that live as long as some space maps any of them. Each is charged to whoever touched it first.
#[derive(Debug)]
pub struct SharedPages {
    pages: u64,
    frames: SpinLock<BTreeMap<u64, Frame>>,
}

impl SharedPages {
    /// None of them is there yet.
    pub fn new(pages: u64) -> Self {
        Self { pages, frames: SpinLock::new(BTreeMap::new()) }
    }

    /// Pages that take memory.
    pub fn resident(&self) -> usize {
        self.frames.lock().len()
    }
}

impl PageSource for SharedPages {
    fn page(&self, index: u64, memory: &MemoryGroup) -> Result<Frame, Errno> {
        let mut frames = self.frames.lock();
        if let Some(frame) = frames.get(&index) {
            return Ok(frame.clone());
        }
        let frame = memory.zeroed_frame(Kind::Shmem)?;
        frames.insert(index, frame.clone());
        Ok(frame)
    }

    fn resident_page(&self, index: u64) -> Option<Frame> {
        self.frames.lock().get(&index).cloned()
    }

    fn length_bytes(&self) -> u64 {
        self.pages * PAGE_SIZE as u64
    }

    fn permit_shared_writing(&self) -> Result<(), Errno> {
        Ok(())
    }
}
