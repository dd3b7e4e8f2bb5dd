//! New namespaces for a process, and namespaces that it joins (namespaces(7)): all or nothing.
//!
//! The user namespace comes first: it owns the others that are made with it, and the rights to join others count in it.

use super::Thread;
use crate::{
    cgroup::Cgroup,
    fs,
    namespace::{
        CgroupNamespace, IpcNamespace, Namespaces, NetworkNamespace, PidNamespace, TimeNamespace, UserNamespace,
        UtsNamespace,
    },
    security::{Capabilities, Credentials},
};
use alloc::sync::Arc;
use veridian_containers::{NamespaceKind, NamespaceSet, abi::Errno};

/// A namespace of any kind.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named for the kinds")]
pub enum Namespace {
    Cgroup(Arc<CgroupNamespace>),
    Ipc(Arc<IpcNamespace>),
    Mount(Arc<fs::MountNamespace>),
    Network(Arc<NetworkNamespace>),
    Pid(Arc<PidNamespace>),
    Time(Arc<TimeNamespace>),
    User(Arc<UserNamespace>),
    Uts(Arc<UtsNamespace>),
}

impl Namespace {
    /// Which kind it is.
    pub fn kind(&self) -> NamespaceKind {
        match self {
            Self::Cgroup(_) => NamespaceKind::Cgroup,
            Self::Ipc(_) => NamespaceKind::Ipc,
            Self::Mount(_) => NamespaceKind::Mount,
            Self::Network(_) => NamespaceKind::Network,
            Self::Pid(_) => NamespaceKind::Pid,
            Self::Time(_) => NamespaceKind::Time,
            Self::User(_) => NamespaceKind::User,
            Self::Uts(_) => NamespaceKind::Uts,
        }
    }

    /// Unlike that of any other namespace.
    pub fn inode(&self) -> u64 {
        match self {
            Self::Cgroup(namespace) => namespace.inode(),
            Self::Ipc(namespace) => namespace.inode(),
            Self::Mount(namespace) => namespace.inode(),
            Self::Network(namespace) => namespace.inode(),
            Self::Pid(namespace) => namespace.inode(),
            Self::Time(namespace) => namespace.inode(),
            Self::User(namespace) => namespace.inode(),
            Self::Uts(namespace) => namespace.inode(),
        }
    }

    /// The user namespace whose capabilities rule it; for a user namespace, the one above, which the first has not.
    pub fn owner(&self) -> Option<&Arc<UserNamespace>> {
        match self {
            Self::Cgroup(namespace) => Some(namespace.owner()),
            Self::Ipc(namespace) => Some(namespace.owner()),
            Self::Mount(namespace) => Some(namespace.owner()),
            Self::Network(namespace) => Some(namespace.owner()),
            Self::Pid(namespace) => Some(namespace.owner()),
            Self::Time(namespace) => Some(namespace.owner()),
            Self::User(namespace) => namespace.parent(),
            Self::Uts(namespace) => Some(namespace.owner()),
        }
    }
}

impl Thread {
    /// Its namespace of a kind: of pids, its own. ESRCH for a mount namespace when it has ended.
    pub fn namespace(&self, kind: NamespaceKind) -> Result<Namespace, Errno> {
        Ok(match kind {
            NamespaceKind::Cgroup => Namespace::Cgroup(self.namespaces().cgroup),
            NamespaceKind::Ipc => Namespace::Ipc(self.namespaces().ipc),
            NamespaceKind::Network => Namespace::Network(self.namespaces().network),
            NamespaceKind::Mount => Namespace::Mount(self.try_with_fs(|fs| fs.namespace.clone()).ok_or(Errno::ESRCH)?),
            NamespaceKind::Pid => Namespace::Pid(self.pid().namespace().clone()),
            NamespaceKind::Time => Namespace::Time(self.namespaces().time),
            NamespaceKind::User => Namespace::User(self.credentials().user_namespace.clone()),
            NamespaceKind::Uts => Namespace::Uts(self.namespaces().uts),
        })
    }
}

/// What a process sees, and with which rights: what clone(2), unshare(2) and setns(2) change.
pub struct Scene {
    /// Who it is.
    pub credentials: Arc<Credentials>,
    /// Its namespaces, the mount namespace aside.
    pub namespaces: Namespaces,
    /// Its files' view, with the mount namespace.
    pub fs: fs::Context,
    /// Where it is charged.
    cgroup: Arc<Cgroup>,
}

impl Scene {
    /// That of a process that runs.
    pub fn of(thread: &Thread) -> Self {
        Self {
            credentials: thread.credentials(),
            namespaces: thread.namespaces(),
            fs: thread.with_fs(|fs| fs.clone()),
            cgroup: thread.cgroup(),
        }
    }

