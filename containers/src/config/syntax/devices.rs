//! `device` and `device_rule`.

use alloc::string::String;
use core::fmt;

use super::{Field, Fields, checked_field, read};
use crate::config::error::about;
use crate::config::model::{Device, DeviceAccess, DeviceNode, DeviceRule, DeviceRuleKind};
use crate::config::variables::Variables;
use crate::text::{self, Range, Reason};

/// Of major and minor numbers (Linux's `MINORBITS`).
pub(in crate::config) const MAJOR: Range =
    Range { least: 0, most: (1 << 12) - 1, otherwise: "is not a major number: 0 to 4095" };
pub(in crate::config) const MINOR: Range =
    Range { least: 0, most: (1 << 20) - 1, otherwise: "is not a minor number: 0 to 1048575" };

fn major(text: &str) -> Result<u32, Reason> {
    MAJOR.read(text).map(|number| number as u32)
}

fn minor(text: &str) -> Result<u32, Reason> {
    MINOR.read(text).map(|number| number as u32)
}

/// Reads `PATH:c:MAJOR:MINOR[:MODE[:UID:GID]]`, with `b` for `c`, or `PATH:p[:MODE[:UID:GID]]`.
pub(in crate::config) fn device(value: &str, variables: &mut Variables<'_>) -> Result<Device, String> {
    const FORM: Reason = "is not a device: PATH:c:MAJOR:MINOR[:MODE[:UID:GID]], or with b, or PATH:p[:MODE[:UID:GID]]";
    let malformed = || about(value, FORM);
    let mut fields = Fields::of(value);
    let path = checked_field(fields.next().unwrap_or(""), variables, text::destination)?;
    let kind = fields.next().ok_or_else(malformed)?;
    let node = match kind {
        "p" => DeviceNode::Fifo,
        "c" | "u" | "b" => {
            let (Some(first), Some(second)) = (fields.next(), fields.next()) else {
                return Err(malformed());
            };
            let (major, minor) = (read(first, variables, major)?, read(second, variables, minor)?);
            if kind == "b" { DeviceNode::Block { major, minor } } else { DeviceNode::Character { major, minor } }
        }
        _ => return Err(malformed()),
    };
    let mode = fields.next().map_or(Ok(Device::MODE), |mode| read(mode, variables, text::mode))?;
    let (uid, gid) = match (fields.next(), fields.next(), fields.rest()) {
        (None, None, None) => (0, 0),
        (Some(uid), Some(gid), None) => (read(uid, variables, text::user_id)?, read(gid, variables, text::user_id)?),
        _ => return Err(malformed()),
    };
    Ok(Device { path, node, mode, uid, gid })
}

/// Prints a device as the value of its line.
pub(in crate::config) struct Printed<'a>(pub(in crate::config) &'a Device);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Device { path, node, mode, uid, gid } = self.0;
        write!(f, "{}:", Field(path))?;
        match node {
            DeviceNode::Character { major, minor } => write!(f, "c:{major}:{minor}")?,
            DeviceNode::Block { major, minor } => write!(f, "b:{major}:{minor}")?,
            DeviceNode::Fifo => f.write_str("p")?,
        }
        match (*mode, *uid, *gid) {
            (Device::MODE, 0, 0) => Ok(()),
            (mode, 0, 0) => write!(f, ":{mode:o}"),
            (mode, uid, gid) => write!(f, ":{mode:o}:{uid}:{gid}"),
        }
    }
}

/// Reads `allow|deny:a|c|b:MAJOR|*:MINOR|*:rwm`.
pub(in crate::config) fn rule(value: &str, variables: &mut Variables<'_>) -> Result<DeviceRule, String> {
    const FORM: Reason = "is not a device rule: allow or deny, then :a, :c or :b, :MAJOR:MINOR (each may be *), \
                          and some of :rwm";
    let mut fields = Fields::of(value);
    let mut next = || fields.next().ok_or_else(|| about(value, FORM));
    let fields = [next()?, next()?, next()?, next()?, next()?];
    if next().is_ok() {
        return Err(about(value, FORM));
    }
    Ok(DeviceRule {
        allow: read(fields[0], variables, |text| match text {
            "allow" => Ok(true),
            "deny" => Ok(false),
            _ => Err("is neither allow nor deny"),
        })?,
        kind: read(fields[1], variables, |text| match text {
            "a" => Ok(DeviceRuleKind::All),
            "c" => Ok(DeviceRuleKind::Character),
            "b" => Ok(DeviceRuleKind::Block),
            _ => Err("is not a kind of devices: a, c, b"),
        })?,
        major: read(fields[2], variables, |text| each_or(text, major))?,
        minor: read(fields[3], variables, |text| each_or(text, minor))?,
        access: read(fields[4], variables, |text| DeviceAccess::from_letters(text).ok_or("is not some of rwm"))?,
    })
}

fn each_or(text: &str, read: fn(&str) -> Result<u32, Reason>) -> Result<Option<u32>, Reason> {
    if text == "*" { Ok(None) } else { read(text).map(Some) }
}

impl DeviceAccess {
    const LETTERS: [(char, Self); 3] = [('r', Self::READ), ('w', Self::WRITE), ('m', Self::MAKE)];

    /// The access of letters, each given once; `None` for anything else.
    #[must_use]
    pub fn from_letters(text: &str) -> Option<Self> {
        let access = text.chars().try_fold(Self::empty(), |access, letter| {
            let (_, one) = Self::LETTERS.into_iter().find(|(known, _)| *known == letter)?;
            (!access.contains(one)).then_some(access | one)
        });
        access.filter(|access| !access.is_empty())
    }
}

/// Prints a rule as the value of its line.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceRuleKind::All => 'a',
            DeviceRuleKind::Character => 'c',
            DeviceRuleKind::Block => 'b',
        };
        write!(f, "{}:{kind}", if self.allow { "allow" } else { "deny" })?;
        for number in [self.major, self.minor] {
            match number {
                Some(number) => write!(f, ":{number}")?,
                None => f.write_str(":*")?,
            }
        }
        f.write_str(":")?;
        let given = DeviceAccess::LETTERS.iter().filter(|(_, one)| self.access.contains(*one));
        given.into_iter().try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}
