//! The chain of frame pointers, followed only within the stacks of this CPU.

use super::local::Cpu;
use core::arch::asm;

/// More frames than this are not reported.
const MOST_FRAMES: usize = 64;

/// Return addresses of the kernel's own frames, innermost first.
#[inline(never)]
pub(crate) fn backtrace() -> impl Iterator<Item = usize> {
    let mut frame: usize;
    // SAFETY: the kernel is built with frame pointers; reading one has no effect.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    let mut stack = 0..0;
    core::iter::from_fn(move || {
        if !frame.is_multiple_of(8) {
            return None;
        }
        if !(stack.start <= frame && frame + 16 <= stack.end) {
            // The first frame, or the one below a trap that came on a stack of its own.
            stack = Cpu::current().stacks().find(|s| s.start <= frame && frame.saturating_add(16) <= s.end)?;
        }
        // SAFETY: two words within a stack of this CPU, which is mapped.
        let (next, address) = unsafe { (*(frame as *const usize), *((frame + 8) as *const usize)) };
        // Within a stack frames only go up; what does not is rubbish.
        if stack.contains(&next) && next <= frame {
            return None;
        }
        frame = next;
        (address != 0).then_some(address)
    })
    .take(MOST_FRAMES)
}
