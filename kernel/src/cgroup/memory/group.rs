//! One group's counters and limits, in frames.

use super::{Event, Kind, OutOfMemory, SLOWDOWN, reserve, stat::Events};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use slab::Slab;
use veridian_hal::{
    PAGE_SIZE,
    mem::{self, Frame, OutOfFrames, Owner},
    sync::{RwLock, SpinLock},
};

/// Memory of a group, its descendants' included.
#[derive(Debug)]
pub struct MemoryGroup {
    pub(super) parent: Option<Arc<Self>>,
    limits: [AtomicUsize; Limit::ALL.len()],
    current: AtomicUsize,
    peak: AtomicUsize,
    /// `current` by kind.
    pub(super) kinds: [AtomicUsize; Kind::ALL.len()],
    /// Bytes of the kernel's own that this group itself pays for, in whole frames.
    pub(super) kernel_bytes: SpinLock<usize>,
    pub(super) events: Events,
    /// An out-of-memory kill takes the whole group (memory.oom.group).
    kills_whole: AtomicBool,
    /// A charge was refused since this was last looked at.
    refused: AtomicBool,
    /// Somebody sees to it that what the group has fits a limit that was lowered.
    fitting: AtomicBool,
    closed: AtomicBool,
    owner: Owner,
}

/// A limit of the memory controller, by its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `memory.max`: a charge above is refused.
    Max,
    /// `memory.high`: who charges above is slowed down.
    High,
    /// `memory.low`: what others' shortage does not take, as long as anything else is left.
    Low,
    /// `memory.min`: what others' shortage never takes.
    Min,
    /// `memory.swap.max`. There is no swap: any limit is kept.
    SwapMax,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 5] = [Self::Max, Self::High, Self::Low, Self::Min, Self::SwapMax];

    /// What holds before anybody says so, in bytes; `None` for no limit.
    pub const fn default(self) -> Option<u64> {
        match self {
            Self::Max | Self::High | Self::SwapMax => None,
            Self::Low | Self::Min => Some(0),
        }
    }
}

/// A limit in whole frames.
fn frames_of(bytes: Option<u64>) -> usize {
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).map_or(usize::MAX, |bytes| bytes / PAGE_SIZE)
}

/// Bits of an owner number that tell the kind of memory.
const KIND_BITS: u32 = 3;

/// Which group, by its place in [`GROUPS`], and for what.
pub(super) fn of_owner(owner: Owner) -> (usize, Kind) {
    let kind = Kind::ALL[(owner.0 & ((1 << KIND_BITS) - 1)) as usize];
    ((owner.0 >> KIND_BITS) as usize - 1, kind)
}

impl MemoryGroup {
    pub(in crate::cgroup) fn root() -> Arc<Self> {
        Self::register(None)
    }

    pub(in crate::cgroup) fn child(parent: &Arc<Self>) -> Arc<Self> {
        Self::register(Some(parent.clone()))
    }

    fn register(parent: Option<Arc<Self>>) -> Arc<Self> {
        let mut groups = GROUPS.write();
        let entry = groups.vacant_entry();
        // Owner 0 is the kernel.
        let number = u32::try_from(entry.key() + 1).expect("fewer than 2^29 groups");
        let group = Arc::new(Self {
            parent,
            limits: Limit::ALL.map(|limit| AtomicUsize::new(frames_of(limit.default()))),
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            kinds: Default::default(),
            kernel_bytes: SpinLock::new(0),
            events: Events::default(),
            kills_whole: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            fitting: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            owner: Owner(number << KIND_BITS),
        });
        entry.insert(group.clone());
        group
    }

