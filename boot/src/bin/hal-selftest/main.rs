//! Proves hal on the real machine: prints a line for each check and ends the machine with status 0, or 1 when a
//! check failed.
//!
//! Words of the command line: `cpus=N` is the number of CPUs that must come up. `mode=panic`, `mode=write-text`,
//! `mode=write-text-alias`, `mode=execute-data`, `mode=null` and `mode=overflow` each end in a kernel panic (status 250)
//! instead, which is what their test looks for. An initial RAM disk, when there is one, is the symbol table for
//! backtraces.
#![no_std]
#![no_main]

extern crate alloc;

mod checks;
mod endings;
#[cfg(target_arch = "x86_64")]
#[path = "machine_x86_64.rs"]
mod machine;
mod many;
mod memory;
mod programs;
mod state;
mod user;

use veridian_hal::{BootInfo, boot_info, console, power};

veridian_hal::entry!(main);

fn main(boot: BootInfo) -> ! {
    console::print(format_args!("selftest: {} bytes on {}\n", boot.memory_bytes, boot.machine));
    if let Some(initrd) = &boot.initrd {
        boot_info::set_symbols(initrd.bytes());
    }
    let word = |key: &str| boot.command_line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key));
    if let Some(mode) = word("mode=") {
        endings::end(mode)
    }
    let mut checks = checks::Checks::default();
    memory::run(&mut checks);
    user::run(&mut checks);
    state::run(&mut checks);
    #[cfg(target_arch = "x86_64")]
    machine::run(&mut checks);
    many::run(&mut checks, word("cpus=").and_then(|n| n.parse().ok()));
    power::exit(checks.conclude())
}
