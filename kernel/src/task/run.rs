//! The life of a thread: run until a trap, serve it, look at the signals, let others run.

use super::{
    Action, Thread, exit,
    oom::{self, Relief},
    send,
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

const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;
const SIGKILL: u32 = 9;
const SIGSEGV: u32 = 11;

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
    let status = loop {
        if thread.signals().wants_attention()
            && let Some(status) = obey_signals(&thread).await
        {
            break status;
        }
        if memory::take_slowdown() {
            slow_down(&thread).await;
        }
        match enter_user(&thread, &mut context) {
            Trap::Syscall => {
                if let Some(status) = serve_syscall(&thread, &mut context).await {
                    break status;
                }
            }
            Trap::PageFault { address, access } => match thread.space().fault(address, access) {
                Ok(()) => thread.usage().count_fault(),
                Err(FaultError::OutOfMemory) => {
                    if oom::out_of_memory(&thread) == Relief::OtherKilled {
                        sched::yield_now().await;
                    }
                }
                Err(FaultError::Bus) => force(&thread, SIGBUS),
                Err(FaultError::NotMapped | FaultError::Denied) => {
                    log::debug!("{thread:?}: segmentation fault at {address:?} ({access:?}), {context:?}");
                    force(&thread, SIGSEGV);
                }
            },
            Trap::Exception(exception) => force(
                &thread,
                match exception {
                    Exception::IllegalInstruction => SIGILL,
                    Exception::Breakpoint => SIGTRAP,
                    Exception::Arithmetic => SIGFPE,
                    Exception::Misaligned => SIGBUS,
                    Exception::Protection => SIGSEGV,
                },
            ),
            // An interrupt that came during a system call is taken as soon as user mode begins again: only here
            // can a slice be over.
            Trap::Interrupt => {
                if let Some(signal) = thread.cpu_time_signal() {
                    send(&thread, Signal::new(signal).expect("a signal"));
                }
                if sched::slice_is_over() {
                    thread.usage().count_slice();
                    sched::yield_now().await;
                }
            }
        }
    };
    exit(&thread, status).await;
}

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

/// Serves the system call just trapped; gives the status when the call ended the process.
async fn serve_syscall(thread: &Arc<Thread>, context: &mut UserContext) -> Option<WaitStatus> {
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
    match outcome {
        Some(Ok(syscall::Outcome::Returns(value))) => context.set_syscall_result(value as isize),
        Some(Ok(syscall::Outcome::Replaced)) => {}
        Some(Ok(syscall::Outcome::Exits(status))) => return Some(status),
        Some(Err(errno)) => {
            if errno == Errno::ENOMEM && oom::refused(thread) == Relief::OtherKilled {
                // A refused call has changed nothing: it is made again when the other has gone.
                context.restart_syscall();
                sched::yield_now().await;
            } else {
                context.set_syscall_result(errno.to_return());
            }
        }
        // A signal that ends or stops the process: there are no handlers that would see EINTR. After a stop
        // the call is made again.
        None => context.restart_syscall(),
    }
    None
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

/// Does what the waiting signals ask; gives the status when one ends the process.
async fn obey_signals(thread: &Arc<Thread>) -> Option<WaitStatus> {
    loop {
        match thread.signals().take() {
            Some(Action::Terminate(signal)) => return Some(WaitStatus::Signaled(signal)),
            Some(Action::Stop(signal)) => {
                thread.signals().set_stopped();
                super::wait::report_to_parent(thread, signal);
                thread.signals().arrival.wait_until(|| (!thread.signals().is_stopped()).then_some(())).await;
                super::wait::report_to_parent(thread, Signal::new(SIGCONT).expect("a signal"));
            }
            None => return None,
        }
    }
}

const SIGCONT: u32 = 18;

/// A fault of the thread's own making: the signal cannot be ignored or blocked (signal(7)).
pub fn force(thread: &Arc<Thread>, number: u32) {
    let signal = Signal::new(number).expect("a signal");
    let signals = thread.signals();
    signals.set_ignored(signal, false);
    let mask = signals.blocked();
    signals.set_blocked(super::SignalSet(mask.0 & !(1 << (number - 1))));
    send(thread, signal);
}

/// Kills on the kernel's account.
pub fn kill(thread: &Arc<Thread>) {
    send(thread, Signal::new(SIGKILL).expect("a signal"));
}
