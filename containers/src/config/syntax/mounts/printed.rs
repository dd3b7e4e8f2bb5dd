//! Mounts as their lines have them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::DATA;
use crate::config::model::{DevptsOptions, Filesystem, Mount, MountFlags, OverlayUpper, TmpfsOptions};
use crate::config::syntax::options::FLAGS;
use crate::config::syntax::{Escaped, Field};

/// The type of a mount as it is printed.
pub(super) fn kind_name(filesystem: &Filesystem) -> &'static str {
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
