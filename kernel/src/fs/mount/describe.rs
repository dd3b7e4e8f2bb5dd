//! What /proc/PID/mounts and /proc/PID/mountinfo say (proc_pid_mountinfo(5)), in the form that Linux gives it.

use super::{Mount, MountFlags, SuperFlags, propagation::Propagation};
use crate::fs::{Context, Dentry, DeviceNumber, Location};
use alloc::{sync::Arc, vec::Vec};
use core::fmt::{self, Write};

impl Context {
    /// /proc/PID/mounts: the mounts beneath the process's root, as fstab(5) has them.
    pub fn mounts_text(&self) -> Vec<u8> {
        self.each_mount(|text, mount, mountpoint| {
            let superblock = mount.superblock();
            let readonly = mount.flags().contains(MountFlags::RDONLY) || superblock.is_read_only();
            text.escaped(mount.source());
            text.plain(" ");
            text.escaped(mountpoint);
            write!(text, " {} {}", superblock.kind(), access(readonly))?;
            super_flags(text, superblock.flags())?;
            mount_flags(text, mount.flags())?;
            text.options(&superblock.options());
            text.plain(" 0 0\n");
            Ok(())
        })
    }

    /// /proc/PID/mountinfo.
    pub fn mountinfo_text(&self) -> Vec<u8> {
        self.each_mount(|text, mount, mountpoint| {
            let superblock = mount.superblock();
            let device = DeviceNumber::from_bits(superblock.device());
            let parent = mount.place().map_or(mount.id(), |place| place.mount.id());
            write!(text, "{} {} {}:{} ", mount.id(), parent, device.major, device.minor)?;
            text.escaped(&path_in_file_system(mount.root()));
            text.plain(" ");
            text.escaped(mountpoint);
            write!(text, " {}", access(mount.flags().contains(MountFlags::RDONLY)))?;
            mount_flags(text, mount.flags())?;
            self.sharing(text, mount)?;
            write!(text, " - {} ", superblock.kind())?;
            text.escaped(mount.source());
            write!(text, " {}", access(superblock.is_read_only()))?;
            super_flags(text, superblock.flags())?;
            text.options(&superblock.options());
            text.plain("\n");
            Ok(())
        })
    }

    /// Text made of each mount beneath the process's root, with its mount point as the process sees it.
    fn each_mount(&self, describe: impl Fn(&mut Text, &Arc<Mount>, &[u8]) -> fmt::Result) -> Vec<u8> {
        let mut text = Text(Vec::new());
        let mut mounts = self.namespace.list();
        mounts.sort_by_key(|mount| mount.id());
        for mount in mounts {
            if let Ok(mountpoint) = self.path_of(&Location::root_of(&mount))
                && !mountpoint.starts_with(b"(")
            {
                describe(&mut text, &mount, &mountpoint).expect("memory takes what is written");
            }
        }
        text.0
    }

    /// The optional fields: how mounts travel to it and from it.
    fn sharing(&self, text: &mut Text, mount: &Mount) -> fmt::Result {
        let propagation = mount.propagation();
        if let Propagation::Shared(group) = &propagation {
            write!(text, " shared:{}", group.id())?;
        }
        let masters: Vec<_> = propagation.masters().into_iter().filter(|group| !group.members().is_empty()).collect();
        if let Some(master) = masters.first() {
            write!(text, " master:{}", master.id())?;
            let seen =
                |mount: &Arc<Mount>| self.namespace.has(mount) && Location::root_of(mount).is_beneath(&self.root);
            let dominating = masters.iter().find(|group| group.members().iter().any(seen));
            if let Some(dominating) = dominating.filter(|dominating| dominating.id() != master.id()) {
                write!(text, " propagate_from:{}", dominating.id())?;
            }
        }
        if matches!(propagation, Propagation::Unbindable) {
            text.plain(" unbindable");
        }
        Ok(())
    }
}

impl Mount {
    fn source(&self) -> &[u8] {
        if self.source.is_empty() { b"none" } else { &self.source }
    }
}

/// The path of `dentry` from the root of its file system.
fn path_in_file_system(dentry: &Arc<Dentry>) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = dentry.clone();
    while let Some(place) = at.place() {
        let Some(parent) = place.parent.get() else { break };
        names.push(place.name);
        at = parent;
    }
    let mut path: Vec<u8> = names.iter().rev().flat_map(|name| [b"/", &name[..]].concat()).collect();
    if path.is_empty() {
        path.push(b'/');
    }
    if !dentry.is_linked() {
        path.extend_from_slice(b"//deleted");
    }
    path
}

struct Text(Vec<u8>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.plain(text);
        Ok(())
    }
}

impl Text {
    fn plain(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Bytes that would end a field are written in octal.
    fn escaped(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if b" \t\n\\#".contains(&byte) {
                self.0.extend([b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
            } else {
                self.0.push(byte);
            }
        }
    }

    fn options(&mut self, options: &str) {
        if !options.is_empty() {
            self.plain(",");
            self.escaped(options.as_bytes());
        }
    }
}

fn access(readonly: bool) -> &'static str {
    if readonly { "ro" } else { "rw" }
}

fn super_flags(text: &mut Text, flags: SuperFlags) -> fmt::Result {
    let names = [
        (SuperFlags::SYNCHRONOUS, ",sync"),
        (SuperFlags::DIRSYNC, ",dirsync"),
        (SuperFlags::MANDLOCK, ",mand"),
        (SuperFlags::LAZYTIME, ",lazytime"),
    ];
    names.iter().filter(|(flag, _)| flags.contains(*flag)).try_for_each(|(_, name)| text.write_str(name))
}

fn mount_flags(text: &mut Text, flags: MountFlags) -> fmt::Result {
    let relative = !flags.intersects(MountFlags::TIMES);
    let names = [
        (flags.contains(MountFlags::NOSUID), ",nosuid"),
        (flags.contains(MountFlags::NODEV), ",nodev"),
        (flags.contains(MountFlags::NOEXEC), ",noexec"),
        (flags.contains(MountFlags::NOATIME), ",noatime"),
        (flags.contains(MountFlags::NODIRATIME), ",nodiratime"),
        (relative, ",relatime"),
        (flags.contains(MountFlags::NOSYMFOLLOW), ",nosymfollow"),
    ];
    names.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| text.write_str(name))
}
