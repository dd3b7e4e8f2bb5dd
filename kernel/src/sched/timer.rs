//! Sleeping until a time. Each CPU has a list of sleepers, ordered by time; its timer is set to the first.

use alloc::collections::BTreeMap;
use core::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};
use veridian_hal::{
    clock, cpu,
    sync::{Once, PerCpu, SpinLock},
};

/// Sleepers by (time, ticket): the ticket tells apart those who sleep until the same nanosecond.
type Sleepers = BTreeMap<(u64, u64), Waker>;

static SLEEPERS: Once<PerCpu<SpinLock<Sleepers>>> = Once::new();
static TICKETS: AtomicU64 = AtomicU64::new(0);

fn sleepers() -> &'static PerCpu<SpinLock<Sleepers>> {
    SLEEPERS.call_once(|| PerCpu::new(|_| SpinLock::new(Sleepers::new())))
}

/// Ready once `clock::now_ns()` has reached `deadline_ns`.
pub fn sleep_until(deadline_ns: u64) -> Sleep {
    Sleep { deadline_ns, ticket: TICKETS.fetch_add(1, Ordering::Relaxed), cpu: None }
}

/// See [`sleep_until`].
#[derive(Debug)]
pub struct Sleep {
    deadline_ns: u64,
    ticket: u64,
    /// The CPU on whose list this stands.
    cpu: Option<usize>,
}

impl Sleep {
    fn leave_list(&mut self) {
        if let Some(cpu) = self.cpu.take() {
            let waker = sleepers().of(cpu).lock().remove(&(self.deadline_ns, self.ticket));
            drop(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.leave_list();
        if clock::now_ns() >= self.deadline_ns {
            return Poll::Ready(());
        }
        let cpu = cpu::id();
        let key = (self.deadline_ns, self.ticket);
        let old = sleepers().of(cpu).lock().insert(key, context.waker().clone());
        drop(old);
        self.cpu = Some(cpu);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave_list();
    }
}

/// Wakes this CPU's sleepers whose time has come.
pub(super) fn wake_due(now_ns: u64) {
    loop {
        let mut list = sleepers().get().lock();
        let due = list.first_key_value().is_some_and(|((deadline, _), _)| *deadline <= now_ns);
        let waker = if due { list.pop_first() } else { None };
        drop(list);
        match waker {
            Some((_, waker)) => waker.wake(),
            None => return,
        }
    }
}

/// When this CPU's first sleeper is due; `u64::MAX` when there is none.
pub(super) fn next_deadline() -> u64 {
    sleepers().get().lock().first_key_value().map_or(u64::MAX, |((deadline, _), _)| *deadline)
}
