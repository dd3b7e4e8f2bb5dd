//! Leaving the machine.

use crate::arch;

/// Ends the machine with a status that the host sees as QEMU's exit status where the machine can carry it:
/// `isa-debug-exit` on x86_64 (the host sees the low eight bits of `status * 2 + 1`, so two statuses that differ by 128
/// look the same), semihosting on aarch64 and the test device on
/// riscv64 (the host sees `status`). Without such a device the machine is switched off or halted.
pub fn exit(status: u8) -> ! {
    arch::exit(status)
}

/// Exit status after a kernel panic.
pub const PANIC_STATUS: u8 = 250;
