//! A file system instance: its identity, its limits, and what its objects cost.
//! Names and inodes live on the kernel heap: see [`ObjectPool`].

use super::mount::{Gate, SuperFlags};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge, ObjectPool},
    namespace::UserNamespace,
};
use alloc::{string::String, sync::Arc};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// A file system instance.
#[derive(Debug)]
pub struct Superblock {
    /// st_dev: major 0, and a minor number of its own.
    device: u64,
    kind: &'static str,
    magic: u64,
    owner: Arc<UserNamespace>,
    /// Whether nothing in it can ever be changed.
    only_read: bool,
    /// [`SuperFlags`], and who changes something through any of the mounts.
    pub(super) gate: Gate,
    /// The options that it was mounted with, as text.
    options: SpinLock<String>,
    pages: AtomicUsize,
    pages_max: AtomicUsize,
    inodes: AtomicUsize,
    inodes_max: AtomicUsize,
    next_inode: AtomicU64,
    objects: Arc<ObjectPool>,
    /// Held over every change of names.
    pub(super) structure: SpinLock<()>,
}

/// What statfs(2) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The file system's type as a number.
    pub magic: u64,
    /// Pages of data that fit; 0 when there is no limit of its own.
    pub pages_max: u64,
    /// Pages that are free under that limit.
    pub pages_free: u64,
    /// Inodes that fit; 0 when there is no limit of its own.
    pub inodes_max: u64,
    /// Inodes that are free under that limit.
    pub inodes_free: u64,
    /// The instance.
    pub device: u64,
    /// Its flags.
    pub flags: SuperFlags,
}

static NEXT_DEVICE: AtomicU32 = AtomicU32::new(1);

impl Superblock {
    /// An instance with at most `pages_max` pages of data and `inodes_max` inodes.
    pub(super) fn new(kind: &'static str, magic: u64, pages_max: Option<usize>, inodes_max: Option<usize>) -> Self {
        Self {
            device: super::inode::DeviceNumber::new(0, NEXT_DEVICE.fetch_add(1, Ordering::Relaxed)).to_bits(),
            kind,
            magic,
            owner: UserNamespace::first().clone(),
            only_read: false,
            gate: Gate::new(0),
            options: SpinLock::default(),
            pages: AtomicUsize::new(0),
            pages_max: AtomicUsize::new(pages_max.unwrap_or(usize::MAX)),
            inodes: AtomicUsize::new(0),
            inodes_max: AtomicUsize::new(inodes_max.unwrap_or(usize::MAX)),
            next_inode: AtomicU64::new(1),
            objects: Arc::default(),
            structure: SpinLock::new(()),
        }
    }

    /// The same for a user namespace other than the first: who mounts a file system without rights over the machine
    /// puts devices and set-ids into it that mean nothing outside.
    pub(super) fn owned_by(self, owner: &Arc<UserNamespace>) -> Self {
        Self { owner: owner.clone(), ..self }
    }

    /// The same, which can never be changed.
    pub(super) fn only_read(self) -> Self {
        Self { only_read: true, gate: Gate::new(SuperFlags::RDONLY.bits()), ..self }
    }

    /// The user namespace that it was mounted in: the ids in it are that namespace's.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// st_dev.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The type's name: `tmpfs`, `dev`, `pipefs`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its flags.
    pub fn flags(&self) -> SuperFlags {
        SuperFlags::from_bits_truncate(self.gate.flags())
    }

    /// Whether nothing in it can be changed, through whatever mount.
    pub fn is_read_only(&self) -> bool {
        self.flags().contains(SuperFlags::RDONLY)
    }

    /// Sets the flags: EBUSY if that makes it read-only and someone is writing, EROFS if it cannot be anything else.
    pub(super) fn set_flags(&self, flags: SuperFlags) -> Result<(), Errno> {
        if self.only_read && !flags.contains(SuperFlags::RDONLY) {
            return Err(Errno::EROFS);
        }
        self.gate.set_flags(flags.bits())
    }

    /// Sets flags besides those that it has.
    pub(super) fn add_flags(&self, flags: SuperFlags) -> Result<(), Errno> {
        self.set_flags(self.flags() | flags)
    }

    /// The options that it was mounted with, as /proc tells them.
    pub fn options(&self) -> String {
        self.options.lock().clone()
    }

    pub(super) fn set_options(&self, options: String) {
        let old = core::mem::replace(&mut *self.options.lock(), options);
        drop(old);
    }

    /// New limits for pages and inodes, where given; 0 is none. EINVAL for one below what is in use, or where there was
    /// none (Linux's tmpfs refuses that too).
    pub(super) fn set_limits(&self, pages: Option<usize>, inodes: Option<usize>) -> Result<(), Errno> {
        let limits = [(&self.pages_max, &self.pages, pages), (&self.inodes_max, &self.inodes, inodes)];
        let fits = |(max, used, new): &(&AtomicUsize, &AtomicUsize, Option<usize>)| match new {
            None | Some(0) => true,
            Some(new) => max.load(Ordering::Relaxed) != usize::MAX && used.load(Ordering::Relaxed) <= *new,
        };
        if !limits.iter().all(fits) {
            return Err(Errno::EINVAL);
        }
        for (max, _, new) in limits {
            if let Some(new) = new {
                max.store(if new == 0 { usize::MAX } else { new }, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// What statfs(2) tells.
    pub fn statistics(&self) -> Statistics {
        let limit = |max: &AtomicUsize, used: &AtomicUsize| match max.load(Ordering::Relaxed) {
            usize::MAX => (0, 0),
            max => (max as u64, max.saturating_sub(used.load(Ordering::Relaxed)) as u64),
        };
        let (pages_max, pages_free) = limit(&self.pages_max, &self.pages);
        let (inodes_max, inodes_free) = limit(&self.inodes_max, &self.inodes);
        Statistics {
            magic: self.magic,
            pages_max,
            pages_free,
            inodes_max,
            inodes_free,
            device: self.device,
            flags: self.flags(),
        }
    }

    /// A page more of data: ENOSPC at the limit. The page's frame is charged apart.
    pub(super) fn reserve_page(&self) -> Result<(), Errno> {
        let more = |n| (n < self.pages_max.load(Ordering::Relaxed)).then_some(n + 1);
        self.pages.try_update(Ordering::Relaxed, Ordering::Relaxed, more).map(drop).map_err(|_| Errno::ENOSPC)
    }

    pub(super) fn release_pages(&self, count: usize) {
        self.pages.fetch_sub(count, Ordering::Relaxed);
    }

    /// The number of a new inode: ENOSPC at the limit.
    pub(super) fn reserve_inode(&self) -> Result<u64, Errno> {
        let more = |n| (n < self.inodes_max.load(Ordering::Relaxed)).then_some(n + 1);
        self.inodes.try_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Errno::ENOSPC)?;
        Ok(self.next_inode.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn release_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }

    /// Pays for an object of `bytes` on the kernel heap: ENOMEM when `memory` has no frame for it.
    pub(super) fn charge_object(&self, bytes: usize, memory: &MemoryGroup) -> Result<ObjectCharge, Errno> {
        self.objects.charge(bytes, memory)
    }
}
