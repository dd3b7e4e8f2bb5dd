//! What holds of each value by itself, for settings that were not read from lines: by the same validators and ranges,
//! so that what passes can be written on a line and read back from it.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;

use super::bounds::{self, bounded};
use super::check::Problem;
use super::error::about;
use super::lines::Accept;
use super::model::{
    Capabilities, CapabilitySet, CpuResources, Device, DeviceNode, DeviceRule, Filesystem, Hook, HookKind, IdMapping,
    Limit, MemoryResources, Mount, MountFlags, Namespaces, OverlayUpper, Process, Resources, Seccomp, SeccompAction,
    SeccompFlags, SeccompProfile, SeccompRule, Settings, TimeOffset, TimeOffsets,
};
use super::syntax::{devices, hooks, mounts, namespaces, options, process, resources, seccomp};
use super::{support, walk};
use crate::keys::KeyId;
use crate::text::{self, Bytes, Range, Reason};
use crate::{NamespaceKind, NamespaceSet};

/// Checks every value of settings, in the order of their keys.
pub(super) fn settings(settings: &Settings, accept: Accept) -> Result<(), Problem> {
    let holds = |key, text: &str, rule| one(key, None, holds(text, rule));
    holds(KeyId::OciVersion, &settings.oci_version, text::oci_version)?;
    holds(KeyId::RootPath, &settings.root.path, text::path)?;
    for (key, name) in [(KeyId::Hostname, &settings.hostname), (KeyId::Domainname, &settings.domainname)] {
        name.as_ref().map_or(Ok(()), |name| holds(key, name, text::hostname))?;
    }
    self::process(&settings.process, accept)?;
    each(KeyId::Mount, &settings.mounts, bounds::MOUNTS_MAX, |one| mount(one, accept))?;
    self::namespaces(&settings.namespaces, accept)?;
    for (key, mappings) in [(KeyId::UidMapping, &settings.uid_mappings), (KeyId::GidMapping, &settings.gid_mappings)] {
        each(key, mappings, bounds::MAPPINGS_MAX, mapping)?;
    }
    time_offsets(settings.time_offsets)?;
    settings.cgroups_path.as_ref().map_or(Ok(()), |path| holds(KeyId::CgroupsPath, path, text::cgroup_path))?;
    limits(&settings.resources)?;
    each(KeyId::Device, &settings.devices, bounds::DEVICES_MAX, device)?;
    each(KeyId::DeviceRule, &settings.resources.devices, bounds::DEVICE_RULES_MAX, device_rule)?;
    if let Seccomp::Profile(profile) = &settings.seccomp {
        self::seccomp(profile, accept)?;
    }
    pairs(KeyId::Sysctl, &settings.sysctl, bounds::SYSCTLS_MAX, text::sysctl)?;
    let lists = [(KeyId::MaskedPath, &settings.masked_paths), (KeyId::ReadonlyPath, &settings.readonly_paths)];
    for (key, paths) in lists {
        each(key, paths, bounds::PATHS_MAX, |path| self::holds(path, text::absolute_path))?;
    }
    pairs(KeyId::Annotation, &settings.annotations, bounds::ANNOTATIONS_MAX, |name| {
        if name.is_empty() { Err("has an empty name") } else { text::no_nul(name) }
    })?;
    all_hooks(settings)
}

/// Checks limits, as for an update: the device rules aside.
pub(super) fn limits(limits: &Resources) -> Result<(), Problem> {
    let Resources { memory: MemoryResources { limit, reservation, high, swap }, cpu, pids, unified, .. } = limits;
    let sizes = [
        (KeyId::MemoryLimit, limit),
        (KeyId::MemoryReservation, reservation),
        (KeyId::MemoryHigh, high),
        (KeyId::MemorySwap, swap),
    ];
    for (key, size) in sizes {
        one(key, None, if *size == Some(Limit::At(Bytes(0))) { not("0", "is no limit") } else { Ok(()) })?;
    }
    let CpuResources { shares, quota, period, burst, .. } = *cpu;
    let quota = quota.and_then(Limit::value);
    let numbers = [
        (KeyId::CpuShares, shares.map(u64::from), &resources::SHARES),
        (KeyId::CpuQuota, quota.map(u64::from), &resources::QUOTA),
        (KeyId::CpuPeriod, period.map(u64::from), &resources::PERIOD),
        (KeyId::CpuBurst, burst, &resources::BURST),
        (KeyId::PidsLimit, pids.and_then(Limit::value).map(|pids| pids.get().into()), &text::PIDS),
    ];
    for (key, number, range) in numbers {
        one(key, None, number.map_or(Ok(()), |number| within(number, range)))?;
    }
    pairs(KeyId::Unified, unified, bounds::UNIFIED_MAX, resources::unified_name)
}

