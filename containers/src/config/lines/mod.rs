//! The key=value form: a reader that takes one key and its value after the other.

mod lists;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use self::lists::Lists;
use super::bounds::{self, bounded};
use super::error::{ConfigError, Shown, about};
use super::model::{HookKind, Limit, MountPropagation, Settings};
use super::support;
use super::syntax::{checked, devices, hooks, mounts, namespaces, process, read, resources, texts};
use super::variables::Variables;
use crate::keys::{self, Key, KeyId, Support};
use crate::line::Lines;
use crate::text::{self, Bytes, Reason};

/// What a reader accepts of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accept {
    /// What this kernel enforces.
    Enforced,
    /// All of it: to test reading and printing apart from enforcing.
    #[cfg(any(test, fuzzing))]
    All,
}

/// Reads keys and values into settings.
struct Reader<'a> {
    settings: Settings,
    lists: Lists,
    variables: Variables<'a>,
    accept: Accept,
    /// The lines of each key, in order.
    places: Places,
    /// The kind of the hook that was declared last.
    last_hook: Option<HookKind>,
}

/// On which lines which keys were given, in order.
#[derive(Default)]
pub(super) struct Places(Vec<(KeyId, u32)>);

impl Places {
    /// The line of the value of a key with this index, or of its last; 0 if it was not given.
    pub(super) fn line(&self, key: KeyId, index: Option<usize>) -> u32 {
        let mut lines = self.0.iter().filter(|(given, _)| *given == key).map(|(_, line)| *line);
        index.and_then(|index| lines.clone().nth(index)).or_else(|| lines.next_back()).unwrap_or(0)
    }
}

/// What a reader has read.
pub(super) struct Document {
    pub(super) settings: Settings,
    pub(super) places: Places,
}

/// Reads a whole document. Keys that `is_wanted` does not take are refused for its reason.
pub(super) fn document(
    text: &[u8],
    variables: &[(&str, &str)],
    accept: Accept,
    is_wanted: fn(KeyId) -> Result<(), Reason>,
) -> Result<Document, ConfigError> {
    let mut reader = Reader::new(variables, accept);
    for line in Lines::new(text) {
        let line = line?;
        let Some(key) = keys::find(line.key) else {
            return Err(ConfigError::on_line(line.number, shown_key(line.key), unknown(line.key)));
        };
        is_wanted(key.id).map_err(|reason| ConfigError::on_line(line.number, key.name, reason))?;
        let taken = reader.take(key.id, line.value, line.number);
        taken.map_err(|reason| ConfigError::on_line(line.number, key.name, reason))?;
    }
    let Reader { settings, lists, places, .. } = reader;
    let settings = lists
        .finish(settings)
        .map_err(|(key, reason)| ConfigError::on_line(places.line(key, None), key.name(), reason))?;
    Ok(Document { settings, places })
}

impl<'a> Reader<'a> {
    fn new(variables: &'a [(&'a str, &'a str)], accept: Accept) -> Self {
        Self {
            settings: Settings::default(),
            lists: Lists::default(),
            variables: Variables::new(variables),
            accept,
            places: Places::default(),
            last_hook: None,
        }
    }

