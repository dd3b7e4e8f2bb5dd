//! Tests of address spaces on the hosted machine.

use alloc::{sync::Arc, vec, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, UserAddr,
    arch::hosted,
    mem::{self, Frame, Protection},
    sync::SpinLock,
    user::Access,
};

use super::*;
use crate::cgroup::{
    Cgroup,
    memory::{Books, Kind, Limit},
};

mod buffers;
mod calls;
mod faults;
mod model;

pub(super) const RW: Protection = Protection::READ.union(Protection::WRITE);
pub(super) const RX: Protection = Protection::READ.union(Protection::EXECUTE);
pub(super) const NONE: Protection = Protection::empty();
pub(super) const PAGE: usize = PAGE_SIZE;
pub(super) const MMAP_TOP: usize = layout::STACK_TOP - (128 << 20);

/// A memory group of a test's own, with a limit in frames.
pub(super) fn group(frames: Option<u64>) -> Arc<MemoryGroup> {
    hosted::init(16 << 20);
    mem::set_ledger(&Books);
    let cgroup = Cgroup::root();
    let memory = cgroup.memory.clone();
    memory.set_limit(Limit::Max, frames.map(|n| n * PAGE as u64));
    // A group lives as long as its tasks: here, as the test.
    core::mem::forget(cgroup);
    memory
}

pub(super) fn space(memory: &Arc<MemoryGroup>) -> Arc<AddressSpace> {
    AddressSpace::new(memory.clone(), Limits::default(), MMAP_TOP).expect("memory for an empty space")
}

/// Maps private anonymous memory anywhere.
pub(super) fn anonymous(space: &AddressSpace, pages: usize) -> UserAddr {
    space.map(Mapping::private(Place::Near(UserAddr(0)), pages * PAGE, RW)).expect("room for a mapping")
}

pub(super) fn offset(at: UserAddr, bytes: usize) -> UserAddr {
    UserAddr(at.0 + bytes)
}

pub(super) fn byte(space: &AddressSpace, at: UserAddr) -> Result<u8, Errno> {
    space.read::<u8>(at)
}

/// Nothing of `memory` is in use once the CPU has left the space.
pub(super) fn assert_all_freed(memory: &MemoryGroup) {
    mem::leave_address_space();
    assert_eq!(memory.current_bytes(), 0);
}

/// A file in memory.
pub(super) struct TestFile {
    bytes: Vec<u8>,
    frames: SpinLock<Vec<Option<Frame>>>,
    writable: bool,
}

impl TestFile {
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        let pages = bytes.len().div_ceil(PAGE);
        Arc::new(Self { bytes, frames: SpinLock::new(vec![None; pages]), writable: false })
    }

    pub fn writable(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { writable: true, ..Arc::into_inner(Self::new(bytes)).expect("sole owner") })
    }
}

impl PageSource for TestFile {
    fn page(&self, index: u64, memory: &MemoryGroup) -> Result<Frame, Errno> {
        let mut frames = self.frames.lock();
        let slot = frames.get_mut(index as usize).ok_or(Errno::EIO)?;
        if let Some(frame) = slot {
            return Ok(frame.clone());
        }
        let frame = memory.zeroed_frame(Kind::Shmem)?;
        let bytes = &self.bytes[index as usize * PAGE..];
        frame.write(0, &bytes[..bytes.len().min(PAGE)]);
        *slot = Some(frame.clone());
        Ok(frame)
    }

    fn resident_page(&self, index: u64) -> Option<Frame> {
        self.frames.lock().get(index as usize)?.clone()
    }

    fn length_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn permit_shared_writing(&self) -> Result<(), Errno> {
        if self.writable { Ok(()) } else { Err(Errno::EACCES) }
    }
}
