//! What a live thread works with, and may share with others: memory, open files, root and working directory.

use super::Thread;
use crate::{fs, mm::AddressSpace};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Memory, files and places of a live thread.
pub(super) struct Body {
    pub space: Arc<AddressSpace>,
    pub files: Arc<SpinLock<fs::FdTable>>,
    pub fs: Arc<SpinLock<fs::Context>>,
}

impl Thread {
    /// Its memory. To be called by the running process itself.
    pub fn space(&self) -> Arc<AddressSpace> {
        self.with_body(|body| body.space.clone())
    }

    /// Its open files. To be called by the running process itself.
    pub fn with_files<R>(&self, f: impl FnOnce(&mut fs::FdTable) -> R) -> R {
        self.with_body(|body| f(&mut body.files.lock()))
    }

    /// Its root, working directory, umask and mount namespace. To be called by the running process itself.
    pub fn with_fs<R>(&self, f: impl FnOnce(&mut fs::Context) -> R) -> R {
        self.with_body(|body| f(&mut body.fs.lock()))
    }

    /// As [`Self::with_fs`], of any process: `None` if it has ended.
    pub fn try_with_fs<R>(&self, f: impl FnOnce(&mut fs::Context) -> R) -> Option<R> {
        self.body.lock().as_mut().map(|body| f(&mut body.fs.lock()))
    }

    /// Bytes of its memory that are in frames; 0 once it has ended.
    pub fn resident_bytes(&self) -> usize {
        let space = self.body.lock().as_ref().map(|body| body.space.clone());
        space.map_or(0, |space| space.resident_bytes())
    }

    /// As [`Self::with_files`], of any process: `None` if it has ended.
    pub fn try_with_files<R>(&self, f: impl FnOnce(&mut fs::FdTable) -> R) -> Option<R> {
        self.body.lock().as_mut().map(|body| f(&mut body.files.lock()))
    }

    /// As [`Self::space`], of any process: `None` if it has ended.
    pub fn try_space(&self) -> Option<Arc<AddressSpace>> {
        self.body.lock().as_ref().map(|body| body.space.clone())
    }

    pub(super) fn with_body<R>(&self, f: impl FnOnce(&mut Body) -> R) -> R {
        f(self.body.lock().as_mut().expect("a running process has a body"))
    }

    /// A handle to its open files, and one to its places, for a child that shares them.
    pub(super) fn shared_files(&self) -> Arc<SpinLock<fs::FdTable>> {
        self.with_body(|body| body.files.clone())
    }

    pub(super) fn shared_fs(&self) -> Arc<SpinLock<fs::Context>> {
        self.with_body(|body| body.fs.clone())
    }

    /// Has open files of its own from now on (unshare(2), execve(2)).
    pub fn unshare_files(&self) -> Result<(), Errno> {
        let shared = self.shared_files();
        // Ours and this handle.
        if Arc::strong_count(&shared) > 2 {
            let copy = shared.lock().copy(&self.memory())?;
            self.with_body(|body| body.files = Arc::new(SpinLock::new(copy)));
        }
        Ok(())
    }

    /// Has places of its own from now on.
    pub fn unshare_fs(&self) {
        let shared = self.shared_fs();
        if Arc::strong_count(&shared) > 2 {
            let copy = shared.lock().clone();
            self.with_body(|body| body.fs = Arc::new(SpinLock::new(copy)));
        }
    }

    /// Whether another thread or process has the same places.
    pub fn shares_fs(&self) -> bool {
        Arc::strong_count(&self.shared_fs()) > 2
    }
}
