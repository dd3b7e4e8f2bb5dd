//! cgroup2: the tree of control groups as a file system (cgroup v2, "Interface Files"). A directory is a group, its
//! files are the group's limits and counters; mkdir(2) makes a group, rmdir(2) removes one.
//!
//! A mount shows the hierarchy from the root of the mounter's cgroup namespace down, and nothing else. Who may change
//! what, beyond the files' modes (a group can be given to a user, who then may make groups below it):
//! - A process in a container changes nothing, unless it has a cgroup namespace within its container.
//! - The limits of a namespace's root group are for those outside of it (as with Linux's `nsdelegate`).
//! - A process is moved only by who may write `cgroup.procs` of the common ancestor of both groups, and only within
//!   the mover's cgroup namespace.

mod files;

use super::{
    Caller, Dentry, File, FileType,
    synthetic::{self, Changes, Directory, Entry, Listed, Node, Opener, Ownership, Text},
};
use crate::{cgroup::Cgroup, fs::Access, namespace::CgroupNamespace, security::Capabilities, task::Thread};
use alloc::{sync::Arc, vec::Vec};
use files::{FILES, Row};
use veridian_containers::abi::Errno;

/// CGROUP2_SUPER_MAGIC of statfs(2).
const MAGIC: u64 = 0x6367_7270;

