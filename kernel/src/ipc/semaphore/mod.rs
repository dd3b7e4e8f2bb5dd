//! System V semaphores (semget(2), semop(2), semctl(2)).
//!
//! The operations of a call are done together or not at all. Who has to wait leaves a waker with the set and tries again
//! whenever it has changed. What SEM_UNDO is to take back stands with the set, under the process that it is for.

mod state;

pub use state::Operation;

use super::{Caller, Limits, Permissions, Remembered, Viewer, now_s, table::*};
use crate::{
    cgroup::ObjectCharge,
    mm::filled,
    namespace::Pid,
    sched::{self, WaitQueue},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec,
    vec::Vec,
};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use state::{Blocked, Semaphore, State, Undo};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The largest value (SEMVMX).
pub const VALUE_MAX: u16 = 32767;
/// What a set takes of the kernel heap, at most, its semaphores aside.
const SET_BYTES: usize = 512;
/// What a semaphore takes.
const SEMAPHORE_BYTES: usize = 64;
/// What a process's undo values take, at most, for each semaphore and at all.
const UNDO_BYTES: usize = 128;

/// The semaphore sets of a namespace.
#[derive(Debug, Default)]
pub struct Semaphores {
    table: SpinLock<Table<Arc<Set>>>,
    /// Semaphores of all sets.
    count: SpinLock<u32>,
    /// Sets that have undo values for a process, by its number in the first pid namespace.
    undoing: SpinLock<BTreeMap<u32, BTreeSet<i32>>>,
}

/// A set of semaphores.
#[derive(Debug)]
pub struct Set {
    id: Id,
    state: SpinLock<State>,
    /// Woken when a value has changed, and when the set is gone.
    changed: WaitQueue,
    _charge: ObjectCharge,
}

/// What IPC_STAT tells.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Its id.
    pub id: Id,
    /// Who may what.
    pub permissions: Permissions,
    /// Seconds of the last semop and change.
    pub times: [i64; 2],
    /// How many.
    pub count: usize,
}

impl Semaphores {
    /// semget(2).
    pub fn get(&self, caller: &Caller<'_>, limits: &Limits, key: i32, count: i32, mode: u32) -> Result<i32, Errno> {
        let [per_set, all, _, sets] = limits.semaphores;
        let count = u32::try_from(count).ok().filter(|count| *count <= per_set).ok_or(Errno::EINVAL)?;
        let mut table = self.table.lock();
        let id = match table.get(key, get_flags(mode), sets as usize)? {
            Found::Old(id, set) => {
                let state = set.state.lock();
                if count as usize > state.values.len() {
                    return Err(Errno::EINVAL);
                }
                return state.permissions.permit(caller.credentials, caller.owner, mode & 0o777).map(|()| id.0);
            }
            Found::New(id) => id,
        };
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        let charge = caller.pool.charge(SET_BYTES + count as usize * SEMAPHORE_BYTES, caller.memory)?;
        {
            let mut sum = self.count.lock();
            *sum = sum.checked_add(count).filter(|sum| *sum <= all).ok_or(Errno::ENOSPC)?;
        }
        let state = State {
            permissions: Permissions::new(key, mode, caller.credentials),
            values: vec![Semaphore::default(); count as usize],
            removed: false,
            operated: 0,
            changed: now_s(),
            undo: BTreeMap::new(),
            waiters: Vec::new(),
        };
        let state = SpinLock::new(state);
        table.insert(id, key, Arc::new(Set { id, state, changed: WaitQueue::new(), _charge: charge }));
        Ok(id.0)
    }

    fn find(&self, id: i32) -> Result<Arc<Set>, Errno> {
        self.table.lock().find(id).cloned()
    }

