//! The pid namespace (pid_namespaces(7)): a process has a number in its own namespace and in every one above.

use super::UserNamespace;
use crate::{sched::WaitQueue, task::Thread};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::{AtomicBool, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// Pids are below this (`/proc/sys/kernel/pid_max` of 64-bit Linux).
pub const PID_MAX: u32 = 4_194_304;
/// How deep pid namespaces nest below the first one (pid_namespaces(7)).
const LEVEL_MAX: usize = 32;

/// A space of pids.
#[derive(Debug)]
pub struct PidNamespace {
    parent: Option<Arc<Self>>,
    level: usize,
    owner: Arc<UserNamespace>,
    inode: u64,
    table: SpinLock<Table>,
    /// Woken when a number is given back after the namespace was closed.
    departures: WaitQueue,
}

#[derive(Debug)]
struct Table {
    /// By number. A number stays taken while a process group or a session is known by it.
    entries: BTreeMap<u32, Entry>,
    /// Numbers of threads that have not been waited for, and of those being made.
    in_use: usize,
    last: u32,
    /// Numbers given so far.
    given: u64,
    /// Its first process has ended: no further one is made.
    closed: bool,
}

/// Who has a number: nobody yet while the thread is being made, nobody any more once it was waited for.
#[derive(Debug, Default)]
struct Entry {
    thread: Weak<Thread>,
    pid: Weak<Pid>,
}

/// The numbers of one thread, given back when it has been waited for and no process group or session is known by them.
#[derive(Debug)]
pub struct Pid {
    namespace: Arc<PidNamespace>,
    /// By level: the first namespace's number first, the own one's last.
    numbers: Vec<u32>,
    released: AtomicBool,
}

impl PidNamespace {
    /// The machine's first one.
    pub fn first() -> Arc<Self> {
        Self::new(None, 0, UserNamespace::first().clone())
    }

    /// A namespace below `parent`; ENOSPC when nested too deep, EINVAL when `owner` is not the parent's owner or below.
    pub fn child(parent: &Arc<Self>, owner: &Arc<UserNamespace>) -> Result<Arc<Self>, Errno> {
        if !parent.owner.contains(owner) {
            return Err(Errno::EINVAL);
        }
        if parent.level + 1 > LEVEL_MAX {
            return Err(Errno::ENOSPC);
        }
        Ok(Self::new(Some(parent.clone()), parent.level + 1, owner.clone()))
    }

    fn new(parent: Option<Arc<Self>>, level: usize, owner: Arc<UserNamespace>) -> Arc<Self> {
        let (table, departures) = (SpinLock::new(Table::new()), WaitQueue::new());
        Arc::new(Self { parent, level, owner, inode: super::next_inode(), table, departures })
    }

    /// The one that it was made in; `None` for the first.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// The user namespace whose capabilities rule it.
    pub fn owner(&self) -> &Arc<UserNamespace> {
        &self.owner
    }

    /// Unlike that of any other namespace.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether `other` is this one or below.
    pub fn contains(&self, other: &Self) -> bool {
        other.level >= self.level && core::ptr::eq(other.at_level(self.level), self)
    }

    /// Numbers for a new process, here and in every namespace above. EAGAIN when there is none left, ENOMEM when
    /// the namespace's first process has ended.
    pub fn allocate(self: &Arc<Self>) -> Result<Pid, Errno> {
        self.allocate_wanted(&[])
    }

    /// As [`Self::allocate`], with numbers of the caller's choice as clone3(2)'s `set_tid` gives them: here, then in the
    /// namespaces above. EINVAL for more numbers than namespaces, for one that is no pid, and for another one than 1
    /// where there is no process yet; EPERM unless `permit` is given for the owner of each of these; EEXIST when one is
    /// taken.
    pub fn allocate_numbers(
        self: &Arc<Self>,
        wanted: &[u32],
        permit: impl Fn(&UserNamespace) -> bool,
    ) -> Result<Pid, Errno> {
        if wanted.len() > self.level + 1 {
            return Err(Errno::EINVAL);
        }
        for (distance, number) in wanted.iter().enumerate() {
            let namespace = self.at_level(self.level - distance);
            if !(1..PID_MAX).contains(number) || *number != 1 && namespace.is_empty() {
                return Err(Errno::EINVAL);
            }
            if !permit(&namespace.owner) {
                return Err(Errno::EPERM);
            }
        }
        self.allocate_wanted(wanted)
    }

    /// Whether it never had a process.
    fn is_empty(&self) -> bool {
        self.table.lock().last == 0
    }

    fn allocate_wanted(self: &Arc<Self>, wanted: &[u32]) -> Result<Pid, Errno> {
        let mut pid = Pid {
            namespace: self.clone(),
            numbers: Vec::with_capacity(self.level + 1),
            released: AtomicBool::new(false),
        };
        // From the first namespace down, so that a refusal below gives back those above, by the drop of `pid`.
        for level in 0..=self.level {
            let number = self.at_level(level).table.lock().take_number(wanted.get(self.level - level).copied())?;
            pid.numbers.push(number);
        }
        Ok(pid)
    }

    /// The thread that has `number` here.
    pub fn thread(&self, number: u32) -> Option<Arc<Thread>> {
        self.table.lock().entries.get(&number).and_then(|entry| entry.thread.upgrade())
    }

    /// The process that has `number` here: that of its leader.
    pub fn process(&self, number: u32) -> Option<Arc<Thread>> {
        self.thread(number).filter(|thread| thread.is_leader())
    }

    /// Who is known by `number` here: a thread, or what is left of one that leads a process group or session.
    pub fn pid(&self, number: u32) -> Option<Arc<Pid>> {
        self.table.lock().entries.get(&number).and_then(|entry| entry.pid.upgrade())
    }

    /// All threads of this namespace and those below, by number.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.table.lock().entries.values().filter_map(|entry| entry.thread.upgrade()).collect()
    }

    /// The leaders of all processes of this namespace and those below, by number.
    pub fn processes(&self) -> Vec<Arc<Thread>> {
        let mut all = self.threads();
        all.retain(|thread| thread.is_leader());
        all
    }

    /// The process with the lowest number from `number` on, of this namespace and those below.
    pub fn next_process(&self, number: u32) -> Option<Arc<Thread>> {
        let mut from = number;
        loop {
            // One at a time: a thread that is the last handle's must not be dropped under the lock.
            let next = {
                let table = self.table.lock();
                table.entries.range(from..).find_map(|(number, entry)| Some((*number, entry.thread.upgrade()?)))
            };
            let (number, thread) = next?;
            if thread.is_leader() {
                return Some(thread);
            }
            from = number + 1;
        }
    }

    /// The number that was given last.
    pub fn last_number(&self) -> u32 {
        self.table.lock().last
    }

    /// How many numbers were given here so far.
    pub fn given(&self) -> u64 {
        self.table.lock().given
    }

    /// Threads here, ended and not yet waited-for processes included.
    pub fn pids_in_use(&self) -> usize {
        self.table.lock().in_use
    }

    /// The process that orphans of this namespace are given to.
    pub fn init(&self) -> Option<Arc<Thread>> {
        self.thread(1)
    }

    /// Woken when a process of the closed namespace is gone.
    pub fn departures(&self) -> &WaitQueue {
        &self.departures
    }

    /// No further process is made here.
    pub fn close(&self) {
        self.table.lock().closed = true;
    }

    fn at_level(&self, level: usize) -> &Self {
        let mut namespace = self;
        while namespace.level > level {
            namespace = namespace.parent.as_ref().expect("only the first one has level 0");
        }
        namespace
    }
}

