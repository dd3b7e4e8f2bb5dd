//! The life of a thread: run until a trap, serve it, look at the signals, let others run.

use super::{
    Action, Program, SignalAction, SignalFlags, SignalInfo, SignalSet, Thread, exec, exit, group_is_orphaned, handler,
    oom::{self, Relief},
    send, send_info, timers,
    wait::{Event, report_to_parent},
};
use crate::{cgroup::memory, mm::FaultError, sched, syscall};
use alloc::sync::Arc;
use core::{
    future::{Future, poll_fn},
    task::Poll,
};
use veridian_containers::{
    Signal,
    abi::{Errno, WaitStatus},
};
use veridian_hal::{
    clock,
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
        match enter_user(thread, context) {
            Trap::Syscall => match serve_syscall(thread, context).await {
                Served::GoesOn => {}
                Served::Interrupted => interrupted = true,
                Served::Ends(status) => return status,
            },
            Trap::PageFault { address, access } => match thread.space().fault(address, access) {
                Ok(()) => thread.usage().count_fault(),
                Err(FaultError::OutOfMemory) => {
                    if oom::out_of_memory(thread) == Relief::OtherKilled {
                        sched::yield_now().await;
                    }
                }
                Err(error) => {
                    log::debug!("{thread:?}: {error:?} at {address:?} ({access:?}), {context:?}");
                    let (signal, code) = match error {
                        FaultError::Bus => (Signal::SIGBUS, BUS_ADRERR),
                        FaultError::Denied => (Signal::SIGSEGV, SEGV_ACCERR),
                        _ => (Signal::SIGSEGV, SEGV_MAPERR),
                    };
                    force(thread, signal, SignalInfo::fault(code, address.0));
                }
            },
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
}

/// Codes of faults (sigaction(2), `si_code`).
const ILL_ILLOPC: i32 = 1;
const FPE_INTDIV: i32 = 1;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
const TRAP_BRKPT: i32 = 1;

fn enter_user(thread: &Thread, context: &mut UserContext) -> Trap {
    let space = thread.space();
    thread.enter_user();
    thread.usage().enter_user();
    // A signal sent before `enter_user` found no CPU to kick: look once more.
    if thread.signals().wants_attention() {
        thread.leave_user();
        return Trap::Interrupt;
    }
    let trap = sched::in_user_mode(|| context.run(space.page_table()));
    thread.leave_user();
    trap
}

/// What became of a call.
enum Served {
    GoesOn,
    /// It was given up for a signal.
    Interrupted,
    /// It ended the thread.
    Ends(WaitStatus),
}

/// Serves the system call just trapped.
async fn serve_syscall(thread: &Arc<Thread>, context: &mut UserContext) -> Served {
    let outcome = {
        let mut call = core::pin::pin!(syscall::dispatch(thread, context));
        poll_fn(|cx| {
            thread.usage().end_wait();
            if let Poll::Ready(outcome) = call.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            // No signal that the process has not asked to ignore lets it sleep on. What waits is dropped.
            thread.signals().arrival.register(cx);
            if thread.signals().wants_attention() {
                // What has done its work in part tells so now, and is not made again.
                return Poll::Ready(match call.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Some(outcome),
                    Poll::Pending => None,
                });
            }
            thread.usage().begin_wait();
            Poll::Pending
        })
        .await
    };
    thread.usage().end_wait();
    let Some(outcome) = outcome else { return Served::Interrupted };
    thread.end_call();
    match outcome {
        Ok(syscall::Outcome::Returns(value)) => context.set_syscall_result(value as isize),
        Ok(syscall::Outcome::Replaced) => {}
        Ok(syscall::Outcome::Exits(status)) => return Served::Ends(status),
        Ok(syscall::Outcome::EndsProcess(status)) => {
            thread.process().end(status);
            return Served::Ends(status);
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
    Served::GoesOn
}

/// Exchanges the program of the process (execve(2)): the other threads end, and the leader has it then.
async fn begin_program(thread: &Arc<Thread>, context: &mut UserContext, program: Program) -> Served {
    let process = thread.process();
    if process.be_alone(thread).await.is_err() {
        return Served::Ends(process.fate().unwrap_or(WaitStatus::Exited(0)));
    }
    *context = exec::begin(thread, program);
    if thread.is_leader() {
        process.program_begins(thread);
        return Served::GoesOn;
    }
    process.hand_over(thread, context.clone());
    Served::Ends(WaitStatus::Exited(0))
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
        signals.set_blocked(mask);
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
        signals.set_blocked(mask.without(SignalSet::of(&[signal])));
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
