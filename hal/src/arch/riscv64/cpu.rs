//! The CPUs (harts): what each of them keeps for itself, how they are started, kicked and put to sleep.

use super::{
    boot, clock, console,
    csr::{INTERRUPT_EXTERNAL, INTERRUPT_SOFTWARE, INTERRUPT_TIMER, change_csr, read_csr},
    entry, kernel_map, paging, plic, sbi,
};
use crate::{
    cpu::{Events, MAX_CPUS},
    mem::{PageTable, Run},
    sync::Once,
};
use alloc::sync::Arc;
use core::{
    arch::asm,
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// What a CPU keeps for itself. In kernel mode `tp` points to it; the trap entry code knows the first fields.
#[repr(C, align(128))]
pub(super) struct Cpu {
    /// The CPU's number.
    pub(super) id: usize,
    /// Lowest address of the stack, and the one behind it.
    pub(super) stack_bottom: AtomicUsize,
    pub(super) stack_top: AtomicUsize,
    /// Where the trap entry code puts two registers aside.
    pub(super) scratch: [AtomicUsize; 2],
    /// The firmware's name for this CPU; [`NO_HART`] while there is none.
    pub(super) hart: AtomicUsize,
    up: AtomicBool,
    events: AtomicU32,
    /// The table whose user half is loaded. Touched by this CPU alone.
    pub(super) loaded: UnsafeCell<Option<Arc<PageTable>>>,
    /// Which contents the FP registers have: see `context`. Touched by this CPU alone.
    pub(super) float_version: AtomicU64,
    /// The generation of code that this CPU's instruction fetches are known to see, and the one that it has made
    /// the other CPUs see: see `paging`. Touched by this CPU alone.
    pub(super) code_generation: AtomicUsize,
    pub(super) code_published: AtomicUsize,
    /// Page of the last page fault in user mode: see `context`. Touched by this CPU alone.
    pub(super) last_fault: AtomicUsize,
}

// SAFETY: `loaded` is reached through `current()` alone, so by the CPU that it belongs to; the rest is atomic.
unsafe impl Sync for Cpu {}

/// In [`Cpu::hart`]: no hart has this number.
const NO_HART: usize = usize::MAX;
/// In [`Cpu::float_version`]: nobody knows what the registers hold.
const UNKNOWN_FLOATS: u64 = u64::MAX;

pub(super) static CPUS: [Cpu; MAX_CPUS] = {
    let mut cpus = [const { Cpu::new(0) }; MAX_CPUS];
    let mut id = 0;
    while id < MAX_CPUS {
        cpus[id].id = id;
        id += 1;
    }
    cpus
};

static COUNT: AtomicUsize = AtomicUsize::new(1);
/// What the CPUs other than 0 run.
static ENTRY: Once<fn() -> !> = Once::new();

impl Cpu {
    const fn new(id: usize) -> Self {
        Self {
            id,
            stack_bottom: AtomicUsize::new(0),
            stack_top: AtomicUsize::new(0),
            scratch: [const { AtomicUsize::new(0) }; 2],
            hart: AtomicUsize::new(NO_HART),
            up: AtomicBool::new(false),
            events: AtomicU32::new(0),
            loaded: UnsafeCell::new(None),
            float_version: AtomicU64::new(UNKNOWN_FLOATS),
            code_generation: AtomicUsize::new(0),
            code_published: AtomicUsize::new(0),
            last_fault: AtomicUsize::new(usize::MAX),
        }
    }

    /// Says where the stack lies.
    pub(super) fn set_stack(&self, range: core::ops::Range<usize>) {
        self.stack_bottom.store(range.start, Ordering::Relaxed);
        self.stack_top.store(range.end, Ordering::Relaxed);
    }

    /// Marks events as having happened on this CPU.
    fn raise(&self, events: Events) {
        self.events.fetch_or(events.bits(), Ordering::Release);
    }
}

/// The CPU that runs this code.
#[inline]
pub(super) fn current() -> &'static Cpu {
    let cpu: *const Cpu;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, tp", out(reg) cpu, options(pure, nomem, nostack, preserves_flags)) };
    // SAFETY: the entry code of each CPU sets `tp` to its element of `CPUS` before any Rust code runs, and the
    // trap code sets it again on the way in from user mode.
    unsafe { &*cpu }
}

#[inline]
pub(crate) fn cpu_id() -> usize {
    current().id
}

pub(crate) fn cpu_count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// Sets up this CPU's registers; the first thing that each CPU does with the final page tables.
pub(super) fn init() {
    clock::set_deadline(u64::MAX);
    // SAFETY: `sie` selects which interrupts end user mode and `wfi`; they are handled there. `scounteren` lets
    // user code read `time` and no other counter, as Linux does (its clock_gettime needs no more).
    unsafe {
        change_csr!("csrw", "sie", INTERRUPT_SOFTWARE | INTERRUPT_TIMER | INTERRUPT_EXTERNAL);
        change_csr!("csrw", "scounteren", 1usize << 1);
    }
    current().up.store(true, Ordering::Release);
}

