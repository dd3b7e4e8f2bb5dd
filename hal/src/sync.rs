//! Locks and per-CPU data.
//!
//! Kernel code runs with interrupts off, so a lock is a plain spin lock. While it spins a CPU still answers
//! the other CPUs' TLB shootdowns ([`crate::cpu::relax`]): a lock's holder may therefore wait for every CPU.

use crate::cpu::{self, MAX_CPUS};
use core::sync::atomic::AtomicBool;

/// What a waiting CPU does between two looks at a lock.
pub struct AnswerShootdowns;

impl spin::RelaxStrategy for AnswerShootdowns {
    #[inline]
    fn relax() {
        cpu::relax();
    }
}

/// A mutual-exclusion lock. Hold it briefly and never across an `.await`.
pub type SpinLock<T> = spin::mutex::SpinMutex<T, AnswerShootdowns>;
/// The guard of a [`SpinLock`]. It is not `Send`-safe to keep over an await by convention: see `kernel`'s lints.
pub type SpinLockGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T, AnswerShootdowns>;
/// A readers-writer lock.
pub type RwLock<T> = spin::rwlock::RwLock<T, AnswerShootdowns>;
/// A cell written once.
pub type Once<T> = spin::once::Once<T, AnswerShootdowns>;

/// One `T` for each CPU, each on its own cache lines.
pub struct PerCpu<T>([Line<T>; MAX_CPUS]);

#[repr(align(128))]
struct Line<T>(T);

/// What a CPU's value is before anybody has changed it.
pub trait Initial {
    /// The value.
    const INITIAL: Self;
}

impl Initial for AtomicBool {
    const INITIAL: Self = Self::new(false);
}

impl<T: Initial> PerCpu<T> {
    /// Values that are there from the beginning: a static of them takes no look at whether it is set up.
    pub const fn initial() -> Self {
        Self([const { Line(T::INITIAL) }; MAX_CPUS])
    }
}

impl<T> PerCpu<T> {
    /// Builds each CPU's value; `make` is given the CPU's number.
    pub fn new(mut make: impl FnMut(usize) -> T) -> Self {
        Self(core::array::from_fn(|cpu| Line(make(cpu))))
    }

    /// The value of the CPU that runs this code.
    #[inline]
    pub fn get(&self) -> &T {
        self.of(cpu::id())
    }

    /// The value of CPU `cpu` (below [`MAX_CPUS`]).
    #[inline]
    pub fn of(&self, cpu: usize) -> &T {
        &self.0[cpu].0
    }

    /// All values in the order of CPU numbers.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }
}
