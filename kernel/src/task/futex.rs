//! Futexes (futex(2)): threads that wait until a word of memory changes, woken by who changes it.

use super::Thread;
use crate::{
    mm::{AddressSpace, PageSource},
    sched,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Poll, Waker},
};
use veridian_containers::abi::Errno;
use veridian_hal::{UserAddr, sync::SpinLock};

/// A wake for every waiter, whatever it waits for.
pub const ANY: u32 = u32::MAX;

/// In the word of a robust lock: who has it, that its owner died, that others wait.
const OWNER_MASK: u32 = 0x3fff_ffff;
const OWNER_DIED: u32 = 0x4000_0000;
const WAITERS: u32 = 0x8000_0000;
/// Locks of a list that are looked at: a list may be a circle.
const ROBUST_LIST_MAX: usize = 2048;

/// Which word it is, to all who share it.
#[derive(Clone)]
pub enum Key {
    /// Of one address space.
    Private(usize, usize),
    /// Of memory that several may map: the byte of its source, which each may have opened by itself.
    Shared(Arc<dyn PageSource>, u64),
}

/// What is the same for all sources of the same pages.
fn source_number(source: &Arc<dyn PageSource>) -> usize {
    source.identity().unwrap_or_else(|| Arc::as_ptr(source).addr())
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Private(a, b), Self::Private(c, d)) => (a, b) == (c, d),
            (Self::Shared(a, b), Self::Shared(c, d)) => source_number(a) == source_number(c) && b == d,
            _ => false,
        }
    }
}

impl Key {
    /// The key of the word at `address`. EINVAL if it is not aligned, EFAULT if nothing is mapped there.
    pub fn of(space: &Arc<AddressSpace>, address: UserAddr, private: bool) -> Result<Self, Errno> {
        if !address.0.is_multiple_of(size_of::<u32>()) {
            return Err(Errno::EINVAL);
        }
        let shared = if private { None } else { space.shared_place(address)? };
        Ok(match shared {
            Some((source, byte)) => Self::Shared(source, byte),
            None => Self::Private(Arc::as_ptr(space) as usize, address.0),
        })
    }

    fn bucket(&self) -> usize {
        let words = match self {
            Self::Private(space, address) => [*space >> 4, *address >> 2],
            Self::Shared(source, byte) => [source_number(source) >> 4, *byte as usize >> 2],
        };
        (words[0].wrapping_mul(31) ^ words[1]) % BUCKETS
    }
}

const BUCKETS: usize = 64;

/// Who waits, by the bucket of the word's key, in the order of coming. Of two buckets the lower is locked first.
static WAITING: [SpinLock<Vec<Arc<Waiter>>>; BUCKETS] = [const { SpinLock::new(Vec::new()) }; BUCKETS];

struct Waiter {
    /// What it waits for; changed under the locks of both buckets.
    key: SpinLock<Key>,
    /// A wake is for who waits for one of its bits.
    bits: u32,
    woken: AtomicBool,
    /// Where it stands; changed under the locks of both buckets.
    bucket: AtomicUsize,
    waker: SpinLock<Option<Waker>>,
}

