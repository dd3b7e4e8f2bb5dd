//! What each CPU has for itself: the block that its GS base points to, its segments, task state, stacks, and
//! the settings of its control registers.

use super::{
    extended_state::{self, ExtendedState},
    instructions::{cpuid, msr, rdmsr, wrmsr},
    kernel_space::Stack,
    traps,
};
use crate::{cpu::MAX_CPUS, mem::PageTable};
use alloc::sync::Arc;
use core::{
    arch::asm,
    cell::{Cell, UnsafeCell},
    mem::offset_of,
    ptr::null,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

/// Selectors, in Linux's layout: some user programs look at theirs. The slot at 0x20, where a 32-bit code
/// segment would be, stays empty: there is no 32-bit mode here.
pub(super) const KERNEL_CODE: u16 = 0x10;
pub(super) const KERNEL_DATA: u16 = 0x18;
pub(super) const USER_DATA: u16 = 0x28 | 3;
pub(super) const USER_CODE: u16 = 0x30 | 3;
const TASK_STATE: u16 = 0x40;
/// The selector that `sysretq` counts from: stack at +8, code at +16.
const SYSRET_BASE: u16 = 0x20 | 3;

/// Bytes of the stack that a CPU runs kernel code on.
pub(super) const STACK_BYTES: usize = 64 * 1024;
/// Bytes of each stack for faults that must not trust the current one.
const FAULT_STACK_BYTES: usize = 8 * 1024;

/// Entries of the interrupt stack table, by their number in an IDT gate.
pub(super) const IST_DOUBLE_FAULT: u8 = 1;
pub(super) const IST_NMI: u8 = 2;
pub(super) const IST_MACHINE_CHECK: u8 = 3;
const FAULT_STACKS: usize = 3;

/// The hardware's task state segment.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    /// Stack pointer on entry from user mode: the end of the running context's registers.
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

/// One CPU's block.
#[repr(C, align(128))]
pub(super) struct Cpu {
    this: Cell<*const Cpu>,
    /// Stack pointer of `enter_user`, while user code runs.
    kernel_rsp: Cell<u64>,
    /// The user's stack pointer, for two instructions of the system-call entry.
    scratch: Cell<u64>,
    id: Cell<usize>,
    /// The CPU's number at the interrupt controllers.
    pub(super) apic_id: Cell<u32>,
    /// Events that have happened and were not taken yet.
    pub(super) events: AtomicU32,
    /// One bit for each CPU that has a request for this one.
    pub(super) inbox: AtomicU32,
    /// The table whose user half is loaded: the same as `loaded`, for a quick comparison.
    pub(super) loaded_pointer: Cell<*const PageTable>,
    pub(super) loaded: UnsafeCell<Option<Arc<PageTable>>>,
    /// Whose FP and vector state and segment bases this CPU's registers hold.
    pub(super) state_owner: Cell<*const ExtendedState>,
    /// When the timer is to fire, in ns since boot.
    pub(super) deadline: AtomicU64,
    /// The CPU has set itself up.
    pub(super) up: AtomicBool,
    stacks: Cell<[Option<Stack>; 1 + FAULT_STACKS]>,
    task_state: UnsafeCell<TaskState>,
    segments: UnsafeCell<[u64; 10]>,
}

// SAFETY: the cells are touched by their own CPU only (or, before that CPU starts, by the one that starts it),
// and never by an interrupt handler while other code of that CPU is in the middle of them: handlers run in
// user mode and in `idle` only. What other CPUs touch is atomic.
unsafe impl Sync for Cpu {}

pub(super) static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

/// Offsets for assembly, relative to GS.
pub(super) const GS_KERNEL_RSP: usize = offset_of!(Cpu, kernel_rsp);
pub(super) const GS_SCRATCH: usize = offset_of!(Cpu, scratch);
pub(super) const GS_RSP0: usize = offset_of!(Cpu, task_state) + offset_of!(TaskState, rsp);

impl Cpu {
    const fn new() -> Self {
        Self {
            this: Cell::new(null()),
            kernel_rsp: Cell::new(0),
            scratch: Cell::new(0),
            id: Cell::new(0),
            apic_id: Cell::new(0),
            events: AtomicU32::new(0),
            inbox: AtomicU32::new(0),
            loaded_pointer: Cell::new(null()),
            loaded: UnsafeCell::new(None),
            state_owner: Cell::new(null()),
            deadline: AtomicU64::new(0),
            up: AtomicBool::new(false),
            stacks: Cell::new([const { None }; 1 + FAULT_STACKS]),
            task_state: UnsafeCell::new(TaskState {
                reserved0: 0,
                rsp: [0; 3],
                reserved1: 0,
                ist: [0; 7],
                reserved2: 0,
                reserved3: 0,
                io_map: 0,
            }),
            segments: UnsafeCell::new([0; 10]),
        }
    }

    /// The block of the CPU that runs this code.
    #[inline]
    pub(super) fn current() -> &'static Self {
        let this: *const Self;
        // SAFETY: the first thing each CPU does is to point GS at its block, whose first word is its address.
        unsafe {
            asm!("mov {}, gs:[0]", out(reg) this, options(pure, nomem, nostack, preserves_flags));
            &*this
        }
    }

    #[inline]
    pub(super) fn id(&self) -> usize {
        self.id.get()
    }

    /// This CPU's bit in masks of CPUs.
    #[inline]
    pub(super) fn bit(&self) -> u32 {
        1 << self.id.get()
    }

    /// Raises events on this CPU.
    pub(super) fn raise(&self, events: crate::cpu::Events) {
        self.events.fetch_or(events.bits(), Ordering::Release);
    }

    /// The stacks of this CPU, as ranges of addresses: for backtraces.
    pub(super) fn stacks(&self) -> impl Iterator<Item = core::ops::Range<usize>> {
        self.stacks.get().into_iter().flatten().map(|stack| stack.range())
    }
}

