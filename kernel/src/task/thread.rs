//! A process of one thread: what it owns, and who may look at it.

use super::{Guard, Signals, Usage};
use crate::{
    cgroup::{Admission, Cgroup, KernelCharge, MemoryGroup, Presence, pids::TaskCharge},
    fs,
    mm::{AddressSpace, Limits},
    namespace::{Namespaces, Pid, TimeNamespace},
    sched::{self, Times, WaitQueue},
    security::{Confinement, Credentials},
};
use alloc::{
    boxed::Box,
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use linux_raw_sys::general::{RLIMIT_CPU, RLIMIT_NOFILE};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
};
use veridian_hal::{
    cpu,
    sync::{Once, SpinLock},
    user::UserContext,
};

/// In no CPU's user mode.
const NOWHERE: usize = usize::MAX;

/// Is told how a process ended; see [`NewThread::on_exit`].
pub type ExitObserver = Box<dyn FnOnce(WaitStatus) + Send>;

/// A process. It has one thread, so the two words mean the same here.
pub struct Thread {
    pid: Pid,
    container: Option<NonZeroU64>,
    signals: Signals,
    credentials: SpinLock<Arc<Credentials>>,
    confinement: Confinement,
    guard: SpinLock<Guard>,
    namespaces: SpinLock<Namespaces>,
    name: SpinLock<String>,
    /// What goes when the process ends, before it is waited for.
    body: SpinLock<Option<Body>>,
    family: SpinLock<Family>,
    /// Woken when a child ends, stops or continues.
    child_event: WaitQueue,
    /// Woken when this has ended.
    ended: WaitQueue,
    /// Process group and session, by the leader's number in the first pid namespace.
    group: AtomicU32,
    session: AtomicU32,
    /// Signal to the parent when this ends; 0 for none.
    exit_signal: u32,
    /// Where it will begin, while it is held before its first instruction.
    held: SpinLock<Option<UserContext>>,
    /// The CPU whose user mode runs it.
    running_on: AtomicUsize,
    /// The most memory that it had when it ended or began another program.
    peak_resident_bytes: AtomicUsize,
    /// What the CPUs run, once it was set off.
    task: Once<Arc<sched::Task>>,
    usage: Usage,
    membership: SpinLock<Membership>,
}

/// What a process has to do with its group.
struct Membership {
    cgroup: Arc<Cgroup>,
    /// Until it has ended.
    presence: Option<Presence>,
    /// Until it has been waited for, as Linux counts it.
    charge: Option<TaskCharge>,
    cost: Option<KernelCharge>,
}

/// Memory, files and places of a live process.
struct Body {
    space: Arc<AddressSpace>,
    files: fs::FdTable,
    fs: fs::Context,
    observer: Option<ExitObserver>,
}

#[derive(Default)]
struct Family {
    parent: Weak<Thread>,
    children: Vec<Arc<Thread>>,
    /// CPU time of children that were waited for, and the most memory that one of them had.
    children_times: Times,
    children_peak_resident_bytes: usize,
    /// Set when the process has ended.
    status: Option<WaitStatus>,
    /// A stop (or, as SIGCONT, a continuation) that the parent has not been told of.
    report: Option<Signal>,
}

/// What a new process is made of.
pub struct NewThread {
    /// Its numbers.
    pub pid: Pid,
    /// Its place in its group, charged.
    pub admission: Admission,
    /// The key of the container that it is in.
    pub container: Option<NonZeroU64>,
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its open files.
    pub files: fs::FdTable,
    /// Its root, working directory, umask and mount namespace.
    pub fs: fs::Context,
    /// Its other namespaces.
    pub namespaces: Namespaces,
    /// Who it is.
    pub credentials: Arc<Credentials>,
    /// What it may do less than that.
    pub confinement: Confinement,
    /// What keeps others out of it.
    pub guard: Guard,
    /// Its signal mask and what it ignores.
    pub signals: Signals,
    /// `comm`.
    pub name: String,
    /// Whom it is to be waited for by; `None`: by nobody, it is gone when it ends.
    pub parent: Option<Arc<Thread>>,
    /// Signal to the parent at its end; 0 for none.
    pub exit_signal: u32,
    /// Is called once when it has ended, after its memory and files are gone.
    pub on_exit: Option<ExitObserver>,
}

