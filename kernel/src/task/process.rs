//! A process: what its threads have in common, and who waits for it.
//!
//! A process is known by its leader, the thread that it began with: that one is its parent's child, has its number,
//! and stays until the last thread is gone, for others to look at.

use super::{
    Event, ExitObserver, Guard, Thread,
    timers::{CpuTimers, Timer, Timers},
};
use crate::{
    namespace::Pid,
    sched::{Times, WaitQueue},
};
use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use veridian_containers::abi::WaitStatus;
use veridian_hal::{
    sync::{Once, SpinLock},
    user::UserContext,
};

/// What the threads of a process share.
pub struct Process {
    leader: Once<Leader>,
    threads: SpinLock<Threads>,
    /// Woken when a thread ends, or hands its program to the leader.
    thread_event: WaitQueue,
    guard: SpinLock<Guard>,
    family: SpinLock<Family>,
    /// Woken when a child ends, stops or continues.
    child_event: WaitQueue,
    /// Woken when this has ended, or uses its maker's memory no more.
    ended: WaitQueue,
    /// Process group and session, by their leaders, which may be gone.
    group: SpinLock<Arc<Pid>>,
    session: SpinLock<Arc<Pid>>,
    /// Signal to the parent when this ends; 0 for none.
    exit_signal: u32,
    /// Its maker waits until it has memory of its own (vfork(2)).
    borrows_memory: AtomicBool,
    /// It has executed a program since it was made.
    has_begun_program: AtomicBool,
    /// Orphans below it are given to it (PR_SET_CHILD_SUBREAPER).
    adopts_orphans: AtomicBool,
    /// The most memory that it had when it ended or began another program.
    peak_resident_bytes: AtomicUsize,
    observer: SpinLock<Option<ExitObserver>>,
    timers: SpinLock<Timers>,
    cpu_timers: CpuTimers,
}

struct Leader {
    thread: Weak<Thread>,
    pid: Arc<Pid>,
}

#[derive(Default)]
struct Threads {
    /// Those that have not ended.
    live: Vec<Weak<Thread>>,
    /// CPU time of those that have.
    ended_times: Times,
    /// How the process ends, once that is settled.
    fate: Option<WaitStatus>,
    /// The thread that begins another program: the others end.
    begins_program: bool,
    /// The leader waits for the others to end.
    leader_waits: bool,
    /// Where the program begins that the leader is to go on with instead of ending.
    succession: Option<UserContext>,
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
    /// Its parent has been told: from now on it can be waited for.
    told: bool,
    /// A stop (or, as SIGCONT, a continuation) that the parent has not been told of.
    report: Option<Event>,
}

/// What a process begins with.
pub(super) struct NewProcess {
    pub guard: Guard,
    pub parent: Option<Arc<Thread>>,
    pub exit_signal: u32,
    pub observer: Option<ExitObserver>,
    pub borrows_memory: bool,
}

impl Process {
    pub(super) fn new(new: NewProcess, pid: &Arc<Pid>) -> Arc<Self> {
        let (group, session) = match &new.parent {
            Some(parent) => {
                let parent = parent.process();
                (parent.group.lock().clone(), parent.session.lock().clone())
            }
            None => (pid.clone(), pid.clone()),
        };
        let family =
            Family { parent: new.parent.as_ref().map(Arc::downgrade).unwrap_or_default(), ..Family::default() };
        Arc::new(Self {
            leader: Once::new(),
            threads: SpinLock::default(),
            thread_event: WaitQueue::new(),
            guard: SpinLock::new(new.guard),
            family: SpinLock::new(family),
            child_event: WaitQueue::new(),
            ended: WaitQueue::new(),
            group: SpinLock::new(group),
            session: SpinLock::new(session),
            exit_signal: new.exit_signal,
            borrows_memory: AtomicBool::new(new.borrows_memory),
            has_begun_program: AtomicBool::new(false),
            adopts_orphans: AtomicBool::new(false),
            peak_resident_bytes: AtomicUsize::new(0),
            observer: SpinLock::new(new.observer),
            timers: SpinLock::default(),
            cpu_timers: CpuTimers::default(),
        })
    }

    /// Adds a thread; the first one is the leader.
    pub(super) fn add(&self, thread: &Arc<Thread>) {
        self.leader.call_once(|| Leader { thread: Arc::downgrade(thread), pid: thread.pid_handle().clone() });
        self.threads.lock().live.push(Arc::downgrade(thread));
    }

    /// The thread that it began with; `None` when nobody has a hold of it any more.
    pub fn leader(&self) -> Option<Arc<Thread>> {
        self.leader.get().and_then(|leader| leader.thread.upgrade())
    }

    /// The numbers that it is known by.
    pub fn leader_pid(&self) -> &Pid {
        &self.leader.get().expect("a process has a leader from its first thread on").pid
    }

