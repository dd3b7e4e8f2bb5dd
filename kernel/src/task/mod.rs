//! Tasks: what runs in user mode, from clone to wait.
//!
//! Owns: [`Thread`] and [`Process`], what a process's threads share; signals, futexes, clone, exec, exit, wait. May call: `mm`, `fs`,
//! `namespace`, `cgroup`, `sched`, `security`. Called by: `syscall`, `virt`.
//!
//! The life of a thread is one async fn, [`run`]: run user code until it traps, serve the trap, await what must
//! wait. Lock order: a parent's children before a child's own fields; nothing is woken under a lock.

mod body;
mod cpu_clock;
mod exec;
mod exit;
mod fork;
pub mod futex;
mod guard;
mod handler;
mod namespaces;
mod oom;
mod pidfd;
mod process;
mod run;
mod signal;
mod signalfd;
mod thread;
pub mod timers;
mod usage;
mod wait;

pub use cpu_clock::{Counted, CpuClock};
pub use exec::{LoadError, Origin, Program, load, prepare};
pub use exit::{abandon, exit, free_zombies};
pub use fork::{CloneFlags, CloneRequest, clone};
pub use guard::Guard;
pub use handler::return_from_handler;
pub use namespaces::{Namespace, Scene, join, join_those_of, unshare};
pub use oom::{badness, fit_memory, machine_bytes};
pub use pidfd::PidFd;
pub use process::Process;
pub use run::{force, kill, release, spawn};
pub use signal::{
    Action, Actions, AlternateStack, Disposition, SignalAction, SignalFlags, SignalInfo, SignalSet, Signals,
    group_is_in_session, group_is_orphaned, may_signal, queue, send, send_from, send_from_above, send_info,
    send_to_group, send_to_itself,
};
pub use signalfd::SignalFd;
pub use thread::{ExitObserver, Kin, NewThread, Thread};
pub use usage::Usage;
pub use wait::{Event, WaitFor, WaitOptions, Waited, wait};
