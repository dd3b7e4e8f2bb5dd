//! `/proc/sysvipc` (sysvipc(7)): the System V objects of the reader's ipc namespace.

use super::{
    Instance,
    table::{Row, Table},
};
use crate::{
    fs::synthetic::{Directory, Opener},
    ipc::Viewer,
    namespace::IpcNamespace,
};
use alloc::{string::String, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

pub(super) fn directory(instance: &Instance) -> Arc<dyn Directory> {
    Arc::new(Table { shown: instance.clone(), rows: &ROWS })
}

static ROWS: [Row<Instance>; 3] = [
    Row::text("msg", |instance, opener| shown(instance, opener, |ipc, viewer| ipc.queues.text(viewer))),
    Row::text("sem", |instance, opener| shown(instance, opener, |ipc, viewer| ipc.semaphores.text(viewer))),
    Row::text("shm", |instance, opener| shown(instance, opener, |ipc, viewer| ipc.segments.text(viewer))),
];

/// The namespace of who opened the file; ESRCH once that process has gone.
fn shown(
    instance: &Instance,
    opener: &Opener,
    show: impl FnOnce(&IpcNamespace, &Viewer<'_>) -> String,
) -> Result<Vec<u8>, Errno> {
    let thread = opener.thread.upgrade().ok_or(Errno::ESRCH)?;
    let viewer = Viewer { pids: &instance.namespace, users: &opener.credentials.user_namespace };
    Ok(show(&thread.namespaces().ipc, &viewer).into_bytes())
}
