//! Namespaces: what a task sees of names that others use too.
//!
//! Owns: [`PidNamespace`], [`TimeNamespace`], [`UserNamespace`], [`UtsNamespace`] and the set that a task carries. (The
//! mount namespace lives in `fs`.) Every namespace object has an inode number and an owner: the user namespace it was
//! made in, whose capabilities rule it.
//! May call: nothing above hal's locks. Called by: `security`, `fs`, `task`, `syscall`, `virt`.
//!
//! Lock order: a child pid namespace's table before its parent's.

pub mod id_map;
pub mod pid;
pub mod time;
pub mod user;
pub mod uts;

pub use pid::{Pid, PidNamespace};
pub use time::TimeNamespace;
pub use user::{IdKind, UserNamespace};
pub use uts::UtsNamespace;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// The namespaces of a task, the mount namespace (its files' [`Context`](crate::fs::Context)) and the user namespace
/// (its [`Credentials`](crate::security::Credentials)) aside.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Host and domain name.
    pub uts: Arc<UtsNamespace>,
    /// Where the task's next child gets its pid; its own pids are in its [`Pid`].
    pub pid_for_children: Arc<PidNamespace>,
    /// What its clocks show.
    pub time: Arc<TimeNamespace>,
    /// What those of its children, and of its next program, will show.
    pub time_for_children: Arc<TimeNamespace>,
}

impl Namespaces {
    /// Goes on with the clocks that are for the children: at fork(2) and execve(2).
    pub fn enter_time(&mut self) {
        self.time = self.time_for_children.clone();
        self.time.enter();
    }
}

/// A number for a namespace, unique on the machine while it runs: what stat(2) tells of `/proc/<pid>/ns/*`.
pub fn next_inode() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0xF000_0000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
