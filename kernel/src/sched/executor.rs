//! The executor: each CPU takes the fairest task of its queue and polls it; an idle CPU takes work from the
//! longest queue, or sleeps.

use super::{queue::Queue, timer};
use crate::tty::console;
use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};
use veridian_hal::{
    clock,
    cpu::{self, Events},
    mem,
    sync::{Once, PerCpu, SpinLock},
};

/// How long a task runs while others wait.
const SLICE_NS: u64 = 4_000_000;

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that the CPUs poll to its end.
pub(super) struct Task {
    future: SpinLock<Option<TaskFuture>>,
    state: AtomicU8,
    /// Where it ran last, and runs again when that CPU is as good as another.
    cpu: AtomicUsize,
    /// CPU time so far on the scale of `cpu`'s queue, in ns.
    virtual_time: AtomicU64,
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

struct Processor {
    queue: SpinLock<Queue>,
    /// When the running task's time is over.
    slice_end: AtomicU64,
    /// What the CPU's timer is set to.
    armed: AtomicU64,
}

static PROCESSORS: Once<PerCpu<Processor>> = Once::new();
/// A bit for each CPU that sleeps or is about to.
static IDLE: AtomicU32 = AtomicU32::new(0);

fn processors() -> &'static PerCpu<Processor> {
    PROCESSORS.call_once(|| {
        PerCpu::new(|_| Processor {
            queue: SpinLock::new(Queue::default()),
            slice_end: AtomicU64::new(u64::MAX),
            armed: AtomicU64::new(u64::MAX),
        })
    })
}

/// Makes `future` a task of its own; the CPUs run it to its end.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    let home = cpu::id();
    let virtual_now = processors().of(home).queue.lock().virtual_now();
    enqueue(Arc::new(Task {
        future: SpinLock::new(Some(Box::pin(future))),
        state: AtomicU8::new(QUEUED),
        cpu: AtomicUsize::new(home),
        virtual_time: AtomicU64::new(virtual_now),
    }));
}

/// Runs tasks on this CPU for ever.
pub fn run() -> ! {
    loop {
        attend_events();
        let next = processors().get().queue.lock().pop();
        match next.or_else(steal) {
            Some((task, virtual_time)) => poll(&task, virtual_time),
            None => sleep(),
        }
    }
}

/// Whether the running task should let others run: its slice is over and someone waits. To be asked after an
/// interrupt; also serves what the interrupt was for.
pub fn slice_is_over() -> bool {
    attend_events();
    let processor = processors().get();
    let over = clock::now_ns() >= processor.slice_end.load(Ordering::Relaxed);
    if over && processor.queue.lock().len() == 0 {
        begin_slice(processor, clock::now_ns());
        return false;
    }
    over
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

fn attend_events() {
    let events = cpu::take_events();
    if events.contains(Events::CONSOLE) {
        console::received();
    }
    let processor = processors().get();
    if events.contains(Events::TIMER) {
        processor.armed.store(u64::MAX, Ordering::Relaxed);
        timer::wake_due(clock::now_ns());
        arm(processor, timer::next_deadline().min(processor.slice_end.load(Ordering::Relaxed)));
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

fn begin_slice(processor: &Processor, now: u64) {
    let end = now + SLICE_NS;
    processor.slice_end.store(end, Ordering::Relaxed);
    arm(processor, end);
}

fn poll(task: &Arc<Task>, virtual_time: u64) {
    let processor = processors().get();
    let start = clock::now_ns();
    begin_slice(processor, start);
    task.cpu.store(cpu::id(), Ordering::Relaxed);
    task.state.store(RUNNING, Ordering::Release);
    let waker = Waker::from(task.clone());
    let mut future = task.future.lock();
    let finished = match future.as_mut() {
        Some(body) => body.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(),
        None => true,
    };
    if finished {
        let body = future.take();
        drop(future);
        task.state.store(DONE, Ordering::Release);
        drop(body);
        return;
    }
    drop(future);
    arm(processor, timer::next_deadline());
    task.virtual_time.store(virtual_time + (clock::now_ns() - start), Ordering::Relaxed);
    let parked = task.state.compare_exchange(RUNNING, WAITING, Ordering::AcqRel, Ordering::Acquire);
    if parked.is_err() {
        // Woken meanwhile: it goes behind the others of this CPU.
        task.state.store(QUEUED, Ordering::Release);
        let virtual_time = task.virtual_time.load(Ordering::Relaxed);
        processor.queue.lock().push(task.clone(), virtual_time);
        kick_an_idle_cpu();
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
            enqueue(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.clone().wake();
    }
}

/// Puts a runnable task into a queue: where it ran last if that CPU is this one or idle, else an idle CPU's,
/// else where it ran last.
fn enqueue(task: Arc<Task>) {
    let last = task.cpu.load(Ordering::Relaxed);
    let idle = IDLE.load(Ordering::SeqCst);
    let target = if idle & (1 << last) != 0 || idle == 0 { last } else { idle.trailing_zeros() as usize };
    let mut virtual_time = task.virtual_time.load(Ordering::Relaxed);
    if target != last {
        // Virtual time counts from the queue's own.
        let ahead = virtual_time.saturating_sub(processors().of(last).queue.lock().virtual_now());
        virtual_time = processors().of(target).queue.lock().virtual_now() + ahead;
        task.cpu.store(target, Ordering::Relaxed);
    }
    processors().of(target).queue.lock().push(task, virtual_time);
    if target != cpu::id() && IDLE.load(Ordering::SeqCst) & (1 << target) != 0 {
        cpu::kick(target);
    }
}

fn kick_an_idle_cpu() {
    let idle = IDLE.load(Ordering::SeqCst) & !(1 << cpu::id());
    if idle != 0 {
        cpu::kick(idle.trailing_zeros() as usize);
    }
}

/// Takes a task from the longest queue of the other CPUs.
fn steal() -> Option<(Arc<Task>, u64)> {
    let own = cpu::id();
    let longest = (0..cpu::count())
        .filter(|&cpu| cpu != own)
        .map(|cpu| (processors().of(cpu).queue.lock().len(), cpu))
        .max()
        .filter(|&(length, _)| length > 0)?;
    let (task, ahead) = processors().of(longest.1).queue.lock().steal()?;
    let virtual_time = processors().of(own).queue.lock().virtual_now() + ahead;
    Some((task, virtual_time))
}

/// Sleeps until an interrupt. Work that arrives between the look at the queues and the sleep has kicked this
/// CPU, whose sleep then ends at once.
fn sleep() {
    let processor = processors().get();
    mem::leave_address_space();
    let own = 1 << cpu::id();
    IDLE.fetch_or(own, Ordering::SeqCst);
    let work = (0..cpu::count()).any(|cpu| processors().of(cpu).queue.lock().len() > 0);
    if !work {
        processor.slice_end.store(u64::MAX, Ordering::Relaxed);
        arm(processor, timer::next_deadline());
        cpu::idle();
    }
    IDLE.fetch_and(!own, Ordering::SeqCst);
}