fn process(process: &Process, accept: Accept) -> Result<(), Problem> {
    let user = &process.user;
    one(KeyId::ProcessCwd, None, holds(&process.cwd, text::absolute_path))?;
    one(KeyId::ProcessUid, None, within(user.uid, &text::ID))?;
    one(KeyId::ProcessGid, None, within(user.gid, &text::ID))?;
    each(KeyId::AdditionalGid, &user.additional_gids, bounds::GIDS_MAX, |gid| within(*gid, &text::ID))?;
    let umask = process::UMASK.check(user.umask.into());
    one(KeyId::Umask, None, umask.map_err(|reason| about(&format!("{:03o}", user.umask), reason)))?;
    if accept == Accept::Enforced && process.terminal {
        one(KeyId::ProcessTerminal, None, support::terminal())?;
    }
    each(KeyId::ProcessArgs, &process.args, bounds::ARGS_MAX, |arg| holds(arg, text::no_nul))?;
    each(KeyId::ProcessEnv, &process.env, bounds::ENV_MAX, |entry| holds(entry, text::environment))?;
    let Capabilities { bounding, effective, permitted, inheritable, ambient } = process.capabilities;
    let all = bounding | effective | permitted | inheritable | ambient;
    one(KeyId::Capability, None, known(CapabilitySet::all().contains(all)))?;
    let score = process
        .oom_score_adj
        .map_or(Ok(()), |score| process::is_score(score).map_err(|reason| about(&score.to_string(), reason)));
    one(KeyId::OomScoreAdj, None, score)
}

fn mount(mount: &Mount, accept: Accept) -> Result<(), String> {
    holds(&mount.destination, text::destination)?;
    holds(&mount.source, text::path)?;
    let cleared = if mounts::had_flags(&mount.filesystem) { options::CLEARED } else { MountFlags::empty() };
    let trees = mount.recursive_set | mount.recursive_cleared;
    known(
        MountFlags::all().contains(mount.set) && cleared.contains(mount.cleared) && options::OF_TREES.contains(trees),
    )?;
    match &mount.filesystem {
        Filesystem::Tmpfs(tmpfs) => {
            if tmpfs.size == Some(Bytes(0)) || tmpfs.inodes == Some(0) {
                return not("0", "is no bound of a tmpfs");
            }
            mode(tmpfs.mode)?;
            [tmpfs.uid, tmpfs.gid].into_iter().try_for_each(|id| within(id, &text::ID))?;
        }
        Filesystem::Devpts(devpts) => {
            mode(devpts.ptmx_mode)?;
            mode(devpts.mode)?;
            [devpts.uid, devpts.gid].into_iter().flatten().try_for_each(|id| within(id, &text::ID))?;
        }
        Filesystem::Overlay(overlay) => {
            mounts::lower_bounded(overlay.lower.len())?;
            let upper = overlay.upper.iter().flat_map(|OverlayUpper { directory, work }| [directory, work]);
            overlay.lower.iter().chain(upper).try_for_each(|path| holds(path, text::path))?;
        }
        _ => {}
    }
    if accept == Accept::Enforced { support::mount(mount) } else { Ok(()) }
}

fn namespaces(namespaces: &Namespaces, accept: Accept) -> Result<(), Problem> {
    let checked = |kind: NamespaceKind| {
        let joined = namespaces.joined.get(&kind);
        if joined.is_some() && namespaces.is_new(kind) {
            return Err(format!("{kind} is given twice"));
        }
        joined.map_or(Ok(()), |path| holds(path, text::absolute_path))?;
        let is_given = joined.is_some() || namespaces.is_new(kind);
        if accept == Accept::Enforced && is_given { support::namespace(kind, joined.is_some()) } else { Ok(()) }
    };
    one(KeyId::Namespace, None, known(NamespaceSet::all().contains(namespaces.new)))?;
    one(KeyId::Namespace, None, NamespaceKind::ALL.into_iter().try_for_each(checked))
}

fn mapping(mapping: &IdMapping) -> Result<(), String> {
    namespaces::fits(mapping).map_err(|reason| about(&mapping.to_string(), reason))
}

fn time_offsets(TimeOffsets { monotonic, boottime }: TimeOffsets) -> Result<(), Problem> {
    let given = [monotonic, boottime].into_iter().filter(|offset| *offset != TimeOffset::default());
    given.enumerate().try_for_each(|(index, offset)| {
        one(KeyId::TimeOffset, Some(index), within(offset.nanosecs, &namespaces::NANOSECONDS))
    })
}