impl Thread {
    /// Makes the process. It can be found by its pid from now on and does not run yet. If its group was killed
    /// meanwhile, so is the process.
    pub fn new(new: NewThread) -> Arc<Self> {
        let (group, session) = match &new.parent {
            Some(parent) => (parent.group(), parent.session()),
            None => (new.pid.global_number(), new.pid.global_number()),
        };
        let Admission { mut presence, charge, cost } = new.admission;
        let thread = Arc::new(Self {
            pid: new.pid,
            container: new.container,
            signals: new.signals,
            credentials: SpinLock::new(new.credentials),
            confinement: new.confinement,
            guard: SpinLock::new(new.guard),
            namespaces: SpinLock::new(new.namespaces),
            name: SpinLock::new(new.name),
            body: SpinLock::new(Some(Body { space: new.space, files: new.files, fs: new.fs, observer: new.on_exit })),
            family: SpinLock::new(Family::default()),
            child_event: WaitQueue::new(),
            ended: WaitQueue::new(),
            group: AtomicU32::new(group),
            session: AtomicU32::new(session),
            exit_signal: new.exit_signal,
            held: SpinLock::new(None),
            running_on: AtomicUsize::new(NOWHERE),
            peak_resident_bytes: AtomicUsize::new(0),
            task: Once::new(),
            membership: SpinLock::new(Membership {
                cgroup: presence.cgroup().clone(),
                presence: None,
                charge: Some(charge),
                cost: Some(cost),
            }),
            usage: Usage::new(),
        });
        if let Some(parent) = &new.parent {
            thread.family.lock().parent = Arc::downgrade(parent);
            parent.family.lock().children.push(thread.clone());
        }
        thread.apply_limits();
        thread.pid.publish(&thread);
        let doomed = presence.list(&thread);
        thread.membership.lock().presence = Some(presence);
        if doomed {
            super::kill(&thread);
        }
        thread
    }

    /// Its numbers.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// What it is charged to.
    pub fn cgroup(&self) -> Arc<Cgroup> {
        self.membership.lock().cgroup.clone()
    }

    /// Makes it a member of another group; gives back what it was of the old one, to be dropped without any lock. ESRCH
    /// if it has ended.
    pub fn change_group(
        self: &Arc<Self>,
        mut presence: Presence,
        charge: TaskCharge,
    ) -> Result<(Option<Presence>, Option<TaskCharge>), Errno> {
        let group = presence.cgroup().clone();
        let doomed = presence.list(self);
        let mut membership = self.membership.lock();
        if membership.presence.is_none() {
            drop(membership);
            return Err(Errno::ESRCH);
        }
        membership.cgroup = group.clone();
        let old = (membership.presence.replace(presence), membership.charge.replace(charge));
        drop(membership);
        if let Some(task) = self.task.get() {
            task.move_to(&group.cpu);
        }
        let space = self.body.lock().as_ref().map(|body| body.space.clone());
        if let Some(space) = space {
            space.charge_to(group.memory.clone());
        }
        if doomed {
            super::kill(self);
        }
        Ok(old)
    }

    /// What its memory is charged to.
    pub fn memory(&self) -> Arc<MemoryGroup> {
        self.membership.lock().cgroup.memory.clone()
    }

    /// The key of the container that it is in.
    pub fn container(&self) -> Option<NonZeroU64> {
        self.container
    }

    /// Its signals.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Who it is.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Makes it somebody else. Who acts as another user or gains rights is closed to his former equals.
    pub fn set_credentials(&self, credentials: impl Into<Arc<Credentials>>) {
        let new = credentials.into();
        let old = self.credentials();
        // Closed first: nobody looks into the new one with the old one's openness.
        self.guard.lock().after_change(&old, &new);
        self.confinement.set_user(&new);
        *self.credentials.lock() = new;
        drop(old);
    }

