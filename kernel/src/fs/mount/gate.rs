//! Who writes, and whether anybody may: flags and the number of writers in one word, so that a mount (or a whole file
//! system) turns read-only only while nobody writes to it.

use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::abi::Errno;

/// Shift of the count of writers.
const ONE_WRITER: u64 = 1 << 32;
/// MS_RDONLY, which mounts and file systems have in common.
const READ_ONLY: u32 = 1;

/// Flags, of which the first is "read-only", and a count of those who write.
#[derive(Debug)]
pub(in crate::fs) struct Gate(AtomicU64);

impl Gate {
    pub const fn new(flags: u32) -> Self {
        Self(AtomicU64::new(flags as u64))
    }

    pub fn flags(&self) -> u32 {
        self.0.load(Ordering::Acquire) as u32
    }

    /// Sets the flags: EBUSY if that makes it read-only and someone is writing.
    pub fn set_flags(&self, flags: u32) -> Result<(), Errno> {
        let set = |state: u64| {
            let writers = state / ONE_WRITER * ONE_WRITER;
            (writers == 0 || flags & READ_ONLY == 0).then_some(writers | u64::from(flags))
        };
        self.0.try_update(Ordering::AcqRel, Ordering::Acquire, set).map(drop).map_err(|_| Errno::EBUSY)
    }

    /// A writer more: EROFS when it is read-only, which it cannot become before [`Self::leave`].
    pub fn enter(&self) -> Result<(), Errno> {
        let add = |state: u64| (state & u64::from(READ_ONLY) == 0).then_some(state + ONE_WRITER);
        self.0.try_update(Ordering::AcqRel, Ordering::Acquire, add).map(drop).map_err(|_| Errno::EROFS)
    }

    pub fn leave(&self) {
        self.0.fetch_sub(ONE_WRITER, Ordering::AcqRel);
    }
}
