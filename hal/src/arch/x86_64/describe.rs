//! What this CPU says of itself.

use super::instructions::cpuid;
use core::fmt::{self, Write};

/// The lines of Linux's /proc/cpuinfo that a program looks for: maker, family, model, stepping, name.
pub(crate) fn describe_cpu(to: &mut dyn Write) -> fmt::Result {
    let leaf0 = cpuid(0, 0);
    let vendor = [leaf0.ebx, leaf0.edx, leaf0.ecx].map(u32::to_le_bytes).concat_text();
    let version = cpuid(1, 0).eax;
    let base_family = version >> 8 & 0xf;
    let family = if base_family == 0xf { base_family + (version >> 20 & 0xff) } else { base_family };
    let extended_model = if base_family == 6 || base_family == 0xf { version >> 16 & 0xf } else { 0 };
    let model = extended_model << 4 | version >> 4 & 0xf;
    writeln!(to, "vendor_id\t: {}", vendor.as_text())?;
    writeln!(to, "cpu family\t: {family}\nmodel\t\t: {model}")?;
    if cpuid(0x8000_0000, 0).eax >= 0x8000_0004 {
        write!(to, "model name\t: ")?;
        for leaf in 0x8000_0002..=0x8000_0004 {
            let part = cpuid(leaf, 0);
            write!(to, "{}", [part.eax, part.ebx, part.ecx, part.edx].map(u32::to_le_bytes).concat_text().as_text())?;
        }
        writeln!(to)?;
    }
    writeln!(to, "stepping\t: {}", version & 0xf)
}

/// The feature bits of the first leaf; the instructions that reach the bases of FS and GS are allowed.
pub(crate) fn hardware_capabilities() -> [usize; 2] {
    const HWCAP2_FSGSBASE: usize = 1 << 1;
    let base_instructions = cpuid(7, 0).ebx & 1 != 0;
    [cpuid(1, 0).edx as usize, if base_instructions { HWCAP2_FSGSBASE } else { 0 }]
}

/// Text of registers.
struct Text([u8; 16]);

impl Text {
    fn as_text(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        core::str::from_utf8(&self.0[..end]).unwrap_or("?")
    }
}

trait Concatenated {
    fn concat_text(self) -> Text;
}

impl<const REGISTERS: usize> Concatenated for [[u8; 4]; REGISTERS] {
    fn concat_text(self) -> Text {
        let mut text = Text([0; 16]);
        text.0[..4 * REGISTERS].copy_from_slice(self.as_flattened());
        text
    }
}
