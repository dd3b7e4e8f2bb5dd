//! Kernel messages go to the console, one line each, with the time since boot.

use ::log::{LevelFilter, Log, Metadata, Record};
use veridian_hal::{clock, console};

struct Console;

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let micros = clock::now_ns() / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        console::print(format_args!("[{seconds:5}.{micros:06}] {}: {}\n", record.level(), record.args()));
    }

    fn flush(&self) {}
}

/// Sends messages of `level` and graver to the console.
pub fn init(level: LevelFilter) {
    // Only a second call fails.
    let _ = ::log::set_logger(&Console);
    ::log::set_max_level(level);
}
