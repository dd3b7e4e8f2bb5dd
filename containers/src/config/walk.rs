//! The settings one after the other, as keys and values: what the canonical text is made of, and where each stands in
//! config.json.

use core::fmt::{self, Arguments};

use super::model::{
    Capabilities, CapabilitySet, DeviceRule, Hook, HookKind, Hooks, MASKED_PATHS, MountPropagation, Process,
    READONLY_PATHS, Resources, Seccomp, Settings,
};
use super::syntax::process::{PrintedRlimit, capability_words};
use super::syntax::texts::{Array, Environment, Pair};
use super::syntax::{Literal, devices, hooks, mounts, namespaces, seccomp};
use crate::NamespaceKind;
use crate::keys::KeyId;

/// A key with its value as the canonical text has them.
pub(super) struct Entry<'a> {
    pub(super) key: KeyId,
    /// Where config.json has it.
    pub(super) path: Arguments<'a>,
    pub(super) value: Arguments<'a>,
}

/// Takes entries; the first error ends the walk.
struct Walk<'a, F>(&'a mut F);

impl<F: FnMut(Entry<'_>) -> Result<(), E>, E> Walk<'_, F> {
    fn put(&mut self, key: KeyId, path: Arguments<'_>, value: Arguments<'_>) -> Result<(), E> {
        (self.0)(Entry { key, path, value })
    }

    fn put_some<T: fmt::Display>(&mut self, key: KeyId, path: &str, value: Option<T>) -> Result<(), E> {
        value.map_or(Ok(()), |value| self.put(key, format_args!("{path}"), format_args!("{value}")))
    }

    fn put_all<T: fmt::Display>(
        &mut self,
        key: KeyId,
        path: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), E> {
        values
            .into_iter()
            .enumerate()
            .try_for_each(|(index, value)| self.put(key, format_args!("{path}[{index}]"), format_args!("{value}")))
    }

    fn put_map<'m>(
        &mut self,
        key: KeyId,
        path: &str,
        pairs: impl IntoIterator<Item = (&'m alloc::string::String, &'m alloc::string::String)>,
    ) -> Result<(), E> {
        pairs.into_iter().try_for_each(|(name, value)| {
            self.put(key, format_args!("{path}.{name}"), format_args!("{}", Pair(name, value)))
        })
    }
}