    /// semop(2), semtimedop(2): waits until all of `operations` can be done, at most until `deadline_ns` (EAGAIN).
    pub async fn operate(
        &self,
        caller: &Caller<'_>,
        id: i32,
        operations: &[Operation],
        deadline_ns: Option<u64>,
    ) -> Result<(), Errno> {
        let set = self.find(id)?;
        let process = caller.pid.global_number();
        let last = Remembered::new(caller.pid);
        let alters = operations.iter().any(|one| one.change != 0);
        {
            let mut state = set.state.lock();
            if operations.iter().any(|one| usize::from(one.index) >= state.values.len()) {
                return Err(Errno::EFBIG);
            }
            state.permissions.permit(
                caller.credentials,
                caller.owner,
                if alters { super::WRITE } else { super::READ },
            )?;
            if operations.iter().any(|one| one.undo) && !state.undo.contains_key(&process) {
                let charge = caller.pool.charge(UNDO_BYTES + state.values.len() * size_of::<i32>(), caller.memory)?;
                let adjustments = filled(0, state.values.len())?;
                state.undo.insert(process, Undo { adjustments, _charge: charge });
                self.undoing.lock().entry(process).or_default().insert(id);
            }
        }
        let mut sleep = pin!(deadline_ns.map(sched::sleep_until));
        let mut waiting = Waiting { set: &set, entry: None };
        let result = poll_fn(|cx| {
            set.changed.register(cx);
            let outcome = {
                let mut state = set.state.lock();
                waiting.leave(&mut state);
                let outcome = if state.removed {
                    Err(Blocked::Fails(Errno::EIDRM))
                } else {
                    state.perform(operations, process, &last)
                };
                if let Err(Blocked::Waits { index, zero }) = outcome {
                    waiting.enter(&mut state, (index, zero));
                }
                outcome
            };
            match outcome {
                Ok(()) => Poll::Ready(Ok(())),
                Err(Blocked::Fails(errno)) => Poll::Ready(Err(errno)),
                Err(Blocked::Waits { .. }) => match sleep.as_mut().as_pin_mut() {
                    Some(sleep) => sleep.poll(cx).map(|()| Err(Errno::EAGAIN)),
                    None => Poll::Pending,
                },
            }
        })
        .await;
        drop(waiting);
        if result.is_ok() && alters {
            set.changed.wake_all();
        }
        result
    }

    /// Takes back what `pid`, which ends or leaves the namespace, has asked to be undone.
    pub fn undo(&self, pid: &Pid) {
        let process = pid.global_number();
        let ids = self.undoing.lock().remove(&process);
        for id in ids.into_iter().flatten() {
            let Ok(set) = self.find(id) else { continue };
            let undone = {
                let mut state = set.state.lock();
                let undone = state.undo.remove(&process);
                for (index, change) in undone.iter().flat_map(|undo| undo.adjustments.iter().enumerate()) {
                    if *change != 0 {
                        let semaphore = &mut state.values[index];
                        let value = i32::from(semaphore.value) + change;
                        semaphore.value = value.clamp(0, VALUE_MAX.into()) as u16;
                        semaphore.last = Remembered::new(pid);
                    }
                }
                undone
            };
            drop(undone);
            set.changed.wake_all();
        }
    }

    /// IPC_STAT: for who may read.
    pub fn status(&self, caller: &Caller<'_>, id: i32) -> Result<Status, Errno> {
        let set = self.find(id)?;
        let status = set.status();
        status.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        Ok(status)
    }

    /// SEM_STAT_ANY: of a place in the table; with `caller`, for who may read (SEM_STAT).
    pub fn status_at(&self, caller: Option<&Caller<'_>>, index: i32) -> Result<Status, Errno> {
        let set = self.table.lock().at(index).map(|(_, set)| set.clone())?;
        let status = set.status();
        if let Some(caller) = caller {
            status.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        }
        Ok(status)
    }

    /// IPC_SET of owner, group and mode.
    pub fn set(&self, caller: &Caller<'_>, id: i32, new: [u32; 3]) -> Result<(), Errno> {
        let set = self.find(id)?;
        let mut state = set.state.lock();
        state.permissions.permit_change(caller.credentials, caller.owner)?;
        state.permissions.set(new);
        state.changed = now_s();
        Ok(())
    }

    /// IPC_RMID: who waits for it fails with EIDRM.
    pub fn remove(&self, caller: &Caller<'_>, id: i32) -> Result<(), Errno> {
        let set = self.find(id)?;
        let (count, undo) = {
            let mut state = set.state.lock();
            state.permissions.permit_change(caller.credentials, caller.owner)?;
            if core::mem::replace(&mut state.removed, true) {
                return Err(Errno::EIDRM);
            }
            (state.values.len() as u32, core::mem::take(&mut state.undo))
        };
        let gone = self.table.lock().remove(set.id);
        *self.count.lock() -= count;
        {
            let mut undoing = self.undoing.lock();
            for process in undo.keys() {
                if let Some(ids) = undoing.get_mut(process) {
                    ids.remove(&id);
                }
            }
            undoing.retain(|_, ids| !ids.is_empty());
        }
        drop((gone, undo));
        set.changed.wake_all();
        Ok(())
    }

    /// GETALL.
    pub fn values(&self, caller: &Caller<'_>, id: i32) -> Result<Vec<u16>, Errno> {
        self.look(caller, id, |state| Ok(state.values.iter().map(|one| one.value).collect()))
    }

