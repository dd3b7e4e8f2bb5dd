//! The value of `mount`: `destination:type:source[:option,option]`, where `\:` is a colon and `\\` a backslash.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::error::{Shown, about};
use super::model::{Filesystem, Mount, MountFlags, TmpfsOptions};
use super::variables::Variables;
use crate::text::{self, Bytes};

/// Types that belong to the language and are not there yet.
const TYPES_NOT_YET: &str = "proc sysfs devpts devtmpfs mqueue cgroup cgroup2 overlay ext4 virtiofs";

/// Options that belong to the language (runtime-spec, config.md#linux-mount-options) and are not enforced yet.
const OPTIONS_NOT_YET: &str = "async atime defaults diratime dirsync iversion lazytime loud mand noatime \
    nodiratime noiversion nolazytime nomand norelatime nostrictatime nosymfollow private relatime remount rprivate \
    rshared rslave runbindable shared silent slave strictatime symfollow sync tmpcopyup unbindable idmap ridmap rro \
    rrw rnosuid rsuid rnodev rdev rnoexec rexec ratime rnoatime rdiratime rnodiratime rrelatime rnorelatime \
    rstrictatime rnostrictatime rsymfollow rnosymfollow";

/// Settings of a tmpfs that are not enforced yet, up to their `=`.
const TMPFS_NOT_YET: &str = "uid gid nr_inodes nr_blocks huge mpol";

/// Reads the value of a `mount` line.
pub(super) fn parse(value: &str, variables: &mut Variables<'_>) -> Result<Mount, String> {
    let mut fields = Fields { rest: Some(value) };
    let (Some(destination), Some(kind), Some(source)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(about(value, "is not a mount: destination:type:source[:option,option]"));
    };
    let options = fields.next();
    if fields.rest.is_some() {
        return Err(about(value, "has more than four fields; `\\:` is a colon inside one"));
    }

    let destination = read_field(destination, variables)?;
    text::destination(&destination).map_err(|reason| about(&destination, reason))?;
    let source = read_field(source, variables)?;
    text::path(&source).map_err(|reason| about(&source, reason))?;

    let mut reading = Reading::default();
    if let Some(options) = options {
        for option in read_field(options, variables)?.split(',') {
            reading.option(option.trim())?;
        }
    }
    let filesystem = reading.filesystem(&read_field(kind, variables)?)?;
    // Only a bind mount has flags to take over, and so only there is clearing one different from not setting it.
    let is_bind = matches!(filesystem, Filesystem::Bind { .. });
    let cleared = if is_bind { reading.cleared } else { MountFlags::empty() };
    Ok(Mount {
        destination,
        filesystem,
        source,
        set: reading.set,
        cleared,
        recursive_set: MountFlags::empty(),
        recursive_cleared: MountFlags::empty(),
        propagation: None,
    })
}

/// The fields of a value, with their escapes.
struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let mut bytes = rest.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\\' => {
                    bytes.next();
                }
                b':' => {
                    self.rest = Some(&rest[at + 1..]);
                    return Some(&rest[..at]);
                }
                _ => {}
            }
        }
        self.rest = None;
        Some(rest)
    }
}

/// Takes the escapes out of a field, then puts the variables in: what they hold is never taken apart.
fn read_field(field: &str, variables: &mut Variables<'_>) -> Result<String, String> {
    let plain = unescape(field)?;
    Ok(variables.expand(&plain)?.into_owned())
}

fn unescape(field: &str) -> Result<Cow<'_, str>, String> {
    if !field.contains('\\') {
        return Ok(Cow::Borrowed(field));
    }
    let mut plain = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.next() } else { Some(character) };
        match (character, escaped) {
            ('\\', Some(escaped @ ('\\' | ':'))) => plain.push(escaped),
            ('\\', _) => {
                return Err(about(field, "has a backslash that is neither `\\:` nor `\\\\`"));
            }
            _ => plain.push(character),
        }
    }
    Ok(Cow::Owned(plain))
}

