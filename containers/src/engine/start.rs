//! Start: the startContainer hooks, the process, the poststart hooks.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::container::Container;
use super::lifecycle::Event;
use super::persistent::{self, Persistent};
use super::{Engine, Error, Platform, Step};
use crate::abi::DeleteFlags;
use crate::config::HookKind;

impl<P: Platform> Engine<P> {
    /// Lets the process of a created container run, between its startContainer and its poststart hooks.
    ///
    /// # Errors
    /// EINVAL unless it is `created`; the platform's error, and it is as it was. Likewise if the future is dropped.
    /// But once a hook has been run, a failure (its own, or another) and a dropped future stop and delete the
    /// container, with its poststop hooks: the specification wants it so.
    pub async fn start(&self, container: &Arc<Container<P>>) -> Result<(), Error> {
        let parts = container.request(Event::StartRequested)?;
        let hooks = &container.config().hooks;
        let mut starting = Starting { engine: self, container: Some(container), released: false, hooks_begun: false };
        starting.hooks_begun = !hooks.start_container.is_empty();
        let mut outcome = container.run_hooks(&parts, HookKind::StartContainer).await;
        if outcome.is_ok() {
            let started = self.platform().start_process(parts.process()).await;
            outcome = started.map_err(|error| error.operand(String::from(container.id().as_str())).at(Step::Start));
        }
        if outcome.is_ok() {
            starting.released = true;
            container.apply(Event::Released);
            starting.hooks_begun |= !hooks.poststart.is_empty();
            outcome = container.run_hooks(&parts, HookKind::Poststart).await;
        }
        drop(parts);
        if outcome.is_err() && starting.hooks_begun {
            starting.disarm();
            Persistent::new(self.platform_handle(), self.abandon(container)).await;
        } else if outcome.is_ok() {
            starting.disarm();
        }
        outcome
    }

    /// Stops and deletes a container.
    fn abandon(&self, container: &Arc<Container<P>>) -> persistent::Work {
        let (engine, container) = (self.clone(), Arc::clone(container));
        Box::pin(async move {
            // Somebody else may have deleted it in the meantime; nothing else refuses this.
            let _ = engine.delete(&container, DeleteFlags::FORCE).await;
        })
    }
}

/// Ends the start: whatever is not settled when this is dropped, is not done.
struct Starting<'a, P: Platform> {
    engine: &'a Engine<P>,
    container: Option<&'a Arc<Container<P>>>,
    /// The process runs.
    released: bool,
    /// There is no way back to `created`.
    hooks_begun: bool,
}

impl<P: Platform> Starting<'_, P> {
    /// The start is over, one way or the other.
    fn disarm(&mut self) {
        if let Some(container) = self.container.take() {
            container.apply(if self.released { Event::Started } else { Event::StartFailed });
        }
    }
}

impl<P: Platform> Drop for Starting<'_, P> {
    fn drop(&mut self) {
        let Some(container) = self.container else { return };
        self.disarm();
        if self.hooks_begun {
            self.engine.platform().spawn(self.engine.abandon(container));
        }
    }
}
