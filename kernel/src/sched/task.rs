//! A task: a future that the CPUs poll to its end, and its place in the tree of run queues.

use super::{
    WaitQueue,
    executor::{self, tree},
    group::Group,
    stat::Times,
    tree::{ALL_CPUS, CpuMask, TaskId},
    weight,
};
use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicI32, AtomicU8, AtomicU16, AtomicUsize, Ordering},
    task::{Context, Waker},
};
use veridian_hal::{clock, cpu, sync::SpinLock};

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that the CPUs poll to its end, in a group of tasks.
pub struct Task {
    id: TaskId,
    future: SpinLock<Option<TaskFuture>>,
    state: AtomicU8,
    /// Where it ran last.
    cpu: AtomicUsize,
    nice: AtomicI32,
    policy: SpinLock<Policy>,
    /// As ioprio_set(2) has it. There are no devices whose requests would be ordered by it.
    io_priority: AtomicU16,
    /// What sched_setaffinity(2) asked for.
    wanted_cpus: AtomicU8,
    /// Kept as long as the task is in it.
    group: SpinLock<Arc<Group>>,
}

/// How a task is scheduled beside others of its group (sched(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What counts for it.
    pub class: Class,
    /// Its children are scheduled normally (SCHED_RESET_ON_FORK).
    pub reset_on_fork: bool,
}

/// What counts for a task, with Linux's number. There are no classes of real time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Its nice value.
    #[default]
    Normal = 0,
    /// The same. It never gets ahead of others for having slept, and here nobody does.
    Batch = 3,
    /// It runs when others leave the CPU.
    Idle = 5,
}

/// Waits for its waker.
const WAITING: u8 = 0;
/// Stands in a queue.
const QUEUED: u8 = 1;
/// A CPU polls it.
const RUNNING: u8 = 2;
/// Woken while it was polled: goes back to a queue.
const WOKEN: u8 = 3;
/// Has ended.
const DONE: u8 = 4;

/// Woken when a frozen group has come to rest.
pub(super) static FREEZER: WaitQueue = WaitQueue::new();

impl Task {
    /// A task that is to run `future` once it is started.
    pub fn new(group: &Arc<Group>, future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let id = tree().add_task(group.id(), weight::of_nice(0), ALL_CPUS);
        Arc::new(Self {
            id,
            future: SpinLock::new(Some(Box::pin(future))),
            state: AtomicU8::new(WAITING),
            cpu: AtomicUsize::new(cpu::id()),
            nice: AtomicI32::new(0),
            policy: SpinLock::new(Policy::default()),
            io_priority: AtomicU16::new(0),
            wanted_cpus: AtomicU8::new(ALL_CPUS),
            group: SpinLock::new(group.clone()),
        })
    }

    /// Lets it run. To be called once.
    pub fn start(self: Arc<Self>) {
        self.wake();
    }

    /// CPU time so far; of the running task itself up to this moment.
    pub fn times(&self) -> Times {
        executor::settle(self.id);
        tree().times(self.id)
    }

    /// Its nice value (setpriority(2)), -20 to 19.
    pub fn nice(&self) -> i32 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Sets the nice value: its share of what its group gets.
    pub fn set_nice(&self, nice: i32) {
        self.nice.store(nice, Ordering::Relaxed);
        self.apply_weight();
    }

    /// How it is scheduled.
    pub fn policy(&self) -> Policy {
        *self.policy.lock()
    }

    /// Sets how it is scheduled.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.lock() = policy;
        self.apply_weight();
    }

    fn apply_weight(&self) {
        let weight = match self.policy().class {
            Class::Idle => weight::IDLE,
            Class::Normal | Class::Batch => weight::of_nice(self.nice()),
        };
        tree().set_task_weight(self.id, weight, clock::now_ns());
    }

    /// What ioprio_set(2) has set.
    pub fn io_priority(&self) -> u16 {
        self.io_priority.load(Ordering::Relaxed)
    }

    /// ioprio_set(2).
    pub fn set_io_priority(&self, priority: u16) {
        self.io_priority.store(priority, Ordering::Relaxed);
    }

    /// Takes over what a process hands on to its children: nice value and CPUs.
    pub fn inherit(&self, from: &Self) {
        let policy = from.policy();
        let nice = if policy.reset_on_fork { from.nice().max(0) } else { from.nice() };
        if nice != 0 {
            self.set_nice(nice);
        }
        if policy.class != Class::Normal && !policy.reset_on_fork {
            self.set_policy(policy);
        }
        self.set_io_priority(from.io_priority());
        let cpus = from.wanted_cpus.load(Ordering::Relaxed);
        if cpus != ALL_CPUS {
            self.set_cpus(cpus);
        }
    }

    /// The CPUs that it may run on (sched_getaffinity(2)): those that it asks for and its group allows.
    pub fn cpus(&self) -> CpuMask {
        tree().cpus_of(self.id)
    }

    /// Sets the CPUs that it may run on.
    pub fn set_cpus(&self, cpus: CpuMask) {
        self.wanted_cpus.store(cpus, Ordering::Relaxed);
        let mut tree = tree();
        tree.set_task_cpus(self.id, cpus, clock::now_ns());
        let on = tree.cpu_running(self.id);
        drop(tree);
        executor::end_slices(on.map_or(0, |cpu| 1 << cpu));
        executor::kick_for_work();
    }

    /// Moves it to another group.
    pub fn move_to(&self, group: &Arc<Group>) {
        let mut tree = tree();
        tree.move_task(self.id, group.id(), clock::now_ns());
        let on = tree.cpu_running(self.id);
        drop(tree);
        let old = core::mem::replace(&mut *self.group.lock(), group.clone());
        drop(old);
        executor::end_slices(on.map_or(0, |cpu| 1 << cpu));
        executor::kick_for_work();
    }

    /// It is to end: no frozen or throttled group holds it up from now on.
    pub fn expedite(&self) {
        tree().expedite(self.id, clock::now_ns());
        executor::kick_for_work();
    }

    /// Polls it once; tells whether it has ended.
    pub(super) fn poll(self: &Arc<Self>) -> bool {
        self.cpu.store(cpu::id(), Ordering::Relaxed);
        self.state.store(RUNNING, Ordering::Release);
        let waker = Waker::from(self.clone());
        let mut future = self.future.lock();
        let finished = match future.as_mut() {
            Some(body) => body.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(),
            None => true,
        };
        if finished {
            let body = future.take();
            drop(future);
            self.state.store(DONE, Ordering::Release);
            drop(body);
        }
        finished
    }

    /// After a poll: whether it was woken meanwhile and stands in a queue again; else it waits. Under the tree's lock,
    /// which whoever wakes it next takes afterwards.
    pub(super) fn was_woken(&self) -> bool {
        let parked = self.state.compare_exchange(RUNNING, WAITING, Ordering::AcqRel, Ordering::Acquire);
        if parked.is_err() {
            self.state.store(QUEUED, Ordering::Release);
        }
        parked.is_err()
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let change = self.state.try_update(Ordering::AcqRel, Ordering::Acquire, |state| match state {
            WAITING => Some(QUEUED),
            RUNNING => Some(WOKEN),
            _ => None,
        });
        if change == Ok(WAITING) {
            let (id, last) = (self.id, self.cpu.load(Ordering::Relaxed));
            let now = clock::now_ns();
            let mut tree = tree();
            let cpus = tree.cpus_of(id);
            tree.enqueue(id, self, now);
            drop(tree);
            executor::kick_idle(cpus, last);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.clone().wake();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        tree().remove_task(self.id);
    }
}
