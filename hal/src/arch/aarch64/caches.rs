//! Instruction caches are not coherent with stores on every CPU: what a frame holds is made visible to
//! instruction fetches when the frame is mapped executable.

use super::{memory::phys_to_virt, registers::read_register};
use crate::{PAGE_SIZE, PhysAddr};
use core::arch::asm;

/// Makes the bytes of the frame at `address` what instruction fetches get, on every CPU.
pub(super) fn make_executable(address: PhysAddr) {
    let cache_type = read_register!("ctr_el0");
    let needs_clean = cache_type & (1 << 28) == 0;
    let needs_invalidate = cache_type & (1 << 29) == 0;
    let start = phys_to_virt(address) as usize;
    if needs_clean {
        let line = 4 << (cache_type >> 16 & 0xf);
        for at in (start..start + PAGE_SIZE).step_by(line) {
            // SAFETY: cleaning a line of mapped memory changes no data.
            unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        }
    }
    // SAFETY: barriers and the invalidation of instruction caches change no data.
    unsafe {
        asm!("dsb ish", options(nostack, preserves_flags));
        if needs_invalidate {
            const PHYSICALLY_TAGGED: u64 = 0b11;
            if cache_type >> 14 & 0b11 == PHYSICALLY_TAGGED {
                for at in (start..start + PAGE_SIZE).step_by(4 << (cache_type & 0xf)) {
                    asm!("ic ivau, {}", in(reg) at, options(nostack, preserves_flags));
                }
            } else {
                // By this address only one of several copies would be found.
                asm!("ic ialluis", options(nostack, preserves_flags));
            }
            asm!("dsb ish", options(nostack, preserves_flags));
        }
        asm!("isb", options(nostack, preserves_flags));
    }
}