fn device(device: &Device) -> Result<(), String> {
    holds(&device.path, text::destination)?;
    if let DeviceNode::Character { major, minor } | DeviceNode::Block { major, minor } = device.node {
        within(major, &devices::MAJOR)?;
        within(minor, &devices::MINOR)?;
    }
    mode(device.mode)?;
    [device.uid, device.gid].into_iter().try_for_each(|id| within(id, &text::ID))
}

fn device_rule(rule: &DeviceRule) -> Result<(), String> {
    rule.major.map_or(Ok(()), |major| within(major, &devices::MAJOR))?;
    rule.minor.map_or(Ok(()), |minor| within(minor, &devices::MINOR))?;
    known(!rule.access.is_empty() && super::model::DeviceAccess::all().contains(rule.access))
}

fn seccomp(profile: &SeccompProfile, accept: Accept) -> Result<(), Problem> {
    let action = |action: SeccompAction| {
        if let SeccompAction::Errno(errno) = action {
            let checked = seccomp::NUMBER.check(errno.into());
            checked.map_err(|reason| about(&action.to_string(), reason))?;
        }
        if accept == Accept::Enforced { support::action(action) } else { Ok(()) }
    };
    let SeccompProfile { default_action, architectures, flags, rules } = profile;
    one(KeyId::SeccompDefault, None, action(*default_action))?;
    for (index, architecture) in architectures.iter().enumerate() {
        if architectures[..index].contains(architecture) {
            return one(KeyId::SeccompArch, Some(index), Err(format!("{} is given twice", architecture.name())));
        }
    }
    one(KeyId::SeccompFlag, None, known(SeccompFlags::all().contains(*flags)))?;
    each(KeyId::Seccomp, rules, seccomp::RULES_MAX, |rule: &SeccompRule| {
        action(rule.action)?;
        rule.names.iter().try_for_each(|name| holds(name, seccomp::call_name))?;
        seccomp::bounded(rule).map_err(String::from)
    })
}

fn all_hooks(settings: &Settings) -> Result<(), Problem> {
    let mut entries = 0;
    for kind in HookKind::ALL {
        for (index, hook) in settings.hooks.of(kind).iter().enumerate() {
            let Hook { path, args, env, .. } = hook;
            let key = hooks::key(kind);
            one(key, Some(index), holds(path, text::absolute_path))?;
            one(key, Some(index), hooks::bounded(args))?;
            one(key, Some(index), args.iter().try_for_each(|arg| holds(arg, text::no_nul)))?;
            if walk::has_own_environment(kind, hook, &settings.process) {
                for (index, entry) in env.iter().enumerate() {
                    let checked = holds(entry, text::environment).and_then(|()| bounded(index + 1, bounds::ENV_MAX));
                    one(KeyId::HookEnv, Some(entries), checked)?;
                    entries += 1;
                }
            }
        }
        one(hooks::key(kind), Some(bounds::HOOKS_MAX), bounded(settings.hooks.of(kind).len(), bounds::HOOKS_MAX))?;
    }
    Ok(())
}

/// The problem of a value of a key, if it has one.
fn one(key: KeyId, index: Option<usize>, checked: Result<(), String>) -> Result<(), Problem> {
    checked.map_err(|reason| Problem { key, index, reason: Cow::Owned(reason) })
}

/// The first problem of a list.
fn each<T>(key: KeyId, items: &[T], most: usize, rule: impl Fn(&T) -> Result<(), String>) -> Result<(), Problem> {
    let mut items = items.iter().enumerate();
    items.try_for_each(|(index, item)| one(key, Some(index), rule(item).and_then(|()| bounded(index + 1, most))))
}

/// The first problem of names and values.
fn pairs(
    key: KeyId,
    pairs: &BTreeMap<String, String>,
    most: usize,
    rule: fn(&str) -> Result<(), Reason>,
) -> Result<(), Problem> {
    pairs.iter().enumerate().try_for_each(|(index, (name, value))| {
        let checked = holds(name, rule).and_then(|()| holds(value, text::no_nul));
        one(key, Some(index), checked.and_then(|()| bounded(index + 1, most)))
    })
}

fn holds(text: &str, rule: fn(&str) -> Result<(), Reason>) -> Result<(), String> {
    rule(text).map_err(|reason| about(text, reason))
}

fn within<T: Into<u64> + Display + Copy>(number: T, range: &Range) -> Result<(), String> {
    range.check(number.into()).map_err(|reason| about(&number.to_string(), reason))
}

fn mode(mode: u16) -> Result<(), String> {
    text::MODE.check(mode.into()).map_err(|reason| about(&format!("{mode:o}"), reason))
}

fn not(text: &str, reason: Reason) -> Result<(), String> {
    Err(about(text, reason))
}

/// Bits that no word stands for say something that no document can.
fn known(is_known: bool) -> Result<(), String> {
    if is_known { Ok(()) } else { Err(String::from("has a flag that no word stands for")) }
}
