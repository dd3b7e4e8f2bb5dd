//! The types of file systems, by name (filesystems(5)).

use super::{
    Caller, Dentry, OverlayLayers, cgroup, devfs, devpts, mount::TmpfsOptions, mqueue, overlay, proc, sysfs, tmpfs,
};
use crate::{namespace::PidNamespace, security::Capabilities};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

/// A type of file system.
pub struct FileSystemType {
    /// Its name for mount(2).
    pub name: &'static str,
    /// Whether who is root only in a user namespace of their own may mount it (FS_USERNS_MOUNT).
    pub for_user_namespaces: bool,
    /// A new file system, by the options of mount(2) as text, mounted nowhere yet.
    make: fn(&[u8], &Caller<'_>) -> Result<Arc<Dentry>, Errno>,
}

/// Every type, in the order of `/proc/filesystems`.
pub const TYPES: &[FileSystemType] = &[
    FileSystemType { name: "tmpfs", for_user_namespaces: true, make: tmpfs },
    FileSystemType { name: "dev", for_user_namespaces: false, make: dev },
    FileSystemType { name: "devpts", for_user_namespaces: true, make: devpts::tree },
    FileSystemType { name: "mqueue", for_user_namespaces: true, make: mqueue::mounted },
    FileSystemType { name: "proc", for_user_namespaces: true, make: proc },
    FileSystemType { name: "sysfs", for_user_namespaces: false, make: sysfs },
    FileSystemType { name: "overlay", for_user_namespaces: false, make: overlay },
    FileSystemType { name: "cgroup2", for_user_namespaces: true, make: cgroup::tree },
];

/// A new file system of type `kind` with the options `data`, mounted nowhere yet. ENODEV for a type that there is not,
/// EPERM for one that is the machine's alone, EINVAL for options that it does not know.
pub(super) fn tree(kind: &[u8], data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let known = TYPES.iter().find(|known| known.name.as_bytes() == kind).ok_or(Errno::ENODEV)?;
    permit(known.name, caller)?;
    (known.make)(data, caller)
}

/// EPERM for a type that is the machine's alone, unless `caller` is of the machine's user namespace.
pub(super) fn permit(kind: &str, caller: &Caller<'_>) -> Result<(), Errno> {
    let is_for_all = TYPES.iter().any(|known| known.name == kind && known.for_user_namespaces);
    if is_for_all || caller.credentials.user_namespace.is_first() { Ok(()) } else { Err(Errno::EPERM) }
}

/// The same of a file system that is there already, and shows what belongs to a namespace: EPERM, too, without
/// CAP_SYS_ADMIN over that.
pub(super) fn permit_tree(root: &Arc<Dentry>, caller: &Caller<'_>) -> Result<(), Errno> {
    let superblock = root.inode().superblock();
    permit(superblock.kind(), caller)?;
    let may = caller.credentials.capable_in(superblock.owner(), Capabilities::SYS_ADMIN);
    if may { Ok(()) } else { Err(Errno::EPERM) }
}

fn tmpfs(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let options = TmpfsOptions::parse(data)?.for_mounter(caller.credentials)?;
    tmpfs::tree(&options, &caller.credentials.user_namespace, caller.memory)
}

fn overlay(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    overlay::tree(&OverlayLayers::parse(caller, data)?, caller)
}

fn dev(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let options = TmpfsOptions::parse(data)?.for_mounter(caller.credentials)?;
    if options.limits_nothing() { devfs::tree("dev", &options, caller.memory) } else { Err(Errno::EINVAL) }
}

/// EPERM unless `caller` may have the processes of `namespace` shown: with CAP_SYS_ADMIN over it, and, without rights over
/// the machine, where nothing is hidden of such a file system already.
pub fn permit_proc(namespace: &PidNamespace, caller: &Caller<'_>) -> Result<(), Errno> {
    let mounts = &caller.context.namespace;
    let hides = !mounts.owner().is_first() && !mounts.shows_whole("proc");
    let may = !hides && caller.credentials.capable_in(namespace.owner(), Capabilities::SYS_ADMIN);
    if may { Ok(()) } else { Err(Errno::EPERM) }
}

/// Of the caller's own pid namespace.
fn proc(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let namespace = caller.thread.ok_or(Errno::EPERM)?.pid().namespace();
    permit_proc(namespace, caller)?;
    let options = proc::Options::parse(data, caller.credentials)?;
    Ok(proc::tree(namespace, options, &caller.credentials.user_namespace))
}

fn sysfs(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    if data.is_empty() { Ok(sysfs::tree(&caller.credentials.user_namespace)) } else { Err(Errno::EINVAL) }
}
