//! System V message queues (msgget(2), msgop(2), msgctl(2)).

use super::{Caller, Limits, Permissions, Remembered, Viewer, now_s, table::*};
use crate::{cgroup::ObjectCharge, sched::WaitQueue, security::Capabilities};
use alloc::{boxed::Box, collections::VecDeque, format, string::String, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// What a queue takes of the kernel heap, at most, its messages aside.
const QUEUE_BYTES: usize = 512;
/// What a message takes besides its bytes.
const MESSAGE_BYTES: usize = 96;

/// The queues of a namespace.
#[derive(Debug, Default)]
pub struct Queues {
    table: SpinLock<Table<Arc<Queue>>>,
}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    id: Id,
    state: SpinLock<State>,
    /// Woken when a message has come, and when the queue is gone.
    arrival: WaitQueue,
    /// Woken when there is more room, and when the queue is gone.
    room: WaitQueue,
    _charge: ObjectCharge,
}

#[derive(Debug)]
struct State {
    permissions: Permissions,
    messages: VecDeque<Message>,
    bytes: usize,
    bytes_max: usize,
    removed: bool,
    /// Seconds of the last msgsnd, msgrcv and change.
    times: [i64; 3],
    last_sender: Remembered,
    last_receiver: Remembered,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// What a receiver may choose by; above 0.
    pub kind: i64,
    /// What was sent.
    pub bytes: Box<[u8]>,
    _charge: ObjectCharge,
}

/// Which message a receiver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first.
    Any,
    /// The first of this type.
    Kind(i64),
    /// The first of another type (MSG_EXCEPT).
    Other(i64),
    /// The first of the lowest type that is not above this.
    UpTo(i64),
}

/// What IPC_STAT tells.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its id.
    pub id: Id,
    /// Who may what.
    pub permissions: Permissions,
    /// Seconds of the last msgsnd, msgrcv and change.
    pub times: [i64; 3],
    /// Bytes in it, messages in it, and bytes that it holds at most.
    pub fill: [u64; 3],
    /// Who sent last.
    pub last_sender: Remembered,
    /// Who received last.
    pub last_receiver: Remembered,
}

impl State {
    fn choose(&self, choice: Choice) -> Option<usize> {
        match choice {
            Choice::Any => (!self.messages.is_empty()).then_some(0),
            Choice::Kind(kind) => self.messages.iter().position(|message| message.kind == kind),
            Choice::Other(kind) => self.messages.iter().position(|message| message.kind != kind),
            Choice::UpTo(kind) => {
                let fit = self.messages.iter().enumerate().filter(|(_, message)| message.kind <= kind);
                fit.min_by_key(|(place, message)| (message.kind, *place)).map(|(place, _)| place)
            }
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= self.bytes_max && self.messages.len() < self.bytes_max
    }
}

impl Queues {
    /// msgget(2).
    pub fn get(&self, caller: &Caller<'_>, limits: &Limits, key: i32, mode: u32) -> Result<i32, Errno> {
        let mut table = self.table.lock();
        let id = match table.get(key, get_flags(mode), limits.queues as usize)? {
            Found::Old(id, queue) => {
                let permissions = queue.state.lock().permissions;
                return permissions.permit(caller.credentials, caller.owner, mode & 0o777).map(|()| id.0);
            }
            Found::New(id) => id,
        };
        let state = State {
            permissions: Permissions::new(key, mode, caller.credentials),
            messages: VecDeque::new(),
            bytes: 0,
            bytes_max: limits.queue_bytes as usize,
            removed: false,
            times: [0, 0, now_s()],
            last_sender: Remembered::default(),
            last_receiver: Remembered::default(),
        };
        let queue = Queue {
            id,
            state: SpinLock::new(state),
            arrival: WaitQueue::new(),
            room: WaitQueue::new(),
            _charge: caller.pool.charge(QUEUE_BYTES, caller.memory)?,
        };
        table.insert(id, key, Arc::new(queue));
        Ok(id.0)
    }

    fn find(&self, id: i32) -> Result<Arc<Queue>, Errno> {
        self.table.lock().find(id).cloned()
    }

    /// msgsnd(2); EAGAIN instead of waiting for room, if not to `wait`.
    pub async fn send(
        &self,
        caller: &Caller<'_>,
        id: i32,
        kind: i64,
        bytes: Box<[u8]>,
        wait: bool,
    ) -> Result<(), Errno> {
        let queue = self.find(id)?;
        queue.state.lock().permissions.permit(caller.credentials, caller.owner, super::WRITE)?;
        let charge = caller.pool.charge(MESSAGE_BYTES + bytes.len(), caller.memory)?;
        let mut message = Some(Message { kind, bytes, _charge: charge });
        let last = Remembered::new(caller.pid);
        let sent = queue.room.wait_until(|| {
            let mut state = queue.state.lock();
            let length = message.as_ref().map_or(0, |message| message.bytes.len());
            if state.removed {
                return Some(Err(Errno::EIDRM));
            }
            if !state.has_room(length) {
                return if wait { None } else { Some(Err(Errno::EAGAIN)) };
            }
            state.messages.extend(message.take());
            state.bytes += length;
            (state.times[0], state.last_sender) = (now_s(), last.clone());
            Some(Ok(()))
        });
        sent.await?;
        queue.arrival.wake_all();
        Ok(())
    }

