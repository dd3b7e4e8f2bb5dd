//! A thread: what it owns, and what it shares with the others of its process.

use super::{
    Guard, SignalSet, Signals, Usage,
    body::Body,
    process::{NewProcess, Process},
};
use crate::{
    cgroup::{Admission, Cgroup, KernelCharge, MemoryGroup, Presence, pids::TaskCharge},
    fs,
    mm::{AddressSpace, Limits},
    namespace::{Namespaces, Pid, TimeNamespace},
    sched::{self, Times},
    security::{Confinement, Credentials},
};
use alloc::{boxed::Box, string::String, sync::Arc};
use core::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};
use linux_raw_sys::general::{RLIMIT_CPU, RLIMIT_NOFILE};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
};
use veridian_hal::{
    UserAddr, clock, cpu,
    sync::{Once, SpinLock},
    user::UserContext,
};

/// In no CPU's user mode.
const NOWHERE: usize = usize::MAX;

/// Is told how a process ended; see [`NewThread::on_exit`].
pub type ExitObserver = Box<dyn FnOnce(WaitStatus) + Send>;

/// A thread of a process. The one that the process began with, its leader, stands for the process: it is its parent's
/// child.
pub struct Thread {
    pid: Arc<Pid>,
    process: Arc<Process>,
    container: Option<NonZeroU64>,
    signals: Signals,
    credentials: SpinLock<Arc<Credentials>>,
    confinement: Confinement,
    namespaces: SpinLock<Namespaces>,
    name: SpinLock<String>,
    /// What goes when the thread ends, before it is waited for.
    pub(super) body: SpinLock<Option<Body>>,
    /// Where it will begin, while it is held before its first instruction.
    held: SpinLock<Option<UserContext>>,
    /// The CPU whose user mode runs it.
    running_on: AtomicUsize,
    /// What the CPUs run, once it was set off.
    task: Once<Arc<sched::Task>>,
    usage: Usage,
    membership: SpinLock<Membership>,
    /// A word that is cleared at its end, for who waits for that (set_tid_address(2)); 0 for none.
    cleared_at_end: AtomicUsize,
    /// The head of its list of locks (set_robust_list(2)); 0 for none.
    robust_list: AtomicUsize,
    /// When the call began that is made again after a stop; 0 for none.
    call_began_ns: AtomicU64,
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

/// What a new thread belongs to.
pub enum Kin {
    /// A new process.
    Process {
        /// What keeps others out of it.
        guard: Guard,
        /// Whom it is to be waited for by; `None`: by nobody, it is gone when it ends.
        parent: Option<Arc<Thread>>,
        /// Signal to the parent at its end; 0 for none.
        exit_signal: u32,
        /// Is called once when it has ended, after its memory and files are gone.
        on_exit: Option<ExitObserver>,
        /// Its maker waits until it has memory of its own (vfork(2)).
        borrows_memory: bool,
    },
    /// The process of this thread.
    Sibling(Arc<Thread>),
}

/// What a new thread is made of.
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
    pub files: Arc<SpinLock<fs::FdTable>>,
    /// Its root, working directory, umask and mount namespace.
    pub fs: Arc<SpinLock<fs::Context>>,
    /// Its other namespaces.
    pub namespaces: Namespaces,
    /// Who it is.
    pub credentials: Arc<Credentials>,
    /// What it may do less than that.
    pub confinement: Confinement,
    /// Its signal mask, and what its process does with signals.
    pub signals: Signals,
    /// `comm`.
    pub name: String,
    /// What it belongs to.
    pub kin: Kin,
}

