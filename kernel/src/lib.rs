//! # veridian-kernel: policy, not hardware
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cgroup;
pub mod mm;

use veridian_hal::{BootInfo, console, power};

/// What CPU 0 runs once hal has set up the machine.
pub fn main(boot: BootInfo) -> ! {
    console::print(format_args!("veridian: {} bytes of memory\n", boot.memory_bytes));
    power::exit(0)
}