impl Waiter {
    fn waits_for(&self, key: &Key, bits: u32) -> bool {
        self.bits & bits != 0 && *self.key.lock() == *key
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A waiter's place, given up when it goes. A wake that it has not used goes to the next one.
struct Place {
    waiter: Arc<Waiter>,
    used: bool,
}

impl Place {
    /// Leaves, unless it was woken; tells whether it was.
    fn leave(&mut self) -> bool {
        while !self.waiter.woken.load(Ordering::Acquire) {
            let mut bucket = WAITING[self.waiter.bucket.load(Ordering::Acquire)].lock();
            if let Some(place) = bucket.iter().position(|waiter| Arc::ptr_eq(waiter, &self.waiter)) {
                let gone = bucket.remove(place);
                drop(bucket);
                drop(gone);
                self.used = true;
                return false;
            }
            // It was moved or woken just now.
            drop(bucket);
            core::hint::spin_loop();
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.used && self.leave() {
            let key = self.waiter.key.lock().clone();
            wake(&key, 1, self.waiter.bits);
        }
    }
}

/// Waits until it is woken, if the word at `address` is `value`: EAGAIN if it is not, ETIMEDOUT at the deadline.
pub async fn wait(
    space: &Arc<AddressSpace>,
    address: UserAddr,
    private: bool,
    value: u32,
    bits: u32,
    deadline_ns: Option<u64>,
) -> Result<(), Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = Key::of(space, address, private)?;
    let at = key.bucket();
    let (woken, waker) = (AtomicBool::new(false), SpinLock::new(None));
    let waiter = Arc::new(Waiter { key: SpinLock::new(key), bits, woken, bucket: AtomicUsize::new(at), waker });
    let mut place = loop {
        let mut bucket = WAITING[at].lock();
        let mut word = [0; 4];
        if space.page_table().read(address, &mut word).is_ok() {
            // Under the lock: who changes the word wakes after that, and finds the waiter.
            if u32::from_ne_bytes(word) != value {
                return Err(Errno::EAGAIN);
            }
            bucket.push(waiter.clone());
            break Place { waiter, used: false };
        }
        drop(bucket);
        // The page was not there: it is brought in, which may be done with no lock held.
        space.read::<u32>(address)?;
    };
    let mut sleep = pin!(deadline_ns.map(sched::sleep_until));
    poll_fn(|cx| {
        let before = place.waiter.waker.lock().replace(cx.waker().clone());
        drop(before);
        if place.waiter.woken.load(Ordering::Acquire) {
            place.used = true;
            return Poll::Ready(Ok(()));
        }
        let Some(sleep) = sleep.as_mut().as_pin_mut() else { return Poll::Pending };
        sleep.poll(cx).map(|()| {
            let woken = place.leave();
            place.used = true;
            if woken { Ok(()) } else { Err(Errno::ETIMEDOUT) }
        })
    })
    .await
}

/// Wakes up to `count`, one at least, of those who wait for the word and one of `bits`; tells how many.
pub fn wake(key: &Key, count: usize, bits: u32) -> usize {
    let mut others: Vec<Arc<Waiter>> = Vec::new();
    let mut bucket = WAITING[key.bucket()].lock();
    // Mostly there is one: that takes no list.
    let Some(first) = bucket.iter().position(|waiter| waiter.waits_for(key, bits)) else { return 0 };
    let first = bucket.remove(first);
    if count > 1 {
        take(&mut bucket, key, count - 1, bits, &mut others);
    }
    drop(bucket);
    first.wake();
    others.iter().for_each(|waiter| waiter.wake());
    1 + others.len()
}

/// Wakes up to `count` of those who wait for the word `from`, and has up to `moved` of the others wait for `to`; tells
/// how many of each. `unchanged` is asked with both locks held: EAGAIN when it says no.
pub fn requeue(
    from: &Key,
    to: &Key,
    count: usize,
    moved: usize,
    unchanged: impl FnOnce() -> Result<(), Errno>,
) -> Result<(usize, usize), Errno> {
    let (source, target) = (from.bucket(), to.bucket());
    let mut woken: Vec<Arc<Waiter>> = Vec::new();
    let mut movers: Vec<Arc<Waiter>> = Vec::new();
    let mut low = WAITING[source.min(target)].lock();
    let mut high = (source != target).then(|| WAITING[source.max(target)].lock());
    unchanged()?;
    let own = match &mut high {
        Some(high) if source > target => &mut **high,
        _ => &mut *low,
    };
    take(own, from, count, ANY, &mut woken);
    take(own, from, moved, ANY, &mut movers);
    let others = match &mut high {
        Some(high) if target > source => &mut **high,
        _ => &mut *low,
    };
    let changed = movers.len();
    let mut left: Vec<Key> = Vec::with_capacity(changed);
    for waiter in movers {
        waiter.bucket.store(target, Ordering::Release);
        left.push(core::mem::replace(&mut *waiter.key.lock(), to.clone()));
        others.push(waiter);
    }
    drop(high);
    drop(low);
    drop(left);
    woken.iter().for_each(|waiter| waiter.wake());
    Ok((woken.len(), changed))
}

/// Takes the first `count` of who waits for `key` and one of `bits` out of a bucket.
fn take(bucket: &mut Vec<Arc<Waiter>>, key: &Key, count: usize, bits: u32, taken: &mut Vec<Arc<Waiter>>) {
    let mut left = count;
    taken.extend(bucket.extract_if(.., |waiter| {
        let fits = left > 0 && waiter.waits_for(key, bits);
        left -= usize::from(fits);
        fits
    }));
}

/// A thread ends, or its program does: locks that it has are marked as a dead man's, and the word is cleared that others
/// wait for its end by (set_tid_address(2)).
pub(super) fn clean_up(thread: &Thread) {
    let Some(space) = thread.try_space() else { return };
    let head = thread.robust_list();
    if head != UserAddr(0) {
        thread.set_robust_list(UserAddr(0));
        // A list that cannot be read ends there.
        let _ = release_robust_locks(&space, head, thread.pid().number());
    }
    let word = thread.cleared_at_end();
    if word != UserAddr(0) {
        thread.set_cleared_at_end(UserAddr(0));
        if space.write(word, &0u32).is_ok()
            && let Ok(key) = Key::of(&space, word, false)
        {
            wake(&key, 1, ANY);
        }
    }
}

/// Walks `struct robust_list_head` and what hangs on it (get_robust_list(2)).
fn release_robust_locks(space: &Arc<AddressSpace>, head: UserAddr, owner: u32) -> Result<(), Errno> {
    let [first, offset, pending]: [usize; 3] = space.read(head)?;
    let lock_of = |entry: usize| UserAddr((entry & !1).wrapping_add(offset));
    let mut entry = first;
    for _ in 0..ROBUST_LIST_MAX {
        if entry & !1 == head.0 {
            break;
        }
        let next: usize = space.read(UserAddr(entry & !1))?;
        if entry & !1 != pending & !1 {
            release_lock(space, lock_of(entry), owner)?;
        }
        entry = next;
    }
    if pending & !1 != 0 { release_lock(space, lock_of(pending), owner) } else { Ok(()) }
}

fn release_lock(space: &Arc<AddressSpace>, lock: UserAddr, owner: u32) -> Result<(), Errno> {
    let key = Key::of(space, lock, false)?;
    let mut waits = false;
    change_word(space, lock, |word| {
        let own = word & OWNER_MASK == owner;
        waits = own && word & WAITERS != 0;
        own.then_some(word & WAITERS | OWNER_DIED)
    })?;
    if waits {
        wake(&key, 1, ANY);
    }
    Ok(())
}

/// Changes a word of user memory in one step, unless `change` gives none; tells what it was.
pub fn change_word(
    space: &AddressSpace,
    address: UserAddr,
    mut change: impl FnMut(u32) -> Option<u32>,
) -> Result<u32, Errno> {
    let frame = space.writable_frame(address.page_start())?;
    let word = frame.word(address.page_offset());
    let changed = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, &mut change);
    Ok(changed.unwrap_or_else(|same| same))
}
