//! Backtraces of the kernel's own code, by the frame pointers that every function keeps.

use super::{cpus::cpu_id, memory};
use core::arch::asm;

/// Deeper than any sensible call.
const MOST_FRAMES: usize = 32;

/// Return addresses, innermost first.
pub(crate) fn backtrace() -> impl Iterator<Item = usize> {
    let mut frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    let stacks = [memory::stack_range(cpu_id()), memory::boot_stack_range()];
    core::iter::from_fn(move || {
        let readable = stacks.iter().any(|stack| stack.contains(&frame) && stack.contains(&(frame + 15)));
        if !readable || !frame.is_multiple_of(16) {
            return None;
        }
        // SAFETY: 16 aligned bytes of this CPU's stack, or of the boot stack, which is mapped.
        let [next, address] = unsafe { *(frame as *const [usize; 2]) };
        frame = next;
        (address != 0).then_some(address)
    })
    .take(MOST_FRAMES)
}
