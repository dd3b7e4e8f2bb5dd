//! What is done with a signal (sigaction(2)).

use super::SignalSet;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::Signal;
use veridian_hal::{UserAddr, sync::SpinLock};

bitflags::bitflags! {
    /// `sa_flags`, with Linux's numbers. Unknown ones are kept and mean nothing.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SignalFlags: u64 {
        /// No SIGCHLD for children that stop or go on.
        const NO_CHILD_STOP = 1;
        /// Children leave no zombies.
        const NO_CHILD_WAIT = 2;
        /// The handler takes three arguments. (It gets them always.)
        const INFO = 4;
        /// The restorer is given.
        const RESTORER = 0x0400_0000;
        /// On the alternate stack.
        const ON_STACK = 0x0800_0000;
        /// A system call that it interrupts is made again, if it is one of those.
        const RESTART = 0x1000_0000;
        /// The signal itself is not blocked while the handler runs.
        const NO_DEFER = 0x4000_0000;
        /// The handler is called once.
        const RESET_HANDLER = 0x8000_0000;
        const _ = !0;
    }
}

/// Who is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// SIG_DFL.
    #[default]
    Default,
    /// SIG_IGN.
    Ignore,
    /// The function at this address.
    Handler(UserAddr),
}

/// `struct sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalAction {
    /// Who is called, as programs say it: SIG_DFL (0), SIG_IGN (1), or the address of a function.
    pub handler: UserAddr,
    /// How.
    pub flags: SignalFlags,
    /// What the handler returns to, with RESTORER.
    pub restorer: UserAddr,
    /// What is blocked meanwhile.
    pub mask: SignalSet,
}

impl SignalAction {
    const SIG_DFL: UserAddr = UserAddr(0);
    const SIG_IGN: UserAddr = UserAddr(1);

    /// Who is called.
    pub fn disposition(&self) -> Disposition {
        match self.handler {
            Self::SIG_DFL => Disposition::Default,
            Self::SIG_IGN => Disposition::Ignore,
            address => Disposition::Handler(address),
        }
    }

    fn is_handled(&self) -> bool {
        self.handler.0 > Self::SIG_IGN.0
    }
}

/// The actions of a process: those that were set; the others are the default.
#[derive(Debug, Default)]
pub struct Actions {
    set: SpinLock<Table>,
    /// Which are SIG_IGN, and which have a handler: looked at without the lock.
    ignored: AtomicU64,
    caught: AtomicU64,
}

/// Actions by signal: most processes ever set few, and once set a signal keeps its place.
#[derive(Clone, Debug)]
struct Table {
    /// Where the action of each signal is, by its number less 1; behind the end while it was never set.
    places: [u8; Signal::MAX as usize],
    actions: Vec<SignalAction>,
}

impl Default for Table {
    fn default() -> Self {
        Self { places: [u8::MAX; _], actions: Vec::new() }
    }
}

impl Table {
    fn place(&self, signal: Signal) -> usize {
        self.places[signal.number() as usize - 1].into()
    }

    fn get(&self, signal: Signal) -> SignalAction {
        self.actions.get(self.place(signal)).copied().unwrap_or_default()
    }

    #[inline]
    fn set(&mut self, signal: Signal, action: SignalAction) -> SignalAction {
        let place = self.place(signal);
        match self.actions.get_mut(place) {
            Some(before) => core::mem::replace(before, action),
            None => self.set_first(signal, action),
        }
    }

    #[cold]
    fn set_first(&mut self, signal: Signal, action: SignalAction) -> SignalAction {
        if action != SignalAction::default() {
            // At most as many as there are signals.
            self.places[signal.number() as usize - 1] = self.actions.len() as u8;
            self.actions.push(action);
        }
        SignalAction::default()
    }
}

impl Clone for Actions {
    fn clone(&self) -> Self {
        let set = self.set.lock().clone();
        let [ignored, caught] = [&self.ignored, &self.caught].map(|set| AtomicU64::new(set.load(Ordering::Relaxed)));
        Self { set: SpinLock::new(set), ignored, caught }
    }
}

impl Actions {
    /// What is done with `signal`.
    pub fn get(&self, signal: Signal) -> SignalAction {
        self.set.lock().get(signal)
    }

    /// Sets it; gives the one before.
    #[inline]
    pub fn set(&self, signal: Signal, action: SignalAction) -> SignalAction {
        let own = SignalSet::of(&[signal]).0;
        let mut set = self.set.lock();
        let before = set.set(signal, action);
        // Under the lock nobody else writes them.
        let note = |set: &AtomicU64, is_in: bool| {
            let others = set.load(Ordering::Relaxed) & !own;
            set.store(if is_in { others | own } else { others }, Ordering::Release);
        };
        if before.handler != action.handler {
            note(&self.ignored, action.handler == SignalAction::SIG_IGN);
            note(&self.caught, action.is_handled());
        }
        before
    }

    /// As [`Self::get`], for a signal that is about to be acted on: a handler that is called once is forgotten.
    pub(super) fn take(&self, signal: Signal) -> SignalAction {
        let action = self.get(signal);
        if action.is_handled() && action.flags.contains(SignalFlags::RESET_HANDLER) {
            self.set(signal, SignalAction { handler: SignalAction::SIG_DFL, ..action });
        }
        action
    }

    /// Handlers become the default; what is ignored stays so.
    pub(super) fn forget_handlers(&self) {
        let mut set = self.set.lock();
        let ignore = SignalAction { handler: SignalAction::SIG_IGN, ..SignalAction::default() };
        let mut table = Table::default();
        for signal in self.ignored().signals() {
            table.set(signal, ignore);
        }
        *set = table;
        self.caught.store(0, Ordering::Release);
    }

    /// Those that are SIG_IGN.
    pub fn ignored(&self) -> SignalSet {
        SignalSet(self.ignored.load(Ordering::Acquire))
    }

    /// Those that have a handler.
    pub fn caught(&self) -> SignalSet {
        SignalSet(self.caught.load(Ordering::Acquire))
    }
}