    /// Takes a key with its value from a line.
    fn take(&mut self, id: KeyId, value: &str, line: u32) -> Result<(), Cow<'static, str>> {
        let key = id.key();
        if self.accept == Accept::Enforced && key.support == Support::NotYet {
            return Err(Cow::Borrowed(support::NOT_ENFORCED));
        }
        let before = self.places.line(id, None);
        if before != 0 && !key.repeats {
            return Err(Cow::Owned(format!("is given twice; first on line {before}")));
        }
        self.set(id, value).map_err(Cow::Owned)?;
        self.places.0.push((id, line));
        if self.accept == Accept::Enforced { support::check(id, &self.settings).map_err(Cow::Owned) } else { Ok(()) }
    }

    fn set(&mut self, id: KeyId, value: &str) -> Result<(), String> {
        let (settings, variables) = (&mut self.settings, &mut self.variables);
        let (process, resources) = (&mut settings.process, &mut settings.resources);
        match id {
            KeyId::OciVersion => settings.oci_version = checked(value, variables, text::oci_version)?,
            KeyId::RootPath => settings.root.path = checked(value, variables, text::path)?,
            KeyId::RootReadonly => settings.root.readonly = read(value, variables, text::boolean)?,
            KeyId::RootfsPropagation => settings.root.propagation = read(value, variables, propagation)?,
            KeyId::Hostname => settings.hostname = Some(checked(value, variables, text::hostname)?),
            KeyId::Domainname => settings.domainname = Some(checked(value, variables, text::hostname)?),
            KeyId::ProcessCwd => process.cwd = checked(value, variables, text::absolute_path)?,
            KeyId::ProcessUid => process.user.uid = read(value, variables, text::user_id)?,
            KeyId::ProcessGid => process.user.gid = read(value, variables, text::user_id)?,
            KeyId::AdditionalGid => {
                let gid = read(value, variables, text::user_id)?;
                add(&mut process.user.additional_gids, gid, bounds::GIDS_MAX)?;
            }
            KeyId::Umask => process.user.umask = read(value, variables, process::umask)?,
            KeyId::ProcessTerminal => process.terminal = read(value, variables, text::boolean)?,
            KeyId::ConsoleSize => process.console_size = Some(read(value, variables, process::console_size)?),
            KeyId::ProcessArg | KeyId::ProcessArgs => self.add_arguments(id, value)?,
            KeyId::ProcessEnv => {
                process.env.extend(texts::environment(value, variables)?);
                bounded(process.env.len(), bounds::ENV_MAX)?;
            }
            KeyId::Rlimit => {
                let (kind, limit) = process::rlimit(value, variables)?;
                if process.rlimits.insert(kind, limit).is_some() {
                    return Err(format!("{} is given twice", kind.name()));
                }
            }
            KeyId::NoNewPrivileges => process.no_new_privileges = read(value, variables, text::boolean)?,
            KeyId::OomScoreAdj => process.oom_score_adj = Some(read(value, variables, process::oom_score_adj)?),
            KeyId::Mount => add(&mut settings.mounts, mounts::parse(value, variables)?, bounds::MOUNTS_MAX)?,
            KeyId::Namespace => self.add_namespace(value)?,
            KeyId::UidMapping => {
                let mapping = namespaces::mapping(value, variables)?;
                add(&mut settings.uid_mappings, mapping, bounds::MAPPINGS_MAX)?;
            }
            KeyId::GidMapping => {
                let mapping = namespaces::mapping(value, variables)?;
                add(&mut settings.gid_mappings, mapping, bounds::MAPPINGS_MAX)?;
            }
            KeyId::TimeOffset => {
                let (clock, offset) = namespaces::time_offset(value, variables)?;
                if core::mem::replace(&mut self.lists.clocks[clock], true) {
                    return Err(format!("{} is given twice", namespaces::CLOCKS[clock]));
                }
                *settings.time_offsets.of_mut(clock) = offset;
            }
            KeyId::CgroupsPath => settings.cgroups_path = Some(checked(value, variables, text::cgroup_path)?),
            KeyId::MemoryLimit => resources.memory.limit = Some(read(value, variables, size_limit)?),
            KeyId::MemoryReservation => resources.memory.reservation = Some(read(value, variables, size_limit)?),
            KeyId::MemoryHigh => resources.memory.high = Some(read(value, variables, size_limit)?),
            KeyId::MemorySwap => resources.memory.swap = Some(read(value, variables, size_limit)?),
            KeyId::CpuShares => resources.cpu.shares = Some(read(value, variables, resources::shares)?),
            KeyId::CpuQuota => resources.cpu.quota = Some(read(value, variables, resources::quota)?),
            KeyId::CpuPeriod => resources.cpu.period = Some(read(value, variables, resources::period)?),
            KeyId::CpuBurst => resources.cpu.burst = Some(read(value, variables, resources::burst)?),
            KeyId::CpuIdle => resources.cpu.idle = Some(read(value, variables, text::boolean)?),
            KeyId::CpusetCpus => resources.cpu.cpus = Some(read(value, variables, resources::cpus)?),
            KeyId::PidsLimit => resources.pids = Some(read(value, variables, pids_limit)?),
            KeyId::Unified => {
                let (name, content) = texts::pair(value, variables)?;
                resources::unified_name(&name).map_err(|reason| about(&name, reason))?;
                insert(&mut resources.unified, name, content, bounds::UNIFIED_MAX)?;
            }
            KeyId::Device => add(&mut settings.devices, devices::device(value, variables)?, bounds::DEVICES_MAX)?,
            KeyId::Sysctl => {
                let (name, content) = texts::pair(value, variables)?;
                text::sysctl(&name).map_err(|reason| about(&name, reason))?;
                insert(&mut settings.sysctl, name, content, bounds::SYSCTLS_MAX)?;
            }
            KeyId::Annotation => {
                let (name, content) = texts::pair(value, variables)?;
                insert(&mut settings.annotations, name, content, bounds::ANNOTATIONS_MAX)?;
            }
            KeyId::HookPrestart
            | KeyId::HookCreateRuntime
            | KeyId::HookCreateContainer
            | KeyId::HookStartContainer
            | KeyId::HookPoststart
            | KeyId::HookPoststop => self.add_hook(id, value)?,
            KeyId::HookEnv => self.add_hook_environment(value)?,
            KeyId::Capability
            | KeyId::CapabilityBounding
            | KeyId::CapabilityEffective
            | KeyId::CapabilityPermitted
            | KeyId::CapabilityInheritable
            | KeyId::CapabilityAmbient
            | KeyId::DeviceRule
            | KeyId::SeccompDefault
            | KeyId::SeccompArch
            | KeyId::SeccompFlag
            | KeyId::Seccomp
            | KeyId::MaskedPath
            | KeyId::ReadonlyPath => self.lists.take(id, value, variables, self.accept)?,
        }
        Ok(())
    }

    /// Arguments are given in one form or the other. An array is taken apart before variables are put in, so what
    /// they hold stays within its argument.
    fn add_arguments(&mut self, id: KeyId, value: &str) -> Result<(), String> {
        let other = if id == KeyId::ProcessArg { KeyId::ProcessArgs } else { KeyId::ProcessArg };
        match self.places.line(other, None) {
            0 => {}
            line => return Err(format!("cannot be given together with {} (line {line})", other.name())),
        }
        let args = &mut self.settings.process.args;
        if id == KeyId::ProcessArg {
            args.push(checked(value, &mut self.variables, text::no_nul)?);
        } else {
            *args = texts::array(value, &mut self.variables, text::no_nul)?;
            if args.is_empty() {
                return Err(String::from("at least one argument is required"));
            }
        }
        bounded(args.len(), bounds::ARGS_MAX)
    }

    fn add_namespace(&mut self, value: &str) -> Result<(), String> {
        let (kind, path) = namespaces::namespace(value, &mut self.variables)?;
        if self.accept == Accept::Enforced {
            support::namespace(kind, path.is_some())?;
        }
        let namespaces = &mut self.settings.namespaces;
        if namespaces.is_own(kind) {
            return Err(format!("{kind} is given twice"));
        }
        match path {
            Some(path) => drop(namespaces.joined.insert(kind, path)),
            None => namespaces.new |= kind.flag(),
        }
        Ok(())
    }

    fn add_hook(&mut self, id: KeyId, value: &str) -> Result<(), String> {
        let hook = hooks::parse(value, &mut self.variables)?;
        let kind = HookKind::ALL.into_iter().find(|kind| hooks::key(*kind) == id);
        if let Some(kind) = kind {
            add(self.settings.hooks.of_mut(kind), hook, bounds::HOOKS_MAX)?;
        }
        self.last_hook = kind;
        Ok(())
    }

    fn add_hook_environment(&mut self, value: &str) -> Result<(), String> {
        let hook = self.last_hook.and_then(|kind| self.settings.hooks.of_mut(kind).last_mut());
        let hook = hook.ok_or_else(|| String::from("is for the hook declared last, and none is declared before it"))?;
        hook.env.extend(texts::environment(value, &mut self.variables)?);
        bounded(hook.env.len(), bounds::ENV_MAX)
    }
}

