//! The keys of seccomp: actions, rules, flags.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Joined, checked, read};
use crate::config::error::about;
use crate::config::model::{SeccompAction, SeccompArch, SeccompCondition, SeccompFlags, SeccompOperator, SeccompRule};
use crate::config::variables::Variables;
use crate::text::{self, Range, Reason};

/// `EPERM`: what a call fails with if the configuration does not say.
pub(in crate::config) const ERRNO: u16 = 1;
/// Of the numbers that a call can fail with (Linux's `MAX_ERRNO`).
pub(in crate::config) const NUMBER: Range = Range { least: 0, most: 4095, otherwise: "has a number above 4095" };
/// Of the numbers of arguments.
const INDEX: Range = Range { least: 0, most: 5, otherwise: NOT_A_CONDITION };
/// The most rules of a profile.
pub(in crate::config) const RULES_MAX: usize = 1024;
/// The most names of a rule.
pub(in crate::config) const NAMES_MAX: usize = 1024;
/// The most conditions of a rule: arguments may be compared more than once.
pub(in crate::config) const CONDITIONS_MAX: usize = 12;
/// The longest name of a system call.
const NAME_LEN_MAX: usize = 64;

/// Reads an action: a word, and a number after `=` where one belongs to it.
pub(in crate::config) fn action(text: &str) -> Result<SeccompAction, Reason> {
    let (word, number) = text.split_once('=').map_or((text, None), |(word, number)| (word, Some(number)));
    let number = number.map(|number| text::number(number).map_err(|_| "has a number that is none")).transpose()?;
    let errno = number.unwrap_or(u32::from(ERRNO));
    let action = match word {
        "errno" => return NUMBER.check(errno.into()).map(|()| SeccompAction::Errno(errno as u16)),
        "trace" => {
            let told = u16::try_from(number.unwrap_or(0)).map_err(|_| "has a number above 65535")?;
            return Ok(SeccompAction::Trace(told));
        }
        "allow" => SeccompAction::Allow,
        "log" => SeccompAction::Log,
        "trap" => SeccompAction::Trap,
        "notify" => SeccompAction::Notify,
        "kill_process" => SeccompAction::KillProcess,
        "kill_thread" | "kill" => SeccompAction::KillThread,
        _ => {
            return Err("is not what becomes of a call: allow, log, errno[=NUMBER], trap, kill_thread, kill_process, \
                        trace[=NUMBER], notify");
        }
    };
    if number.is_some() { Err("has a number, which only errno and trace take") } else { Ok(action) }
}

impl SeccompAction {
    /// Its word, without a number.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::KillProcess => "kill_process",
            Self::KillThread => "kill_thread",
            Self::Trap => "trap",
            Self::Errno(_) => "errno",
            Self::Notify => "notify",
            Self::Trace(_) => "trace",
            Self::Log => "log",
            Self::Allow => "allow",
        }
    }
}

/// Prints the word, and the number unless it is the one that holds without it.
impl fmt::Display for SeccompAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Errno(number) if *number != ERRNO => write!(f, "={number}"),
            Self::Trace(number) if *number != 0 => write!(f, "={number}"),
            _ => Ok(()),
        }
    }
}

/// Reads a rule: `ACTION:CALL[,CALL][:CONDITION[,CONDITION]]`.
pub(in crate::config) fn rule(value: &str, variables: &mut Variables<'_>) -> Result<SeccompRule, String> {
    let mut fields = value.split(':');
    let (Some(first), Some(names)) = (fields.next(), fields.next()) else {
        return Err(about(value, "is not a rule: ACTION:CALL[,CALL][:CONDITION[,CONDITION]]"));
    };
    let action = read(first.trim(), variables, action)?;
    let names = names.split(',').map(|name| checked(name.trim(), variables, call_name));
    let names = names.collect::<Result<_, String>>()?;
    let conditions = fields.next().map_or(Ok(Vec::new()), |conditions| {
        conditions.split(',').map(|text| read(text.trim(), variables, condition)).collect::<Result<_, String>>()
    })?;
    if fields.next().is_some() {
        return Err(about(value, "has more than three fields"));
    }
    let rule = SeccompRule { names, action, conditions };
    bounded(&rule).map_err(String::from)?;
    Ok(rule)
}

