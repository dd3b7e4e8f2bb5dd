//! The `dev` file system: a tmpfs that begins with the devices a program expects in `/dev`.

use super::{
    Dentry, DeviceNumber, FileType,
    change::insert_new,
    dentry::Entries,
    inode::{Attributes, Content},
    mount::TmpfsOptions,
    tmpfs,
};
use crate::{cgroup::MemoryGroup, device, namespace::UserNamespace};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::sync::RwLock;

/// What statfs(2) tells: Linux's devtmpfs is a tmpfs to it too.
const MAGIC: u64 = 0x0102_1994;

const NODES: [(&[u8], DeviceNumber, u16); 7] = [
    (b"null", device::NULL, 0o666),
    (b"zero", device::ZERO, 0o666),
    (b"full", device::FULL, 0o666),
    (b"random", device::RANDOM, 0o666),
    (b"urandom", device::URANDOM, 0o666),
    (b"tty", device::TTY, 0o666),
    (b"console", device::CONSOLE, 0o620),
];

/// Links that programs expect, with what they lead to (runtime-spec, "Dev symbolic links").
const LINKS: [(&[u8], &[u8]); 5] = [
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
    (b"ptmx", b"pts/ptmx"),
];

/// The root of a new file system `kind` (`dev`, or `tmpfs` where it has to look like one). It is the machine's whoever mounts
/// it: its devices work in a user namespace too.
pub(super) fn tree(kind: &'static str, options: &TmpfsOptions, memory: &MemoryGroup) -> Result<Arc<Dentry>, Errno> {
    let options = TmpfsOptions { mode: Some(options.mode.unwrap_or(0o755)), ..*options };
    let root = tmpfs::tree_of(kind, MAGIC, &options, UserNamespace::first(), memory)?;
    populate(&root, memory)?;
    Ok(root)
}

fn populate(root: &Arc<Dentry>, memory: &MemoryGroup) -> Result<(), Errno> {
    for (name, number, mode) in NODES {
        let content = Content::Device(FileType::CharacterDevice, number);
        insert_new(root, name, Attributes::new(mode, 0, 0), content, memory)?;
    }
    // A place for shared memory and for pseudo-terminals' mounts, as container runtimes make them.
    for name in [&b"shm"[..], b"pts"] {
        let content = Content::Directory(RwLock::new(Entries::new()));
        let mode = if name == b"shm" { 0o1777 } else { 0o755 };
        insert_new(root, name, Attributes::new(mode, 0, 0), content, memory)?;
    }
    for (name, target) in LINKS {
        insert_new(root, name, Attributes::new(0o777, 0, 0), Content::Symlink(target.into()), memory)?;
    }
    Ok(())
}
