//! Addresses. A physical address, a user address and a kernel pointer are three types: none is mistaken
//! for another.

use core::fmt;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: usize = 12;
/// Bytes in a page and in a frame, the same on the three architectures.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;

/// A physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysAddr(pub usize);

impl PhysAddr {
    /// The number of the frame that holds this address.
    pub const fn frame_number(self) -> usize {
        self.0 >> PAGE_SHIFT
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phys:{:#x}", self.0)
    }
}

/// An address that a user program named. Holding one says nothing about what lies there: it is a claim,
/// tested each time it is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UserAddr(pub usize);

impl UserAddr {
    /// The address `bytes` further on; `None` when that wraps.
    pub fn checked_add(self, bytes: usize) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }

    /// The start of the page that holds this address.
    pub const fn page_start(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// Bytes into the page.
    pub const fn page_offset(self) -> usize {
        self.0 & (PAGE_SIZE - 1)
    }

    /// Whether this is the first byte of a page.
    pub const fn is_page_aligned(self) -> bool {
        self.page_offset() == 0
    }
}

impl fmt::Debug for UserAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user:{:#x}", self.0)
    }
}
