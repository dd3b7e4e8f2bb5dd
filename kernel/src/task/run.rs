//! The life of a thread: run until a trap, serve it, look at the signals, let others run.

use super::{
    Action, Program, SignalAction, SignalFlags, SignalInfo, SignalSet, Thread, exec, exit, group_is_orphaned, handler,
    oom::{self, Relief},
    send, send_info, timers,
    wait::{Event, report_to_parent},
};
use crate::{
    cgroup::memory,
    mm::FaultError,
    sched,
    syscall::{self, Begun},
};
use alloc::sync::Arc;
use core::{
    future::{Future, poll_fn},
    task::{Context, Poll},
};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
};
use veridian_hal::{
    UserAddr, clock,
    user::{Exception, Trap, UserContext},
};

/// Sets the thread off with `context`.
pub fn spawn(thread: Arc<Thread>, context: UserContext) {
    let task = sched::Task::new(&thread.cgroup().cpu, run(thread.clone(), context));
    if let Some(parent) = thread.parent()
        && let Some(maker) = parent.task()
    {
        task.inherit(maker);
    }
    thread.bind(task.clone());
    task.start();
}

/// Lets a [held](Thread::hold) thread run; tells whether it was held.
pub fn release(thread: &Arc<Thread>) -> bool {
    let context = thread.take_held();
    let held = context.is_some();
    if let Some(context) = context {
        spawn(thread.clone(), context);
    }
    held
}

async fn run(thread: Arc<Thread>, mut context: UserContext) {
    loop {
        let status = live(&thread, &mut context).await;
        match exit(&thread, status).await {
            // The program that another thread of the process began.
            Some(next) => context = next,
            None => return,
        }
    }
}

/// Runs `thread` until it, or its process, comes to its end.
async fn live(thread: &Arc<Thread>, context: &mut UserContext) -> WaitStatus {
    // The last call was given up for a signal: whether it is made again depends on which.
    let mut interrupted = false;
    loop {
        if (interrupted || thread.signals().wants_attention())
            && let Some(status) = obey_signals(thread, context, core::mem::take(&mut interrupted)).await
        {
            return status;
        }
        if memory::take_slowdown() {
            slow_down(thread).await;
        }
        match poll_fn(|cx| Poll::Ready(go_on(thread, context, cx))).await {
            Stop::Attention => {}
            Stop::Called(outcome) => {
                if let Some(status) = settle(thread, context, outcome).await {
                    return status;
                }
            }
            Stop::Waits(line) => match wait_for(thread, context, line).await {
                Some(result) => {
                    if let Some(status) = settle(thread, context, result.map(syscall::Outcome::Returns)).await {
                        return status;
                    }
                }
                None => interrupted = true,
            },
            Stop::Faulted(address, error) => obey_fault(thread, context, address, error).await,
            Stop::Trapped(trap) => obey_trap(thread, context, trap).await,
        }
    }
}

/// Why a thread does not just go on.
enum Stop<'a> {
    /// Something may have to be seen to before user mode.
    Attention,
    /// A call has done something that is more than a result.
    Called(Result<syscall::Outcome, Errno>),
    /// A call may have to wait.
    Waits(syscall::Traced<'a>),
    /// User code has tried with memory what cannot be.
    Faulted(UserAddr, FaultError),
    /// Another trap.
    Trapped(Trap),
}

/// Runs user code, and serves what needs no waiting.
fn go_on<'a>(thread: &'a Arc<Thread>, context: &mut UserContext, cx: &mut Context<'_>) -> Stop<'a> {
    // Nobody but the thread itself exchanges it.
    let space = thread.space();
    thread.usage().run_here();
    thread.begin_run();
    let stop = loop {
        // A signal sent before `begin_run` found no CPU to kick: it is looked for after it. One sent later interrupts.
        if thread.signals().wants_attention() || memory::owes_slowdown() {
            break Stop::Attention;
        }
        match sched::in_user_mode(|| context.run(space.page_table())) {
            Trap::Syscall => match syscall::begin(thread, context, cx) {
                Begun::Ended(Ok(syscall::Outcome::Returns(value))) => {
                    thread.end_call();
                    context.set_syscall_result(value as isize);
                }
                // (Who lacks memory may have it in a moment.)
                Begun::Ended(Err(errno)) if errno != Errno::ENOMEM => {
                    thread.end_call();
                    context.set_syscall_result(errno.to_return());
                }
                Begun::Ended(outcome) => break Stop::Called(outcome),
                Begun::Waits(line) => break Stop::Waits(line),
            },
            Trap::PageFault { address, access } => match space.fault(address, access) {
                Ok(()) => thread.usage().count_fault(),
                Err(error) => break Stop::Faulted(address, error),
            },
            trap => break Stop::Trapped(trap),
        }
    };
    thread.end_run();
    stop
}

