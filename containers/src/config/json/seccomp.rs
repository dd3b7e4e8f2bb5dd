//! `linux.seccomp`.

use alloc::string::String;
use alloc::vec::Vec;

use super::value::{Value, number, owned};
use crate::config::error::ConfigError;
use crate::config::model::{
    Seccomp, SeccompAction, SeccompCondition, SeccompFlags, SeccompOperator, SeccompProfile, SeccompRule,
};
use crate::config::syntax::seccomp::{self, ERRNO};

/// Reads `linux.seccomp`.
pub(super) fn read(value: &Value<'_>) -> Result<Seccomp, ConfigError> {
    value.refuse_unless_inert(&["listenerPath", "listenerMetadata"])?;
    let default_action = action(value, "defaultAction", "defaultErrnoRet")?;
    let architecture =
        |value: &Value<'_>| value.word(|name| seccomp::architecture(name).ok(), "is not an architecture");
    let flag = |value: &Value<'_>| value.word(|name| seccomp::flag(name).ok(), "is not a flag of seccomp");
    let flags: SeccompFlags = value.list("flags", flag)?.into_iter().collect();
    let mut architectures = Vec::new();
    for architecture in value.list("architectures", architecture)? {
        if !architectures.contains(&architecture) {
            architectures.push(architecture);
        }
    }
    let rules = value.list("syscalls", rule)?.into_iter().flatten().collect();
    Ok(Seccomp::Profile(SeccompProfile { default_action, architectures, flags, rules }))
}

/// Reads an action and its number, each a property of its own.
fn action(value: &Value<'_>, name: &str, number_name: &str) -> Result<SeccompAction, ConfigError> {
    let action = value.require(name)?;
    let errno: Option<u16> = value.map(number_name, number)?;
    let read = match action.text()? {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        "SCMP_ACT_ERRNO" => return Ok(SeccompAction::Errno(errno.unwrap_or(ERRNO))),
        "SCMP_ACT_TRACE" => return Ok(SeccompAction::Trace(errno.unwrap_or(ERRNO))),
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_NOTIFY" => SeccompAction::Notify,
        _ => return Err(action.refuse("is not an action of seccomp")),
    };
    match value.get(number_name)? {
        Some(number) => Err(number.refuse("is a number for SCMP_ACT_ERRNO and SCMP_ACT_TRACE only")),
        None => Ok(read),
    }
}

/// Reads a rule. One that compares an argument twice is a rule for each comparison: that is what libseccomp's users
/// make of it, and what the profiles that do so mean.
fn rule(value: &Value<'_>) -> Result<Vec<SeccompRule>, ConfigError> {
    let names = value.require("names")?;
    let listed: Vec<String> = names.items(owned)?;
    if listed.is_empty() {
        return Err(names.refuse("at least one is required"));
    }
    let action = action(value, "action", "errnoRet")?;
    let conditions = value.list("args", condition)?;
    let repeats = |one: &SeccompCondition| conditions.iter().filter(|other| other.index == one.index).count() > 1;
    if conditions.iter().any(repeats) {
        let rule = |condition| SeccompRule { names: listed.clone(), action, conditions: Vec::from([condition]) };
        return Ok(conditions.into_iter().map(rule).collect());
    }
    Ok(Vec::from([SeccompRule { names: listed, action, conditions }]))
}

fn condition(value: &Value<'_>) -> Result<SeccompCondition, ConfigError> {
    let index = value.require("index")?;
    let index_read: u8 = index.number()?;
    if index_read > 5 {
        return Err(index.refuse("is not an argument of a call: 0 to 5"));
    }
    let first: u64 = value.require("value")?.number()?;
    let second: u64 = value.map("valueTwo", number)?.unwrap_or(0);
    let operator = value.require("op")?;
    let read = |name: &str| {
        Some(match name {
            "SCMP_CMP_NE" => SeccompOperator::NotEqual,
            "SCMP_CMP_LT" => SeccompOperator::Less,
            "SCMP_CMP_LE" => SeccompOperator::LessOrEqual,
            "SCMP_CMP_EQ" => SeccompOperator::Equal,
            "SCMP_CMP_GE" => SeccompOperator::GreaterOrEqual,
            "SCMP_CMP_GT" => SeccompOperator::Greater,
            "SCMP_CMP_MASKED_EQ" => SeccompOperator::MaskedEqual { mask: first },
            _ => return None,
        })
    };
    let operator = operator.word(read, "is not a comparison of seccomp")?;
    let value = if let SeccompOperator::MaskedEqual { .. } = operator { second } else { first };
    Ok(SeccompCondition { index: index_read, operator, value })
}
