//! What is counted of a process, beside its time on the CPUs: for /proc.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use veridian_hal::{clock, cpu};

/// Counts of one process.
#[derive(Debug)]
pub struct Usage {
    started_ns: u64,
    faults: AtomicU64,
    /// Those of its children that were waited for, and of theirs.
    children_faults: AtomicU64,
    voluntary_switches: AtomicU64,
    involuntary_switches: AtomicU64,
    waits: AtomicBool,
    cpu: AtomicUsize,
}

impl Usage {
    /// Of a process that is made now.
    pub(super) fn new() -> Self {
        Self {
            started_ns: clock::now_ns(),
            faults: AtomicU64::new(0),
            children_faults: AtomicU64::new(0),
            voluntary_switches: AtomicU64::new(0),
            involuntary_switches: AtomicU64::new(0),
            waits: AtomicBool::new(false),
            cpu: AtomicUsize::new(cpu::id()),
        }
    }

    /// When it was made, in nanoseconds since the machine's start.
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// Page faults that were served without input or output: all are.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// As [`Self::faults`], of its children that were waited for, and of theirs.
    pub fn children_faults(&self) -> u64 {
        self.children_faults.load(Ordering::Relaxed)
    }

    /// How often it gave the CPU up to wait, and how often because its slice was over.
    pub fn switches(&self) -> (u64, u64) {
        (self.voluntary_switches.load(Ordering::Relaxed), self.involuntary_switches.load(Ordering::Relaxed))
    }

    /// Whether it waits in a system call.
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The CPU whose user mode ran it last.
    pub fn cpu(&self) -> usize {
        self.cpu.load(Ordering::Relaxed)
    }

    /// The thread goes on on this CPU.
    pub(super) fn run_here(&self) {
        self.cpu.store(cpu::id(), Ordering::Relaxed);
    }

    pub(super) fn begin_wait(&self) {
        self.waits.store(true, Ordering::Relaxed);
        self.voluntary_switches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_wait(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    pub(super) fn count_slice(&self) {
        self.involuntary_switches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread of the same process with these counts has ended.
    pub(super) fn take_over(&self, thread: &Self) {
        let (voluntary, involuntary) = thread.switches();
        self.faults.fetch_add(thread.faults(), Ordering::Relaxed);
        self.voluntary_switches.fetch_add(voluntary, Ordering::Relaxed);
        self.involuntary_switches.fetch_add(involuntary, Ordering::Relaxed);
    }

    /// A child with these counts has been waited for.
    pub(super) fn absorb(&self, child: &Self) {
        self.children_faults.fetch_add(child.faults() + child.children_faults(), Ordering::Relaxed);
    }
}
