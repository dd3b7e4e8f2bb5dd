//! From a key=value document to settings.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::num::NonZeroU32;

use super::check::bounded;
use super::error::{Shown, about};
use super::model::{Limit, Settings};
use super::variables::Variables;
use super::{ARGS_MAX, ConfigError, ENV_MAX, MOUNTS_MAX, NAMESPACES, mount};
use crate::keys::{self, Key, KeyId, Support};
use crate::line::{Line, Lines};
use crate::text::{self, Reason};
use crate::{NamespaceKind, json};

/// Reads a document; the settings, and for each key the line where it was given last (0: not at all).
pub(super) fn settings(
    document: &[u8],
    variables: &[(&str, &str)],
) -> Result<(Settings, [u32; KeyId::COUNT]), ConfigError> {
    let mut reader =
        Reader { settings: Settings::default(), lines: [0; KeyId::COUNT], variables: Variables::new(variables) };
    for line in Lines::new(document) {
        let line = line?;
        reader.take(&line)?;
    }
    let mut settings = reader.settings;
    let paths = Settings::with_own_root(settings.namespaces.is_new(NamespaceKind::Mount));
    (settings.masked_paths, settings.readonly_paths) = (paths.masked_paths, paths.readonly_paths);
    Ok((settings, reader.lines))
}

struct Reader<'a> {
    settings: Settings,
    lines: [u32; KeyId::COUNT],
    variables: Variables<'a>,
}

impl Reader<'_> {
    fn take(&mut self, line: &Line<'_>) -> Result<(), ConfigError> {
        let Some(key) = keys::find(line.key) else {
            return Err(ConfigError::new(line.number, Cow::Owned(shown_key(line.key)), unknown(line.key)));
        };
        let error = |reason: Cow<'static, str>| ConfigError::new(line.number, key.name, reason);
        let Support::Enforced(id) = key.support else {
            return Err(error(Cow::Borrowed("is known, but this kernel does not enforce it yet")));
        };
        let before = core::mem::replace(&mut self.lines[id as usize], line.number);
        if before != 0 && !key.repeats {
            return Err(error(Cow::Owned(format!("is given twice; first on line {before}"))));
        }
        self.set(id, line.value).map_err(|reason| error(Cow::Owned(reason)))
    }

    fn set(&mut self, id: KeyId, value: &str) -> Result<(), String> {
        let settings = &mut self.settings;
        let variables = &mut self.variables;
        match id {
            KeyId::OciVersion => settings.oci_version = checked(value, variables, text::oci_version)?,
            KeyId::RootPath => settings.root.path = checked(value, variables, text::path)?,
            KeyId::RootReadonly => settings.root.readonly = read(value, variables, text::boolean)?,
            KeyId::Hostname => settings.hostname = Some(checked(value, variables, text::hostname)?),
            KeyId::ProcessCwd => settings.process.cwd = checked(value, variables, text::absolute_path)?,
            KeyId::ProcessUid => settings.process.user.uid = read(value, variables, text::user_id)?,
            KeyId::ProcessGid => settings.process.user.gid = read(value, variables, text::user_id)?,
            KeyId::ProcessTerminal => {
                if read(value, variables, text::boolean)? {
                    return Err(String::from("true is known, but this kernel does not enforce it yet"));
                }
            }
            KeyId::ProcessArg => {
                self.not_with(KeyId::ProcessArgs)?;
                let argument = checked(value, &mut self.variables, text::no_nul)?;
                self.settings.process.args.push(argument);
                bounded(self.settings.process.args.len(), ARGS_MAX)?;
            }
            KeyId::ProcessArgs => {
                self.not_with(KeyId::ProcessArg)?;
                self.set_arguments(value)?;
            }
            KeyId::ProcessEnv => {
                settings.process.env.push(checked(value, variables, text::environment)?);
                bounded(settings.process.env.len(), ENV_MAX)?;
            }
            KeyId::Mount => {
                settings.mounts.push(mount::parse(value, variables)?);
                bounded(settings.mounts.len(), MOUNTS_MAX)?;
            }
            KeyId::Namespace => self.add_namespace(value)?,
            KeyId::MemoryLimit => {
                settings.resources.memory.limit = read(value, variables, text::size_limit)?.map(Limit::At)
            }
            KeyId::PidsLimit => {
                let limit = read(value, variables, text::pids_limit)?;
                settings.resources.pids = limit.and_then(NonZeroU32::new).map(Limit::At);
            }
        }
        Ok(())
    }

    /// Arguments are given in one form or the other.
    fn not_with(&self, other: KeyId) -> Result<(), String> {
        match self.lines[other as usize] {
            0 => Ok(()),
            line => Err(format!("cannot be given together with {} (line {line})", other.name())),
        }
    }

    /// The array is taken apart before variables are put in, so what they hold stays within its argument.
    fn set_arguments(&mut self, value: &str) -> Result<(), String> {
        let mut arguments = json::strings(value).map_err(|reason| about(value, reason))?;
        if arguments.is_empty() {
            return Err(String::from("at least one argument is required"));
        }
        bounded(arguments.len(), ARGS_MAX)?;
        for argument in &mut arguments {
            if let Cow::Owned(expanded) = self.variables.expand(argument)? {
                *argument = expanded;
            }
            text::no_nul(argument).map_err(|reason| about(argument, reason))?;
        }
        self.settings.process.args = arguments;
        Ok(())
    }

    fn add_namespace(&mut self, value: &str) -> Result<(), String> {
        let value = self.variables.expand(value)?;
        let (name, path) = value.split_once(':').map_or((&*value, None), |(name, path)| (name, Some(path)));
        let kind = NamespaceKind::from_name(name)
            .ok_or_else(|| about(name, "is not a namespace: pid, network, mount, ipc, uts, user, cgroup, time"))?;
        if !NAMESPACES.contains(kind.flag()) {
            return Err(format!("{kind} is known, but this kernel does not enforce it yet"));
        }
        if path.is_some() {
            return Err(format!("joining one (`{kind}:path`) is known, but this kernel does not enforce it yet"));
        }
        if self.settings.namespaces.is_new(kind) {
            return Err(format!("{kind} is given twice"));
        }
        self.settings.namespaces.new |= kind.flag();
        Ok(())
    }
}

/// Expands and reads a value.
fn read<T>(value: &str, variables: &mut Variables<'_>, reader: fn(&str) -> Result<T, Reason>) -> Result<T, String> {
    let value = variables.expand(value)?;
    reader(&value).map_err(|reason| about(&value, reason))
}

/// Expands and checks a value, and keeps it.
fn checked(
    value: &str,
    variables: &mut Variables<'_>,
    validator: fn(&str) -> Result<(), Reason>,
) -> Result<String, String> {
    let value = variables.expand(value)?;
    validator(&value).map_err(|reason| about(&value, reason))?;
    Ok(value.into_owned())
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
