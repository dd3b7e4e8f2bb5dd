//! `mount`: `destination:type:source[:option,option]`.

mod printed;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use self::printed::kind_name;
pub(in crate::config) use self::printed::{Printed, without_type, words};
use super::options::{OTHER_OPTIONS, OTHER_TYPES, flag_word};
use super::{Fields, checked_field, read_field, split_unescaped, unescape};
use crate::config::error::{Shown, about};
use crate::config::model::{
    DevptsOptions, Filesystem, Mount, MountFlags, MountPropagation, OverlayOptions, OverlayUpper, TmpfsOptions,
};
use crate::config::support::not_yet;
use crate::config::variables::Variables;
use crate::text::{self, Bytes};

/// The most lower directories of an overlay.
const LOWER_MAX: usize = 128;

/// Reads the value of a `mount` line.
pub(in crate::config) fn parse(value: &str, variables: &mut Variables<'_>) -> Result<Mount, String> {
    let mut fields = Fields::of(value);
    let (Some(destination), Some(kind), Some(source)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(about(value, "is not a mount: destination:type:source[:option,option]"));
    };
    let options = fields.next();
    if fields.rest().is_some() {
        return Err(about(value, "has more than four fields; `\\:` is a colon inside one"));
    }
    let destination = checked_field(destination, variables, text::destination)?;
    let source = checked_field(source, variables, text::path)?;
    let mut reading = Reading::new(true);
    if let Some(options) = options {
        reading.options(&read_field(options, variables)?)?;
    }
    reading.mount(destination, &read_field(kind, variables)?, source)
}

/// Makes a mount of what config.json says of it. There an option may be given again: the last one counts.
pub(in crate::config) fn from_parts<'a>(
    destination: String,
    kind: &str,
    source: String,
    options: impl Iterator<Item = &'a str>,
) -> Result<Mount, String> {
    let mut reading = Reading::new(false);
    for option in options {
        reading.options(option)?;
    }
    reading.mount(destination, kind, source)
}

/// What the options of one mount have said so far.
struct Reading {
    /// Whether saying the same or the contrary twice is an error.
    strict: bool,
    /// Flags set and cleared of the mount, and of the tree.
    flags: [Change; 2],
    /// `bind` (false) or `rbind` (true).
    bind: Option<bool>,
    remount: bool,
    copy_up: bool,
    propagation: Option<MountPropagation>,
    /// Settings of the file system, as they were given.
    data: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Change {
    set: MountFlags,
    cleared: MountFlags,
}

impl Reading {
    fn new(strict: bool) -> Self {
        Self {
            strict,
            flags: [Change::default(); 2],
            bind: None,
            remount: false,
            copy_up: false,
            propagation: None,
            data: Vec::new(),
        }
    }

    fn options(&mut self, options: &str) -> Result<(), String> {
        let mut rest = Some(options);
        while let Some(options) = rest {
            let (option, after) = split_unescaped(options, b',');
            self.option(option.trim())?;
            rest = after;
        }
        Ok(())
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let said = match option {
            "defaults" => false,
            "bind" => self.set_bind(false),
            "rbind" => self.set_bind(true),
            "remount" => core::mem::replace(&mut self.remount, true),
            "tmpcopyup" => core::mem::replace(&mut self.copy_up, true),
            _ => {
                if let Some(word) = flag_word(option) {
                    self.flags[usize::from(word.recursive)].take(word.flag, word.set)
                } else if let Some(propagation) = MountPropagation::from_name(option) {
                    self.propagation.replace(propagation).is_some()
                } else {
                    self.take_data(option)?
                }
            }
        };
        if said && self.strict {
            return Err(about(option, "says again, or otherwise, what another option says"));
        }
        Ok(())
    }

    /// Whether it was said before. A tree stays one: `rbind,bind` is what some write for it.
    fn set_bind(&mut self, recursive: bool) -> bool {
        let before = self.bind;
        self.bind = Some(recursive || before == Some(true));
        before.is_some()
    }