/// mount(2) of type `cgroup2`: the hierarchy as the caller's cgroup namespace shows it. EPERM unless CAP_SYS_ADMIN counts
/// there. The options that change nothing here are taken: borders of namespaces are kept always, and memory of files is
/// counted with who made it.
pub(super) fn tree(data: &[u8], caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let known = |option: &[u8]| matches!(option, b"" | b"nsdelegate" | b"favordynmods" | b"nofavordynmods");
    if !data.split(|&byte| byte == b',').all(known) {
        return Err(Errno::EINVAL);
    }
    let namespace = caller.thread.ok_or(Errno::EPERM)?.namespaces().cgroup;
    if !caller.credentials.capable_in(namespace.owner(), Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    Ok(tree_of(&namespace))
}

/// The hierarchy as `namespace` shows it.
pub fn tree_of(namespace: &CgroupNamespace) -> Arc<Dentry> {
    synthetic::tree("cgroup2", MAGIC, namespace.owner(), Arc::new(GroupDirectory { group: namespace.root().clone() }))
}

/// The group that an open directory of the file system is, where `caller` is to make a child (CLONE_INTO_CGROUP of
/// clone3(2)). EBADF for another file, ENODEV if the group was removed, and the errors of moving a process there.
pub fn group_for_child(file: &File, caller: &Arc<Thread>) -> Result<Arc<Cgroup>, Errno> {
    let Some(Node::Directory(directory)) = file.inode().node() else { return Err(Errno::EBADF) };
    let any: &dyn core::any::Any = &**directory;
    let group = any.downcast_ref::<GroupDirectory>().map(|directory| directory.group.clone()).ok_or(Errno::EBADF)?;
    if group.is_removed() {
        return Err(Errno::ENODEV);
    }
    let credentials = caller.credentials();
    files::permit_procs(&group, &credentials)?;
    files::permit_move(caller, &caller.cgroup(), &group, &credentials)?;
    Ok(group)
}

/// A group.
#[derive(Debug)]
struct GroupDirectory {
    group: Arc<Cgroup>,
}

/// A file of a group.
#[derive(Debug)]
struct GroupFile {
    group: Arc<Cgroup>,
    row: &'static Row,
}

impl Entry for GroupDirectory {
    fn ownership(&self) -> Ownership {
        let (uid, gid) = self.group.owner(None);
        Ownership { mode: 0o755, uid, gid }
    }

    fn set_ownership(&self, ownership: Ownership) -> Result<(), Errno> {
        if ownership.mode & 0o777 != 0o755 {
            return Err(Errno::EPERM);
        }
        self.group.set_owner(None, (ownership.uid, ownership.gid));
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.group.is_removed()
    }
}

impl Directory for GroupDirectory {
    fn look_up(&self, name: &[u8], _: &Caller<'_>) -> Result<Node, Errno> {
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        if let Some(row) = FILES.iter().find(|row| row.name == name && row.is_in(&self.group)) {
            return Ok(Node::Text(Arc::new(GroupFile { group: self.group.clone(), row })));
        }
        let group = self.group.child(name).ok_or(Errno::ENOENT)?;
        Ok(Node::Directory(Arc::new(Self { group })))
    }

    fn list(&self, from: u64, _: &Opener, tell: &mut dyn FnMut(Listed<'_>) -> bool) -> Result<(), Errno> {
        // Files by their place in the table, then groups by their number.
        let files = (1..).zip(FILES).skip(usize::try_from(from).unwrap_or(usize::MAX));
        for (next, row) in files.filter(|(_, row)| row.is_in(&self.group)) {
            if !tell(Listed { name: row.name.as_bytes(), file_type: FileType::Regular, next }) {
                return Ok(());
            }
        }
        let first = FILES.len() as u64;
        let mut groups = self.group.children();
        groups.sort_by_key(|group| group.id());
        for group in groups.iter().filter(|group| first + group.id() > from) {
            let next = first + group.id();
            if !tell(Listed { name: group.name().as_bytes(), file_type: FileType::Directory, next }) {
                break;
            }
        }
        Ok(())
    }

    fn make_directory(&self, name: &[u8], _: u16, caller: &Caller<'_>) -> Result<Node, Errno> {
        permit_change(caller.thread, &self.group)?;
        let name = core::str::from_utf8(name).map_err(|_| Errno::EINVAL)?;
        if FILES.iter().any(|row| row.name == name) {
            return Err(Errno::EEXIST);
        }
        let group = self.group.create(name)?;
        let credentials = caller.credentials;
        group.set_maker((credentials.fsuid, credentials.fsgid));
        Ok(Node::Directory(Arc::new(Self { group })))
    }

    fn remove_directory(&self, name: &[u8], caller: &Caller<'_>) -> Result<(), Errno> {
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        let group = self.group.child(name).ok_or(Errno::ENOTDIR)?;
        permit_change(caller.thread, &self.group)?;
        group.remove()
    }
}

impl Entry for GroupFile {
    fn ownership(&self) -> Ownership {
        let (uid, gid) = self.group.owner(Some(self.row.name));
        Ownership { mode: self.row.mode, uid, gid }
    }

    fn set_ownership(&self, ownership: Ownership) -> Result<(), Errno> {
        if ownership.mode & 0o777 != self.row.mode {
            return Err(Errno::EPERM);
        }
        self.group.set_owner(Some(self.row.name), (ownership.uid, ownership.gid));
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.group.is_removed() || !self.row.is_in(&self.group)
    }
}

impl Text for GroupFile {
    fn permit(&self, caller: &Caller<'_>, access: Access) -> Result<(), Errno> {
        if access.contains(Access::WRITE) { permit_change(caller.thread, &self.group) } else { Ok(()) }
    }

    fn read(&self, opener: &Opener) -> Result<Vec<u8>, Errno> {
        if self.is_gone() {
            return Err(Errno::ENODEV);
        }
        files::read(&self.group, self.row, opener).map(alloc::string::String::into_bytes)
    }

    fn write(&self, bytes: &[u8], opener: &Opener) -> Result<(), Errno> {
        if self.is_gone() {
            return Err(Errno::ENODEV);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        let writer = opener.thread.upgrade();
        permit_change(writer.as_deref(), &self.group)?;
        if !self.row.is_delegated() && is_border(writer.as_deref(), &self.group) {
            return Err(Errno::EPERM);
        }
        files::write(&self.group, self.row, text.trim(), opener)
    }

    fn changes(&self) -> Option<Arc<Changes>> {
        self.row.tells_changes().then(|| self.group.changes().clone())
    }
}

/// Whether `thread` may change anything of `group`: EPERM for a process in a container that has no cgroup namespace
/// within that container, or whose namespace does not reach there. The kernel itself may.
fn permit_change(thread: Option<&Thread>, group: &Arc<Cgroup>) -> Result<(), Errno> {
    let Some(thread) = thread else { return Ok(()) };
    let root = thread.namespaces().cgroup.root().clone();
    let free = thread.cgroup().container().is_none_or(|container| container.contains(&root));
    if free && root.contains(group) { Ok(()) } else { Err(Errno::EPERM) }
}

/// Whether `group` is the root of the cgroup namespace of `thread`, and not the machine's.
fn is_border(thread: Option<&Thread>, group: &Arc<Cgroup>) -> bool {
    group.parent().is_some() && thread.is_some_and(|thread| Arc::ptr_eq(thread.namespaces().cgroup.root(), group))
}
