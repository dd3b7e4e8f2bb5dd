//! A platform in memory: deterministic, comparable, and able to fail at any call.
//!
//! Owns a [`World`] of what was built and the list of calls that built it. For tests of the engine, and of
//! whoever embeds it; calls no one.

mod platform;
mod world;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use spin::Mutex;

pub use self::world::{MockCgroup, MockNamespaces, MockPhase, MockProcess, World};
use crate::abi::{Errno, WaitStatus};
use crate::engine::{ContainerKey, Error, Exit, House};
use crate::keys::KeyId;

/// What the mock hands out: the number of a thing in its world.
#[derive(Debug)]
pub struct Handle(u32);

/// A charge; its drop gives it back.
pub struct MockCharge {
    state: Arc<Mutex<State>>,
    bytes: usize,
}

impl Drop for MockCharge {
    fn drop(&mut self) {
        self.state.lock().world.charged -= self.bytes;
    }
}

/// The platform in memory.
#[derive(Default)]
pub struct Mock(Arc<Mutex<State>>);

/// Work that was handed over with `spawn`.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct State {
    world: World,
    calls: Vec<String>,
    /// How many more calls that can fail will succeed; then one fails.
    fail_after: Option<usize>,
    waits: bool,
    /// What it does not enforce.
    unenforced: Option<(KeyId, &'static str)>,
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

    /// Enforces all but this key, or this word of it.
    pub fn enforce_all_but(&self, key: KeyId, word: &'static str) {
        self.0.lock().unenforced = Some((key, word));
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
    pub fn take_spawned(&self) -> Vec<Work> {
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
