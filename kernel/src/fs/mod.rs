//! Files: inodes, dentries, mounts and mount namespaces, path walk, open files and descriptor tables; the file
//! systems tmpfs (which also holds what the initial RAM disk brought) and dev; pipes; [`synthetic`] nodes, of which
//! file systems are made that show kernel objects.
//!
//! Owns: all of these. A [`Location`] (mount and dentry) is what a path resolves to, once; everything afterwards acts
//! on it. May call: `mm` (the trait `PageSource`), `cgroup`, `security`, `device`,
//! `sched` (wait queues), hal. Called by: `syscall`, `task`, `virt`.
//!
//! Lock order (a lock is taken only while holding locks above it):
//! 1. a process's [`Context`] and [`FdTable`] (the task's own);
//! 2. the trees of mounts (`mount::Topology`), the one lock of the whole machine;
//! 3. a superblock's structure (every change of names in one file system);
//! 4. a mount's children, then a mount's place;
//! 5. a directory's entries (two at a time only under the structure lock), then a dentry's place; the names that
//!    look-ups have made in a directory;
//! 6. an inode's attributes; an open file's offset; who writes a file;
//! 7. a file's pages; a superblock's object charges; then what the memory group and frames lock.
//!
//! User memory is touched (which takes an address space's locks, then 7) while holding a pipe's, the console's or a
//! file's writer's lock, or none.

mod attributes;
pub mod cgroup;
mod change;
mod context;
mod dentry;
pub mod devfs;
pub mod devpts;
pub mod epoll;
pub mod eventfd;
mod fd_table;
mod file;
pub mod initrd;
mod inode;
pub mod inotify;
pub mod io;
pub mod locks;
pub mod mount;
pub mod mqueue;
mod name;
mod nsfs;
mod object;
mod open;
mod overlay;
mod path;
mod permission;
pub mod pipe;
pub mod proc;
mod socket;
mod superblock;
pub mod synthetic;
pub mod sysfs;
mod time;
pub mod timerfd;
pub mod tmpfs;
pub mod types;
mod xattr;

#[cfg(test)]
mod tests;

pub use attributes::Subject;
pub use context::{Caller, Context, Location};
pub use dentry::Dentry;
pub use fd_table::{DESCRIPTORS_MAX, FdTable};
pub use file::{Allocation, DirectoryEntry, File, Whence};
pub use inode::{DeviceNumber, FileType, Inode, Status};
pub use mount::{
    AttributeChange, ContainerMounts, Mount, MountCall, MountFlags, MountNamespace, MountRequest, MountSource,
    NewMount, Reflag, Sharing, SuperFlags, TmpfsOptions, UmountFlags,
};
pub use name::{NAME_MAX, PATH_MAX, RenameFlags};
pub use nsfs::NamespaceFile;
pub use object::{Attempt, FileObject, Positioned, Readiness};
pub use open::{Executable, OpenFlags};
pub use overlay::{OverlayLayers, OverlayUpper};
pub use path::Resolve;
pub use permission::Access;
pub use superblock::{Statistics, Superblock};
pub use time::{SetTime, Timestamp};
pub use tmpfs::Seals;
pub use xattr::{XATTR_NAME_MAX, XATTR_SIZE_MAX, XattrFlags};