    /// The group was removed. It stays on the books until its last frame is freed (a page may be shared with another
    /// group's task), as Linux keeps a removed group.
    pub(in crate::cgroup) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.forget_if_empty();
    }

    pub(super) fn forget_if_empty(&self) {
        if self.closed.load(Ordering::Acquire) && self.current.load(Ordering::Acquire) == 0 {
            let gone = GROUPS.write().try_remove((self.owner.0 >> KIND_BITS) as usize - 1);
            drop(gone);
        }
    }

    /// A zeroed frame, charged to this group.
    pub fn zeroed_frame(&self, kind: Kind) -> Result<Frame, OutOfMemory> {
        self.charged(kind, Frame::zeroed)
    }

    /// A copy of `original`, charged to this group.
    pub fn copied_frame(&self, kind: Kind, original: &Frame) -> Result<Frame, OutOfMemory> {
        self.charged(kind, |owner| Frame::copy_of(original, owner))
    }

    /// Bytes charged now.
    pub fn current_bytes(&self) -> u64 {
        (self.current.load(Ordering::Relaxed) * PAGE_SIZE) as u64
    }

    /// The most bytes that were ever charged at once.
    pub fn peak_bytes(&self) -> u64 {
        (self.peak.load(Ordering::Relaxed) * PAGE_SIZE) as u64
    }

    /// A limit in bytes; `None` for no limit.
    pub fn limit(&self, limit: Limit) -> Option<u64> {
        let frames = self.limits[limit as usize].load(Ordering::Relaxed);
        (frames != usize::MAX).then(|| (frames * PAGE_SIZE) as u64)
    }

    /// Sets a limit, rounded down to whole frames as Linux does; `None` for no limit. What is charged already stays.
    pub fn set_limit(&self, limit: Limit, bytes: Option<u64>) {
        self.limits[limit as usize].store(frames_of(bytes), Ordering::Relaxed);
    }

    /// Whether an out-of-memory kill takes the whole group (memory.oom.group).
    pub fn kills_whole(&self) -> bool {
        self.kills_whole.load(Ordering::Relaxed)
    }

    /// Sets [`Self::kills_whole`].
    pub fn set_kills_whole(&self, whole: bool) {
        self.kills_whole.store(whole, Ordering::Relaxed);
    }

    /// Whether more is charged than `memory.max` allows now: the limit was lowered.
    pub fn is_over_max(&self) -> bool {
        self.current.load(Ordering::Relaxed) > self.frames(Limit::Max)
    }

    /// Whether the caller is who sees to it that what the group has fits its limit: there is one at a time.
    pub fn begin_fitting(&self) -> bool {
        !self.fitting.swap(true, Ordering::AcqRel)
    }

    /// Nobody does any more.
    pub fn end_fitting(&self) {
        self.fitting.store(false, Ordering::Release);
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

    /// Counts an event, here and for those above.
    pub fn count(&self, event: Event) {
        self.events.count_here(event);
        self.to_root().for_each(|group| group.events.count(event));
    }

    /// How often an event has happened in this group or below.
    pub fn event(&self, event: Event) -> u64 {
        self.events.total(event)
    }

    /// How long a task that has charged this group is to wait before it goes on, because the group or one above it
    /// is over its `memory.high`; 0 if none is. Counts the event.
    ///
    /// As Linux's `calculate_high_delay`: the square of the overrun in parts of the limit, 2 s at most.
    pub fn penalty_ns(&self) -> u64 {
        const LONGEST_NS: u64 = 2_000_000_000;
        /// An overrun of the whole limit would cost this, were it not for the bound.
        const WHOLE_NS: u128 = 16_000_000_000;
        let mut penalty = 0;
        for group in self.to_root() {
            let (current, high) = (group.current.load(Ordering::Relaxed), group.frames(Limit::High));
            let Some(over) = current.checked_sub(high).filter(|over| *over > 0) else { continue };
            group.count(Event::High);
            let (over, high) = (over as u128, high.max(1) as u128);
            let delay = over.saturating_mul(over).saturating_mul(WHOLE_NS) / (high * high);
            penalty = penalty.max(u64::try_from(delay).unwrap_or(LONGEST_NS).min(LONGEST_NS));
        }
        penalty
    }

    fn frames(&self, limit: Limit) -> usize {
        self.limits[limit as usize].load(Ordering::Relaxed)
    }

    fn charged(
        &self,
        kind: Kind,
        give: impl FnOnce(Owner) -> Result<Frame, OutOfFrames>,
    ) -> Result<Frame, OutOfMemory> {
        self.charge(kind, reserve())?;
        give(self.owner(kind)).map_err(|OutOfFrames| {
            self.uncharge(kind, 1);
            OutOfMemory
        })
    }

    /// Who is charged for what this group has of a kind.
    pub fn owner(&self, kind: Kind) -> Owner {
        Owner(self.owner.0 | kind as u32)
    }

    /// One frame more for this group and all above; on a refusal nothing is charged. `reserve` frames are left free.
    pub(super) fn charge(&self, kind: Kind, reserve: usize) -> Result<(), OutOfMemory> {
        for group in self.to_root() {
            let max = group.frames(Limit::Max);
            let charged = group.current.try_update(Ordering::AcqRel, Ordering::Relaxed, |n| (n < max).then_some(n + 1));
            match charged {
                Ok(before) => {
                    group.kinds[kind as usize].fetch_add(1, Ordering::Relaxed);
                    group.peak.fetch_max(before + 1, Ordering::Relaxed);
                    if before >= group.frames(Limit::High) {
                        SLOWDOWN.get().store(true, Ordering::Relaxed);
                    }
                }
                Err(_) => {
                    let charged = self.to_root().take_while(|earlier| !core::ptr::eq(*earlier, group));
                    charged.for_each(|earlier| earlier.release(kind, 1));
                    group.count(Event::Max);
                    group.refused.store(true, Ordering::Release);
                    return Err(OutOfMemory);
                }
            }
        }
        // After the charge: either this sees that the group was closed, or the one who closes it sees the charge.
        if self.closed.load(Ordering::SeqCst) || mem::statistics().free <= reserve {
            self.uncharge(kind, 1);
            self.forget_if_empty();
            return Err(OutOfMemory);
        }
        Ok(())
    }

    pub(super) fn uncharge(&self, kind: Kind, frames: usize) {
        self.to_root().for_each(|group| group.release(kind, frames));
    }

    pub(super) fn to_root(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    fn release(&self, kind: Kind, frames: usize) {
        self.kinds[kind as usize].fetch_sub(frames, Ordering::Relaxed);
        self.current.fetch_sub(frames, Ordering::AcqRel);
    }
}

/// Page tables draw their own pages from the group too.
impl mem::FrameSource for MemoryGroup {
    fn zeroed_frame(&self) -> Result<Frame, OutOfFrames> {
        MemoryGroup::zeroed_frame(self, Kind::PageTable).map_err(|OutOfMemory| OutOfFrames)
    }
}

/// Groups that may own frames, by owner number less one. Each is on the books until closed and empty.
pub(super) static GROUPS: RwLock<Slab<Arc<MemoryGroup>>> = RwLock::new(Slab::new());
