//! What is kept of a container's creator for its hooks: they run as a child of his would.

use crate::{
    cgroup::Cgroup,
    fs::{self, Caller},
    namespace::{Namespaces, PidNamespace},
    security::{Bounds, Credentials},
    task::Thread,
};
use alloc::sync::Arc;
use core::num::NonZeroU64;

/// The creator's side of a container.
pub struct Runtime {
    /// Root, working directory and mounts.
    pub fs: fs::Context,
    /// Descriptors 0 to 2.
    pub files: fs::FdTable,
    /// Who he is.
    pub credentials: Arc<Credentials>,
    /// What binds him.
    pub bounds: Bounds,
    /// His namespaces.
    pub namespaces: Namespaces,
    /// What he is charged to.
    pub cgroup: Arc<Cgroup>,
    /// The container that he is in.
    pub container: Option<NonZeroU64>,
}

impl Runtime {
    /// That of a thread, as it is now.
    pub fn of(thread: &Thread) -> Self {
        Self {
            fs: thread.with_fs(|fs| fs.clone()),
            files: thread.with_files(|files| files.standard_streams()),
            credentials: thread.credentials(),
            bounds: thread.confinement().bounds(),
            namespaces: thread.namespaces(),
            cgroup: thread.cgroup().clone(),
            container: thread.container(),
        }
    }

    /// As the file system wants him.
    pub fn caller(&self) -> Caller<'_> {
        Caller { context: &self.fs, credentials: &self.credentials, memory: &self.cgroup.memory, thread: None }
    }

    /// Where his children get their numbers.
    pub fn pid_namespace(&self) -> &PidNamespace {
        &self.namespaces.pid_for_children
    }
}
