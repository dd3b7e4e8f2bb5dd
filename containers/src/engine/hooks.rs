//! Hooks: programs that the configuration wants run around the container's life (runtime-spec, config.md#posix-platform-hooks).

use alloc::string::String;

use super::container::{Container, ContainerKey};
use super::parts::Parts;
use super::{Error, HookPlace, Platform, Program, Step, Viewer};
use crate::config::{Hook, HookKind};
use crate::{ContainerId, Status};

/// A hook to run.
#[derive(Clone, Copy, Debug)]
pub struct HookRun<'a> {
    /// The container that it is run for.
    pub key: ContainerKey,
    /// The container's id.
    pub id: &'a ContainerId,
    /// The moment.
    pub kind: HookKind,
    /// What to run.
    pub hook: &'a Hook,
    /// The container's state as JSON, for its standard input.
    pub state: &'a str,
}

impl<P: Platform> Container<P> {
    /// Runs the hooks of one moment in order; the first that fails ends it.
    pub(super) async fn run_hooks(&self, parts: &Parts<P>, kind: HookKind) -> Result<(), Error> {
        let config = self.config();
        let (Some(runtime), false) = (self.runtime(), config.hooks.of(kind).is_empty()) else { return Ok(()) };
        self.begin_hooks();
        let runtime = &*runtime;
        let place = || match kind {
            HookKind::CreateContainer => HookPlace::Create(parts.house()),
            HookKind::StartContainer => {
                HookPlace::Start(parts.house(), Program { process: &config.process, seccomp: &config.seccomp })
            }
            _ => HookPlace::Runtime,
        };
        let (status, viewer) = match kind {
            HookKind::Prestart | HookKind::CreateRuntime => (Status::Creating, Viewer::Runtime(runtime)),
            HookKind::CreateContainer => (Status::Creating, Viewer::Itself),
            HookKind::StartContainer => (Status::Created, Viewer::Itself),
            HookKind::Poststart => (Status::Running, Viewer::Runtime(runtime)),
            HookKind::Poststop => (Status::Stopped, Viewer::Runtime(runtime)),
        };
        for hook in config.hooks.of(kind) {
            let pid = parts.platform().process_id(parts.process(), viewer);
            let state = self.state_document(status, pid);
            let run = HookRun { key: self.key(), id: self.id(), kind, hook, state: &state };
            let outcome = parts.platform().run_hook(runtime, place(), run).await;
            outcome.map_err(|error| error.operand(String::from(hook.path.as_str())).at(Step::Hook(kind)))?;
        }
        Ok(())
    }

    /// Runs the poststop hooks. One that fails is the platform's to log; the others still run.
    pub(super) async fn run_poststop_hooks(&self, platform: &P) {
        let Some(runtime) = self.runtime() else { return };
        for hook in &self.config().hooks.poststop {
            let state = self.state_document(Status::Stopped, 0);
            let run = HookRun { key: self.key(), id: self.id(), kind: HookKind::Poststop, hook, state: &state };
            // The specification: a failure is a warning, and the operation goes on as if it had succeeded.
            let _ = platform.run_hook(&runtime, HookPlace::Runtime, run).await;
        }
    }
}
