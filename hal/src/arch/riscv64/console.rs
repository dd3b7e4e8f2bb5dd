//! The serial port: an NS16550, or the firmware's console until one is known.
//!
//! Bytes that arrive stay in the port until they are read. Its interrupt says that there are some, and is then
//! switched off until all have been read: a program that does not read costs no interrupts.

use super::{phys_to_virt, sbi};
use crate::{PhysAddr, arch::device_tree::Node, sync::SpinLock};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Physical address of the port; 0 while none is known.
static PORT: AtomicUsize = AtomicUsize::new(0);
/// log2 of the distance of its registers.
static SHIFT: AtomicUsize = AtomicUsize::new(0);
/// Its interrupt's number at the PLIC; 0 when it has none.
static SOURCE: AtomicU32 = AtomicU32::new(0);
/// One reader at a time.
static IN: SpinLock<()> = SpinLock::new(());

/// Receive and transmit buffer.
const DATA: usize = 0;
const INTERRUPT_ENABLE: usize = 1;
const FIFO_CONTROL: usize = 2;
const LINE_STATUS: usize = 5;
/// In `INTERRUPT_ENABLE`: received data.
const RECEIVED: u8 = 1;
/// In `FIFO_CONTROL`: on, both emptied.
const FIFO_ON: u8 = 7;
/// In `LINE_STATUS`: there is a byte to read.
const DATA_READY: u8 = 1;
/// In `LINE_STATUS`: the transmit FIFO is empty.
const TRANSMIT_EMPTY: u8 = 1 << 5;
/// Bytes that an empty transmit FIFO takes.
const FIFO_BYTES: usize = 16;

/// Takes the port that the device tree describes.
pub(super) fn init(port: Option<Node<'_>>) {
    let Some(port) = port else { return };
    let Some(address) = port.address() else { return };
    SHIFT.store(port.integer("reg-shift").unwrap_or(0) as usize, Ordering::Relaxed);
    SOURCE.store(port.cells("interrupts").next().unwrap_or(0), Ordering::Relaxed);
    PORT.store(address, Ordering::Relaxed);
    write(FIFO_CONTROL, FIFO_ON);
}

/// The port's interrupt, by its number at the PLIC.
pub(super) fn interrupt_source() -> Option<u32> {
    Some(SOURCE.load(Ordering::Relaxed)).filter(|&source| source != 0)
}

/// Lets the port tell of received bytes.
pub(super) fn enable_interrupt() {
    write(INTERRUPT_ENABLE, RECEIVED);
}

/// Answers an interrupt. Whether it was this port's.
pub(super) fn acknowledge_interrupt(source: u32) -> bool {
    if interrupt_source() != Some(source) {
        return false;
    }
    write(INTERRUPT_ENABLE, 0);
    true
}

fn register(index: usize) -> *mut u8 {
    let address = PORT.load(Ordering::Relaxed) + (index << SHIFT.load(Ordering::Relaxed));
    phys_to_virt(PhysAddr(address))
}

fn read(index: usize) -> u8 {
    // SAFETY: a register of the port, which the device tree names and the direct map shows.
    unsafe { register(index).read_volatile() }
}

fn write(index: usize, value: u8) {
    // SAFETY: as in `read`.
    unsafe { register(index).write_volatile(value) };
}

pub(crate) fn console_write(bytes: &[u8]) {
    if PORT.load(Ordering::Relaxed) == 0 {
        bytes.iter().copied().for_each(sbi::console_put);
        return;
    }
    for part in bytes.chunks(FIFO_BYTES) {
        while read(LINE_STATUS) & TRANSMIT_EMPTY == 0 {
            super::relax();
        }
        part.iter().for_each(|&byte| write(DATA, byte));
    }
}

pub(crate) fn console_read() -> Option<u8> {
    if PORT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let _alone = IN.lock();
    if read(LINE_STATUS) & DATA_READY != 0 {
        return Some(read(DATA));
    }
    // A byte that arrives from here on, or has since the look above, raises the interrupt.
    enable_interrupt();
    None
}
