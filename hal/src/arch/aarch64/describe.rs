//! What this CPU says of itself.

use super::registers::read_register;
use core::fmt::{self, Write};

/// The lines of Linux's /proc/cpuinfo that a program looks for: who made the CPU, and which it is.
pub(crate) fn describe_cpu(to: &mut dyn Write) -> fmt::Result {
    let id = read_register!("midr_el1");
    writeln!(to, "CPU implementer\t: 0x{:02x}\nCPU architecture: 8", id >> 24 & 0xff)?;
    writeln!(to, "CPU variant\t: 0x{:x}\nCPU part\t: 0x{:03x}", id >> 20 & 0xf, id >> 4 & 0xfff)?;
    writeln!(to, "CPU revision\t: {}", id & 0xf)
}