    /// The threads that have not ended.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().live.iter().filter_map(Weak::upgrade).collect()
    }

    /// How many have not ended.
    pub fn thread_count(&self) -> usize {
        self.threads.lock().live.len()
    }

    /// Has each of them look at its signals.
    pub(super) fn attend_all(&self) {
        self.threads().iter().for_each(Thread::attend);
    }

    /// Settles how it ends, if that is not settled: every thread ends.
    pub(super) fn end(&self, status: WaitStatus) {
        self.threads.lock().fate.get_or_insert(status);
        for thread in self.threads() {
            thread.signals().survive(false);
            thread.signals().doom();
        }
        self.attend_all();
    }

    /// How it ends, once that is settled.
    pub(super) fn fate(&self) -> Option<WaitStatus> {
        self.threads.lock().fate
    }

    /// `thread`, which is not the leader, has ended.
    pub(super) fn remove(&self, thread: &Thread) {
        let times = thread.own_times();
        let mut threads = self.threads.lock();
        threads.live.retain(|other| !core::ptr::eq(other.as_ptr(), thread));
        threads.ended_times += times;
        drop(threads);
        self.thread_event.wake_all();
    }

    /// Has all threads but `thread` end, which begins another program; `Err` when it is itself to end. The leader only
    /// goes as far as [`Self::outlive`].
    pub(super) async fn be_alone(&self, thread: &Arc<Thread>) -> Result<(), ()> {
        if self.thread_count() > 1 {
            let mut threads = self.threads.lock();
            if threads.fate.is_some() || threads.begins_program {
                return Err(());
            }
            threads.begins_program = true;
            drop(threads);
            thread.signals().survive(true);
            thread.signals().doom();
            self.attend_all();
        }
        self.thread_event
            .wait_until(|| {
                let threads = self.threads.lock();
                if threads.fate.is_some() {
                    return Some(Err(()));
                }
                let left = 1 + usize::from(!thread.is_leader());
                let alone = threads.live.len() == left && (thread.is_leader() || threads.leader_waits);
                alone.then_some(Ok(()))
            })
            .await
    }

    /// The program begins in `thread`, which is alone.
    pub(super) fn program_begins(&self, thread: &Thread) {
        let mut threads = self.threads.lock();
        threads.begins_program = false;
        // Under the lock: who settles the process's end dooms its threads after that.
        if threads.fate.is_none() {
            thread.signals().end_doom();
        }
        drop(threads);
        thread.signals().survive(false);
    }

    /// It executes a program now.
    pub(super) fn note_program(&self) {
        self.has_begun_program.store(true, Ordering::Release);
    }

    /// Hands what `thread` is, and the program that it has begun, to the leader, which waits for it to end.
    pub(super) fn hand_over(&self, thread: &Thread, context: UserContext) {
        thread.leader().succeed(thread);
        self.threads.lock().succession = Some(context);
        self.thread_event.wake_all();
    }

    /// The leader has come to its end: waits until it is the last thread. Gives where it is to go on instead, if another
    /// thread began a program.
    pub(super) async fn outlive(&self) -> Option<UserContext> {
        self.threads.lock().leader_waits = true;
        self.thread_event.wake_all();
        self.thread_event
            .wait_until(|| {
                let mut threads = self.threads.lock();
                let alone = threads.live.len() <= 1;
                threads.leader_waits = !alone;
                alone.then(|| threads.succession.take())
            })
            .await
    }

    /// CPU time of all threads, ended ones too.
    pub fn times(&self) -> Times {
        let (mut sum, live) = {
            let threads = self.threads.lock();
            (threads.ended_times, threads.live.clone())
        };
        for thread in live.iter().filter_map(Weak::upgrade) {
            sum += thread.own_times();
        }
        sum
    }

    /// Whether its maker waits until it has memory of its own.
    pub(super) fn borrows_memory(&self) -> bool {
        self.borrows_memory.load(Ordering::Acquire)
    }

    /// It has memory of its own, or has ended.
    pub(super) fn give_memory_back(&self) {
        if self.borrows_memory.swap(false, Ordering::AcqRel) {
            self.ended.wake_all();
        }
    }

    /// Its timers.
    pub fn timers(&self) -> &SpinLock<Timers> {
        &self.timers
    }

    pub(super) fn cpu_timers(&self) -> &CpuTimers {
        &self.cpu_timers
    }

    /// Is told of a timer that it is to have.
    pub(super) fn note_timer(&self, timer: &Timer) {
        self.cpu_timers.note(timer);
    }

    /// What is to be told of its end.
    pub(super) fn take_observer(&self) -> Option<ExitObserver> {
        self.observer.lock().take()
    }

    /// It had that much memory.
    pub(super) fn note_peak(&self, bytes: usize) {
        self.peak_resident_bytes.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// What is asked of a thread and is its process's.
impl Thread {
    /// What keeps others out of it.
    pub fn guard(&self) -> Guard {
        self.process().guard.lock().clone()
    }

    /// Changes what keeps others out of it. To be called by the running process itself.
    pub fn change_guard(&self, change: impl FnOnce(&mut Guard)) {
        change(&mut self.process().guard.lock());
    }

    /// Its process group, by the leader's number in the first pid namespace.
    pub fn group(&self) -> u32 {
        self.process().group.lock().global_number()
    }

    /// Whether it has executed a program since it was made.
    pub fn has_begun_program(&self) -> bool {
        self.process().has_begun_program.load(Ordering::Acquire)
    }

    /// Whether orphans below it are given to it.
    pub fn adopts_orphans(&self) -> bool {
        self.process().adopts_orphans.load(Ordering::Acquire)
    }

    /// Says whether they are.
    pub fn set_adopts_orphans(&self, adopts: bool) {
        self.process().adopts_orphans.store(adopts, Ordering::Release);
    }

    /// Its session, likewise.
    pub fn session(&self) -> u32 {
        self.process().session.lock().global_number()
    }

    /// Puts it into the process group that `leader` leads or led.
    pub fn set_group(&self, leader: &Arc<Pid>) {
        let old = core::mem::replace(&mut *self.process().group.lock(), leader.clone());
        drop(old);
    }

    /// Makes it the leader of a new session, and of a process group in it.
    pub fn lead_session(&self) {
        let own = self.leader().pid_handle().clone();
        self.set_group(&own);
        let old = core::mem::replace(&mut *self.process().session.lock(), own);
        drop(old);
    }

    /// Signal to the parent at its end; 0 for none.
    pub fn exit_signal(&self) -> u32 {
        self.process().exit_signal
    }

    /// Who waits for it: the leader of its parent.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.process().family.lock().parent.upgrade()
    }

    /// Its children, ended ones that have not been waited for included.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.process().family.lock().children.clone()
    }

    pub(super) fn child_event(&self) -> &WaitQueue {
        &self.process().child_event
    }

    /// Woken when its process has ended.
    pub(super) fn ended(&self) -> &WaitQueue {
        &self.process().ended
    }

    /// How its process ended, once it has and its parent has been told.
    pub fn status(&self) -> Option<WaitStatus> {
        let family = self.process().family.lock();
        family.status.filter(|_| family.told)
    }

    /// How its process ended, though its parent may not have been told yet: whoever becomes its parent now tells it too.
    pub(super) fn fresh_status(&self) -> Option<WaitStatus> {
        self.process().family.lock().status
    }

    /// Whether another CPU is about to tell its parent that it has ended.
    pub(super) fn is_telling_its_end(&self) -> bool {
        let family = self.process().family.lock();
        family.status.is_some() && !family.told
    }

    pub(super) fn set_status(&self, status: WaitStatus) {
        self.process().family.lock().status = Some(status);
    }

    /// Shows everybody that its process has ended: its parent has had the signal, and has disowned what it does not want.
    pub(super) fn show_end(&self) {
        self.process().family.lock().told = true;
        self.process().ended.wake_all();
    }

    /// Leaves word of a stop or continuation, or takes it.
    pub(super) fn set_report(&self, report: Option<Event>) -> Option<Event> {
        core::mem::replace(&mut self.process().family.lock().report, report)
    }

    pub(super) fn report(&self) -> Option<Event> {
        self.process().family.lock().report
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
        let mut family = self.process().family.lock();
        let place = family.children.iter().position(|other| Arc::ptr_eq(other, child));
        let gone = place.map(|index| family.children.swap_remove(index));
        drop(family);
        gone.is_some()
    }

    /// Takes all children, for somebody else to adopt.
    pub(super) fn give_up_children(&self) -> Vec<Arc<Self>> {
        core::mem::take(&mut self.process().family.lock().children)
    }

    /// Is told of a child that was made for it.
    pub(super) fn gain_child(&self, child: Arc<Self>) {
        self.process().family.lock().children.push(child);
    }

    /// Becomes the parent of `child`.
    pub(super) fn adopt(self: &Arc<Self>, child: Arc<Self>) {
        child.process().family.lock().parent = Arc::downgrade(self);
        self.gain_child(child);
    }

    /// Nobody waits for it any more.
    pub(super) fn forget_parent(&self) {
        self.process().family.lock().parent = Weak::new();
    }

    /// CPU time of its process so far.
    pub fn times(&self) -> Times {
        self.process().times()
    }

    /// CPU time of the children that were waited for, and of theirs.
    pub fn children_times(&self) -> Times {
        self.process().family.lock().children_times
    }

    /// Adds the CPU time of a child that has been waited for.
    pub(super) fn inherit_times(&self, child: &Self) {
        self.usage().absorb(child.usage());
        let (own, below) = (child.times(), child.children_times());
        let peak = child.peak_resident_bytes().max(child.children_peak_resident_bytes());
        let mut family = self.process().family.lock();
        family.children_times += own;
        family.children_times += below;
        family.children_peak_resident_bytes = family.children_peak_resident_bytes.max(peak);
    }

    /// The most bytes of memory that its process had in frames.
    pub fn peak_resident_bytes(&self) -> usize {
        let now = self.try_space().map_or(0, |space| space.peak_resident_bytes());
        now.max(self.process().peak_resident_bytes.load(Ordering::Relaxed))
    }

    /// The same of the children that were waited for.
    pub fn children_peak_resident_bytes(&self) -> usize {
        self.process().family.lock().children_peak_resident_bytes
    }
}
