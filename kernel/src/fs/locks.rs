//! Locks of files that bind only who asks (fcntl_locking(2), flock(2)).
//!
//! *Records* are ranges of bytes, of a table of descriptors (POSIX locks: any close of the file by it gives them up) or of
//! an open file (OFD locks). *Whole* locks are of an open file, and have nothing to do with records.
//!
//! Lock order: an inode's locks, then the graph of who waits for whom. Nothing is woken under them.

use super::Inode;
use crate::{
    cgroup::{KernelCharge, MemoryGroup},
    sched::WaitQueue,
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// What a lock costs on the kernel heap, at most.
const LOCK_BYTES: usize = 128;

/// Whose a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A table of descriptors, by its number.
    Table(u64),
    /// An open file, by where it lies.
    File(usize),
}

/// What a lock keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Exclusive locks.
    Shared,
    /// Any lock.
    Exclusive,
}

impl Kind {
    fn collides_with(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// A lock of a range of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Owner,
    /// What it keeps others from.
    pub kind: Kind,
    /// Which bytes; those up to `u64::MAX` are all that will ever be.
    pub range: Range<u64>,
    /// The number, in the first pid namespace, of the process that has set it.
    pub process: u32,
}

impl Record {
    fn collides_with(&self, other: &Self) -> bool {
        let meets = self.range.start < other.range.end && other.range.start < self.range.end;
        meets && self.owner != other.owner && self.kind.collides_with(other.kind)
    }
}

/// The records of one file, in the order of their starts.
#[derive(Debug, Default)]
struct Records(Vec<Record>);

impl Records {
    fn collision(&self, wanted: &Record) -> Option<&Record> {
        self.0.iter().find(|held| held.collides_with(wanted))
    }

    /// Gives up what `owner` has of `range`; what reaches beyond stays.
    fn clear(&mut self, owner: Owner, range: &Range<u64>) {
        let mut beyond = Vec::new();
        self.0.retain_mut(|held| {
            if held.owner != owner || held.range.end <= range.start || range.end <= held.range.start {
                return true;
            }
            if range.end < held.range.end {
                beyond.push(Record { range: range.end..held.range.end, ..held.clone() });
            }
            held.range.end = range.start;
            !held.range.is_empty()
        });
        beyond.into_iter().for_each(|record| self.insert(record));
    }

    /// Sets a record in place of what its owner has there, as one with its neighbours of the same kind.
    fn set(&mut self, mut record: Record) {
        self.clear(record.owner, &record.range);
        self.0.retain(|held| {
            let alike = held.owner == record.owner && held.kind == record.kind;
            let touches = held.range.end == record.range.start || record.range.end == held.range.start;
            if alike && touches {
                record.range = held.range.start.min(record.range.start)..held.range.end.max(record.range.end);
            }
            !(alike && touches)
        });
        self.insert(record);
    }

    fn insert(&mut self, record: Record) {
        let place = self.0.partition_point(|held| held.range.start < record.range.start);
        self.0.insert(place, record);
    }
}

/// The locks of one file.
#[derive(Debug, Default)]
pub struct Locks {
    state: SpinLock<State>,
    /// Somebody has given up something.
    freed: WaitQueue,
}

#[derive(Debug, Default)]
struct State {
    records: Records,
    whole: BTreeMap<Owner, Kind>,
    /// Tickets in the graph of those who wait here.
    waiting: BTreeSet<u64>,
    /// What the locks cost whoever set the first of them.
    books: Option<KernelCharge>,
}

impl State {
    /// Pays for `more` locks than there are.
    fn pay(&mut self, more: usize, memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        let bytes = (self.records.0.len() + self.whole.len() + more) * LOCK_BYTES;
        Ok(self.books.get_or_insert_with(|| memory.kernel_charge()).resize(bytes)?)
    }

    /// Pays for those that there are.
    fn settle(&mut self) {
        let bytes = (self.records.0.len() + self.whole.len()) * LOCK_BYTES;
        if bytes == 0 {
            self.books = None;
        } else if let Some(books) = &mut self.books {
            // It is not more than was paid for.
            let _ = books.resize(bytes);
        }
    }