    /// What it may do less than its credentials allow.
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// What keeps others out of it.
    pub fn guard(&self) -> Guard {
        self.guard.lock().clone()
    }

    /// Changes what keeps others out of it. To be called by the running process itself.
    pub fn change_guard(&self, change: impl FnOnce(&mut Guard)) {
        change(&mut self.guard.lock());
    }

    /// Tells its memory and its descriptors what its limits are now.
    pub fn apply_limits(&self) {
        let limits = self.confinement.limits();
        let space = self.body.lock().as_mut().map(|body| {
            body.files.set_limit(limits.soft(RLIMIT_NOFILE));
            body.files.set_payer(&body.space.memory());
            body.space.clone()
        });
        if let Some(space) = space {
            space.set_limits(Limits::of(&limits));
        }
    }

    /// The signal for it if it has had more CPU time than it may (RLIMIT_CPU). To be asked by itself.
    pub(super) fn cpu_time_signal(&self) -> Option<u32> {
        const NS_PER_S: u64 = 1_000_000_000;
        if self.confinement.limit(RLIMIT_CPU) == u64::MAX {
            return None;
        }
        let times = self.task()?.times();
        self.confinement.cpu_time_signal(times.total_ns() / NS_PER_S)
    }

    /// Its namespaces, the mount namespace aside.
    pub fn namespaces(&self) -> Namespaces {
        self.namespaces.lock().clone()
    }

    /// The clocks that it sees.
    pub fn time(&self) -> Arc<TimeNamespace> {
        self.namespaces.lock().time.clone()
    }

    /// Exchanges its namespaces. What its semaphore operations are to undo is undone in an ipc namespace that it leaves.
    pub fn set_namespaces(&self, namespaces: Namespaces) {
        let ipc = namespaces.ipc.clone();
        let old = core::mem::replace(&mut *self.namespaces.lock(), namespaces);
        if !Arc::ptr_eq(&old.ipc, &ipc) {
            old.ipc.semaphores.undo(&self.pid);
        }
        drop(old);
    }

    /// `comm`.
    pub fn name(&self) -> String {
        self.name.lock().clone()
    }

    /// Sets `comm`.
    pub fn set_name(&self, name: &[u8]) {
        let old = core::mem::replace(&mut *self.name.lock(), super::exec::comm(name));
        drop(old);
    }

    /// Its memory. To be called by the running process itself.
    pub fn space(&self) -> Arc<AddressSpace> {
        self.with_body(|body| body.space.clone())
    }

    /// What exec(2) exchanges; gives back the old memory, to be dropped outside of any lock.
    pub(super) fn replace_program(&self, space: Arc<AddressSpace>, name: String) -> Arc<AddressSpace> {
        *self.name.lock() = name;
        let old = self.with_body(|body| core::mem::replace(&mut body.space, space));
        self.peak_resident_bytes.fetch_max(old.peak_resident_bytes(), Ordering::Relaxed);
        old
    }

    /// Its open files. To be called by the running process itself.
    pub fn with_files<R>(&self, f: impl FnOnce(&mut fs::FdTable) -> R) -> R {
        self.with_body(|body| f(&mut body.files))
    }

    /// Its root, working directory, umask and mount namespace. To be called by the running process itself.
    pub fn with_fs<R>(&self, f: impl FnOnce(&mut fs::Context) -> R) -> R {
        self.with_body(|body| f(&mut body.fs))
    }

    /// As [`Self::with_fs`], of any process: `None` if it has ended.
    pub fn try_with_fs<R>(&self, f: impl FnOnce(&mut fs::Context) -> R) -> Option<R> {
        self.body.lock().as_mut().map(|body| f(&mut body.fs))
    }

    /// Bytes of its memory that are in frames; 0 once it has ended.
    pub fn resident_bytes(&self) -> usize {
        let space = self.body.lock().as_ref().map(|body| body.space.clone());
        space.map_or(0, |space| space.resident_bytes())
    }