    /// Keeps a setting of a file system; whether it was given before.
    fn take_data(&mut self, option: &str) -> Result<bool, String> {
        let name = option.split_inclusive('=').next().unwrap_or(option);
        if !DATA.iter().any(|(_, names)| names.contains(&name)) {
            return Err(if OTHER_OPTIONS.contains(&name) {
                not_yet(&format!("the option {}", Shown(option)))
            } else {
                about(option, "is not a mount option")
            });
        }
        let before = self.data.len();
        self.data.retain(|given| given.split_inclusive('=').next() != Some(name));
        let said = self.data.len() < before;
        self.data.push(String::from(option));
        Ok(said)
    }

    fn mount(self, destination: String, kind: &str, source: String) -> Result<Mount, String> {
        let filesystem = self.filesystem(kind)?;
        let had_flags = had_flags(&filesystem);
        let [here, below] = self.flags;
        Ok(Mount {
            destination,
            filesystem,
            source,
            set: here.set,
            cleared: if had_flags { here.cleared } else { MountFlags::empty() },
            recursive_set: below.set,
            recursive_cleared: below.cleared,
            propagation: self.propagation,
        })
    }

    fn filesystem(&self, kind: &str) -> Result<Filesystem, String> {
        let filesystem = match (kind, self.bind) {
            ("bind" | "rbind", _) | (_, Some(_)) if self.remount => Filesystem::Remount { bind: true },
            _ if self.remount => Filesystem::Remount { bind: false },
            ("rbind", Some(false)) if self.strict => {
                return Err(String::from("type rbind and option bind contradict each other"));
            }
            ("bind", bind) => Filesystem::Bind { recursive: bind == Some(true) },
            ("rbind", _) => Filesystem::Bind { recursive: true },
            ("none", Some(recursive)) => Filesystem::Bind { recursive },
            (_, Some(_)) if self.strict => {
                return Err(format!("a bind mount has the type bind, not {}", Shown(kind)));
            }
            (_, Some(recursive)) => Filesystem::Bind { recursive },
            ("none", None) => return Err(String::from("the type none needs one of the options bind, rbind, remount")),
            ("tmpfs", None) => Filesystem::Tmpfs(self.tmpfs()?),
            ("dev", None) => Filesystem::Dev,
            ("proc", None) => Filesystem::Proc,
            ("sysfs", None) => Filesystem::Sysfs,
            ("devpts", None) => Filesystem::Devpts(self.devpts()?),
            ("mqueue", None) => Filesystem::Mqueue,
            ("cgroup" | "cgroup2", None) => Filesystem::Cgroup2,
            ("overlay", None) => Filesystem::Overlay(self.overlay()?),
            _ if OTHER_TYPES.contains(&kind) => return Err(not_yet(&format!("the file system {}", Shown(kind)))),
            _ => {
                return Err(about(
                    kind,
                    "is not a file system: bind, rbind, tmpfs, dev, proc, sysfs, devpts, mqueue, cgroup2, overlay",
                ));
            }
        };
        let kind = kind_name(&filesystem);
        let names = DATA.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, names)| names);
        let stray = self.data.iter().find(|option| !names.iter().any(|name| is_named(option, name)));
        if let Some(option) = stray {
            return Err(about(option, "is not an option of this type of mount"));
        }
        if self.copy_up && kind != "tmpfs" {
            return Err(about("tmpcopyup", "is for a tmpfs"));
        }
        Ok(filesystem)
    }

    /// The value of a setting, read; `None` if it was not given.
    fn data<T>(&self, name: &str, read: fn(&str) -> Result<T, text::Reason>) -> Result<Option<T>, String> {
        let Some(option) = self.data.iter().find(|option| is_named(option, name)) else {
            return Ok(None);
        };
        read(&option[name.len()..]).map(Some).map_err(|reason| about(option, reason))
    }

    fn tmpfs(&self) -> Result<TmpfsOptions, String> {
        Ok(TmpfsOptions {
            size: self.data("size=", tmpfs_size)?.flatten(),
            inodes: self.data("nr_inodes=", tmpfs_inodes)?.flatten(),
            mode: self.data("mode=", text::mode)?.unwrap_or(TmpfsOptions::MODE),
            uid: self.data("uid=", text::user_id)?.unwrap_or(0),
            gid: self.data("gid=", text::user_id)?.unwrap_or(0),
            copy_up: self.copy_up,
        })
    }

    fn devpts(&self) -> Result<DevptsOptions, String> {
        Ok(DevptsOptions {
            ptmx_mode: self.data("ptmxmode=", text::mode)?.unwrap_or(DevptsOptions::PTMX_MODE),
            mode: self.data("mode=", text::mode)?.unwrap_or(DevptsOptions::MODE),
            uid: self.data("uid=", text::user_id)?,
            gid: self.data("gid=", text::user_id)?,
            max: self.data("max=", text::number)?,
        })
    }

    fn overlay(&self) -> Result<OverlayOptions, String> {
        let text = |name| self.data.iter().find(|option| is_named(option, name)).map(|option| &option[name.len()..]);
        let directory = |escaped: &str| -> Result<String, String> {
            let path = unescape(escaped, &[':', ','])?.into_owned();
            text::path(&path).map_err(|reason| about(&path, reason))?;
            Ok(path)
        };
        let mut lower = Vec::new();
        let mut rest = text("lowerdir=");
        while let Some(paths) = rest {
            let (path, after) = split_unescaped(paths, b':');
            lower.push(directory(path)?);
            rest = after;
        }
        lower_bounded(lower.len())?;
        let upper = match (text("upperdir="), text("workdir=")) {
            (Some(upper), Some(work)) => Some(OverlayUpper { directory: directory(upper)?, work: directory(work)? }),
            (None, None) => None,
            _ => return Err(String::from("upperdir= and workdir= need each other")),
        };
        Ok(OverlayOptions { lower, upper })
    }
}

