//! System registers, by the name the assembler knows them by.

/// The value of a system register.
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: the registers that are read here have no side effect on memory, stack or flags.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }};
}

/// Writes a system register. Unsafe: what follows depends on the register.
macro_rules! write_register {
    ($name:literal, $value:expr) => {
        core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) u64::from($value), options(nostack, preserves_flags))
    };
}

/// Waits until what was written to system registers is in force.
macro_rules! synchronize {
    () => {
        // SAFETY: a barrier changes no data.
        unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) }
    };
}

pub(super) use {read_register, synchronize, write_register};
