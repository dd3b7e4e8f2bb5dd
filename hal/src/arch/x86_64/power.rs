//! Leaving the machine.

use super::{
    acpi,
    instructions::{halt, outb, outl},
    time,
};
use crate::power::PANIC_STATUS;

/// QEMU's `isa-debug-exit`, as it is commonly placed: the host sees `value * 2 + 1`.
const DEBUG_EXIT: u16 = 0xf4;

/// QEMU's debug console, where the host reads the whole status: the exit device carries its low seven bits alone.
const DEBUG_CONSOLE: u16 = 0xe9;

/// Ends the machine with `status`; without the exit device it is switched off, or halted.
pub(crate) fn exit(status: u8) -> ! {
    // SAFETY: where there is no such device, nobody listens at the port.
    unsafe {
        outb(DEBUG_CONSOLE, status);
        outl(DEBUG_EXIT, status.into());
    }
    acpi::switch_off();
    halt()
}

/// A panic while another is under way: that one gets a second to end the machine.
pub(crate) fn halt_or_exit_after_panic() -> ! {
    let start = time::now_ns();
    while time::now_ns().wrapping_sub(start) < 1_000_000_000 {
        core::hint::spin_loop();
    }
    exit(PANIC_STATUS)
}
