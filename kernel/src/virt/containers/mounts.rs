//! The mounts of the configuration, one after the other onto the container's root.

use super::root::{Root, View};
use crate::{
    fs::{Location, MountFlags, MountRequest, MountSource, TmpfsOptions},
    task::Thread,
};
use veridian_containers::{
    abi::Errno,
    config::{Filesystem, Mount},
    engine::Error,
};
use veridian_hal::PAGE_SIZE;

/// Adds one mount.
pub fn add(caller: &Thread, root: &Root, bundle: &Location, mount: &Mount) -> Result<(), Error> {
    let view = View::of(caller);
    let source = match mount.filesystem {
        Filesystem::Bind { recursive } => MountSource::Bind {
            source: view.open(bundle, &mount.source).map_err(|error| error.operand(mount.source.clone()))?,
            recursive,
        },
        Filesystem::Tmpfs(tmpfs) => MountSource::Tmpfs(TmpfsOptions {
            pages_max: tmpfs.size.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX) / PAGE_SIZE),
            mode: Some(tmpfs.mode),
            ..TmpfsOptions::default()
        }),
        Filesystem::Dev => MountSource::Dev,
        // The configuration refuses these: the kernel has no such file system.
        Filesystem::Remount { .. }
        | Filesystem::Proc
        | Filesystem::Sysfs
        | Filesystem::Devpts(_)
        | Filesystem::Mqueue
        | Filesystem::Cgroup2
        | Filesystem::Overlay(_) => return Err(Error::new(Errno::ENODEV)),
    };
    let request = MountRequest {
        destination: mount.destination.as_bytes(),
        source,
        set: MountFlags::from_bits_retain(mount.set.bits()),
        cleared: MountFlags::from_bits_retain(mount.cleared.bits()),
    };
    Ok(root.with_mounts(|mounts| mounts.add(&view.caller(), request))?)
}
