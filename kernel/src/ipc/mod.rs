//! Objects that processes of one ipc namespace share by number or name: System V shared memory, semaphores and message
//! queues (sysvipc(7)), POSIX message queues (mq_overview(7)).
//!
//! Owns: the objects and their tables; [`IpcNamespace`](crate::namespace::IpcNamespace) holds one of each kind of table
//! and goes with its last process. May call: `mm` (pages of a segment), `cgroup`, `security`, `sched`, `task` (a
//! notification's signal). Called by: `syscall`, `namespace`, `task` (what a process leaves behind), `fs` (texts).
//!
//! Every object is paid for from the namespace's pool of kernel objects by who made it; a segment's pages by who touched
//! them first. Lock order: a table, then an object's state, then a pool. Nothing is woken or dropped under them.

mod limits;
pub mod message;
mod permission;
pub mod posix;
pub mod semaphore;
pub mod shared_memory;
mod table;

pub use limits::Limits;
pub use permission::{Permissions, READ, WRITE};
pub use table::{GetFlags, Id};

use crate::{
    cgroup::{MemoryGroup, ObjectPool},
    fs::Timestamp,
    namespace::{Pid, PidNamespace, UserNamespace},
    security::Credentials,
    task::Thread,
};
use alloc::sync::{Arc, Weak};

/// Who asks, and who pays.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// What is allowed.
    pub credentials: &'a Credentials,
    /// Whose capabilities rule the namespace.
    pub owner: &'a UserNamespace,
    /// What is charged.
    pub memory: &'a MemoryGroup,
    /// Whose number an object remembers.
    pub pid: &'a Pid,
    /// Where objects are paid for.
    pub pool: &'a Arc<ObjectPool>,
    /// Bytes that the POSIX queues of its user may come to (RLIMIT_MSGQUEUE).
    pub queue_bytes_max: u64,
}

/// A process that an object remembers, whether it still lives or not.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    namespace: Weak<PidNamespace>,
    number: u32,
    global: u32,
}

impl Remembered {
    /// The process with these numbers.
    pub fn new(pid: &Pid) -> Self {
        Self { namespace: Arc::downgrade(pid.namespace()), number: pid.number(), global: pid.global_number() }
    }

    /// Its number for who counts in `viewer`; 0 if it has none there, or is gone from another namespace.
    pub fn number_in(&self, viewer: &Arc<PidNamespace>) -> u32 {
        if core::ptr::eq(self.namespace.as_ptr(), Arc::as_ptr(viewer)) {
            return self.number;
        }
        let thread = crate::boot::pid_namespace().thread(self.global);
        thread.and_then(|thread| thread.pid().number_in(viewer)).unwrap_or(0)
    }

    /// As [`Self::number_in`], for a process.
    pub fn number_for(&self, viewer: &Thread) -> u32 {
        self.number_in(viewer.pid().namespace())
    }
}

/// In whose numbers a text tells of processes and users.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// Processes.
    pub pids: &'a Arc<PidNamespace>,
    /// Users and groups.
    pub users: &'a UserNamespace,
}

impl Viewer<'_> {
    /// Owner, owning group, creator and creator's group of an object.
    fn owners(&self, of: &Permissions) -> [u32; 4] {
        let Self { users, .. } = self;
        [
            users.shown_user(of.uid),
            users.shown_group(of.gid),
            users.shown_user(of.creator_uid),
            users.shown_group(of.creator_gid),
        ]
    }
}

/// Seconds since 1970, as the structures of System V tell them.
fn now_s() -> i64 {
    Timestamp::now().seconds
}
