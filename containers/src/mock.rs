//! A platform in memory: deterministic, comparable, and able to fail at any call.
//!
//! Owns a [`World`] of what was built and the list of calls that built it. For tests of the engine, and of
//! whoever embeds it; calls no one.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;
use spin::Mutex;

use crate::abi::{Errno, WaitStatus};
use crate::config::{self, Mount, Process, Resources};
use crate::engine::{ContainerKey, Error, Exit, Housing, Platform};
use crate::{ContainerId, NamespaceSet, Signal};

/// Everything that exists. Two worlds are equal if nothing was leaked and nothing lost between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Cgroups: the id they were made for, and their limits.
    pub cgroups: BTreeMap<u32, (String, Resources)>,
    /// Sets of namespaces.
    pub namespaces: BTreeMap<u32, MockNamespaces>,
    /// Open root directories, by path.
    pub roots: BTreeMap<u32, String>,
    /// Processes.
    pub processes: BTreeMap<u32, MockProcess>,
}

/// A set of namespaces in the mock's world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MockNamespaces {
    /// The kinds that are new.
    pub new: NamespaceSet,
    /// The host name, if it was set.
    pub hostname: Option<String>,
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
    pub housing: (u32, u32, Option<u32>),
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether it is held, runs, or has ended.
    pub phase: MockPhase,
    /// The signals it was sent, in order.
    pub signals: Vec<Signal>,
}

/// Where a process of the mock's world stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockPhase {
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

/// The platform in memory.
#[derive(Default)]
pub struct Mock(Mutex<State>);

#[derive(Default)]
struct State {
    world: World,
    calls: Vec<String>,
    /// How many more calls that can fail will succeed; then one fails.
    fail_after: Option<usize>,
    waits: bool,
    last_handle: u32,
    exits: Vec<(ContainerKey, Exit)>,
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
        let found = state.world.processes.values_mut().find(|process| process.key == key);
        if let Some(process) = found.filter(|process| process.phase != MockPhase::Ended) {
            process.phase = MockPhase::Ended;
            state.exits.push((key, Exit { status, oom_killed: false, memory_peak: 4096, tasks_peak: 1 }));
        }
    }

    /// The ends that the engine was not told of yet.
    #[must_use]
    pub fn take_exits(&self) -> Vec<(ContainerKey, Exit)> {
        core::mem::take(&mut self.0.lock().exits)
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
}

impl Platform for Mock {
    type Caller = ();
    type Directory = ();
    type Cgroup = Handle;
    type Namespaces = Handle;
    type Root = Handle;
    type Process = Handle;

    async fn create_cgroup(&self, (): &(), id: &ContainerId, limits: &Resources) -> Result<Handle, Error> {
        self.operation("create_cgroup", id).await?;
        let handle = self.new_handle();
        let taken = self.0.lock().world.cgroups.insert(handle, (id.to_string(), limits.clone()));
        assert_eq!(taken, None);
        Ok(Handle(handle))
    }

    async fn create_namespaces(&self, (): &(), _: &Handle, new: NamespaceSet) -> Result<Handle, Error> {
        self.operation("create_namespaces", &new.bits()).await?;
        let handle = self.new_handle();
        let made = MockNamespaces { new, ..MockNamespaces::default() };
        self.0.lock().world.namespaces.insert(handle, made);
        Ok(Handle(handle))
    }

    async fn set_hostname(&self, namespaces: &Handle, hostname: &str) -> Result<(), Error> {
        self.operation("set_hostname", &hostname).await?;
        self.with_namespaces(namespaces, |set| {
            assert!(set.new.contains(NamespaceSet::UTS));
            set.hostname = Some(hostname.to_string());
        });
        Ok(())
    }

    async fn open_root(&self, (): &(), namespaces: &Handle, (): &(), path: &str) -> Result<Handle, Error> {
        self.operation("open_root", &path).await?;
        self.with_namespaces(namespaces, |set| assert!(set.new.contains(NamespaceSet::MOUNT)));
        let handle = self.new_handle();
        self.0.lock().world.roots.insert(handle, path.to_string());
        Ok(Handle(handle))
    }

    async fn mount(&self, (): &(), namespaces: &Handle, _: &Handle, (): &(), mount: &Mount) -> Result<(), Error> {
        self.operation("mount", &mount.destination).await?;
        self.with_namespaces(namespaces, |set| set.mounts.push(mount.clone()));
        Ok(())
    }

    async fn pivot_root(&self, namespaces: &Handle, root: &Handle, settings: &config::Root) -> Result<(), Error> {
        self.operation("pivot_root", &settings.readonly).await?;
        self.with_namespaces(namespaces, |set| set.root = Some((root.0, settings.readonly)));
        Ok(())
    }

    async fn load_process(
        &self,
        (): &(),
        key: ContainerKey,
        housing: Housing<'_, Self>,
        process: &Process,
    ) -> Result<Handle, Error> {
        self.operation("load_process", &process.args).await?;
        let handle = self.new_handle();
        let made = MockProcess {
            key,
            housing: (housing.cgroup.0, housing.namespaces.0, housing.root.map(|root| root.0)),
            args: process.args.clone(),
            phase: MockPhase::Held,
            signals: Vec::new(),
        };
        self.0.lock().world.processes.insert(handle, made);
        Ok(Handle(handle))
    }

    async fn start_process(&self, process: &Handle) -> Result<(), Error> {
        self.operation("start_process", process).await?;
        let mut state = self.0.lock();
        let process = state.world.processes.get_mut(&process.0).expect("the process exists");
        if process.phase == MockPhase::Ended {
            return Err(Error::new(Errno::ESRCH));
        }
        assert_eq!(process.phase, MockPhase::Held);
        process.phase = MockPhase::Running;
        Ok(())
    }

    fn signal_process(&self, process: &Handle, signal: Signal) -> Result<(), Error> {
        self.attempt("signal_process", &signal)?;
        let key = {
            let mut state = self.0.lock();
            let process = state.world.processes.get_mut(&process.0).expect("the process exists");
            if process.phase == MockPhase::Ended {
                return Err(Error::new(Errno::ESRCH));
            }
            process.signals.push(signal);
            process.key
        };
        if signal == Signal::SIGKILL {
            self.end(key, WaitStatus::Signaled(signal));
        }
        Ok(())
    }

    fn process_id(&self, process: &Handle, (): &()) -> u32 {
        process.0
    }

    fn discard_process(&self, process: Handle) {
        self.record("discard_process", &process);
        let removed = self.0.lock().world.processes.remove(&process.0);
        assert!(removed.is_some());
    }

    fn close_root(&self, root: Handle) {
        self.record("close_root", &root);
        let mut state = self.0.lock();
        assert!(state.world.processes.values().all(|process| process.housing.2 != Some(root.0)));
        assert!(state.world.roots.remove(&root.0).is_some());
    }

    fn remove_namespaces(&self, namespaces: Handle) {
        self.record("remove_namespaces", &namespaces);
        let mut state = self.0.lock();
        assert!(state.world.processes.values().all(|process| process.housing.1 != namespaces.0));
        assert!(state.world.namespaces.remove(&namespaces.0).is_some());
    }

    fn remove_cgroup(&self, cgroup: Handle) {
        self.record("remove_cgroup", &cgroup);
        let mut state = self.0.lock();
        assert!(state.world.processes.values().all(|process| process.housing.0 != cgroup.0));
        assert!(state.world.cgroups.remove(&cgroup.0).is_some());
    }
}
