//! epoll(7): a descriptor that tells which of many files are ready.
//!
//! Each file that is watched is left a waker of its own. When that is woken, the watch takes its place among those to be
//! looked at, and whoever waits is woken; only those are looked at. A watch holds its file weakly: it ends with the
//! file's last descriptor.
//!
//! An epoll may watch another, but then that one watches no third: no chain is longer than two, so that there is no
//! circle (Linux: not longer than five).
//!
//! Lock order: the nesting lock, then the table of watches or the list of those to be looked at. No file is looked at, and
//! nothing is woken, under them.

use super::{File, FileObject, Readiness};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge, ObjectPool},
    sched::WaitQueue,
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    sync::{Arc, Weak},
    task::Wake,
    vec::Vec,
};
use bitflags::bitflags;
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};
use linux_raw_sys::general;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

bitflags! {
    /// How a watch tells, besides what it is asked for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Manner: u32 {
        /// Only after something has happened.
        const EDGE = general::EPOLLET;
        /// Once, until it is set again.
        const ONCE = general::EPOLLONESHOT;
        /// One of those who wait is enough; here all are woken, which is allowed.
        const EXCLUSIVE = general::EPOLLEXCLUSIVE;
        /// The machine does not sleep before it is handled; it never sleeps.
        const WAKEUP = general::EPOLLWAKEUP;
    }
}

/// What a watch is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// What is awaited.
    pub events: Readiness,
    /// How it is told.
    pub manner: Manner,
    /// What is told along with it.
    pub data: u64,
}

/// What a watch takes of the kernel heap, at most.
const WATCH_BYTES: usize = 384;
/// Dead watches are looked for when there are so many.
const SWEPT_AT: usize = 64;

/// Held over every change of who watches whom among epolls.
static NESTING: SpinLock<()> = SpinLock::new(());

/// What stands behind an epoll's descriptor.
#[derive(Debug, Default)]
pub struct Epoll(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// By descriptor and open file.
    watches: SpinLock<Watches>,
    /// To be looked at, each once.
    ready: SpinLock<VecDeque<Arc<Watch>>>,
    /// Woken when there is something to be looked at.
    arrival: WaitQueue,
    /// How many epolls it watches, and how many watch it. Changed under the nesting lock alone.
    below: AtomicUsize,
    above: AtomicUsize,
    pool: Arc<ObjectPool>,
}

#[derive(Debug, Default)]
struct Watches {
    by_file: BTreeMap<(i32, usize), Arc<Watch>>,
    swept_at: usize,
}

#[derive(Debug)]
struct Watch {
    file: Weak<File>,
    epoll: Weak<Shared>,
    /// The epoll that it watches, if it is one.
    nested: Option<Weak<Shared>>,
    /// None once it is deleted.
    interest: SpinLock<Option<Interest>>,
    /// It stands among those to be looked at.
    listed: AtomicBool,
    _charge: ObjectCharge,
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        if let Some(epoll) = self.epoll.upgrade() {
            epoll.list(self);
            epoll.arrival.wake_all();
        }
    }
}

impl Watch {
    /// What is true of what is awaited. The watch is woken when more becomes so.
    fn look(self: &Arc<Self>, file: &File, interest: &Interest) -> Readiness {
        let waker = Waker::from(self.clone());
        let wanted = interest.events | Readiness::ALWAYS;
        file.poll_ready(&mut Context::from_waker(&waker), wanted) & wanted
    }