    /// Those who wait are about to look again: they wait for nobody.
    fn excuse(&mut self) {
        if !self.waiting.is_empty() {
            let mut graph = GRAPH.lock();
            core::mem::take(&mut self.waiting).iter().for_each(|ticket| {
                graph.remove(ticket);
            });
        }
    }
}

/// Who waits for whose record: the one who waits, and who holds it, by ticket. Only tables of descriptors are looked at,
/// since an open file waits for nobody.
static GRAPH: SpinLock<BTreeMap<u64, (Owner, Owner)>> = SpinLock::new(BTreeMap::new());
static TICKETS: AtomicU64 = AtomicU64::new(1);

/// Whether `from` waits, by however many others, for `to`.
fn waits_for(graph: &BTreeMap<u64, (Owner, Owner)>, from: Owner, to: Owner) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = Vec::from([from]);
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            next.extend(graph.values().filter(|(waiter, _)| *waiter == at).map(|(_, holder)| *holder));
        }
    }
    false
}

/// A wait for a record: it leaves the graph when it is given up.
#[derive(Debug)]
pub struct Wait<'a> {
    locks: &'a Locks,
    ticket: u64,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.locks.state.lock();
        if state.waiting.remove(&self.ticket) {
            GRAPH.lock().remove(&self.ticket);
        }
    }
}

impl Locks {
    /// A record that keeps `wanted` from being set (F_GETLK).
    pub fn collision(&self, wanted: &Record) -> Option<Record> {
        self.state.lock().records.collision(wanted).cloned()
    }

    /// Sets a record: EAGAIN when another's keeps it from that, ENOMEM.
    pub fn set(&self, record: Record, memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        {
            let mut state = self.state.lock();
            if state.records.collision(&record).is_some() {
                return Err(Errno::EAGAIN);
            }
            state.set(record, memory)?;
        }
        self.freed.wake_all();
        Ok(())
    }

    /// As a wait begins that ends when it is dropped.
    pub fn wait(&self) -> Wait<'_> {
        Wait { locks: self, ticket: TICKETS.fetch_add(1, Ordering::Relaxed) }
    }

    /// Gives up what `owner` has of `range`; ENOMEM when a record would be split and nobody pays for the second part.
    pub fn clear(&self, owner: Owner, range: &Range<u64>, memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        {
            let mut state = self.state.lock();
            let splits =
                |held: &Record| held.owner == owner && held.range.start < range.start && range.end < held.range.end;
            if state.records.0.iter().any(splits) {
                state.pay(1, memory)?;
            }
            state.records.clear(owner, range);
            state.settle();
            state.excuse();
        }
        self.freed.wake_all();
        Ok(())
    }

    /// Sets the whole lock of an open file, in place of the one that it has, which is given up first; EAGAIN, ENOMEM.
    pub fn set_whole(&self, owner: Owner, kind: Kind, memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        let result = {
            let mut state = self.state.lock();
            if state.whole.get(&owner) == Some(&kind) {
                return Ok(());
            }
            let had = state.whole.remove(&owner).is_some();
            let result = match state.whole.values().any(|held| held.collides_with(kind)) {
                true => Err(Errno::EAGAIN),
                false => state.pay(1, memory).map(|()| {
                    state.whole.insert(owner, kind);
                }),
            };
            state.settle();
            if !had && result.is_err() {
                return result;
            }
            result
        };
        self.freed.wake_all();
        result
    }

    /// As [`Self::set_whole`], as soon as it can be.
    pub fn poll_set_whole(
        &self,
        cx: &Context<'_>,
        owner: Owner,
        kind: Kind,
        memory: &Arc<MemoryGroup>,
    ) -> Poll<Result<(), Errno>> {
        self.freed.register(cx);
        match self.set_whole(owner, kind, memory) {
            Err(Errno::EAGAIN) => Poll::Pending,
            other => Poll::Ready(other),
        }
    }

    /// Gives up the whole lock of an open file.
    pub fn clear_whole(&self, owner: Owner) {
        {
            let mut state = self.state.lock();
            if state.whole.remove(&owner).is_none() {
                return;
            }
            state.settle();
        }
        self.freed.wake_all();
    }

    /// Gives up all records of `owner`.
    pub fn release(&self, owner: Owner) {
        {
            let mut state = self.state.lock();
            let before = state.records.0.len();
            state.records.0.retain(|held| held.owner != owner);
            if state.records.0.len() == before {
                return;
            }
            state.settle();
            state.excuse();
        }
        self.freed.wake_all();
    }
}

impl State {
    fn set(&mut self, record: Record, memory: &Arc<MemoryGroup>) -> Result<(), Errno> {
        // The new one, and the second part of one that it splits.
        self.pay(2, memory)?;
        self.records.set(record);
        self.settle();
        self.excuse();
        Ok(())
    }
}

