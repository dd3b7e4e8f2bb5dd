//! One container: what its descriptor refers to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::num::NonZeroU64;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use spin::Mutex;

use super::create::Parts;
use super::lifecycle::{Event, Lifecycle};
use super::{Error, Platform};
use crate::abi::{CreateFlags, ExitFlags, WaitResult, WaitStatus};
use crate::config::Config;
use crate::{ContainerId, Status};

/// A container. It stays readable through every handle after it was deleted, but owns nothing any more.
pub struct Container<P: Platform> {
    key: ContainerKey,
    id: ContainerId,
    flags: CreateFlags,
    config: Config,
    bundle: String,
    state: Mutex<State<P>>,
}

/// What changes in the life of a container.
struct State<P: Platform> {
    lifecycle: Lifecycle,
    /// What create built; from its success to delete.
    parts: Option<Arc<Parts<P>>>,
    exit: Option<Exit>,
    /// Who waits for the end. A ticket is never given twice.
    waiters: Vec<(u64, Waker)>,
    next_ticket: u64,
}

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
        }
    }
}

impl<P: Platform> Container<P> {
    pub(super) fn new(key: ContainerKey, id: ContainerId, flags: CreateFlags, config: Config, bundle: String) -> Self {
        let state = State { lifecycle: Lifecycle::new(), parts: None, exit: None, waiters: Vec::new(), next_ticket: 0 };
        Self { key, id, flags, config, bundle, state: Mutex::new(state) }
    }

    /// Its key, for all time.
    #[must_use]
    pub const fn key(&self) -> ContainerKey {
        self.key
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The flags that create was given.
    #[must_use]
    pub const fn flags(&self) -> CreateFlags {
        self.flags
    }

    /// What it was made from.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Absolute path of the bundle, for its state; nothing is looked up by it.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// Its state; `None` once it is deleted.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.state.lock().lifecycle.status()
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

    /// How many wait for its end.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiters.len()
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
                Err(Error::new(errno).reason(reason).operand(String::from(self.id.as_str())))
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

    /// Its process, while it has one to speak of.
    pub(super) fn parts_if_alive(&self) -> (Option<Status>, Option<Arc<Parts<P>>>) {
        let state = self.state.lock();
        let alive = state.exit.is_none();
        (state.lifecycle.status(), state.parts.as_ref().filter(|_| alive).cloned())
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
        f.debug_struct("Container").field("id", &self.id).field("status", &self.status()).finish_non_exhaustive()
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
        match state.waiters.iter_mut().find(|(ticket, _)| Some(*ticket) == self.ticket) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                let ticket = state.next_ticket;
                state.next_ticket += 1;
                state.waiters.push((ticket, context.waker().clone()));
                drop(guard);
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl<P: Platform> Drop for Stopped<'_, P> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.container.state.lock();
        let found = state.waiters.iter().position(|&(waiting, _)| waiting == ticket);
        let waiter = found.map(|index| state.waiters.swap_remove(index));
        drop(state);
        drop(waiter);
    }
}
