//! The operations of the mock: each is recorded, may fail or wait, and changes the world.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Handle, Mock, MockCgroup, MockCharge, MockNamespaces, MockPhase, Work};
use crate::abi::{Errno, Stats, WaitStatus};
use crate::config::{Device, Mount, Resources, Root};
use crate::engine::{ContainerKey, Error, HookPlace, HookRun, House, NamespaceRequest, Platform, Program, Viewer};
use crate::keys::KeyId;
use crate::{ContainerId, NamespaceSet, Signal};

impl Platform for Mock {
    /// The container that the caller is in.
    type Caller = Option<ContainerKey>;
    type Directory = ();
    type Runtime = ();
    type Charge = MockCharge;
    type Cgroup = Handle;
    type Namespaces = Handle;
    type Root = Handle;
    type Process = Handle;
    type Guest = Handle;

    fn enforces(&self, key: KeyId, word: &str) -> bool {
        let state = self.0.lock();
        state.unenforced.is_none_or(|(refused, refused_word)| (refused, refused_word) != (key, word))
    }

    fn container_of(&self, caller: &Option<ContainerKey>) -> Option<ContainerKey> {
        *caller
    }

    fn user_of(&self, _: &Option<ContainerKey>) -> u32 {
        1000
    }

    fn sees(&self, _: &Option<ContainerKey>, _: &Handle) -> bool {
        true
    }

    fn now(&self) -> u64 {
        951_782_400_000_000_000
    }

    fn charge(&self, _: &Option<ContainerKey>, bytes: usize) -> Result<MockCharge, Error> {
        self.attempt("charge", &(bytes > 4096))?;
        self.0.lock().world.charged += bytes;
        Ok(MockCharge { state: self.0.clone(), bytes })
    }

    fn runtime_of(&self, _: &Option<ContainerKey>) {}

    fn spawn(&self, future: Work) {
        self.0.lock().spawned.push(future);
    }

    async fn create_cgroup(
        &self,
        _: &Option<ContainerKey>,
        id: &ContainerId,
        _: Option<&str>,
        resources: &Resources,
    ) -> Result<Handle, Error> {
        self.operation("create_cgroup", id).await?;
        let handle = self.new_handle();
        let made = MockCgroup { id: id.to_string(), resources: Vec::from([resources.clone()]), frozen: false };
        self.0.lock().world.cgroups.insert(handle, made);
        Ok(Handle(handle))
    }

    async fn create_namespaces(
        &self,
        _: &Option<ContainerKey>,
        _: &Handle,
        request: NamespaceRequest<'_>,
    ) -> Result<Handle, Error> {
        self.operation("create_namespaces", &request.namespaces.new.bits()).await?;
        let handle = self.new_handle();
        let made = MockNamespaces { new: request.namespaces.new, ..MockNamespaces::default() };
        self.0.lock().world.namespaces.insert(handle, made);
        Ok(Handle(handle))
    }

    async fn set_names(&self, namespaces: &Handle, host: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
        self.operation("set_names", &(host, domain)).await?;
        self.with_namespaces(namespaces, |made| {
            assert!(made.new.contains(NamespaceSet::UTS));
            made.set.push(format!("names {host:?} {domain:?}"));
        });
        Ok(())
    }

    async fn set_sysctl(&self, namespaces: &Handle, name: &str, value: &str) -> Result<(), Error> {
        self.operation("set_sysctl", &name).await?;
        self.with_namespaces(namespaces, |made| made.set.push(format!("{name}={value}")));
        Ok(())
    }

    async fn open_root(
        &self,
        _: &Option<ContainerKey>,
        namespaces: &Handle,
        (): &(),
        path: &str,
    ) -> Result<Handle, Error> {
        self.operation("open_root", &path).await?;
        self.with_namespaces(namespaces, |made| assert!(made.new.contains(NamespaceSet::MOUNT)));
        let handle = self.new_handle();
        self.0.lock().world.roots.insert(handle, path.to_string());
        Ok(Handle(handle))
    }

    async fn mount(
        &self,
        _: &Option<ContainerKey>,
        house: House<'_, Self>,
        (): &(),
        mount: &Mount,
    ) -> Result<(), Error> {
        self.operation("mount", &mount.destination).await?;
        self.with_namespaces(house.namespaces, |made| made.mounts.push(mount.clone()));
        Ok(())
    }

    async fn make_device(
        &self,
        _: &Option<ContainerKey>,
        house: House<'_, Self>,
        device: &Device,
    ) -> Result<(), Error> {
        self.operation("make_device", &device.path).await?;
        self.with_namespaces(house.namespaces, |made| made.set.push(format!("device {}", device.path)));
        Ok(())
    }

    async fn create_process(
        &self,
        _: &Option<ContainerKey>,
        key: ContainerKey,
        house: House<'_, Self>,
    ) -> Result<Handle, Error> {
        self.operation("create_process", &house.cgroup.0).await?;
        Ok(self.add_process(key, house))
    }

