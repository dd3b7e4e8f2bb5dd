//! The container engine: lifecycle, table and steps, over one trait.
//!
//! Owns every container from the reservation of its id to its deletion. Calls [`Platform`] and nothing else; is
//! called by the kernel's container system calls and, when a container's last process ends, by its exit path.
//! Locks: the table's and each container's, both held for a look-up only, never together and never across a
//! call of the platform or an await. Neither may be taken in an interrupt handler.
//!
//! A container that is created from inside another one is inside that one, and seen from nowhere else: ids are those
//! of one container's insides, and the outer one's end is the end of all that is inside.

mod container;
mod create;
mod delete;
mod drive;
mod error;
mod hooks;
mod lifecycle;
mod operate;
mod parts;
mod persistent;
mod platform;
mod start;
mod state;
mod table;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use spin::Mutex;

use crate::ContainerId;
use crate::abi::Errno;
use crate::config::Demand;

pub use container::{Container, ContainerKey, Exit, Stopped};
pub use create::CreateRequest;
pub use drive::drive;
pub use error::{Error, Step};
pub use hooks::HookRun;
pub use operate::ExecRequest;
pub use platform::{HookPlace, House, NamespaceRequest, Platform, Program, Viewer};

use table::Table;

/// The containers of a kernel. Clones are handles to the same.
pub struct Engine<P: Platform>(Arc<Core<P>>);

struct Core<P: Platform> {
    platform: Arc<P>,
    table: Mutex<Table<P>>,
}

impl<P: Platform> Clone for Engine<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Platform> Engine<P> {
    /// An engine without containers. `hash_key` should be random: with it, nobody who chooses ids can make the
    /// table slow.
    #[must_use]
    pub fn new(platform: P, hash_key: [u64; 2]) -> Self {
        Self(Arc::new(Core { platform: Arc::new(platform), table: Mutex::new(Table::new(hash_key)) }))
    }

    /// The kernel below.
    #[must_use]
    pub fn platform(&self) -> &P {
        &self.0.platform
    }

    fn platform_handle(&self) -> Arc<P> {
        Arc::clone(&self.0.platform)
    }

    fn table(&self) -> &Mutex<Table<P>> {
        &self.0.table
    }

    /// Refuses what the platform does not enforce.
    fn check(&self, demands: impl Iterator<Item = Demand>) -> Result<(), Error> {
        let mut demands = demands;
        let unmet = demands.find(|Demand { key, word }| !self.platform().enforces(*key, word));
        unmet.map_or(Ok(()), |unmet| Err(Error::new(Errno::EINVAL).operand(unmet.key.name()).reason(unmet.refusal())))
    }

    /// The container of a path as `caller` sees it: an id of one that is in the same container as the caller, or the
    /// ids on the way to one further inside with slashes between them.
    ///
    /// # Errors
    /// ENOENT if there is none, or it lies outside of the caller's cgroup.
    pub fn open(&self, caller: &P::Caller, path: &str) -> Result<Arc<Container<P>>, Error> {
        let mut outer = self.platform().container_of(caller);
        let mut found = None;
        for id in path.split('/') {
            let id = ContainerId::new(id).map_err(|_| Errno::ENOENT)?;
            let container = self.table().lock().get(outer, &id).ok_or(Errno::ENOENT)?;
            outer = Some(container.key());
            found = Some(container);
        }
        found.filter(|container| self.sees(caller, container)).ok_or_else(|| Errno::ENOENT.into())
    }

    /// The container of a key, while it has its id.
    #[must_use]
    pub fn find(&self, key: ContainerKey) -> Option<Arc<Container<P>>> {
        self.table().lock().by_key(key)
    }

    /// Whether a container is inside of the one of `key`, directly or in others that are.
    #[must_use]
    pub fn is_inside(&self, container: &Container<P>, key: ContainerKey) -> bool {
        let outer_of = |inner| self.find(inner).and_then(|container| container.outer());
        core::iter::successors(container.outer(), |inner| outer_of(*inner)).any(|outer| outer == key)
    }

    /// The container that was created next after the one whose [cookie](ContainerKey::cookie) this is, of those that
    /// are in the same container as `caller` and in its cgroup; the first for 0. A walk that starts at 0 and goes on
    /// with each cookie sees every container once that exists all the while, whatever is created and deleted meanwhile.
    #[must_use]
    pub fn next_after(&self, caller: &P::Caller, cookie: u64) -> Option<Arc<Container<P>>> {
        let outer = self.platform().container_of(caller);
        let mut cookie = cookie;
        loop {
            let container = self.table().lock().next_after(outer, cookie)?;
            if self.sees(caller, &container) {
                return Some(container);
            }
            cookie = container.key().cookie();
        }
    }

    /// Whether the container's cgroup, once it has one, is in the caller's.
    fn sees(&self, caller: &P::Caller, container: &Container<P>) -> bool {
        let (_, parts) = container.look();
        parts.is_none_or(|parts| self.platform().sees(caller, parts.cgroup()))
    }

    /// Frees the id of a container.
    fn forget(&self, container: &Container<P>) {
        let entry = self.table().lock().remove(container.key());
        // The lock is free again when the last handle goes.
        drop(entry);
        container.deleted();
    }

    /// The platform's report that a container's last process has ended. A key whose container is gone, or
    /// never came to be, is ignored; so is a second report.
    pub fn exited(&self, key: ContainerKey, exit: Exit) {
        let container = self.table().lock().by_key(key);
        if let Some(container) = container {
            container.end(exit);
        }
    }
}