/// Checks how many lower directories an overlay has.
pub(in crate::config) fn lower_bounded(number: usize) -> Result<(), String> {
    match number {
        0 => Err(String::from("an overlay needs lowerdir=")),
        1..=LOWER_MAX => Ok(()),
        _ => Err(format!("an overlay has at most {LOWER_MAX} lower directories")),
    }
}

/// Whether there were flags before: only there is clearing one different from not setting it.
pub(in crate::config) const fn had_flags(filesystem: &Filesystem) -> bool {
    matches!(filesystem, Filesystem::Bind { .. } | Filesystem::Remount { .. })
}

impl Change {
    /// Sets or clears a flag; whether something was said about it before.
    fn take(&mut self, flag: MountFlags, set: bool) -> bool {
        let said = (self.set | self.cleared).contains(flag);
        self.set.set(flag, set);
        self.cleared.set(flag, !set);
        said
    }
}

/// The settings of each file system that has some, up to their `=`.
const DATA: [(&str, &[&str]); 3] = [
    ("tmpfs", &["gid=", "mode=", "nr_inodes=", "size=", "uid="]),
    ("devpts", &["gid=", "max=", "mode=", "newinstance", "ptmxmode=", "uid="]),
    ("overlay", &["lowerdir=", "upperdir=", "workdir="]),
];

fn is_named(option: &str, name: &str) -> bool {
    option.strip_prefix(name).is_some_and(|rest| rest.is_empty() || name.ends_with('='))
}

/// The value of `size=`: as Linux's tmpfs takes it, with suffixes in either case, 0 for no bound of its own.
fn tmpfs_size(size: &str) -> Result<Option<Bytes>, text::Reason> {
    if size.ends_with('%') {
        return Err("is known, but this kernel does not enforce a share of memory yet");
    }
    let upper = size.to_ascii_uppercase();
    if upper == "MAX" { Err("is not a size") } else { text::size_limit(&upper) }
}

/// The value of `nr_inodes=`, likewise.
fn tmpfs_inodes(number: &str) -> Result<Option<u64>, text::Reason> {
    tmpfs_size(number).map(|number| number.map(|number| number.0))
}
