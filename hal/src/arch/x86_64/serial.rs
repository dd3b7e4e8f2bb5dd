//! COM1, a 16550.

use super::instructions::{inb, outb};

const COM1: u16 = 0x3f8;
const DATA: u16 = COM1;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;
const FIFO_BYTES: usize = 16;
const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// Sets the port up: 115200 baud, 8 bits, FIFOs on, no interrupts yet.
pub(super) fn init() {
    // SAFETY: the port's registers, in the order of its data sheet.
    unsafe {
        outb(INTERRUPT_ENABLE, 0);
        outb(LINE_CONTROL, 0x80);
        outb(DATA, 1);
        outb(INTERRUPT_ENABLE, 0);
        outb(LINE_CONTROL, 0x03);
        outb(FIFO_CONTROL, 0x07);
        // OUT2 lets the interrupt through.
        outb(MODEM_CONTROL, 0x0b);
    }
}

/// Lets the port interrupt when bytes arrive.
pub(super) fn enable_receive_interrupt() {
    // SAFETY: the port's own register.
    unsafe { outb(INTERRUPT_ENABLE, 1) };
}

/// Writes all bytes.
pub(crate) fn console_write(bytes: &[u8]) {
    for chunk in bytes.chunks(FIFO_BYTES) {
        // SAFETY: reads the port's status. A machine without the port reads all ones, so this ends there too.
        while unsafe { inb(LINE_STATUS) } & TRANSMITTER_EMPTY == 0 {
            core::hint::spin_loop();
        }
        for &byte in chunk {
            // SAFETY: the FIFO is empty, so it has room for a chunk.
            unsafe { outb(DATA, byte) };
        }
    }
}

/// The next byte that has arrived, if any.
pub(crate) fn console_read() -> Option<u8> {
    // SAFETY: reads the port's own registers. All ones: there is no port.
    unsafe {
        let status = inb(LINE_STATUS);
        (status != 0xff && status & DATA_READY != 0).then(|| inb(DATA))
    }
}
