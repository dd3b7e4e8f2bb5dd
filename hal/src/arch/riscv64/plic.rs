//! The platform-level interrupt controller: brings the console's interrupt to CPU 0, and no other.

use super::{console, phys_to_virt};
use crate::{PhysAddr, arch::device_tree::Node};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Physical address of CPU 0's pair of threshold and claim registers; 0 while there is no PLIC.
static CONTEXT: AtomicUsize = AtomicUsize::new(0);

const ENABLE: usize = 0x2000;
const ENABLE_STRIDE: usize = 0x80;
const THRESHOLD: usize = 0x20_0000;
const CONTEXT_STRIDE: usize = 0x1000;
/// From the threshold register to the claim register.
const CLAIM: usize = 4;
/// The interrupt of a hart that the PLIC drives for S-mode.
const SUPERVISOR_EXTERNAL: u32 = 9;

/// Routes the console's interrupt to the boot hart. Where something of that is missing, the console's input must be
/// polled, and nobody is told of it.
pub(super) fn init(plic: &Node<'_>, boot_cpu: &Node<'_>) {
    let (Some(base), Some(source)) = (plic.address(), console::interrupt_source()) else { return };
    let Some(context) = context_of(plic, boot_cpu) else { return };
    let source = source as usize;
    let threshold = base + THRESHOLD + context * CONTEXT_STRIDE;
    write(base + source * 4, 1);
    write(base + ENABLE + context * ENABLE_STRIDE + source / 32 * 4, 1 << (source % 32));
    write(threshold, 0);
    CONTEXT.store(threshold, Ordering::Relaxed);
    console::enable_interrupt();
}

/// The number of the PLIC's output that is the S-mode external interrupt of `cpu`.
fn context_of(plic: &Node<'_>, cpu: &Node<'_>) -> Option<usize> {
    let controller = cpu.child("riscv,cpu-intc")?.cells("phandle").next()?;
    let mut outputs = plic.cells("interrupts-extended");
    let mut pairs = core::iter::from_fn(|| Some((outputs.next()?, outputs.next()?)));
    pairs.position(|output| output == (controller, SUPERVISOR_EXTERNAL))
}

/// Takes every pending interrupt and calls `each` with its source before it is complete. For CPU 0.
pub(super) fn acknowledge(mut each: impl FnMut(u32)) {
    let context = CONTEXT.load(Ordering::Relaxed);
    if context == 0 {
        return;
    }
    loop {
        let source = read(context + CLAIM);
        if source == 0 {
            return;
        }
        each(source);
        write(context + CLAIM, source);
    }
}

fn read(address: usize) -> u32 {
    // SAFETY: a register of the PLIC, which the device tree names and the direct map shows.
    unsafe { phys_to_virt(PhysAddr(address)).cast::<u32>().read_volatile() }
}

fn write(address: usize, value: u32) {
    // SAFETY: as in `read`.
    unsafe { phys_to_virt(PhysAddr(address)).cast::<u32>().write_volatile(value) };
}
