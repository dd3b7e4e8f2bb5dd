//! What an address space tells about itself: for /proc.

use super::{
    AddressSpace, PageSource,
    area::{Area, Backing},
};
use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr, mem::Protection};

/// Where the parts of a program are: addresses that execve(2) has set.
#[derive(Clone, Default)]
pub struct Landmarks {
    /// The program's file.
    pub executable: Option<Arc<dyn PageSource>>,
    /// From the first executable byte of the program to the last.
    pub code: Range<usize>,
    /// From the first writable byte of the program to the last.
    pub data: Range<usize>,
    /// The first stack pointer.
    pub stack: usize,
    /// The strings of the arguments, one after the other.
    pub arguments: Range<usize>,
    /// The strings of the environment.
    pub environment: Range<usize>,
    /// The auxiliary vector.
    pub auxiliary: Range<usize>,
    /// The library that the kernel gives to each program.
    pub vdso: UserAddr,
}

/// A byte of a source of pages.
pub type SourceByte = (Arc<dyn PageSource>, u64);

/// A stretch of memory in which all pages are alike.
pub struct Stretch {
    /// Addresses.
    pub range: Range<usize>,
    /// What the program may do.
    pub protection: Protection,
    /// Whether writes are seen by whoever maps the same pages.
    pub shared: bool,
    /// A stack.
    pub grows_down: bool,
    /// What is mapped, and the page of it that comes first; none for zeros.
    pub source: Option<(Arc<dyn PageSource>, u64)>,
}

impl AddressSpace {
    /// The source of shared memory, and the byte of it, that is mapped at `address`; `None` for memory of this space
    /// alone.
    ///
    /// # Errors
    /// EFAULT: nothing is mapped there.
    pub fn shared_place(&self, address: UserAddr) -> Result<Option<SourceByte>, Errno> {
        let state = self.state.lock();
        let (range, area) = state.areas.find(address.0).ok_or(Errno::EFAULT)?;
        Ok(match &area.backing {
            Backing::Source { source, first } if area.shared => {
                Some((source.clone(), first * PAGE_SIZE as u64 + (address.0 - range.start) as u64))
            }
            _ => None,
        })
    }

    /// Where the parts of its program are.
    pub fn landmarks(&self) -> Landmarks {
        self.state.lock().landmarks.clone()
    }

    /// Notes where the parts of its program are.
    pub(super) fn set_landmarks(&self, landmarks: Landmarks) {
        let old = core::mem::replace(&mut self.state.lock().landmarks, landmarks);
        drop(old);
    }

    /// From the end of the program to the program break.
    pub fn heap(&self) -> Range<usize> {
        self.state.lock().heap.clone()
    }

    /// What is mapped, in the order of addresses.
    pub fn stretches(&self) -> Vec<Stretch> {
        let state = self.state.lock();
        let describe = |(range, area): (Range<usize>, &Area)| Stretch {
            range,
            protection: area.protection,
            shared: area.shared,
            grows_down: area.grows_down,
            source: match &area.backing {
                Backing::Anonymous => None,
                Backing::Source { source, first } => Some((source.clone(), *first)),
            },
        };
        state.areas.iter().map(describe).collect()
    }

    /// What of each stretch of [`Self::stretches`] is mapped to frames now, as long as nobody changes the mappings.
    pub fn residences(&self) -> Vec<Residence> {
        let state = self.state.lock();
        let count = |(range, area): (Range<usize>, &Area)| {
            let mut residence = Residence::default();
            self.table.for_each(UserAddr(range.start)..UserAddr(range.end), |_, frame, _| {
                residence.add(area, frame.handles() - 1);
            });
            residence
        };
        state.areas.iter().map(count).collect()
    }
}

/// Bytes of a stretch that are mapped to frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Residence {
    /// All.
    pub resident: usize,
    /// Each divided by the number of mappings that it has, in all programs.
    pub proportional: usize,
    /// Those that others have mapped too.
    pub shared: usize,
    /// Those that are nothing's that is mapped: a private page that was written is a copy of its own.
    pub anonymous: usize,
}

impl Residence {
    /// Counts a page with so many `handles`: one for each mapping, and one of the source that it belongs to.
    fn add(&mut self, area: &Area, handles: u32) {
        let of_source = matches!(area.backing, Backing::Source { .. }) && (area.shared || handles > 1);
        let mappings = if of_source { handles.saturating_sub(1).max(1) } else { handles };
        self.resident += PAGE_SIZE;
        self.proportional += PAGE_SIZE / mappings as usize;
        self.shared += if mappings > 1 { PAGE_SIZE } else { 0 };
        self.anonymous += if of_source { 0 } else { PAGE_SIZE };
    }
}

impl core::ops::AddAssign for Residence {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.proportional += other.proportional;
        self.shared += other.shared;
        self.anonymous += other.anonymous;
    }
}
