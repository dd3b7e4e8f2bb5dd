//! Mounts as their lines have them.

use core::fmt::{self, Arguments, Write};

use crate::config::model::{DevptsOptions, Filesystem, Mount, MountFlags, OverlayUpper, TmpfsOptions};
use crate::config::syntax::options::FLAGS;
use crate::config::syntax::{Escaped, EscapingWriter, Field, Joined, LiteralWriter};

/// The type of a mount as it is printed.
pub(super) const fn kind_name(filesystem: &Filesystem) -> &'static str {
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

/// What the table of what is enforced has for the type of a mount; a remount has none.
const fn type_word(filesystem: &Filesystem) -> Option<&'static str> {
    Some(match filesystem {
        Filesystem::Remount { .. } => return None,
        Filesystem::Bind { recursive: false } => "type bind",
        Filesystem::Bind { recursive: true } => "type rbind",
        Filesystem::Tmpfs(_) => "type tmpfs",
        Filesystem::Dev => "type dev",
        Filesystem::Proc => "type proc",
        Filesystem::Sysfs => "type sysfs",
        Filesystem::Devpts(_) => "type devpts",
        Filesystem::Mqueue => "type mqueue",
        Filesystem::Cgroup2 => "type cgroup2",
        Filesystem::Overlay(_) => "type overlay",
    })
}

/// Visits what a mount is made of, in the words of the table of what is enforced: `type TYPE`, then each of its options
/// up to their `=`, with its type before one that belongs to that.
pub(in crate::config) fn words<E>(
    mount: &Mount,
    visit: &mut impl FnMut(&'static str) -> Result<(), E>,
) -> Result<(), E> {
    type_word(&mount.filesystem).map_or(Ok(()), &mut *visit)?;
    options(mount, &mut |word, _| visit(word))
}

/// A word as a mount has it: without its type.
pub(in crate::config) fn without_type(word: &'static str) -> &'static str {
    word.split_once(' ').map_or(word, |(_, option)| option)
}

/// Visits the options of a mount in the order in which they are printed: the word, as [`words`] has it, and what comes
/// after its `=`.
fn options<E>(mount: &Mount, visit: &mut impl FnMut(&'static str, Arguments<'_>) -> Result<(), E>) -> Result<(), E> {
    let trees = [(mount.set, mount.cleared, false), (mount.recursive_set, mount.recursive_cleared, true)];
    for (set, cleared, recursive) in trees.into_iter().filter(|(set, cleared, _)| !(*set | *cleared).is_empty()) {
        flags(set, cleared, recursive, &mut |word| visit(word, format_args!("")))?;
    }
    if let Some(propagation) = mount.propagation {
        visit(propagation.name(), format_args!(""))?;
    }
    match &mount.filesystem {
        Filesystem::Remount { .. } => visit("remount", format_args!("")),
        Filesystem::Tmpfs(tmpfs) => tmpfs_options(tmpfs, visit),
        Filesystem::Devpts(devpts) => devpts_options(devpts, visit),
        Filesystem::Overlay(overlay) => {
            let path = |path| Escaped(path, &[':', ',']);
            visit("overlay lowerdir=", format_args!("{}", Joined(overlay.lower.iter().map(|lower| path(lower)), ":")))?;
            if let Some(OverlayUpper { directory, work }) = &overlay.upper {
                visit("overlay upperdir=", format_args!("{}", path(directory)))?;
                visit("overlay workdir=", format_args!("{}", path(work)))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn flags<E>(
    set: MountFlags,
    cleared: MountFlags,
    recursive: bool,
    visit: &mut impl FnMut(&'static str) -> Result<(), E>,
) -> Result<(), E> {
    for option in &FLAGS {
        let words = if recursive { option.recursive.unwrap_or_default() } else { (option.set, option.cleared) };
        if set.contains(option.flag) {
            visit(words.0)?;
        } else if cleared.contains(option.flag) {
            visit(words.1)?;
        }
    }
    Ok(())
}

fn tmpfs_options<E>(
    tmpfs: &TmpfsOptions,
    visit: &mut impl FnMut(&'static str, Arguments<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let TmpfsOptions { size, inodes, mode, uid, gid, copy_up } = *tmpfs;
    let mut given = |is_given, word, value: Arguments<'_>| if is_given { visit(word, value) } else { Ok(()) };
    given(copy_up, "tmpfs tmpcopyup", format_args!(""))?;
    given(gid != 0, "tmpfs gid=", format_args!("{gid}"))?;
    given(mode != TmpfsOptions::MODE, "tmpfs mode=", format_args!("{mode:o}"))?;
    given(inodes.is_some(), "tmpfs nr_inodes=", format_args!("{}", inodes.unwrap_or_default()))?;
    given(size.is_some(), "tmpfs size=", format_args!("{}", size.unwrap_or_default()))?;
    given(uid != 0, "tmpfs uid=", format_args!("{uid}"))
}

fn devpts_options<E>(
    devpts: &DevptsOptions,
    visit: &mut impl FnMut(&'static str, Arguments<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let DevptsOptions { ptmx_mode, mode, uid, gid, max } = *devpts;
    let mut given = |is_given, word, value: Arguments<'_>| if is_given { visit(word, value) } else { Ok(()) };
    given(gid.is_some(), "devpts gid=", format_args!("{}", gid.unwrap_or_default()))?;
    given(max.is_some(), "devpts max=", format_args!("{}", max.unwrap_or_default()))?;
    given(mode != DevptsOptions::MODE, "devpts mode=", format_args!("{mode:o}"))?;
    given(ptmx_mode != DevptsOptions::PTMX_MODE, "devpts ptmxmode=", format_args!("{ptmx_mode:o}"))?;
    given(uid.is_some(), "devpts uid=", format_args!("{}", uid.unwrap_or_default()))
}

/// Prints a mount as the value of its line.
pub(in crate::config) struct Printed<'a>(pub(in crate::config) &'a Mount);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mount = self.0;
        let kind = kind_name(&mount.filesystem);
        write!(f, "{}:{kind}:{}", Field(&mount.destination), Field(&mount.source))?;
        let mut separator = ":";
        let mut literal = LiteralWriter::new(f);
        options(mount, &mut |word, value| {
            literal.write_str(separator)?;
            separator = ",";
            let mut field = EscapingWriter::new(&mut literal, &[':']);
            field.write_str(without_type(word))?;
            field.write_fmt(value)
        })
    }
}
