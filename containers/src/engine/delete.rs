//! Delete: what is inside goes first, then all that create made, then the poststop hooks run.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use super::container::Container;
use super::lifecycle::Event;
use super::parts::Parts;
use super::persistent::{self, Persistent};
use super::{Engine, Error, Platform};
use crate::Signal;
use crate::abi::{CreateFlags, DeleteFlags, Errno};

impl<P: Platform> Engine<P> {
    /// Deletes a stopped container: the containers in it are deleted, all that create made is given back, the
    /// poststop hooks run (one that fails stops nothing), and its id is free. Once begun it goes on to its end, also
    /// if the future is dropped.
    ///
    /// With [`DeleteFlags::FORCE`] a container that is not stopped is killed first, and its end awaited.
    ///
    /// # Errors
    /// EBUSY unless it is `stopped` or forced, and while it is being created, started or deleted by another;
    /// ENOENT if it was deleted already.
    pub async fn delete(&self, container: &Arc<Container<P>>, flags: DeleteFlags) -> Result<(), Error> {
        if flags.contains(DeleteFlags::FORCE)
            && let Ok(parts) = container.request(Event::SignalRequested)
        {
            let killed = self.platform().signal_process(parts.process(), Signal::SIGKILL);
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
        Persistent::new(self.platform_handle(), self.bury(Arc::clone(container), parts)).await;
        Ok(())
    }

    /// The kernel's report that a descriptor of a container was closed: after the last, with
    /// [`CreateFlags::KILL_ON_CLOSE`], it is killed and deleted.
    pub fn closed(&self, container: &Arc<Container<P>>) {
        if container.close() && container.flags().contains(CreateFlags::KILL_ON_CLOSE) {
            let (engine, container) = (self.clone(), Arc::clone(container));
            self.platform().spawn(Box::pin(async move {
                // The only refusal is that somebody deletes it already.
                let _ = engine.delete(&container, DeleteFlags::FORCE).await;
            }));
        }
    }

    /// What a granted delete does.
    fn bury(&self, container: Arc<Container<P>>, parts: Arc<Parts<P>>) -> persistent::Work {
        let engine = self.clone();
        Box::pin(async move {
            loop {
                let inner = engine.table().lock().next_after(Some(container.key()), 0);
                let Some(inner) = inner else { break };
                if engine.delete(&inner, DeleteFlags::FORCE).await.is_err() {
                    // Somebody else is at it: soon it is gone.
                    yield_once().await;
                }
            }
            // Another CPU may be inside `kill` or `state`, which hold the parts but never wait.
            while Arc::strong_count(&parts) > 1 {
                yield_once().await;
            }
            drop(parts);
            container.run_poststop_hooks(engine.platform()).await;
            engine.forget(&container);
        })
    }
}

/// Lets others run.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