impl Thread {
    /// Makes the thread. It can be found by its number from now on and does not run yet. If its group was killed
    /// meanwhile, so is its process.
    pub fn new(new: NewThread) -> Arc<Self> {
        let pid = Arc::new(new.pid);
        let mut waited_for_by = None;
        let process = match new.kin {
            Kin::Sibling(sibling) => sibling.process.clone(),
            Kin::Process { guard, parent, exit_signal, on_exit, borrows_memory } => {
                waited_for_by.clone_from(&parent);
                if pid.is_init() {
                    new.signals.protect();
                }
                let process = NewProcess { guard, parent, exit_signal, observer: on_exit, borrows_memory };
                Process::new(process, &pid)
            }
        };
        let Admission { mut presence, charge, cost } = new.admission;
        let thread = Arc::new(Self {
            pid,
            process,
            container: new.container,
            signals: new.signals,
            credentials: SpinLock::new(new.credentials),
            confinement: new.confinement,
            namespaces: SpinLock::new(new.namespaces),
            name: SpinLock::new(new.name),
            body: SpinLock::new(Some(Body { space: new.space, files: new.files, fs: new.fs })),
            held: SpinLock::new(None),
            running_on: AtomicUsize::new(NOWHERE),
            task: Once::new(),
            membership: SpinLock::new(Membership {
                cgroup: presence.cgroup().clone(),
                presence: None,
                charge: Some(charge),
                cost: Some(cost),
            }),
            usage: Usage::new(),
            cleared_at_end: AtomicUsize::new(0),
            robust_list: AtomicUsize::new(0),
            call_began_ns: AtomicU64::new(0),
        });
        thread.process.add(&thread);
        if let Some(parent) = waited_for_by {
            parent.gain_child(thread.clone());
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

    /// Its process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Whether it stands for its process.
    pub fn is_leader(&self) -> bool {
        core::ptr::eq(self.process.leader_pid(), &*self.pid)
    }

    /// The thread that stands for its process: it is there as long as any of its threads is.
    pub fn leader(&self) -> Arc<Self> {
        self.process.leader().expect("the leader outlives the other threads")
    }

    /// Whether `other` is a thread of the same process.
    pub fn is_sibling(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.process, &other.process)
    }

    pub(super) fn pid_handle(&self) -> &Arc<Pid> {
        &self.pid
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
        self.change_guard(|guard| guard.after_change(&old, &new));
        self.confinement.set_user(&new);
        *self.credentials.lock() = new;
        drop(old);
    }

    /// What it may do less than its credentials allow.
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Tells its memory and its descriptors what its limits are now.
    pub fn apply_limits(&self) {
        let limits = self.confinement.limits();
        let space = self.body.lock().as_mut().map(|body| {
            let mut files = body.files.lock();
            files.set_limit(limits.soft(RLIMIT_NOFILE));
            files.set_payer(&body.space.memory());
            drop(files);
            body.space.clone()
        });
        if let Some(space) = space {
            space.set_limits(Limits::of(&limits));
        }
    }

    /// The signal for it if it has had more CPU time than it may (RLIMIT_CPU). To be asked by itself.
    pub(super) fn cpu_time_signal(&self) -> Option<Signal> {
        const NS_PER_S: u64 = 1_000_000_000;
        if self.confinement.limit(RLIMIT_CPU) == u64::MAX {
            return None;
        }
        self.confinement.cpu_time_signal(self.times().total_ns() / NS_PER_S)
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

    /// Whether it runs, or could.
    pub fn is_runnable(&self) -> bool {
        !self.has_ended() && !self.signals.is_stopped() && !self.usage.waits()
    }

    /// What it has used of the CPUs.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// What exec(2) exchanges; gives back the old memory, to be dropped outside of any lock.
    pub(super) fn replace_program(&self, space: Arc<AddressSpace>, name: String) -> Arc<AddressSpace> {
        *self.name.lock() = name;
        let old = self.with_body(|body| core::mem::replace(&mut body.space, space));
        self.process.note_peak(old.peak_resident_bytes());
        old
    }

    /// Takes memory, files and places from an ending thread; it counts in its group no more.
    pub(super) fn shed_body(&self) {
        let body = self.body.lock().take();
        if let Some(body) = &body {
            self.process.note_peak(body.space.peak_resident_bytes());
        }
        drop(body);
        let presence = self.membership.lock().presence.take();
        drop(presence);
    }

    /// Becomes, while it does not run, what `other` has been, which ends: its memory, files and places, who it is and what it may do.
    pub(super) fn succeed(&self, other: &Self) {
        let body = other.body.lock().take();
        let old = core::mem::replace(&mut *self.body.lock(), body);
        drop(old);
        *self.credentials.lock() = other.credentials();
        self.confinement.set_user(&other.credentials());
        self.confinement.set_seccomp(other.confinement.seccomp());
        self.set_namespaces(other.namespaces());
        self.set_blocked(other.signals.blocked());
        *self.name.lock() = other.name();
    }

    /// Whether it counts in its group: until its memory has been given back.
    pub fn is_present(&self) -> bool {
        self.membership.lock().presence.is_some()
    }

    /// Whether it has ended or is about to: its body is gone.
    pub fn has_ended(&self) -> bool {
        self.body.lock().is_none()
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

    /// CPU time of this thread so far.
    pub fn own_times(&self) -> Times {
        self.task.get().map(|task| task.times()).unwrap_or_default()
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

    /// Notes on which CPU it goes on, in user mode and in calls that do not wait, so that [`Self::attend`] reaches it.
    pub(super) fn begin_run(&self) {
        self.running_on.store(cpu::id(), Ordering::SeqCst);
    }

    pub(super) fn end_run(&self) {
        self.running_on.store(NOWHERE, Ordering::Relaxed);
    }

    /// The word that is cleared at its end; null for none.
    pub fn cleared_at_end(&self) -> UserAddr {
        UserAddr(self.cleared_at_end.load(Ordering::Relaxed))
    }

    /// Sets it.
    pub fn set_cleared_at_end(&self, word: UserAddr) {
        self.cleared_at_end.store(word.0, Ordering::Relaxed);
    }

    /// The head of its list of locks; null for none.
    pub fn robust_list(&self) -> UserAddr {
        UserAddr(self.robust_list.load(Ordering::Relaxed))
    }

    /// Sets it.
    pub fn set_robust_list(&self, head: UserAddr) {
        self.robust_list.store(head.0, Ordering::Relaxed);
    }

    /// When the system call that it makes began: before a stop, if the call was made again after one. What ends after a
    /// time ends that much after this.
    pub fn call_began_ns(&self) -> u64 {
        match self.call_began_ns.load(Ordering::Relaxed) {
            0 => {
                let now = clock::now_ns();
                self.call_began_ns.store(now, Ordering::Relaxed);
                now
            }
            began => began,
        }
    }

    /// The next call is another one.
    pub(super) fn end_call(&self) {
        self.call_began_ns.store(0, Ordering::Relaxed);
    }

    /// Sets the signal mask, without SIGKILL and SIGSTOP; gives the old one. What waits for any thread of the process and
    /// is blocked here now is seen to by the others.
    #[inline]
    pub fn set_blocked(&self, mask: SignalSet) -> SignalSet {
        let (before, left) = self.signals.set_blocked(mask);
        if left {
            self.leave_signals();
        }
        before
    }

    #[cold]
    fn leave_signals(&self) {
        self.process.attend_all();
    }

    /// Makes the thread look at its signals: out of a wait, or out of user mode.
    pub(super) fn attend(self: &Arc<Self>) {
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
