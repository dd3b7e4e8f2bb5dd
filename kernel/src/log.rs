//! Kernel messages go to the console, one line each, with the time since boot.

use core::sync::atomic::{AtomicU64, Ordering};

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

/// How often a message may be repeated that programs cause: so many times in a row, then once in a while.
#[derive(Debug)]
pub struct Rate {
    /// When as many messages as allowed in a row may be written again.
    rested_ns: AtomicU64,
}

impl Rate {
    /// Messages in a row.
    const BURST: u64 = 10;
    /// From one message to the next, in the long run.
    const INTERVAL_NS: u64 = 1_000_000_000;

    /// A rate for messages of one kind.
    #[must_use]
    pub const fn new() -> Self {
        Self { rested_ns: AtomicU64::new(0) }
    }

    /// Whether one more message may be written now.
    pub fn allows(&self) -> bool {
        let now = clock::now_ns();
        let step = |rested: u64| {
            let next = rested.max(now) + Self::INTERVAL_NS;
            (next <= now + Self::BURST * Self::INTERVAL_NS).then_some(next)
        };
        self.rested_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    }
}
