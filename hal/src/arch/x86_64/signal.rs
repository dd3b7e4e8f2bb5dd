//! Frames of signal handlers: `struct rt_sigframe` of Linux on x86_64 (arch/x86/include/uapi/asm/sigcontext.h).

use super::{
    context::UserContext,
    extended_state,
    local::{USER_CODE, USER_DATA},
};
use crate::{
    UserAddr,
    user::{HandlerFrame, SignalStack, bytes_of, bytes_of_mut},
};

/// What sigaltstack(2) accepts at least (MINSIGSTKSZ).
pub const LEAST_SIGNAL_STACK: usize = 2048;

/// Below the stack pointer a function may use this much without moving it (the psABI's red zone).
const RED_ZONE: usize = 128;
/// Words of the frame before `siginfo_t`, which ends it.
const HEAD: usize = 39;
const FRAME_BYTES: usize = HEAD * 8 + crate::user::SIGNAL_INFO_BYTES;
/// Places in the frame, in words.
const UC_FLAGS: usize = 1;
const STACK: usize = 3;
const REGISTERS: usize = 6;
const SELECTORS: usize = REGISTERS + 18;
const FP_STATE: usize = SELECTORS + 5;
const MASK: usize = 38;

/// `uc_flags`: the frame has extended state, and the stack's selector.
const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;

/// Flags that a handler may have changed: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF.
const USER_FLAGS: u64 = 0x5_0dd5;
/// Flags that a handler begins without: DF, TF, RF.
const CLEARED_FLAGS: u64 = 1 << 10 | 1 << 8 | 1 << 16;

impl UserContext {
    /// The most bytes that [`Self::push_handler`] takes of a stack (AT_MINSIGSTKSZ).
    pub fn handler_frame_bytes() -> usize {
        // What the alignments of both parts take, and the address to return to.
        FRAME_BYTES + extended_state::frame_bytes() + 63 + 15 + 8
    }

    /// Makes the next [`Self::run`] call a handler, and puts what it returns by on the stack, by `write`; gives the
    /// lowest address of that.
    pub fn push_handler<E>(
        &mut self,
        frame: &HandlerFrame,
        mut write: impl FnMut(UserAddr, &[u8]) -> Result<(), E>,
    ) -> Result<UserAddr, E> {
        let r = &self.registers;
        let top = frame.switch_to.map_or(r.rsp.wrapping_sub(RED_ZONE as u64) as usize, |top| top.0);
        let state_bytes = extended_state::frame_bytes();
        let state = top.wrapping_sub(state_bytes) & !63;
        // As after a call: a multiple of 16, and 8 for the address to return to.
        let low = (state.wrapping_sub(FRAME_BYTES) & !15).wrapping_sub(8);
        let mut words = [0u64; HEAD];
        words[0] = frame.restorer.0 as u64;
        words[UC_FLAGS] = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | if state_bytes > 512 { UC_FP_XSTATE } else { 0 };
        words[STACK..STACK + 3].copy_from_slice(&frame.stack.to_words());
        words[REGISTERS..SELECTORS].copy_from_slice(&[
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx,
            r.rsp, r.rip, r.rflags,
        ]);
        words[SELECTORS] = u64::from(USER_CODE) | u64::from(USER_DATA) << 48;
        words[FP_STATE] = state as u64;
        words[MASK] = frame.mask;
        self.extended.write_frame(UserAddr(state), &mut write)?;
        write(UserAddr(low), bytes_of(&words))?;
        write(UserAddr(low.wrapping_add(HEAD * 8)), &frame.info)?;
        let r = &mut self.registers;
        r.rip = frame.handler.0 as u64;
        r.rsp = low as u64;
        r.rdi = frame.signal.into();
        r.rsi = low.wrapping_add(HEAD * 8) as u64;
        r.rdx = low.wrapping_add(8) as u64;
        r.rax = 0;
        r.rflags &= !CLEARED_FLAGS;
        Ok(UserAddr(low))
    }

    /// Takes back, by `read`, what [`Self::push_handler`] put at the stack pointer, or what the handler made of it: what
    /// is blocked from now on, and the alternate stack.
    pub fn pop_handler<E>(
        &mut self,
        mut read: impl FnMut(UserAddr, &mut [u8]) -> Result<(), E>,
    ) -> Result<(u64, SignalStack), E> {
        // The handler's return has taken the restorer's address off.
        let low = self.registers.rsp.wrapping_sub(8) as usize;
        let mut words = [0u64; HEAD];
        read(UserAddr(low), bytes_of_mut(&mut words))?;
        let state = words[FP_STATE] as usize;
        self.extended.read_frame((state != 0).then_some(UserAddr(state)), &mut read)?;
        let r = &mut self.registers;
        let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags] =
            words[REGISTERS..SELECTORS].try_into().expect("eighteen");
        (r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15) = (r8, r9, r10, r11, r12, r13, r14, r15);
        (r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, r.rip) = (rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip);
        r.rflags = r.rflags & !USER_FLAGS | flags & USER_FLAGS;
        let stack = words[STACK..STACK + 3].try_into().expect("three");
        Ok((words[MASK], SignalStack::from_words(stack)))
    }
}
