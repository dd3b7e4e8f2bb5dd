//! The memory controller (cgroup-v2 `memory.max`): a frame is charged when it is given out, to the group of
//! the task that asked and to every group above it, and uncharged when its last handle is dropped.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use slab::Slab;
use veridian_hal::{
    PAGE_SIZE,
    mem::{self, Frame, OutOfFrames, Owner},
    sync::RwLock,
};

/// Frames that user memory leaves to the kernel's own heap, so that the kernel can go on when programs have
/// filled the machine: 1/32 of it, at least 128 (512 KiB).
fn reserve() -> usize {
    (mem::statistics().total / 32).max(128)
}

/// No frame: a group is at its limit, or the machine has no more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl From<OutOfMemory> for veridian_containers::abi::Errno {
    fn from(_: OutOfMemory) -> Self {
        Self::ENOMEM
    }
}

/// Memory of a group, its descendants' included. In frames.
#[derive(Debug)]
pub struct MemoryGroup {
    parent: Option<Arc<Self>>,
    limit: usize,
    current: AtomicUsize,
    peak: AtomicUsize,
    /// A charge was refused since this was last looked at.
    refused: AtomicBool,
    /// The group was killed for want of memory.
    out_of_memory: AtomicBool,
    closed: AtomicBool,
    owner: Owner,
}

impl MemoryGroup {
    pub(super) fn root() -> Arc<Self> {
        Self::register(None, usize::MAX)
    }