/// Sees to what the thread has done wrong, or to an interrupt.
async fn obey_trap(thread: &Arc<Thread>, context: &UserContext, trap: Trap) {
    match trap {
        Trap::Syscall | Trap::PageFault { .. } => unreachable!("served where the thread goes on"),
        Trap::Exception(exception) => {
            let at = context.instruction_pointer().0;
            let (signal, info) = match exception {
                Exception::IllegalInstruction => (Signal::SIGILL, SignalInfo::fault(ILL_ILLOPC, at)),
                Exception::Breakpoint => (Signal::SIGTRAP, SignalInfo::fault(TRAP_BRKPT, at)),
                Exception::Arithmetic => (Signal::SIGFPE, SignalInfo::fault(FPE_INTDIV, at)),
                Exception::Misaligned => (Signal::SIGBUS, SignalInfo::fault(BUS_ADRALN, at)),
                Exception::Protection => (Signal::SIGSEGV, SignalInfo::kernel()),
            };
            log::debug!("{thread:?}: {exception:?}, {context:?}");
            force(thread, signal, info);
        }
        // An interrupt that came during a system call is taken as soon as user mode begins again: only here
        // can a slice be over.
        Trap::Interrupt => {
            if let Some(signal) = thread.cpu_time_signal() {
                send(thread, signal);
            }
            timers::look_at_cpu_time(thread);
            if sched::slice_is_over() {
                thread.usage().count_slice();
                sched::yield_now().await;
            }
        }
    }
}

/// What was tried with memory cannot be.
async fn obey_fault(thread: &Arc<Thread>, context: &UserContext, address: UserAddr, error: FaultError) {
    let (signal, code) = match error {
        FaultError::OutOfMemory => {
            if oom::out_of_memory(thread) == Relief::OtherKilled {
                sched::yield_now().await;
            }
            return;
        }
        FaultError::Bus => (Signal::SIGBUS, BUS_ADRERR),
        FaultError::Denied => (Signal::SIGSEGV, SEGV_ACCERR),
        _ => (Signal::SIGSEGV, SEGV_MAPERR),
    };
    log::debug!("{thread:?}: {error:?} at {address:?}, {context:?}");
    force(thread, signal, SignalInfo::fault(code, address.0));
}

/// Codes of faults (sigaction(2), `si_code`).
const ILL_ILLOPC: i32 = 1;
const FPE_INTDIV: i32 = 1;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
const TRAP_BRKPT: i32 = 1;

/// Waits for what the call that `context` has trapped with has to wait for; `None` when it was given up for a signal.
async fn wait_for(
    thread: &Arc<Thread>,
    context: &UserContext,
    line: syscall::Traced<'_>,
) -> Option<Result<usize, Errno>> {
    let (number, words) = (context.syscall_number() as u32, context.syscall_args());
    let mut end = core::pin::pin!(syscall::end(thread, number, words, line));
    let outcome = poll_fn(|cx| {
        thread.usage().end_wait();
        if let Poll::Ready(outcome) = end.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        // No signal that the process has not asked to ignore lets it sleep on. What waits is dropped.
        thread.signals().arrival.register(cx);
        if thread.signals().wants_attention() {
            // What has done its work in part tells so now, and is not made again.
            return Poll::Ready(match end.as_mut().poll(cx) {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => None,
            });
        }
        thread.usage().begin_wait();
        Poll::Pending
    })
    .await;
    thread.usage().end_wait();
    outcome
}

/// Does what a call that is over asks for; gives the status when it has ended the thread.
async fn settle(
    thread: &Arc<Thread>,
    context: &mut UserContext,
    outcome: Result<syscall::Outcome, Errno>,
) -> Option<WaitStatus> {
    thread.end_call();
    match outcome {
        Ok(syscall::Outcome::Returns(value)) => context.set_syscall_result(value as isize),
        Ok(syscall::Outcome::Replaced) => {}
        Ok(syscall::Outcome::Exits(status)) => return Some(status),
        Ok(syscall::Outcome::EndsProcess(status)) => {
            thread.process().end(status);
            return Some(status);
        }
        Ok(syscall::Outcome::Begins(program)) => return begin_program(thread, context, *program).await,
        Ok(syscall::Outcome::LendsMemory(child, number)) => {
            context.set_syscall_result(number as isize);
            let signals = thread.signals();
            let given_back = || !child.process().borrows_memory() || signals.is_killed() || signals.is_doomed();
            let mut child_is_done = core::pin::pin!(child.ended().wait_until(|| given_back().then_some(())));
            poll_fn(|cx| {
                // Only its own end lets it go on before the child has.
                thread.signals().arrival.register(cx);
                child_is_done.as_mut().poll(cx)
            })
            .await;
        }
        Err(errno) => {
            if errno == Errno::ENOMEM && oom::refused(thread) == Relief::OtherKilled {
                // A refused call has changed nothing: it is made again when the other has gone.
                context.restart_syscall();
                sched::yield_now().await;
            } else {
                context.set_syscall_result(errno.to_return());
            }
        }
    }
    None
}

