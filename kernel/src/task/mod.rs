//! Tasks: what runs in user mode, from fork to wait.
//!
//! Owns: [`Thread`] (a process: it has one thread), signals, fork, exec, exit, wait. May call: `mm`, `fs`,
//! `namespace`, `cgroup`, `sched`, `security`. Called by: `syscall`, `virt`.
//!
//! The life of a thread is one async fn, [`run`]: run user code until it traps, serve the trap, await what must
//! wait. Lock order: a parent's children before a child's own fields; nothing is woken under a lock.

mod exec;
mod exit;
mod fork;
mod guard;
mod namespaces;
mod oom;
mod pidfd;
mod run;
mod signal;
mod thread;
mod usage;
mod wait;

pub use exec::{LoadError, Program, exec, load};
pub use exit::{abandon, exit, free_zombies};
pub use fork::{CloneFlags, CloneRequest, clone};
pub use guard::Guard;
pub use namespaces::{Namespace, Scene, join, join_those_of, unshare};
pub use oom::{badness, fit_memory, machine_bytes};
pub use pidfd::PidFd;
pub use run::{force, kill, release, spawn};
pub use signal::{
    Action, SignalSet, Signals, group_is_orphaned, may_signal, send, send_from, send_from_above, send_to_group,
};
pub use thread::{ExitObserver, NewThread, Thread};
pub use usage::Usage;
pub use wait::{Event, WaitFor, WaitOptions, Waited, wait};
