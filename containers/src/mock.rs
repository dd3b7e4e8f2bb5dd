//! A platform in memory: deterministic, comparable, and able to fail at any call.
//!
//! Owns a [`World`] of what was built and the list of calls that built it. For tests of the engine, and of
//! whoever embeds it; calls no one.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use spin::Mutex;

use crate::abi::{Errno, Stats, WaitStatus};
use crate::config::{Device, Mount, Resources, Root};
use crate::engine::{
    ContainerKey, Error, Exit, HookPlace, HookRun, House, NamespaceRequest, Platform, Program, Viewer,
};
use crate::{ContainerId, NamespaceSet, Signal};

/// Everything that exists. Two worlds are equal if nothing was leaked and nothing lost between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Bytes of kernel memory charged to callers.
    pub charged: usize,
    /// Cgroups: the id they were made for, their limits, and whether they are frozen.
    pub cgroups: BTreeMap<u32, MockCgroup>,
    /// Sets of namespaces.
    pub namespaces: BTreeMap<u32, MockNamespaces>,
    /// Open root directories, by path.
    pub roots: BTreeMap<u32, String>,
    /// Processes.
    pub processes: BTreeMap<u32, MockProcess>,
}

/// A cgroup in the mock's world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MockCgroup {
    /// The id it was made for.
    pub id: String,
    /// Its limits: what create gave and each update after it.
    pub resources: Vec<Resources>,
    /// Whether it is frozen.
    pub frozen: bool,
}

/// A set of namespaces in the mock's world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MockNamespaces {
    /// The kinds that are new.
    pub new: NamespaceSet,
    /// Names, variables, nodes, read-only and hidden paths, in the order in which they were set.
    pub set: Vec<String>,
    /// What was mounted, in order.
    pub mounts: Vec<Mount>,
    /// The root, once it was changed, and whether it is read-only.
    pub root: Option<(u32, bool)>,
}

/// A process in the mock's world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockProcess {
    /// Its container.
    pub key: ContainerKey,
    /// The cgroup, the namespaces and the root it lives in.
    pub house: (u32, u32, Option<u32>),
    /// Its arguments; none before it is loaded.
    pub args: Vec<String>,
    /// Whether it is made, held, runs, or has ended.
    pub phase: MockPhase,
    /// The signals it was sent, in order.
    pub signals: Vec<Signal>,
}

/// Where a process of the mock's world stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockPhase {
    /// Without a program.
    Made,
    /// Held before its first instruction.
    Held,
    /// Let go.
    Running,
    /// Ended.
    Ended,
}

/// What the mock hands out: the number of a thing in its world.
#[derive(Debug)]
pub struct Handle(u32);

/// A charge; its drop gives it back.
pub struct MockCharge {
    state: alloc::sync::Arc<Mutex<State>>,
    bytes: usize,
}

impl Drop for MockCharge {
    fn drop(&mut self) {
        self.state.lock().world.charged -= self.bytes;
    }
}

/// The platform in memory.
#[derive(Default)]
pub struct Mock(alloc::sync::Arc<Mutex<State>>);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct State {
    world: World,
    calls: Vec<String>,
    /// How many more calls that can fail will succeed; then one fails.
    fail_after: Option<usize>,
    waits: bool,
    last_handle: u32,
    exits: Vec<(ContainerKey, Exit)>,
    spawned: Vec<Work>,
}

/// The error with which the mock fails a call.
pub const FAILURE: Errno = Errno::EIO;

impl Mock {
    /// A copy of the world as it is.
    #[must_use]
    pub fn world(&self) -> World {
        self.0.lock().world.clone()
    }

    /// The calls since the last time this was asked, each with its operand.
    #[must_use]
    pub fn take_calls(&self) -> Vec<String> {
        core::mem::take(&mut self.0.lock().calls)
    }

    /// Fails one call, with [`FAILURE`], after `successes` more that could have failed; `None` fails none.
    pub fn fail_after(&self, successes: Option<usize>) {
        self.0.lock().fail_after = successes;
    }

    /// Whether the failure that was asked for is still to come.
    #[must_use]
    pub fn failure_is_due(&self) -> bool {
        self.0.lock().fail_after.is_some()
    }

    /// Makes every operation wait once before it does anything, so that a test can drop its future there.
    pub fn wait_once(&self, waits: bool) {
        self.0.lock().waits = waits;
    }

    /// Ends a container's process. The end is reported by whoever takes it from [`take_exits`](Self::take_exits).
    pub fn end(&self, key: ContainerKey, status: WaitStatus) {
        let mut state = self.0.lock();
        let mut ended = false;
        for process in state.world.processes.values_mut().filter(|process| process.key == key) {
            ended |= process.phase != MockPhase::Ended;
            process.phase = MockPhase::Ended;
        }
        if ended {
            let exit = Exit { status, oom_killed: false, memory_peak: 4096, tasks_peak: 1, user_ns: 2, system_ns: 3 };
            state.exits.push((key, exit));
        }
    }

    /// The ends that the engine was not told of yet.
    #[must_use]
    pub fn take_exits(&self) -> Vec<(ContainerKey, Exit)> {
        core::mem::take(&mut self.0.lock().exits)
    }

    /// The work that was handed over, to be driven to its end.
    #[must_use]
    pub fn take_spawned(&self) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
        core::mem::take(&mut self.0.lock().spawned)
    }

    /// Records a call that cannot fail.
    fn record(&self, call: &str, operand: &dyn core::fmt::Debug) {
        self.0.lock().calls.push(format!("{call} {operand:?}"));
    }

    /// Records a call, and fails it if its turn has come.
    fn attempt(&self, call: &str, operand: &dyn core::fmt::Debug) -> Result<(), Error> {
        self.record(call, operand);
        let mut state = self.0.lock();
        match state.fail_after {
            Some(0) => {
                state.fail_after = None;
                Err(Error::new(FAILURE))
            }
            Some(successes) => {
                state.fail_after = Some(successes - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// [`attempt`](Self::attempt) that may wait first.
    async fn operation(&self, call: &str, operand: &(dyn core::fmt::Debug + Sync)) -> Result<(), Error> {
        let mut waits = self.0.lock().waits;
        poll_fn(|context| {
            if core::mem::take(&mut waits) {
                context.waker().wake_by_ref();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        self.attempt(call, operand)
    }

    fn new_handle(&self) -> u32 {
        let mut state = self.0.lock();
        state.last_handle += 1;
        state.last_handle
    }

    fn with_namespaces(&self, namespaces: &Handle, change: impl FnOnce(&mut MockNamespaces)) {
        let mut state = self.0.lock();
        change(state.world.namespaces.get_mut(&namespaces.0).expect("the namespaces exist"));
    }

    fn with_cgroup(&self, cgroup: &Handle, change: impl FnOnce(&mut MockCgroup)) {
        let mut state = self.0.lock();
        change(state.world.cgroups.get_mut(&cgroup.0).expect("the cgroup exists"));
    }

    fn with_process<R>(&self, process: &Handle, change: impl FnOnce(&mut MockProcess) -> R) -> R {
        let mut state = self.0.lock();
        change(state.world.processes.get_mut(&process.0).expect("the process exists"))
    }

    fn add_process(&self, key: ContainerKey, house: House<'_, Self>) -> Handle {
        let handle = self.new_handle();
        let made = MockProcess {
            key,
            house: (house.cgroup.0, house.namespaces.0, house.root.map(|root| root.0)),
            args: Vec::new(),
            phase: MockPhase::Made,
            signals: Vec::new(),
        };
        self.0.lock().world.processes.insert(handle, made);
        Handle(handle)
    }
}

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
