//! The namespaces of a container, and what the configuration sets in them.

use super::{root::View, runtime::Runtime};
use crate::{
    cgroup::Cgroup,
    fs::{self, Caller, MountNamespace, NamespaceFile, OpenFlags},
    namespace::{IdKind, Namespaces, UserNamespace, id_map::Extent, time::Clock},
    security::{Capabilities, Credentials},
    task::{Namespace, Thread},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use veridian_containers::{
    NamespaceKind, NamespaceSet,
    abi::Errno,
    config::IdMapping,
    engine::{Error, NamespaceRequest},
};

/// The namespaces of a container; a mount namespace of its own is its [`Root`](super::root::Root).
pub struct ContainerNamespaces {
    /// Those that a task carries.
    pub set: Namespaces,
    /// Whose ids and capabilities count in it.
    pub user: Arc<UserNamespace>,
    /// The mount namespace that it joins.
    mounts: Option<Arc<MountNamespace>>,
}

impl ContainerNamespaces {
    /// The view of files of a container without a root of its own: the joined mount namespace's, or else the caller's.
    pub fn files(&self, creator: &Runtime) -> fs::Context {
        match &self.mounts {
            Some(mounts) => fs::Context::at_root_of(mounts.clone()),
            None => creator.fs.clone(),
        }
    }

    /// Who hooks are that run in them with the creator's rights: himself, or the first user of another user namespace.
    pub fn creator(&self, creator: &Credentials) -> Result<Credentials, Errno> {
        if creator.user_namespace == self.user {
            return Ok(creator.clone());
        }
        let (uid, gid) = (self.user.user(0)?, self.user.group(0)?);
        Ok(Credentials {
            effective: Capabilities::all(),
            permitted: Capabilities::all(),
            bounding: Capabilities::all(),
            no_new_privileges: creator.no_new_privileges,
            user_namespace: self.user.clone(),
            ..Credentials::of(uid, gid, Arc::default())
        })
    }
}

/// Makes those that are asked for and joins others; the rest are the caller's. The user namespace is the first: it owns
/// those that are made with it.
pub fn create(
    caller: &Thread,
    cgroup: &Arc<Cgroup>,
    request: NamespaceRequest<'_>,
) -> Result<ContainerNamespaces, Error> {
    let asker = caller.credentials();
    let mut joined = Vec::new();
    for (&kind, path) in &request.namespaces.joined {
        joined.push(open(caller, &asker, kind, path).map_err(|errno| {
            let error = Error::new(errno).operand(path.clone());
            if errno == Errno::EINVAL { error.reason(String::from("it is no namespace of that kind")) } else { error }
        })?);
    }
    let new = request.namespaces.new;
    let user = if new.contains(NamespaceSet::USER) {
        if caller.with_fs(|fs| fs.root != fs.namespace.root()) {
            return Err(Error::new(Errno::EPERM).reason("a changed root directory would be left by a user namespace"));
        }
        let user = asker.in_new_user_namespace()?.user_namespace;
        map(&user, &asker, IdKind::User, Capabilities::SETUID, request.uid_mappings)?;
        map(&user, &asker, IdKind::Group, Capabilities::SETGID, request.gid_mappings)?;
        user
    } else {
        let found = joined.iter().find_map(|namespace| match namespace {
            Namespace::User(user) => Some(user.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| asker.user_namespace.clone())
    };
    let mut set = caller.namespaces().with_new(new - NamespaceSet::USER, caller.pid().namespace(), &user, cgroup)?;
    if new.contains(NamespaceSet::TIME) {
        set_clocks(&set, &request)?;
    }
    if new.contains(NamespaceSet::NETWORK) {
        set.network.loopback.set_up(true);
    }
    let mut mounts = None;
    for namespace in joined {
        match namespace {
            Namespace::Mount(namespace) => mounts = Some(namespace),
            Namespace::Pid(namespace) => {
                if !caller.pid().namespace().contains(&namespace) {
                    return Err(Error::new(Errno::EINVAL).reason("the pid namespace is not below the caller's"));
                }
                set.pid_for_children = namespace;
            }
            Namespace::Time(namespace) => set.time_for_children = namespace,
            Namespace::Cgroup(namespace) => set.cgroup = namespace,
            Namespace::Ipc(namespace) => set.ipc = namespace,
            Namespace::Network(namespace) => set.network = namespace,
            Namespace::Uts(namespace) => set.uts = namespace,
            Namespace::User(_) => {}
        }
    }
    Ok(ContainerNamespaces { set, user, mounts })
}

/// The namespace of `kind` at `path`, as the caller sees it: EINVAL if something else is there, EPERM unless the caller
/// has CAP_SYS_ADMIN in the user namespace that rules it (setns(2)).
fn open(caller: &Thread, asker: &Credentials, kind: NamespaceKind, path: &str) -> Result<Namespace, Errno> {
    let view = View::of(caller);
    // The way leads through a magic link of procfs, which the caller may follow or not.
    let caller = Caller { thread: Some(caller), ..view.caller() };
    let file = caller.open(&caller.context.root, path.as_bytes(), OpenFlags::empty(), 0)?;
    let namespace = file.object::<NamespaceFile>().ok_or(Errno::EINVAL)?.namespace();
    if namespace.kind() != kind {
        return Err(Errno::EINVAL);
    }
    let ruler = match namespace {
        Namespace::User(user) => Some(user),
        other => other.owner(),
    };
    if ruler.is_some_and(|ruler| asker.capable_in(ruler, Capabilities::SYS_ADMIN)) {
        Ok(namespace.clone())
    } else {
        Err(Errno::EPERM)
    }
}

/// Gives a new user namespace its ids: those of the caller's namespace, which CAP_SETUID or CAP_SETGID there gives away.
fn map(
    user: &UserNamespace,
    asker: &Credentials,
    kind: IdKind,
    needed: Capabilities,
    mappings: &[IdMapping],
) -> Result<(), Error> {
    if mappings.is_empty() {
        return Ok(());
    }
    let extent =
        |mapping: &IdMapping| Extent { inside: mapping.container, outside: mapping.host, count: mapping.size.get() };
    let extents: Vec<Extent> = mappings.iter().map(extent).collect();
    let permit = |_| if asker.capable_at_home(needed) { Ok(()) } else { Err(Errno::EPERM) };
    user.set_map(kind, &extents, permit)
        .map_err(|errno| Error::new(errno).reason("the ids of the user namespace: not the caller's to give"))
}

/// Sets the offsets of a new time namespace's clocks.
fn set_clocks(set: &Namespaces, request: &NamespaceRequest<'_>) -> Result<(), Error> {
    let offsets = request.time_offsets;
    for (clock, offset) in [(Clock::Monotonic, offsets.monotonic), (Clock::Boottime, offsets.boottime)] {
        let outcome = set.time_for_children.set_offset(clock, offset.secs, offset.nanosecs);
        outcome.map_err(|errno| Error::new(errno).reason("the clock would leave its range"))?;
    }
    Ok(())
}

/// Sets host and domain name, as far as they are given.
pub fn set_names(namespaces: &Namespaces, host: Option<&str>, domain: Option<&str>) -> Result<(), Error> {
    if let Some(host) = host {
        namespaces.uts.set_host(host.as_bytes())?;
    }
    if let Some(domain) = domain {
        namespaces.uts.set_domain(domain.as_bytes())?;
    }
    Ok(())
}

/// Sets a sysctl of the container's own namespaces: which it is to have of the kind, the configuration has checked.
pub fn set_sysctl(namespaces: &Namespaces, name: &str, value: &str) -> Result<(), Error> {
    let sysctl = fs::proc::find_sysctl(name)
        .filter(|sysctl| sysctl.can_be_set())
        .ok_or_else(|| Error::new(Errno::ENOENT).reason("this kernel has no such variable of a namespace"))?;
    let scope = fs::proc::Scope { namespaces: namespaces.clone() };
    sysctl.set(&scope, value.as_bytes()).map_err(|errno| Error::new(errno).reason("it does not take this value"))
}
