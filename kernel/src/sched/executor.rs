//! The executor: each CPU takes from the tree the task that is to run next and polls it; a CPU that finds none sleeps.

use super::{
    account,
    stat::Times,
    task::{self, Task},
    timer,
    tree::{CpuMask, Pick, Tree},
    wait_queue::WaitQueue,
};
use crate::tty::console;
use alloc::sync::Arc;
use core::{
    future::{Future, poll_fn},
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    task::Poll,
};
use veridian_hal::{
    clock,
    cpu::{self, Events},
    mem,
    sync::{Initial, Once, PerCpu, SpinLock, SpinLockGuard},
};

/// What a CPU knows of itself; others only end its slice.
struct Processor {
    /// The task that it runs, by its number in the tree.
    task: AtomicUsize,
    /// Up to when that task is charged.
    charged: AtomicU64,
    /// What it has run in user mode since then, in ticks of the clock.
    user_ticks: AtomicU64,
    /// When the running task's slice is over.
    slice_end: AtomicU64,
    /// What the CPU's timer is set to.
    armed: AtomicU64,
    /// When this CPU is to begin the next period of a group.
    refill_at: AtomicU64,
    /// How often it has come to the kernel because another CPU wanted it to.
    kicks: AtomicUsize,
}

static PROCESSORS: PerCpu<Processor> = PerCpu::initial();
/// Who waits for other CPUs to come to the kernel.
static BARRIERS: WaitQueue = WaitQueue::new();
static TREE: Once<SpinLock<Tree<Arc<Task>>>> = Once::new();
/// A bit for each CPU that sleeps or is about to.
static IDLE: AtomicU32 = AtomicU32::new(0);
/// The earliest period that some CPU is going to begin.
static REFILL_AT: AtomicU64 = AtomicU64::new(u64::MAX);

impl Initial for Processor {
    const INITIAL: Self = Self {
        task: AtomicUsize::new(usize::MAX),
        charged: AtomicU64::new(0),
        user_ticks: AtomicU64::new(0),
        slice_end: AtomicU64::new(u64::MAX),
        armed: AtomicU64::new(u64::MAX),
        refill_at: AtomicU64::new(u64::MAX),
        kicks: AtomicUsize::new(0),
    };
}

/// The tree of run queues. No task and no group may be dropped under its lock, and nothing woken.
pub(super) fn tree() -> SpinLockGuard<'static, Tree<Arc<Task>>> {
    TREE.call_once(|| SpinLock::new(Tree::new())).lock()
}

/// Runs tasks on this CPU for ever.
pub fn run() -> ! {
    loop {
        attend_events();
        let now = clock::now_ns();
        let mut next = leave(tree(), now);
        while let Some(pick) = next {
            next = execute(pick);
        }
        sleep();
    }
}

/// Whether the running task should let others run: its slice is over, and someone waits or it may not go on. To be
/// asked after an interrupt; also serves what the interrupt was for.
pub fn slice_is_over() -> bool {
    attend_events();
    let processor = PROCESSORS.get();
    let now = clock::now_ns();
    if now < processor.slice_end.load(Ordering::Relaxed) {
        return false;
    }
    let ran = processor.take_ran(now);
    let mut tree = tree();
    let slice_ns = tree.renew(cpu::id(), processor.task.load(Ordering::Relaxed), ran, now);
    let refill = own_refill(&tree);
    drop(tree);
    if let Some(due) = refill {
        arm(processor, due);
    }
    match slice_ns {
        Some(slice_ns) => {
            processor.begin_slice(now + slice_ns);
            false
        }
        None => true,
    }
}

/// Runs user code by `enter`; the time counts as user time of the running task.
pub fn in_user_mode<R>(enter: impl FnOnce() -> R) -> R {
    let begin = clock::ticks();
    let outcome = enter();
    let ticks = clock::ticks() - begin;
    let user_ticks = &PROCESSORS.get().user_ticks;
    user_ticks.store(user_ticks.load(Ordering::Relaxed) + ticks, Ordering::Relaxed);
    outcome
}

