//! Random numbers: the CPU's generator (RNDR), else the seed that the loader put into the device tree.

use super::registers::read_register;
use crate::{arch::device_tree::DeviceTree, sync::SpinLock};
use core::arch::asm;

/// Words of the seed that nobody has been given yet.
static SEED: SpinLock<heapless::Vec<u64, 8>> = SpinLock::new(heapless::Vec::new());

/// Takes the seed of the device tree.
pub(super) fn init(tree: &DeviceTree<'_>) {
    let words = tree.rng_seed().unwrap_or_default().as_chunks().0;
    let mut seed = SEED.lock();
    for word in words {
        if seed.push(u64::from_le_bytes(*word)).is_err() {
            break;
        }
    }
}

pub(crate) fn hardware_random() -> Option<u64> {
    const RNDR: u64 = 0xf << 60;
    if read_register!("id_aa64isar0_el1") & RNDR == 0 {
        return SEED.lock().pop();
    }
    let (value, valid): (u64, u64);
    // SAFETY: the CPU has the register RNDR; reading it sets the flags, Z when there is no number.
    unsafe { asm!("mrs {}, s3_3_c2_c4_0", "cset {}, ne", out(reg) value, out(reg) valid, options(nomem, nostack)) };
    (valid != 0).then_some(value)
}
