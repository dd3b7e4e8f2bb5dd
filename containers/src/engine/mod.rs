//! The container engine: lifecycle, table and steps, over one trait.
//!
//! Owns every container from the reservation of its id to its deletion. Calls [`Platform`] and nothing else; is
//! called by the kernel's container system calls and, when a container's last process ends, by its exit path.
//! Locks: the table's and each container's, both held for a look-up only, never together and never across a
//! call of the platform or an await. Neither may be taken in an interrupt handler.

mod container;
mod create;
mod drive;
mod error;
mod lifecycle;
mod platform;
mod state;
mod table;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;
use spin::Mutex;

use crate::abi::{CreateFlags, DeleteFlags, Errno};
use crate::{ContainerId, Signal};

pub use container::{Container, ContainerKey, Exit, Stopped};
pub use create::CreateRequest;
pub use drive::drive;
pub use error::{Error, Step};
pub use platform::{Housing, Platform};

use create::Parts;
use lifecycle::Event;
use table::Table;

/// The containers of a kernel.
pub struct Engine<P: Platform> {
    platform: Arc<P>,
    table: Mutex<Table<P>>,
}

impl<P: Platform> Engine<P> {
    /// An engine without containers. `hash_key` should be random: with it, nobody who chooses ids can make the
    /// table slow.
    #[must_use]
    pub fn new(platform: P, hash_key: [u64; 2]) -> Self {
        Self { platform: Arc::new(platform), table: Mutex::new(Table::new(hash_key)) }
    }

    /// The kernel below.
    #[must_use]
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// The container of an id.
    #[must_use]
    pub fn get(&self, id: &ContainerId) -> Option<Arc<Container<P>>> {
        self.table.lock().get(id)
    }

    /// The container that was created next after the one whose [cookie](ContainerKey::cookie) this is; the first
    /// for 0. A walk that starts at 0 and goes on with each cookie sees every container once that exists all
    /// the while, whatever is created and deleted meanwhile.
    #[must_use]
    pub fn next_after(&self, cookie: u64) -> Option<Arc<Container<P>>> {
        self.table.lock().next_after(cookie)
    }

    /// Lets the process of a created container run.
    ///
    /// # Errors
    /// EINVAL unless it is `created`; the platform's error, and it is as it was. Likewise if the future is dropped.
    pub async fn start(&self, container: &Container<P>) -> Result<(), Error> {
        /// Takes the start back unless it is disarmed.
        struct Starting<'a, P: Platform>(Option<&'a Container<P>>);

        impl<P: Platform> Drop for Starting<'_, P> {
            fn drop(&mut self) {
                if let Some(container) = self.0 {
                    container.apply(Event::StartFailed);
                }
            }
        }

        let parts = container.request(Event::StartRequested)?;
        let mut starting = Starting(Some(container));
        self.platform
            .start_process(parts.process())
            .await
            .map_err(|error| error.operand(String::from(container.id().as_str())).at(Step::Start))?;
        starting.0 = None;
        container.apply(Event::Started);
        Ok(())
    }

    /// Sends a signal to the container's process.
    ///
    /// # Errors
    /// ESRCH unless it is `created` or `running`.
    pub fn kill(&self, container: &Container<P>, signal: Signal) -> Result<(), Error> {
        let parts = container.request(Event::SignalRequested)?;
        self.platform
            .signal_process(parts.process(), signal)
            .map_err(|error| error.operand(String::from(container.id().as_str())))
    }

    /// Deletes a stopped container: all that create made is given back and its id is free.
    ///
    /// With [`DeleteFlags::FORCE`] a container that is not stopped is killed first, and its end awaited.
    ///
    /// # Errors
    /// EBUSY unless it is `stopped` or forced, and while it is being created, started or deleted by another;
    /// ENOENT if it was deleted already.
    pub async fn delete(&self, container: &Container<P>, flags: DeleteFlags) -> Result<(), Error> {
        /// Frees the id once the parts are given back, even if the future is dropped between the two.
        struct Deletion<'a, P: Platform> {
            engine: &'a Engine<P>,
            container: &'a Container<P>,
            parts: Option<Arc<Parts<P>>>,
        }

        impl<P: Platform> Drop for Deletion<'_, P> {
            fn drop(&mut self) {
                drop(self.parts.take());
                self.engine.forget(self.container.key());
                self.container.apply(Event::Deleted);
            }
        }

        if flags.contains(DeleteFlags::FORCE)
            && let Ok(parts) = container.request(Event::SignalRequested)
        {
            let killed = self.platform.signal_process(parts.process(), Signal::SIGKILL);
            drop(parts);
            match killed {
                Ok(()) => {}
                // It has ended, and its end is about to be reported.
                Err(error) if error.errno() == Errno::ESRCH => {}
                Err(error) => return Err(error),
            }
            container.stopped().await;
        }
        let parts = container.request(Event::DeleteRequested)?;
        container.forget_parts();
        let deletion = Deletion { engine: self, container, parts: Some(parts) };
        // Another CPU may be inside `kill` or `state`, which hold the parts but never wait.
        poll_fn(|context| match &deletion.parts {
            Some(parts) if Arc::strong_count(parts) > 1 => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
        Ok(())
    }

    /// Frees the id of a container.
    fn forget(&self, key: ContainerKey) {
        let container = self.table.lock().remove(key);
        // The lock is free again when the last handle goes.
        drop(container);
    }

    /// The platform's report that a container's last process has ended. A key whose container is gone, or
    /// never came to be, is ignored; so is a second report.
    pub fn exited(&self, key: ContainerKey, exit: Exit) {
        let container = self.table.lock().by_key(key);
        if let Some(container) = container {
            container.end(exit);
        }
    }

    /// The kernel's report that the last descriptor of a container was closed.
    pub fn closed(&self, container: &Container<P>) {
        if container.flags().contains(CreateFlags::KILL_ON_CLOSE) {
            // The only refusal is that there is nothing left to kill.
            let _ = self.kill(container, Signal::SIGKILL);
        }
    }
}
