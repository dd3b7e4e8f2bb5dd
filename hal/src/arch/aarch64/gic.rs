//! The interrupt controller: GICv2 (memory-mapped) or GICv3 (system registers). It delivers three interrupts: the
//! CPU's virtual timer, a kick from another CPU (software-generated interrupt 0), and the serial port's.

use super::{
    console,
    cpus::{self, cpu_id},
    memory,
    registers::{read_register, synchronize, write_register},
    timer,
};
use crate::{
    arch::device_tree::Node,
    cpu::{Events, MAX_CPUS},
    sync::Once,
};
use core::{
    arch::asm,
    ops::Range,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

/// The software-generated interrupt that [`kick`] sends.
const KICK: u32 = 0;
/// From here on an acknowledged number is no interrupt.
const SPECIAL: u32 = 1020;
/// Let every priority through.
const LOWEST_PRIORITY: u32 = 0xf0;

enum Gic {
    V2 { distributor: Block, interface: Block },
    V3 { distributor: Block, redistributors: Range<usize> },
}

static GIC: Once<Gic> = Once::new();
/// GICv2: each CPU's own bit in target masks.
static TARGET_MASK: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(0) }; MAX_CPUS];
/// The serial port's interrupt; 0 before it is known.
static CONSOLE: AtomicU32 = AtomicU32::new(0);

/// A block of 32-bit registers, mapped as device memory.
#[derive(Clone, Copy)]
struct Block(usize);

impl Block {
    fn new(physical: usize) -> Self {
        Self(memory::device(physical) as usize)
    }

