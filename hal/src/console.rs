//! The serial console: bytes out, bytes in, and the writer behind `log`.

use crate::{arch, sync::SpinLock};
use core::fmt::{self, Write};

static OUT: SpinLock<()> = SpinLock::new(());

/// Writes all bytes, not interleaved with another CPU's.
pub fn write_bytes(bytes: &[u8]) {
    let _whole = OUT.lock();
    arch::console_write(bytes);
}

/// The next byte that has arrived, if any.
pub fn read_byte() -> Option<u8> {
    arch::console_read()
}

/// Formats to the console; one call's output is not interleaved with another CPU's.
pub fn print(arguments: fmt::Arguments<'_>) {
    let _whole = OUT.lock();
    // Writing to the serial port cannot fail.
    let _ = Serial.write_fmt(arguments);
}

/// For the panic path alone: writes without the lock, which the panicking CPU may hold.
pub(crate) fn print_unlocked(arguments: fmt::Arguments<'_>) {
    let _ = Serial.write_fmt(arguments);
}

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        arch::console_write(s.as_bytes());
        Ok(())
    }
}
