//! Memory of programs: address spaces, the areas in them, page faults, copy-on-write, exec images.
//!
//! Owns: [`AddressSpace`] and [`image`]. A frame is charged to the space's memory group when it is given out, so a
//! mapping costs nothing before it is touched. May call: hal's page tables and frames, `cgroup`. Called by:
//! `syscall`, `task`, `fs` (which implements [`PageSource`] for files).
//!
//! Lock order: a space's areas, then whatever a [`PageSource`] locks, then the page table, then frames. So a
//! `PageSource` must not touch user memory, and nobody reads or writes user memory while holding a file's lock.

use alloc::sync::Weak;
use core::any::Any;
use veridian_containers::abi::Errno;
use veridian_hal::mem::Frame;

use crate::cgroup::MemoryGroup;

mod area;
mod change;
mod describe;
mod fault;
pub mod image;
pub mod layout;
mod room;
mod shared;
mod space;
#[cfg(test)]
mod tests;
mod user_access;
mod user_buffer;

pub use area::AtFork;
pub use change::{Destination, Discard};
pub use describe::{Landmarks, Residence, Stretch};
pub use layout::Layout;
pub use room::filled;
pub use shared::SharedPages;
pub use space::{AddressSpace, Content, Limits, Mapping, Place};
pub use user_buffer::{TRANSFER_MAX, UserBuffer};

/// What a mapped file gives: its pages. Called with an address space's lock held: must not touch user memory.
pub trait PageSource: Any + Send + Sync {
    /// The frame of page `index` (bytes `index * PAGE_SIZE..`), made and charged to `memory` when there is none
    /// yet. Bytes behind the file's end are zero. The frame is mapped as it is; who maps it privately never writes
    /// it while any other handle exists.
    ///
    /// # Errors
    /// ENOMEM; anything else becomes SIGBUS.
    fn page(&self, index: u64, memory: &MemoryGroup) -> Result<Frame, Errno>;

    /// The frame of page `index` when it costs nothing to give: neighbours of a faulting page are mapped with it.
    fn resident_page(&self, index: u64) -> Option<Frame> {
        let _ = index;
        None
    }

    /// Length in bytes, now. An access to a page wholly behind it is SIGBUS.
    fn length_bytes(&self) -> u64;

    /// Whether a shared, writable mapping writes the file: [`Self::page`] gives the file's own frame, each time
    /// the same. Otherwise such a mapping is refused, with this error.
    fn permit_shared_writing(&self) -> Result<(), Errno> {
        Err(Errno::EACCES)
    }

    /// `space` is about to map it, and has its lock.
    fn mapped_in(&self, space: &Weak<AddressSpace>) {
        let _ = space;
    }

    /// What other sources of the same pages say too; `None` for pages that nobody takes away.
    fn identity(&self) -> Option<usize> {
        None
    }
}

/// Why an access of a program failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there: SIGSEGV, SEGV_MAPERR.
    NotMapped,
    /// Mapped, but not for this access: SIGSEGV, SEGV_ACCERR.
    Denied,
    /// Mapped, but behind the end of the file: SIGBUS.
    Bus,
    /// No frame: the memory group is at its limit, or the machine is.
    OutOfMemory,
}

impl From<FaultError> for Errno {
    /// What a system call answers whose argument faulted.
    fn from(error: FaultError) -> Self {
        match error {
            FaultError::OutOfMemory => Self::ENOMEM,
            FaultError::NotMapped | FaultError::Denied | FaultError::Bus => Self::EFAULT,
        }
    }
}
