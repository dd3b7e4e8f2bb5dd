//! Frames of signal handlers: `struct rt_sigframe` of Linux on riscv64 (arch/riscv/include/uapi/asm/ucontext.h).

use super::context::{A0, RA, RA_IS_PC, SP, UserContext, next_float_version};
use crate::{
    UserAddr,
    user::{HandlerFrame, SIGNAL_INFO_BYTES, SignalStack, bytes_of, bytes_of_mut},
};

/// What sigaltstack(2) accepts at least (MINSIGSTKSZ).
pub const LEAST_SIGNAL_STACK: usize = 2048;

/// Words of `ucontext_t`.
const CONTEXT: usize = 120;
/// Places in it, in words: the program counter stands where register 0 would.
const STACK: usize = 2;
const MASK: usize = 5;
const REGISTERS: usize = 22;
const FLOATS: usize = REGISTERS + 32;
const FLOAT_STATUS: usize = FLOATS + 32;
const FRAME_BYTES: usize = SIGNAL_INFO_BYTES + CONTEXT * 8;

impl UserContext {
    /// The most bytes that [`Self::push_handler`] takes of a stack (AT_MINSIGSTKSZ).
    pub fn handler_frame_bytes() -> usize {
        FRAME_BYTES + 15
    }

    /// Makes the next [`Self::run`] call a handler, and puts what it returns by on the stack, by `write`; gives the
    /// lowest address of that.
    pub fn push_handler<E>(
        &mut self,
        frame: &HandlerFrame,
        mut write: impl FnMut(UserAddr, &[u8]) -> Result<(), E>,
    ) -> Result<UserAddr, E> {
        let x = &mut self.registers.x;
        let top = frame.switch_to.map_or(x[SP], |top| top.0);
        let low = top.wrapping_sub(FRAME_BYTES) & !15;
        let mut words = [0u64; CONTEXT];
        words[STACK..STACK + 3].copy_from_slice(&frame.stack.to_words());
        words[MASK] = frame.mask;
        for (word, register) in words[REGISTERS..FLOATS].iter_mut().zip(*x) {
            *word = register as u64;
        }
        words[FLOATS..FLOAT_STATUS].copy_from_slice(&self.floats.f);
        words[FLOAT_STATUS] = self.floats.fcsr as u64 & 0xffff_ffff;
        write(UserAddr(low), &frame.info)?;
        write(UserAddr(low.wrapping_add(SIGNAL_INFO_BYTES)), bytes_of(&words))?;
        x[RA_IS_PC] = frame.handler.0;
        x[RA] = frame.restorer.0;
        x[SP] = low;
        x[A0] = frame.signal as usize;
        x[A0 + 1] = low;
        x[A0 + 2] = low.wrapping_add(SIGNAL_INFO_BYTES);
        Ok(UserAddr(low))
    }

    /// Takes back, by `read`, what [`Self::push_handler`] put at the stack pointer, or what the handler made of it: what
    /// is blocked from now on, and the alternate stack.
    pub fn pop_handler<E>(
        &mut self,
        mut read: impl FnMut(UserAddr, &mut [u8]) -> Result<(), E>,
    ) -> Result<(u64, SignalStack), E> {
        let low = self.registers.x[SP];
        let mut words = [0u64; CONTEXT];
        read(UserAddr(low.wrapping_add(SIGNAL_INFO_BYTES)), bytes_of_mut(&mut words))?;
        for (register, word) in self.registers.x.iter_mut().zip(&words[REGISTERS..FLOATS]) {
            *register = *word as usize;
        }
        self.floats.f.copy_from_slice(&words[FLOATS..FLOAT_STATUS]);
        // The flags and the rounding mode: there is no more of it.
        self.floats.fcsr = words[FLOAT_STATUS] as usize & 0xff;
        self.float_version = next_float_version();
        let stack: [u64; 3] = words[STACK..STACK + 3].try_into().expect("three");
        Ok((words[MASK], SignalStack::from_words(stack)))
    }
}