    async fn run_hook(&self, (): &(), place: HookPlace<'_, Self>, run: HookRun<'_>) -> Result<(), Error> {
        let place = match place {
            HookPlace::Runtime => "runtime",
            HookPlace::Create(_) => "create",
            HookPlace::Start(..) => "start",
        };
        let status = run.state.split("\"status\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let told = format!("{} {} in {place}, {}", run.kind.name(), run.hook.path, status.unwrap_or_default());
        self.operation("run_hook", &told).await
    }

    async fn pivot_root(&self, house: House<'_, Self>, root: &Root) -> Result<(), Error> {
        self.operation("pivot_root", &root.readonly).await?;
        let handle = house.root.expect("a root").0;
        self.with_namespaces(house.namespaces, |made| made.root = Some((handle, root.readonly)));
        Ok(())
    }

    async fn mask_path(&self, house: House<'_, Self>, path: &str) -> Result<(), Error> {
        self.operation("mask_path", &path).await?;
        self.with_namespaces(house.namespaces, |made| made.set.push(format!("masked {path}")));
        Ok(())
    }

    async fn protect_path(&self, house: House<'_, Self>, path: &str) -> Result<(), Error> {
        self.operation("protect_path", &path).await?;
        self.with_namespaces(house.namespaces, |made| made.set.push(format!("read-only {path}")));
        Ok(())
    }

    async fn load_process(
        &self,
        _: &Option<ContainerKey>,
        _: House<'_, Self>,
        process: &Handle,
        program: Program<'_>,
    ) -> Result<(), Error> {
        self.operation("load_process", &program.process.args).await?;
        self.with_process(process, |process| {
            assert_eq!(process.phase, MockPhase::Made);
            process.args.clone_from(&program.process.args);
            process.phase = MockPhase::Held;
        });
        Ok(())
    }

    async fn exec_process(
        &self,
        _: &Option<ContainerKey>,
        key: ContainerKey,
        house: House<'_, Self>,
        _: &Handle,
        program: Program<'_>,
    ) -> Result<Handle, Error> {
        self.operation("exec_process", &program.process.args).await?;
        let handle = self.add_process(key, house);
        self.with_process(&handle, |process| {
            process.args.clone_from(&program.process.args);
            process.phase = MockPhase::Running;
        });
        Ok(handle)
    }

    async fn start_process(&self, process: &Handle) -> Result<(), Error> {
        self.operation("start_process", process).await?;
        self.with_process(process, |process| match process.phase {
            MockPhase::Held => {
                process.phase = MockPhase::Running;
                Ok(())
            }
            MockPhase::Ended => Err(Error::new(Errno::ESRCH)),
            phase => panic!("start of a process that is {phase:?}"),
        })
    }

    async fn freeze(&self, cgroup: &Handle) -> Result<(), Error> {
        self.operation("freeze", cgroup).await?;
        self.with_cgroup(cgroup, |cgroup| cgroup.frozen = true);
        Ok(())
    }

    async fn thaw(&self, cgroup: &Handle) -> Result<(), Error> {
        self.operation("thaw", cgroup).await?;
        self.with_cgroup(cgroup, |cgroup| cgroup.frozen = false);
        Ok(())
    }

    async fn update_cgroup(&self, cgroup: &Handle, resources: &Resources) -> Result<(), Error> {
        self.operation("update_cgroup", cgroup).await?;
        self.with_cgroup(cgroup, |cgroup| cgroup.resources.push(resources.clone()));
        Ok(())
    }

    fn stats(&self, cgroup: &Handle) -> Stats {
        Stats { pids_current: u64::from(cgroup.0), ..Stats::default() }
    }

    fn signal_process(&self, process: &Handle, signal: Signal) -> Result<(), Error> {
        self.attempt("signal_process", &signal)?;
        let key = self.with_process(process, |process| {
            if process.phase == MockPhase::Ended {
                return Err(Error::new(Errno::ESRCH));
            }
            process.signals.push(signal);
            Ok(process.key)
        })?;
        if signal == Signal::SIGKILL {
            self.end(key, WaitStatus::Signaled(signal));
        }
        Ok(())
    }

    fn process_id(&self, process: &Handle, viewer: Viewer<'_, Self>) -> u32 {
        match viewer {
            Viewer::Itself => 1,
            Viewer::Caller(_) | Viewer::Runtime(()) => process.0,
        }
    }

    fn discard_process(&self, process: Handle) {
        self.record("discard_process", &process);
        let removed = self.0.lock().world.processes.remove(&process.0);
        assert!(removed.is_some());
        // Processes that were added end with the first one.
        let key = removed.map(|process| process.key);
        self.0.lock().world.processes.retain(|_, other| Some(other.key) != key);
    }

    fn close_root(&self, root: Handle) {
        self.record("close_root", &root);
        let mut state = self.0.lock();
        assert!(state.world.processes.values().all(|process| process.house.2 != Some(root.0)));
        assert!(state.world.roots.remove(&root.0).is_some());
    }

    fn remove_namespaces(&self, namespaces: Handle) {
        self.record("remove_namespaces", &namespaces);
        let mut state = self.0.lock();
        assert!(state.world.processes.values().all(|process| process.house.1 != namespaces.0));
        assert!(state.world.namespaces.remove(&namespaces.0).is_some());
    }

    fn remove_cgroup(&self, cgroup: Handle) {
        self.record("remove_cgroup", &cgroup);
        let mut state = self.0.lock();
        assert!(state.world.processes.values().all(|process| process.house.0 != cgroup.0));
        assert!(state.world.cgroups.remove(&cgroup.0).is_some());
    }
}
