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

/// Why there is no frame.
#[derive(Clone, Debug)]
pub enum OutOfMemory {
    /// This group is at its limit.
    Limit(Arc<MemoryGroup>),
    /// The machine has no more to give.
    Machine,
}

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
        self.closed.store(true, Ordering::Release);
        self.forget_if_empty();
    }

    fn forget_if_empty(&self) {
        if self.closed.load(Ordering::Acquire) && self.current.load(Ordering::Acquire) == 0 {
            let gone = GROUPS.write().try_remove(self.owner.0 as usize - 1);
            drop(gone);
        }
    }

    /// A zeroed frame, charged to this group.
    pub fn zeroed_frame(self: &Arc<Self>) -> Result<Frame, OutOfMemory> {
        self.charged(Frame::zeroed)
    }

    /// A copy of `original`, charged to this group.
    pub fn copied_frame(self: &Arc<Self>, original: &Frame) -> Result<Frame, OutOfMemory> {
        self.charged(|owner| Frame::copy_of(original, owner))
    }

    /// Bytes charged now.
    pub fn current_bytes(&self) -> u64 {
        (self.current.load(Ordering::Relaxed) * PAGE_SIZE) as u64
    }

    /// The most bytes that were ever charged at once.
    pub fn peak_bytes(&self) -> u64 {
        (self.peak.load(Ordering::Relaxed) * PAGE_SIZE) as u64
    }

    /// Notes that the group was killed for want of memory; tells whether this was the first time.
    pub fn set_out_of_memory(&self) -> bool {
        !self.out_of_memory.swap(true, Ordering::AcqRel)
    }

    /// Whether the group was killed for want of memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.out_of_memory.load(Ordering::Acquire)
    }

    fn charged(self: &Arc<Self>, give: impl FnOnce(Owner) -> Result<Frame, OutOfFrames>) -> Result<Frame, OutOfMemory> {
        self.charge()?;
        if mem::statistics().free <= reserve() {
            self.uncharge();
            return Err(OutOfMemory::Machine);
        }
        give(self.owner).map_err(|OutOfFrames| {
            self.uncharge();
            OutOfMemory::Machine
        })
    }

    /// One frame more for this group and all above; on a refusal nothing is charged.
    fn charge(self: &Arc<Self>) -> Result<(), OutOfMemory> {
        let mut next = Some(self);
        while let Some(group) = next {
            let charged =
                group.current.try_update(Ordering::AcqRel, Ordering::Relaxed, |n| (n < group.limit).then_some(n + 1));
            match charged {
                Ok(before) => {
                    group.peak.fetch_max(before + 1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.to_root().take_while(|earlier| !core::ptr::eq(*earlier, &**group)).for_each(Self::release);
                    return Err(OutOfMemory::Limit(group.clone()));
                }
            }
            next = group.parent.as_ref();
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
        assert!(matches!(group.zeroed_frame(), Err(OutOfMemory::Limit(at)) if Arc::ptr_eq(&at, &group)));
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
        assert!(matches!(a.zeroed_frame(), Err(OutOfMemory::Limit(at)) if Arc::ptr_eq(&at, &outer)));
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