impl Wait<'_> {
    /// Sets a record as soon as it can be; EDEADLK when it would never be, as others wait for its owner in turn.
    pub fn poll_set(&self, cx: &Context<'_>, record: &Record, memory: &Arc<MemoryGroup>) -> Poll<Result<(), Errno>> {
        self.locks.freed.register(cx);
        {
            let mut state = self.locks.state.lock();
            if state.waiting.remove(&self.ticket) {
                GRAPH.lock().remove(&self.ticket);
            }
            if let Some(holder) = state.records.collision(record).map(|held| held.owner) {
                if let (Owner::Table(_), Owner::Table(_)) = (record.owner, holder) {
                    let mut graph = GRAPH.lock();
                    if waits_for(&graph, holder, record.owner) {
                        return Poll::Ready(Err(Errno::EDEADLK));
                    }
                    graph.insert(self.ticket, (record.owner, holder));
                    drop(graph);
                    state.waiting.insert(self.ticket);
                }
                return Poll::Pending;
            }
            state.set(record.clone(), memory)?;
        }
        self.locks.freed.wake_all();
        Poll::Ready(Ok(()))
    }
}

impl Inode {
    /// Its locks, made when the first is asked for.
    pub fn locks(&self) -> &Locks {
        self.locks.call_once(Box::default)
    }

    /// `owner` gives up all its records.
    pub(super) fn release_records(&self, owner: Owner) {
        if let Some(locks) = self.locks.get() {
            locks.release(owner);
        }
    }

    /// An open file gives up all its locks.
    pub(super) fn release_locks(&self, owner: Owner) {
        if let Some(locks) = self.locks.get() {
            locks.release(owner);
            locks.clear_whole(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(owner: u64, kind: Kind, range: Range<u64>) -> Record {
        Record { owner: Owner::Table(owner), kind, range, process: 0 }
    }

    #[test]
    fn records_of_one_owner_are_split_and_joined() {
        let mut records = Records::default();
        records.set(record(1, Kind::Exclusive, 0..100));
        records.set(record(1, Kind::Shared, 40..60));
        let told = |records: &Records| records.0.iter().map(|r| (r.range.clone(), r.kind)).collect::<Vec<_>>();
        let (shared, exclusive) = (Kind::Shared, Kind::Exclusive);
        assert_eq!(told(&records), [(0..40, exclusive), (40..60, shared), (60..100, exclusive)]);
        records.set(record(1, Kind::Exclusive, 40..60));
        assert_eq!(told(&records), [(0..100, exclusive)]);
        records.clear(Owner::Table(1), &(50..u64::MAX));
        assert_eq!(told(&records), [(0..50, exclusive)]);
        assert!(records.collision(&record(2, Kind::Shared, 49..60)).is_some());
        assert!(records.collision(&record(2, Kind::Exclusive, 50..60)).is_none());
        assert!(records.collision(&record(1, Kind::Exclusive, 0..60)).is_none());
    }

    #[test]
    fn who_waits_in_a_circle_is_found() {
        let owner = Owner::Table;
        let graph = BTreeMap::from([(1, (owner(1), owner(2))), (2, (owner(2), owner(3))), (3, (owner(2), owner(4)))]);
        assert!(waits_for(&graph, owner(1), owner(4)));
        assert!(waits_for(&graph, owner(1), owner(1)));
        assert!(!waits_for(&graph, owner(3), owner(1)));
    }

    proptest! {
        /// Byte by byte, what an owner has is what a table of bytes would say.
        #[test]
        fn records_are_what_a_table_of_bytes_would_be(
            steps in proptest::collection::vec((0..3_u64, 0..3_u8, 0..32_u64, 1..32_u64), 1..40)
        ) {
            let mut records = Records::default();
            let mut table = [[None; 64]; 3];
            for (owner, action, start, length) in steps {
                let kind = [None, Some(Kind::Shared), Some(Kind::Exclusive)][action as usize];
                let range = start..start + length;
                match kind {
                    None => records.clear(Owner::Table(owner), &range),
                    Some(kind) => records.set(record(owner, kind, range.clone())),
                }
                range.for_each(|byte| table[owner as usize][byte as usize] = kind);
            }
            for owner in 0..3 {
                for byte in 0..64 {
                    let held: Vec<_> = records.0.iter()
                        .filter(|held| held.owner == Owner::Table(owner) && held.range.contains(&byte)).collect();
                    prop_assert!(held.len() <= 1);
                    prop_assert_eq!(held.first().map(|held| held.kind), table[owner as usize][byte as usize]);
                }
            }
        }
    }
}
