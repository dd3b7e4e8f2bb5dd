//! Namespaces as files: what `/proc/<pid>/ns/*` leads to (namespaces(7)). Whoever has such a file open, or has it
//! mounted somewhere, keeps the namespace.

use super::{
    Access, Caller, Dentry, File, FileObject, Inode, Location, Mount, OpenFlags, Readiness, Superblock,
    file::Hold,
    inode::{Attributes, Content},
    synthetic::{Entry, Node, Openable, Ownership},
};
use crate::{
    namespace::UserNamespace,
    task::{Namespace, Thread},
};
use alloc::{format, sync::Arc, vec::Vec};
use core::task::Context;
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, sync::Once};

/// NSFS_MAGIC of statfs(2).
const MAGIC: u64 = 0x6e73_6673;

impl Namespace {
    /// What readlink(2) says: `pid:[4026531836]`.
    pub(super) fn description(&self) -> Vec<u8> {
        let name = match self {
            Self::Cgroup(_) => "cgroup",
            Self::Ipc(_) => "ipc",
            Self::Mount(_) => "mnt",
            Self::Network(_) => "net",
            Self::Pid(_) => "pid",
            Self::Time(_) => "time",
            Self::User(_) => "user",
            Self::Uts(_) => "uts",
        };
        format!("{name}:[{}]", self.inode()).into_bytes()
    }

    /// The file that stands for it.
    pub(super) fn place(self) -> Location {
        let mount = mount();
        let inode = Inode::synthetic(mount.superblock(), self.inode(), Node::Object(Arc::new(Handle(self))));
        Location { mount: mount.clone(), dentry: Dentry::root(inode) }
    }
}

/// The one mount of the file system, in no mount namespace.
fn mount() -> &'static Arc<Mount> {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    MOUNT.call_once(|| {
        let superblock = Arc::new(Superblock::new("nsfs", MAGIC, None, None));
        let root = Inode::anonymous(&superblock, Attributes::new(0o444, 0, 0), Content::Anonymous);
        Mount::of_kernel(Dentry::root(root))
    })
}

/// The node.
#[derive(Debug)]
struct Handle(Namespace);

impl Entry for Handle {
    fn ownership(&self) -> Ownership {
        Ownership::root(0o444)
    }
}

impl Openable for Handle {
    fn description(&self) -> Vec<u8> {
        self.0.description()
    }

    fn open(&self, _: &Caller<'_>, access: Access) -> Result<Arc<dyn FileObject>, Errno> {
        // Nobody writes it, whatever capability stands above the mode.
        if access.contains(Access::WRITE) {
            return Err(Errno::EACCES);
        }
        Ok(Arc::new(NamespaceFile(self.0.clone())))
    }
}

/// What stands behind a descriptor of a namespace (`/proc/<pid>/ns/*`, ioctl_ns(2)). It keeps the namespace.
#[derive(Debug)]
pub struct NamespaceFile(Namespace);

impl FileObject for NamespaceFile {
    fn poll_ready(&self, _: &mut Context<'_>, _: Readiness) -> Readiness {
        Readiness::READABLE | Readiness::WRITABLE
    }

    /// ioctl_ns(2).
    fn ioctl(&self, thread: &Arc<Thread>, request: u32, argument: UserAddr) -> Result<usize, Errno> {
        const NS_GET_USERNS: u32 = 0xb701;
        const NS_GET_PARENT: u32 = 0xb702;
        const NS_GET_NSTYPE: u32 = 0xb703;
        const NS_GET_OWNER_UID: u32 = 0xb704;
        let who = thread.credentials();
        match request {
            NS_GET_NSTYPE => Ok(self.0.kind().flag().bits() as usize),
            NS_GET_USERNS => {
                let owner = self.0.owner().filter(|owner| who.user_namespace.contains(owner));
                descriptor(thread, Namespace::User(owner.ok_or(Errno::EPERM)?.clone()))
            }
            NS_GET_PARENT => descriptor(thread, self.parent(thread, &who.user_namespace)?),
            NS_GET_OWNER_UID => {
                let Namespace::User(namespace) = &self.0 else { return Err(Errno::EINVAL) };
                let uid = who.user_namespace.shown_user(namespace.creator().uid);
                thread.space().write(argument, &uid)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}

impl NamespaceFile {
    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.0
    }

    /// The one above: EINVAL for a kind that has none, EPERM for one that is outside of the caller's own.
    fn parent(&self, thread: &Thread, home: &UserNamespace) -> Result<Namespace, Errno> {
        match &self.0 {
            Namespace::User(namespace) => {
                let parent = namespace.parent().filter(|parent| home.contains(parent));
                parent.cloned().map(Namespace::User).ok_or(Errno::EPERM)
            }
            Namespace::Pid(namespace) => {
                let parent = namespace.parent().filter(|parent| thread.pid().namespace().contains(parent));
                parent.cloned().map(Namespace::Pid).ok_or(Errno::EPERM)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

/// A new descriptor for `namespace`, closed on exec.
fn descriptor(thread: &Thread, namespace: Namespace) -> Result<usize, Errno> {
    let object = Arc::new(NamespaceFile(namespace.clone()));
    let file = File::new(namespace.place(), Access::READ, OpenFlags::empty(), Some(object), false, Hold::None);
    Ok(thread.with_files(|files| files.insert(file, true))? as usize)
}