    pub(super) fn child(parent: &Arc<Self>, limit_bytes: Option<u64>) -> Arc<Self> {
        let limit = limit_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX) / PAGE_SIZE);
        Self::register(Some(parent.clone()), limit)
    }

    fn register(parent: Option<Arc<Self>>, limit: usize) -> Arc<Self> {
        let mut groups = GROUPS.write();
        let entry = groups.vacant_entry();
        // Owner 0 is the kernel.
        let owner = Owner(u32::try_from(entry.key() + 1).expect("fewer than 2^32 groups"));
        let group = Arc::new(Self {
            parent,
            limit,
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            out_of_memory: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            owner,
        });
        entry.insert(group.clone());
        group
    }

    /// The group's last task and its container are gone. It stays on the books until its last frame is freed
    /// (a page may be shared with another group's task), as Linux keeps a removed group.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.forget_if_empty();
    }

    fn forget_if_empty(&self) {
        if self.closed.load(Ordering::Acquire) && self.current.load(Ordering::Acquire) == 0 {
            let gone = GROUPS.write().try_remove(self.owner.0 as usize - 1);
            drop(gone);
        }
    }

    /// A zeroed frame, charged to this group.
    pub fn zeroed_frame(&self) -> Result<Frame, OutOfMemory> {
        self.charged(Frame::zeroed)
    }

    /// A copy of `original`, charged to this group.
    pub fn copied_frame(&self, original: &Frame) -> Result<Frame, OutOfMemory> {
        self.charged(|owner| Frame::copy_of(original, owner))
    }

    /// A charge for memory of the kernel's own that a task makes it take; nothing yet.
    pub fn kernel_charge(self: &Arc<Self>) -> KernelCharge {
        KernelCharge { group: self.clone(), frames: 0 }
    }

    /// Bytes charged now.
    pub fn current_bytes(&self) -> u64 {
        (self.current.load(Ordering::Relaxed) * PAGE_SIZE) as u64
    }

    /// The most bytes that were ever charged at once.
    pub fn peak_bytes(&self) -> u64 {
        (self.peak.load(Ordering::Relaxed) * PAGE_SIZE) as u64
    }

    /// The group, this one or above it, that has refused a charge since this was last asked: the one whose
    /// tasks must die.
    pub fn take_refusal(self: &Arc<Self>) -> Option<Arc<Self>> {
        let mut next = Some(self);
        while let Some(group) = next {
            if group.refused.swap(false, Ordering::AcqRel) {
                return Some(group.clone());
            }
            next = group.parent.as_ref();
        }
        None
    }

    /// Whether `other` is this group or below it.
    pub fn contains(&self, other: &Self) -> bool {
        other.to_root().any(|group| core::ptr::eq(group, self))
    }

    /// Notes that the group was killed for want of memory; tells whether this was the first time.
    pub fn set_out_of_memory(&self) -> bool {
        !self.out_of_memory.swap(true, Ordering::AcqRel)
    }

    /// Whether the group was killed for want of memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.out_of_memory.load(Ordering::Acquire)
    }

    fn charged(&self, give: impl FnOnce(Owner) -> Result<Frame, OutOfFrames>) -> Result<Frame, OutOfMemory> {
        self.charge()?;
        // After the charge: either this sees that the group was closed, or the one who closes it sees the charge.
        if self.closed.load(Ordering::SeqCst) || mem::statistics().free <= reserve() {
            self.uncharge();
            self.forget_if_empty();
            return Err(OutOfMemory);
        }
        give(self.owner).map_err(|OutOfFrames| {
            self.uncharge();
            OutOfMemory
        })
    }

    /// One frame more for this group and all above; on a refusal nothing is charged.
    fn charge(&self) -> Result<(), OutOfMemory> {
        for group in self.to_root() {
            let charged =
                group.current.try_update(Ordering::AcqRel, Ordering::Relaxed, |n| (n < group.limit).then_some(n + 1));
            match charged {
                Ok(before) => {
                    group.peak.fetch_max(before + 1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.to_root().take_while(|earlier| !core::ptr::eq(*earlier, group)).for_each(Self::release);
                    group.refused.store(true, Ordering::Release);
                    return Err(OutOfMemory);
                }
            }
        }
        Ok(())
    }

    fn uncharge(&self) {
        self.to_root().for_each(Self::release);
    }

    fn to_root(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    fn release(&self) {
        self.current.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a group is charged for kernel memory that holds the books of its tasks, in frames. Given back when dropped.
#[derive(Debug)]
pub struct KernelCharge {
    group: Arc<MemoryGroup>,
    frames: usize,
}

impl KernelCharge {
    /// Charges as much as `bytes` fill whole frames, if that is more than before.
    pub fn cover(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        while self.frames < bytes / PAGE_SIZE {
            self.group.charge()?;
            self.frames += 1;
        }
        Ok(())
    }
}

impl Drop for KernelCharge {
    fn drop(&mut self) {
        (0..self.frames).for_each(|_| self.group.uncharge());
        self.group.forget_if_empty();
    }
}

/// Page tables draw their own pages from the group too.
impl mem::FrameSource for MemoryGroup {
    fn zeroed_frame(&self) -> Result<Frame, OutOfFrames> {
        MemoryGroup::zeroed_frame(self).map_err(|OutOfMemory| OutOfFrames)
    }
}

/// Groups that may own frames, by owner number less one. Each is on the books until closed and empty.
static GROUPS: RwLock<Slab<Arc<MemoryGroup>>> = RwLock::new(Slab::new());

/// Hears from hal of each frame that is freed.
pub struct Books;

impl mem::Ledger for Books {
    fn released(&self, owner: Owner) {
        let group = GROUPS.read().get(owner.0 as usize - 1).cloned();
        let group = group.expect("a group stays on the books while it owns frames");
        group.uncharge();
        group.forget_if_empty();
    }
}

/// Groups on the books.
pub fn groups() -> usize {
    GROUPS.read().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use veridian_hal::arch::hosted;

    fn machine() {
        hosted::init(16 << 20);
        mem::set_ledger(&Books);
    }

    #[test]
    fn the_frame_past_the_limit_is_refused_and_a_freed_frame_makes_room() {
        machine();
        let root = MemoryGroup::root();
        let group = MemoryGroup::child(&root, Some(3 * PAGE_SIZE as u64));
        let mut frames: alloc::vec::Vec<_> = (0..3).map(|_| group.zeroed_frame().expect("within the limit")).collect();
        assert_eq!(group.zeroed_frame(), Err(OutOfMemory));
        assert!(group.take_refusal().is_some_and(|at| Arc::ptr_eq(&at, &group)));
        assert!(group.take_refusal().is_none());
        assert_eq!(root.current_bytes(), 3 * PAGE_SIZE as u64);
        frames.pop();
        frames.push(group.copied_frame(&frames[0]).expect("room again"));
        drop(frames);
        assert_eq!((group.current_bytes(), root.current_bytes()), (0, 0));
        assert_eq!(group.peak_bytes(), 3 * PAGE_SIZE as u64);
        group.close();
    }

    #[test]
    fn a_limit_above_binds_the_groups_below_together() {
        machine();
        let root = MemoryGroup::root();
        let outer = MemoryGroup::child(&root, Some(2 * PAGE_SIZE as u64));
        let (a, b) = (MemoryGroup::child(&outer, None), MemoryGroup::child(&outer, None));
        let _held = (a.zeroed_frame().expect("first"), b.zeroed_frame().expect("second"));
        assert_eq!(a.zeroed_frame(), Err(OutOfMemory));
        assert!(a.take_refusal().is_some_and(|at| Arc::ptr_eq(&at, &outer)));
        assert_eq!(a.current_bytes(), PAGE_SIZE as u64);
    }

    #[test]
    fn a_closed_group_lives_until_its_last_frame() {
        machine();
        let root = MemoryGroup::root();
        let group = MemoryGroup::child(&root, None);
        let frame = group.zeroed_frame().expect("memory");
        let watch = Arc::downgrade(&group);
        group.close();
        drop(group);
        assert!(watch.upgrade().is_some());
        drop(frame);
        assert!(watch.upgrade().is_none());
        assert_eq!(root.current_bytes(), 0);
    }
}
