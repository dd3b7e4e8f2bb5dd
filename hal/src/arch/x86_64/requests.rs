//! What one CPU asks of others: forget translations, write back a thread's registers. Each CPU has one
//! request of its own, which it fills, shows to its targets, and waits for. A target answers from the
//! interrupt, while it spins ([`crate::cpu::relax`]), and before it sleeps; a CPU that waits answers too, so
//! two CPUs that ask each other do not wait for ever.

use super::{
    apic, extended_state,
    instructions::{invlpg, read_cr3, write_cr3},
    local::{CPUS, Cpu},
};
use crate::{PAGE_SIZE, cpu::MAX_CPUS};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    /// Forget the translations of `count` user pages from `first` on.
    FlushPages { first: usize, count: usize },
    /// Write the state at this address to memory and let go of it.
    ReleaseState(usize),
}

struct Request {
    kind: AtomicU32,
    first: AtomicUsize,
    count: AtomicUsize,
    /// CPUs that have not answered yet.
    waiting_for: AtomicU32,
}

const FLUSH_PAGES: u32 = 0;
const RELEASE_STATE: u32 = 1;

/// The request that each CPU makes, by the number of the one that asks.
static REQUESTS: [Request; MAX_CPUS] = [const {
    Request {
        kind: AtomicU32::new(0),
        first: AtomicUsize::new(0),
        count: AtomicUsize::new(0),
        waiting_for: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// Asks the CPUs of the mask `targets` (not this one), and returns when all have done it.
pub(super) fn send(cpu: &Cpu, targets: u32, operation: Operation) {
    let request = &REQUESTS[cpu.id()];
    let (kind, first, count) = match operation {
        Operation::FlushPages { first, count } => (FLUSH_PAGES, first, count),
        Operation::ReleaseState(state) => (RELEASE_STATE, state, 0),
    };
    request.kind.store(kind, Ordering::Relaxed);
    request.first.store(first, Ordering::Relaxed);
    request.count.store(count, Ordering::Relaxed);
    request.waiting_for.store(targets, Ordering::Release);
    for target in (0..MAX_CPUS).filter(|&t| targets & 1 << t != 0) {
        CPUS[target].inbox.fetch_or(cpu.bit(), Ordering::SeqCst);
        apic::send(target, apic::REQUEST_VECTOR);
    }
    while request.waiting_for.load(Ordering::Acquire) != 0 {
        answer(cpu);
        core::hint::spin_loop();
    }
}

/// Does what other CPUs have asked of this one.
#[inline]
pub(super) fn answer(cpu: &Cpu) {
    if cpu.inbox.load(Ordering::Relaxed) != 0 {
        answer_slowly(cpu);
    }
}

#[cold]
fn answer_slowly(cpu: &Cpu) {
    let from = cpu.inbox.swap(0, Ordering::SeqCst);
    for asker in (0..MAX_CPUS).filter(|&a| from & 1 << a != 0) {
        let request = &REQUESTS[asker];
        let first = request.first.load(Ordering::Relaxed);
        match request.kind.load(Ordering::Relaxed) {
            FLUSH_PAGES => flush_here(first, request.count.load(Ordering::Relaxed)),
            _ => extended_state::release_if(cpu, first),
        }
        request.waiting_for.fetch_and(!cpu.bit(), Ordering::Release);
    }
}

/// More pages than this are forgotten all at once.
const FLUSH_ALL_ABOVE: usize = 32;

/// Forgets this CPU's translations of user pages.
pub(super) fn flush_here(first: usize, count: usize) {
    fence(Ordering::SeqCst);
    if count > FLUSH_ALL_ABOVE {
        // SAFETY: the same table again; this forgets everything but the kernel's global pages.
        unsafe { write_cr3(read_cr3()) };
        return;
    }
    for page in 0..count {
        invlpg(first + page * PAGE_SIZE);
    }
}
