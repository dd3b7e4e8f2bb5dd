//! Leaving the machine.

use crate::arch;

/// Ends the machine with a status that the host sees: semihosting on aarch64 and the test device on riscv64 make it
/// QEMU's exit status. On x86_64 it is the byte written to the debug console (port 0xe9), and QEMU's exit status is the
/// low eight bits of `status * 2 + 1`, which is all that `isa-debug-exit` carries. Without such a device the machine
/// is switched off or halted.
pub fn exit(status: u8) -> ! {
    arch::exit(status)
}

/// Exit status after a kernel panic.
pub const PANIC_STATUS: u8 = 250;
