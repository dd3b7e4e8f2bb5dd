//! Control and status registers: the bits that hal uses, and access to them.

/// Reads a control and status register, given by name or number.
macro_rules! read_csr {
    ($register:literal) => {{
        let value: usize;
        // SAFETY: none of the registers that hal names has a side effect on being read.
        unsafe {
            core::arch::asm!(concat!("csrr {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }};
}

/// Writes, sets or clears (`csrw`, `csrs`, `csrc`) a control and status register. What that means is the caller's
/// to justify: it is an unsafe operation.
macro_rules! change_csr {
    ($operation:literal, $register:literal, $value:expr) => {
        core::arch::asm!(concat!($operation, " ", $register, ", {}"), in(reg) $value, options(nostack, preserves_flags))
    };
}

pub(super) use {change_csr, read_csr};

/// `sstatus`: the privilege mode before the trap was S.
pub(super) const STATUS_SPP: usize = 1 << 8;
/// `sstatus`: interrupts were on before the trap, and are on again after `sret`.
pub(super) const STATUS_SPIE: usize = 1 << 5;
/// `sstatus`: state of the vector unit; 0 is off.
pub(super) const STATUS_VS: usize = 3 << 9;
/// `sstatus`: state of the floating-point unit; 0 is off.
pub(super) const STATUS_FS: usize = 3 << 13;
/// [`STATUS_FS`]: the registers are as they were loaded.
pub(super) const STATUS_FS_CLEAN: usize = 2 << 13;
/// [`STATUS_FS`]: the registers may have been written.
pub(super) const STATUS_FS_DIRTY: usize = 3 << 13;
/// `sstatus`: S-mode may reach user pages. Set within the copy routines alone.
pub(super) const STATUS_SUM: usize = 1 << 18;
/// `sstatus`: executable pages can be loaded from.
pub(super) const STATUS_MXR: usize = 1 << 19;

/// `sie`, `sip`: the software interrupt, by which CPUs kick each other.
pub(super) const INTERRUPT_SOFTWARE: usize = 1 << 1;
/// `sie`, `sip`: the timer.
pub(super) const INTERRUPT_TIMER: usize = 1 << 5;
/// `sie`, `sip`: devices, by way of the PLIC.
pub(super) const INTERRUPT_EXTERNAL: usize = 1 << 9;
