//! `mount`: `destination:type:source[:option,option]`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::options::{FLAGS, OTHER_OPTIONS, OTHER_TYPES, flag_word};
use super::{Escaped, Field, Fields, checked_field, read_field, split_unescaped, unescape};
use crate::config::error::{Shown, about};
use crate::config::model::{
    DevptsOptions, Filesystem, Mount, MountFlags, MountPropagation, OverlayOptions, OverlayUpper, TmpfsOptions,
};
use crate::config::support::not_yet;
use crate::config::variables::Variables;
use crate::text::{self, Bytes};

/// The most lower directories of an overlay.
pub(in crate::config) const LOWER_MAX: usize = 128;

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
        // Only where there were flags before is clearing one different from not setting it.
        let had_flags = matches!(filesystem, Filesystem::Bind { .. } | Filesystem::Remount { .. });
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
        if lower.is_empty() {
            return Err(String::from("an overlay needs lowerdir="));
        }
        if lower.len() > LOWER_MAX {
            return Err(format!("an overlay has at most {LOWER_MAX} lower directories"));
        }
        let upper = match (text("upperdir="), text("workdir=")) {
            (Some(upper), Some(work)) => Some(OverlayUpper { directory: directory(upper)?, work: directory(work)? }),
            (None, None) => None,
            _ => return Err(String::from("upperdir= and workdir= need each other")),
        };
        Ok(OverlayOptions { lower, upper })
    }
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

/// The type of a mount as it is printed.
fn kind_name(filesystem: &Filesystem) -> &'static str {
    match filesystem {
        Filesystem::Bind { recursive: false } | Filesystem::Remount { bind: true } => "bind",
        Filesystem::Bind { recursive: true } => "rbind",
        Filesystem::Remount { bind: false } => "none",
        Filesystem::Tmpfs(_) => "tmpfs",
        Filesystem::Dev => "dev",
        Filesystem::Proc => "proc",
        Filesystem::Sysfs => "sysfs",
        Filesystem::Devpts(_) => "devpts",
        Filesystem::Mqueue => "mqueue",
        Filesystem::Cgroup2 => "cgroup2",
        Filesystem::Overlay(_) => "overlay",
    }
}

/// What a mount is made of, for the table of what is enforced: its type, then each of its options, up to their `=`.
pub(in crate::config) fn words(mount: &Mount) -> (&'static str, Vec<String>) {
    let options = options(mount);
    let names = options.iter().map(|option| String::from(option.split_inclusive('=').next().unwrap_or("")));
    (kind_name(&mount.filesystem), names.collect())
}

/// Whether an option, up to its `=`, is a setting of this type of file system, and not of any mount.
pub(in crate::config) fn is_of_type(kind: &str, option: &str) -> bool {
    option == "tmpcopyup" || DATA.iter().any(|(of, names)| *of == kind && names.contains(&option))
}

/// The options of a mount, in the order in which they are printed.
fn options(mount: &Mount) -> Vec<String> {
    let mut options = Vec::new();
    let mut flags = |set: MountFlags, cleared: MountFlags, recursive: bool| {
        for option in &FLAGS {
            let (tree_set, tree_cleared) = option.recursive.unwrap_or_default();
            if set.contains(option.flag) {
                options.push(String::from(if recursive { tree_set } else { option.set }));
            } else if cleared.contains(option.flag) {
                options.push(String::from(if recursive { tree_cleared } else { option.cleared }));
            }
        }
    };
    flags(mount.set, mount.cleared, false);
    flags(mount.recursive_set, mount.recursive_cleared, true);
    options.extend(mount.propagation.map(|propagation| String::from(propagation.name())));
    match &mount.filesystem {
        Filesystem::Remount { .. } => options.push(String::from("remount")),
        Filesystem::Tmpfs(tmpfs) => tmpfs_options(tmpfs, &mut options),
        Filesystem::Devpts(devpts) => devpts_options(devpts, &mut options),
        Filesystem::Overlay(overlay) => {
            let path = |path| Escaped(path, &[':', ',']);
            let mut lower = String::from("lowerdir=");
            for (index, directory) in overlay.lower.iter().enumerate() {
                let separator = if index == 0 { "" } else { ":" };
                // Writing to a text does not fail.
                let _ = write!(lower, "{separator}{}", path(directory));
            }
            options.push(lower);
            if let Some(OverlayUpper { directory, work }) = &overlay.upper {
                options.extend([format!("upperdir={}", path(directory)), format!("workdir={}", path(work))]);
            }
        }
        _ => {}
    }
    options
}

fn tmpfs_options(tmpfs: &TmpfsOptions, options: &mut Vec<String>) {
    let TmpfsOptions { size, inodes, mode, uid, gid, copy_up } = *tmpfs;
    let given = |is_given: bool, text: fmt::Arguments<'_>| is_given.then(|| text.to_string());
    options.extend(copy_up.then(|| String::from("tmpcopyup")));
    options.extend(given(gid != 0, format_args!("gid={gid}")));
    options.extend(given(mode != TmpfsOptions::MODE, format_args!("mode={mode:o}")));
    options.extend(inodes.map(|inodes| format!("nr_inodes={inodes}")));
    options.extend(size.map(|size| format!("size={size}")));
    options.extend(given(uid != 0, format_args!("uid={uid}")));
}

