//! The `mqueue` file system (mq_overview(7)): the POSIX message queues of an ipc namespace as files, which can be listed,
//! made, opened, read for their state and unlinked. It shows the namespace and does not keep it.

use super::{
    Access, Caller, Dentry, FileObject, FileType,
    synthetic::{self, Directory, Entry, Listed, Node, Openable, Opener, Ownership, list_names},
};
use crate::{
    ipc::{
        self,
        posix::{OpenQueue, OpenRequest, PosixQueue},
    },
    namespace::{IdKind, IpcNamespace},
    security::Capabilities,
};
use alloc::sync::{Arc, Weak};
use linux_raw_sys::general::RLIMIT_MSGQUEUE;
use veridian_containers::abi::Errno;

/// MQUEUE_MAGIC of statfs(2).
const MAGIC: u64 = 0x1980_0202;

/// The queues of the caller's ipc namespace, mounted nowhere yet. EPERM without CAP_SYS_ADMIN over it; there are no options.
pub(super) fn mounted(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let namespace = caller.thread.ok_or(Errno::EPERM)?.namespaces().ipc;
    if !caller.credentials.capable_in(namespace.owner(), Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    if data.is_empty() { Ok(tree(&namespace)) } else { Err(Errno::EINVAL) }
}

/// The queues of a namespace, mounted nowhere yet.
pub fn tree(namespace: &Arc<IpcNamespace>) -> Arc<Dentry> {
    synthetic::tree("mqueue", MAGIC, namespace.owner(), Arc::new(Root(Arc::downgrade(namespace))))
}

/// The one directory.
#[derive(Debug)]
struct Root(Weak<IpcNamespace>);

/// A queue in it. Kept by its name in the namespace, and by who has it open.
#[derive(Debug)]
struct Queue(Weak<PosixQueue>);

impl Root {
    /// Asks the namespace for `caller`; EACCES once it has gone.
    fn ask<T>(
        &self,
        caller: &Caller<'_>,
        ask: impl FnOnce(&IpcNamespace, &ipc::Caller<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let namespace = self.0.upgrade().ok_or(Errno::EACCES)?;
        let thread = caller.thread.ok_or(Errno::EPERM)?;
        let asker = ipc::Caller {
            credentials: caller.credentials,
            owner: namespace.owner(),
            memory: caller.memory,
            pid: thread.pid(),
            pool: &namespace.pool,
            queue_bytes_max: thread.confinement().limit(RLIMIT_MSGQUEUE),
        };
        ask(&namespace, &asker)
    }
}

impl Entry for Root {
    /// Everybody may make queues, and unlink their own.
    fn ownership(&self) -> Ownership {
        let namespace = self.0.upgrade();
        let root = |kind| namespace.as_ref().and_then(|namespace| namespace.owner().to_kernel(kind, 0)).unwrap_or(0);
        Ownership { mode: 0o1777, uid: root(IdKind::User), gid: root(IdKind::Group) }
    }
}

impl Directory for Root {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        let queue = self.0.upgrade().and_then(|namespace| namespace.posix.find(name)).ok_or(Errno::ENOENT)?;
        Ok(Node::Object(Arc::new(Queue(Arc::downgrade(&queue)))))
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        let names = self.0.upgrade().map(|namespace| namespace.posix.names()).unwrap_or_default();
        list_names(names.iter().map(|name| (&name[..], FileType::Regular)), from, tell);
        Ok(())
    }

    fn make_file(&self, name: &[u8], mode: u16, caller: &Caller<'_>) -> Result<Node, Errno> {
        let request = OpenRequest { access: Access::empty(), create: Some(true), mode: mode.into(), attributes: None };
        self.ask(caller, |namespace, asker| {
            let made = namespace.posix.open(asker, &namespace.limits(), name, &request)?;
            Ok(Node::Object(Arc::new(Queue(Arc::downgrade(made.queue())))))
        })
    }

    fn remove_file(&self, name: &[u8], caller: &Caller<'_>) -> Result<(), Errno> {
        self.ask(caller, |namespace, asker| namespace.posix.unlink(asker, name))
    }
}

impl Entry for Queue {
    fn ownership(&self) -> Ownership {
        self.0.upgrade().map_or(Ownership::root(0), |queue| {
            let owner = queue.permissions();
            Ownership { mode: owner.mode as u16, uid: owner.uid, gid: owner.gid }
        })
    }

    fn set_ownership(&self, new: Ownership) -> Result<(), Errno> {
        let queue = self.0.upgrade().ok_or(Errno::ENOENT)?;
        queue.set_owner([new.uid, new.gid, new.mode.into()]);
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.0.upgrade().is_none_or(|queue| queue.is_unlinked())
    }
}

impl Openable for Queue {
    fn open(&self, caller: &Caller<'_>, _: Access) -> Result<Arc<dyn FileObject>, Errno> {
        let opener = caller.thread.ok_or(Errno::EPERM)?.pid();
        let queue = self.0.upgrade().ok_or(Errno::ENOENT)?;
        Ok(Arc::new(OpenQueue::new(&queue, opener)))
    }
}
