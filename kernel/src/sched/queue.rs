//! A CPU's queue of runnable tasks, fairest first: the task that has had the least weighted CPU time runs next.

use super::executor::Task;
use alloc::{collections::BinaryHeap, sync::Arc};
use core::cmp::{Ordering, Reverse};

/// How far behind the queue a task that has slept may start: it runs soon, but cannot save up time.
const SLEEPER_BONUS_NS: u64 = 3_000_000;

/// The runnable tasks of one CPU.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    /// Virtual time of the task that was taken last; never goes back.
    virtual_now: u64,
    arrivals: u64,
}

struct Entry {
    virtual_time: u64,
    /// Breaks ties: first come, first served.
    arrival: u64,
    task: Arc<Task>,
}

impl Queue {
    /// Adds a task whose virtual time is `virtual_time` on this queue's scale; gives back the time that it
    /// was entered with.
    pub(super) fn push(&mut self, task: Arc<Task>, virtual_time: u64) -> u64 {
        let virtual_time = virtual_time.max(self.virtual_now.saturating_sub(SLEEPER_BONUS_NS));
        self.arrivals += 1;
        self.heap.push(Reverse(Entry { virtual_time, arrival: self.arrivals, task }));
        virtual_time
    }

    /// Takes the task that is to run next, with its virtual time.
    pub(super) fn pop(&mut self) -> Option<(Arc<Task>, u64)> {
        let Reverse(entry) = self.heap.pop()?;
        self.virtual_now = self.virtual_now.max(entry.virtual_time);
        Some((entry.task, entry.virtual_time))
    }

    /// Takes a task for another CPU, with how far it is ahead of this queue.
    pub(super) fn steal(&mut self) -> Option<(Arc<Task>, u64)> {
        let Reverse(entry) = self.heap.pop()?;
        Some((entry.task, entry.virtual_time.saturating_sub(self.virtual_now)))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn virtual_now(&self) -> u64 {
        self.virtual_now
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.virtual_time, self.arrival).cmp(&(other.virtual_time, other.arrival))
    }
}