/// What the options of one mount have said so far.
#[derive(Default)]
struct Reading {
    set: MountFlags,
    cleared: MountFlags,
    /// `bind` (false) or `rbind` (true).
    bind: Option<bool>,
    size: Option<Option<Bytes>>,
    mode: Option<u16>,
}

impl Reading {
    fn option(&mut self, option: &str) -> Result<(), String> {
        match option {
            "ro" => self.flag(option, MountFlags::READ_ONLY, true),
            "rw" => self.flag(option, MountFlags::READ_ONLY, false),
            "nosuid" => self.flag(option, MountFlags::NO_SUID, true),
            "suid" => self.flag(option, MountFlags::NO_SUID, false),
            "nodev" => self.flag(option, MountFlags::NO_DEV, true),
            "dev" => self.flag(option, MountFlags::NO_DEV, false),
            "noexec" => self.flag(option, MountFlags::NO_EXEC, true),
            "exec" => self.flag(option, MountFlags::NO_EXEC, false),
            "bind" => once(&mut self.bind, option, false),
            "rbind" => once(&mut self.bind, option, true),
            _ => match option.split_once('=') {
                Some(("size", size)) => {
                    let size = tmpfs_size(size).map_err(|reason| about(option, reason))?;
                    once(&mut self.size, option, size)
                }
                Some(("mode", mode)) => {
                    let mode = text::mode(mode).map_err(|reason| about(option, reason))?;
                    once(&mut self.mode, option, mode)
                }
                Some((name, _)) if listed(TMPFS_NOT_YET, name) => Err(not_yet("option", option)),
                None if listed(OPTIONS_NOT_YET, option) => Err(not_yet("option", option)),
                _ => Err(about(option, "is not a mount option")),
            },
        }
    }

    fn flag(&mut self, option: &str, flag: MountFlags, set: bool) -> Result<(), String> {
        if (self.set | self.cleared).contains(flag) {
            return Err(twice(option));
        }
        if set { &mut self.set } else { &mut self.cleared }.insert(flag);
        Ok(())
    }

    fn filesystem(&self, kind: &str) -> Result<Filesystem, String> {
        if kind != "tmpfs" && (self.size.is_some() || self.mode.is_some()) {
            return Err(format!("size= and mode= are for a tmpfs, not for {}", Shown(kind)));
        }
        match (kind, self.bind) {
            ("bind" | "none", Some(recursive)) => Ok(Filesystem::Bind { recursive }),
            ("bind", None) => Ok(Filesystem::Bind { recursive: false }),
            ("rbind", None | Some(true)) => Ok(Filesystem::Bind { recursive: true }),
            ("rbind", Some(false)) => Err(String::from("type rbind and option bind contradict each other")),
            ("tmpfs" | "dev", Some(_)) => Err(format!("a bind mount has the type bind, not {}", Shown(kind))),
            ("tmpfs", None) => Ok(Filesystem::Tmpfs(TmpfsOptions {
                size: self.size.flatten(),
                mode: self.mode.unwrap_or(TmpfsOptions::MODE),
                ..TmpfsOptions::default()
            })),
            ("dev", None) => Ok(Filesystem::Dev),
            _ if listed(TYPES_NOT_YET, kind) => Err(not_yet("file system", kind)),
            _ => Err(about(kind, "is not a file system: bind, rbind, tmpfs, dev")),
        }
    }
}

/// The value of `size=`: as Linux's tmpfs takes it, with suffixes in either case, 0 for no bound of its own.
fn tmpfs_size(size: &str) -> Result<Option<Bytes>, text::Reason> {
    if size.ends_with('%') {
        return Err("is known, but this kernel does not enforce a share of memory yet");
    }
    let upper = size.to_ascii_uppercase();
    if upper == "MAX" { Err("is not a size") } else { text::size_limit(&upper) }
}

fn once<T>(slot: &mut Option<T>, option: &str, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(option)),
    }
}

fn listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

fn twice(option: &str) -> String {
    about(option, "says again, or otherwise, what another option says")
}

