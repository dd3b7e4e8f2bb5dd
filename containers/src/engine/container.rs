//! One container: what its descriptor refers to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::num::NonZeroU64;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use spin::Mutex;

use super::lifecycle::{Event, Lifecycle};
use super::parts::Parts;
use super::{Error, House, Platform};
use crate::abi::{CreateFlags, ExitFlags, WaitResult, WaitStatus};
use crate::config::Config;
use crate::{ContainerId, Status};

/// A container. It stays readable through every handle after it was deleted, but owns nothing any more.
pub struct Container<P: Platform> {
    key: ContainerKey,
    origin: Origin<P>,
    /// Some hook has been run, or is.
    hooks_begun: AtomicBool,
    /// Open descriptors.
    descriptors: AtomicUsize,
    state: Mutex<State<P>>,
}

/// Where a container comes from: what create was given.
pub(super) struct Origin<P: Platform> {
    pub(super) id: ContainerId,
    /// The container that it is in.
    pub(super) outer: Option<ContainerKey>,
    pub(super) flags: CreateFlags,
    pub(super) config: Config,
    pub(super) bundle: String,
    /// The creator's user id.
    pub(super) owner: u32,
    /// Nanoseconds since 1970-01-01.
    pub(super) created: u64,
    /// For the hooks, if there are any; until it is deleted.
    pub(super) runtime: Mutex<Option<Arc<P::Runtime>>>,
    /// What the creator's group pays for all this.
    #[expect(dead_code, reason = "its drop is its use")]
    pub(super) charge: P::Charge,
}

/// What changes in the life of a container.
struct State<P: Platform> {
    lifecycle: Lifecycle,
    /// What create built; from its success to delete.
    parts: Option<Arc<Parts<P>>>,
    exit: Option<Exit>,
    /// Who waits for the end. A ticket is never given twice; one who only polls has none.
    waiters: Vec<(Option<u64>, Waker)>,
    next_ticket: u64,
}

/// So many who poll are woken, as a whole, before another is entered: who still waits comes back, and wakers of the
/// dead cannot pile up.
const SWEPT_AT: usize = 64;

/// Names one container of one engine for all time: an id may be used again, a key is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey(NonZeroU64);

impl ContainerKey {
    pub(super) const fn new(serial: NonZeroU64) -> Self {
        Self(serial)
    }

    /// The key as the cookie of `container_list`; never 0.
    #[must_use]
    pub const fn cookie(self) -> u64 {
        self.0.get()
    }
}

impl From<NonZeroU64> for ContainerKey {
    fn from(serial: NonZeroU64) -> Self {
        Self(serial)
    }
}

impl From<ContainerKey> for NonZeroU64 {
    fn from(key: ContainerKey) -> Self {
        key.0
    }
}

/// How a container ended, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How its first process ended.
    pub status: WaitStatus,
    /// Whether the kernel killed it because its memory limit was reached.
    pub oom_killed: bool,
    /// The most bytes of memory that were charged to it at one time.
    pub memory_peak: u64,
    /// The most tasks that it had at one time.
    pub tasks_peak: u64,
    /// Nanoseconds of processor time in user mode.
    pub user_ns: u64,
    /// Nanoseconds of processor time in the kernel.
    pub system_ns: u64,
}

impl From<Exit> for WaitResult {
    fn from(exit: Exit) -> Self {
        let flags = if exit.oom_killed { ExitFlags::OOM_KILLED } else { ExitFlags::empty() };
        Self {
            size: size_of::<Self>() as u64,
            status: exit.status.encode(),
            flags: flags.bits(),
            memory_peak: exit.memory_peak,
            tasks_peak: exit.tasks_peak,
            user_ns: exit.user_ns,
            system_ns: exit.system_ns,
        }
    }
}

impl<P: Platform> Container<P> {
    pub(super) fn new(key: ContainerKey, origin: Origin<P>) -> Self {
        let state = State { lifecycle: Lifecycle::new(), parts: None, exit: None, waiters: Vec::new(), next_ticket: 0 };
        Self {
            key,
            origin,
            hooks_begun: AtomicBool::new(false),
            descriptors: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    /// Its key, for all time.
    #[must_use]
    pub const fn key(&self) -> ContainerKey {
        self.key
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ContainerId {
        &self.origin.id
    }

    /// The container that its creator is in: this one is inside of that.
    #[must_use]
    pub const fn outer(&self) -> Option<ContainerKey> {
        self.origin.outer
    }

    /// The flags that create was given.
    #[must_use]
    pub const fn flags(&self) -> CreateFlags {
        self.origin.flags
    }

    /// What it was made from.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.origin.config
    }

    /// Absolute path of the bundle, for its state; nothing is looked up by it.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.origin.bundle
    }

    /// The creator's user id.
    pub(super) const fn owner(&self) -> u32 {
        self.origin.owner
    }

    /// When it was created, in nanoseconds since 1970-01-01.
    pub(super) const fn created(&self) -> u64 {
        self.origin.created
    }

    /// Its state; `None` once it is deleted.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.state.lock().lifecycle.status()
    }

    /// Looks at its first process, once it is built and until it is deleted.
    pub fn with_process<R>(&self, look: impl FnOnce(&P::Process) -> R) -> Option<R> {
        let (_, parts) = self.look();
        parts.and_then(|parts| parts.process.as_ref().map(look))
    }

