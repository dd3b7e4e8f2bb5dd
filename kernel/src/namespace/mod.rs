//! Namespaces: what a task sees of names that others use too.
//!
//! Owns: [`CgroupNamespace`], [`IpcNamespace`], [`NetworkNamespace`], [`PidNamespace`], [`TimeNamespace`],
//! [`UserNamespace`], [`UtsNamespace`] and the set that a
//! task carries. (The mount namespace lives in `fs`.) Every namespace object has an inode number and an owner: the user
//! namespace it was made in, whose capabilities rule it.
//! May call: nothing above hal's locks. Called by: `security`, `fs`, `task`, `syscall`, `virt`.
//!
//! Lock order: a child pid namespace's table before its parent's.

pub mod cgroup;
pub mod id_map;
pub mod ipc;
pub mod network;
pub mod pid;
pub mod time;
pub mod user;
pub mod uts;

pub use cgroup::CgroupNamespace;
pub use ipc::IpcNamespace;
pub use network::NetworkNamespace;
pub use pid::{Pid, PidNamespace};
pub use time::TimeNamespace;
pub use user::{IdKind, UserNamespace};
pub use uts::UtsNamespace;

use crate::cgroup::Cgroup;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::{NamespaceSet, abi::Errno};

/// The namespaces of a task, the mount namespace (its files' [`Context`](crate::fs::Context)) and the user namespace
/// (its [`Credentials`](crate::security::Credentials)) aside.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// Host and domain name.
    pub uts: Arc<UtsNamespace>,
    /// Where the task's next child gets its pid; its own pids are in its [`Pid`].
    pub pid_for_children: Arc<PidNamespace>,
    /// Which part of the cgroup hierarchy is seen.
    pub cgroup: Arc<CgroupNamespace>,
    /// Shared memory, semaphores and message queues.
    pub ipc: Arc<IpcNamespace>,
    /// The loopback interface, ports and names of sockets.
    pub network: Arc<NetworkNamespace>,
    /// What its clocks show.
    pub time: Arc<TimeNamespace>,
    /// What those of its children, and of its next program, will show.
    pub time_for_children: Arc<TimeNamespace>,
}

impl Namespaces {
    /// The kinds that there are, the mount and the user namespace included.
    pub const KINDS: NamespaceSet = NamespaceSet::UTS
        .union(NamespaceSet::IPC)
        .union(NamespaceSet::NETWORK)
        .union(NamespaceSet::PID)
        .union(NamespaceSet::TIME)
        .union(NamespaceSet::CGROUP)
        .union(NamespaceSet::MOUNT)
        .union(NamespaceSet::USER);

    /// These, but for those of `kinds`, which are new ones that `owner` rules. (A mount and a user namespace are not
    /// made here.) A new pid namespace is below `pid`, that of the process that makes it: EINVAL when its children go
    /// elsewhere already, ENOSPC when it is nested too deep. A new cgroup namespace has `cgroup` as its root.
    pub fn with_new(
        &self,
        kinds: NamespaceSet,
        pid: &Arc<PidNamespace>,
        owner: &Arc<UserNamespace>,
        cgroup: &Arc<Cgroup>,
    ) -> Result<Self, Errno> {
        let mut new = self.clone();
        if kinds.contains(NamespaceSet::UTS) {
            new.uts = self.uts.copy(owner);
        }
        if kinds.contains(NamespaceSet::IPC) {
            new.ipc = Arc::new(IpcNamespace::new(owner));
        }
        if kinds.contains(NamespaceSet::NETWORK) {
            new.network = Arc::new(NetworkNamespace::new(owner));
        }
        if kinds.contains(NamespaceSet::PID) {
            if !Arc::ptr_eq(pid, &self.pid_for_children) {
                return Err(Errno::EINVAL);
            }
            new.pid_for_children = PidNamespace::child(pid, owner)?;
        }
        if kinds.contains(NamespaceSet::CGROUP) {
            new.cgroup = CgroupNamespace::new(cgroup.clone(), owner);
        }
        if kinds.contains(NamespaceSet::TIME) {
            new.time_for_children = Arc::new(self.time_for_children.child(owner));
        }
        Ok(new)
    }

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
