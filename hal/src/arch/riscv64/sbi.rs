//! Calls to the firmware.

use sbi_rt::{NoReason, SbiRet, Shutdown, SystemFailure};

pub(super) use sbi_rt::HartMask;

/// Starts `hart` at the physical address `start`, with its number in `a0` and translation off; else the firmware's
/// answer.
pub(super) fn hart_start(hart: usize, start: crate::PhysAddr) -> Result<(), SbiRet> {
    let started = sbi_rt::hart_start(hart, start.0, 0);
    if started.is_ok() { Ok(()) } else { Err(started) }
}

/// Makes the software interrupt pending on the harts.
pub(super) fn send_ipi(harts: HartMask) {
    let sent = sbi_rt::send_ipi(harts);
    assert!(sent.is_ok(), "the firmware refuses to send an interrupt: {sent:?}");
}

/// Runs `sfence.vma` for `bytes` bytes from `start` on the harts.
pub(super) fn remote_sfence_vma(harts: HartMask, start: usize, bytes: usize) {
    let done = sbi_rt::remote_sfence_vma(harts, start, bytes);
    assert!(done.is_ok(), "the firmware refuses to flush a TLB: {done:?}");
}

/// Runs `fence.i` on the harts.
pub(super) fn remote_fence_i(harts: HartMask) {
    let done = sbi_rt::remote_fence_i(harts);
    assert!(done.is_ok(), "the firmware refuses to synchronise instruction fetches: {done:?}");
}

/// Sets this hart's timer, in ticks of `time`.
pub(super) fn set_timer(ticks: u64) {
    let set = sbi_rt::set_timer(ticks);
    assert!(set.is_ok(), "the firmware refuses to set the timer: {set:?}");
}

/// Switches the machine off; returns when the firmware cannot.
pub(super) fn shut_down(failed: bool) {
    if failed {
        sbi_rt::system_reset(Shutdown, SystemFailure);
    } else {
        sbi_rt::system_reset(Shutdown, NoReason);
    }
}

/// Writes a byte to the firmware's console.
#[expect(deprecated, reason = "its successor came with SBI 2.0, which firmware of today does not all have")]
pub(super) fn console_put(byte: u8) {
    sbi_rt::legacy::console_putchar(byte.into());
}