/// Points GS at the block of CPU `id`, so that [`Cpu::current`] works. The first thing that a CPU does.
pub(super) fn adopt(id: usize) {
    let cpu = &CPUS[id];
    cpu.this.set(cpu);
    cpu.id.set(id);
    // SAFETY: the block lives for ever; nothing used GS before.
    unsafe {
        wrmsr(msr::GS_BASE, (&raw const *cpu) as u64);
        wrmsr(msr::KERNEL_GS_BASE, 0);
    }
}

/// Gives CPU `id` its stacks; `main_stack` is the one that it runs on. Frames must be there. Called before the CPU
/// takes its first trap, by itself or by the CPU that starts it.
pub(super) fn give_stacks(id: usize, main_stack: Stack) -> Result<(), crate::mem::OutOfFrames> {
    let cpu = &CPUS[id];
    let mut stacks = [Some(main_stack), None, None, None];
    for (number, slot) in (1..).zip(&mut stacks[1..]) {
        let stack = Stack::new(FAULT_STACK_BYTES)?;
        // The uppermost 16 bytes tell the handler which CPU this is: it cannot trust GS.
        let top = stack.range().end - 16;
        // SAFETY: the stack is mapped and new; the block is not in use yet (see above).
        unsafe {
            (top as *mut *const Cpu).write(cpu);
            let ist = &raw mut (*cpu.task_state.get()).ist[number - 1];
            ist.write_unaligned(top as u64);
        }
        *slot = Some(stack);
    }
    cpu.stacks.set(stacks);
    Ok(())
}

