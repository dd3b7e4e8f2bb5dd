//! Text to the standard output: a line at a time, so that lines of several processes do not mix.

use core::fmt::{self, Write};

use crate::sys::{self, Fd};

/// Collects text and writes it in one call if it fits, in pieces if not.
struct Pieces {
    fd: Fd,
    bytes: [u8; 512],
    used: usize,
}

impl Pieces {
    fn flush(&mut self) {
        let mut rest = &self.bytes[..self.used];
        while !rest.is_empty() {
            match sys::write(self.fd, rest) {
                Ok(written) if written > 0 => rest = &rest[written.min(rest.len())..],
                // Nowhere to say that there is nowhere to say it.
                _ => break,
            }
        }
        self.used = 0;
    }
}

impl Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

/// Writes formatted text to a descriptor.
pub fn print(fd: Fd, text: fmt::Arguments<'_>) {
    let mut pieces = Pieces { fd, bytes: [0; 512], used: 0 };
    // `Pieces` never fails; an argument's own formatting may, and then the rest is not printed.
    let _ = pieces.write_fmt(text);
    pieces.flush();
}

/// Prints a line to the standard output.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::io::print(1, format_args!("{}\n", format_args!($($text)*))) };
}

/// Formats into a [`heapless::String`] of the given size; what does not fit is cut.
#[macro_export]
macro_rules! text {
    ($size:literal, $($text:tt)*) => {{
        let mut text = $crate::heapless::String::<$size>::new();
        let _ = core::fmt::Write::write_fmt(&mut text, format_args!($($text)*));
        text
    }};
}
