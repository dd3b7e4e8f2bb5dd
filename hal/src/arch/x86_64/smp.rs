//! Starting the other CPUs: one after the other, by INIT and start-up interrupts, through a page below 1 MiB.

use super::{
    acpi, apic,
    instructions::{cpuid, halt},
    kernel_space::{self, Stack},
    local::{self, CPUS, Cpu, STACK_BYTES},
    time,
};
use crate::{PAGE_SIZE, PhysAddr, cpu::MAX_CPUS, mem::TABLE_ENTRIES, sync::Once};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The physical page that a CPU starts in; kept from the frame allocator.
pub(super) const TRAMPOLINE: usize = 0x8000;

/// What the starting CPU loads first: root table and stack pointer.
pub(super) static START_ROOT: AtomicU64 = AtomicU64::new(0);
pub(super) static START_STACK: AtomicU64 = AtomicU64::new(0);
/// Its number.
static START_ID: AtomicUsize = AtomicUsize::new(0);
/// What each runs when all is set up.
static ENTRY: Once<fn() -> !> = Once::new();
/// CPUs that are up.
static COUNT: AtomicUsize = AtomicUsize::new(1);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_end: u8;
    static boot_root: u8;
}

/// CPUs that are up, this one included.
pub(crate) fn cpu_count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// See [`crate::cpu::start_others`].
pub(crate) fn start_cpus(entry: fn() -> !) -> usize {
    ENTRY.call_once(|| entry);
    let platform = acpi::read(0);
    let own = Cpu::current().apic_id.get();
    let others = platform.cpus.iter().copied().filter(|&id| id != own);
    if platform.cpus_left_out > 0 {
        log::warn!("{} CPUs are left out: {MAX_CPUS} is the most", platform.cpus_left_out);
    }
    let length = &raw const trampoline_end as usize - &raw const trampoline_start as usize;
    assert!(length <= PAGE_SIZE);
    START_ROOT.store(kernel_space::root() as u64, Ordering::Relaxed);
    // SAFETY: the page is reserved for this; the code is in the image.
    unsafe {
        let page = kernel_space::phys_to_virt(PhysAddr(TRAMPOLINE));
        page.copy_from_nonoverlapping(&raw const trampoline_start, length);
    }
    for apic_id in others {
        let id = cpu_count();
        if id == MAX_CPUS {
            break;
        }
        if let Err(why) = start_cpu(id, apic_id) {
            log::error!("CPU {id} (controller {apic_id}) is left out: {why}");
            break;
        }
    }
    // No CPU needs the tables that map memory at its physical address any more.
    let boot = (&raw const boot_root).cast_mut().cast::<[u64; TABLE_ENTRIES]>();
    // SAFETY: no CPU has the table loaded.
    unsafe { boot.write([0; TABLE_ENTRIES]) };
    cpu_count()
}

fn start_cpu(id: usize, apic_id: u32) -> Result<(), &'static str> {
    let stack = Stack::new(STACK_BYTES).map_err(|_| "no memory for its stack")?;
    local::give_stacks(id, stack).map_err(|_| "no memory for its stacks")?;
    START_STACK.store(stack.range().end as u64, Ordering::Relaxed);
    START_ID.store(id, Ordering::Release);
    // Real CPUs want 10 ms between the two; virtual ones do not.
    let hypervisor = cpuid(1, 0).ecx & 1 << 31 != 0;
    let pause = if hypervisor { 10_000 } else { 10_000_000 };
    let startup = apic::STARTUP | (TRAMPOLINE / PAGE_SIZE) as u32;
    apic::command(apic_id, apic::INIT);
    wait(pause, || false);
    apic::command(apic_id, startup);
    let up = || CPUS[id].up.load(Ordering::Acquire);
    if !wait(10_000_000, up) {
        apic::command(apic_id, startup);
        if !wait(1_000_000_000, up) {
            // It must not wake up later, on a stack that another has.
            apic::command(apic_id, apic::INIT);
            return Err("it does not answer");
        }
    }
    COUNT.store(id + 1, Ordering::Release);
    Ok(())
}

/// Waits until `done`, at most `ns`; whether it came.
fn wait(ns: u64, done: impl Fn() -> bool) -> bool {
    let end = time::now_ns() + ns;
    while time::now_ns() < end {
        if done() {
            return true;
        }
        crate::cpu::relax();
    }
    done()
}

/// Where a started CPU begins: kernel tables loaded, on its own stack.
pub(super) extern "sysv64" fn start() -> ! {
    local::adopt(START_ID.load(Ordering::Acquire));
    let cpu = Cpu::current();
    local::set_up(cpu);
    apic::enable(cpu);
    time::enable();
    cpu.up.store(true, Ordering::Release);
    // Counted by CPU 0 before its code may use this CPU.
    while cpu_count() <= cpu.id() {
        crate::cpu::relax();
    }
    match ENTRY.get() {
        Some(entry) => entry(),
        None => halt(),
    }
}