/// Loads this CPU's segments, task state, trap table, control registers and system-call registers.
pub(super) fn set_up(cpu: &Cpu) {
    const PRESENT_CODE_64: u64 = 0x00af_9b00_0000_ffff;
    const PRESENT_DATA: u64 = 0x00cf_9300_0000_ffff;
    const USER: u64 = 3 << 45;
    let base = cpu.task_state.get() as u64;
    let limit = size_of::<TaskState>() as u64 - 1;
    let mut segments = [0; 10];
    segments[usize::from(KERNEL_CODE / 8)] = PRESENT_CODE_64;
    segments[usize::from(KERNEL_DATA / 8)] = PRESENT_DATA;
    segments[usize::from(USER_DATA / 8)] = PRESENT_DATA | USER;
    segments[usize::from(USER_CODE / 8)] = PRESENT_CODE_64 | USER;
    segments[usize::from(TASK_STATE / 8)] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    segments[usize::from(TASK_STATE / 8) + 1] = base >> 32;
    let pointer = TablePointer { limit: size_of_val(&segments) as u16 - 1, base: cpu.segments.get() as u64 };
    // SAFETY: the tables live in the CPU's block for ever and describe flat segments, under which the running
    // code goes on as it was; GS is set again after its selector was loaded. The I/O map lies behind the
    // segment's limit: no port is open to user code.
    unsafe {
        cpu.segments.get().write(segments);
        (&raw mut (*cpu.task_state.get()).io_map).write(size_of::<TaskState>() as u16);
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ss, {data:e}",
            "xor {scratch:e}, {scratch:e}",
            "mov ds, {scratch:e}",
            "mov es, {scratch:e}",
            "mov fs, {scratch:e}",
            "mov gs, {scratch:e}",
            "ltr {task:x}",
            pointer = in(reg) &pointer,
            code = const KERNEL_CODE,
            data = in(reg) u32::from(KERNEL_DATA),
            task = in(reg) TASK_STATE,
            scratch = out(reg) _,
        );
        wrmsr(msr::GS_BASE, (&raw const *cpu) as u64);
        traps::load_table();
        set_control_registers();
        wrmsr(msr::EFER, rdmsr(msr::EFER) | 1);
        wrmsr(msr::STAR, u64::from(SYSRET_BASE) << 48 | u64::from(KERNEL_CODE) << 32);
        wrmsr(msr::LSTAR, traps::syscall_entry as *const () as u64);
        // All flags that a program can set are clear in the kernel: AC would lift SMAP, DF turn copies round.
        wrmsr(msr::FMASK, 0x0025_7fd5);
    }
    extended_state::set_up(cpu);
}

#[repr(C, packed)]
pub(super) struct TablePointer {
    pub(super) limit: u16,
    pub(super) base: u64,
}

/// Turns on what protects the kernel, as far as the CPU has it.
///
/// # Safety
/// The trap table is loaded; kernel pages are not user pages.
unsafe fn set_control_registers() {
    const CR0: u64 = 1 << 31 | 1 << 18 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1; // PG AM WP NE ET MP PE
    const CR4: u64 = 1 << 10 | 1 << 9 | 1 << 7 | 1 << 6 | 1 << 5 | 1 << 3; // OSXMMEXCPT OSFXSR PGE MCE PAE DE
    let leaf7 = cpuid(7, 0);
    let mut cr4 = CR4;
    for (present, bit) in [
        (leaf7.ebx & 1 != 0, 16),             // FSGSBASE
        (leaf7.ebx & 1 << 7 != 0, 20),        // SMEP
        (leaf7.ebx & 1 << 20 != 0, 21),       // SMAP
        (leaf7.ecx & 1 << 2 != 0, 11),        // UMIP
        (cpuid(1, 0).ecx & 1 << 26 != 0, 18), // OSXSAVE
    ] {
        if present {
            cr4 |= 1 << bit;
        }
    }
    // SAFETY: the caller's promise; each bit set is one that the CPU has.
    unsafe { asm!("mov cr0, {}", "mov cr4, {}", in(reg) CR0, in(reg) cr4, options(nostack)) };
    super::copy::set_smap(cr4 & 1 << 21 != 0);
}