fn devpts_options(devpts: &DevptsOptions, options: &mut Vec<String>) {
    let DevptsOptions { ptmx_mode, mode, uid, gid, max } = *devpts;
    options.extend(gid.map(|gid| format!("gid={gid}")));
    options.extend(max.map(|max| format!("max={max}")));
    options.extend((mode != DevptsOptions::MODE).then(|| format!("mode={mode:o}")));
    options.extend((ptmx_mode != DevptsOptions::PTMX_MODE).then(|| format!("ptmxmode={ptmx_mode:o}")));
    options.extend(uid.map(|uid| format!("uid={uid}")));
}

/// Prints a mount as the value of its line.
pub(in crate::config) struct Printed<'a>(pub(in crate::config) &'a Mount);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mount = self.0;
        let kind = kind_name(&mount.filesystem);
        write!(f, "{}:{kind}:{}", Field(&mount.destination), Field(&mount.source))?;
        let options = options(mount);
        if options.is_empty() { Ok(()) } else { write!(f, ":{}", Field(&options.join(","))) }
    }
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
        for value in ["/d:ext4:d", "/d:tmpfs:t:huge=always", "/d:bind:b:idmap", "/d:tmpfs:t:size=50%"] {
            assert!(parse(value).unwrap_err().contains("does not enforce"), "{value}");
        }
        assert!(!parse("/d:floppy:s").unwrap_err().contains("enforce"));
        assert!(!parse("/d:tmpfs:t:bogus").unwrap_err().contains("enforce"));
    }

    #[test]
    fn every_type_has_its_settings_and_no_others() {
        for (value, printed) in [
            ("/p:proc:proc:defaults", "/p:proc:proc"),
            ("/s:sysfs:sysfs:ro,relatime,async", "/s:sysfs:sysfs:relatime,ro"),
            ("/t:tmpfs:t:uid=1,gid=0,nr_inodes=1k,tmpcopyup,loud", "/t:tmpfs:t:tmpcopyup,nr_inodes=1024,uid=1"),
            ("/d:devpts:d:newinstance,ptmxmode=0666,mode=0620,gid=5", "/d:devpts:d:gid=5,mode=620,ptmxmode=666"),
            ("/d:devpts:d:max=7,uid=0", "/d:devpts:d:max=7,uid=0"),
            ("/q:mqueue:q", "/q:mqueue:q"),
            ("/c:cgroup:cgroup:ro", "/c:cgroup2:cgroup:ro"),
            (r"/o:overlay:o:lowerdir=/a\:b", r"/o:overlay:o:lowerdir=/a\:b"),
            (
                r"/o:overlay:o:workdir=w,lowerdir=/a\:b\\\:c\\,d,upperdir=u\\\\",
                r"/o:overlay:o:lowerdir=/a\:b\\\:c\\,d,upperdir=u\\\\,workdir=w",
            ),
            ("/b:bind:b:rro,ratime,rslave,rw", "/b:bind:b:rw,ratime,rro,rslave"),
            ("/b:none:b:remount,bind,ro", "/b:bind:b:ro,remount"),
            ("/b:tmpfs:b:remount,dev", "/b:none:b:dev,remount"),
        ] {
            let mount = parse(value).unwrap_or_else(|reason| panic!("{value}: {reason}"));
            assert_eq!(std::format!("{}", Printed(&mount)), printed);
            assert_eq!(parse(printed), Ok(mount));
        }
        for value in [
            "/p:proc:p:mode=1",
            "/d:devpts:d:size=1",
            "/d:devpts:d:newinstances",
            "/d:devpts:d:ptmxmode",
            "/d:dev:d:tmpcopyup",
            "/t:tmpfs:t:gid=x",
            "/o:overlay:o",
            "/o:overlay:o:lowerdir=",
            r"/o:overlay:o:lowerdir=/a\:",
            "/o:overlay:o:lowerdir=/a,upperdir=/u",
            "/o:overlay:o:lowerdir=/a,workdir=/w",
            "/b:bind:b:remount,size=1",
            "/b:bind:b:private,shared",
            "/b:bind:b:private,rprivate",
        ] {
            assert!(parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn of_contrary_options_of_config_json_the_last_counts() {
        let mount = |kind: &str, options: &[&str]| {
            from_parts("/d".into(), kind, "/s".into(), options.iter().copied())
                .map(|mount| std::format!("{}", Printed(&mount)))
        };
        assert_eq!(mount("bind", &["bind", "rprivate", "rbind", "ro", "rw"]).as_deref(), Ok("/d:rbind:/s:rw,rprivate"));
        assert_eq!(mount("rbind", &["rbind", "bind", "slave", "private"]).as_deref(), Ok("/d:rbind:/s:private"));
        assert_eq!(mount("proc", &["bind"]).as_deref(), Ok("/d:bind:/s"));
        assert_eq!(mount("tmpfs", &["size=1", "size=2"]).as_deref(), Ok("/d:tmpfs:/s:size=2"));
    }
}