pub(crate) fn start_cpus(entry: fn() -> !) -> usize {
    ENTRY.call_once(|| entry);
    let boot_hart = CPUS[0].hart.load(Ordering::Relaxed);
    let mut id = 1;
    for hart in boot::harts().filter(|&hart| hart != boot_hart) {
        if id == MAX_CPUS {
            log::warn!("hart {hart} stays off: {MAX_CPUS} CPUs are the most that are used");
            continue;
        }
        let Ok(stack) = Run::new(kernel_map::STACK_BYTES) else {
            log::warn!("hart {hart} stays off: no memory for its stack");
            break;
        };
        let cpu = &CPUS[id];
        cpu.set_stack(kernel_map::map_stack(id, stack.leak()));
        // By this the entry code knows which CPU it is on.
        cpu.hart.store(hart, Ordering::Release);
        if let Err(error) = sbi::hart_start(hart, boot::image_address(entry::secondary_entry())) {
            cpu.hart.store(NO_HART, Ordering::Release);
            log::warn!("hart {hart} does not start: {error:?}");
            continue;
        }
        // The firmware has accepted: from here on the CPU will come, and its stack and number are its own.
        while !cpu.up.load(Ordering::Acquire) {
            relax();
        }
        id += 1;
        COUNT.store(id, Ordering::Release);
    }
    COUNT.load(Ordering::Relaxed)
}

/// Where a CPU other than 0 arrives, on its own stack, with the kernel's page tables.
pub(super) extern "C" fn secondary_main() -> ! {
    paging::init();
    init();
    ENTRY.get().expect("start_cpus has set it")()
}

/// The harts of the CPUs in `cpus` (a bit for each), in as few masks as the firmware's format allows.
pub(super) fn for_each_hart_mask(mut cpus: u32, mut each: impl FnMut(sbi::HartMask)) {
    let hart_of = |cpu: u32| CPUS[cpu as usize].hart.load(Ordering::Relaxed);
    let bits = |cpus: u32| (0..MAX_CPUS as u32).filter(move |cpu| cpus & 1 << cpu != 0);
    while let Some(base) = bits(cpus).map(hart_of).min() {
        let mut mask = 0usize;
        for cpu in bits(cpus).filter(|&cpu| hart_of(cpu) - base < usize::BITS as usize) {
            mask |= 1 << (hart_of(cpu) - base);
            cpus &= !(1 << cpu);
        }
        each(sbi::HartMask::from_mask_base(mask, base));
    }
}

pub(crate) fn send_kick(cpu: usize) {
    let Some(target) = CPUS.get(cpu).filter(|target| target.up.load(Ordering::Acquire)) else { return };
    let before = target.events.fetch_or(Events::KICK.bits(), Ordering::SeqCst);
    if before & Events::KICK.bits() != 0 {
        // Whoever set it first has sent, or is about to send, the interrupt; the target has not looked yet.
        return;
    }
    if cpu == cpu_id() {
        // SAFETY: makes the software interrupt pending, which `acknowledge_interrupts` takes back.
        unsafe { change_csr!("csrs", "sip", INTERRUPT_SOFTWARE) };
    } else {
        for_each_hart_mask(1 << cpu, sbi::send_ipi);
    }
}

/// Turns the interrupts that are pending on this CPU into events.
pub(super) fn acknowledge_interrupts() {
    let pending = read_csr!("sip") & read_csr!("sie");
    if pending == 0 {
        return;
    }
    if pending & INTERRUPT_SOFTWARE != 0 {
        // The sender has set the event before it sent.
        // SAFETY: takes the software interrupt back.
        unsafe { change_csr!("csrc", "sip", INTERRUPT_SOFTWARE) };
    }
    if pending & INTERRUPT_TIMER != 0 {
        clock::set_deadline(u64::MAX);
        current().raise(Events::TIMER);
    }
    if pending & INTERRUPT_EXTERNAL != 0 {
        plic::acknowledge(|source| {
            if console::acknowledge_interrupt(source) {
                current().raise(Events::CONSOLE);
            }
        });
    }
}

pub(crate) fn take_events() -> Events {
    acknowledge_interrupts();
    let events = &current().events;
    if events.load(Ordering::Relaxed) == 0 {
        return Events::empty();
    }
    Events::from_bits_truncate(events.swap(0, Ordering::AcqRel))
}

pub(crate) fn idle() {
    loop {
        acknowledge_interrupts();
        if current().events.load(Ordering::Acquire) != 0 {
            return;
        }
        // Interrupts are off, but `wfi` ends as soon as one that `sie` selects is pending: one that has come
        // since the look above ends it at once.
        // SAFETY: waits.
        unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
    }
}

#[inline]
pub(crate) fn relax() {
    // Shootdowns are the firmware's and need no answer. This is `pause`, a hint that every CPU accepts.
    // SAFETY: waits a little.
    unsafe { asm!(".insn i 0x0f, 0, x0, x0, 0x010", options(nomem, nostack, preserves_flags)) };
}
