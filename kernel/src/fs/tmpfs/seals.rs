//! Seals (memfd_create(2), fcntl(2)): what is forbidden of a file for good, to whoever has it.

use super::Data;
use bitflags::bitflags;
use linux_raw_sys::general as linux;
use veridian_containers::abi::Errno;

bitflags! {
    /// What is forbidden.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Seals: u32 {
        /// Further seals. Set from the beginning for all files but those of MFD_ALLOW_SEALING.
        const SEAL = linux::F_SEAL_SEAL;
        /// To get shorter.
        const SHRINK = linux::F_SEAL_SHRINK;
        /// To get longer.
        const GROW = linux::F_SEAL_GROW;
        /// To be written.
        const WRITE = linux::F_SEAL_WRITE;
        /// To be written, but by mappings that there are.
        const FUTURE_WRITE = linux::F_SEAL_FUTURE_WRITE;
        /// To be made executable, or no longer so.
        const EXEC = linux::F_SEAL_EXEC;
    }
}

impl Seals {
    /// Those that forbid write(2).
    pub const OF_WRITES: Self = Self::WRITE.union(Self::FUTURE_WRITE);

    /// How many bytes may be written where `before_end` are before the file's end: EPERM for none.
    pub(super) fn room_to_write(self, before_end: u64) -> Result<u64, Errno> {
        if self.intersects(Self::OF_WRITES) || self.contains(Self::GROW) && before_end == 0 {
            return Err(Errno::EPERM);
        }
        Ok(if self.contains(Self::GROW) { before_end } else { u64::MAX })
    }

    /// EPERM for a change of length that is forbidden.
    pub(super) fn permit_length(self, old: u64, new: u64) -> Result<(), Errno> {
        let forbidden = new < old && self.contains(Self::SHRINK) || new > old && self.contains(Self::GROW);
        if forbidden { Err(Errno::EPERM) } else { Ok(()) }
    }
}

impl Data {
    /// What is forbidden of it.
    pub fn seals(&self) -> Seals {
        self.pages.lock().seals
    }

    /// Lets seals be set: a new file of MFD_ALLOW_SEALING.
    pub fn allow_seals(&self) {
        self.pages.lock().seals.remove(Seals::SEAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_stays_as_long_as_it_is() {
        assert_eq!(Seals::empty().room_to_write(0), Ok(u64::MAX));
        assert_eq!(Seals::GROW.room_to_write(7), Ok(7));
        assert_eq!(Seals::GROW.room_to_write(0), Err(Errno::EPERM));
        assert_eq!(Seals::FUTURE_WRITE.room_to_write(7), Err(Errno::EPERM));
        assert_eq!(Seals::GROW.permit_length(5, 4), Ok(()));
        assert_eq!(Seals::GROW.permit_length(5, 6), Err(Errno::EPERM));
        assert_eq!(Seals::SHRINK.permit_length(5, 4), Err(Errno::EPERM));
        assert_eq!((Seals::SHRINK | Seals::GROW).permit_length(5, 5), Ok(()));
    }
}
