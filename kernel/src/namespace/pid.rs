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
    /// `None` while the process of that number is being made.
    threads: BTreeMap<u32, Weak<Thread>>,
    last: u32,
    /// Numbers given so far.
    given: u64,
    /// Its first process has ended: no further one is made.
    closed: bool,
}

/// The numbers of one process, given back when it has been waited for, or else when it is dropped.
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

    /// The process that has `number` here.
    pub fn thread(&self, number: u32) -> Option<Arc<Thread>> {
        self.table.lock().threads.get(&number).and_then(Weak::upgrade)
    }

    /// All processes of this namespace and those below, by number.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.table.lock().threads.values().filter_map(Weak::upgrade).collect()
    }

    /// The process with the lowest number from `number` on, of this namespace and those below.
    pub fn next_thread(&self, number: u32) -> Option<Arc<Thread>> {
        self.table.lock().threads.range(number..).find_map(|(_, thread)| thread.upgrade())
    }

    /// The number that was given last.
    pub fn last_number(&self) -> u32 {
        self.table.lock().last
    }

    /// How many numbers were given here so far.
    pub fn given(&self) -> u64 {
        self.table.lock().given
    }

    /// Pids in use here, those of ended and not yet waited-for processes included.
    pub fn pids_in_use(&self) -> usize {
        self.table.lock().threads.len()
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
        Self { threads: BTreeMap::new(), last: 0, given: 0, closed: false }
    }

    /// The number that is wanted, or the next in turn, as Linux gives them: a number comes again only after all others.
    fn take_number(&mut self, wanted: Option<u32>) -> Result<u32, Errno> {
        if self.closed {
            return Err(Errno::ENOMEM);
        }
        if let Some(number) = wanted {
            if self.threads.contains_key(&number) {
                return Err(Errno::EEXIST);
            }
            self.threads.insert(number, Weak::new());
            self.last = self.last.max(1);
            return Ok(number);
        }
        let free = |number: &u32| !self.threads.contains_key(number);
        let number = (self.last + 1..PID_MAX).chain(1..=self.last).find(free).ok_or(Errno::EAGAIN)?;
        self.threads.insert(number, Weak::new());
        self.last = number;
        self.given += 1;
        Ok(number)
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

    /// Gives the numbers back: nothing leads to the process by them any more. Once is enough.
    pub fn release(&self) {
        if self.released.swap(true, Ordering::AcqRel) {
            return;
        }
        for (level, number) in self.numbers.iter().enumerate() {
            let namespace = self.namespace.at_level(level);
            let mut table = namespace.table.lock();
            let gone = table.threads.remove(number);
            let closed = table.closed;
            drop(table);
            drop(gone);
            if closed {
                namespace.departures.wake_all();
            }
        }
    }

    /// Makes the numbers lead to `thread`.
    pub fn publish(&self, thread: &Arc<Thread>) {
        for (level, number) in self.numbers.iter().enumerate() {
            self.namespace.at_level(level).table.lock().threads.insert(*number, Arc::downgrade(thread));
        }
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        self.release();
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
