//! The end: the test device, which carries a status out of QEMU, else the firmware.

use super::{clock, cpu::relax, phys_to_virt, sbi};
use crate::{PhysAddr, arch::device_tree::Node, power::PANIC_STATUS};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Physical address of the test device; 0 while there is none.
static TEST_DEVICE: AtomicUsize = AtomicUsize::new(0);
/// Ends the machine; the status is 0.
const PASS: u32 = 0x5555;
/// Ends the machine; the status stands in the upper half of the word.
const FAIL: u32 = 0x3333;

/// Takes the test device that the device tree describes.
pub(super) fn init(device: Option<Node<'_>>) {
    TEST_DEVICE.store(device.and_then(|node| node.address()).unwrap_or(0), Ordering::Relaxed);
}

pub(crate) fn exit(status: u8) -> ! {
    let device = TEST_DEVICE.load(Ordering::Relaxed);
    if device != 0 {
        let word = if status == 0 { PASS } else { FAIL | u32::from(status) << 16 };
        // SAFETY: the device's one register, found in the device tree and mapped.
        unsafe { phys_to_virt(PhysAddr(device)).cast::<u32>().write_volatile(word) };
    }
    sbi::shut_down(status != 0);
    loop {
        relax();
    }
}

/// For a panic while there is one. The first one's message is worth more, so this CPU leaves it the time to
/// come out; when it does not come to its end, it is this CPU's own, cut short, and the machine ends here.
pub(crate) fn halt_or_exit_after_panic() -> ! {
    const PATIENCE_NS: u64 = 200_000_000;
    let start = clock::now_ns();
    while clock::now_ns() - start < PATIENCE_NS {
        relax();
    }
    exit(PANIC_STATUS)
}
