//! Futexes (futex(2)), and the list of locks that a thread leaves when it dies (get_robust_list(2)).

use super::{time::machine_ns, timespec::TimeSpec};
use crate::task::{
    Thread,
    futex::{self, ANY, Key},
};
use alloc::sync::Arc;
use core::task::{Context, Poll};
use linux_raw_sys::general::{self, CLOCK_MONOTONIC, CLOCK_REALTIME};
use veridian_containers::abi::Errno;
use veridian_hal::UserAddr;

/// What `operation` asks for.
struct Operation {
    command: u32,
    private: bool,
    realtime: bool,
}

impl Operation {
    fn from_bits(bits: u32) -> Self {
        Self {
            command: bits & !(general::FUTEX_PRIVATE_FLAG | general::FUTEX_CLOCK_REALTIME),
            private: bits & general::FUTEX_PRIVATE_FLAG != 0,
            realtime: bits & general::FUTEX_CLOCK_REALTIME != 0,
        }
    }

    fn waits(&self) -> bool {
        matches!(self.command, general::FUTEX_WAIT | general::FUTEX_WAIT_BITSET)
    }
}

/// futex(2), the operations that wait; see [`futex_at_once`].
pub async fn futex(
    thread: &Arc<Thread>,
    address: UserAddr,
    operation: u32,
    value: u32,
    timeout: UserAddr,
    _other: UserAddr,
    value3: u32,
) -> Result<usize, Errno> {
    let Operation { command, private, realtime } = Operation::from_bits(operation);
    let absolute = command == general::FUTEX_WAIT_BITSET;
    let bits = if absolute { value3 } else { ANY };
    let deadline = deadline(thread, timeout, absolute, realtime)?;
    futex::wait(&thread.space(), address, private, value, bits, deadline).await?;
    Ok(0)
}

/// futex(2), but for the operations that wait, and for those that lend priorities, which there are none of: ENOSYS.
#[expect(clippy::too_many_arguments, reason = "they are the call's")]
pub fn futex_at_once(
    thread: &Arc<Thread>,
    _: &mut Context<'_>,
    address: UserAddr,
    operation: u32,
    value: u32,
    second_count: UserAddr,
    other: UserAddr,
    value3: u32,
) -> Poll<Result<usize, Errno>> {
    let operation = Operation::from_bits(operation);
    if operation.waits() {
        return Poll::Pending;
    }
    if operation.realtime {
        return Poll::Ready(Err(Errno::ENOSYS));
    }
    // Where there is no timeout, the same argument is a count.
    Poll::Ready(wake(thread, address, &operation, value, second_count.0 as u32, other, value3))
}

