//! Create: the steps, and what undoes them.

use alloc::string::String;
use alloc::sync::Arc;
use spin::Mutex;

use super::container::{Container, Origin};
use super::parts::Parts;
use super::persistent::{self, Persistent};
use super::{Engine, Error, NamespaceRequest, Platform, Program, Step};
use crate::ContainerId;
use crate::abi::CreateFlags;
use crate::config::{Config, HookKind};

/// What create is given.
pub struct CreateRequest<'a, P: Platform> {
    /// The id; it must be free among the containers that are in the same one as the caller.
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
    /// Builds a container. When it is ready its process is loaded, and held before its first instruction; the
    /// prestart, createRuntime and createContainer hooks have run.
    ///
    /// # Errors
    /// EINVAL if the configuration asks for what the platform does not enforce, EEXIST if the id is taken, ENOMEM if the caller cannot pay for it, else the platform's error with the step that
    /// failed. Everything is then as it was before, and so it is if the future is dropped before it is ready. If a
    /// hook had been run by then, the poststop hooks run once everything is undone.
    pub async fn create(&self, request: CreateRequest<'_, P>) -> Result<Arc<Container<P>>, Error> {
        let CreateRequest { id, config, flags, bundle, bundle_path, caller } = request;
        let platform = self.platform();
        self.check(config.demands())?;
        let charge = platform.charge(caller, footprint(&config)).map_err(failed(Step::Reserve, id.as_str()))?;
        let runtime = (!config.hooks.is_empty()).then(|| Arc::new(platform.runtime_of(caller)));
        let origin = Origin {
            id,
            outer: platform.container_of(caller),
            flags,
            config,
            bundle: bundle_path,
            owner: platform.user_of(caller),
            created: platform.now(),
            runtime: Mutex::new(runtime),
            charge,
        };
        let reserved = self.table().lock().reserve(origin);
        let container = reserved.map_err(|error| error.at(Step::Reserve))?;
        let mut reservation = Reservation { engine: self, container: Some(container.clone()) };
        match self.build(&container, bundle, caller).await {
            Ok(parts) => {
                reservation.container = None;
                container.built(parts);
                Ok(container)
            }
            Err(error) => {
                reservation.container = None;
                if container.hooks_begun() {
                    Persistent::new(self.platform_handle(), self.farewell(container)).await;
                } else {
                    self.forget(&container);
                }
                Err(error)
            }
        }
    }

    /// The steps, in order. What is in `parts` when one fails is undone by its drop.
    async fn build(
        &self,
        container: &Container<P>,
        bundle: &P::Directory,
        caller: &P::Caller,
    ) -> Result<Parts<P>, Error> {
        let platform = self.platform();
        let config = container.config();
        let id = container.id().as_str();
        let mut parts = Parts::new(self.platform_handle());

        let path = config.cgroups_path.as_deref();
        let cgroup = platform.create_cgroup(caller, container.id(), path, &config.resources).await;
        parts.cgroup = Some(cgroup.map_err(failed(Step::Cgroup, id))?);

        let request = NamespaceRequest {
            namespaces: &config.namespaces,
            uid_mappings: &config.uid_mappings,
            gid_mappings: &config.gid_mappings,
            time_offsets: &config.time_offsets,
        };
        let namespaces = platform.create_namespaces(caller, parts.cgroup(), request).await;
        parts.namespaces = Some(namespaces.map_err(failed(Step::Namespaces, id))?);
        self.name(&parts, config).await?;
        if config.has_own_root() {
            self.furnish(&mut parts, config, bundle, caller).await?;
        }

        let process = platform.create_process(caller, container.key(), parts.house()).await;
        parts.process = Some(process.map_err(failed(Step::Process, config.program()))?);
        for kind in [HookKind::Prestart, HookKind::CreateRuntime, HookKind::CreateContainer] {
            container.run_hooks(&parts, kind).await?;
        }

        if config.has_own_root() {
            self.close_up(&parts, config).await?;
        }
        let program = Program { process: &config.process, seccomp: &config.seccomp };
        let loaded = platform.load_process(caller, parts.house(), parts.process(), program).await;
        loaded.map_err(failed(Step::Process, config.program()))?;
        Ok(parts)
    }

    /// Names and variables of the container's own namespaces.
    async fn name(&self, parts: &Parts<P>, config: &Config) -> Result<(), Error> {
        let namespaces = parts.house().namespaces;
        if let (host, domain @ Some(name)) | (host @ Some(name), domain) =
            (config.hostname.as_deref(), config.domainname.as_deref())
        {
            let named = self.platform().set_names(namespaces, host, domain).await;
            named.map_err(failed(Step::Names, name))?;
        }
        for (name, value) in &config.sysctl {
            let set = self.platform().set_sysctl(namespaces, name, value).await;
            set.map_err(failed(Step::Sysctl, name))?;
        }
        Ok(())
    }

    /// The root, its mounts and nodes.
    async fn furnish(
        &self,
        parts: &mut Parts<P>,
        config: &Config,
        bundle: &P::Directory,
        caller: &P::Caller,
    ) -> Result<(), Error> {
        let platform = self.platform();
        let path = &config.root.path;
        let root = platform.open_root(caller, parts.house().namespaces, bundle, path).await;
        parts.root = Some(root.map_err(failed(Step::Root, path))?);
        for mount in &config.mounts {
            let mounted = platform.mount(caller, parts.house(), bundle, mount).await;
            mounted.map_err(failed(Step::Mount, &mount.destination))?;
        }
        for device in &config.devices {
            let made = platform.make_device(caller, parts.house(), device).await;
            made.map_err(failed(Step::Device, &device.path))?;
        }
        Ok(())
    }

    /// The way out is closed, and what must not be seen or changed is covered.
    async fn close_up(&self, parts: &Parts<P>, config: &Config) -> Result<(), Error> {
        let platform = self.platform();
        let pivoted = platform.pivot_root(parts.house(), &config.root).await;
        pivoted.map_err(failed(Step::PivotRoot, &config.root.path))?;
        for path in &config.readonly_paths {
            let protected = platform.protect_path(parts.house(), path).await;
            protected.map_err(failed(Step::ReadonlyPath, path))?;
        }
        for path in &config.masked_paths {
            let masked = platform.mask_path(parts.house(), path).await;
            masked.map_err(failed(Step::MaskedPath, path))?;
        }
        Ok(())
    }

    /// What comes after a create that failed once a hook had been run: the poststop hooks; then the id is free.
    fn farewell(&self, container: Arc<Container<P>>) -> persistent::Work {
        let engine = self.clone();
        alloc::boxed::Box::pin(async move {
            container.run_poststop_hooks(engine.platform()).await;
            engine.forget(&container);
        })
    }
}