    /// As [`Self::with_files`], of any process: `None` if it has ended.
    pub fn try_with_files<R>(&self, f: impl FnOnce(&mut fs::FdTable) -> R) -> Option<R> {
        self.body.lock().as_mut().map(|body| f(&mut body.files))
    }

    /// As [`Self::space`], of any process: `None` if it has ended.
    pub fn try_space(&self) -> Option<Arc<AddressSpace>> {
        self.body.lock().as_ref().map(|body| body.space.clone())
    }

    /// Whether it runs, or could.
    pub fn is_runnable(&self) -> bool {
        !self.has_ended() && !self.signals.is_stopped() && !self.usage.waits()
    }

    /// What it has used of the CPUs.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    fn with_body<R>(&self, f: impl FnOnce(&mut Body) -> R) -> R {
        f(self.body.lock().as_mut().expect("a running process has a body"))
    }

    /// Takes memory, files and places from an ending process; gives back its observer once all that is dropped.
    pub(super) fn shed_body(&self) -> Option<ExitObserver> {
        let mut body = self.body.lock().take()?;
        let observer = body.observer.take();
        self.peak_resident_bytes.fetch_max(body.space.peak_resident_bytes(), Ordering::Relaxed);
        drop(body);
        let presence = self.membership.lock().presence.take();
        drop(presence);
        observer
    }

    /// Whether it counts in its group: until its memory has been given back.
    pub fn is_present(&self) -> bool {
        self.membership.lock().presence.is_some()
    }

    /// Whether it has ended or is about to: its body is gone.
    pub fn has_ended(&self) -> bool {
        self.body.lock().is_none()
    }

    /// Its process group, by the leader's number in the first pid namespace.
    pub fn group(&self) -> u32 {
        self.group.load(Ordering::Relaxed)
    }

    /// Sets the process group.
    pub fn set_group(&self, leader: u32) {
        self.group.store(leader, Ordering::Relaxed);
    }

    /// Its session, by the leader's number in the first pid namespace.
    pub fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    /// Sets the session.
    pub fn set_session(&self, leader: u32) {
        self.session.store(leader, Ordering::Relaxed);
    }

    /// Signal to the parent at its end; 0 for none.
    pub fn exit_signal(&self) -> u32 {
        self.exit_signal
    }

    /// Who waits for it.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.family.lock().parent.upgrade()
    }

    /// Its children, ended ones that have not been waited for included.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.family.lock().children.clone()
    }

    pub(super) fn child_event(&self) -> &WaitQueue {
        &self.child_event
    }

    /// Woken when it has ended.
    pub(super) fn ended(&self) -> &WaitQueue {
        &self.ended
    }

    /// How it ended, once it has.
    pub fn status(&self) -> Option<WaitStatus> {
        self.family.lock().status
    }

    pub(super) fn set_status(&self, status: WaitStatus) {
        self.family.lock().status = Some(status);
        self.ended.wake_all();
    }

    /// Leaves word of a stop or continuation, or takes it.
    pub(super) fn set_report(&self, report: Option<Signal>) -> Option<Signal> {
        core::mem::replace(&mut self.family.lock().report, report)
    }

    pub(super) fn report(&self) -> Option<Signal> {
        self.family.lock().report
    }

    /// Gives back its numbers and its place in its groups: it has ended and nobody waits for it any more. What is left
    /// of it goes when the CPU that ended it lets go.
    pub(super) fn depart(&self) {
        self.pid.release();
        self.confinement.depart();
        let mut membership = self.membership.lock();
        let (charge, cost) = (membership.charge.take(), membership.cost.take());
        drop(membership);
        drop((charge, cost));
    }

    /// Whether it has given back its numbers.
    pub fn is_departed(&self) -> bool {
        self.pid.is_released()
    }

    /// Strikes `child`, which has ended, off the list for good; tells whether it stood there.
    pub(super) fn disown(&self, child: &Arc<Self>) -> bool {
        let gone = self.strike(child);
        if gone {
            child.depart();
        }
        gone
    }

    /// Strikes `child` off the list; tells whether it stood there.
    pub(super) fn strike(&self, child: &Arc<Self>) -> bool {
        let mut family = self.family.lock();
        let place = family.children.iter().position(|other| Arc::ptr_eq(other, child));
        let gone = place.map(|index| family.children.swap_remove(index));
        drop(family);
        gone.is_some()
    }

    /// Takes all children, for somebody else to adopt.
    pub(super) fn give_up_children(&self) -> Vec<Arc<Self>> {
        core::mem::take(&mut self.family.lock().children)
    }

    /// Becomes the parent of `child`.
    pub(super) fn adopt(self: &Arc<Self>, child: Arc<Self>) {
        child.family.lock().parent = Arc::downgrade(self);
        self.family.lock().children.push(child);
    }

    /// Nobody waits for it any more.
    pub(super) fn forget_parent(&self) {
        self.family.lock().parent = Weak::new();
    }

    /// What the CPUs run; `None` before it was set off.
    pub fn task(&self) -> Option<&Arc<sched::Task>> {
        self.task.get()
    }

    pub(super) fn bind(&self, task: Arc<sched::Task>) {
        let task = self.task.call_once(|| task);
        // Who killed it before found no task.
        if self.signals.is_killed() {
            task.expedite();
        }
    }

    /// CPU time so far.
    pub fn times(&self) -> Times {
        self.task.get().map(|task| task.times()).unwrap_or_default()
    }

    /// CPU time of the children that were waited for, and of theirs.
    pub fn children_times(&self) -> Times {
        self.family.lock().children_times
    }

    /// Adds the CPU time of a child that has been waited for.
    pub(super) fn inherit_times(&self, child: &Self) {
        self.usage.absorb(&child.usage);
        let (own, below) = (child.times(), child.children_times());
        let mut family = self.family.lock();
        family.children_times += own;
        family.children_times += below;
        let peak = child.peak_resident_bytes().max(child.children_peak_resident_bytes());
        family.children_peak_resident_bytes = family.children_peak_resident_bytes.max(peak);
    }

    /// The most bytes of memory that it had in frames.
    pub fn peak_resident_bytes(&self) -> usize {
        let space = self.body.lock().as_ref().map(|body| body.space.clone());
        let now = space.map_or(0, |space| space.peak_resident_bytes());
        now.max(self.peak_resident_bytes.load(Ordering::Relaxed))
    }

    /// The same of the children that were waited for.
    pub fn children_peak_resident_bytes(&self) -> usize {
        self.family.lock().children_peak_resident_bytes
    }

    /// Its nice value.
    pub fn nice(&self) -> i32 {
        self.task.get().map_or(0, |task| task.nice())
    }

    /// Sets its nice value.
    pub fn set_nice(&self, nice: i32) {
        if let Some(task) = self.task.get() {
            task.set_nice(nice);
        }
    }

    /// Holds it before its first instruction, which is where `context` points: it runs once it is released, or to its
    /// end once SIGKILL is sent.
    pub fn hold(&self, context: UserContext) {
        *self.held.lock() = Some(context);
    }

    /// Where it begins, if it is held; it is so no more.
    pub(super) fn take_held(&self) -> Option<UserContext> {
        self.held.lock().take()
    }

    /// Notes on which CPU user mode begins, so that [`Self::attend`] reaches it.
    pub(super) fn enter_user(&self) {
        self.running_on.store(cpu::id(), Ordering::SeqCst);
    }

    pub(super) fn leave_user(&self) {
        self.running_on.store(NOWHERE, Ordering::Relaxed);
    }

    /// Makes the process look at its signals: out of a wait, or out of user mode.
    pub(super) fn attend(&self) {
        if self.signals.is_killed()
            && let Some(task) = self.task.get()
        {
            task.expedite();
        }
        self.signals.arrival.wake_all();
        let cpu = self.running_on.load(Ordering::SeqCst);
        if cpu != NOWHERE && cpu != cpu::id() {
            cpu::kick(cpu);
        }
    }
}

impl core::fmt::Debug for Thread {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}[{}]", self.name(), self.pid.global_number())
    }
}
