//! Namespaces: what a task sees of names that others use too.
//!
//! Owns: [`PidNamespace`], [`UtsNamespace`] and the set that a task carries. (The mount namespace lives in `fs`.)
//! May call: nothing above hal's locks. Called by: `task`, `syscall`, `virt`.
//!
//! Lock order: a child pid namespace's table before its parent's.

pub mod pid;
pub mod uts;

pub use pid::{Pid, PidNamespace};
pub use uts::UtsNamespace;

use alloc::sync::Arc;

/// The namespaces of a task, the mount namespace aside.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Host and domain name.
    pub uts: Arc<UtsNamespace>,
    /// Where the task's next child gets its pid; its own pids are in its [`Pid`].
    pub pid_for_children: Arc<PidNamespace>,
}