/// Checks the lists of a rule.
pub(in crate::config) fn bounded(rule: &SeccompRule) -> Result<(), Reason> {
    rule.conditions.iter().try_for_each(|condition| INDEX.check(condition.index.into()))?;
    if rule.names.is_empty() {
        return Err("names no call");
    }
    if rule.names.len() > NAMES_MAX {
        return Err("more than 1024 names of calls");
    }
    if rule.conditions.len() > CONDITIONS_MAX {
        return Err("more than 12 conditions");
    }
    Ok(())
}

/// Checks the name of a system call; whether there is one of that name is for the kernel to know.
pub(in crate::config) fn call_name(text: &str) -> Result<(), Reason> {
    let proper = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.is_empty() && text.len() <= NAME_LEN_MAX && text.bytes().all(proper) {
        Ok(())
    } else {
        Err("is not the name of a system call")
    }
}

/// The operators, those first of which others are the beginning.
const OPERATORS: [(&str, SeccompOperator); 6] = [
    ("!=", SeccompOperator::NotEqual),
    ("<=", SeccompOperator::LessOrEqual),
    (">=", SeccompOperator::GreaterOrEqual),
    ("==", SeccompOperator::Equal),
    ("<", SeccompOperator::Less),
    (">", SeccompOperator::Greater),
];

const NOT_A_CONDITION: Reason = "is not a condition: the number of an argument, 0 to 5, one of == != < <= > >= and a \
                                 number, or & and a mask before ==";

/// Reads a condition: `0==5`, or `1&MASK==5`. Numbers are decimal, or hexadecimal after `0x`.
fn condition(text: &str) -> Result<SeccompCondition, Reason> {
    let (&index, rest) = text.as_bytes().split_first().ok_or(NOT_A_CONDITION)?;
    let index = index.wrapping_sub(b'0');
    // The first byte is a digit, so the rest is text.
    let rest = core::str::from_utf8(rest).map_err(|_| NOT_A_CONDITION)?;
    INDEX.check(index.into())?;
    let (operator, value) = match rest.strip_prefix('&') {
        Some(masked) => {
            let (mask, value) = masked.split_once("==").ok_or(NOT_A_CONDITION)?;
            (SeccompOperator::MaskedEqual { mask: argument(mask).ok_or(NOT_A_CONDITION)? }, value)
        }
        None => OPERATORS
            .into_iter()
            .find_map(|(word, operator)| rest.strip_prefix(word).map(|value| (operator, value)))
            .ok_or(NOT_A_CONDITION)?,
    };
    Ok(SeccompCondition { index, operator, value: argument(value).ok_or(NOT_A_CONDITION)? })
}

fn argument(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text::decimal(text),
    }
}

/// Prints a condition as it is read.
impl fmt::Display for SeccompCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.index)?;
        let word = match self.operator {
            SeccompOperator::MaskedEqual { mask } => {
                write!(f, "&{mask:#x}")?;
                "=="
            }
            other => OPERATORS.iter().find(|(_, operator)| *operator == other).map_or("", |(word, _)| word),
        };
        write!(f, "{word}{}", self.value)
    }
}

/// Prints a rule as the value of its line.
impl fmt::Display for SeccompRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.action, Joined(self.names.iter(), ","))?;
        if self.conditions.is_empty() { Ok(()) } else { write!(f, ":{}", Joined(self.conditions.iter(), ",")) }
    }
}

/// Reads the name of an architecture, with or without `SCMP_ARCH_`.
pub(in crate::config) fn architecture(text: &str) -> Result<SeccompArch, Reason> {
    let name = text.strip_prefix("SCMP_ARCH_").unwrap_or(text);
    SeccompArch::ALL
        .into_iter()
        .find(|arch| arch.name() == name)
        .ok_or("is not an architecture of libseccomp, such as X86_64, AARCH64, RISCV64")
}

/// Reads a flag: its name, after `SECCOMP_FILTER_FLAG_` or in lower case.
pub(in crate::config) fn flag(text: &str) -> Result<SeccompFlags, Reason> {
    let upper = text.strip_prefix("SECCOMP_FILTER_FLAG_").map_or_else(|| text.to_ascii_uppercase(), String::from);
    SeccompFlags::from_name(&upper).ok_or("is not a flag of seccomp: tsync, log, spec_allow, wait_killable_recv")
}

/// The words of flags.
pub(in crate::config) fn flag_words(flags: SeccompFlags) -> impl Iterator<Item = String> {
    flags.iter_names().map(|(name, _)| name.to_ascii_lowercase())
}