impl Table {
    fn new() -> Self {
        Self { entries: BTreeMap::new(), in_use: 0, last: 0, given: 0, closed: false }
    }

    /// The number that is wanted, or the next in turn, as Linux gives them: a number comes again only after all others.
    fn take_number(&mut self, wanted: Option<u32>) -> Result<u32, Errno> {
        if self.closed {
            return Err(Errno::ENOMEM);
        }
        if let Some(number) = wanted {
            if self.entries.contains_key(&number) {
                return Err(Errno::EEXIST);
            }
            self.take(number);
            self.last = self.last.max(1);
            return Ok(number);
        }
        let free = |number: &u32| !self.entries.contains_key(number);
        let number = (self.last + 1..PID_MAX).chain(1..=self.last).find(free).ok_or(Errno::EAGAIN)?;
        self.take(number);
        self.last = number;
        self.given += 1;
        Ok(number)
    }

    fn take(&mut self, number: u32) {
        self.entries.insert(number, Entry::default());
        self.in_use += 1;
    }
}

impl Pid {
    /// The namespace that the process is in.
    pub fn namespace(&self) -> &Arc<PidNamespace> {
        &self.namespace
    }

    /// The number in the process's own namespace.
    pub fn number(&self) -> u32 {
        *self.numbers.last().expect("at least one level")
    }