/// Exchanges the program of the process (execve(2)): the other threads end, and the leader has it then. Gives the status
/// when the thread ends.
async fn begin_program(thread: &Arc<Thread>, context: &mut UserContext, program: Program) -> Option<WaitStatus> {
    let process = thread.process();
    if process.be_alone(thread).await.is_err() {
        return Some(process.fate().unwrap_or(WaitStatus::Exited(0)));
    }
    *context = exec::begin(thread, program);
    if thread.is_leader() {
        process.program_begins(thread);
        return None;
    }
    process.hand_over(thread, context.clone());
    Some(WaitStatus::Exited(0))
}

/// Has a thread wait that has charged its memory group over `memory.high`; a signal ends the wait.
async fn slow_down(thread: &Thread) {
    let penalty_ns = thread.memory().penalty_ns();
    if penalty_ns == 0 {
        return;
    }
    let mut pause = core::pin::pin!(sched::sleep_until(clock::now_ns().saturating_add(penalty_ns)));
    poll_fn(|context| {
        thread.signals().arrival.register(context);
        if thread.signals().wants_attention() { Poll::Ready(()) } else { pause.as_mut().poll(context) }
    })
    .await;
}

/// Does what the waiting signals ask; gives the status when the thread is to end. A call that was `interrupted` is made
/// again unless a handler runs that lets it fail.
async fn obey_signals(thread: &Arc<Thread>, context: &mut UserContext, interrupted: bool) -> Option<WaitStatus> {
    let signals = thread.signals();
    let mut interrupted = interrupted;
    loop {
        if signals.is_doomed() {
            return Some(thread.process().fate().unwrap_or(WaitStatus::Exited(0)));
        }
        if signals.is_stopped() {
            signals.continued().await;
            continue;
        }
        match signals.take() {
            Some(Action::Terminate(signal)) => {
                let status = WaitStatus::Signaled(signal);
                thread.process().end(status);
                return Some(thread.process().fate().unwrap_or(status));
            }
            Some(Action::Stop(signal)) => {
                // Nobody could continue it (signal(7)).
                if signal != Signal::SIGSTOP && group_is_orphaned(thread.group(), thread.session()) {
                    continue;
                }
                signals.set_stopped();
                thread.process().attend_all();
                report_to_parent(thread, Event::Stopped(signal));
                signals.continued().await;
                report_to_parent(thread, Event::Continued);
            }
            Some(Action::Handle(signal, info, action)) => {
                if core::mem::take(&mut interrupted) {
                    settle_call(thread, context, &action);
                }
                if handler::call(thread, context, signal, info, &action).is_err() {
                    log::debug!("{thread:?}: no room for the frame of {signal}'s handler");
                    signals.set_action(Signal::SIGSEGV, SignalAction::default());
                    force(thread, Signal::SIGSEGV, SignalInfo::kernel());
                }
            }
            None => break,
        }
    }
    if interrupted {
        context.restart_syscall();
    }
    if let Some(mask) = signals.take_deferred_mask() {
        thread.set_blocked(mask);
    }
    None
}

/// A handler runs: the call that was given up is made again after it, or fails.
fn settle_call(thread: &Thread, context: &mut UserContext, action: &SignalAction) {
    if action.flags.contains(SignalFlags::RESTART) && syscall::is_restartable(context) {
        context.restart_syscall();
    } else {
        thread.end_call();
        context.set_syscall_result(Errno::EINTR.to_return());
    }
}

/// A fault of the thread's own making: the signal cannot be ignored or blocked (signal(7)).
pub fn force(thread: &Arc<Thread>, signal: Signal, info: SignalInfo) {
    let signals = thread.signals();
    let mask = signals.blocked();
    let deaf = mask.contains(signal) || signals.is_ignored(signal);
    if deaf {
        signals.set_action(signal, SignalAction::default());
        thread.set_blocked(mask.without(SignalSet::of(&[signal])));
    }
    if !signals.caught().contains(signal) {
        signals.unprotect();
    }
    send_info(thread, signal, info, true);
}

/// Kills on the kernel's account.
pub fn kill(thread: &Arc<Thread>) {
    send(thread, Signal::SIGKILL);
}
