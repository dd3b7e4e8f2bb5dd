//! Create: the steps, and what undoes them.

use alloc::string::String;
use alloc::sync::Arc;

use super::container::{Container, ContainerKey};
use super::{Engine, Error, Housing, Platform, Step};
use crate::ContainerId;
use crate::abi::CreateFlags;
use crate::config::Config;

/// What create is given.
pub struct CreateRequest<'a, P: Platform> {
    /// The id; it must be free.
    pub id: ContainerId,
    /// What to build.
    pub config: Config,
    /// Flags of the call.
    pub flags: CreateFlags,
    /// The bundle directory, held open.
    pub bundle: &'a P::Directory,
    /// Absolute path of the bundle, which the state reports. Nothing is looked up by it.
    pub bundle_path: String,
    /// Who asks.
    pub caller: &'a P::Caller,
}

impl<P: Platform> Engine<P> {
    /// Builds a container. When it is ready its process is loaded, and held before its first instruction.
    ///
    /// # Errors
    /// EEXIST if the id is taken, ENOMEM if the table cannot grow, else the platform's error with the step that
    /// failed. Everything is then as it was before, and so it is if the future is dropped before it is ready.
    pub async fn create(&self, request: CreateRequest<'_, P>) -> Result<Arc<Container<P>>, Error> {
        let CreateRequest { id, config, flags, bundle, bundle_path, caller } = request;
        let reserved = self.table.lock().reserve(id, |key, id| Container::new(key, id, flags, config, bundle_path));
        let container = reserved.map_err(|error| error.at(Step::Reserve))?;
        let mut reservation = Reservation { engine: self, key: Some(container.key()) };
        let parts = self.build(&container, bundle, caller).await?;
        container.built(parts);
        reservation.key = None;
        Ok(container)
    }

    /// The steps, in order. What is in `parts` when one fails is undone by its drop.
    async fn build(
        &self,
        container: &Container<P>,
        bundle: &P::Directory,
        caller: &P::Caller,
    ) -> Result<Parts<P>, Error> {
        let platform = &*self.platform;
        let config = container.config();
        let mut parts = Parts::new(Arc::clone(&self.platform));

        let cgroup = platform.create_cgroup(caller, container.id(), &config.resources).await;
        let cgroup = &*parts.cgroup.insert(cgroup.map_err(failed(Step::Cgroup, container.id().as_str()))?);

        let namespaces = platform.create_namespaces(caller, cgroup, config.namespaces.new).await;
        let namespaces = namespaces.map_err(failed(Step::Namespaces, container.id().as_str()))?;
        let namespaces = &*parts.namespaces.insert(namespaces);

        if let Some(hostname) = &config.hostname {
            platform.set_hostname(namespaces, hostname).await.map_err(failed(Step::Hostname, hostname))?;
        }

        if config.has_own_root() {
            let path = &config.root.path;
            let root = platform.open_root(caller, namespaces, bundle, path).await;
            let root = &*parts.root.insert(root.map_err(failed(Step::Root, path))?);
            for mount in &config.mounts {
                let mounted = platform.mount(caller, namespaces, root, bundle, mount).await;
                mounted.map_err(failed(Step::Mount, &mount.destination))?;
            }
            let pivoted = platform.pivot_root(namespaces, root, &config.root).await;
            pivoted.map_err(failed(Step::PivotRoot, path))?;
        }

        let housing = Housing { cgroup, namespaces, root: parts.root.as_ref() };
        let process = platform.load_process(caller, container.key(), housing, &config.process).await;
        parts.process = Some(process.map_err(failed(Step::Process, config.program()))?);
        Ok(parts)
    }
}

/// Names the operand, unless the platform did, and the step.
fn failed(step: Step, operand: &str) -> impl FnOnce(Error) -> Error + '_ {
    move |error| error.operand(String::from(operand)).at(step)
}

/// Frees the id again unless it is disarmed.
struct Reservation<'a, P: Platform> {
    engine: &'a Engine<P>,
    key: Option<ContainerKey>,
}

impl<P: Platform> Drop for Reservation<'_, P> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.engine.forget(key);
        }
    }
}

/// What the steps have built so far. Dropping it undoes them, the last first: this is the one place where a
/// container is taken down, be it half built or stopped.
pub(super) struct Parts<P: Platform> {
    platform: Arc<P>,
    cgroup: Option<P::Cgroup>,
    namespaces: Option<P::Namespaces>,
    root: Option<P::Root>,
    process: Option<P::Process>,
}

impl<P: Platform> Parts<P> {
    const fn new(platform: Arc<P>) -> Self {
        Self { platform, cgroup: None, namespaces: None, root: None, process: None }
    }

    /// The process of a container that is built.
    pub(super) fn process(&self) -> &P::Process {
        match &self.process {
            Some(process) => process,
            None => unreachable!("parts leave create only with a process"),
        }
    }
}

impl<P: Platform> Drop for Parts<P> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.platform.discard_process(process);
        }
        if let Some(root) = self.root.take() {
            self.platform.close_root(root);
        }
        if let Some(namespaces) = self.namespaces.take() {
            self.platform.remove_namespaces(namespaces);
        }
        if let Some(cgroup) = self.cgroup.take() {
            self.platform.remove_cgroup(cgroup);
        }
    }
}
