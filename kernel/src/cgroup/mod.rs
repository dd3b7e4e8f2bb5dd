//! Control groups: the tree of groups and what each may take.
//!
//! Owns: [`Cgroup`], with its controllers [`memory`] and [`pids`]. A limit is charged where the resource is
//! taken: a frame when it is given out, a task when it is made. May call: hal's frames. Called by: `mm`, `fs`,
//! `task`, `virt`.
//!
//! No locks of its own but each controller's: taken child before parent, released before anything else is called.

pub mod memory;
pub mod objects;
pub mod pids;

use alloc::{string::String, sync::Arc};
use core::sync::atomic::{AtomicBool, Ordering};
pub use memory::{KernelCharge, MemoryGroup};
pub use objects::{ObjectCharge, ObjectPool};
pub use pids::PidsGroup;

/// A group of tasks with limits. Dropped with its last task, child and container.
#[derive(Debug)]
pub struct Cgroup {
    path: String,
    /// All its tasks are to die, those included that are being made.
    killed: AtomicBool,
    /// Bytes of memory.
    pub memory: Arc<MemoryGroup>,
    /// Number of tasks.
    pub pids: Arc<PidsGroup>,
}

impl Cgroup {
    /// The group that everything is in, without limits.
    pub fn root() -> Arc<Self> {
        Arc::new(Self {
            path: String::from("/"),
            killed: AtomicBool::new(false),
            memory: MemoryGroup::root(),
            pids: PidsGroup::root(),
        })
    }

    /// A group below `parent`; `None` is no limit of its own.
    pub fn child(
        parent: &Arc<Self>,
        name: &str,
        memory_limit_bytes: Option<u64>,
        pids_limit: Option<u64>,
    ) -> Arc<Self> {
        let slash = if parent.path.ends_with('/') { "" } else { "/" };
        Arc::new(Self {
            path: alloc::format!("{}{slash}{name}", parent.path),
            killed: AtomicBool::new(false),
            memory: MemoryGroup::child(&parent.memory, memory_limit_bytes),
            pids: PidsGroup::child(&parent.pids, pids_limit),
        })
    }

    /// Notes that all its tasks are to die: whoever makes one afterwards finds it so.
    pub fn set_killed(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Whether all its tasks are to die.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// The path from the root group, `/` first.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.memory.close();
    }
}
