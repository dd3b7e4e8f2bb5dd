//! The mounts of the configuration, one after the other onto the container's root.

use super::{Kernel, root::View};
use crate::{
    fs::{
        self, Location, MountRequest, MountSource, OverlayLayers, OverlayUpper, Reflag, Sharing, SuperFlags,
        TmpfsOptions,
    },
    task::Thread,
};
use alloc::{format, string::String};
use veridian_containers::{
    abi::Errno,
    config::{self, DevptsOptions, Filesystem, Mount, OverlayOptions, Propagation},
    engine::{Error, House},
};
use veridian_hal::PAGE_SIZE;

/// Adds one mount.
pub fn add(caller: &Thread, house: House<'_, Kernel>, bundle: &Location, mount: &Mount) -> Result<(), Error> {
    let root = house.root.ok_or(Errno::EINVAL)?;
    let view = View::of(caller);
    let source = match &mount.filesystem {
        Filesystem::Bind { recursive } => MountSource::Bind {
            source: view.open(bundle, &mount.source).map_err(|error| error.operand(mount.source.clone()))?,
            recursive: *recursive,
        },
        Filesystem::Remount { bind } => MountSource::Remount { bind: *bind },
        Filesystem::Tmpfs(tmpfs) => {
            let options = tmpfs_options(tmpfs);
            if mount.destination.trim_end_matches('/') == "/dev" {
                MountSource::TmpfsWithDevices(options)
            } else {
                MountSource::Tmpfs(options)
            }
        }
        Filesystem::Dev => MountSource::Dev,
        Filesystem::Devpts(devpts) => MountSource::Other { kind: "devpts", data: devpts_options(devpts) },
        Filesystem::Proc => {
            let owner = root.with_mounts(|mounts| mounts.context()).namespace.owner().clone();
            let (processes, instance) = (&house.namespaces.set.pid_for_children, fs::proc::Options::default());
            fs::types::permit_proc(processes, &view.caller())?;
            MountSource::Tree(fs::proc::tree(processes, instance, &owner))
        }
        Filesystem::Cgroup2 => MountSource::Tree(fs::cgroup::tree_of(&house.namespaces.set.cgroup)),
        Filesystem::Sysfs => {
            MountSource::Tree(fs::sysfs::tree(root.with_mounts(|mounts| mounts.context()).namespace.owner()))
        }
        Filesystem::Overlay(overlay) => MountSource::Overlay(layers(&view, bundle, overlay)?),
        Filesystem::Mqueue => MountSource::Tree(fs::mqueue::tree(&house.namespaces.set.ipc)),
    };
    let request = MountRequest {
        destination: mount.destination.as_bytes(),
        source,
        name: mount.source.as_bytes(),
        flags: Reflag::of_bits(mount.set.bits(), mount.cleared.bits()),
        flags_beneath: Reflag::of_bits(mount.recursive_set.bits(), mount.recursive_cleared.bits()),
        superblock: SuperFlags::from_bits_truncate(mount.set.bits()),
        sharing: mount.propagation.map(|propagation| (sharing(propagation.kind), propagation.recursive)),
    };
    root.with_mounts(|mounts| mounts.add(&view.caller(), request)).map_err(|errno| match (errno, &mount.filesystem) {
        (Errno::ELOOP, Filesystem::Proc | Filesystem::Sysfs) => {
            Error::new(errno).reason("the destination is a symbolic link, and must be a directory")
        }
        _ => Error::new(errno),
    })
}

fn tmpfs_options(tmpfs: &config::TmpfsOptions) -> TmpfsOptions {
    TmpfsOptions {
        pages_max: tmpfs.size.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX) / PAGE_SIZE),
        inodes_max: tmpfs.inodes.map(|inodes| usize::try_from(inodes).unwrap_or(usize::MAX)),
        mode: Some(tmpfs.mode),
        uid: Some(tmpfs.uid),
        gid: Some(tmpfs.gid),
    }
}

/// The layers of an overlay, each resolved once.
fn layers(view: &View, bundle: &Location, overlay: &OverlayOptions) -> Result<OverlayLayers, Error> {
    let open = |path: &String| view.open(bundle, path).map_err(|error| error.operand(path.clone()));
    let lowers = overlay.lower.iter().map(open).collect::<Result<_, _>>()?;
    let mut options = format!("lowerdir={}", overlay.lower.join(":"));
    let upper = match &overlay.upper {
        Some(upper) => {
            options = format!("{options},upperdir={},workdir={}", upper.directory, upper.work);
            Some(OverlayUpper { directory: open(&upper.directory)?, work: open(&upper.work)? })
        }
        None => None,
    };
    Ok(OverlayLayers { lowers, upper, user_xattr: false, options })
}

/// What the configuration's word means.
pub fn sharing(propagation: Propagation) -> Sharing {
    match propagation {
        Propagation::Private => Sharing::Private,
        Propagation::Shared => Sharing::Shared,
        Propagation::Slave => Sharing::Slave,
        Propagation::Unbindable => Sharing::Unbindable,
    }
}

/// The options as mount(2) takes them.
fn devpts_options(devpts: &DevptsOptions) -> String {
    let mut text = format!("ptmxmode={:o},mode={:o}", devpts.ptmx_mode & 0o777, devpts.mode & 0o777);
    let numbers = [("uid", devpts.uid), ("gid", devpts.gid), ("max", devpts.max)];
    for (name, value) in numbers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        text.push_str(&format!(",{name}={value}"));
    }
    text
}
