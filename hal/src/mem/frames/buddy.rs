//! Free frames: runs of powers of two, in which neighbours that are both free are merged, and a stack of single frames that
//! are given out again before any run is split: most that is taken is one frame, and goes back soon.
//!
//! The links of the lists lie in the free frames themselves.

use super::{FREE, TABLE, metadata};
use crate::{PAGE_SIZE, PhysAddr, arch};
use core::sync::atomic::Ordering;

/// Largest run is 2^MAX_ORDER frames (4 MiB).
pub const MAX_ORDER: usize = 10;
/// As the owner of a frame, marks the head of a free run; the order is added.
pub const FREE_HEAD: u32 = 0xffff_ff00;
/// Single frames that are not merged: a small process has fewer.
const SINGLES: usize = 64;
/// End of a free list.
const NIL: usize = usize::MAX;

/// Free frames.
pub struct Buddy {
    /// Runs by order: each list is headed by a frame number.
    lists: [usize; MAX_ORDER + 1],
    /// No run's, and nobody's: what came back last is on top.
    singles: heapless::Vec<usize, SINGLES>,
}

/// The links of a free run, kept in its first bytes.
#[repr(C)]
struct Links {
    next: usize,
    previous: usize,
}

impl Buddy {
    pub const fn new() -> Self {
        Self { lists: [NIL; MAX_ORDER + 1], singles: heapless::Vec::new() }
    }

    /// The first frame of a run of 2^`order`, aligned to its size.
    pub fn take(&mut self, order: usize) -> Option<usize> {
        let single = if order == 0 { self.singles.pop() } else { None };
        let taken = single.or_else(|| self.split(order)).or_else(|| {
            // What is missing may lie among the single frames.
            while let Some(frame_number) = self.singles.pop() {
                self.merge(frame_number, 0);
            }
            self.split(order)
        })?;
        FREE.fetch_sub(1 << order, Ordering::Relaxed);
        Some(taken)
    }

    /// Takes back a run that has no handle any more.
    pub fn give(&mut self, frame_number: usize, order: usize) {
        FREE.fetch_add(1 << order, Ordering::Relaxed);
        if order == 0 && self.singles.push(frame_number).is_ok() {
            return;
        }
        self.merge(frame_number, order);
    }

    fn split(&mut self, order: usize) -> Option<usize> {
        let mut have = (order..=MAX_ORDER).find(|&o| self.lists[o] != NIL)?;
        let frame_number = self.lists[have];
        self.remove(frame_number, have);
        while have > order {
            have -= 1;
            self.push(frame_number + (1 << have), have);
        }
        Some(frame_number)
    }

    fn merge(&mut self, mut frame_number: usize, mut order: usize) {
        let table = TABLE.get().expect("frames are freed before mem::init");
        while order < MAX_ORDER {
            let buddy = frame_number ^ (1 << order);
            let Some(entry) = buddy.checked_sub(table.first).and_then(|i| table.metadata.get(i)) else { break };
            if entry.handles.load(Ordering::Relaxed) != 0
                || entry.owner.load(Ordering::Relaxed) != FREE_HEAD + order as u32
            {
                break;
            }
            self.remove(buddy, order);
            frame_number &= !(1 << order);
            order += 1;
        }
        self.push(frame_number, order);
    }

    fn links(frame_number: usize) -> *mut Links {
        arch::phys_to_virt(PhysAddr(frame_number * PAGE_SIZE)).cast()
    }

    fn push(&mut self, frame_number: usize, order: usize) {
        let next = self.lists[order];
        // SAFETY: the run is free and ours, so nobody else reads or writes its first bytes; likewise `next`.
        unsafe {
            Self::links(frame_number).write(Links { next, previous: NIL });
            if next != NIL {
                (*Self::links(next)).previous = frame_number;
            }
        }
        metadata(frame_number).owner.store(FREE_HEAD + order as u32, Ordering::Relaxed);
        self.lists[order] = frame_number;
    }

    fn remove(&mut self, frame_number: usize, order: usize) {
        // SAFETY: the run is on the list of `order`, so its links and its neighbours' are valid.
        unsafe {
            let Links { next, previous } = Self::links(frame_number).read();
            if next != NIL {
                (*Self::links(next)).previous = previous;
            }
            if previous == NIL {
                self.lists[order] = next;
            } else {
                (*Self::links(previous)).next = next;
            }
        }
        metadata(frame_number).owner.store(0, Ordering::Relaxed);
    }
}
