//! The PL011 serial port.

use super::{gic, memory};
use crate::arch::device_tree::Node;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const DATA: usize = 0;
const FLAGS: usize = 0x18;
const LINE_CONTROL: usize = 0x2c;
const CONTROL: usize = 0x30;
const INTERRUPT_MASK: usize = 0x38;

const RECEIVER_EMPTY: u32 = 1 << 4;
const TRANSMITTER_FULL: u32 = 1 << 5;
/// Eight bits, FIFOs on.
const EIGHT_BITS_FIFO: u32 = 3 << 5 | 1 << 4;
/// The port, its transmitter and its receiver.
const ENABLED: u32 = 1 | 1 << 8 | 1 << 9;
/// Bytes have arrived; bytes have been waiting for a while.
const RECEIVED: u32 = 1 << 4 | 1 << 6;

/// Where the registers are mapped; 0 before they are.
static PORT: AtomicUsize = AtomicUsize::new(0);
/// Whether the interrupt is masked until the bytes that raised it have been read.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Starts the port; its registers are mapped.
pub(super) fn init(node: Option<Node<'_>>) {
    let Some(address) = node.and_then(|node| node.address()) else { return };
    PORT.store(memory::device(address) as usize, Ordering::Relaxed);
    // Firmware has chosen the speed. The line's format changes only while the port is off.
    write(CONTROL, 0);
    write(LINE_CONTROL, EIGHT_BITS_FIFO);
    write(CONTROL, ENABLED);
}

/// Has arriving bytes interrupt CPU 0.
pub(super) fn enable_interrupt(node: Option<Node<'_>>) {
    // Kind (0: shared), number, flags.
    let Some(number) = node.and_then(|node| node.cells("interrupts").nth(1)) else { return };
    gic::enable_console(32 + number);
    write(INTERRUPT_MASK, RECEIVED);
}

/// Withdraws the interrupt: it stays pending until the bytes are read, by whomever the event wakes.
pub(super) fn silence() {
    SILENT.store(true, Ordering::SeqCst);
    write(INTERRUPT_MASK, 0);
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of the port, which is mapped as a device: the callers have seen that PORT is set.
    unsafe { ((PORT.load(Ordering::Relaxed) + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`.
    unsafe { ((PORT.load(Ordering::Relaxed) + register) as *mut u32).write_volatile(value) }
}

pub(crate) fn console_write(bytes: &[u8]) {
    if PORT.load(Ordering::Relaxed) == 0 {
        return;
    }
    for &byte in bytes {
        while read(FLAGS) & TRANSMITTER_FULL != 0 {
            core::hint::spin_loop();
        }
        write(DATA, byte.into());
    }
}

pub(crate) fn console_read() -> Option<u8> {
    if PORT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    if read(FLAGS) & RECEIVER_EMPTY == 0 {
        return Some(read(DATA) as u8);
    }
    // All read: the next byte interrupts again. One that came since the look above raises it at once.
    if SILENT.swap(false, Ordering::SeqCst) {
        write(INTERRUPT_MASK, RECEIVED);
    }
    None
}
