//! The CPUs: numbers and affinities, start by PSCI, events, sleep.

use super::{
    fp, gic, memory, power,
    registers::{read_register, write_register},
    timer,
};
use crate::{
    arch::device_tree::DeviceTree,
    cpu::{Events, MAX_CPUS},
    mem::Run,
    sync::Once,
};
use core::{
    arch::asm,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// CPUs that are up.
static COUNT: AtomicUsize = AtomicUsize::new(1);
/// Each CPU's affinity, as in MPIDR_EL1. What the device tree tells is kept here until the CPUs are started.
static AFFINITY: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// CPUs of the device tree; [`AFFINITY`] holds the first [`MAX_CPUS`] of them.
static KNOWN: AtomicUsize = AtomicUsize::new(1);
/// What has happened on each CPU: bits of [`Events`].
static EVENTS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
/// What the other CPUs run.
static ENTRY: Once<fn() -> !> = Once::new();

/// The bits of MPIDR_EL1 that name a CPU.
const AFFINITY_BITS: u64 = 0xff_00ff_ffff;

#[inline]
pub(crate) fn cpu_id() -> usize {
    read_register!("tpidr_el1") as usize
}

pub(crate) fn cpu_count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// The affinity of the CPU that runs this code.
pub(super) fn affinity() -> u64 {
    read_register!("mpidr_el1") & AFFINITY_BITS
}

/// The affinity of a CPU that is up.
pub(super) fn affinity_of(cpu: usize) -> u64 {
    AFFINITY[cpu].load(Ordering::Relaxed)
}

/// Reads the CPUs of the device tree; this one becomes CPU 0.
pub(super) fn init(tree: &DeviceTree<'_>) {
    let own = affinity();
    AFFINITY[0].store(own, Ordering::Relaxed);
    let others = tree.cpus().filter_map(|cpu| cpu.address()).map(|a| a as u64).filter(|&a| a != own);
    let mut known = 1;
    for other in others {
        if let Some(affinity) = AFFINITY.get(known) {
            affinity.store(other, Ordering::Relaxed);
        }
        known += 1;
    }
    KNOWN.store(known, Ordering::Relaxed);
    init_cpu();
}

/// What each CPU sets up for itself before it first runs user code.
fn init_cpu() {
    const PAN: u64 = 0xf << 20;
    const PMU: u64 = 0xf << 8;
    const TRAP_DEBUG_CHANNEL: u64 = 1 << 12;
    let has_pan = read_register!("id_aa64mmfr1_el1") & PAN != 0;
    let has_pmu = !matches!(read_register!("id_aa64dfr0_el1") & PMU, 0 | PMU);
    // SAFETY: PSTATE.PAN forbids what only the copy routines do, and these not by ordinary accesses; the other
    // registers take from user mode what it should not have.
    unsafe {
        if has_pan {
            asm!(".arch_extension pan", "msr pan, #1", ".arch_extension nopan", options(nostack, preserves_flags));
        }
        if has_pmu {
            write_register!("pmuserenr_el0", 0u64);
        }
        write_register!("mdscr_el1", TRAP_DEBUG_CHANNEL);
        write_register!("tpidrro_el0", 0u64);
    }
}

pub(crate) fn start_cpus(entry: fn() -> !) -> usize {
    ENTRY.call_once(|| entry);
    let known = KNOWN.load(Ordering::Relaxed);
    if known > MAX_CPUS {
        log::warn!("of the machine's {known} CPUs {MAX_CPUS} are used");
    }
    // A CPU that does not start leaves its number to the next.
    let mut cpu = 1;
    for candidate in 1..known.min(MAX_CPUS) {
        let affinity = affinity_of(candidate);
        let Ok(stack) = Run::new(memory::STACK_BYTES) else {
            log::warn!("no memory for the stack of another CPU");
            break;
        };
        memory::map_stack(cpu, stack.leak() as usize - memory::DIRECT);
        AFFINITY[cpu].store(affinity, Ordering::Relaxed);
        let at = memory::image_address(&raw const super::entry::secondary_entry);
        // SAFETY: `secondary_entry` is made to be entered so.
        if let Err(error) = unsafe { power::start_cpu(affinity, at, cpu) } {
            log::warn!("the CPU with affinity {affinity:#x} does not start: PSCI error {error}");
            continue;
        }
        while COUNT.load(Ordering::Acquire) == cpu {
            relax();
        }
        cpu += 1;
    }
    cpu
}

/// Where another CPU arrives, on its own stack and with the kernel's tables.
pub(super) extern "C" fn secondary_main(cpu: usize) -> ! {
    init_cpu();
    timer::init_cpu();
    gic::init_cpu();
    let entry = ENTRY.get().expect("the entry is set before CPUs are started");
    COUNT.store(cpu + 1, Ordering::Release);
    entry()
}

/// Notes an event on this CPU.
pub(super) fn raise(event: Events) {
    EVENTS[cpu_id()].fetch_or(event.bits(), Ordering::Relaxed);
}

pub(crate) fn send_kick(cpu: usize) {
    if cpu == cpu_id() {
        raise(Events::KICK);
    } else if cpu < cpu_count() {
        gic::kick(cpu);
    }
}

pub(crate) fn take_events() -> Events {
    let cpu = cpu_id();
    fp::answer(cpu);
    if EVENTS[cpu].load(Ordering::Relaxed) == 0 {
        return Events::empty();
    }
    Events::from_bits_truncate(EVENTS[cpu].swap(0, Ordering::Relaxed))
}

pub(crate) fn idle() {
    let cpu = cpu_id();
    // While it sleeps it does not answer.
    fp::release(cpu);
    while EVENTS[cpu].load(Ordering::Relaxed) == 0 {
        if !gic::take_interrupt() {
            // A masked interrupt that is pending ends the wait as one that comes does, so none is slept through.
            // SAFETY: waits, with interrupts masked.
            unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
        }
    }
}

#[inline]
pub(crate) fn relax() {
    fp::answer(cpu_id());
    core::hint::spin_loop();
}