    /// GETVAL.
    pub fn value(&self, caller: &Caller<'_>, id: i32, index: i32) -> Result<u16, Errno> {
        self.look(caller, id, |state| state.at(index).map(|at| state.values[at].value))
    }

    /// GETPID.
    pub fn last(&self, caller: &Caller<'_>, id: i32, index: i32) -> Result<Remembered, Errno> {
        self.look(caller, id, |state| state.at(index).map(|at| state.values[at].last.clone()))
    }

    /// GETNCNT and, with `zero`, GETZCNT: how many wait.
    pub fn waiters(&self, caller: &Caller<'_>, id: i32, index: i32, zero: bool) -> Result<usize, Errno> {
        self.look(caller, id, |state| {
            let at = state.at(index)?;
            Ok(state.waiters.iter().filter(|entry| **entry == (at as u16, zero)).count())
        })
    }

    fn look<T>(&self, caller: &Caller<'_>, id: i32, look: impl FnOnce(&State) -> Result<T, Errno>) -> Result<T, Errno> {
        let set = self.find(id)?;
        let state = set.state.lock();
        state.permissions.permit(caller.credentials, caller.owner, super::READ)?;
        look(&state)
    }

    /// SETVAL.
    pub fn set_value(&self, caller: &Caller<'_>, id: i32, index: i32, value: i32) -> Result<(), Errno> {
        let value = u16::try_from(value).ok().filter(|value| *value <= VALUE_MAX).ok_or(Errno::ERANGE)?;
        self.change(caller, id, |state| {
            let at = state.at(index)?;
            state.values[at] = Semaphore { value, last: Remembered::new(caller.pid) };
            state.undo.values_mut().for_each(|undo| undo.adjustments[at] = 0);
            Ok(())
        })
    }

    /// SETALL: `values` is as long as the set.
    pub fn set_values(&self, caller: &Caller<'_>, id: i32, values: &[u16]) -> Result<(), Errno> {
        if values.iter().any(|value| *value > VALUE_MAX) {
            return Err(Errno::ERANGE);
        }
        let last = Remembered::new(caller.pid);
        self.change(caller, id, |state| {
            for (semaphore, value) in state.values.iter_mut().zip(values) {
                *semaphore = Semaphore { value: *value, last: last.clone() };
            }
            state.undo.values_mut().for_each(|undo| undo.adjustments.fill(0));
            Ok(())
        })
    }

    fn change(
        &self,
        caller: &Caller<'_>,
        id: i32,
        change: impl FnOnce(&mut State) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let set = self.find(id)?;
        {
            let mut state = set.state.lock();
            state.permissions.permit(caller.credentials, caller.owner, super::WRITE)?;
            change(&mut state)?;
            state.changed = now_s();
        }
        set.changed.wake_all();
        Ok(())
    }

    /// Sets, semaphores of all of them, and the highest place taken.
    pub fn usage(&self) -> (usize, u32, usize) {
        let table = self.table.lock();
        (table.len(), *self.count.lock(), table.highest())
    }

    /// `/proc/sysvipc/sem`.
    pub fn text(&self, viewer: &Viewer<'_>) -> String {
        let mut text =
            String::from("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
        let all: Vec<Status> = self.table.lock().iter().map(|(_, set)| set.status()).collect();
        for one in all {
            let p = one.permissions;
            let [operated, changed] = one.times;
            let [uid, gid, creator_uid, creator_gid] = viewer.owners(&p);
            text += &format!(
                "{:10} {:10}  {:4o} {:10} {uid:5} {gid:5} {creator_uid:5} {creator_gid:5} {operated:10} {changed:10}\n",
                p.key, one.id.0, p.mode, one.count,
            );
        }
        text
    }
}

impl Set {
    fn status(&self) -> Status {
        let state = self.state.lock();
        Status {
            id: self.id,
            permissions: state.permissions,
            times: [state.operated, state.changed],
            count: state.values.len(),
        }
    }
}

/// A call's entry among those that wait. Taken out when the call ends, by a kill too.
struct Waiting<'a> {
    set: &'a Set,
    entry: Option<(u16, bool)>,
}

impl Waiting<'_> {
    fn enter(&mut self, state: &mut State, entry: (u16, bool)) {
        state.waiters.push(entry);
        self.entry = Some(entry);
    }

    fn leave(&mut self, state: &mut State) {
        if let Some(entry) = self.entry.take()
            && let Some(at) = state.waiters.iter().position(|other| *other == entry)
        {
            state.waiters.swap_remove(at);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let set = self.set;
        self.leave(&mut set.state.lock());
    }
}
