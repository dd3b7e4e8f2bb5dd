//! # veridian-boot: the kernel image
//!
//! Owns: the entry point's name and the linker scripts. Calls: `hal`, which sets up the machine, and through
//! it `kernel`. There is nothing else here; the tests of hal on the real machine are `bin/hal-selftest`.
#![no_std]
#![no_main]

veridian_hal::entry!(veridian_kernel::main);
