//! Memory: mappings that the program owns and touches byte by byte, and the program break.

use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};

use super::wild::{peek, poke};
use super::{Errno, Fd, Result, call};

/// Bytes in a page, the same on the three architectures.
pub const PAGE: usize = 4096;

/// A range of memory outside everything that Rust knows: mapped for this value, touched a byte at a time. A touch
/// that the mapping does not allow ends the process with SIGSEGV (past the end of a file: SIGBUS), as it should.
#[derive(Debug)]
pub struct Region {
    base: usize,
    len: usize,
}

impl Region {
    /// mmap(2) of memory or, with a descriptor, of a file from its start. `MAP_FIXED` is refused with EINVAL: what it
    /// replaces could be the program itself.
    pub fn map(len: usize, protection: u32, flags: u32, file: Option<Fd>) -> Result<Self> {
        if flags & linux_raw_sys::general::MAP_FIXED != 0 {
            return Err(Errno::EINVAL);
        }
        // A new mapping replaces nothing.
        let base = call!(__NR_mmap, 0, len, protection, flags, file.unwrap_or(-1), 0)?;
        Ok(Self { base, len })
    }
    /// Private memory to read and write.
    pub fn anonymous(len: usize) -> Result<Self> {
        Self::map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, None)
    }
    /// Grows the program break by `len` bytes, which no one else uses. ENOMEM if the kernel leaves it where it was.
    pub fn brk(len: usize) -> Result<Self> {
        let base = call!(__NR_brk, 0)?;
        if call!(__NR_brk, base + len)? != base + len {
            return Err(Errno::ENOMEM);
        }
        Ok(Self { base, len })
    }
    /// Gives the break back to where it was before [`Region::brk`], keeping the value to touch what is gone.
    pub fn unbrk(&self) -> Result {
        if call!(__NR_brk, self.base)? == self.base { Ok(()) } else { Err(Errno::ENOMEM) }
    }
    /// shmat(2) of a segment of `len` bytes, where the kernel likes.
    pub fn attach(segment: i32, len: usize, flags: u32) -> Result<Self> {
        // A new mapping replaces nothing.
        let base = call!(__NR_shmat, segment, 0, flags)?;
        Ok(Self { base, len })
    }
    /// shmdt(2), keeping the value to touch what is gone.
    pub fn detach(&self) -> Result {
        call!(__NR_shmdt, self.base).map(drop)
    }
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Address of byte `offset`, inside the region or the first behind it.
    pub fn address(&self, offset: usize) -> usize {
        assert!(offset <= self.len, "an offset inside the region");
        self.base + offset
    }
    /// Reads a byte.
    pub fn get(&self, offset: usize) -> u8 {
        assert!(offset < self.len, "an offset inside the region");
        // SAFETY: the region is memory that Rust does not know, mapped or not.
        unsafe { peek(self.base + offset) }
    }
    /// Writes a byte.
    pub fn set(&self, offset: usize, value: u8) {
        assert!(offset < self.len, "an offset inside the region");
        // SAFETY: the region is memory that Rust does not know, mapped or not.
        unsafe { poke(self.base + offset, value) };
    }
    /// Writes bytes from `offset` on.
    pub fn fill(&self, offset: usize, bytes: &[u8]) {
        for (at, &byte) in bytes.iter().enumerate() {
            self.set(offset + at, byte);
        }
    }
    /// mprotect(2) of `len` bytes from `offset`.
    pub fn protect(&self, offset: usize, len: usize, protection: u32) -> Result {
        assert!(offset + len <= self.len, "a range inside the region");
        call!(__NR_mprotect, self.base + offset, len, protection).map(drop)
    }
    /// munmap(2) of `len` bytes from `offset`. Touching them afterwards is SIGSEGV until something else is mapped.
    pub fn unmap(&self, offset: usize, len: usize) -> Result {
        assert!(offset + len <= self.len, "a range inside the region");
        call!(__NR_munmap, self.base + offset, len).map(drop)
    }
    /// madvise(2) of `len` bytes from `offset`. What the advice throws away is the region's own.
    pub fn advise(&self, offset: usize, len: usize, advice: u32) -> Result {
        assert!(offset + len <= self.len, "a range inside the region");
        call!(__NR_madvise, self.base + offset, len, advice).map(drop)
    }
    /// Calls the code at the start of the region: it must be [`RETURN`](super::RETURN), put there before.
    pub fn execute(&self) {
        super::wild::execute(self.base);
    }
}

/// Memory to read and write, zero at first, that lives as long as the program.
pub fn buffer(len: usize) -> Result<&'static mut [u8]> {
    let region = Region::anonymous(len.max(1))?;
    // SAFETY: fresh zeroed memory of that length, which nothing else names and no one unmaps.
    Ok(unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(region.base), len) })
}

/// munmap(2) or mprotect(2) with an address that is not page-aligned: EINVAL, and nothing happens.
pub fn unaligned_memory_calls() -> [Result; 2] {
    let region = Region { base: 0x1_0001, len: PAGE };
    [region.unmap(0, PAGE), region.protect(0, PAGE, PROT_READ)]
}
