//! POSIX message queues (mq_overview(7)): named in their namespace, ordered by priority, behind descriptors.
//!
//! A queue that is unlinked lives on behind its open descriptors.

mod open;

pub use open::OpenQueue;

use super::{Caller, Limits, Permissions};
use crate::{
    cgroup::{ObjectCharge, ObjectPool},
    fs::Access,
    namespace::PidNamespace,
    sched::{self, WaitQueue},
    security::Capabilities,
    task::{self, Thread},
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::sync::SpinLock;

/// Priorities are below this (MQ_PRIO_MAX).
pub const PRIORITY_MAX: u32 = 32768;
/// The longest name, without its slash.
const NAME_MAX: usize = 255;
/// What a queue takes of the kernel heap, at most, its messages aside.
const QUEUE_BYTES: usize = 1024;
/// What a message takes besides its bytes.
const MESSAGE_BYTES: usize = 96;
/// The most that privileged users may ask for (HARD_MSGMAX, HARD_MSGSIZEMAX).
const HARD_MAX: Attributes = Attributes { messages: 65536, message_bytes: 16 << 20 };

/// Bytes that each user's queues come to, on the whole machine.
static USERS: SpinLock<BTreeMap<u32, u64>> = SpinLock::new(BTreeMap::new());

/// The queues of a namespace, by name.
#[derive(Debug, Default)]
pub struct PosixQueues(SpinLock<BTreeMap<Box<[u8]>, Arc<PosixQueue>>>);

/// What a queue holds (`struct mq_attr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The most messages.
    pub messages: u64,
    /// The most bytes of a message.
    pub message_bytes: u64,
}

/// What mq_open(3) is asked for.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest {
    /// To read, write or both.
    pub access: Access,
    /// O_CREAT, and O_EXCL with it.
    pub create: Option<bool>,
    /// Mode of a new queue, less the umask.
    pub mode: u32,
    /// Attributes of a new queue; `None` is the namespace's default.
    pub attributes: Option<Attributes>,
}

/// A queue.
#[derive(Debug)]
pub struct PosixQueue {
    permissions: SpinLock<Permissions>,
    attributes: Attributes,
    unlinked: AtomicBool,
    state: SpinLock<State>,
    /// Woken when a message has come.
    arrival: WaitQueue,
    /// Woken when there is more room.
    room: WaitQueue,
    pool: Arc<ObjectPool>,
    _bytes: UserBytes,
    _charge: ObjectCharge,
}

/// A message's bytes, and what they are charged to.
type Message = (Box<[u8]>, ObjectCharge);

#[derive(Debug, Default)]
struct State {
    /// By priority; no list is empty.
    messages: BTreeMap<u32, VecDeque<Message>>,
    count: u64,
    bytes: u64,
    /// Calls that wait for a message: they come before a notification.
    receivers: usize,
    notification: Option<Notification>,
}

#[derive(Debug)]
struct Notification {
    process: Weak<Thread>,
    /// The open file that it was asked through.
    through: usize,
    signal: Option<Signal>,
}

/// What of a user's allowance a queue takes. Given back when dropped.
#[derive(Debug)]
struct UserBytes {
    uid: u32,
    bytes: u64,
}

impl UserBytes {
    /// EMFILE when all of the user's would come to more than `most`.
    fn take(uid: u32, attributes: Attributes, most: u64) -> Result<Self, Errno> {
        // The formula of getrlimit(2), RLIMIT_MSGQUEUE: Linux's msg_msg and posix_msg_tree_node are 48 bytes each.
        let Attributes { messages, message_bytes } = attributes;
        let bytes = messages * 48 + messages.min(PRIORITY_MAX.into()) * 48 + messages * message_bytes;
        let mut users = USERS.lock();
        let used = users.get(&uid).copied().unwrap_or(0);
        if used + bytes > most {
            return Err(Errno::EMFILE);
        }
        users.insert(uid, used + bytes);
        Ok(Self { uid, bytes })
    }
}

impl Drop for UserBytes {
    fn drop(&mut self) {
        let mut users = USERS.lock();
        if let Some(used) = users.get_mut(&self.uid) {
            *used -= self.bytes;
            if *used == 0 {
                users.remove(&self.uid);
            }
        }
    }
}