/// Goes to the end of the line.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Makes `future` a task of the kernel's own; the CPUs run it to its end.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    Task::new(super::Group::root(), future).start();
}

/// Charges the running task up to now, if it is `task`.
pub(super) fn settle(task: usize) {
    let processor = PROCESSORS.get();
    if processor.task.load(Ordering::Relaxed) == task {
        let now = clock::now_ns();
        let ran = processor.take_ran(now);
        tree().charge_running(task, ran, now);
    }
}

/// Ends the slices of `cpus`: what they run looks anew whether it may go on.
pub(super) fn end_slices(cpus: CpuMask) {
    for cpu in (0..cpu::count()).filter(|cpu| cpus & (1 << cpu) != 0) {
        PROCESSORS.of(cpu).slice_end.store(0, Ordering::Relaxed);
        cpu::kick(cpu);
    }
}

/// A CPU to be woken for a task that may run on `cpus`: where it ran last if that one is idle, else another.
pub(super) fn kick_idle(cpus: CpuMask, last: usize) {
    let idle = IDLE.load(Ordering::SeqCst) & u32::from(cpus);
    if idle != 0 {
        let target = if idle & (1 << last) != 0 { last } else { idle.trailing_zeros() as usize };
        if target != cpu::id() {
            cpu::kick(target);
        }
    }
}

/// Work may have come to the tree by other ways than a wake: has an idle CPU look.
pub(super) fn kick_for_work() {
    let work = idle_with_work(&tree());
    if let Some(cpu) = work {
        cpu::kick(cpu);
    }
}

fn idle_with_work(tree: &Tree<Arc<Task>>) -> Option<usize> {
    let idle = IDLE.load(Ordering::SeqCst) & !(1 << cpu::id());
    if idle == 0 {
        return None;
    }
    (0..cpu::count()).find(|&cpu| idle & (1 << cpu) != 0 && tree.has_work(cpu))
}

/// If a period begins before any that a CPU waits for, this CPU waits for it: when.
fn own_refill(tree: &Tree<Arc<Task>>) -> Option<u64> {
    let due = tree.next_refill().filter(|&due| due < REFILL_AT.load(Ordering::Relaxed))?;
    REFILL_AT.store(due, Ordering::Relaxed);
    PROCESSORS.get().refill_at.store(due, Ordering::Relaxed);
    Some(due)
}

/// Begins the periods of groups that are due on this CPU.
fn refill(processor: &Processor, now: u64) {
    if now < processor.refill_at.load(Ordering::Relaxed) {
        return;
    }
    processor.refill_at.store(u64::MAX, Ordering::Relaxed);
    let mut tree = tree();
    REFILL_AT.store(u64::MAX, Ordering::Relaxed);
    tree.refill(now);
    own_refill(&tree);
    let helper = idle_with_work(&tree);
    drop(tree);
    if let Some(cpu) = helper {
        cpu::kick(cpu);
    }
}

/// Returns when every CPU that ran a program at the time of the call has come to the kernel: what programs did before it is
/// seen by all that is done after it (membarrier(2)).
pub async fn barrier() {
    fence(Ordering::SeqCst);
    let idle = IDLE.load(Ordering::SeqCst) | 1 << cpu::id();
    let kicks = |cpu: usize| PROCESSORS.of(cpu).kicks.load(Ordering::SeqCst);
    let others: heapless::Vec<(usize, usize), { cpu::MAX_CPUS }> =
        (0..cpu::count()).filter(|cpu| idle & 1 << cpu == 0).map(|cpu| (cpu, kicks(cpu))).collect();
    others.iter().for_each(|&(cpu, _)| cpu::kick(cpu));
    // To wait by polling again and again could go on for ever: on the very CPU that is to come to the kernel, say, which then
    // never leaves it, and takes no interrupt in it.
    BARRIERS.wait_until(|| others.iter().all(|&(cpu, before)| kicks(cpu) != before).then_some(())).await;
}

