//! A queue of signals that wait.

use super::{FIRST_QUEUED, SignalInfo, SignalSet};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::sync::SpinLock;

/// Signals that a queue holds with their causes: below what Linux allows by default, as they lie on the kernel's heap.
const QUEUED_MAX: usize = 128;

/// Signals that wait. An ordinary one waits once; of those that queue up, each waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Which wait: changed under the lock, looked at without.
    set: AtomicU64,
    causes: SpinLock<Vec<(Signal, SignalInfo)>>,
}

impl Pending {
    /// Which wait.
    pub fn set(&self) -> SignalSet {
        SignalSet(self.set.load(Ordering::Acquire))
    }

    /// Adds one. EAGAIN when a signal that a program has queued finds no place; others lose their cause then.
    pub fn add(&self, signal: Signal, info: SignalInfo) -> Result<(), Errno> {
        let queues_up = signal.number() >= FIRST_QUEUED;
        let mut causes = self.causes.lock();
        if !queues_up && self.set().contains(signal) {
            return Ok(());
        }
        if causes.len() < QUEUED_MAX {
            causes.push((signal, info));
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
        let mut own = causes.iter_mut().filter(|(other, _)| *other == signal);
        if let Some((_, info)) = own.find(|(_, info)| info.is_of_timer(id)) {
            info.overrun(more);
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
        let mut places = causes.iter().enumerate().filter(|(_, (waiting, _))| *waiting == signal);
        let (first, more) = (places.next().map(|(place, _)| place), places.next().is_some());
        drop(places);
        let info = first.map_or_else(SignalInfo::default, |place| causes.remove(place).1);
        if !more {
            self.set.fetch_and(!SignalSet::of(&[signal]).0, Ordering::AcqRel);
        }
        Some((signal, info))
    }

    /// Forgets those of `signals`.
    pub fn remove(&self, signals: SignalSet) {
        if self.set().0 & signals.0 == 0 {
            return;
        }
        let mut causes = self.causes.lock();
        causes.retain(|(waiting, _)| !signals.contains(*waiting));
        self.set.fetch_and(!signals.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(number: u32) -> Signal {
        Signal::new(number).expect("a signal")
    }

    #[test]
    fn ordinary_signals_wait_once_and_others_in_their_order() {
        let pending = Pending::default();
        let queued = |n: u64| SignalInfo { code: -1, fields: [n, 0, 0, 0], ..SignalInfo::default() };
        for (number, n) in [(40, 1), (15, 2), (15, 3), (40, 4), (34, 5)] {
            assert_eq!(pending.add(signal(number), queued(n)), Ok(()));
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
        let queued = SignalInfo { code: -1, ..SignalInfo::default() };
        (0..QUEUED_MAX).for_each(|_| assert_eq!(pending.add(signal(50), queued), Ok(())));
        assert_eq!(pending.add(signal(50), queued), Err(Errno::EAGAIN));
        assert_eq!(pending.add(signal(15), SignalInfo::kernel()), Ok(()));
        assert_eq!(pending.take_of(SignalSet::of(&[signal(15)])), Some((signal(15), SignalInfo::default())));
        pending.remove(SignalSet::of(&[signal(50)]));
        assert_eq!(pending.take_of(SignalSet(u64::MAX)), None);
    }
}
