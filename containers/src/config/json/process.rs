//! `process`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::value::{Value, boolean, number, owned};
use crate::config::error::{ConfigError, Shown};
use crate::config::model::{Capabilities, CapabilitySet, ConsoleSize, Process, Rlimit, RlimitKind, User};

/// Reads `process`.
pub(super) fn read(value: &Value<'_>, warnings: &mut Vec<String>) -> Result<Process, ConfigError> {
    value.refuse_unless_inert(&["scheduler", "ioPriority", "execCPUAffinity", "selinuxLabel", "commandLine"])?;
    value.map("apparmorProfile", |profile| match profile.text()? {
        "" | "unconfined" => Ok(()),
        _ => Err(profile.not_enforced()),
    })?;
    let defaults = Process::default();
    let terminal = value.map("terminal", boolean)?.unwrap_or(false);
    let console_size = value.map("consoleSize", console_size)?;
    let args = value.require("args")?;
    let process = Process {
        cwd: value.require("cwd")?.owned()?,
        user: value.map("user", user)?.unwrap_or_default(),
        args: args.items(owned)?,
        env: value.list("env", owned)?,
        terminal,
        // Without a terminal it says nothing.
        console_size: console_size.filter(|_| terminal),
        capabilities: value.map("capabilities", |sets| capabilities(sets, warnings))?.unwrap_or_default(),
        rlimits: rlimits(value)?,
        no_new_privileges: value.map("noNewPrivileges", boolean)?.unwrap_or(defaults.no_new_privileges),
        oom_score_adj: value.map("oomScoreAdj", number)?,
    };
    if process.args.is_empty() { Err(args.refuse("at least one is required")) } else { Ok(process) }
}

fn user(value: &Value<'_>) -> Result<User, ConfigError> {
    value.refuse_unless_inert(&["username"])?;
    let defaults = User::default();
    Ok(User {
        uid: value.map("uid", number)?.unwrap_or(defaults.uid),
        gid: value.map("gid", number)?.unwrap_or(defaults.gid),
        umask: value.map("umask", number)?.unwrap_or(defaults.umask),
        additional_gids: value.list("additionalGids", number)?,
    })
}

fn console_size(value: &Value<'_>) -> Result<ConsoleSize, ConfigError> {
    Ok(ConsoleSize { height: value.require("height")?.number()?, width: value.require("width")?.number()? })
}

/// Reads the five sets; one that is not given is empty.
fn capabilities(value: &Value<'_>, warnings: &mut Vec<String>) -> Result<Capabilities, ConfigError> {
    let mut set = |name: &str| {
        let sets = value.list(name, |capability| one_capability(capability, warnings))?;
        Ok::<CapabilitySet, ConfigError>(sets.into_iter().collect())
    };
    Ok(Capabilities {
        bounding: set("bounding")?,
        effective: set("effective")?,
        permitted: set("permitted")?,
        inheritable: set("inheritable")?,
        ambient: set("ambient")?,
    })
}

/// Reads a capability. One that this kernel does not know cannot be granted: that is no error, and is warned of.
fn one_capability(value: &Value<'_>, warnings: &mut Vec<String>) -> Result<CapabilitySet, ConfigError> {
    let text = value.text()?;
    let is_word = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let name = text.strip_prefix("CAP_").filter(|name| is_word(name));
    let name = name.ok_or_else(|| value.refuse(format!("{} is not a capability", Shown(text))))?;
    let known = CapabilitySet::from_name(name);
    if known.is_none() {
        warnings.push(format!("the capability {} is not known, and not granted", Shown(text)));
    }
    Ok(known.unwrap_or_default())
}

fn rlimits(value: &Value<'_>) -> Result<BTreeMap<RlimitKind, Rlimit>, ConfigError> {
    let mut limits = BTreeMap::new();
    value.list("rlimits", |limit| {
        let kind = limit.require("type")?;
        let named = |text: &str| RlimitKind::from_name(&text.strip_prefix("RLIMIT_")?.to_ascii_lowercase());
        let kind_read = kind.word(named, "is not a resource limit")?;
        let read = Rlimit { soft: limit.require("soft")?.number()?, hard: limit.require("hard")?.number()? };
        if limits.insert(kind_read, read).is_some() { Err(kind.refuse("is given twice")) } else { Ok(()) }
    })?;
    Ok(limits)
}