    /// It tells nothing any more.
    fn end(&self) {
        let was = self.interest.lock().take();
        if was.is_some()
            && let Some(nested) = &self.nested
        {
            let _nesting = NESTING.lock();
            let ends = [(nested.upgrade(), true), (self.epoll.upgrade(), false)];
            for (epoll, is_below) in ends.iter().filter_map(|(epoll, below)| Some((epoll.as_ref()?, below))) {
                let count = if *is_below { &epoll.above } else { &epoll.below };
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Shared {
    fn list(&self, watch: Arc<Watch>) {
        if !watch.listed.swap(true, Ordering::Relaxed) {
            self.ready.lock().push_back(watch);
        }
    }
}

impl Epoll {
    /// Watches `file`, which `fd` stands for. EPERM for what is always ready, EEXIST, EINVAL for itself, ELOOP, ENOMEM.
    pub fn add(&self, fd: i32, file: &Arc<File>, interest: Interest, memory: &MemoryGroup) -> Result<(), Errno> {
        if file.any_object().is_none() || file.inode().is_directory() {
            return Err(Errno::EPERM);
        }
        let nested = file.object::<Self>().map(|epoll| &epoll.0);
        if nested.is_some_and(|nested| Arc::ptr_eq(nested, &self.0)) {
            return Err(Errno::EINVAL);
        }
        let watch = Arc::new(Watch {
            file: Arc::downgrade(file),
            epoll: Arc::downgrade(&self.0),
            nested: nested.map(Arc::downgrade),
            interest: SpinLock::new(Some(interest)),
            listed: AtomicBool::new(false),
            _charge: self.0.pool.charge(WATCH_BYTES, memory)?,
        });
        let nesting = nested.map(|nested| (NESTING.lock(), nested));
        if let Some((_, nested)) = &nesting
            && (self.0.above.load(Ordering::Relaxed) > 0 || nested.below.load(Ordering::Relaxed) > 0)
        {
            return Err(Errno::ELOOP);
        }
        let dead = {
            let mut watches = self.0.watches.lock();
            let key = (fd, Arc::as_ptr(file).addr());
            if watches.by_file.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            let dead = watches.sweep();
            watches.by_file.insert(key, watch.clone());
            dead
        };
        if let Some((_, nested)) = &nesting {
            nested.above.fetch_add(1, Ordering::Relaxed);
            self.0.below.fetch_add(1, Ordering::Relaxed);
        }
        drop(nesting);
        dead.iter().for_each(|watch| watch.end());
        self.look_at(&watch, file, &interest);
        Ok(())
    }

    /// Sets a watch anew; ENOENT. EINVAL for one that is, or is to be, exclusive.
    pub fn modify(&self, fd: i32, file: &Arc<File>, interest: Interest) -> Result<(), Errno> {
        let watch = self.find(fd, file)?;
        {
            let mut old = watch.interest.lock();
            let is_exclusive = |one: &Interest| one.manner.contains(Manner::EXCLUSIVE);
            if is_exclusive(&interest) || old.as_ref().is_some_and(is_exclusive) {
                return Err(Errno::EINVAL);
            }
            *old.as_mut().ok_or(Errno::ENOENT)? = interest;
        }
        self.look_at(&watch, file, &interest);
        Ok(())
    }

    /// Ends a watch; ENOENT.
    pub fn delete(&self, fd: i32, file: &Arc<File>) -> Result<(), Errno> {
        let gone = self.0.watches.lock().by_file.remove(&(fd, Arc::as_ptr(file).addr()));
        gone.ok_or(Errno::ENOENT)?.end();
        Ok(())
    }

    fn find(&self, fd: i32, file: &Arc<File>) -> Result<Arc<Watch>, Errno> {
        self.0.watches.lock().by_file.get(&(fd, Arc::as_ptr(file).addr())).cloned().ok_or(Errno::ENOENT)
    }

    /// What is true already is told too.
    fn look_at(&self, watch: &Arc<Watch>, file: &File, interest: &Interest) {
        if !watch.look(file, interest).is_empty() {
            self.0.list(watch.clone());
            self.0.arrival.wake_all();
        }
    }

    /// Gives `tell` what is ready, at most `most` times, and counts; pending while nothing is. What `tell` fails for is told
    /// again.
    pub fn poll_wait(
        &self,
        cx: &Context<'_>,
        most: usize,
        mut tell: impl FnMut(usize, Readiness, u64) -> Result<(), Errno>,
    ) -> Poll<Result<usize, Errno>> {
        self.0.arrival.register(cx);
        let mut told = 0;
        let mut again = Vec::new();
        let mut outcome = Ok(());
        // Each is looked at once: what is listed meanwhile is for the next call.
        let mut left = self.0.ready.lock().len();
        while told < most && left > 0 && outcome.is_ok() {
            left -= 1;
            let Some(watch) = self.0.ready.lock().pop_front() else { break };
            // Who is woken from here on takes a place anew.
            watch.listed.store(false, Ordering::Relaxed);
            let interest = *watch.interest.lock();
            let (Some(interest), Some(file)) = (interest, watch.file.upgrade()) else { continue };
            if interest.events.is_empty() {
                continue;
            }
            let ready = watch.look(&file, &interest);
            if ready.is_empty() {
                continue;
            }
            outcome = tell(told, ready, interest.data);
            if outcome.is_err() {
                again.push(watch);
                break;
            }
            told += 1;
            if interest.manner.contains(Manner::ONCE) {
                if let Some(interest) = watch.interest.lock().as_mut() {
                    interest.events = Readiness::empty();
                }
            } else if !interest.manner.contains(Manner::EDGE) {
                again.push(watch);
            }
        }
        if !again.is_empty() {
            again.into_iter().for_each(|watch| self.0.list(watch));
            // Somebody else who waits may have found the list empty.
            self.0.arrival.wake_all();
        }
        match outcome {
            Err(errno) if told == 0 => Poll::Ready(Err(errno)),
            _ if told > 0 => Poll::Ready(Ok(told)),
            _ => Poll::Pending,
        }
    }
}

impl Watches {
    /// Takes out those whose file has gone, now and then.
    fn sweep(&mut self) -> Vec<Arc<Watch>> {
        if self.by_file.len() < self.swept_at.max(SWEPT_AT) {
            return Vec::new();
        }
        let is_dead = |watch: &Arc<Watch>| watch.file.strong_count() == 0;
        let dead = self.by_file.values().filter(|watch| is_dead(watch)).cloned().collect();
        self.by_file.retain(|_, watch| !is_dead(watch));
        self.swept_at = self.by_file.len() * 2;
        dead
    }
}

impl FileObject for Epoll {
    /// Ready while one of those that it watches is.
    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        self.0.arrival.register(cx);
        let listed: Vec<Arc<Watch>> = self.0.ready.lock().iter().cloned().collect();
        let is_ready = |watch: &Arc<Watch>| {
            let interest = *watch.interest.lock();
            let armed = interest.filter(|interest| !interest.events.is_empty()).zip(watch.file.upgrade());
            armed.is_some_and(|(interest, file)| !watch.look(&file, &interest).is_empty())
        };
        if listed.iter().any(is_ready) { Readiness::READABLE } else { Readiness::empty() }
    }

    fn description(&self, _: u64) -> String {
        String::from("anon_inode:[eventpoll]")
    }
}

impl Drop for Epoll {
    /// The last descriptor is closed: nothing is watched any more.
    fn drop(&mut self) {
        let watches = core::mem::take(&mut self.0.watches.lock().by_file);
        watches.values().for_each(|watch| watch.end());
        let listed = core::mem::take(&mut *self.0.ready.lock());
        drop((watches, listed));
    }
}
