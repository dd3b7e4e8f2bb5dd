//! Mounts.

use super::place::{here, path};
use crate::{
    fs::{MountCall, NewMount, PATH_MAX, UmountFlags},
    task::Thread,
};
use alloc::vec::Vec;
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, UserAddr};

pub fn mount(
    thread: &Thread,
    source: UserAddr,
    target: UserAddr,
    kind: UserAddr,
    flags: u64,
    data: UserAddr,
) -> Result<usize, Errno> {
    let call = MountCall::from_flags(flags)?;
    let target = path(thread, target)?;
    let source = match call {
        MountCall::Bind { .. } | MountCall::Move => path(thread, source)?,
        // Nothing is looked up by it, but it must be a string.
        _ => text(thread, source, PATH_MAX - 1)?,
    };
    let kind = if let MountCall::New { .. } = call { text(thread, kind, PATH_MAX - 1)? } else { Vec::new() };
    let data = match call {
        MountCall::New { .. } | MountCall::Remount { superblock: Some(_), .. } => text(thread, data, PAGE_SIZE - 1)?,
        _ => Vec::new(),
    };
    here(thread, |caller, base| {
        let target = caller.resolve(base, &target, true)?;
        match call {
            MountCall::New { flags, superblock } => {
                caller.mount(target, &NewMount { kind: &kind, source: &source, data: &data, flags, superblock })
            }
            MountCall::Bind { recursive, flags } => {
                let source = caller.resolve(base, &source, true)?;
                caller.bind(&source, target, recursive, flags)
            }
            MountCall::Remount { flags, superblock } => caller.remount(&target, flags, superblock, &data),
            MountCall::Move => caller.move_mount(&caller.resolve(base, &source, true)?, target),
            MountCall::Share { sharing, recursive } => caller.share(&target, sharing, recursive),
        }
    })?;
    Ok(0)
}

/// A string, or nothing for a null pointer.
fn text(thread: &Thread, at: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
    if at == UserAddr(0) { Ok(Vec::new()) } else { thread.space().read_c_string(at, max) }
}

pub fn umount2(thread: &Thread, target: UserAddr, flags: u32) -> Result<usize, Errno> {
    let flags = UmountFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let target = path(thread, target)?;
    here(thread, |caller, base| {
        let target = caller.resolve(base, &target, !flags.contains(UmountFlags::NOFOLLOW))?;
        caller.umount(target, flags)
    })?;
    Ok(0)
}

/// pivot_root(2). Every process of the mount namespace whose root or working directory is the old root is moved along.
pub fn pivot_root(thread: &Thread, new_root: UserAddr, put_old: UserAddr) -> Result<usize, Errno> {
    let (new_root, put_old) = (path(thread, new_root)?, path(thread, put_old)?);
    let (old, context) = here(thread, |caller, base| {
        let new_root = caller.resolve(base, &new_root, true)?;
        let put_old = caller.resolve(base, &put_old, true)?;
        Ok((caller.context.clone(), caller.pivot_root(new_root, put_old)?))
    })?;
    let new_root = context.root.clone();
    super::directory::set_context(thread, context);
    // Every process has a number in the first pid namespace.
    for other in crate::boot::pid_namespace().threads() {
        other.try_with_fs(|fs| {
            if alloc::sync::Arc::ptr_eq(&fs.namespace, &old.namespace) {
                fs.follow_pivot(&old.root, &new_root);
            }
        });
    }
    Ok(0)
}
