//! Descriptor tables: small numbers for open files.

use super::{Caller, Context, File, OpenFlags, locks::Owner};
use crate::{
    cgroup::{KernelCharge, MemoryGroup},
    security::Credentials,
    tty,
};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use veridian_containers::abi::Errno;

/// The most descriptors that any process may have (Linux's `fs.nr_open`).
pub const DESCRIPTORS_MAX: usize = 1 << 20;

/// What an open file takes of the kernel's heap, its object included.
const FILE_BYTES: usize = 256;
/// As many descriptors cost nothing.
const FREE_DESCRIPTORS: usize = 32;

/// Standard input, output and error.
const STANDARD_STREAMS: usize = 3;

/// A process's descriptors.
///
/// What is taken out is given to the caller, to be dropped when the table is not locked any more.
#[derive(Debug)]
pub struct FdTable {
    slots: Vec<Option<Slot>>,
    /// How many stand for something.
    open: usize,
    /// No descriptor below it is free.
    full_below: usize,
    /// What the process pays for more than a few; none before it is somebody's.
    books: Option<KernelCharge>,
    /// Descriptors are below it (RLIMIT_NOFILE).
    limit: usize,
    /// Whose locks of bytes are those that are set by its descriptors.
    locks: Owner,
}

static NEXT_TABLE: AtomicU64 = AtomicU64::new(0);

/// What a descriptor stands for; dropped when it is closed. With it the table gives up its locks of the file, whatever
/// other descriptors of it there are (POSIX). Not to be dropped under a lock.
#[derive(Debug)]
pub struct Slot {
    file: Arc<File>,
    close_on_exec: bool,
    /// The table that it is, or was, in.
    table: Owner,
}

impl Slot {
    /// The same in another table.
    fn for_table(&self, table: Owner) -> Self {
        Self { file: self.file.clone(), close_on_exec: self.close_on_exec, table }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.file.inode().release_records(self.table);
    }
}

impl Default for FdTable {
    fn default() -> Self {
        Self::new()
    }
}

impl FdTable {
    /// A table without descriptors.
    pub fn new() -> Self {
        let locks = Owner::Table(NEXT_TABLE.fetch_add(1, Ordering::Relaxed));
        Self { slots: Vec::new(), open: 0, full_below: 0, books: None, limit: DESCRIPTORS_MAX, locks }
    }

    /// Whose locks of bytes are those that are set by its descriptors (fcntl_locking(2)).
    pub fn lock_owner(&self) -> Owner {
        self.locks
    }

    /// The table of a child (fork): the same open files. ENOMEM.
    pub fn copy(&self, memory: &Arc<MemoryGroup>) -> Result<Self, Errno> {
        let mut copy = Self { limit: self.limit, full_below: self.full_below, ..Self::new() };
        copy.set_payer(memory);
        copy.make_room(self.slots.len(), self.open)?;
        copy.slots.extend(self.slots.iter().map(|slot| slot.as_ref().map(|slot| slot.for_table(copy.locks))));
        copy.open = self.open;
        Ok(copy)
    }

    /// Who pays for more than a few descriptors from now on, if nobody does.
    pub fn set_payer(&mut self, memory: &Arc<MemoryGroup>) {
        self.books.get_or_insert_with(|| memory.kernel_charge());
    }

    /// Sets below what new descriptors are; those beyond that are open stay.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX).min(DESCRIPTORS_MAX);
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
        let mut table = Self { limit: self.limit, ..Self::new() };
        let slots = self.slots.iter().take(STANDARD_STREAMS);
        let stays_open = |slot: &Slot| Slot { file: slot.file.clone(), close_on_exec: false, table: table.locks };
        table.slots = slots.map(|slot| slot.as_ref().map(stays_open)).collect();
        table.open = table.slots.iter().flatten().count();
        table
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
        if lowest >= self.limit {
            return Err(Errno::EINVAL);
        }
        let first = lowest.max(self.full_below);
        let free = (first..self.slots.len()).find(|&fd| self.slots[fd].is_none());
        let fd = free.unwrap_or(self.slots.len().max(first));
        if fd >= self.limit {
            return Err(Errno::EMFILE);
        }
        self.put(fd, Slot { file, close_on_exec, table: self.locks })?;
        if lowest <= self.full_below {
            self.full_below = fd + 1;
        }
        Ok(fd as i32)
    }

    /// Makes `new` stand for what `old` does (dup2(2), dup3(2)); gives what `new` stood for.
    pub fn replace(&mut self, old: i32, new: i32, close_on_exec: bool) -> Result<Option<Slot>, Errno> {
        let file = self.get(old)?;
        let fd = usize::try_from(new).ok().filter(|&fd| fd < self.limit).ok_or(Errno::EBADF)?;
        self.put(fd, Slot { file, close_on_exec, table: self.locks })
    }

    /// Closes `fd`; EBADF.
    pub fn close(&mut self, fd: i32) -> Result<Slot, Errno> {
        let fd = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let slot = self.slots.get_mut(fd).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.open -= 1;
        self.full_below = self.full_below.min(fd);
        Ok(slot)
    }

    /// Closes all descriptors from `first` to `last`.
    pub fn close_range(&mut self, first: usize, last: usize) -> Vec<Slot> {
        let end = last.saturating_add(1).min(self.slots.len());
        self.full_below = self.full_below.min(first);
        let slots = self.slots.get_mut(first..end).unwrap_or_default();
        let closed: Vec<_> = slots.iter_mut().filter_map(Option::take).collect();
        self.open -= closed.len();
        closed
    }

    /// Marks all descriptors from `first` to `last` to be closed on exec.
    pub fn close_range_on_exec(&mut self, first: usize, last: usize) {
        let end = last.saturating_add(1).min(self.slots.len());
        let slots = self.slots.get_mut(first..end).unwrap_or_default();
        slots.iter_mut().flatten().for_each(|slot| slot.close_on_exec = true);
    }

    /// Closes what is to be closed on exec.
    pub fn close_on_exec(&mut self) -> Vec<Slot> {
        self.full_below = 0;
        let closing = self.slots.iter_mut().filter(|slot| slot.as_ref().is_some_and(|slot| slot.close_on_exec));
        let closed: Vec<_> = closing.filter_map(Option::take).collect();
        self.open -= closed.len();
        closed
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

    fn put(&mut self, fd: usize, slot: Slot) -> Result<Option<Slot>, Errno> {
        let is_new = self.slots.get(fd).is_none_or(Option::is_none);
        if is_new {
            self.make_room(fd + 1, self.open + 1)?;
            self.open += 1;
        }
        if fd >= self.slots.len() {
            self.slots.resize_with(fd + 1, || None);
        }
        Ok(self.slots[fd].replace(slot))
    }

    /// Pays for so many slots and open files, and gets room for the slots: ENOMEM. What is paid for stays so.
    fn make_room(&mut self, slots: usize, open: usize) -> Result<(), Errno> {
        let more = slots > self.slots.capacity();
        let capacity = if more { slots.next_power_of_two() } else { self.slots.capacity() };
        if let Some(books) = &mut self.books
            && (more || open.is_multiple_of(FREE_DESCRIPTORS))
        {
            let files = open.saturating_sub(FREE_DESCRIPTORS);
            let slots = capacity.saturating_sub(FREE_DESCRIPTORS);
            books.cover(files * FILE_BYTES + slots * size_of::<Option<Slot>>())?;
        }
        if more {
            self.slots.try_reserve_exact(capacity - self.slots.len()).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }
}
