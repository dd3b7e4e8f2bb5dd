//! inotify(7): a queue of what happens to files that are watched.
//!
//! An inode knows its watches weakly, and an inotify holds them; a watch holds the name that it was made by, so that the
//! inode stays. What happens is told with no lock held.
//!
//! Lock order: an inode's watches, then an inotify's; a queue by itself.

use super::{Access, Caller, Dentry, FileObject, Inode, Location, Readiness, io::Sink};
use crate::{
    cgroup::{KernelCharge, MemoryGroup},
    sched::WaitQueue,
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use bitflags::bitflags;
use core::{
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    task::{Context, Poll},
};
use linux_raw_sys::general as linux;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

bitflags! {
    /// What happens to a file, what is asked to be told, and how.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Events: u32 {
        /// Read.
        const ACCESS = linux::IN_ACCESS;
        /// Written or cut.
        const MODIFY = linux::IN_MODIFY;
        /// Mode, owner, times, names or extended attributes.
        const ATTRIB = linux::IN_ATTRIB;
        /// Closed by who could write.
        const CLOSE_WRITE = linux::IN_CLOSE_WRITE;
        /// Closed by who could not.
        const CLOSE_NOWRITE = linux::IN_CLOSE_NOWRITE;
        /// Opened.
        const OPEN = linux::IN_OPEN;
        /// A name went elsewhere.
        const MOVED_FROM = linux::IN_MOVED_FROM;
        /// A name came from elsewhere.
        const MOVED_TO = linux::IN_MOVED_TO;
        /// A name was made.
        const CREATE = linux::IN_CREATE;
        /// A name was removed.
        const DELETE = linux::IN_DELETE;
        /// The file itself has no name any more.
        const DELETE_SELF = linux::IN_DELETE_SELF;
        /// The file itself got another name.
        const MOVE_SELF = linux::IN_MOVE_SELF;

        /// Events were lost.
        const OVERFLOW = linux::IN_Q_OVERFLOW;
        /// The watch is no more.
        const IGNORED = linux::IN_IGNORED;
        /// It happened to a directory.
        const DIRECTORY = linux::IN_ISDIR;

        /// Only a directory is watched.
        const ONLY_DIRECTORY = linux::IN_ONLYDIR;
        /// A symbolic link itself is.
        const DONT_FOLLOW = linux::IN_DONT_FOLLOW;
        /// What happens in a directory to files without a name is not told.
        const EXCLUDE_UNLINKED = linux::IN_EXCL_UNLINK;
        /// Fail if it is watched already.
        const MASK_CREATE = linux::IN_MASK_CREATE;
        /// To be told besides what was asked for before.
        const MASK_ADD = linux::IN_MASK_ADD;
        /// The first event is the last.
        const ONCE = linux::IN_ONESHOT;
    }
}

impl Events {
    /// What is told of.
    const TOLD: Self = Self::from_bits_truncate(linux::IN_ALL_EVENTS);
    /// What a watch remembers.
    const KEPT: Self = Self::TOLD.union(Self::EXCLUDE_UNLINKED).union(Self::ONCE);
}

/// The most events that wait, and the most watches of one inotify.
const QUEUE_MAX: usize = 16384;
const WATCHES_MAX: usize = 65536;
/// What an event and a watch take of the kernel heap, at most; an event's name aside.
const EVENT_BYTES: usize = 96;
const WATCH_BYTES: usize = 256;
/// `struct inotify_event` without its name.
const HEADER: usize = 16;

/// All watches there are: while there are none, nothing is looked at.
static WATCHES: AtomicUsize = AtomicUsize::new(0);
static COOKIES: AtomicU32 = AtomicU32::new(1);

/// What stands behind an inotify's descriptor.
#[derive(Debug)]
pub struct Inotify(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    watches: SpinLock<Watches>,
    queue: SpinLock<Queue>,
    arrival: WaitQueue,
}

#[derive(Debug)]
struct Watches {
    by_number: BTreeMap<i32, Arc<Watch>>,
    next: i32,
    books: KernelCharge,
}

#[derive(Debug)]
struct Queue {
    events: VecDeque<Event>,
    books: KernelCharge,
    /// Bytes of the heap that the events take.
    bytes: usize,
}

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    watch: i32,
    events: Events,
    cookie: u32,
    name: Option<Arc<[u8]>>,
}

impl Event {
    /// Bytes of the name as it is told: with a NUL, filled up.
    fn name_bytes(&self) -> usize {
        self.name.as_ref().map_or(0, |name| (name.len() + 1).next_multiple_of(HEADER))
    }

    fn cost(&self) -> usize {
        EVENT_BYTES + self.name.as_ref().map_or(0, |name| name.len())
    }
}

