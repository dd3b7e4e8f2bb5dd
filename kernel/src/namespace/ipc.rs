//! The ipc namespace (ipc_namespaces(7)): what the objects of `ipc` are found in. They go with it.

use super::{UserNamespace, next_inode};
use crate::{
    cgroup::ObjectPool,
    ipc::{Limits, message::Queues, posix::PosixQueues, semaphore::Semaphores, shared_memory::Segments},
};
use alloc::{string::String, sync::Arc};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Objects by number and name, and their limits.
#[derive(Debug)]
pub struct IpcNamespace {
    inode: u64,
    owner: Arc<UserNamespace>,
    limits: SpinLock<Limits>,
    /// What its objects are paid for from.
    pub pool: Arc<ObjectPool>,
    /// System V shared memory.
    pub segments: Arc<Segments>,
    /// System V semaphores.
    pub semaphores: Semaphores,
    /// System V message queues.
    pub queues: Queues,
    /// POSIX message queues.
    pub posix: PosixQueues,
}

impl IpcNamespace {
    /// An empty one with Linux's limits, that `owner` rules.
    pub fn new(owner: &Arc<UserNamespace>) -> Self {
        Self {
            inode: next_inode(),
            owner: owner.clone(),
            limits: SpinLock::default(),
            pool: Arc::default(),
            segments: Arc::default(),
            semaphores: Semaphores::default(),
            queues: Queues::default(),
            posix: PosixQueues::default(),
        }
    }

    /// The number of `/proc/<pid>/ns/ipc`.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// The limits now.
    pub fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// What a sysctl of this namespace shows, by its path beneath `/proc/sys`; `None` for one that is not its.
    pub fn sysctl(&self, path: &str) -> Option<String> {
        self.limits().get(path)
    }

    /// Sets a sysctl of this namespace: ENOENT, EINVAL.
    pub fn set_sysctl(&self, path: &str, value: &str) -> Result<(), Errno> {
        self.limits.lock().set(path, value)
    }
}
