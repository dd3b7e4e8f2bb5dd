//! What the firmware and the loader told us.

use crate::{PAGE_SIZE, PhysAddr, mem::Frame, sync::Once};
use core::ops::Range;

/// What hal hands to the kernel's main function.
#[derive(Clone, Copy)]
pub struct BootInfo {
    /// The kernel command line (`-append`), without a trailing NUL.
    pub command_line: &'static str,
    /// The initial RAM disk, when one was given.
    pub initrd: Option<Initrd>,
    /// Bytes of usable RAM that the machine has, the kernel's own included.
    pub memory_bytes: usize,
    /// The machine's name, as far as known: `q35`, `microvm`, the device tree's model.
    pub machine: &'static str,
}

/// The initial RAM disk, in place: its bytes stay where the loader put them, for ever.
#[derive(Clone, Copy)]
pub struct Initrd {
    bytes: &'static [u8],
    start: PhysAddr,
}

impl Initrd {
    /// Describes `bytes`, which lie at physical address `start`.
    #[cfg(target_os = "none")]
    pub(crate) fn new(bytes: &'static [u8], start: PhysAddr) -> Self {
        Self { bytes, start }
    }

    /// The archive.
    pub fn bytes(&self) -> &'static [u8] {
        self.bytes
    }

    /// The frame that holds the page of the archive that begins at `offset`, so that a page of a file can be
    /// mapped without a copy. `None` unless `offset` falls on the start of a frame that lies wholly within
    /// the archive's pages.
    pub fn frame_at(&self, offset: usize) -> Option<Frame> {
        let at = self.start.0.checked_add(offset)?;
        let whole_pages = self.bytes.len().next_multiple_of(PAGE_SIZE);
        if offset >= whole_pages || at % PAGE_SIZE != 0 {
            return None;
        }
        Frame::of_boot_memory(PhysAddr(at))
    }
}

/// Physical memory as the loader describes it; what each architecture gives to [`crate::mem::init`].
#[derive(Clone)]
pub struct MemoryMap {
    /// Usable RAM.
    pub usable: heapless::Vec<Range<usize>, 32>,
    /// Parts of it that are taken for good: firmware, kernel image, device tree.
    pub reserved: heapless::Vec<Range<usize>, 24>,
    /// The initial RAM disk: taken for good, but its frames can be mapped.
    pub initrd: Option<Range<usize>>,
}

impl MemoryMap {
    /// Usable memory that is not taken, in whole frames, in the order of addresses within each usable range.
    pub(crate) fn free_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let taken = || self.reserved.iter().chain(&self.initrd).map(whole_frames);
        self.usable.iter().flat_map(move |usable| {
            let end = usable.end / PAGE_SIZE * PAGE_SIZE;
            let mut at = usable.start.next_multiple_of(PAGE_SIZE);
            core::iter::from_fn(move || {
                // Step over whatever covers `at`, until nothing does.
                while let Some(over) = taken().find(|t| t.contains(&at)) {
                    at = over.end;
                }
                if at >= end {
                    return None;
                }
                let stop = taken().map(|t| t.start).filter(|&start| start > at).min().unwrap_or(end).min(end);
                let found = at..stop;
                at = stop;
                Some(found)
            })
        })
    }
}

/// The frames that `range` touches. An empty range touches none.
fn whole_frames(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / PAGE_SIZE * PAGE_SIZE..range.end.next_multiple_of(PAGE_SIZE)
}

static SYMBOLS: Once<&'static [u8]> = Once::new();

/// Names the symbol table that backtraces use: text, one `hexadecimal-address name` a line, sorted by address.
pub fn set_symbols(table: &'static [u8]) {
    SYMBOLS.call_once(|| table);
}

/// The table given to [`set_symbols`].
pub fn symbols() -> Option<&'static [u8]> {
    SYMBOLS.get().copied()
}
