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

/// What instructions there are that keep no state of their own (the "ELF hwcaps" of Linux's arm64 documentation).
pub(crate) fn hardware_capabilities() -> [usize; 2] {
    // Register, lowest bit of its field, least value of the field, word and bit of the capability.
    let (isar0, isar1) = (read_register!("id_aa64isar0_el1"), read_register!("id_aa64isar1_el1"));
    let pfr0 = read_register!("id_aa64pfr0_el1");
    let fields = [
        (isar0, 4, 1, 0, 3),   // AES
        (isar0, 4, 2, 0, 4),   // PMULL
        (isar0, 8, 1, 0, 5),   // SHA1
        (isar0, 12, 1, 0, 6),  // SHA2
        (isar0, 16, 1, 0, 7),  // CRC32
        (isar0, 20, 2, 0, 8),  // ATOMICS
        (isar0, 28, 1, 0, 12), // ASIMDRDM
        (isar1, 12, 1, 0, 13), // JSCVT
        (isar1, 16, 1, 0, 14), // FCMA
        (isar1, 20, 1, 0, 15), // LRCPC
        (isar0, 32, 1, 0, 17), // SHA3
        (isar0, 36, 1, 0, 18), // SM3
        (isar0, 40, 1, 0, 19), // SM4
        (isar0, 44, 1, 0, 20), // ASIMDDP
        (isar0, 12, 2, 0, 21), // SHA512
        (isar0, 48, 1, 0, 23), // ASIMDFHM
        (isar1, 20, 2, 0, 26), // ILRCPC
        (isar0, 52, 1, 0, 27), // FLAGM
        (isar1, 36, 1, 0, 29), // SB
        (isar0, 52, 2, 1, 7),  // FLAGM2
        (isar1, 32, 1, 1, 8),  // FRINT
        (isar0, 60, 1, 1, 16), // RNG
    ];
    // A field of all ones is what says that there is no floating point.
    let has_floating_point = |field: u64| pfr0 >> field & 0xf != 0xf;
    let has_half_precision = |field: u64| pfr0 >> field & 0xf == 1;
    let mut words = [0; 2];
    for (there, bit) in [
        (has_floating_point(16), 0),
        (has_floating_point(20), 1),
        (has_half_precision(16), 9),
        (has_half_precision(20), 10),
    ] {
        words[0] |= usize::from(there) << bit;
    }
    for (register, field, least, word, bit) in fields {
        words[word] |= usize::from(register >> field & 0xf >= least) << bit;
    }
    words
}
