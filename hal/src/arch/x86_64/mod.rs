//! The x86_64 machine: PC-like, entered by PVH (`q35`, `microvm`, other VMMs that speak it).
//!
//! Owns: everything from the first instruction to [`crate::arch::call_main`], and the interface that
//! `arch/mod.rs` describes. Calls: `mem` (frames for stacks and tables), `boot_info`, `console` in panics.
//!
//! Walk: `boot.rs` (entry, memory map) -> `kernel_space.rs` (the kernel half) -> `local.rs` (per-CPU block,
//! descriptor tables, control registers) -> `acpi.rs`, `apic.rs`, `time.rs` -> main; `smp.rs` when asked for.

mod acpi;
mod apic;
mod backtrace;
mod boot;
mod context;
mod copy;
mod describe;
mod extended_state;
mod instructions;
mod kernel_space;
mod local;
mod paging;
mod power;
mod requests;
mod serial;
mod signal;
mod smp;
mod time;
mod traps;
mod vdso;

use crate::cpu::Events;
use core::sync::atomic::Ordering;
use local::Cpu;

pub(crate) use apic::send_kick;
pub(crate) use backtrace::backtrace;
pub use context::UserContext;
pub(crate) use copy::{copy_from_user, copy_to_user};
pub(crate) use describe::{describe_cpu, hardware_capabilities};
pub(crate) use kernel_space::phys_to_virt;
pub(crate) use paging::{Format, activate, deactivate, flush_pages, published_entry};
pub(crate) use power::{exit, halt_or_exit_after_panic};
pub(crate) use serial::{console_read, console_write};
pub use signal::LEAST_SIGNAL_STACK;
pub(crate) use smp::{cpu_count, start_cpus};
pub(crate) use time::{boot_time_unix, counter_scale, now_ns, set_deadline, ticks, ticks_to_ns};
pub(crate) use vdso::vdso;

/// What uname(2) gives as machine.
pub const DESCRIPTION: &str = "x86_64";

/// `EM_X86_64`.
pub const ELF_MACHINE: u16 = 62;

/// First address behind the user half. The last page below the hole of non-canonical addresses is left out: a
/// system call at its very end would return to an address that `sysretq` faults on in kernel mode.
pub const USER_END: usize = (1 << 47) - crate::PAGE_SIZE;

#[inline]
pub(crate) fn cpu_id() -> usize {
    Cpu::current().id()
}

pub(crate) fn take_events() -> Events {
    Events::from_bits_truncate(Cpu::current().events.swap(0, Ordering::AcqRel))
}

pub(crate) fn idle() {
    let cpu = Cpu::current();
    // What a sleeping CPU keeps in its registers, another would have to wake it for.
    extended_state::release(cpu);
    while cpu.events.load(Ordering::Acquire) == 0 {
        requests::answer(cpu);
        // SAFETY: `sti` takes effect behind the next instruction, so an interrupt that is already pending ends
        // `hlt` at once; the handlers touch nothing but the events, the requests and the interrupt controller.
        unsafe { core::arch::asm!("sti", "hlt", "cli") };
    }
}

#[inline]
pub(crate) fn relax() {
    requests::answer(Cpu::current());
    core::hint::spin_loop();
}

pub(crate) fn hardware_random() -> Option<u64> {
    if !instructions::has_rdrand() {
        return None;
    }
    // Intel's advice: ten tries; a generator that is still dry then is broken.
    (0..10).find_map(|_| instructions::rdrand())
}
