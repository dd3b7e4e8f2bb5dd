//! Interrupt controllers: each CPU's local one (by machine-specific registers where the CPU has x2APIC, else by memory), and the
//! I/O controller's input of COM1. Interrupts go to CPU 0; the old 8259s are silenced.

use super::{
    acpi::Platform,
    instructions::{cpuid, msr, outb, rdmsr, wrmsr},
    kernel_space::map_device,
    local::{CPUS, Cpu},
    requests, serial, smp, time,
};
use crate::{PAGE_SIZE, cpu::Events, mem::OutOfFrames};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Vectors; below them are the CPU's exceptions and the silenced 8259s.
pub(super) const TIMER_VECTOR: u8 = 0x30;
const KICK_VECTOR: u8 = 0x31;
pub(super) const REQUEST_VECTOR: u8 = 0x32;
const CONSOLE_VECTOR: u8 = 0x33;
const SPURIOUS_VECTOR: u8 = 0x3f;

/// Registers of the local controller, as offsets in its page.
pub(super) mod register {
    pub const ID: usize = 0x20;
    pub const TASK_PRIORITY: usize = 0x80;
    pub const END_OF_INTERRUPT: usize = 0xb0;
    pub const SPURIOUS: usize = 0xf0;
    pub const COMMAND_LOW: usize = 0x300;
    pub const COMMAND_HIGH: usize = 0x310;
    pub const TIMER: usize = 0x320;
    pub const LINT0: usize = 0x350;
    pub const LINT1: usize = 0x360;
    pub const ERROR: usize = 0x370;
    pub const TIMER_INITIAL: usize = 0x380;
    pub const TIMER_CURRENT: usize = 0x390;
    pub const TIMER_DIVIDE: usize = 0x3e0;
}

const MASKED: u32 = 1 << 16;
/// Commands for starting a CPU.
pub(super) const INIT: u32 = 0x4500;
pub(super) const STARTUP: u32 = 0x4600;
const FIXED: u32 = 0x4000;
const DELIVERY_PENDING: u32 = 1 << 12;

static X2APIC: AtomicBool = AtomicBool::new(false);
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// Finds and enables the controllers, on CPU 0.
pub(super) fn init(platform: &Platform) -> Result<(), OutOfFrames> {
    if cpuid(1, 0).ecx & 1 << 21 != 0 {
        X2APIC.store(true, Ordering::Relaxed);
    } else {
        // SAFETY: every x86_64 CPU has the register; bits 12 and up are the page's address.
        let base = unsafe { rdmsr(msr::APIC_BASE) } as usize & 0x000f_ffff_ffff_f000;
        PAGE.store(map_device(base, PAGE_SIZE)? as usize, Ordering::Relaxed);
    }
    silence_8259s();
    enable(Cpu::current());
    if let Some((address, first_input)) = platform.io_apic {
        let (interrupt, low, level) = platform.com1;
        if let Some(input) = interrupt.checked_sub(first_input) {
            route(map_device(address, PAGE_SIZE)?, input, low, level);
            serial::enable_receive_interrupt();
        }
    }
    Ok(())
}

/// Enables this CPU's local controller.
pub(super) fn enable(cpu: &Cpu) {
    // SAFETY: turns on what the CPU has; the vectors below have gates.
    unsafe {
        let enabled = if X2APIC.load(Ordering::Relaxed) { 3 << 10 } else { 1 << 11 };
        wrmsr(msr::APIC_BASE, rdmsr(msr::APIC_BASE) | enabled);
    }
    write(register::TASK_PRIORITY, 0);
    for unused in [register::LINT0, register::LINT1, register::ERROR, register::TIMER] {
        write(unused, MASKED);
    }
    write(register::SPURIOUS, 1 << 8 | u32::from(SPURIOUS_VECTOR));
    let id = read(register::ID);
    cpu.apic_id.set(if X2APIC.load(Ordering::Relaxed) { id } else { id >> 24 });
}