/// Names the operand, unless the platform did, and the step.
fn failed(step: Step, operand: &str) -> impl FnOnce(Error) -> Error + '_ {
    move |error| error.operand(String::from(operand)).at(step)
}

/// Frees the id again unless it is disarmed, after the poststop hooks if others were run.
struct Reservation<'a, P: Platform> {
    engine: &'a Engine<P>,
    container: Option<Arc<Container<P>>>,
}

impl<P: Platform> Drop for Reservation<'_, P> {
    fn drop(&mut self) {
        match self.container.take() {
            Some(container) if container.hooks_begun() => {
                let farewell = self.engine.farewell(container);
                self.engine.platform().spawn(farewell);
            }
            Some(container) => self.engine.forget(&container),
            None => {}
        }
    }
}

/// Bytes of kernel memory that a container's books may take: of its canonical text each byte costs up to
/// [`BYTES_FOR_EACH`] of heap, and all else fits [`BYTES_FIXED`].
const fn footprint(config: &Config) -> usize {
    BYTES_FIXED + BYTES_FOR_EACH * config.canonical_len()
}

/// A list's smallest items (an empty argument, say) take a line of a dozen bytes, and on the heap a string and its
/// place in a list that has grown to twice its need.
const BYTES_FOR_EACH: usize = 8;
/// The container itself, its places in the table, the platform's parts.
const BYTES_FIXED: usize = 4096;
