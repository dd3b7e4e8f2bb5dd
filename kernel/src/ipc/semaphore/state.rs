//! What a set of semaphores holds, and what operations do to it: all that a call asks for, or nothing.

use super::super::{Permissions, Remembered, now_s};
use super::VALUE_MAX;
use crate::cgroup::ObjectCharge;
use alloc::{collections::BTreeMap, vec::Vec};
use veridian_containers::abi::Errno;

#[derive(Debug)]
pub(super) struct State {
    pub(super) permissions: Permissions,
    pub(super) values: Vec<Semaphore>,
    pub(super) removed: bool,
    pub(super) operated: i64,
    pub(super) changed: i64,
    pub(super) undo: BTreeMap<u32, Undo>,
    /// Semaphore and whether it is awaited at zero, of each call that waits.
    pub(super) waiters: Vec<(u16, bool)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Semaphore {
    pub(super) value: u16,
    /// Who changed it last.
    pub(super) last: Remembered,
}

#[derive(Debug)]
pub(super) struct Undo {
    pub(super) adjustments: Vec<i32>,
    pub(super) _charge: ObjectCharge,
}

/// `struct sembuf`, read.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Which of the set.
    pub index: u16,
    /// What is added; 0 waits for zero.
    pub change: i16,
    /// IPC_NOWAIT.
    pub no_wait: bool,
    /// SEM_UNDO.
    pub undo: bool,
}

/// Why the operations of a call cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// The call fails.
    Fails(Errno),
    /// It waits for this semaphore, at zero or above it.
    Waits { index: u16, zero: bool },
}

impl State {
    /// Does all of `operations`, or nothing. `process` is who undo values are for.
    pub(super) fn perform(&mut self, operations: &[Operation], process: u32, last: &Remembered) -> Result<(), Blocked> {
        let before: Vec<u16> = operations.iter().map(|one| self.values[usize::from(one.index)].value).collect();
        let result = self.try_each(operations, process);
        if result.is_err() {
            // The first of several operations on a semaphore has the value from before all of them.
            for (operation, value) in operations.iter().zip(before).rev() {
                self.values[usize::from(operation.index)].value = value;
            }
            return result;
        }
        for operation in operations {
            self.values[usize::from(operation.index)].last = last.clone();
            if operation.undo
                && let Some(undo) = self.undo.get_mut(&process)
            {
                undo.adjustments[usize::from(operation.index)] -= i32::from(operation.change);
            }
        }
        self.operated = now_s();
        Ok(())
    }

    /// The place of a semaphore; EINVAL.
    pub(super) fn at(&self, index: i32) -> Result<usize, Errno> {
        usize::try_from(index).ok().filter(|index| *index < self.values.len()).ok_or(Errno::EINVAL)
    }

    fn try_each(&mut self, operations: &[Operation], process: u32) -> Result<(), Blocked> {
        for (done, operation) in operations.iter().enumerate() {
            let index = usize::from(operation.index);
            let value = self.values[index].value;
            let waits = |zero| {
                if operation.no_wait {
                    Blocked::Fails(Errno::EAGAIN)
                } else {
                    Blocked::Waits { index: operation.index, zero }
                }
            };
            if operation.change == 0 && value != 0 {
                return Err(waits(true));
            }
            let new = i32::from(value) + i32::from(operation.change);
            if new < 0 {
                return Err(waits(false));
            }
            let new = u16::try_from(new).ok().filter(|new| *new <= VALUE_MAX);
            self.values[index].value = new.ok_or(Blocked::Fails(Errno::ERANGE))?;
            if operation.undo {
                let earlier = operations[..=done].iter().filter(|other| other.undo && other.index == operation.index);
                let sum: i32 = earlier.map(|other| i32::from(other.change)).sum();
                let kept = self.undo.get(&process).map_or(0, |undo| undo.adjustments[index]);
                if (kept - sum).abs() > i32::from(VALUE_MAX) {
                    return Err(Blocked::Fails(Errno::ERANGE));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Credentials;

    fn state(values: &[u16]) -> State {
        State {
            permissions: Permissions::new(0, 0o600, &Credentials::root()),
            values: values.iter().map(|value| Semaphore { value: *value, ..Semaphore::default() }).collect(),
            removed: false,
            operated: 0,
            changed: 0,
            undo: BTreeMap::new(),
            waiters: Vec::new(),
        }
    }

    fn op(index: u16, change: i16) -> Operation {
        Operation { index, change, no_wait: false, undo: false }
    }

    fn values(state: &State) -> Vec<u16> {
        state.values.iter().map(|one| one.value).collect()
    }

    #[test]
    fn operations_are_done_together_or_not_at_all() {
        let mut set = state(&[1, 0]);
        let who = Remembered::default();
        assert_eq!(set.perform(&[op(0, -1), op(1, 2)], 1, &who), Ok(()));
        assert_eq!(values(&set), [0, 2]);
        let blocked = set.perform(&[op(1, -1), op(1, -1), op(0, -1)], 1, &who);
        assert_eq!(blocked, Err(Blocked::Waits { index: 0, zero: false }));
        assert_eq!(values(&set), [0, 2]);
        assert_eq!(set.perform(&[op(0, 0), op(1, 0)], 1, &who), Err(Blocked::Waits { index: 1, zero: true }));
        let at_once = Operation { no_wait: true, ..op(0, -1) };
        assert_eq!(set.perform(&[op(1, 5), at_once], 1, &who), Err(Blocked::Fails(Errno::EAGAIN)));
        assert_eq!(set.perform(&[op(1, 32767)], 1, &who), Err(Blocked::Fails(Errno::ERANGE)));
        assert_eq!(values(&set), [0, 2]);
        // One after the other: the second sees what the first has done.
        assert_eq!(set.perform(&[op(0, 1), op(0, -1), op(0, 0)], 1, &who), Ok(()));
    }
}
