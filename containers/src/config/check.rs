//! What holds of every configuration, whichever front end read it: settings against each other.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::Naming;
use super::error::{ConfigError, Shown, about};
use super::lines::Places;
use super::model::{
    Filesystem, IdMapping, Limit, MemoryResources, MountPropagation, Resources, Seccomp, SeccompAction, SeccompProfile,
    Settings,
};
use super::walk::Entry;
use crate::NamespaceKind;
use crate::keys::KeyId;

/// Something wrong that no one value shows.
#[derive(Debug)]
pub(super) struct Problem {
    /// The key that it is about.
    pub(super) key: KeyId,
    /// Which of its values, if it has several.
    pub(super) index: Option<usize>,
    pub(super) reason: Cow<'static, str>,
}

impl Problem {
    /// The problem as an error on the line where its value was given.
    pub(super) fn on_line(self, places: &Places) -> ConfigError {
        let line = |key| Some((key, places.line(key, self.index))).filter(|(_, line)| *line != 0);
        let also = (self.key == KeyId::ProcessArg).then_some(KeyId::ProcessArgs);
        let (key, line) = line(self.key).or_else(|| line(also?)).unwrap_or((self.key, 0));
        ConfigError::on_line(line, key.name(), self.reason)
    }

    /// How `name` names the place of its value among the entries of a walk.
    pub(super) fn place(
        &self,
        name: Naming,
        walk: &mut dyn FnMut(&mut Visit<'_>) -> Result<(), Cow<'static, str>>,
    ) -> Cow<'static, str> {
        // The arguments are one entry.
        let is_argument = matches!(self.key, KeyId::ProcessArg | KeyId::ProcessArgs);
        let key = if is_argument { KeyId::ProcessArgs } else { self.key };
        let mut nth = self.index.filter(|_| !is_argument).unwrap_or(0);
        let found = walk(&mut |entry| match (entry.key == key, nth) {
            (true, 0) => Err(name(key, entry.path)),
            (true, _) => {
                nth -= 1;
                Ok(())
            }
            _ => Ok(()),
        });
        found.err().unwrap_or(Cow::Borrowed(key.name()))
    }
}

/// What a walk over settings visits; an error, here a place, ends it.
type Visit<'v> = dyn FnMut(Entry<'_>) -> Result<(), Cow<'static, str>> + 'v;

fn refuse(key: KeyId, reason: &'static str) -> Result<(), Problem> {
    Err(Problem { key, index: None, reason: Cow::Borrowed(reason) })
}

fn refuse_one(key: KeyId, index: usize, reason: String) -> Result<(), Problem> {
    Err(Problem { key, index: Some(index), reason: Cow::Owned(reason) })
}

/// Writes settings that mean the same in the same way: what is spelt out in another place takes its value from
/// there, and no limit is no limit.
pub(super) fn normalize(settings: &mut Settings) {
    let Resources { memory: MemoryResources { limit, reservation, high, swap }, cpu, pids, .. } =
        &mut settings.resources;
    for size in [limit, reservation, high, swap] {
        size.take_if(|size| *size == Limit::Max);
    }
    cpu.quota.take_if(|quota| *quota == Limit::Max);
    pids.take_if(|pids| *pids == Limit::Max);
    for hook in &mut settings.hooks.start_container {
        if hook.env.is_empty() {
            hook.env.clone_from(&settings.process.env);
        }
    }
    if let Seccomp::Profile(SeccompProfile { default_action: SeccompAction::Allow, rules, .. }) = &settings.seccomp
        && rules.is_empty()
    {
        settings.seccomp = Seccomp::Unconfined;
    }
}

/// Checks settings against each other. What one value can show is taken as checked.
pub(super) fn together(settings: &Settings) -> Result<(), Problem> {
    process(settings)?;
    root(settings)?;
    names(settings)?;
    mappings(settings)?;
    if !settings.time_offsets.is_zero() && !settings.namespaces.is_new(NamespaceKind::Time) {
        return refuse(KeyId::TimeOffset, "needs namespace=time, a new one, or the caller's clocks would change");
    }
    resources(&settings.resources)?;
    if settings.resources.cpu.burst.is_some_and(|burst| burst > 0) && settings.resources.cpu.quota.is_none() {
        return refuse(KeyId::CpuBurst, "needs cpu_quota: without one there is nothing to save up");
    }
    if settings.resources.memory.swap.is_some() && settings.resources.memory.limit.is_none() {
        return refuse(KeyId::MemorySwap, "needs memory_limit");
    }
    sysctls(settings)
}

fn process(settings: &Settings) -> Result<(), Problem> {
    let process = &settings.process;
    match process.args.first().map(String::as_str) {
        None => return refuse(KeyId::ProcessArg, "at least one is required"),
        Some("") => return refuse(KeyId::ProcessArg, "the first, which names the program, is empty"),
        Some(_) => {}
    }
    if process.console_size.is_some() && !process.terminal {
        return refuse(KeyId::ConsoleSize, "needs process_terminal=true");
    }
    let sets = &process.capabilities;
    if !sets.permitted.contains(sets.effective) {
        return refuse(KeyId::CapabilityEffective, "has a capability that is not in the permitted set");
    }
    if !(sets.permitted & sets.inheritable).contains(sets.ambient) {
        let reason = "has a capability that is not both in the permitted and in the inheritable set";
        return refuse(KeyId::CapabilityAmbient, reason);
    }
    for (index, (kind, limit)) in process.rlimits.iter().enumerate() {
        if limit.soft > limit.hard {
            return refuse_one(KeyId::Rlimit, index, format!("{}: the soft limit is above the hard one", kind.name()));
        }
    }
    Ok(())
}

