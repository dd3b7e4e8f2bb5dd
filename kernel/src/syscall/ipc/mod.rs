//! System V IPC and POSIX message queues: the calls, on the objects of `ipc`.

pub mod layout;
pub mod message;
pub mod posix;
pub mod semaphore;
pub mod shared_memory;

use crate::{cgroup::MemoryGroup, ipc::Caller, namespace::IpcNamespace, security::Credentials, task::Thread};
use alloc::sync::Arc;

// The commands of the `*ctl` calls (linux/ipc.h, linux/shm.h, linux/sem.h, linux/msg.h), which linux-raw-sys does not
// have.
const IPC_RMID: u32 = 0;
const IPC_SET: u32 = 1;
const IPC_STAT: u32 = 2;
const IPC_INFO: u32 = 3;

/// IPC_NOWAIT.
const NO_WAIT: u32 = 0o4000;

/// The caller's ipc namespace, and who it is: held while a call lasts.
struct Here {
    namespace: Arc<IpcNamespace>,
    credentials: Arc<Credentials>,
    memory: Arc<MemoryGroup>,
}

impl Here {
    fn of(thread: &Thread) -> Self {
        let namespace = thread.namespaces().ipc;
        Self { namespace, credentials: thread.credentials(), memory: thread.memory() }
    }

    fn caller<'a>(&'a self, thread: &'a Thread) -> Caller<'a> {
        Caller {
            credentials: &self.credentials,
            owner: self.namespace.owner(),
            memory: &self.memory,
            pid: thread.pid(),
            pool: &self.namespace.pool,
            queue_bytes_max: thread.confinement().limit(linux_raw_sys::general::RLIMIT_MSGQUEUE),
        }
    }
}