    /// msgrcv(2): E2BIG for a message that is longer than `max`, unless it may be `cut`; ENOMSG instead of waiting, if not
    /// to `wait`.
    pub async fn receive(
        &self,
        caller: &Caller<'_>,
        id: i32,
        choice: Choice,
        max: usize,
        cut: bool,
        wait: bool,
    ) -> Result<Message, Errno> {
        let queue = self.find(id)?;
        let last = Remembered::new(caller.pid);
        let received = queue.arrival.wait_until(|| {
            let mut state = queue.state.lock();
            if state.removed {
                return Some(Err(Errno::EIDRM));
            }
            if let Err(errno) = state.permissions.permit(caller.credentials, caller.owner, super::READ) {
                return Some(Err(errno));
            }
            let Some(place) = state.choose(choice) else {
                return if wait { None } else { Some(Err(Errno::ENOMSG)) };
            };
            if state.messages[place].bytes.len() > max && !cut {
                return Some(Err(Errno::E2BIG));
            }
            let message = state.messages.remove(place)?;
            state.bytes -= message.bytes.len();
            (state.times[1], state.last_receiver) = (now_s(), last.clone());
            Some(Ok(message))
        });
        let message = received.await?;
        queue.room.wake_all();
        Ok(message)
    }

    /// IPC_STAT: for who may read.
    pub fn status(&self, caller: &Caller<'_>, id: i32) -> Result<Status, Errno> {
        let queue = self.find(id)?;
        let status = queue.status();
        status.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        Ok(status)
    }

    /// MSG_STAT_ANY: of a place in the table; with `caller`, for who may read (MSG_STAT).
    pub fn status_at(&self, caller: Option<&Caller<'_>>, index: i32) -> Result<Status, Errno> {
        let queue = self.table.lock().at(index).map(|(_, queue)| queue.clone())?;
        let status = queue.status();
        if let Some(caller) = caller {
            status.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        }
        Ok(status)
    }

    /// IPC_SET; more bytes than the namespace's limit need CAP_SYS_RESOURCE.
    pub fn set(
        &self,
        caller: &Caller<'_>,
        limits: &Limits,
        id: i32,
        new: [u32; 3],
        bytes_max: u64,
    ) -> Result<(), Errno> {
        let queue = self.find(id)?;
        {
            let mut state = queue.state.lock();
            state.permissions.permit_change(caller.credentials, caller.owner)?;
            if bytes_max > limits.queue_bytes.into() && !caller.credentials.capable(Capabilities::SYS_RESOURCE) {
                return Err(Errno::EPERM);
            }
            let bytes_max = usize::try_from(bytes_max).map_err(|_| Errno::EINVAL)?;
            state.permissions.set(new);
            state.bytes_max = bytes_max;
            state.times[2] = now_s();
        }
        // Who waits may have lost the right to, or got room.
        queue.room.wake_all();
        queue.arrival.wake_all();
        Ok(())
    }

    /// IPC_RMID: the messages are gone, and who waits fails with EIDRM.
    pub fn remove(&self, caller: &Caller<'_>, id: i32) -> Result<(), Errno> {
        let queue = self.find(id)?;
        let messages = {
            let mut state = queue.state.lock();
            state.permissions.permit_change(caller.credentials, caller.owner)?;
            state.removed = true;
            core::mem::take(&mut state.messages)
        };
        let gone = self.table.lock().remove(queue.id);
        drop((gone, messages));
        queue.room.wake_all();
        queue.arrival.wake_all();
        Ok(())
    }

    /// Queues, messages and bytes of all of them, and the highest place taken.
    pub fn usage(&self) -> (usize, u64, u64, usize) {
        let all = self.all();
        let sum = |index: usize| all.iter().map(|one| one.fill[index]).sum();
        (all.len(), sum(1), sum(0), self.table.lock().highest())
    }

    fn all(&self) -> Vec<Status> {
        self.table.lock().iter().map(|(_, queue)| queue.status()).collect()
    }

    /// `/proc/sysvipc/msg`.
    pub fn text(&self, viewer: &Viewer<'_>) -> String {
        let mut text = String::from(
            "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime\
             \u{20}     ctime\n",
        );
        for one in self.all() {
            let p = one.permissions;
            let ([sent, received, changed], [bytes, count, _]) = (one.times, one.fill);
            let [uid, gid, creator_uid, creator_gid] = viewer.owners(&p);
            text += &format!(
                "{:10} {:10}  {:4o}  {bytes:10} {count:10} {:5} {:5} {uid:5} {gid:5} {creator_uid:5} {creator_gid:5} \
                 {sent:10} {received:10} {changed:10}\n",
                p.key,
                one.id.0,
                p.mode,
                one.last_sender.number_in(viewer.pids),
                one.last_receiver.number_in(viewer.pids),
            );
        }
        text
    }
}

impl Queue {
    fn status(&self) -> Status {
        let state = self.state.lock();
        Status {
            id: self.id,
            permissions: state.permissions,
            times: state.times,
            fill: [state.bytes as u64, state.messages.len() as u64, state.bytes_max as u64],
            last_sender: state.last_sender.clone(),
            last_receiver: state.last_receiver.clone(),
        }
    }
}
