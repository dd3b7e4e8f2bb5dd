//! semget(2), semop(2), semtimedop(2), semctl(2).

use super::{
    Here, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, NO_WAIT,
    layout::{IpcPermissions, SemaphoreOperation, set_status},
};
use crate::{
    ipc::semaphore::{Operation, VALUE_MAX},
    mm::filled,
    syscall::poll::timeout_ns,
    task::Thread,
};
use alloc::{vec, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;
use zerocopy::IntoBytes;

const GETPID: u32 = 11;
const GETVAL: u32 = 12;
const GETALL: u32 = 13;
const GETNCNT: u32 = 14;
const GETZCNT: u32 = 15;
const SETVAL: u32 = 16;
const SETALL: u32 = 17;
const SEM_STAT: u32 = 18;
const SEM_INFO: u32 = 19;
const SEM_STAT_ANY: u32 = 20;
const SEM_UNDO: u32 = 0x1000;

pub fn semget(thread: &Thread, key: i32, count: i32, flags: u32) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let limits = here.namespace.limits();
    here.namespace.semaphores.get(&here.caller(thread), &limits, key, count, flags).map(|id| id as usize)
}

pub async fn semop(thread: &Thread, id: i32, operations: UserAddr, count: usize) -> Result<usize, Errno> {
    semtimedop(thread, id, operations, count, UserAddr(0)).await
}

pub async fn semtimedop(
    thread: &Thread,
    id: i32,
    operations: UserAddr,
    count: usize,
    timeout: UserAddr,
) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let [_, _, count_max, _] = here.namespace.limits().semaphores;
    if count == 0 || id < 0 {
        return Err(Errno::EINVAL);
    }
    if count > count_max as usize {
        return Err(Errno::E2BIG);
    }
    let space = thread.space();
    let deadline = timeout_ns(thread, timeout)?.map(|timeout| thread.call_began_ns().saturating_add(timeout));
    let mut raw = vec![SemaphoreOperation { index: 0, change: 0, flags: 0 }; count];
    space.read_bytes(operations, raw.as_mut_slice().as_mut_bytes())?;
    let operations: Vec<Operation> = raw
        .iter()
        .map(|raw| Operation {
            index: raw.index,
            change: raw.change,
            no_wait: u32::from(raw.flags) & NO_WAIT != 0,
            undo: u32::from(raw.flags) & SEM_UNDO != 0 && raw.change != 0,
        })
        .collect();
    here.namespace.semaphores.operate(&here.caller(thread), id, &operations, deadline).await?;
    Ok(0)
}

/// semctl(2). `argument` is the union's: a number or an address.
pub fn semctl(thread: &Thread, id: i32, index: i32, command: u32, argument: usize) -> Result<usize, Errno> {
    let here = Here::of(thread);
    let caller = here.caller(thread);
    let semaphores = &here.namespace.semaphores;
    let space = thread.space();
    let at = UserAddr(argument);
    match command {
        GETVAL => return semaphores.value(&caller, id, index).map(usize::from),
        GETPID => return semaphores.last(&caller, id, index).map(|last| last.number_for(thread) as usize),
        GETNCNT | GETZCNT => return semaphores.waiters(&caller, id, index, command == GETZCNT),
        SETVAL => semaphores.set_value(&caller, id, index, argument as i32)?,
        GETALL => space.write_bytes(at, semaphores.values(&caller, id)?.as_slice().as_bytes())?,
        SETALL => {
            let mut values = filled(0_u16, semaphores.values(&caller, id)?.len())?;
            space.read_bytes(at, values.as_mut_slice().as_mut_bytes())?;
            semaphores.set_values(&caller, id, &values)?;
        }
        IPC_STAT => space.write_bytes(at, &set_status(&semaphores.status(&caller, id)?, thread))?,
        SEM_STAT | SEM_STAT_ANY => {
            let status = semaphores.status_at((command == SEM_STAT).then_some(&caller), id)?;
            space.write_bytes(at, &set_status(&status, thread))?;
            return Ok(status.id.0 as usize);
        }
        IPC_SET => {
            semaphores.set(&caller, id, space.read::<IpcPermissions>(at)?.read(thread)?)?;
        }
        IPC_RMID => semaphores.remove(&caller, id)?,
        IPC_INFO | SEM_INFO => {
            let [per_set, all, operations, sets] = here.namespace.limits().semaphores.map(|limit| limit as i32);
            let (used, count, highest) = semaphores.usage();
            let value_max = i32::from(VALUE_MAX);
            let (used, count) = if command == SEM_INFO { (used as i32, count as i32) } else { (20, value_max) };
            // struct seminfo: semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem.
            space.write(at, &[all, sets, all, all, per_set, operations, operations, used, value_max, count])?;
            return Ok(highest);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
