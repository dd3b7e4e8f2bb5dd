//! Tests of the file system on the host: a world of one namespace and a caller who pays from a group of its own.

mod container;
mod initrd;
mod mounts;
mod names;
mod overlay;
mod paths;
mod permissions;
mod pipes;
mod propagation;
mod synthetic;
mod tmpfs;

use super::*;
use crate::{
    cgroup::{
        Cgroup, MemoryGroup,
        memory::{Books, Limit},
    },
    security::Credentials,
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::task::{Context as TaskContext, Poll, Waker};
use veridian_containers::abi::Errno;
use veridian_hal::{arch::hosted, mem};

struct World {
    context: Context,
    credentials: Credentials,
    group: Arc<Cgroup>,
}

impl World {
    /// A namespace of one empty tmpfs, and root.
    fn new() -> Self {
        Self::with_limit(None)
    }

    fn with_limit(memory_bytes: Option<u64>) -> Self {
        hosted::init(64 << 20);
        mem::set_ledger(&Books);
        let group = Cgroup::root();
        group.memory.set_limit(Limit::Max, memory_bytes);
        let namespace = MountNamespace::with_tmpfs(&group.memory).expect("memory for a root");
        let mut context = Context::at_root_of(namespace);
        context.umask = 0;
        Self { context, credentials: Credentials::root(), group }
    }

    /// The same namespace, seen by somebody else.
    fn as_user(&self, uid: u32) -> Self {
        let credentials = Credentials::of(uid, uid, Arc::default());
        Self { context: self.context.clone(), credentials, group: self.group.clone() }
    }

    fn with_context(&self, context: Context) -> Self {
        Self { context, credentials: self.credentials.clone(), group: self.group.clone() }
    }

    fn memory(&self) -> &Arc<MemoryGroup> {
        &self.group.memory
    }

    fn caller(&self) -> Caller<'_> {
        Caller { context: &self.context, credentials: &self.credentials, memory: &self.group.memory, thread: None }
    }

    fn find(&self, path: &str) -> Result<Location, Errno> {
        self.caller().resolve(&self.context.cwd, path.as_bytes(), true)
    }

    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        self.caller().mkdir(&self.context.cwd, path.as_bytes(), 0o755)
    }

    fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        self.caller().open(&self.context.cwd, path.as_bytes(), flags, 0o644)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Errno> {
        let file = self.open(path, OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC)?;
        self.write_to(&file, bytes).map(drop)
    }

    fn write_to(&self, file: &File, mut bytes: &[u8]) -> Result<usize, Errno> {
        ready(file.poll_write(&mut task(), &mut bytes, self.memory(), u64::MAX))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let file = self.open(path, OpenFlags::empty())?;
        let mut bytes = vec![0; 1 << 16];
        let count = read_from(&file, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        self.caller().symlink(target.as_bytes(), &self.context.cwd, path.as_bytes())
    }

    fn unlink(&self, path: &str) -> Result<(), Errno> {
        self.caller().unlink(&self.context.cwd, path.as_bytes())
    }

    fn rmdir(&self, path: &str) -> Result<(), Errno> {
        self.caller().rmdir(&self.context.cwd, path.as_bytes())
    }

    fn rename(&self, old: &str, new: &str, flags: RenameFlags) -> Result<(), Errno> {
        let cwd = &self.context.cwd;
        self.caller().rename(cwd, old.as_bytes(), cwd, new.as_bytes(), flags)
    }

    fn mount(&self, kind: &str, path: &str, flags: MountFlags, data: &str) -> Result<(), Errno> {
        let new = NewMount { kind: kind.as_bytes(), data: data.as_bytes(), flags, ..NewMount::default() };
        self.caller().mount(self.find(path)?, &new)
    }

    /// Sets the flags of a mount to `flags`.
    fn remount(&self, path: &str, flags: MountFlags) -> Result<(), Errno> {
        let flags = Reflag { clear: MountFlags::all(), set: flags };
        self.caller().remount(&self.find(path)?, flags, None, b"")
    }

    fn share(&self, path: &str, sharing: Sharing) -> Result<(), Errno> {
        self.caller().share(&self.find(path)?, sharing, false)
    }

    /// The same caller in a copy of the namespace.
    fn unshared(&self) -> Self {
        let context = self.context.with_new_namespace(crate::namespace::UserNamespace::first(), self.memory());
        self.with_context(context.expect("copied"))
    }

    fn bind(&self, source: &str, target: &str, recursive: bool) -> Result<(), Errno> {
        self.caller().bind(&self.find(source)?, self.find(target)?, recursive, MountFlags::empty())
    }

    fn umount(&self, path: &str, flags: UmountFlags) -> Result<(), Errno> {
        self.caller().umount(self.find(path)?, flags)
    }

    fn chdir(&mut self, path: &str) {
        self.context = self.caller().chdir(self.find(path).expect("a directory")).expect("may enter");
    }

    fn cwd(&self) -> alloc::string::String {
        let path = self.context.path_of(&self.context.cwd).expect("linked");
        alloc::string::String::from_utf8(path).expect("text")
    }

    fn list(&self, path: &str) -> Vec<Vec<u8>> {
        let directory = self.open(path, OpenFlags::DIRECTORY).expect("a directory");
        let mut names = Vec::new();
        directory
            .read_directory(|entry| {
                names.push(entry.name.to_vec());
                true
            })
            .expect("readable");
        names
    }
}

fn task() -> TaskContext<'static> {
    TaskContext::from_waker(Waker::noop())
}

fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn read_from(file: &File, mut bytes: &mut [u8]) -> Result<usize, Errno> {
    ready(file.poll_read(&mut task(), &mut bytes))
}