/// Adds to a list that has a bound.
fn add<T>(list: &mut Vec<T>, item: T, most: usize) -> Result<(), String> {
    list.push(item);
    bounded(list.len(), most)
}

/// Adds to a map that has a bound; each name once.
fn insert(
    map: &mut alloc::collections::BTreeMap<String, String>,
    name: String,
    value: String,
    most: usize,
) -> Result<(), String> {
    if map.contains_key(&name) {
        return Err(about(&name, "is given twice"));
    }
    map.insert(name, value);
    bounded(map.len(), most)
}

fn propagation(text: &str) -> Result<MountPropagation, Reason> {
    let propagation = MountPropagation::from_name(text);
    propagation.ok_or("is not a propagation: private, shared, slave, unbindable, or one of them with r before it")
}

fn size_limit(text: &str) -> Result<Limit<Bytes>, Reason> {
    text::size_limit(text).map(|limit| limit.map_or(Limit::Max, Limit::At))
}

fn pids_limit(text: &str) -> Result<Limit<NonZeroU32>, Reason> {
    text::pids_limit(text).map(|limit| limit.and_then(NonZeroU32::new).map_or(Limit::Max, Limit::At))
}

fn unknown(name: &str) -> String {
    match keys::nearest(name) {
        Some(Key { name: near, .. }) => format!("unknown key; did you mean {near}?"),
        None => String::from("unknown key"),
    }
}

/// A strange key as a message names it.
fn shown_key(name: &str) -> String {
    if name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        String::from(name)
    } else {
        format!("{}", Shown(name))
    }
}