/// What is about the root needs one of its own.
fn root(settings: &Settings) -> Result<(), Problem> {
    for (index, device) in settings.devices.iter().enumerate() {
        if settings.devices[..index].iter().any(|other| other.path == device.path) {
            return refuse_one(KeyId::Device, index, about(&device.path, "is made already by another device"));
        }
    }
    for (index, mount) in settings.mounts.iter().enumerate() {
        let contradicts =
            mount.set.intersects(mount.cleared) || mount.recursive_set.intersects(mount.recursive_cleared);
        if contradicts {
            return refuse_one(KeyId::Mount, index, String::from("a flag is both set and cleared"));
        }
        if let Filesystem::Remount { .. } = mount.filesystem
            && mount.propagation.is_some()
        {
            return refuse_one(KeyId::Mount, index, String::from("remount changes no propagation"));
        }
    }
    if settings.namespaces.is_new(NamespaceKind::Mount) {
        return Ok(());
    }
    let needs = |key, given: bool, reason| if given { refuse(key, reason) } else { Ok(()) };
    needs(KeyId::RootPath, settings.root.path != "/", "any root but / needs namespace=mount")?;
    let reason = "needs namespace=mount, or the caller's root would change";
    needs(KeyId::RootReadonly, settings.root.readonly, reason)?;
    needs(KeyId::RootfsPropagation, settings.root.propagation != MountPropagation::default(), reason)?;
    let reason = "needs namespace=mount, or it would be mounted for the caller too";
    needs(KeyId::Mount, !settings.mounts.is_empty(), reason)?;
    let reason = "needs namespace=mount, or it would hold for the caller too";
    needs(KeyId::MaskedPath, !settings.masked_paths.is_empty(), reason)?;
    needs(KeyId::ReadonlyPath, !settings.readonly_paths.is_empty(), reason)?;
    needs(KeyId::Device, !settings.devices.is_empty(), "needs namespace=mount, or it would be made for the caller too")
}

fn names(settings: &Settings) -> Result<(), Problem> {
    if settings.namespaces.is_new(NamespaceKind::Uts) {
        return Ok(());
    }
    let given = [(KeyId::Hostname, &settings.hostname), (KeyId::Domainname, &settings.domainname)];
    for (key, name) in given {
        if name.is_some() {
            return refuse(key, "needs namespace=uts, or it would be set for the caller too");
        }
    }
    Ok(())
}

fn mappings(settings: &Settings) -> Result<(), Problem> {
    let is_new = settings.namespaces.is_new(NamespaceKind::User);
    let lists = [(KeyId::UidMapping, &settings.uid_mappings), (KeyId::GidMapping, &settings.gid_mappings)];
    for (key, list) in lists {
        if !is_new && !list.is_empty() {
            return refuse(key, "needs namespace=user, a new one");
        }
        if is_new && list.is_empty() {
            return refuse(key, "at least one is required by namespace=user");
        }
        for (index, mapping) in list.iter().enumerate() {
            if list[..index].iter().any(|other| overlap(mapping, other)) {
                return refuse_one(key, index, format!("{mapping} overlaps with another mapping"));
            }
        }
    }
    Ok(())
}

fn overlap(one: &IdMapping, other: &IdMapping) -> bool {
    let meet = |a: u32, b: u32| {
        let (a, b) = (u64::from(a), u64::from(b));
        a < b + u64::from(other.size.get()) && b < a + u64::from(one.size.get())
    };
    meet(one.container, other.container) || meet(one.host, other.host)
}

/// Checks limits against each other, as far as both are given.
pub(super) fn resources(resources: &Resources) -> Result<(), Problem> {
    let (memory, cpu) = (&resources.memory, &resources.cpu);
    if let (Some(Limit::At(swap)), Some(limit)) = (memory.swap, memory.limit)
        && limit.value().is_none_or(|limit| swap < limit)
    {
        return refuse(KeyId::MemorySwap, "is memory and swap together: it cannot be less than memory_limit");
    }
    if let (Some(burst), Some(Limit::At(quota))) = (cpu.burst, cpu.quota)
        && burst > quota.get()
    {
        return refuse(KeyId::CpuBurst, "is more than the quota");
    }
    Ok(())
}

/// The sysctls of the ipc namespace, those of POSIX message queues aside.
const IPC_SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// A sysctl belongs to a kind of namespace, and the container needs a new one of it.
fn sysctls(settings: &Settings) -> Result<(), Problem> {
    for (index, name) in settings.sysctl.keys().enumerate() {
        let refuse = |reason: &str| refuse_one(KeyId::Sysctl, index, format!("{} {reason}", Shown(name)));
        let kind = match name.split_once('.') {
            _ if IPC_SYSCTLS.contains(&name.as_str()) || name.starts_with("fs.mqueue.") => NamespaceKind::Ipc,
            Some(("net", _)) => NamespaceKind::Network,
            Some(("user", _)) => NamespaceKind::User,
            Some(("kernel", "domainname")) if settings.domainname.is_some() => {
                return refuse("is what domainname sets");
            }
            Some(("kernel", "domainname")) => NamespaceKind::Uts,
            Some(("kernel", "hostname")) => return refuse("is what hostname sets"),
            _ => return refuse("belongs to no namespace: it would change the whole machine"),
        };
        if !settings.namespaces.is_new(kind) {
            return refuse(&format!("needs namespace={kind}, a new one"));
        }
    }
    Ok(())
}
