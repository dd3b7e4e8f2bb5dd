//! PSCI, the firmware's power interface, and the ways out of the machine.

use super::registers::read_register;
use crate::{arch::device_tree::Node, power::PANIC_STATUS};
use core::{
    arch::{asm, global_asm},
    sync::atomic::{AtomicU8, Ordering},
};

/// How firmware is called.
static CONDUIT: AtomicU8 = AtomicU8::new(NONE);
const NONE: u8 = 0;
const HVC: u8 = 1;
const SMC: u8 = 2;

const CPU_ON: usize = 0xc400_0003;
const SYSTEM_OFF: usize = 0x8400_0008;

/// Learns from the device tree how firmware is called.
pub(super) fn init(node: Option<Node<'_>>) {
    let conduit = match node.and_then(|node| node.string("method")) {
        Some("hvc") => HVC,
        Some("smc") => SMC,
        _ => NONE,
    };
    CONDUIT.store(conduit, Ordering::Relaxed);
}

/// Calls firmware; negative is an error of PSCI. `None`: there is no firmware to call.
fn psci(function: usize, arguments: [usize; 3]) -> Option<isize> {
    let mut result = function as isize;
    let [a, b, c] = arguments;
    // SAFETY: firmware keeps all registers but x0 to x17, and memory as it is but for what CPU_ON starts.
    unsafe {
        match CONDUIT.load(Ordering::Relaxed) {
            HVC => asm!("hvc #0", inout("x0") result, in("x1") a, in("x2") b, in("x3") c, clobber_abi("C")),
            SMC => asm!("smc #0", inout("x0") result, in("x1") a, in("x2") b, in("x3") c, clobber_abi("C")),
            _ => return None,
        }
    }
    Some(result)
}

/// Starts the CPU with the given affinity at the physical address `entry`, with `argument` in x0.
///
/// # Safety
/// The code at `entry` copes with a CPU whose MMU is off.
pub(super) unsafe fn start_cpu(affinity: u64, entry: usize, argument: usize) -> Result<(), isize> {
    const NOT_SUPPORTED: isize = -1;
    match psci(CPU_ON, [affinity as usize, entry, argument]).unwrap_or(NOT_SUPPORTED) {
        0 => Ok(()),
        error => Err(error),
    }
}

// Semihosting's SYS_EXIT_EXTENDED. Where nobody listens, the instruction is undefined: the exception table says
// that the kernel goes on behind it.
global_asm!(
    r#"
    .global aarch64_semihosting_exit
aarch64_semihosting_exit:
    mov     x1, x0
    mov     x0, #0x20
1:  hlt     #0xf000
2:  ret
    .pushsection .ex_table, "a"
    .quad   1b, 2b
    .popsection
    "#
);

unsafe extern "C" {
    /// Asks the host to end with `block`: a reason, and a status.
    fn aarch64_semihosting_exit(block: &[u64; 2]);
}

pub(crate) fn exit(status: u8) -> ! {
    const APPLICATION_EXIT: u64 = 0x20026;
    // SAFETY: the block lives through the call; without a host it comes back.
    unsafe { aarch64_semihosting_exit(&[APPLICATION_EXIT, status.into()]) };
    psci(SYSTEM_OFF, [0; 3]);
    loop {
        // SAFETY: waits, with interrupts masked.
        unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
    }
}

/// A panic within a panic, or on another CPU: gives the first one's report a second to be printed.
pub(crate) fn halt_or_exit_after_panic() -> ! {
    let start = read_register!("cntvct_el0");
    while read_register!("cntvct_el0").wrapping_sub(start) < read_register!("cntfrq_el0") {
        core::hint::spin_loop();
    }
    exit(PANIC_STATUS)
}