/// Visits settings in the order of their keys: every plain key, and of the others those that say something else
/// than what holds without them.
pub(super) fn settings<E>(settings: &Settings, visit: &mut impl FnMut(Entry<'_>) -> Result<(), E>) -> Result<(), E> {
    let mut walk = Walk(visit);
    let root = &settings.root;
    walk.put(KeyId::OciVersion, format_args!("ociVersion"), format_args!("{}", settings.oci_version))?;
    walk.put(KeyId::RootPath, format_args!("root.path"), format_args!("{}", Literal(&root.path)))?;
    walk.put(KeyId::RootReadonly, format_args!("root.readonly"), format_args!("{}", root.readonly))?;
    let propagation = (root.propagation != MountPropagation::default()).then(|| root.propagation.name());
    walk.put_some(KeyId::RootfsPropagation, "linux.rootfsPropagation", propagation)?;
    walk.put_some(KeyId::Hostname, "hostname", settings.hostname.as_ref())?;
    walk.put_some(KeyId::Domainname, "domainname", settings.domainname.as_ref())?;
    process(&settings.process, &mut walk)?;
    walk.put_all(KeyId::Mount, "mounts", settings.mounts.iter().map(mounts::Printed))?;
    namespaces(settings, &mut walk)?;
    walk.put_some(KeyId::CgroupsPath, "linux.cgroupsPath", settings.cgroups_path.as_ref().map(Literal))?;
    limits(&settings.resources, &mut walk)?;
    walk.put_all(KeyId::Device, "linux.devices", settings.devices.iter().map(devices::Printed))?;
    device_rules(&settings.resources.devices, &mut walk)?;
    seccomp_rules(&settings.seccomp, &mut walk)?;
    walk.put_map(KeyId::Sysctl, "linux.sysctl", &settings.sysctl)?;
    let own_root = settings.namespaces.is_new(NamespaceKind::Mount);
    let lists = [
        (KeyId::MaskedPath, "linux.maskedPaths", &settings.masked_paths, &MASKED_PATHS[..]),
        (KeyId::ReadonlyPath, "linux.readonlyPaths", &settings.readonly_paths, &READONLY_PATHS[..]),
    ];
    for (key, path, paths, defaults) in lists {
        // Without a root of its own there are none by default.
        if paths.is_empty() && own_root {
            walk.put(key, format_args!("{path}"), format_args!("none"))?;
        } else if !(own_root && paths.iter().eq(defaults)) {
            walk.put_all(key, path, paths.iter().map(Literal))?;
        }
    }
    walk.put_map(KeyId::Annotation, "annotations", &settings.annotations)?;
    all_hooks(&settings.hooks, &settings.process, &mut walk)
}

/// Visits limits, as for an update: the device rules, which one does not change, are left out.
pub(super) fn resources<E>(resources: &Resources, visit: &mut impl FnMut(Entry<'_>) -> Result<(), E>) -> Result<(), E> {
    limits(resources, &mut Walk(visit))
}

fn process<E>(process: &Process, walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>) -> Result<(), E> {
    let user = &process.user;
    walk.put(KeyId::ProcessCwd, format_args!("process.cwd"), format_args!("{}", Literal(&process.cwd)))?;
    walk.put(KeyId::ProcessUid, format_args!("process.user.uid"), format_args!("{}", user.uid))?;
    walk.put(KeyId::ProcessGid, format_args!("process.user.gid"), format_args!("{}", user.gid))?;
    walk.put_all(KeyId::AdditionalGid, "process.user.additionalGids", &user.additional_gids)?;
    if user.umask != super::model::UMASK {
        walk.put(KeyId::Umask, format_args!("process.user.umask"), format_args!("{:03o}", user.umask))?;
    }
    walk.put_some(KeyId::ProcessTerminal, "process.terminal", process.terminal.then_some("true"))?;
    walk.put_some(KeyId::ConsoleSize, "process.consoleSize", process.console_size)?;
    walk.put(KeyId::ProcessArgs, format_args!("process.args"), format_args!("{}", Array(&process.args)))?;
    walk.put_all(KeyId::ProcessEnv, "process.env", process.env.iter().map(Environment))?;
    capabilities(&process.capabilities, walk)?;
    let rlimits = process.rlimits.iter().map(|(kind, limit)| PrintedRlimit(*kind, *limit));
    walk.put_all(KeyId::Rlimit, "process.rlimits", rlimits)?;
    let privileges = (!process.no_new_privileges).then_some("false");
    walk.put_some(KeyId::NoNewPrivileges, "process.noNewPrivileges", privileges)?;
    walk.put_some(KeyId::OomScoreAdj, "process.oomScoreAdj", process.oom_score_adj)
}

fn capabilities<E>(sets: &Capabilities, walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>) -> Result<(), E> {
    let Capabilities { bounding, effective, permitted, inheritable, ambient } = *sets;
    let mut put = |key, name: &str, set: CapabilitySet, default: CapabilitySet| {
        if set == default {
            return Ok(());
        }
        let value = |word| walk.put(key, format_args!("process.capabilities.{name}"), format_args!("{word}"));
        capability_words(set).try_for_each(value)
    };
    if bounding == effective && bounding == permitted {
        put(KeyId::Capability, "bounding", bounding, CapabilitySet::DEFAULT)?;
    } else {
        put(KeyId::CapabilityBounding, "bounding", bounding, CapabilitySet::DEFAULT)?;
        put(KeyId::CapabilityEffective, "effective", effective, CapabilitySet::DEFAULT)?;
        put(KeyId::CapabilityPermitted, "permitted", permitted, CapabilitySet::DEFAULT)?;
    }
    put(KeyId::CapabilityInheritable, "inheritable", inheritable, CapabilitySet::empty())?;
    put(KeyId::CapabilityAmbient, "ambient", ambient, CapabilitySet::empty())
}

fn namespaces<E>(settings: &Settings, walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>) -> Result<(), E> {
    let path = format_args!("linux.namespaces");
    for kind in NamespaceKind::ALL {
        if settings.namespaces.is_new(kind) {
            walk.put(KeyId::Namespace, path, format_args!("{kind}"))?;
        }
        if let Some(joined) = settings.namespaces.joined.get(&kind) {
            walk.put(KeyId::Namespace, path, format_args!("{}", namespaces::Joined(kind, joined)))?;
        }
    }
    walk.put_all(KeyId::UidMapping, "linux.uidMappings", &settings.uid_mappings)?;
    walk.put_all(KeyId::GidMapping, "linux.gidMappings", &settings.gid_mappings)?;
    let mut offsets = settings.time_offsets;
    for (index, clock) in namespaces::CLOCKS.into_iter().enumerate() {
        let offset = *offsets.of_mut(index);
        if offset != super::model::TimeOffset::default() {
            let path = format_args!("linux.timeOffsets.{clock}");
            walk.put(KeyId::TimeOffset, path, format_args!("{clock}:{offset}"))?;
        }
    }
    Ok(())
}

fn limits<E>(resources: &Resources, walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>) -> Result<(), E> {
    let (memory, cpu) = (&resources.memory, &resources.cpu);
    walk.put_some(KeyId::MemoryLimit, "linux.resources.memory.limit", memory.limit)?;
    walk.put_some(KeyId::MemoryReservation, "linux.resources.memory.reservation", memory.reservation)?;
    walk.put_some(KeyId::MemoryHigh, "linux.resources.unified.memory.high", memory.high)?;
    walk.put_some(KeyId::MemorySwap, "linux.resources.memory.swap", memory.swap)?;
    walk.put_some(KeyId::CpuShares, "linux.resources.cpu.shares", cpu.shares)?;
    walk.put_some(KeyId::CpuQuota, "linux.resources.cpu.quota", cpu.quota)?;
    walk.put_some(KeyId::CpuPeriod, "linux.resources.cpu.period", cpu.period)?;
    walk.put_some(KeyId::CpuBurst, "linux.resources.cpu.burst", cpu.burst)?;
    walk.put_some(KeyId::CpuIdle, "linux.resources.cpu.idle", cpu.idle)?;
    walk.put_some(KeyId::CpusetCpus, "linux.resources.cpu.cpus", cpu.cpus)?;
    walk.put_some(KeyId::PidsLimit, "linux.resources.pids.limit", resources.pids)?;
    walk.put_map(KeyId::Unified, "linux.resources.unified", &resources.unified)
}

fn device_rules<E>(rules: &[DeviceRule], walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>) -> Result<(), E> {
    let path = "linux.resources.devices";
    if rules.is_empty() {
        return walk.put(KeyId::DeviceRule, format_args!("{path}"), format_args!("none"));
    }
    let defaults = DeviceRule::defaults();
    if rules == defaults { Ok(()) } else { walk.put_all(KeyId::DeviceRule, path, rules) }
}

fn seccomp_rules<E>(seccomp: &Seccomp, walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>) -> Result<(), E> {
    let profile = match seccomp {
        Seccomp::Default => return Ok(()),
        Seccomp::Unconfined => {
            return walk.put(KeyId::Seccomp, format_args!("linux.seccomp"), format_args!("unconfined"));
        }
        Seccomp::Profile(profile) => profile,
    };
    let default = Some(profile.default_action);
    walk.put_some(KeyId::SeccompDefault, "linux.seccomp.defaultAction", default)?;
    let architectures = profile.architectures.iter().map(|arch| arch.name());
    walk.put_all(KeyId::SeccompArch, "linux.seccomp.architectures", architectures)?;
    walk.put_all(KeyId::SeccompFlag, "linux.seccomp.flags", seccomp::flag_words(profile.flags))?;
    walk.put_all(KeyId::Seccomp, "linux.seccomp.syscalls", &profile.rules)
}

/// Whether a hook has another environment than what it gets when none is given.
pub(super) fn has_own_environment(kind: HookKind, hook: &Hook, process: &Process) -> bool {
    kind != HookKind::StartContainer || hook.env != process.env
}

fn all_hooks<E>(
    all: &Hooks,
    process: &Process,
    walk: &mut Walk<'_, impl FnMut(Entry<'_>) -> Result<(), E>>,
) -> Result<(), E> {
    for kind in HookKind::ALL {
        for (index, hook) in all.of(kind).iter().enumerate() {
            let Hook { env, .. } = hook;
            let path = format_args!("hooks.{}[{index}]", kind.name());
            walk.put(hooks::key(kind), path, format_args!("{}", hooks::Printed(hook)))?;
            if !has_own_environment(kind, hook, process) {
                continue;
            }
            for (entry_index, entry) in env.iter().enumerate() {
                let path = format_args!("hooks.{}[{index}].env[{entry_index}]", kind.name());
                walk.put(KeyId::HookEnv, path, format_args!("{}", Environment(entry)))?;
            }
        }
    }
    Ok(())
}
