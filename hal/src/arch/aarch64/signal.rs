//! Frames of signal handlers: `struct rt_sigframe` of Linux on aarch64 (arch/arm64/include/uapi/asm/sigcontext.h).

use super::{context::UserContext, fp::FpState};
use crate::{
    UserAddr,
    user::{HandlerFrame, SIGNAL_INFO_BYTES, SignalStack, bytes_of, bytes_of_mut},
};

/// What sigaltstack(2) accepts at least (MINSIGSTKSZ).
pub const LEAST_SIGNAL_STACK: usize = 5120;

/// Words of `ucontext_t` up to the records behind the registers.
const CONTEXT: usize = 58;
/// Places in it, in words.
const STACK: usize = 2;
const MASK: usize = 5;
const REGISTERS: usize = 23;
const STACK_POINTER: usize = REGISTERS + 31;
/// Bytes that are left for the records.
const RECORDS_BYTES: usize = 4096;
const FRAME_BYTES: usize = SIGNAL_INFO_BYTES + CONTEXT * 8 + RECORDS_BYTES;

/// The record of the floating-point registers: magic number and size, FPSR and FPCR, the registers; then an empty record.
const FP_MAGIC: u64 = 0x4650_8001;
const FP_BYTES: u64 = 528;
const FP_WORDS: usize = FP_BYTES as usize / 8;
/// Bytes of all records that are looked at for it.
const RECORD_HEAD_BYTES: usize = 8;

impl UserContext {
    /// The most bytes that [`Self::push_handler`] takes of a stack (AT_MINSIGSTKSZ).
    pub fn handler_frame_bytes() -> usize {
        // The record of the frame before, and what its alignment takes.
        FRAME_BYTES + 16 + 15
    }

    /// Makes the next [`Self::run`] call a handler, and puts what it returns by on the stack, by `write`; gives the
    /// lowest address of that.
    pub fn push_handler<E>(
        &mut self,
        frame: &HandlerFrame,
        mut write: impl FnMut(UserAddr, &[u8]) -> Result<(), E>,
    ) -> Result<UserAddr, E> {
        let r = &self.registers;
        let top = frame.switch_to.map_or(r.stack_pointer, |top| top.0) & !15;
        // A frame record, so that a debugger finds the way from the handler to what it interrupted.
        let record = top.wrapping_sub(16);
        let low = record.wrapping_sub(FRAME_BYTES) & !15;
        let mut words = [0u64; CONTEXT];
        words[STACK..STACK + 3].copy_from_slice(&frame.stack.to_words());
        words[MASK] = frame.mask;
        for (word, register) in words[REGISTERS..].iter_mut().zip(r.x) {
            *word = register as u64;
        }
        let rest = [r.stack_pointer, r.instruction_pointer, r.status].map(|register| register as u64);
        words[STACK_POINTER..STACK_POINTER + 3].copy_from_slice(&rest);
        let mut records = [0u64; FP_WORDS + 2];
        records[0] = FP_MAGIC | FP_BYTES << 32;
        self.fp.to_words(&mut records[1..FP_WORDS]);
        let at = |offset: usize| UserAddr(low.wrapping_add(offset));
        write(UserAddr(low), &frame.info)?;
        write(at(SIGNAL_INFO_BYTES), bytes_of(&words))?;
        write(at(SIGNAL_INFO_BYTES + CONTEXT * 8), bytes_of(&records))?;
        write(UserAddr(record), bytes_of(&[r.x[29] as u64, r.x[30] as u64]))?;
        let r = &mut self.registers;
        r.x[0] = frame.signal as usize;
        r.x[1] = low;
        r.x[2] = low.wrapping_add(SIGNAL_INFO_BYTES);
        r.x[29] = record;
        r.x[30] = frame.restorer.0;
        r.stack_pointer = low;
        r.instruction_pointer = frame.handler.0;
        // BTYPE and TCO are for the interrupted instruction.
        r.status &= !(0b11 << 10 | 1 << 25);
        Ok(UserAddr(low))
    }

    /// Takes back, by `read`, what [`Self::push_handler`] put at the stack pointer, or what the handler made of it: what
    /// is blocked from now on, and the alternate stack.
    pub fn pop_handler<E>(
        &mut self,
        mut read: impl FnMut(UserAddr, &mut [u8]) -> Result<(), E>,
    ) -> Result<(u64, SignalStack), E> {
        let low = self.registers.stack_pointer;
        let at = |offset: usize| UserAddr(low.wrapping_add(offset));
        let mut words = [0u64; CONTEXT];
        read(at(SIGNAL_INFO_BYTES), bytes_of_mut(&mut words))?;
        // Where the record of the floating-point registers is, if it is there.
        let mut offset = 0;
        while offset + FP_BYTES as usize <= RECORDS_BYTES {
            let mut head = [0u64; 1];
            let place = SIGNAL_INFO_BYTES + CONTEXT * 8 + offset;
            read(at(place), bytes_of_mut(&mut head))?;
            let [magic, bytes] = [head[0] & 0xffff_ffff, head[0] >> 32];
            if magic == FP_MAGIC && bytes == FP_BYTES {
                let mut record = [0u64; FP_WORDS];
                read(at(place), bytes_of_mut(&mut record))?;
                self.fp = FpState::from_words(&record[1..]);
                break;
            }
            if head[0] == 0 || (bytes as usize) < RECORD_HEAD_BYTES || !bytes.is_multiple_of(16) {
                break;
            }
            offset += bytes as usize;
        }
        let r = &mut self.registers;
        for (register, word) in r.x.iter_mut().zip(&words[REGISTERS..]) {
            *register = *word as usize;
        }
        let [stack_pointer, instruction_pointer, status] =
            words[STACK_POINTER..STACK_POINTER + 3].try_into().expect("three");
        r.stack_pointer = stack_pointer as usize;
        r.instruction_pointer = instruction_pointer as usize;
        // `run` takes out of it what is not the user's.
        r.status = status as usize;
        let stack: [u64; 3] = words[STACK..STACK + 3].try_into().expect("three");
        Ok((words[MASK], SignalStack::from_words(stack)))
    }
}