    /// With new namespaces of `kinds` for a process of the pid namespace `pid`. EPERM without CAP_SYS_ADMIN (but a user
    /// namespace may anyone make whose root directory is that of its mount namespace), ENOSPC when nested too deep,
    /// EINVAL for a kind that there is not.
    pub fn renewed(mut self, kinds: NamespaceSet, pid: &Arc<PidNamespace>) -> Result<Self, Errno> {
        if !Namespaces::KINDS.contains(kinds) {
            return Err(Errno::EINVAL);
        }
        if kinds.contains(NamespaceSet::USER) {
            if self.fs.root != self.fs.namespace.root() {
                return Err(Errno::EPERM);
            }
            self.credentials = Arc::new(self.credentials.in_new_user_namespace()?);
        }
        let others = kinds - NamespaceSet::USER;
        if others.is_empty() {
            return Ok(self);
        }
        if !self.credentials.capable_at_home(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        let owner = &self.credentials.user_namespace;
        self.namespaces = self.namespaces.with_new(others, pid, owner, &self.cgroup)?;
        if others.contains(NamespaceSet::MOUNT) {
            self.fs = self.fs.with_new_namespace(owner, &self.cgroup.memory)?;
        }
        Ok(self)
    }

    /// With `namespace` in place of the one of its kind, for a process of `asker` in the pid namespace `pid`. EPERM
    /// unless CAP_SYS_ADMIN counts both there and in the user namespace that it will be in (for mounts CAP_SYS_CHROOT
    /// too); EINVAL for the user namespace that it is in, and for a pid namespace that is not its own or below.
    fn joined(mut self, namespace: Namespace, asker: &Credentials, pid: &Arc<PidNamespace>) -> Result<Self, Errno> {
        if let Namespace::User(user) = &namespace {
            self.credentials = Arc::new(asker.in_user_namespace(user)?);
            return Ok(self);
        }
        let home = &self.credentials.user_namespace;
        let needed_at_home = match namespace {
            Namespace::Mount(_) => Capabilities::SYS_ADMIN | Capabilities::SYS_CHROOT,
            _ => Capabilities::SYS_ADMIN,
        };
        let there = namespace.owner().is_some_and(|owner| asker.capable_in(owner, Capabilities::SYS_ADMIN));
        if !there || !asker.capable_in(home, needed_at_home) {
            return Err(Errno::EPERM);
        }
        match namespace {
            Namespace::Mount(mounts) => {
                self.fs = fs::Context { umask: self.fs.umask, ..fs::Context::at_root_of(mounts) }
            }
            Namespace::Pid(for_children) => {
                if !pid.contains(&for_children) {
                    return Err(Errno::EINVAL);
                }
                self.namespaces.pid_for_children = for_children;
            }
            Namespace::Time(time) => {
                self.namespaces.time_for_children = time;
                self.namespaces.enter_time();
            }
            Namespace::Cgroup(cgroup) => self.namespaces.cgroup = cgroup,
            Namespace::Ipc(ipc) => self.namespaces.ipc = ipc,
            Namespace::Network(network) => self.namespaces.network = network,
            Namespace::Uts(uts) => self.namespaces.uts = uts,
            Namespace::User(_) => {}
        }
        Ok(self)
    }

    /// Makes it what `thread`, which runs this itself, sees.
    fn enter(self, thread: &Thread) {
        let Self { credentials, namespaces, fs, .. } = self;
        let old = thread.with_fs(|own| core::mem::replace(own, fs));
        drop(old);
        thread.set_namespaces(namespaces);
        thread.set_credentials(credentials);
    }
}

/// unshare(2): a new pid namespace is for the children to come, a new time namespace for the next program too.
pub fn unshare(thread: &Thread, kinds: NamespaceSet) -> Result<(), Errno> {
    if !kinds.is_empty() {
        Scene::of(thread).renewed(kinds, thread.pid().namespace())?.enter(thread);
    }
    Ok(())
}

/// setns(2) to one namespace.
pub fn join(thread: &Thread, namespace: Namespace) -> Result<(), Errno> {
    Scene::of(thread).joined(namespace, &thread.credentials(), thread.pid().namespace())?.enter(thread);
    Ok(())
}

/// setns(2) to those of `kinds` of another process. EPERM unless one may look into it.
pub fn join_those_of(thread: &Thread, target: &Thread, kinds: NamespaceSet) -> Result<(), Errno> {
    target.permit_access(thread)?;
    let asker = thread.credentials();
    let mut scene = Scene::of(thread);
    let first = [NamespaceKind::User];
    let others = NamespaceKind::ALL.into_iter().filter(|kind| *kind != NamespaceKind::User);
    for kind in first.into_iter().chain(others).filter(|kind| kinds.contains(kind.flag())) {
        scene = scene.joined(target.namespace(kind)?, &asker, thread.pid().namespace())?;
    }
    scene.enter(thread);
    Ok(())
}
