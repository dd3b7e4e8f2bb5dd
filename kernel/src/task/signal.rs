//! Signals, as far as they have an effect without handlers: a signal ends, stops or continues a process, or is
//! ignored (signal(7)).

use super::{Thread, run};
use crate::{boot, sched::WaitQueue};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use veridian_containers::{Signal, abi::Errno};

/// A set of signals: bit n-1 stands for signal n, as in the kernel's `sigset_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// SIGKILL and SIGSTOP, which can be neither blocked nor ignored.
    pub const UNSTOPPABLE: Self = Self(bit(SIGKILL) | bit(SIGSTOP));

    /// Without `other`'s signals.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `signal` is in it.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & bit(signal.number()) != 0
    }
}

const fn bit(number: u32) -> u64 {
    1 << (number - 1)
}

const SIGKILL: u32 = 9;
const SIGCHLD: u32 = 17;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;
const SIGTSTP: u32 = 20;
const SIGTTIN: u32 = 21;
const SIGTTOU: u32 = 22;
const SIGURG: u32 = 23;
const SIGWINCH: u32 = 28;

const STOPS: SignalSet = SignalSet(bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU));
const IGNORED_BY_DEFAULT: SignalSet = SignalSet(bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH));

/// What a signal does to a process that has no handler for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends it.
    Terminate(Signal),
    /// Stops it until SIGCONT.
    Stop(Signal),
}

/// The signals of one process.
#[derive(Debug, Default)]
pub struct Signals {
    pending: AtomicU64,
    blocked: AtomicU64,
    /// Set to SIG_IGN.
    ignored: AtomicU64,
    stopped: AtomicBool,
    /// SIGKILL has come.
    killed: AtomicBool,
    /// Woken when a signal arrives that has an effect.
    pub arrival: WaitQueue,
}

impl Signals {
    /// Those of a new child: the mask and what is ignored are inherited, what is pending is not (fork(2)).
    pub fn inherited(&self) -> Self {
        Self {
            blocked: AtomicU64::new(self.blocked.load(Ordering::Relaxed)),
            ignored: AtomicU64::new(self.ignored.load(Ordering::Relaxed)),
            ..Self::default()
        }
    }

    /// Signals that wait to be unblocked, or to be acted on.
    pub fn pending(&self) -> SignalSet {
        SignalSet(self.pending.load(Ordering::Acquire))
    }

    /// The mask.
    pub fn blocked(&self) -> SignalSet {
        SignalSet(self.blocked.load(Ordering::Acquire))
    }

    /// Sets the mask; SIGKILL and SIGSTOP stay out of it. Gives back the old one.
    pub fn set_blocked(&self, mask: SignalSet) -> SignalSet {
        SignalSet(self.blocked.swap(mask.without(SignalSet::UNSTOPPABLE).0, Ordering::AcqRel))
    }

    /// Those that are set to SIG_IGN.
    pub fn ignored(&self) -> SignalSet {
        SignalSet(self.ignored.load(Ordering::Acquire))
    }

    /// Whether `signal` is set to SIG_IGN.
    pub fn is_ignored(&self, signal: Signal) -> bool {
        SignalSet(self.ignored.load(Ordering::Acquire)).contains(signal)
    }

