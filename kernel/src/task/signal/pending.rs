//! A queue of signals that wait.

use super::{FIRST_QUEUED, SignalInfo, SignalSet};
use crate::{
    cgroup::{MemoryGroup, memory::KernelCharge},
    security::UserSignal,
};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::sync::SpinLock;

/// Signals that a queue holds without being charged to anybody.
const FREE: usize = 64;

/// Signals that wait. An ordinary one waits once; of those that queue up, each waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Which wait: changed under the lock, looked at without.
    set: AtomicU64,
    causes: SpinLock<Causes>,
}

#[derive(Debug, Default)]
struct Causes {
    waiting: Vec<Cause>,
    /// What those beyond [`FREE`] are paid with.
    books: Option<KernelCharge>,
}

#[derive(Debug)]
struct Cause {
    signal: Signal,
    info: SignalInfo,
    _counted: Option<UserSignal>,
}

/// For whom a signal waits.
pub(super) struct Account<'a> {
    /// The user of the process.
    pub user: u32,
    /// The most signals that may wait for the user's processes.
    pub limit: u64,
    /// Who pays for many.
    pub memory: &'a dyn Fn() -> Arc<MemoryGroup>,
}

impl Causes {
    /// Makes room for one more.
    fn reserve(&mut self, memory: &dyn Fn() -> Arc<MemoryGroup>) -> Result<(), Errno> {
        let more = self.waiting.len() + 1;
        if more > FREE {
            self.books.get_or_insert_with(|| memory().kernel_charge()).resize(more * size_of::<Cause>())?;
        }
        Ok(())
    }

    /// What is not needed any more, to be given back without the lock.
    fn rest(&mut self) -> Option<KernelCharge> {
        self.books.take_if(|_| self.waiting.len() <= FREE)
    }
}

impl Pending {
    /// Which wait.
    pub fn set(&self) -> SignalSet {
        SignalSet(self.set.load(Ordering::Acquire))
    }

    /// Adds one. EAGAIN when a signal that a program has queued finds no place; others lose their cause then.
    pub fn add(&self, signal: Signal, info: SignalInfo, account: &Account<'_>) -> Result<(), Errno> {
        let queues_up = signal.number() >= FIRST_QUEUED;
        let mut causes = self.causes.lock();
        if !queues_up && self.set().contains(signal) {
            return Ok(());
        }
        let counted = UserSignal::new(account.user, account.limit);
        // What the kernel tells is told whatever the limit.
        let fits = counted.is_ok() || !queues_up && info.code >= 0;
        if fits && causes.reserve(account.memory).is_ok() {
            causes.waiting.push(Cause { signal, info, _counted: counted.ok() });
        } else if queues_up && info.code < 0 {
            return Err(Errno::EAGAIN);
        }
        self.set.fetch_or(SignalSet::of(&[signal]).0, Ordering::AcqRel);
        Ok(())
    }

    /// Whether `signal` waits for the timer `id`, or is one that waits once and has another cause. The timer's own is told
    /// of `more` times that it ran out.
    pub fn overrun(&self, signal: Signal, id: u32, more: u32) -> bool {
        if !self.set().contains(signal) {
            return false;
        }
        let mut causes = self.causes.lock();
        let mut own = causes.waiting.iter_mut().filter(|cause| cause.signal == signal);
        if let Some(cause) = own.find(|cause| cause.info.is_of_timer(id)) {
            cause.info.overrun(more);
            return true;
        }
        signal.number() < FIRST_QUEUED
    }

    /// Takes the lowest of `wanted`, the first that came.
    pub fn take_of(&self, wanted: SignalSet) -> Option<(Signal, SignalInfo)> {
        if self.set().0 & wanted.0 == 0 {
            return None;
        }
        let mut causes = self.causes.lock();
        let signal = Signal::new((self.set().0 & wanted.0).trailing_zeros() + 1)?;
        let mut places = causes.waiting.iter().enumerate().filter(|(_, cause)| cause.signal == signal);
        let (first, more) = (places.next().map(|(place, _)| place), places.next().is_some());
        drop(places);
        let info = first.map_or_else(SignalInfo::default, |place| causes.waiting.remove(place).info);
        if !more {
            self.set.fetch_and(!SignalSet::of(&[signal]).0, Ordering::AcqRel);
        }
        let rest = causes.rest();
        drop(causes);
        drop(rest);
        Some((signal, info))
    }

    /// Forgets those of `signals`.
    pub fn remove(&self, signals: SignalSet) {
        if self.set().0 & signals.0 == 0 {
            return;
        }
        let mut causes = self.causes.lock();
        causes.waiting.retain(|cause| !signals.contains(cause.signal));
        self.set.fetch_and(!signals.0, Ordering::AcqRel);
        let rest = causes.rest();
        drop(causes);
        drop(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(number: u32) -> Signal {
        Signal::new(number).expect("a signal")
    }

    /// Of a user whose signals are counted for this test alone.
    fn account(user: u32, limit: u64) -> Account<'static> {
        Account { user, limit, memory: &|| unreachable!("few signals cost nothing") }
    }

    #[test]
    fn ordinary_signals_wait_once_and_others_in_their_order() {
        let pending = Pending::default();
        let queued = |n: u64| SignalInfo { code: -1, fields: [n, 0, 0, 0], ..SignalInfo::default() };
        for (number, n) in [(40, 1), (15, 2), (15, 3), (40, 4), (34, 5)] {
            assert_eq!(pending.add(signal(number), queued(n), &account(4_000_000_002, 64)), Ok(()));
        }
        let all = SignalSet(u64::MAX);
        let order: Vec<_> =
            core::iter::from_fn(|| pending.take_of(all)).map(|(s, i)| (s.number(), i.fields[0])).collect();
        assert_eq!(order, [(15, 2), (34, 5), (40, 1), (40, 4)]);
        assert_eq!(pending.set(), SignalSet(0));
    }

    #[test]
    fn a_full_queue_refuses_what_programs_queue_and_keeps_what_the_kernel_sends() {
        let pending = Pending::default();
        let (queued, kernel) = (SignalInfo { code: -1, ..SignalInfo::default() }, SignalInfo::kernel());
        let account = account(4_000_000_003, 3);
        (0..3).for_each(|_| assert_eq!(pending.add(signal(50), queued, &account), Ok(())));
        assert_eq!(pending.add(signal(50), queued, &account), Err(Errno::EAGAIN));
        assert_eq!(pending.add(signal(15), kernel, &account), Ok(()));
        assert_eq!(pending.add(signal(16), queued, &account), Ok(()));
        assert_eq!(UserSignal::count(account.user), 3);
        assert_eq!(pending.take_of(SignalSet::of(&[signal(15)])), Some((signal(15), kernel)));
        assert_eq!(pending.take_of(SignalSet::of(&[signal(16)])), Some((signal(16), SignalInfo::default())));
        pending.remove(SignalSet::of(&[signal(50)]));
        assert_eq!((pending.take_of(SignalSet(u64::MAX)), UserSignal::count(account.user)), (None, 0));
    }
}