impl Queue {
    /// Puts an event last, unless it is that which is last already.
    fn push(&mut self, event: Event) {
        if self.events.back() == Some(&event) {
            return;
        }
        let cost = event.cost();
        let fits = self.events.len() < QUEUE_MAX && self.books.resize(self.bytes + cost).is_ok();
        let event = match fits {
            true => event,
            false => Event { watch: -1, events: Events::OVERFLOW, cookie: 0, name: None },
        };
        if fits {
            self.bytes += cost;
        } else if self.events.back() == Some(&event) {
            return;
        }
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if !event.events.contains(Events::OVERFLOW) {
            self.bytes -= event.cost();
        }
        // It is not more than was paid for.
        let _ = self.books.resize(self.bytes);
        Some(event)
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    inotify: Weak<Shared>,
    number: i32,
    mask: SpinLock<Events>,
    /// Keeps the inode.
    dentry: Arc<Dentry>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The watches of an inode.
pub(super) type Watchers = SpinLock<Vec<Weak<Watch>>>;

impl Watch {
    /// Tells the inotify, if that is what was asked for.
    fn tell(self: &Arc<Self>, events: Events, cookie: u32, name: Option<&Arc<[u8]>>, linked: bool) {
        let Some(inotify) = self.inotify.upgrade() else { return };
        let mask = *self.mask.lock();
        let unwanted = !linked && name.is_some() && mask.contains(Events::EXCLUDE_UNLINKED);
        if !mask.intersects(events & Events::TOLD) || unwanted {
            return;
        }
        let event = Event { watch: self.number, events, cookie, name: name.cloned() };
        inotify.queue.lock().push(event);
        if mask.contains(Events::ONCE) {
            inotify.remove(self.number);
        }
        inotify.arrival.wake_all();
    }
}

impl Shared {
    /// Ends a watch, which says so; whether there was one.
    fn remove(&self, number: i32) -> bool {
        let gone = {
            let mut watches = self.watches.lock();
            let gone = watches.by_number.remove(&number);
            let bytes = watches.by_number.len() * WATCH_BYTES;
            // It is not more than was paid for.
            let _ = watches.books.resize(bytes);
            gone
        };
        if gone.is_none() {
            return false;
        }
        self.queue.lock().push(Event { watch: number, events: Events::IGNORED, cookie: 0, name: None });
        self.arrival.wake_all();
        true
    }
}

/// The watches of an inode, as they are now.
fn watchers(inode: &Inode) -> Vec<Arc<Watch>> {
    inode.watchers.lock().iter().filter_map(Weak::upgrade).collect()
}

fn nobody_watches() -> bool {
    WATCHES.load(Ordering::Relaxed) == 0
}

/// Whether it is a directory that something happens to.
fn kind(inode: &Inode) -> Events {
    if inode.is_directory() { Events::DIRECTORY } else { Events::empty() }
}

/// Tells that a file has got one more name, in `directory`.
pub(super) fn notify_link(directory: &Inode, name: &[u8], linked: &Inode) {
    if !nobody_watches() {
        tell_of_names(linked);
        notify_name(directory, name, linked, Events::CREATE);
    }
}

/// Tells that `events` happen to the file at `dentry`: who watches it, and who watches its directory.
pub(super) fn notify(dentry: &Arc<Dentry>, events: Events) {
    if nobody_watches() {
        return;
    }
    let events = events | kind(dentry.inode());
    if let Some(place) = dentry.place()
        && let Some(parent) = place.parent.get()
    {
        watchers(parent.inode()).iter().for_each(|watch| watch.tell(events, 0, Some(&place.name), place.linked));
    }
    watchers(dentry.inode()).iter().for_each(|watch| watch.tell(events, 0, None, true));
}

/// Tells who watches `directory` that `events` happen to the name of `subject` in it.
pub(super) fn notify_name(directory: &Inode, name: &[u8], subject: &Inode, events: Events) {
    if !nobody_watches() {
        let name = name.into();
        watchers(directory).iter().for_each(|watch| watch.tell(events | kind(subject), 0, Some(&name), true));
    }
}

/// Tells that a name of `victim` in `directory` was removed, and perhaps its last.
pub(super) fn notify_removal(directory: &Inode, name: &[u8], victim: &Inode) {
    if !nobody_watches() {
        tell_of_names(victim);
        notify_name(directory, name, victim, Events::DELETE);
        tell_of_end(victim);
    }
}

/// The number of a file's names has changed.
fn tell_of_names(inode: &Inode) {
    if !inode.is_directory() {
        watchers(inode).iter().for_each(|watch| watch.tell(Events::ATTRIB, 0, None, true));
    }
}

/// A file that has no name any more is watched no more.
fn tell_of_end(inode: &Inode) {
    if inode.attributes().links > 0 {
        return;
    }
    for watch in watchers(inode) {
        watch.tell(Events::DELETE_SELF | kind(inode), 0, None, true);
        if let Some(inotify) = watch.inotify.upgrade() {
            inotify.remove(watch.number);
        }
    }
}

/// Tells that `moved` went from a name in a directory to another.
pub(super) fn notify_move(from: (&Inode, &[u8]), to: (&Inode, &[u8]), moved: &Inode, replaced: Option<&Inode>) {
    if nobody_watches() {
        return;
    }
    let cookie = COOKIES.fetch_add(1, Ordering::Relaxed);
    for ((directory, name), events) in [(from, Events::MOVED_FROM), (to, Events::MOVED_TO)] {
        let name = name.into();
        watchers(directory).iter().for_each(|watch| watch.tell(events | kind(moved), cookie, Some(&name), true));
    }
    replaced.into_iter().for_each(tell_of_names);
    watchers(moved).iter().for_each(|watch| watch.tell(Events::MOVE_SELF | kind(moved), 0, None, true));
    replaced.into_iter().for_each(tell_of_end);
}

impl Inotify {
    /// One that watches nothing; events and watches are charged to `memory`.
    pub fn new(memory: &Arc<MemoryGroup>) -> Self {
        let watches = Watches { by_number: BTreeMap::new(), next: 1, books: memory.kernel_charge() };
        let queue = Queue { events: VecDeque::new(), books: memory.kernel_charge(), bytes: 0 };
        Self(Arc::new(Shared {
            watches: SpinLock::new(watches),
            queue: SpinLock::new(queue),
            arrival: WaitQueue::new(),
        }))
    }

    /// Watches what is at `location` for `mask`; the number of the watch. EACCES where it may not be read, EEXIST, EINVAL
    /// for nothing to watch for, ENOSPC for one watch too many, ENOMEM.
    pub fn add(&self, caller: &Caller<'_>, location: &Location, mask: Events) -> Result<i32, Errno> {
        if !mask.intersects(Events::TOLD) || mask.contains(Events::MASK_ADD | Events::MASK_CREATE) {
            return Err(Errno::EINVAL);
        }
        let inode = location.inode();
        if mask.contains(Events::ONLY_DIRECTORY) && !inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        inode.permit(caller.credentials, Access::READ)?;
        let kept = mask & Events::KEPT;
        let mut own = inode.watchers.lock();
        let known = own.iter().filter_map(Weak::upgrade);
        let known: Vec<_> = known.filter(|watch| watch.inotify.as_ptr() == Arc::as_ptr(&self.0)).collect();
        if let Some(watch) = known.first() {
            if mask.contains(Events::MASK_CREATE) {
                return Err(Errno::EEXIST);
            }
            let mut now = watch.mask.lock();
            *now = if mask.contains(Events::MASK_ADD) { *now | kept } else { kept };
            return Ok(watch.number);
        }
        let mut watches = self.0.watches.lock();
        let count = watches.by_number.len() + 1;
        if count > WATCHES_MAX {
            return Err(Errno::ENOSPC);
        }
        watches.books.resize(count * WATCH_BYTES)?;
        let number = watches.next;
        watches.next = number.checked_add(1).ok_or(Errno::ENOSPC)?;
        let (inotify, dentry) = (Arc::downgrade(&self.0), location.dentry.clone());
        let watch = Arc::new(Watch { inotify, number, mask: SpinLock::new(kept), dentry });
        WATCHES.fetch_add(1, Ordering::Relaxed);
        own.retain(|watch| watch.strong_count() > 0);
        own.push(Arc::downgrade(&watch));
        watches.by_number.insert(number, watch);
        Ok(number)
    }

    /// Ends a watch; EINVAL.
    pub fn remove(&self, number: i32) -> Result<(), Errno> {
        if self.0.remove(number) { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

impl FileObject for Inotify {
    /// As many events as fit; EINVAL when not even one does.
    fn poll_read(&self, cx: &mut Context<'_>, sink: &mut dyn Sink) -> Poll<Result<usize, Errno>> {
        self.0.arrival.register(cx);
        let mut done = 0;
        loop {
            let event = {
                let mut queue = self.0.queue.lock();
                match queue.events.front() {
                    None if done == 0 => return Poll::Pending,
                    None => return Poll::Ready(Ok(done)),
                    Some(first) if HEADER + first.name_bytes() > sink.remaining() => {
                        return Poll::Ready(if done == 0 { Err(Errno::EINVAL) } else { Ok(done) });
                    }
                    Some(_) => queue.pop(),
                }
            };
            let Some(event) = event else { return Poll::Ready(Ok(done)) };
            let length = event.name_bytes();
            let words = [event.watch as u32, event.events.bits(), event.cookie, length as u32];
            let mut told: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            told.extend_from_slice(event.name.as_deref().unwrap_or_default());
            told.resize(HEADER + length, 0);
            if let Err(errno) = sink.put(&told) {
                return Poll::Ready(if done == 0 { Err(errno) } else { Ok(done) });
            }
            done += told.len();
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, _: Readiness) -> Readiness {
        self.0.arrival.register(cx);
        let is_empty = self.0.queue.lock().events.is_empty();
        if is_empty { Readiness::empty() } else { Readiness::READABLE }
    }

    fn readable_bytes(&self) -> Option<usize> {
        Some(self.0.queue.lock().events.iter().map(|event| HEADER + event.name_bytes()).sum())
    }

    fn description(&self, _: u64) -> String {
        String::from("anon_inode:inotify")
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let watches = core::mem::take(&mut self.0.watches.lock().by_number);
        watches.values().for_each(|watch| {
            let gone = Arc::downgrade(watch);
            watch.dentry.inode().watchers.lock().retain(|known| !known.ptr_eq(&gone));
        });
    }
}