fn not_yet(what: &str, name: &str) -> String {
    format!("the {what} {} is known, but this kernel does not enforce it yet", Shown(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Mount, String> {
        super::parse(value, &mut Variables::new(&[("COLON", "a:b\\"), ("OPTIONS", "ro,nosuid")]))
    }

    fn tmpfs(size: Option<Bytes>, mode: u16) -> Filesystem {
        Filesystem::Tmpfs(TmpfsOptions { size, mode, ..TmpfsOptions::default() })
    }

    #[test]
    fn the_forms_of_a_bind_mount() {
        for (value, recursive) in [
            ("/d:bind:/s", false),
            ("/d:rbind:/s", true),
            ("/d:bind:/s:rbind", true),
            ("/d:bind:/s:bind", false),
            ("/d:none:/s:rbind", true),
            ("/d:rbind:/s:rbind", true),
        ] {
            let mount = parse(value).unwrap();
            assert_eq!(mount.filesystem, Filesystem::Bind { recursive }, "{value}");
            assert_eq!((mount.destination.as_str(), mount.source.as_str()), ("/d", "/s"));
        }
    }

    #[test]
    fn options_set_and_clear_flags() {
        let mount = parse("/d:bind:/s:ro, suid ,nodev,exec").unwrap();
        assert_eq!(mount.set, MountFlags::READ_ONLY | MountFlags::NO_DEV);
        assert_eq!(mount.cleared, MountFlags::NO_SUID | MountFlags::NO_EXEC);
        let mount = parse("/d:tmpfs:tmpfs:rw,noexec,size=64m,mode=755").unwrap();
        assert_eq!((mount.set, mount.cleared), (MountFlags::NO_EXEC, MountFlags::empty()));
        assert_eq!(mount.filesystem, tmpfs(Some(Bytes(64 << 20)), 0o755));
        let mount = parse("/d:tmpfs:t:size=0").unwrap();
        assert_eq!(mount.filesystem, tmpfs(None, 0o1777));
        assert_eq!(parse("/dev:dev:dev:${OPTIONS}").unwrap().set, MountFlags::READ_ONLY | MountFlags::NO_SUID);
    }

    #[test]
    fn a_colon_is_escaped_and_one_in_a_variable_does_not_divide() {
        let mount = parse(r"/a\:b\\:bind:${COLON}").unwrap();
        assert_eq!((mount.destination.as_str(), mount.source.as_str()), (r"/a:b\", r"a:b\"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for value in [
            "",
            "/d",
            "/d:tmpfs",
            "/d:tmpfs:",
            ":tmpfs:t",
            "d:tmpfs:t",
            "/:tmpfs:t",
            "/d/..:tmpfs:t",
            "/d:tmpfs:t:ro:rw",
            "/d:tmpfs:t:",
            "/d:tmpfs:t:ro,",
            "/d:tmpfs:t:ro,ro",
            "/d:tmpfs:t:ro,rw",
            "/d:tmpfs:t:bogus",
            "/d:tmpfs:t:size=",
            "/d:tmpfs:t:size=max",
            "/d:tmpfs:t:size=x",
            "/d:tmpfs:t:size=-1",
            "/d:tmpfs:t:mode=9",
            "/d:tmpfs:t:size=1,size=2",
            "/d:tmpfs:t:bind",
            "/d:dev:t:mode=755",
            "/d:bind:s:size=1",
            "/d:rbind:s:bind",
            "/d:bind:s:bind,rbind",
            "/d:none:s",
            "/d:floppy:s",
            r"/d\x:tmpfs:t",
            r"/d:tmpfs:t\",
            "/d:tmpfs:t:ro\\",
            "/d:tmpfs:t:size",
            "/d::t",
        ] {
            assert!(parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn known_but_not_enforced_sounds_different_from_unknown() {
        for value in ["/proc:proc:proc", "/d:tmpfs:t:noatime", "/d:tmpfs:t:uid=1", "/d:tmpfs:t:size=50%"] {
            assert!(parse(value).unwrap_err().contains("does not enforce"), "{value}");
        }
        assert!(!parse("/d:floppy:s").unwrap_err().contains("enforce"));
        assert!(!parse("/d:tmpfs:t:bogus").unwrap_err().contains("enforce"));
    }
}
