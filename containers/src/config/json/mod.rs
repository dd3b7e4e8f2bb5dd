//! config.json: the document of runtime-spec 1.3 (config.md, config-linux.md).
//!
//! What is here says which property means what, and takes each value for what it is: a text, a number, a list.
//! Whether a value is a good one is found out by `rules`, with what the key=value form checks a value with; the error
//! then names the property. Properties that the specification does not know
//! are ignored, as it demands; those that it knows and this kernel does not enforce are refused unless they ask for
//! nothing.

mod linux;
mod process;
mod resources;
mod seccomp;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

pub use self::tree::JSON_LEN_MAX;

use self::value::{Value, boolean, owned, texts};
use super::error::ConfigError;
use super::model::{Hook, HookKind, Hooks, Mount, Process, Resources, Root, Settings};
use super::syntax::mounts;

/// What a document says, and what of it was left out without being an error.
pub(super) struct Read<T> {
    pub(super) content: T,
    pub(super) warnings: Vec<String>,
}

/// Whether a document is in this form: whether its first character that is not blank is a brace.
pub(super) fn is_json(document: &[u8]) -> bool {
    document.trim_ascii_start().first() == Some(&b'{')
}

/// Reads config.json.
pub(super) fn settings(document: &[u8]) -> Result<Read<Settings>, ConfigError> {
    let tree = tree::read(document)?;
    let config = Value::root(&tree, "");
    let mut warnings = Vec::new();
    for platform in ["windows", "solaris", "vm", "zos", "freebsd"] {
        config.map(platform, |section| Err::<(), _>(section.refuse("is for a platform that this kernel is not")))?;
    }
    let oci_version = config.require("ociVersion")?.owned()?;
    let root = config.require("root")?;
    let process = process::read(&config.require("process")?, &mut warnings)?;
    let linux = config.get("linux")?;
    let mut settings = linux.as_ref().map_or_else(|| Ok(Settings::default()), linux::read)?;
    settings.oci_version = oci_version;
    settings.root = Root {
        path: root.require("path")?.owned()?,
        readonly: root.map("readonly", boolean)?.unwrap_or(false),
        ..settings.root
    };
    settings.process = process;
    settings.hostname = config.map("hostname", owned)?;
    settings.domainname = config.map("domainname", owned)?;
    settings.mounts = config.list("mounts", mount)?;
    settings.hooks = config.map("hooks", hooks)?.unwrap_or_default();
    settings.annotations = config.map("annotations", texts)?.unwrap_or_default();
    Ok(Read { content: settings, warnings })
}

/// Reads what `process` of config.json is: for one more process in a container.
pub(super) fn process(document: &[u8]) -> Result<Read<Process>, ConfigError> {
    let tree = tree::read(document)?;
    let mut warnings = Vec::new();
    let content = process::read(&Value::root(&tree, "process"), &mut warnings)?;
    Ok(Read { content, warnings })
}

/// Reads what `linux.resources` of config.json is: limits to change.
pub(super) fn resources(document: &[u8]) -> Result<Resources, ConfigError> {
    let tree = tree::read(document)?;
    let value = Value::root(&tree, "linux.resources");
    value.map("devices", |devices| {
        let none = devices.items(|_| Ok(()))?.is_empty();
        if none { Ok(()) } else { Err(devices.refuse("cannot be changed")) }
    })?;
    Ok(Resources { devices: Vec::new(), ..resources::read(&value)? })
}

fn mount(value: &Value<'_>) -> Result<Mount, ConfigError> {
    value.refuse_unless_inert(&["uidMappings", "gidMappings"])?;
    let destination = value.require("destination")?.text()?;
    // Old tools write it relative; it is then so to the root.
    let slash = if destination.starts_with('/') { "" } else { "/" };
    let destination = [slash, destination].concat();
    let options = value.list("options", owned)?;
    let kind = value.map("type", owned)?.unwrap_or_else(|| String::from("none"));
    let is_bind = kind.ends_with("bind") || options.iter().any(|option| option == "bind" || option == "rbind");
    let source = match value.map("source", owned)? {
        Some(source) if !source.is_empty() || is_bind => source,
        _ if is_bind => return Err(value.refuse("is a bind mount without its source")),
        _ => kind.clone(),
    };
    let options = options.iter().map(String::as_str);
    mounts::from_parts(destination, &kind, source, options).map_err(|reason| value.refuse(reason))
}

fn hooks(value: &Value<'_>) -> Result<Hooks, ConfigError> {
    let mut hooks = Hooks::default();
    for kind in HookKind::ALL {
        *hooks.of_mut(kind) = value.list(kind.name(), hook)?;
    }
    Ok(hooks)
}

fn hook(value: &Value<'_>) -> Result<Hook, ConfigError> {
    let path = value.require("path")?.owned()?;
    let mut args = value.list("args", owned)?;
    if args.is_empty() {
        args.push(path.clone());
    }
    let timeout = value
        .map("timeout", |timeout| NonZeroU32::new(timeout.number()?).ok_or_else(|| timeout.refuse("is not above 0")))?;
    Ok(Hook { path, args, env: value.list("env", owned)?, timeout })
}