/// EACCES for what cannot be a name in the one directory of queues.
fn check_name(name: &[u8]) -> Result<(), Errno> {
    match name {
        [] => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EACCES),
        _ if name.contains(&b'/') => Err(Errno::EACCES),
        _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

fn wanted(access: Access) -> u32 {
    let of = |wish, bits| if access.contains(wish) { bits } else { 0 };
    of(Access::READ, super::READ) | of(Access::WRITE, super::WRITE)
}

impl PosixQueues {
    /// mq_open(2), but for the descriptor.
    pub fn open(
        &self,
        caller: &Caller<'_>,
        limits: &Limits,
        name: &[u8],
        request: &OpenRequest,
    ) -> Result<Arc<OpenQueue>, Errno> {
        check_name(name)?;
        let mut queues = self.0.lock();
        if let Some(queue) = queues.get(name) {
            if request.create == Some(true) {
                return Err(Errno::EEXIST);
            }
            queue.permissions().permit_file(caller.credentials, wanted(request.access))?;
            return Ok(Arc::new(OpenQueue::new(queue, caller.pid)));
        }
        if request.create.is_none() {
            return Err(Errno::ENOENT);
        }
        let privileged = caller.credentials.capable(Capabilities::SYS_RESOURCE);
        if queues.len() >= limits.posix_queues as usize && !privileged {
            return Err(Errno::ENOSPC);
        }
        let attributes = request.attributes.unwrap_or(Attributes {
            messages: limits.posix_messages_default.min(limits.posix_messages).into(),
            message_bytes: limits.posix_message_bytes_default.min(limits.posix_message_bytes).into(),
        });
        let max = if privileged {
            HARD_MAX
        } else {
            Attributes { messages: limits.posix_messages.into(), message_bytes: limits.posix_message_bytes.into() }
        };
        if !(1..=max.messages).contains(&attributes.messages)
            || !(1..=max.message_bytes).contains(&attributes.message_bytes)
        {
            return Err(Errno::EINVAL);
        }
        let queue = Arc::new(PosixQueue {
            permissions: SpinLock::new(Permissions::new(0, request.mode, caller.credentials)),
            attributes,
            unlinked: AtomicBool::new(false),
            state: SpinLock::default(),
            arrival: WaitQueue::new(),
            room: WaitQueue::new(),
            pool: caller.pool.clone(),
            _bytes: UserBytes::take(caller.credentials.uid, attributes, caller.queue_bytes_max)?,
            _charge: caller.pool.charge(QUEUE_BYTES, caller.memory)?,
        });
        queues.insert(name.into(), queue.clone());
        Ok(Arc::new(OpenQueue::new(&queue, caller.pid)))
    }

    /// mq_unlink(2). The directory of queues is sticky: EACCES unless `caller` owns the queue or stands above owners.
    pub fn unlink(&self, caller: &Caller<'_>, name: &[u8]) -> Result<(), Errno> {
        check_name(name)?;
        let gone = {
            let mut queues = self.0.lock();
            let permissions = *queues.get(name).ok_or(Errno::ENOENT)?.permissions.lock();
            let who = caller.credentials;
            if who.fsuid != permissions.uid && !who.capable_in(caller.owner, Capabilities::FOWNER) {
                return Err(Errno::EACCES);
            }
            queues.remove(name)
        };
        if let Some(queue) = &gone {
            queue.unlinked.store(true, Ordering::Relaxed);
        }
        drop(gone);
        Ok(())
    }

    /// The names of all queues, for the `mqueue` file system.
    pub fn names(&self) -> Vec<Box<[u8]>> {
        self.0.lock().keys().cloned().collect()
    }

    /// The queue of a name, for the `mqueue` file system.
    pub fn find(&self, name: &[u8]) -> Option<Arc<PosixQueue>> {
        self.0.lock().get(name).cloned()
    }
}

impl PosixQueue {
    /// How much it holds at most.
    pub fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// Owner and mode.
    pub fn permissions(&self) -> Permissions {
        *self.permissions.lock()
    }

    /// chown(2) and chmod(2) of its file, already permitted.
    pub fn set_owner(&self, new: [u32; 3]) {
        self.permissions.lock().set(new);
    }

    /// Whether it has no name any more.
    pub fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Relaxed)
    }

    /// Messages in it.
    pub fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// What a read of its file shows, in the numbers of `viewer`.
    fn text(&self, viewer: &PidNamespace) -> String {
        const SIGEV_SIGNAL: u32 = 0;
        const SIGEV_NONE: u32 = 1;
        let state = self.state.lock();
        let told = state.notification.as_ref().and_then(|told| Some((told.process.upgrade()?, told.signal)));
        let (notify, signal) = match told {
            Some((_, Some(signal))) => (SIGEV_SIGNAL, signal.number()),
            Some((_, None)) => (SIGEV_NONE, 0),
            None => (0, 0),
        };
        let bytes = state.bytes;
        drop(state);
        let process = told.and_then(|(process, _)| process.pid().number_in(viewer)).unwrap_or(0);
        format!("QSIZE:{bytes:<10} NOTIFY:{notify:<5} SIGNO:{signal:<5} NOTIFY_PID:{process:<6}\n")
    }

    fn put(&self, priority: u32, bytes: Box<[u8]>, charge: ObjectCharge) -> Option<Notification> {
        let mut state = self.state.lock();
        state.count += 1;
        state.bytes += bytes.len() as u64;
        state.messages.entry(priority).or_default().push_back((bytes, charge));
        // It is told of the first message that nobody waits for, and once.
        if state.count == 1 && state.receivers == 0 { state.notification.take() } else { None }
    }

    /// mq_timedsend(2). `deadline_ns` is on the machine's clock; none waits for ever.
    pub async fn send(
        &self,
        caller: &Caller<'_>,
        priority: u32,
        bytes: Box<[u8]>,
        nonblocking: bool,
        deadline_ns: Option<u64>,
    ) -> Result<(), Errno> {
        if bytes.len() as u64 > self.attributes.message_bytes {
            return Err(Errno::EMSGSIZE);
        }
        let charge = self.pool.charge(MESSAGE_BYTES + bytes.len(), caller.memory)?;
        let mut message = Some((bytes, charge));
        let notification = self
            .wait(&self.room, nonblocking, deadline_ns, || {
                if self.state.lock().count >= self.attributes.messages {
                    return None;
                }
                let (bytes, charge) = message.take()?;
                Some(self.put(priority, bytes, charge))
            })
            .await?;
        self.arrival.wake_all();
        let told = notification.and_then(|told| Some((told.process.upgrade()?, told.signal?)));
        if let Some((process, signal)) = told {
            task::send(&process, signal);
        }
        Ok(())
    }

    /// mq_timedreceive(2): the oldest message of the highest priority.
    pub async fn receive(&self, nonblocking: bool, deadline_ns: Option<u64>) -> Result<(Box<[u8]>, u32), Errno> {
        let receiver = Receiver::new(self);
        let (bytes, priority, charge) = self
            .wait(&self.arrival, nonblocking, deadline_ns, || {
                let mut state = self.state.lock();
                let mut highest = state.messages.last_entry()?;
                let priority = *highest.key();
                let (bytes, charge) = highest.get_mut().pop_front()?;
                if highest.get().is_empty() {
                    highest.remove();
                }
                state.count -= 1;
                state.bytes -= bytes.len() as u64;
                Some((bytes, priority, charge))
            })
            .await?;
        drop((receiver, charge));
        self.room.wake_all();
        Ok((bytes, priority))
    }

    async fn wait<T>(
        &self,
        queue: &WaitQueue,
        nonblocking: bool,
        deadline_ns: Option<u64>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Errno> {
        let mut sleep = pin!(deadline_ns.map(sched::sleep_until));
        poll_fn(|cx| {
            queue.register(cx);
            if let Some(value) = ready() {
                return Poll::Ready(Ok(value));
            }
            if nonblocking {
                return Poll::Ready(Err(Errno::EAGAIN));
            }
            match sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(cx).map(|()| Err(Errno::ETIMEDOUT)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// A call that waits for a message.
struct Receiver<'a>(&'a PosixQueue);

impl<'a> Receiver<'a> {
    fn new(queue: &'a PosixQueue) -> Self {
        queue.state.lock().receivers += 1;
        Self(queue)
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        self.0.state.lock().receivers -= 1;
    }
}
