//! Handlers of signals: a frame on the program's stack holds what was interrupted, and is what the handler returns by
//! (sigreturn(2)).

use super::{AlternateStack, Disposition, SignalAction, SignalFlags, SignalInfo, SignalSet, Thread};
use crate::mm::{AddressSpace, image::vdso};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::{
    UserAddr,
    user::{HandlerFrame, SignalStack, UserContext},
};

/// Flags of `stack_t` (sigaltstack(2)).
pub const SS_ONSTACK: u32 = 1;
/// There is no alternate stack.
pub const SS_DISABLE: u32 = 2;
/// It is given up while a handler runs on it.
pub const SS_AUTODISARM: u32 = 1 << 31;

impl AlternateStack {
    /// As sigaltstack(2) tells it to a program whose stack pointer is `pointer`.
    pub fn describe(&self, pointer: UserAddr) -> SignalStack {
        let state = match self.bytes {
            0 => SS_DISABLE,
            _ if self.holds(pointer) => SS_ONSTACK,
            _ => 0,
        };
        let disarms = if self.disarms { SS_AUTODISARM } else { 0 };
        SignalStack { start: self.start, flags: state | disarms, bytes: self.bytes }
    }

    /// What a program asks for. EINVAL for unknown flags, ENOMEM for a stack that is too small for any handler.
    pub fn from_described(stack: SignalStack) -> Result<Self, Errno> {
        /// `MINSIGSTKSZ`.
        const LEAST: usize = veridian_hal::arch::LEAST_SIGNAL_STACK;
        let disarms = stack.flags & SS_AUTODISARM != 0;
        match stack.flags & !SS_AUTODISARM {
            SS_DISABLE => Ok(Self::default()),
            0 | SS_ONSTACK if stack.bytes < LEAST => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(Self { start: stack.start, bytes: stack.bytes, disarms }),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Has the handler of `action` run next. EFAULT when its frame finds no room.
pub(super) fn call(
    thread: &Thread,
    context: &mut UserContext,
    signal: Signal,
    info: SignalInfo,
    action: &SignalAction,
) -> Result<(), Errno> {
    let Disposition::Handler(handler) = action.disposition() else { return Ok(()) };
    let (signals, space) = (thread.signals(), thread.space());
    let stack = signals.alternate_stack();
    let pointer = context.stack_pointer();
    let switches = action.flags.contains(SignalFlags::ON_STACK) && stack.bytes > 0 && !stack.holds(pointer);
    let top = UserAddr(stack.start.0.saturating_add(stack.bytes));
    let restorer = if action.flags.contains(SignalFlags::RESTORER) { Some(action.restorer) } else { None };
    // What is blocked after the handler: what was before a call that blocked others for its time.
    let blocked = signals.blocked();
    let mask = signals.take_deferred_mask().unwrap_or(blocked);
    let frame = HandlerFrame {
        signal: signal.number(),
        info: info.to_bytes(signal),
        mask: mask.0,
        stack: stack.describe(pointer),
        handler,
        restorer: restorer.or_else(|| signal_return(&space)).ok_or(Errno::EFAULT)?,
        switch_to: switches.then_some(top),
    };
    let low = context.push_handler(&frame, |at, bytes| space.write_bytes(at, bytes))?;
    if (switches || stack.holds(pointer)) && low.0 < stack.start.0 {
        return Err(Errno::EFAULT);
    }
    if stack.disarms && switches {
        signals.set_alternate_stack(AlternateStack::default());
    }
    let own = if action.flags.contains(SignalFlags::NO_DEFER) { SignalSet(0) } else { SignalSet::of(&[signal]) };
    thread.set_blocked(blocked.with(action.mask).with(own));
    Ok(())
}

/// What handlers return to that bring no code for it.
fn signal_return(space: &AddressSpace) -> Option<UserAddr> {
    vdso::signal_return().map(|offset| UserAddr(space.landmarks().vdso.0 + offset))
}

/// Goes on with what a handler interrupted (rt_sigreturn(2)). EFAULT for a frame that is none.
pub fn return_from_handler(thread: &Thread, context: &mut UserContext) -> Result<(), Errno> {
    let space = thread.space();
    let (mask, stack) = context.pop_handler(|at, bytes| space.read_bytes(at, bytes))?;
    thread.set_blocked(SignalSet(mask));
    // As on Linux: a stack that cannot be is not set.
    if let Ok(stack) = AlternateStack::from_described(stack) {
        thread.signals().set_alternate_stack(stack);
    }
    Ok(())
}