#[inline]
pub(super) fn read(register: usize) -> u32 {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: each of the registers exists in this mode.
        return unsafe { rdmsr(msr::X2APIC + register as u32 / 16) } as u32;
    }
    // SAFETY: within the controller's page, which `init` mapped.
    unsafe { ((PAGE.load(Ordering::Relaxed) + register) as *const u32).read_volatile() }
}

#[inline]
pub(super) fn write(register: usize, value: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: as in `read`; interrupts that it causes have gates.
        return unsafe { wrmsr(msr::X2APIC + register as u32 / 16, value.into()) };
    }
    // SAFETY: as in `read`.
    unsafe { ((PAGE.load(Ordering::Relaxed) + register) as *mut u32).write_volatile(value) }
}

/// Sends `command` to the CPU with number `apic_id`.
pub(super) fn command(apic_id: u32, command: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // The register is written in one piece; stores before it must be seen first, which a plain WRMSR does not promise here.
        core::sync::atomic::fence(Ordering::SeqCst);
        // SAFETY: asks for an interrupt that has a gate, or starts a CPU that `smp` prepared.
        unsafe {
            wrmsr(msr::X2APIC + register::COMMAND_LOW as u32 / 16, u64::from(apic_id) << 32 | u64::from(command))
        };
        return;
    }
    write(register::COMMAND_HIGH, apic_id << 24);
    write(register::COMMAND_LOW, command);
    while read(register::COMMAND_LOW) & DELIVERY_PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Interrupts CPU `cpu`.
pub(super) fn send(cpu: usize, vector: u8) {
    command(CPUS[cpu].apic_id.get(), FIXED | u32::from(vector));
}

/// See [`crate::cpu::kick`].
pub(crate) fn send_kick(cpu: usize) {
    if cpu >= smp::cpu_count() {
        return;
    }
    let before = CPUS[cpu].events.fetch_or(Events::KICK.bits(), Ordering::SeqCst);
    // Whoever raised it first sends the interrupt.
    if before & Events::KICK.bits() == 0 {
        send(cpu, KICK_VECTOR);
    }
}

/// Handles the interrupt `vector` on this CPU.
pub(super) fn interrupt(vector: u64) {
    let cpu = Cpu::current();
    const FIRST_8259: u64 = 0x20;
    const LAST_8259: u64 = 0x2f;
    // What the silenced 8259s still let through is spurious; so is the local controller's own, which wants no end.
    if (FIRST_8259..=LAST_8259).contains(&vector) || vector == u64::from(SPURIOUS_VECTOR) {
        return;
    }
    write(register::END_OF_INTERRUPT, 0);
    match vector as u8 {
        TIMER_VECTOR => time::timer_interrupt(cpu),
        CONSOLE_VECTOR => cpu.raise(Events::CONSOLE),
        REQUEST_VECTOR => requests::answer(cpu),
        // A kick's event was raised by its sender.
        _ => {}
    }
}

/// Moves the 8259s' vectors away from the exceptions and masks all their inputs.
fn silence_8259s() {
    // SAFETY: the controllers' initialisation sequence, by their data sheet.
    unsafe {
        for (port, vector, cascade) in [(0x20, 0x20, 4), (0xa0, 0x28, 2)] {
            outb(port, 0x11);
            outb(port + 1, vector);
            outb(port + 1, cascade);
            outb(port + 1, 1);
            outb(port + 1, 0xff);
        }
    }
}

/// Leads an input of the I/O controller to CPU 0 as the console's interrupt.
fn route(controller: *mut u8, input: u32, active_low: bool, level: bool) {
    let select = controller.cast::<u32>();
    let window = select.wrapping_byte_add(0x10);
    let entry = 0x10 + 2 * input;
    let low = u32::from(CONSOLE_VECTOR) | u32::from(active_low) << 13 | u32::from(level) << 15;
    let high = Cpu::current().apic_id.get() << 24;
    // SAFETY: the controller's registers, mapped by the caller; the vector has a gate.
    unsafe {
        for (register, value) in [(entry + 1, high), (entry, low)] {
            select.write_volatile(register);
            window.write_volatile(value);
        }
    }
}