    /// Sets `signal` to SIG_IGN or SIG_DFL; an ignored one that is pending is forgotten.
    pub fn set_ignored(&self, signal: Signal, ignored: bool) {
        let bit = bit(signal.number());
        if ignored {
            self.ignored.fetch_or(bit, Ordering::AcqRel);
            self.pending.fetch_and(!bit, Ordering::AcqRel);
        } else {
            self.ignored.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Whether a signal that has an effect waits, or the process is stopped.
    pub fn wants_attention(&self) -> bool {
        self.stopped.load(Ordering::Acquire) || self.actionable() != 0
    }

    /// Whether SIGKILL has come: the process ends, if it has not.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Whether the process is stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Notes that the process has stopped.
    pub fn set_stopped(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    fn actionable(&self) -> u64 {
        self.pending().without(self.blocked()).0
    }

    /// Takes the next signal that is not blocked: SIGKILL first, then by number.
    pub fn take(&self) -> Option<Action> {
        loop {
            let set = self.actionable();
            let lowest = if set & bit(SIGKILL) != 0 { SIGKILL } else { set.trailing_zeros() + 1 };
            let signal = Signal::new(lowest)?;
            if self.pending.fetch_and(!bit(lowest), Ordering::AcqRel) & bit(lowest) == 0 {
                continue;
            }
            let by_default = SignalSet(self.ignored.load(Ordering::Acquire) | IGNORED_BY_DEFAULT.0);
            if STOPS.contains(signal) {
                return Some(Action::Stop(signal));
            }
            if lowest == SIGKILL || !by_default.contains(signal) {
                return Some(Action::Terminate(signal));
            }
        }
    }

    /// Makes `signal` pending, unless it would be thrown away. Tells whether the process must be told.
    fn raise(&self, signal: Signal) -> bool {
        let number = signal.number();
        if number == SIGCONT {
            self.pending.fetch_and(!STOPS.0, Ordering::AcqRel);
        } else if STOPS.contains(signal) {
            self.pending.fetch_and(!bit(SIGCONT), Ordering::AcqRel);
        }
        if number == SIGKILL {
            self.killed.store(true, Ordering::Release);
        }
        let continued = matches!(number, SIGCONT | SIGKILL) && self.stopped.swap(false, Ordering::AcqRel);
        let thrown_away = self.is_ignored(signal) || IGNORED_BY_DEFAULT.contains(signal);
        if !thrown_away || self.blocked().contains(signal) {
            self.pending.fetch_or(bit(number), Ordering::AcqRel);
        }
        continued || self.actionable() != 0
    }
}

/// Sends `signal` on the kernel's own account: nothing protects the receiver.
pub fn send(to: &Arc<Thread>, signal: Signal) {
    if to.signals().raise(signal) {
        to.attend();
    }
    if signal == Signal::SIGKILL {
        // What is held runs as far as its signals.
        run::release(to);
    }
}

/// Sends `signal` from `sender`, who may ([`may_signal`]). The first process of a pid namespace gets no signal
/// that it has no handler for, but for SIGKILL and SIGSTOP from above (pid_namespaces(7)).
pub fn send_from(sender: &Thread, to: &Arc<Thread>, signal: Signal) {
    if to.pid().is_init() {
        let from_above = sender.pid().number_in(to.pid().namespace()).is_none();
        if !(from_above && SignalSet::UNSTOPPABLE.contains(signal)) {
            return;
        }
    }
    send(to, signal);
}

/// Sends `signal` from the creator of a container: from above its pid namespace if it has one of its own.
pub fn send_from_above(to: &Arc<Thread>, signal: Signal) {
    if !to.pid().is_init() || SignalSet::UNSTOPPABLE.contains(signal) {
        send(to, signal);
    }
}

/// Sends `signal` to every process of a group, by its leader's number in the first pid namespace, on the kernel's own
/// account. A namespace's first process gets none that it has no handler for.
pub fn send_to_group(group: u32, signal: Signal) {
    for thread in boot::pid_namespace().threads() {
        if thread.group() == group {
            send_from_above(&thread, signal);
        }
    }
}

/// Whether nobody of its session, outside of the group, waits for a process of it and could continue it (POSIX's orphaned
/// process group).
pub fn group_is_orphaned(group: u32, session: u32) -> bool {
    !boot::pid_namespace()
        .threads()
        .iter()
        .filter(|thread| thread.group() == group && !thread.has_ended())
        .any(|thread| thread.parent().is_some_and(|parent| parent.group() != group && parent.session() == session))
}

/// Whether `sender`'s user may signal `to` (kill(2)): EPERM if not.
pub fn may_signal(sender: &Thread, to: &Thread) -> Result<(), Errno> {
    sender.credentials().permit_signal(&to.credentials())
}