    /// Looks at where its processes live, once it is built and until it is deleted.
    pub fn with_house<R>(&self, look: impl FnOnce(House<'_, P>) -> R) -> Option<R> {
        let (_, parts) = self.look();
        parts.map(|parts| look(parts.house()))
    }

    /// How it ended; `None` while it has not.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.state.lock().exit
    }

    /// Waits for its end. Dropping the future forgets the wait.
    pub const fn stopped(&self) -> Stopped<'_, P> {
        Stopped { container: self, ticket: None }
    }

    /// How it ended, if it has; else the task of `context` is woken, once, when it does.
    pub fn poll_stopped(&self, context: &Context<'_>) -> Poll<Exit> {
        let mut state = self.state.lock();
        if let Some(exit) = state.exit {
            return Poll::Ready(exit);
        }
        if state.waiters.iter().any(|(_, waker)| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        let swept = if state.waiters.iter().filter(|(ticket, _)| ticket.is_none()).count() >= SWEPT_AT {
            state.waiters.extract_if(.., |(ticket, _)| ticket.is_none()).collect()
        } else {
            Vec::new()
        };
        state.waiters.push((None, context.waker().clone()));
        drop(state);
        swept.into_iter().for_each(|(_, waker)| waker.wake());
        Poll::Pending
    }

    /// How many wait for its end.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiters.len()
    }

    /// The kernel's report that a descriptor of it was made.
    pub fn opened(&self) {
        self.descriptors.fetch_add(1, Ordering::Relaxed);
    }

    /// A descriptor was closed; tells whether it was the last.
    pub(super) fn close(&self) -> bool {
        self.descriptors.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// What its hooks need; `None` without hooks, and once it is deleted.
    pub(super) fn runtime(&self) -> Option<Arc<P::Runtime>> {
        self.origin.runtime.lock().clone()
    }

    /// Notes that a hook is about to run: from here on the poststop hooks will have to.
    pub(super) fn begin_hooks(&self) {
        self.hooks_begun.store(true, Ordering::Relaxed);
    }

    /// Whether a hook was run.
    pub(super) fn hooks_begun(&self) -> bool {
        self.hooks_begun.load(Ordering::Relaxed)
    }

    /// Asks the lifecycle; hands out the parts if it agrees.
    pub(super) fn request(&self, event: Event) -> Result<Arc<Parts<P>>, Error> {
        let mut state = self.state.lock();
        let parts = state.parts.clone();
        match (state.lifecycle.apply(event), parts) {
            (Ok(()), Some(parts)) => Ok(parts),
            (Ok(()), None) => {
                unreachable!("no request is granted before create has built the parts")
            }
            (Err((errno, reason)), _) => {
                drop(state);
                Err(Error::new(errno).reason(reason).operand(String::from(self.id().as_str())))
            }
        }
    }

    /// Tells the lifecycle a fact.
    pub(super) fn apply(&self, event: Event) {
        // Facts are not refused.
        let _ = self.state.lock().lifecycle.apply(event);
    }

    /// Create has succeeded.
    pub(super) fn built(&self, parts: Parts<P>) {
        let parts = Arc::new(parts);
        let mut state = self.state.lock();
        state.parts = Some(parts);
        let _ = state.lifecycle.apply(Event::Built);
    }

    /// Gives up its share of the parts: whoever requested the delete holds the other.
    pub(super) fn forget_parts(&self) {
        let parts = self.state.lock().parts.take();
        drop(parts);
    }

    /// It is deleted: nothing of the creator's is kept any more.
    pub(super) fn deleted(&self) {
        self.apply(Event::Deleted);
        let runtime = self.origin.runtime.lock().take();
        drop(runtime);
    }

    /// Its state, and its parts while it has any.
    pub(super) fn look(&self) -> (Option<Status>, Option<Arc<Parts<P>>>) {
        let state = self.state.lock();
        (state.lifecycle.status(), state.parts.clone())
    }

    /// Its last process has ended.
    pub(super) fn end(&self, exit: Exit) {
        let waiters = {
            let mut state = self.state.lock();
            if state.exit.is_some() {
                return;
            }
            state.exit = Some(exit);
            let _ = state.lifecycle.apply(Event::Exited);
            core::mem::take(&mut state.waiters)
        };
        for (_, waker) in waiters {
            waker.wake();
        }
    }
}

impl<P: Platform> fmt::Debug for Container<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("id", self.id()).field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Waits for the end of a container: the future of [`Container::stopped`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Stopped<'a, P: Platform> {
    container: &'a Container<P>,
    ticket: Option<u64>,
}

impl<P: Platform> Future for Stopped<'_, P> {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Exit> {
        let mut guard = self.container.state.lock();
        let state = &mut *guard;
        if let Some(exit) = state.exit {
            return Poll::Ready(exit);
        }
        let own = |ticket: &Option<u64>| ticket.is_some() && *ticket == self.ticket;
        match state.waiters.iter_mut().find(|(ticket, _)| own(ticket)) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                let ticket = state.next_ticket;
                state.next_ticket += 1;
                state.waiters.push((Some(ticket), context.waker().clone()));
                drop(guard);
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl<P: Platform> Drop for Stopped<'_, P> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let mut state = self.container.state.lock();
        let found = state.waiters.iter().position(|&(waiting, _)| waiting == self.ticket);
        let waiter = found.map(|index| state.waiters.swap_remove(index));
        drop(state);
        drop(waiter);
    }
}