fn wake(
    thread: &Thread,
    address: UserAddr,
    operation: &Operation,
    value: u32,
    second_count: u32,
    other: UserAddr,
    value3: u32,
) -> Result<usize, Errno> {
    let space = thread.space();
    let Operation { command, private, .. } = *operation;
    let second_count = second_count as usize;
    let count = value as i32;
    let key = || Key::of(&space, address, private);
    match command {
        general::FUTEX_WAKE | general::FUTEX_WAKE_BITSET => {
            let bits = if command == general::FUTEX_WAKE { ANY } else { value3 };
            if bits == 0 {
                return Err(Errno::EINVAL);
            }
            // As on Linux: whoever asks for none wakes one.
            Ok(futex::wake(&key()?, count.max(1) as usize, bits))
        }
        general::FUTEX_REQUEUE | general::FUTEX_CMP_REQUEUE => {
            let compares = command == general::FUTEX_CMP_REQUEUE;
            if count < 0 || (second_count as i32) < 0 {
                return Err(Errno::EINVAL);
            }
            let (from, to) = (key()?, Key::of(&space, other, private)?);
            loop {
                // Brought in before, as it is read under locks.
                space.read::<u32>(address)?;
                let unchanged = || {
                    let mut word = [0; 4];
                    if !compares {
                        return Ok(());
                    }
                    space.page_table().read(address, &mut word).map_err(|_| Errno::EFAULT)?;
                    if u32::from_ne_bytes(word) == value3 { Ok(()) } else { Err(Errno::EAGAIN) }
                };
                match futex::requeue(&from, &to, count as usize, second_count, unchanged) {
                    Err(Errno::EFAULT) => {}
                    Err(errno) => return Err(errno),
                    Ok((woken, moved)) => return Ok(if compares { woken + moved } else { woken }),
                }
            }
        }
        general::FUTEX_WAKE_OP => {
            let (first, second) = (key()?, Key::of(&space, other, private)?);
            let change = Change::from_bits(value3);
            let before = futex::change_word(&space, other, |word| change.apply(word))?;
            let mut woken = futex::wake(&first, count.max(1) as usize, ANY);
            if change.holds(before)? {
                woken += futex::wake(&second, (second_count as i32).max(1) as usize, ANY);
            }
            Ok(woken)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The time of the machine's clock at which a wait is over.
fn deadline(thread: &Arc<Thread>, at: UserAddr, absolute: bool, realtime: bool) -> Result<Option<u64>, Errno> {
    if at == UserAddr(0) {
        return Ok(None);
    }
    let time = thread.space().read::<TimeSpec>(at)?.to_ns()?;
    if !absolute {
        return Ok(Some(thread.call_began_ns().saturating_add(time)));
    }
    let clock = if realtime { CLOCK_REALTIME } else { CLOCK_MONOTONIC };
    machine_ns(thread, clock as i32, time).map(Some)
}

/// FUTEX_WAKE_OP's change of a word, and its question about what was there.
struct Change {
    operation: u32,
    operand: u32,
    comparison: u32,
    against: i32,
}

impl Change {
    fn from_bits(bits: u32) -> Self {
        let signed = |field: u32| ((field << 20) as i32) >> 20;
        let shifts = bits & 0x8000_0000 != 0;
        let operand = signed(bits >> 12 & 0xfff);
        Self {
            operation: bits >> 28 & 7,
            operand: if shifts { 1 << (operand & 31) } else { operand as u32 },
            comparison: bits >> 24 & 15,
            against: signed(bits & 0xfff),
        }
    }

    fn apply(&self, word: u32) -> Option<u32> {
        Some(match self.operation {
            general::FUTEX_OP_SET => self.operand,
            general::FUTEX_OP_ADD => word.wrapping_add(self.operand),
            general::FUTEX_OP_OR => word | self.operand,
            general::FUTEX_OP_ANDN => word & !self.operand,
            general::FUTEX_OP_XOR => word ^ self.operand,
            _ => return None,
        })
    }

    /// ENOSYS for an operation or a comparison that there is not.
    fn holds(&self, word: u32) -> Result<bool, Errno> {
        if self.operation > general::FUTEX_OP_XOR {
            return Err(Errno::ENOSYS);
        }
        let word = word as i32;
        Ok(match self.comparison {
            general::FUTEX_OP_CMP_EQ => word == self.against,
            general::FUTEX_OP_CMP_NE => word != self.against,
            general::FUTEX_OP_CMP_LT => word < self.against,
            general::FUTEX_OP_CMP_LE => word <= self.against,
            general::FUTEX_OP_CMP_GT => word > self.against,
            general::FUTEX_OP_CMP_GE => word >= self.against,
            _ => return Err(Errno::ENOSYS),
        })
    }
}

/// Bytes of `struct robust_list_head`.
const ROBUST_LIST_HEAD_SIZE: usize = 24;

pub fn set_robust_list(thread: &Thread, head: UserAddr, length: usize) -> Result<usize, Errno> {
    if length != ROBUST_LIST_HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    thread.set_robust_list(head);
    Ok(0)
}

/// get_robust_list(2), of a thread that one may look into.
pub fn get_robust_list(thread: &Arc<Thread>, tid: u32, head: UserAddr, length: UserAddr) -> Result<usize, Errno> {
    let target = super::process::find(thread, tid)?;
    target.permit_access(thread)?;
    let space = thread.space();
    space.write(length, &ROBUST_LIST_HEAD_SIZE)?;
    space.write(head, &target.robust_list().0)?;
    Ok(0)
}
