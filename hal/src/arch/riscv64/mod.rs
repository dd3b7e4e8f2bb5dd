//! The riscv64 machine: Sv39, SBI firmware, a device tree, PLIC and NS16550.
//!
//! Virtual memory: the user half is the lower 256 GiB. The kernel half has three parts, each of them in root
//! entries that are fixed before the first user table is made:
//!
//! | from | what |
//! | --- | --- |
//! | `0xffff_ffc0_0000_0000` | the direct map: all RAM and the devices, never executable |
//! | `0xffff_ffff_8000_0000` | the kernel image: text, read-only data, data, each with its own rights |
//! | `0xffff_ffff_c000_0000` | the CPUs' stacks, with unmapped pages below each |

mod boot;
mod bytes;
mod clock;
mod console;
mod context;
mod copy;
mod cpu;
mod csr;
mod entry;
mod kernel_map;
mod paging;
mod plic;
mod power;
mod random;
mod sbi;
mod signal;
mod trap;
mod vdso;

use crate::PhysAddr;

pub use context::UserContext;
pub use signal::LEAST_SIGNAL_STACK;
pub(crate) use {
    boot::{describe_cpu, hardware_capabilities},
    clock::{boot_time_unix, counter_scale, now_ns, set_deadline, ticks, ticks_to_ns},
    console::{console_read, console_write},
    copy::{copy_from_user, copy_to_user},
    cpu::{cpu_count, cpu_id, idle, relax, send_kick, start_cpus, take_events},
    paging::{Format, activate, deactivate, flush_pages, published_entry},
    power::{exit, halt_or_exit_after_panic},
    random::hardware_random,
    trap::backtrace,
    vdso::vdso,
};

/// What uname(2) gives as machine.
pub const DESCRIPTION: &str = "riscv64";
/// The machine of its ELF files: EM_RISCV.
pub const ELF_MACHINE: u16 = 243;
/// First address behind the user half of an Sv39 address space.
pub const USER_END: usize = 1 << 38;

/// Where physical address 0 appears.
const DIRECT_MAP: usize = 0xffff_ffc0_0000_0000;
/// Bytes of physical address space that the direct map can show: up to the kernel image's root entry.
const DIRECT_MAP_BYTES: usize = 254 << 30;
/// Where the image is linked: `boot/riscv64.ld` says the same.
const IMAGE: usize = 0xffff_ffff_8000_0000;
/// Where the CPUs' stacks lie.
const STACKS: usize = 0xffff_ffff_c000_0000;

/// Where the kernel sees physical memory.
#[inline]
pub(crate) fn phys_to_virt(address: PhysAddr) -> *mut u8 {
    debug_assert!(address.0 < DIRECT_MAP_BYTES);
    (DIRECT_MAP + address.0) as *mut u8
}