fn attend_events() {
    let events = cpu::take_events();
    if events.contains(Events::CONSOLE) {
        console::received();
    }
    let processor = PROCESSORS.get();
    if events.contains(Events::KICK) {
        processor.kicks.fetch_add(1, Ordering::SeqCst);
        BARRIERS.wake_all();
    }
    if events.contains(Events::TIMER) {
        let now = clock::now_ns();
        processor.armed.store(u64::MAX, Ordering::Relaxed);
        timer::wake_due(now);
        refill(processor, now);
        arm(processor, processor.next_deadline().min(processor.slice_end.load(Ordering::Relaxed)));
    }
}

/// Sets the CPU's timer, unless it fires before `deadline` anyway: an early interrupt costs less than setting
/// the timer at each switch.
fn arm(processor: &Processor, deadline: u64) {
    if deadline < processor.armed.load(Ordering::Relaxed) {
        processor.armed.store(deadline, Ordering::Relaxed);
        clock::set_deadline(deadline);
    }
}

impl Processor {
    fn begin_slice(&self, end: u64) {
        self.slice_end.store(end, Ordering::Relaxed);
        arm(self, end);
    }

    /// What the running task has run since it was last charged.
    fn take_ran(&self, now: u64) -> Times {
        let total_ns = now.saturating_sub(self.charged.swap(now, Ordering::Relaxed));
        let user_ns = clock::ticks_to_ns(self.user_ticks.swap(0, Ordering::Relaxed)).min(total_ns);
        account::count_user(user_ns);
        Times { user_ns, system_ns: total_ns - user_ns }
    }

    fn next_deadline(&self) -> u64 {
        timer::next_deadline().min(self.refill_at.load(Ordering::Relaxed))
    }
}

/// Polls the task, charges it, and chooses the next.
fn execute(pick: Pick<Arc<Task>>) -> Option<Pick<Arc<Task>>> {
    let processor = PROCESSORS.get();
    let Pick { task: id, payload: task, slice_ns } = pick;
    account::count_switch();
    processor.task.store(id, Ordering::Relaxed);
    processor.begin_slice(processor.charged.load(Ordering::Relaxed) + slice_ns);
    let finished = task.poll();
    arm(processor, processor.next_deadline());
    attend_events();
    let now = clock::now_ns();
    let ran = processor.take_ran(now);
    processor.task.store(usize::MAX, Ordering::Relaxed);
    let mut tree = tree();
    tree.settle(id, ran, now);
    tree.put(cpu::id(), id);
    if !finished && task.was_woken() {
        tree.enqueue(id, task, now);
        return leave(tree, now);
    }
    let next = leave(tree, now);
    // Only now, without the lock: the last handle may go here.
    drop(task);
    next
}

/// Chooses what this CPU runs next, and sees to what has changed in the tree.
fn leave(mut tree: SpinLockGuard<'_, Tree<Arc<Task>>>, now: u64) -> Option<Pick<Arc<Task>>> {
    let next = tree.pick(cpu::id(), now);
    let processor = PROCESSORS.get();
    processor.charged.store(now, Ordering::Relaxed);
    processor.user_ticks.store(0, Ordering::Relaxed);
    let refill = own_refill(&tree);
    let helper = idle_with_work(&tree);
    let rest = tree.take_rest();
    drop(tree);
    if let Some(due) = refill {
        arm(processor, due);
    }
    if let Some(cpu) = helper {
        cpu::kick(cpu);
    }
    if rest {
        task::FREEZER.wake_all();
    }
    next
}

/// Sleeps until an interrupt. Work that arrives between the look at the tree and the sleep has kicked this CPU, whose
/// sleep then ends at once.
fn sleep() {
    let processor = PROCESSORS.get();
    mem::leave_address_space();
    let own = 1 << cpu::id();
    IDLE.fetch_or(own, Ordering::SeqCst);
    let work = tree().has_work(cpu::id());
    if !work {
        processor.slice_end.store(u64::MAX, Ordering::Relaxed);
        arm(processor, processor.next_deadline());
        account::idle(cpu::idle);
    }
    IDLE.fetch_and(!own, Ordering::SeqCst);
}