    fn read(self, offset: usize) -> u32 {
        // SAFETY: a register of the interrupt controller, which the device tree told of.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    fn write(self, offset: usize, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }

    fn set_bits(self, offset: usize, bits: u32) {
        self.write(offset, self.read(offset) | bits);
    }
}

mod distributor {
    pub const CTLR: usize = 0;
    pub const IGROUPR: usize = 0x80;
    pub const ISENABLER: usize = 0x100;
    pub const ITARGETSR: usize = 0x800;
    pub const SGIR: usize = 0xf00;
    pub const IROUTER: usize = 0x6000;
}

mod interface {
    pub const CTLR: usize = 0;
    pub const PMR: usize = 4;
    pub const IAR: usize = 0xc;
    pub const EOIR: usize = 0x10;
}

/// The registers of a redistributor; those of its own interrupts are laid out as the distributor's.
mod redistributor {
    pub const TYPER: usize = 8;
    pub const WAKER: usize = 0x14;
    pub const OWN_INTERRUPTS: usize = 0x1_0000;
    /// Two frames of 64 KiB, four when there are virtual LPIs.
    pub const BYTES: usize = 0x2_0000;
    pub const VIRTUAL_LPIS: u32 = 1 << 1;
    pub const LAST: u32 = 1 << 4;
}

/// Sets up the controller and CPU 0's part of it.
pub(super) fn init(node: &Node<'_>) {
    let mut regions = node.regions();
    let mut region = || regions.next().expect("the GIC's node has two regions");
    let (first, second) = (region(), region());
    let gic = GIC.call_once(|| {
        let distributor = Block::new(first.start);
        if node.is_compatible("arm,gic-v3") {
            Gic::V3 { distributor, redistributors: second }
        } else {
            Gic::V2 { distributor, interface: Block::new(second.start) }
        }
    });
    match gic {
        Gic::V2 { distributor, .. } => distributor.write(distributor::CTLR, 1),
        Gic::V3 { distributor, .. } => {
            // Affinity routing, and group 1.
            distributor.write(distributor::CTLR, 1 << 4 | 1 << 1);
            const WRITE_PENDING: u32 = 1 << 31;
            while distributor.read(distributor::CTLR) & WRITE_PENDING != 0 {}
        }
    }
    init_cpu();
}

/// Sets up this CPU's part.
pub(super) fn init_cpu() {
    let Some(gic) = GIC.get() else { return };
    let enabled = 1 << KICK | 1 << timer::interrupt();
    match gic {
        Gic::V2 { distributor, interface } => {
            // Each CPU reads its own mask here; a machine of one CPU may read 0.
            let mask = distributor.read(distributor::ITARGETSR) as u8;
            TARGET_MASK[cpu_id()].store(mask, Ordering::Relaxed);
            distributor.write(distributor::ISENABLER, enabled);
            interface.write(interface::PMR, LOWEST_PRIORITY);
            interface.write(interface::CTLR, 1);
        }
        Gic::V3 { redistributors, .. } => {
            let own = own_redistributor(redistributors);
            const SLEEP: u32 = 1 << 1;
            const ASLEEP: u32 = 1 << 2;
            own.write(redistributor::WAKER, own.read(redistributor::WAKER) & !SLEEP);
            while own.read(redistributor::WAKER) & ASLEEP != 0 {}
            let interrupts = Block(own.0 + redistributor::OWN_INTERRUPTS);
            interrupts.write(distributor::IGROUPR, u32::MAX);
            interrupts.write(distributor::ISENABLER, enabled);
            let system_registers = read_register!("s3_0_c12_c12_5") | 1; // ICC_SRE_EL1
            // SAFETY: the registers of this CPU's interface become accessible.
            unsafe { write_register!("s3_0_c12_c12_5", system_registers) };
            synchronize!();
            // SAFETY: those registers; interrupts are masked.
            unsafe {
                write_register!("s3_0_c4_c6_0", LOWEST_PRIORITY); // ICC_PMR_EL1
                write_register!("s3_0_c12_c12_7", 1u64); // ICC_IGRPEN1_EL1
            }
            synchronize!();
        }
    }
}

/// The redistributor whose affinity is this CPU's.
fn own_redistributor(all: &Range<usize>) -> Block {
    let affinity = cpus::affinity();
    let wanted = (affinity >> 32 << 24 | affinity & 0xff_ffff) as u32;
    let mut at = all.start;
    while at < all.end {
        let block = Block::new(at);
        let kind = block.read(redistributor::TYPER);
        if block.read(redistributor::TYPER + 4) == wanted {
            return block;
        }
        if kind & redistributor::LAST != 0 {
            break;
        }
        at += if kind & redistributor::VIRTUAL_LPIS != 0 { 2 } else { 1 } * redistributor::BYTES;
    }
    panic!("no GICv3 redistributor for the CPU with affinity {affinity:#x}");
}

/// Lets the serial port's interrupt through to CPU 0, which calls this.
pub(super) fn enable_console(interrupt: u32) {
    let Some(gic) = GIC.get() else { return };
    CONSOLE.store(interrupt, Ordering::Relaxed);
    let (word, bit) = (interrupt as usize / 32 * 4, 1 << (interrupt % 32));
    match gic {
        Gic::V2 { distributor, .. } => {
            let mask = TARGET_MASK[0].load(Ordering::Relaxed);
            let at = distributor::ITARGETSR + interrupt as usize / 4 * 4;
            let shift = interrupt % 4 * 8;
            distributor.write(at, distributor.read(at) & !(0xff << shift) | u32::from(mask) << shift);
            distributor.write(distributor::ISENABLER + word, bit);
        }
        Gic::V3 { distributor, .. } => {
            let affinity = cpus::affinity();
            let route = distributor::IROUTER + interrupt as usize * 8;
            distributor.set_bits(distributor::IGROUPR + word, bit);
            distributor.write(route, affinity as u32);
            distributor.write(route + 4, (affinity >> 32) as u32);
            distributor.write(distributor::ISENABLER + word, bit);
        }
    }
}

/// Acknowledges the interrupt that is pending on this CPU, if one is, and notes what it means. False: none was.
pub(super) fn take_interrupt() -> bool {
    let Some(gic) = GIC.get() else { return false };
    let acknowledged = match gic {
        Gic::V2 { interface, .. } => interface.read(interface::IAR),
        Gic::V3 { .. } => {
            let acknowledged = read_register!("s3_0_c12_c12_0") as u32; // ICC_IAR1_EL1
            // SAFETY: a barrier changes no data. The acknowledgement is complete before the device is touched.
            unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
            acknowledged
        }
    };
    // GICv2 adds the sender of a software-generated interrupt above bit 10.
    let number = match gic {
        Gic::V2 { .. } => acknowledged & 0x3ff,
        Gic::V3 { .. } => acknowledged & 0xff_ffff,
    };
    if number >= SPECIAL {
        return false;
    }
    if number == KICK {
        cpus::raise(Events::KICK);
    } else if number == timer::interrupt() {
        timer::silence();
        cpus::raise(Events::TIMER);
    } else if number == CONSOLE.load(Ordering::Relaxed) {
        console::silence();
        cpus::raise(Events::CONSOLE);
    }
    match gic {
        Gic::V2 { interface, .. } => interface.write(interface::EOIR, acknowledged),
        // SAFETY: ends the interrupt acknowledged above.
        Gic::V3 { .. } => unsafe { write_register!("s3_0_c12_c12_1", acknowledged) }, // ICC_EOIR1_EL1
    }
    true
}

/// Interrupts another CPU, which is up.
pub(super) fn kick(cpu: usize) {
    let Some(gic) = GIC.get() else { return };
    // What was written before the kick is visible to whom it wakes.
    // SAFETY: a barrier changes no data.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    match gic {
        Gic::V2 { distributor, .. } => {
            let mask = TARGET_MASK[cpu].load(Ordering::Relaxed);
            distributor.write(distributor::SGIR, u32::from(mask) << 16 | KICK);
        }
        Gic::V3 { .. } => {
            let affinity = cpus::affinity_of(cpu);
            let level = |shift: u32| affinity >> shift & 0xff;
            let target = level(32) << 48
                | level(0) >> 4 << 44
                | level(16) << 32
                | u64::from(KICK) << 24
                | level(8) << 16
                | 1 << (level(0) & 15);
            // SAFETY: sends interrupt KICK to one CPU, whose vectors are in place.
            unsafe { write_register!("s3_0_c12_c11_5", target) }; // ICC_SGI1R_EL1
            synchronize!();
        }
    }
}
