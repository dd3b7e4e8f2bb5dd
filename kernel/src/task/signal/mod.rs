//! Signals (signal(7)): what waits for a thread or for all of its process, what is blocked, and what comes of it.
//!
//! A signal lies in the queue of one thread or of the process until a thread that does not block it takes it, on its way
//! to user mode ([`Signals::take`]). Senders are in `send`; handlers' frames are in `handler`.

mod action;
mod info;
mod pending;
mod send;

pub use action::{Actions, Disposition, SignalAction, SignalFlags};
pub use info::SignalInfo;
pub use send::{
    group_is_in_session, group_is_orphaned, may_signal, queue, send, send_from, send_from_above, send_info,
    send_to_group, send_to_itself,
};

use crate::sched::WaitQueue;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use pending::{Account, Pending};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{UserAddr, sync::SpinLock};

/// A set of signals: bit n-1 stands for signal n, as in the kernel's `sigset_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// SIGKILL and SIGSTOP, which can be neither blocked nor ignored.
    pub const UNSTOPPABLE: Self = Self::of(&[Signal::SIGKILL, Signal::SIGSTOP]);

    /// The set of `signals`.
    pub const fn of(signals: &[Signal]) -> Self {
        let (mut set, mut index) = (0, 0);
        while index < signals.len() {
            set |= 1 << (signals[index].number() - 1);
            index += 1;
        }
        Self(set)
    }

    /// With `other`'s signals.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without `other`'s signals.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those in it, by number.
    pub fn signals(self) -> impl Iterator<Item = Signal> {
        (1..=Signal::MAX).filter_map(Signal::new).filter(move |signal| self.contains(*signal))
    }

    /// Whether `signal` is in it.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & Self::of(&[signal]).0 != 0
    }
}

/// The first of the signals that queue up (signal(7), real-time signals).
const FIRST_QUEUED: u32 = 32;

const STOPS: SignalSet = SignalSet::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);
const IGNORED_BY_DEFAULT: SignalSet =
    SignalSet::of(&[Signal::SIGCHLD, Signal::SIGCONT, Signal::SIGURG, Signal::SIGWINCH]);
/// What a thread does to itself comes before what others send.
const SYNCHRONOUS: SignalSet =
    SignalSet::of(&[Signal::SIGILL, Signal::SIGTRAP, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGSEGV, Signal::SIGSYS]);

/// How many processes are stopped.
static STOPPED: AtomicUsize = AtomicUsize::new(0);

/// What a signal that was taken asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends the process.
    Terminate(Signal),
    /// Stops it until SIGCONT.
    Stop(Signal),
    /// Calls a handler.
    Handle(Signal, SignalInfo, SignalAction),
}

/// Where handlers that ask for it run (sigaltstack(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlternateStack {
    /// Its lowest address.
    pub start: UserAddr,
    /// Its bytes; 0 when there is none.
    pub bytes: usize,
    /// It is given up while a handler runs on it (SS_AUTODISARM).
    pub disarms: bool,
}

impl AlternateStack {
    /// Whether `pointer` lies on it.
    pub fn holds(&self, pointer: UserAddr) -> bool {
        !self.disarms && pointer.0 > self.start.0 && pointer.0 - self.start.0 <= self.bytes
    }
}

/// What all threads of a process share of its signals.
#[derive(Debug, Default)]
struct Shared {
    actions: Arc<Actions>,
    pending: Pending,
    /// Those of `pending` that the first thread leaves to the others: what is for all is for it if it does not block it, as
    /// programs expect whose first thread waits for signals (Linux's choice).
    left_to_others: AtomicU64,
    stopped: AtomicBool,
    /// SIGKILL has come.
    killed: AtomicBool,
    /// Every thread ends, but for those that survive it ([`Signals::survive`]).
    doomed: AtomicBool,
    /// The first process of a pid namespace: only handlers see its signals (pid_namespaces(7)).
    protected: AtomicBool,
    /// Woken when any signal is made pending: for who waits for blocked ones.
    raised: WaitQueue,
}

/// The signals of one thread, and of its process.
#[derive(Debug, Default)]
pub struct Signals {
    shared: Arc<Shared>,
    /// It is not the process's first thread.
    follows: bool,
    pending: Pending,
    blocked: AtomicU64,
    /// What is to be blocked again when a handler has run, or none had to (sigsuspend(2), ppoll(2)).
    deferred_mask: SpinLock<Option<SignalSet>>,
    alternate_stack: SpinLock<AlternateStack>,
    survives: AtomicBool,
    /// It has come to its end: others are to see to the process's signals.
    retired: AtomicBool,
    /// Woken when a signal arrives that has an effect.
    pub arrival: WaitQueue,
}

impl Signals {
    /// Those of the first thread of a new process: mask, actions and alternate stack are inherited, what is pending is
    /// not (fork(2)); without the handlers, if they are to be `cleared`.
    pub fn inherited(&self, cleared: bool) -> Self {
        let actions = Arc::new((*self.shared.actions).clone());
        if cleared {
            actions.forget_handlers();
        }
        Self::with(Shared { actions, ..Shared::default() }, self)
    }

