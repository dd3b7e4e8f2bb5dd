//! What is done with a container between its start and its end.

use alloc::string::String;

use super::container::Container;
use super::lifecycle::Event;
use super::{Engine, Error, Platform, Program};
use crate::Signal;
use crate::abi::Stats;
use crate::config::{Process, Resources};

/// What exec is given.
pub struct ExecRequest<'a, P: Platform> {
    /// What to run, and as whom.
    pub process: &'a Process,
    /// Who asks.
    pub caller: &'a P::Caller,
}

impl<P: Platform> Engine<P> {
    /// Sends a signal to the container's process. It also reaches a paused one; but for SIGKILL it takes effect when
    /// that is resumed.
    ///
    /// # Errors
    /// ESRCH unless it is `created`, `running` or `paused`.
    pub fn kill(&self, container: &Container<P>, signal: Signal) -> Result<(), Error> {
        let parts = container.request(Event::SignalRequested)?;
        self.platform().signal_process(parts.process(), signal).map_err(|error| of(container, error))
    }

    /// Freezes all processes of a running container; ready when none runs any more.
    ///
    /// # Errors
    /// EINVAL unless it is `running`; the platform's error, and it runs on. So it does if the future is dropped.
    pub async fn pause(&self, container: &Container<P>) -> Result<(), Error> {
        let parts = container.request(Event::PauseRequested)?;
        let mut settling = Settling { container, outcome: Event::PauseFailed };
        self.platform().freeze(parts.cgroup()).await.map_err(|error| of(container, error))?;
        settling.outcome = Event::Paused;
        Ok(())
    }

    /// Lets the processes of a paused container run again.
    ///
    /// # Errors
    /// EINVAL unless it is `paused`; the platform's error, and it stays so. So it does if the future is dropped.
    pub async fn resume(&self, container: &Container<P>) -> Result<(), Error> {
        let parts = container.request(Event::ResumeRequested)?;
        let mut settling = Settling { container, outcome: Event::ResumeFailed };
        self.platform().thaw(parts.cgroup()).await.map_err(|error| of(container, error))?;
        settling.outcome = Event::Resumed;
        Ok(())
    }

    /// Makes a further process in a running container, as a child of the caller; it is held before its first instruction.
    ///
    /// # Errors
    /// EINVAL unless it is `running` (a paused one included), and if the process asks for what the platform does not
    /// enforce; else the platform's error, and nothing has changed.
    pub async fn exec(&self, container: &Container<P>, request: ExecRequest<'_, P>) -> Result<P::Guest, Error> {
        let parts = container.request(Event::ExecRequested)?;
        let ExecRequest { process, caller } = request;
        self.check(process.demands())?;
        let program = Program { process, seccomp: &container.config().seccomp };
        let made = self.platform().exec_process(caller, container.key(), parts.house(), parts.process(), program).await;
        made.map_err(|error| error.operand(String::from(process.args.first().map_or("", String::as_str))))
    }

    /// Sets new limits, all that are given or none.
    ///
    /// # Errors
    /// EINVAL while it is being created or deleted, for limits that cannot be and for those that the platform does not
    /// enforce; EBUSY for limits below what is in use, where the kernel refuses those.
    pub async fn update(&self, container: &Container<P>, resources: &Resources) -> Result<(), Error> {
        let parts = container.request(Event::LimitsRequested)?;
        self.check(resources.demands())?;
        self.platform().update_cgroup(parts.cgroup(), resources).await.map_err(|error| of(container, error))
    }

    /// What it uses and what it may use.
    ///
    /// # Errors
    /// EINVAL while it is being created or deleted.
    pub fn stats(&self, container: &Container<P>) -> Result<Stats, Error> {
        let parts = container.request(Event::LimitsRequested)?;
        Ok(self.platform().stats(parts.cgroup()))
    }
}

fn of<P: Platform>(container: &Container<P>, error: Error) -> Error {
    error.operand(String::from(container.id().as_str()))
}

/// Tells the lifecycle how an operation that waits has ended: by its drop, which comes also if it was given up.
struct Settling<'a, P: Platform> {
    container: &'a Container<P>,
    outcome: Event,
}

impl<P: Platform> Drop for Settling<'_, P> {
    fn drop(&mut self) {
        self.container.apply(self.outcome);
    }
}
