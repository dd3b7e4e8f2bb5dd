//! Descriptor tables: small numbers for open files.

use super::{Caller, Context, File, OpenFlags};
use crate::{cgroup::MemoryGroup, security::Credentials, tty};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

/// The most descriptors of a process (RLIMIT_NOFILE).
pub const DESCRIPTORS_MAX: usize = 1024;

/// Standard input, output and error.
const STANDARD_STREAMS: usize = 3;

/// A process's descriptors. A clone (fork) shares the open files.
///
/// What is taken out is given to the caller, to be dropped when the table is not locked any more.
#[derive(Clone, Debug, Default)]
pub struct FdTable {
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Debug)]
struct Slot {
    file: Arc<File>,
    close_on_exec: bool,
}

impl FdTable {
    /// A table without descriptors.
    pub const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// The first process's: the console as descriptors 0, 1 and 2.
    pub fn with_console(
        context: &Context,
        credentials: &Credentials,
        memory: &Arc<MemoryGroup>,
    ) -> Result<Self, Errno> {
        let caller = Caller { context, credentials, memory, thread: None };
        // Linux opens the root file system's node; here the console is there whether the node is or not.
        let console = match caller.open(&context.root, b"/dev/console", OpenFlags::RDWR, 0) {
            Ok(console) => console,
            Err(_) => File::of_object(tty::console::open(), OpenFlags::RDWR, credentials.fsuid, credentials.fsgid)?,
        };
        let mut table = Self::new();
        for _ in 0..STANDARD_STREAMS {
            table.insert(console.clone(), false)?;
        }
        Ok(table)
    }

    /// A table with descriptors 0, 1 and 2 of this one, as far as they are open.
    pub fn standard_streams(&self) -> Self {
        let slots = self.slots.iter().take(STANDARD_STREAMS);
        let stays_open = |slot: &Slot| Slot { file: slot.file.clone(), close_on_exec: false };
        Self { slots: slots.map(|slot| slot.as_ref().map(stays_open)).collect() }
    }

    /// The open file of `fd`; EBADF.
    pub fn get(&self, fd: i32) -> Result<Arc<File>, Errno> {
        self.slot(fd).map(|slot| slot.file.clone())
    }

    /// As [`Self::get`], but EBADF too for a file that stands for a place only (O_PATH).
    pub fn get_open(&self, fd: i32) -> Result<Arc<File>, Errno> {
        self.get(fd).and_then(|file| if file.is_path_only() { Err(Errno::EBADF) } else { Ok(file) })
    }

    /// Gives `file` the lowest free descriptor; EMFILE.
    pub fn insert(&mut self, file: Arc<File>, close_on_exec: bool) -> Result<i32, Errno> {
        self.insert_from(0, file, close_on_exec)
    }

    /// As [`Self::insert`], but a descriptor not below `lowest`; EINVAL if that is beyond the limit.
    pub fn insert_from(&mut self, lowest: usize, file: Arc<File>, close_on_exec: bool) -> Result<i32, Errno> {
        if lowest >= DESCRIPTORS_MAX {
            return Err(Errno::EINVAL);
        }
        let free = (lowest..self.slots.len()).find(|&fd| self.slots[fd].is_none());
        let fd = free.unwrap_or(self.slots.len().max(lowest));
        if fd >= DESCRIPTORS_MAX {
            return Err(Errno::EMFILE);
        }
        self.put(fd, Slot { file, close_on_exec });
        Ok(fd as i32)
    }

    /// Makes `new` stand for what `old` does (dup2(2), dup3(2)); gives what `new` stood for.
    pub fn replace(&mut self, old: i32, new: i32, close_on_exec: bool) -> Result<Option<Arc<File>>, Errno> {
        let file = self.get(old)?;
        let fd = usize::try_from(new).ok().filter(|&fd| fd < DESCRIPTORS_MAX).ok_or(Errno::EBADF)?;
        Ok(self.put(fd, Slot { file, close_on_exec }).map(|slot| slot.file))
    }

    /// Closes `fd`; EBADF.
    pub fn close(&mut self, fd: i32) -> Result<Arc<File>, Errno> {
        let slot = usize::try_from(fd).ok().and_then(|fd| self.slots.get_mut(fd)).and_then(Option::take);
        slot.map(|slot| slot.file).ok_or(Errno::EBADF)
    }

    /// Closes all descriptors from `first` to `last`.
    pub fn close_range(&mut self, first: usize, last: usize) -> Vec<Arc<File>> {
        let end = last.saturating_add(1).min(self.slots.len());
        let slots = self.slots.get_mut(first..end).unwrap_or_default();
        slots.iter_mut().filter_map(Option::take).map(|slot| slot.file).collect()
    }

    /// Marks all descriptors from `first` to `last` to be closed on exec.
    pub fn close_range_on_exec(&mut self, first: usize, last: usize) {
        let end = last.saturating_add(1).min(self.slots.len());
        let slots = self.slots.get_mut(first..end).unwrap_or_default();
        slots.iter_mut().flatten().for_each(|slot| slot.close_on_exec = true);
    }

    /// Closes what is to be closed on exec.
    pub fn close_on_exec(&mut self) -> Vec<Arc<File>> {
        let closing = self.slots.iter_mut().filter(|slot| slot.as_ref().is_some_and(|slot| slot.close_on_exec));
        closing.filter_map(Option::take).map(|slot| slot.file).collect()
    }

    /// The lowest open descriptor from `fd` on.
    pub fn next_open(&self, fd: i32) -> Option<i32> {
        let from = usize::try_from(fd).unwrap_or(0);
        (from..self.slots.len()).find(|&fd| self.slots[fd].is_some()).map(|fd| fd as i32)
    }

    /// Descriptors that there is room for without growing.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether `fd` is closed on exec; EBADF.
    pub fn is_closed_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        self.slot(fd).map(|slot| slot.close_on_exec)
    }

    /// Sets whether `fd` is closed on exec; EBADF.
    pub fn set_close_on_exec(&mut self, fd: i32, close: bool) -> Result<(), Errno> {
        let slot = usize::try_from(fd).ok().and_then(|fd| self.slots.get_mut(fd)).and_then(Option::as_mut);
        slot.ok_or(Errno::EBADF)?.close_on_exec = close;
        Ok(())
    }

    fn slot(&self, fd: i32) -> Result<&Slot, Errno> {
        usize::try_from(fd).ok().and_then(|fd| self.slots.get(fd)?.as_ref()).ok_or(Errno::EBADF)
    }

    fn put(&mut self, fd: usize, slot: Slot) -> Option<Slot> {
        if fd >= self.slots.len() {
            self.slots.resize_with(fd + 1, || None);
        }
        self.slots[fd].replace(slot)
    }
}