    /// The same, but a change of an action is one for both (CLONE_SIGHAND).
    pub fn with_same_actions(&self) -> Self {
        Self::with(Shared { actions: self.shared.actions.clone(), ..Shared::default() }, self)
    }

    fn with(shared: Shared, parent: &Self) -> Self {
        let alternate_stack = *parent.alternate_stack.lock();
        let blocked = parent.blocked().0;
        Self {
            shared: Arc::new(Shared { left_to_others: AtomicU64::new(blocked), ..shared }),
            blocked: AtomicU64::new(blocked),
            alternate_stack: SpinLock::new(alternate_stack),
            ..Self::default()
        }
    }

    /// Those of a further thread of the process.
    pub fn of_sibling(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            follows: true,
            blocked: AtomicU64::new(self.blocked.load(Ordering::Relaxed)),
            ..Self::default()
        }
    }

    /// Signals that wait to be unblocked, or to be acted on.
    pub fn pending(&self) -> SignalSet {
        self.pending.set().with(self.shared.pending.set())
    }

    /// Those that wait for this thread, and those that wait for any of the process.
    pub fn pending_apart(&self) -> [SignalSet; 2] {
        [self.pending.set(), self.shared.pending.set()]
    }

    /// The mask.
    pub fn blocked(&self) -> SignalSet {
        SignalSet(self.blocked.load(Ordering::Acquire))
    }

    /// Sets the mask; SIGKILL and SIGSTOP stay out of it. Gives back the old one, and whether it leaves to others what waits
    /// for any thread of the process.
    #[inline]
    pub(super) fn set_blocked(&self, mask: SignalSet) -> (SignalSet, bool) {
        let before = self.blocked.swap(mask.without(SignalSet::UNSTOPPABLE).0, Ordering::AcqRel);
        self.leave();
        // With the sender's: one of the two sees what the other has done.
        fence(Ordering::SeqCst);
        let left = self.shared.pending.set().0 & self.blocked().0 & !before;
        (SignalSet(before), left != 0)
    }

    fn leave(&self) {
        if !self.follows {
            let left = if self.is_retired() { u64::MAX } else { self.blocked().0 };
            self.shared.left_to_others.store(left, Ordering::Release);
        }
    }

    /// Has `mask` blocked again after the next handler, or on the way to user mode when none has to run.
    pub fn defer_mask(&self, mask: SignalSet) {
        *self.deferred_mask.lock() = Some(mask);
    }

    /// The mask that was deferred.
    pub(super) fn take_deferred_mask(&self) -> Option<SignalSet> {
        self.deferred_mask.lock().take()
    }

    /// What is done with each signal.
    pub fn actions(&self) -> &Actions {
        &self.shared.actions
    }

    /// Before another program begins: handlers are gone, what is ignored stays so (execve(2)).
    pub(super) fn begin_program(&self) {
        self.actions().forget_handlers();
        *self.alternate_stack.lock() = AlternateStack::default();
    }

    /// Where handlers run that ask for it.
    pub fn alternate_stack(&self) -> AlternateStack {
        *self.alternate_stack.lock()
    }

    /// Sets where these run.
    pub fn set_alternate_stack(&self, stack: AlternateStack) {
        *self.alternate_stack.lock() = stack;
    }

    /// Those that are set to SIG_IGN.
    pub fn ignored(&self) -> SignalSet {
        self.actions().ignored()
    }

    /// Those that have a handler.
    pub fn caught(&self) -> SignalSet {
        self.actions().caught()
    }

    /// Whether `signal` is set to SIG_IGN.
    pub fn is_ignored(&self, signal: Signal) -> bool {
        self.ignored().contains(signal)
    }

    /// Changes what is done with `signal`; a pending one that would be thrown away is, here and by the sibling threads
    /// when they look. Gives the one before.
    #[inline]
    pub fn set_action(&self, signal: Signal, action: SignalAction) -> SignalAction {
        let before = self.actions().set(signal, action);
        if self.is_thrown_away(signal) {
            let own = SignalSet::of(&[signal]);
            self.pending.remove(own);
            self.shared.pending.remove(own);
        }
        before
    }

    fn is_thrown_away(&self, signal: Signal) -> bool {
        self.ignored().contains(signal) || (IGNORED_BY_DEFAULT.contains(signal) && !self.caught().contains(signal))
    }

    /// Whether a signal that has an effect waits, or the process is stopped or ends.
    pub fn wants_attention(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire) || self.is_doomed() || self.actionable() != 0
    }

    /// Whether SIGKILL has come: the process ends, if it has not.
    pub fn is_killed(&self) -> bool {
        self.shared.killed.load(Ordering::Acquire)
    }

    /// Whether the thread is to end because its process does, or begins another program.
    pub fn is_doomed(&self) -> bool {
        self.shared.doomed.load(Ordering::Acquire) && !self.survives.load(Ordering::Acquire)
    }

    /// Has every thread of the process end that does not survive it.
    pub(super) fn doom(&self) {
        self.shared.doomed.store(true, Ordering::Release);
    }

    /// Whether this thread goes on when the others end.
    pub(super) fn survive(&self, survives: bool) {
        self.survives.store(survives, Ordering::Release);
    }

    /// Whether others are to see to the process's signals.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Leaves the process's signals to others, or takes part again.
    pub(super) fn retire(&self, retired: bool) {
        self.retired.store(retired, Ordering::Release);
        self.leave();
        fence(Ordering::SeqCst);
    }

    /// The others have ended: new threads live.
    pub(super) fn end_doom(&self) {
        self.shared.doomed.store(false, Ordering::Release);
    }

    /// Only handlers get signals, for these are of the first process of a pid namespace.
    pub(super) fn protect(&self) {
        self.shared.protected.store(true, Ordering::Release);
    }

    /// A fault of the process's own ends it in spite of [`Self::protect`].
    pub(super) fn unprotect(&self) {
        self.shared.protected.store(false, Ordering::Release);
    }

    fn is_protected(&self) -> bool {
        self.shared.protected.load(Ordering::Acquire)
    }

    /// Whether the process is stopped.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// Waits until the process is not stopped any more, or ends.
    pub(super) async fn continued(&self) {
        self.arrival.wait_until(|| (!self.is_stopped() || self.is_doomed()).then_some(())).await;
    }

    /// Notes that the process has stopped.
    pub fn set_stopped(&self) {
        if !self.shared.stopped.swap(true, Ordering::AcqRel) {
            STOPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether any process of the machine is stopped.
    pub(super) fn any_stopped() -> bool {
        STOPPED.load(Ordering::Relaxed) > 0
    }

    /// Woken when any signal is made pending for the thread or its process.
    pub fn raised(&self) -> &WaitQueue {
        &self.shared.raised
    }

    fn actionable(&self) -> u64 {
        let any = self.pending().without(self.blocked()).0;
        if any == 0 || !self.follows { any } else { any & (self.pending.set().0 | self.of_all()) }
    }

    /// Which of those that are for all this thread may take.
    fn of_all(&self) -> u64 {
        if self.follows { self.shared.left_to_others.load(Ordering::Acquire) } else { u64::MAX }
    }

    /// Takes a pending signal of `wanted`, blocked or not (sigtimedwait(2), signalfd(2)).
    pub fn take_of(&self, wanted: SignalSet) -> Option<(Signal, SignalInfo)> {
        let wanted = wanted.without(SignalSet::UNSTOPPABLE);
        self.pending.take_of(wanted).or_else(|| self.shared.pending.take_of(wanted))
    }

    /// Takes the next signal that is not blocked and has an effect: SIGKILL first, then the thread's own before those of
    /// the process, by number.
    pub fn take(&self) -> Option<Action> {
        if self.is_killed() {
            return Some(Action::Terminate(Signal::SIGKILL));
        }
        loop {
            let open = SignalSet(!self.blocked().0);
            let own_faults = SignalSet(open.0 & SYNCHRONOUS.0);
            let taken = self.pending.take_of(own_faults).or_else(|| self.pending.take_of(open));
            let (signal, info) = taken.or_else(|| self.shared.pending.take_of(SignalSet(open.0 & self.of_all())))?;
            let action = self.actions().take(signal);
            match action.disposition() {
                Disposition::Handler(_) => return Some(Action::Handle(signal, info, action)),
                Disposition::Ignore => {}
                Disposition::Default if IGNORED_BY_DEFAULT.contains(signal) => {}
                Disposition::Default if self.is_protected() && signal != Signal::SIGSTOP => {}
                Disposition::Default if STOPS.contains(signal) => return Some(Action::Stop(signal)),
                Disposition::Default => return Some(Action::Terminate(signal)),
            }
        }
    }

    /// Whether the signal of the timer `id` waits, for this thread alone or for its process; it is told of `more` overruns.
    pub(super) fn overrun(&self, signal: Signal, id: u32, more: u32, alone: bool) -> bool {
        let queue = if alone { &self.pending } else { &self.shared.pending };
        queue.overrun(signal, id, more)
    }

    /// Forgets what a coming SIGCONT or stop undoes.
    fn cancel(&self, signals: SignalSet) {
        self.pending.remove(signals);
        self.shared.pending.remove(signals);
    }

    /// Makes `signal` pending, for this thread alone or for its process, unless it would be thrown away. Tells whether
    /// somebody must be told: EAGAIN when a queue is full.
    fn raise(&self, signal: Signal, info: SignalInfo, alone: bool, account: &Account<'_>) -> Result<Raised, Errno> {
        let kills = signal == Signal::SIGKILL;
        if kills {
            self.shared.killed.store(true, Ordering::Release);
        }
        let continued = (kills || signal == Signal::SIGCONT) && self.shared.stopped.swap(false, Ordering::AcqRel);
        if continued {
            STOPPED.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.is_thrown_away(signal) || self.blocked().contains(signal) {
            let queue = if alone { &self.pending } else { &self.shared.pending };
            queue.add(signal, info, account)?;
        }
        Ok(if continued || kills { Raised::ForAll } else { Raised::Pending })
    }
}

/// Who must look after a signal was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    /// A thread that does not block it, if there is one.
    Pending,
    /// Every thread.
    ForAll,
}
