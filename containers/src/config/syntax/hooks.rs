//! Hooks: `PATH[:SECONDS]`, `["PATH","argument"][:SECONDS]`, or `PATH:["argument 0","argument"][:SECONDS]`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use super::texts::{Array, expand_all};
use super::{Field, Fields, checked_field, read};
use crate::config::bounds;
use crate::config::error::about;
use crate::config::model::{Hook, HookKind};
use crate::config::variables::Variables;
use crate::json;
use crate::keys::KeyId;
use crate::text;

/// The key of each kind.
pub(in crate::config) const fn key(kind: HookKind) -> KeyId {
    match kind {
        HookKind::Prestart => KeyId::HookPrestart,
        HookKind::CreateRuntime => KeyId::HookCreateRuntime,
        HookKind::CreateContainer => KeyId::HookCreateContainer,
        HookKind::StartContainer => KeyId::HookStartContainer,
        HookKind::Poststart => KeyId::HookPoststart,
        HookKind::Poststop => KeyId::HookPoststop,
    }
}

/// Reads the value of a hook's line.
pub(in crate::config) fn parse(value: &str, variables: &mut Variables<'_>) -> Result<Hook, String> {
    let (path, args, timeout) = if value.starts_with('[') {
        let (args, timeout) = arguments(value, variables)?;
        let path = args.first().cloned().ok_or_else(|| about(value, "lacks the path of the program"))?;
        (path, args, timeout)
    } else {
        let mut fields = Fields::of(value);
        let path = checked_field(fields.next().unwrap_or(""), variables, text::absolute_path)?;
        match fields.rest() {
            Some(rest) if rest.starts_with('[') => {
                let (args, timeout) = arguments(rest, variables)?;
                (path, args, timeout)
            }
            timeout => {
                let args = Vec::from([path.clone()]);
                (path, args, timeout)
            }
        }
    };
    text::absolute_path(&path).map_err(|reason| about(&path, reason))?;
    bounded(&args)?;
    let timeout = timeout.map(|seconds| read(seconds, variables, seconds_of)).transpose()?;
    Ok(Hook { path, args, env: Vec::new(), timeout })
}

/// Reads an array of arguments; what comes after it and a colon is a timeout.
fn arguments<'a>(value: &'a str, variables: &mut Variables<'_>) -> Result<(Vec<String>, Option<&'a str>), String> {
    let (mut strings, rest) = json::strings_at(value).map_err(|reason| about(value, reason))?;
    expand_all(&mut strings, variables, text::no_nul)?;
    match (rest, rest.strip_prefix(':')) {
        ("", _) => Ok((strings, None)),
        (_, Some(timeout)) => Ok((strings, Some(timeout))),
        _ => Err(about(value, "has text after its JSON array that is not `:SECONDS`")),
    }
}

/// Checks the arguments of a hook.
pub(in crate::config) fn bounded(args: &[String]) -> Result<(), String> {
    if args.is_empty() {
        return Err(String::from("has an empty array: argument 0, its name for itself, is required"));
    }
    bounds::bounded(args.len(), bounds::ARGS_MAX)
}

fn seconds_of(text: &str) -> Result<NonZeroU32, text::Reason> {
    let seconds = text::number(text).ok().and_then(NonZeroU32::new);
    seconds.ok_or("is not a timeout: whole seconds, at least 1")
}

/// Prints a hook as the value of its line; its environment has lines of its own.
pub(in crate::config) struct Printed<'a>(pub(in crate::config) &'a Hook);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hook { path, args, timeout, .. } = self.0;
        match &args[..] {
            [only] if only == path => Field(path).fmt(f)?,
            [first, ..] if first == path => Array(args).fmt(f)?,
            _ => write!(f, "{}:{}", Field(path), Array(args))?,
        }
        timeout.map_or(Ok(()), |seconds| write!(f, ":{seconds}"))
    }
}