    /// The number in the first namespace: unique on the machine.
    pub fn global_number(&self) -> u32 {
        self.numbers[0]
    }

    /// The number that `viewer` sees; `None` when the process is not in `viewer` or below.
    pub fn number_in(&self, viewer: &PidNamespace) -> Option<u32> {
        core::ptr::eq(self.namespace.at_level(viewer.level.min(self.namespace.level)), viewer)
            .then(|| self.numbers[viewer.level])
    }

    /// The numbers from `viewer` down to the process's own namespace; `None` when the process is not in `viewer` or
    /// below.
    pub fn numbers_from(&self, viewer: &PidNamespace) -> Option<&[u32]> {
        self.number_in(viewer).map(|_| &self.numbers[viewer.level..])
    }

    /// Whether its numbers were given back.
    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// Whether this is the first process of its namespace.
    pub fn is_init(&self) -> bool {
        self.number() == 1
    }

    /// Whether a namespace that the process is in was closed.
    pub fn namespaces_are_closed(&self) -> bool {
        (0..self.numbers.len()).any(|level| self.namespace.at_level(level).table.lock().closed)
    }

    /// Nothing leads to the thread by its numbers any more: they are given back when no process group or session is
    /// known by them. Once is enough.
    pub fn release(&self) {
        if self.released.swap(true, Ordering::AcqRel) {
            return;
        }
        for (level, number) in self.numbers.iter().enumerate() {
            let namespace = self.namespace.at_level(level);
            let mut table = namespace.table.lock();
            let gone = table.entries.get_mut(number).map(|entry| core::mem::take(&mut entry.thread));
            table.in_use -= 1;
            let closed = table.closed;
            drop(table);
            drop(gone);
            if closed {
                namespace.departures.wake_all();
            }
        }
    }

    /// Makes the numbers lead to `thread`.
    pub fn publish(self: &Arc<Self>, thread: &Arc<Thread>) {
        for (level, number) in self.numbers.iter().enumerate() {
            let entry = Entry { thread: Arc::downgrade(thread), pid: Arc::downgrade(self) };
            self.namespace.at_level(level).table.lock().entries.insert(*number, entry);
        }
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        self.release();
        for (level, number) in self.numbers.iter().enumerate() {
            let gone = self.namespace.at_level(level).table.lock().entries.remove(number);
            drop(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_number_in_each_namespace_above_it() {
        let first = PidNamespace::first();
        let _init = first.allocate().expect("pid 1");
        let inner = PidNamespace::child(&first, UserNamespace::first()).expect("level 1");
        let other = PidNamespace::child(&first, UserNamespace::first()).expect("level 1");
        let pid = inner.allocate().expect("a pid");
        assert_eq!((pid.number(), pid.global_number()), (1, 2));
        assert!(pid.is_init());
        assert_eq!(pid.number_in(&first), Some(2));
        assert_eq!(pid.number_in(&inner), Some(1));
        assert_eq!(pid.number_in(&other), None);
        assert_eq!(first.allocate().expect("a pid").number_in(&inner), None);
    }

    #[test]
    fn numbers_go_round_and_are_given_back() {
        let first = PidNamespace::first();
        let kept = first.allocate().expect("1");
        drop(first.allocate().expect("2"));
        assert_eq!(first.allocate().expect("3").number(), 3);
        assert_eq!(first.pids_in_use(), 1);
        first.table.lock().last = PID_MAX - 1;
        assert_eq!(first.allocate().expect("2").number(), 2);
        assert_eq!(kept.number(), 1);
    }

    #[test]
    fn a_closed_namespace_makes_no_process_and_leaves_no_number_above() {
        let first = PidNamespace::first();
        let inner = PidNamespace::child(&first, UserNamespace::first()).expect("level 1");
        inner.close();
        assert_eq!(inner.allocate().err(), Some(Errno::ENOMEM));
        assert_eq!(first.pids_in_use(), 0);
    }

    #[test]
    fn namespaces_nest_32_deep() {
        let mut namespace = PidNamespace::first();
        for _ in 0..32 {
            namespace = PidNamespace::child(&namespace, UserNamespace::first()).expect("within the bound");
        }
        assert_eq!(PidNamespace::child(&namespace, UserNamespace::first()).err(), Some(Errno::ENOSPC));
    }
}
