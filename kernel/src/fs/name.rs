//! Bounds and flags of names.

use bitflags::bitflags;

/// The longest name of a directory entry, in bytes.
pub const NAME_MAX: usize = 255;
/// The longest path, in bytes, its terminating NUL included (so 4095 bytes are a path and 4096 are not).
pub const PATH_MAX: usize = 4096;
/// The most symbolic links that one path walk follows (path_resolution(7)).
pub(super) const LINKS_FOLLOWED_MAX: u32 = 40;

bitflags! {
    /// Flags of renameat2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// Fail if the new name exists.
        const NOREPLACE = 1;
        /// Exchange the two names.
        const EXCHANGE = 2;
    }
}
