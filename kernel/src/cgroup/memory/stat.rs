//! What is counted: memory by kind, and events.

use super::{Limit, MemoryGroup};
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_hal::PAGE_SIZE;

/// What memory is used for (the rows of `memory.stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Private memory of programs.
    Anon,
    /// Pages of files in memory, and memory that programs share.
    Shmem,
    /// Page tables.
    PageTable,
    /// Buffers of sockets.
    Sock,
    /// All else that the kernel keeps for programs: pipes, tables, names.
    Kernel,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Anon, Self::Shmem, Self::PageTable, Self::Sock, Self::Kernel];
}

/// What can happen to a group (the rows of `memory.events`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A task was slowed down for `memory.high`.
    High,
    /// A charge was refused for `memory.max`.
    Max,
    /// The group was out of memory: somebody could not go on without the charge.
    Oom,
    /// A task was killed for it.
    OomKill,
    /// All tasks were killed for it.
    OomGroupKill,
}

impl Event {
    const COUNT: usize = 5;
}

/// How often each event has happened, here and below.
#[derive(Debug, Default)]
pub(super) struct Events {
    total: [AtomicU64; Event::COUNT],
    here: [AtomicU64; Event::COUNT],
}

impl Events {
    pub fn count(&self, event: Event) {
        self.total[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_here(&self, event: Event) {
        self.here[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn total(&self, event: Event) -> u64 {
        self.total[event as usize].load(Ordering::Relaxed)
    }

    pub fn here(&self, event: Event) -> u64 {
        self.here[event as usize].load(Ordering::Relaxed)
    }
}

/// The numbers of a group at one time. In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryStat {
    /// Charged now.
    pub current: u64,
    /// The most that was charged at once.
    pub peak: u64,
    /// `memory.max`; `None` for no limit, here and below.
    pub max: Option<u64>,
    /// `memory.high`.
    pub high: Option<u64>,
    /// `memory.low`.
    pub low: Option<u64>,
    /// `memory.swap.max`. Nothing is ever swapped.
    pub swap_max: Option<u64>,
    /// Private memory of programs.
    pub anon: u64,
    /// Files in memory and shared memory.
    pub shmem: u64,
    /// Page tables.
    pub page_tables: u64,
    /// Buffers of sockets.
    pub sock: u64,
    /// All memory of the kernel's own, page tables included.
    pub kernel: u64,
    /// Events of the group and those below: high, max, oom, oom_kill, oom_group_kill.
    pub events: [u64; Event::COUNT],
}

impl MemoryGroup {
    /// The numbers now.
    pub fn stat(&self) -> MemoryStat {
        let of = |kind: Kind| (self.kinds[kind as usize].load(Ordering::Relaxed) * PAGE_SIZE) as u64;
        let page_tables = of(Kind::PageTable);
        MemoryStat {
            current: self.current_bytes(),
            peak: self.peak_bytes(),
            max: self.limit(Limit::Max),
            high: self.limit(Limit::High),
            low: self.limit(Limit::Low),
            swap_max: self.limit(Limit::SwapMax),
            anon: of(Kind::Anon),
            shmem: of(Kind::Shmem),
            page_tables,
            sock: of(Kind::Sock),
            kernel: of(Kind::Kernel) + page_tables,
            events: self.events_below(),
        }
    }

    /// Events of the group and those below (memory.events).
    pub fn events_below(&self) -> [u64; Event::COUNT] {
        [Event::High, Event::Max, Event::Oom, Event::OomKill, Event::OomGroupKill].map(|event| self.events.total(event))
    }

    /// Events of the group itself (memory.events.local).
    pub fn events_here(&self) -> [u64; Event::COUNT] {
        [Event::High, Event::Max, Event::Oom, Event::OomKill, Event::OomGroupKill].map(|event| self.events.here(event))
    }
}
