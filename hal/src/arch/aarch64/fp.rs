//! Floating-point and vector registers (q0 to q31, FPCR, FPSR) of user threads.
//!
//! The kernel is soft float: a thread's registers survive its traps. They stay in the CPU until that CPU runs
//! another thread or goes idle, and are written to memory then. A thread that is run elsewhere meanwhile waits
//! for that: the CPU that holds its registers is then in the kernel, and answers at its next step ([`answer`]).
//!
//! The memory belongs to the thread and to the CPU that holds the registers, so neither the move, the clone nor the
//! end of a [`super::UserContext`] can take it from under the other.

use super::cpus::{cpu_id, relax};
use crate::cpu::MAX_CPUS;
use alloc::sync::Arc;
use core::{
    arch::global_asm,
    cell::UnsafeCell,
    fmt,
    mem::offset_of,
    ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

#[derive(Clone)]
#[repr(C, align(16))]
struct Registers {
    q: [u128; 32],
    fpcr: u64,
    fpsr: u64,
}

/// In [`Saved::live_on`]: the state is in memory.
const IN_MEMORY: usize = usize::MAX;

struct Saved {
    /// The CPU whose registers are this state, or [`IN_MEMORY`]. Set by that CPU alone, in both directions.
    live_on: AtomicUsize,
    registers: UnsafeCell<Registers>,
}

// SAFETY: `registers` is written by the CPU that `live_on` names, and read by others only while that is IN_MEMORY;
// it leaves IN_MEMORY only in `FpState::load`, which has the thread's context to itself.
unsafe impl Sync for Saved {}

/// The state of one thread.
pub(super) struct FpState(Arc<Saved>);

/// For each CPU, whose state is in its registers: a pointer from [`Arc::into_raw`], or null.
static HELD: [AtomicPtr<Saved>; MAX_CPUS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CPUS];
/// For each CPU, whether another one waits for it to write the registers to memory.
static WANTED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

impl FpState {
    pub(super) fn new() -> Self {
        Self::with(Registers { q: [0; 32], fpcr: 0, fpsr: 0 })
    }

    fn with(registers: Registers) -> Self {
        Self(Arc::new(Saved { live_on: AtomicUsize::new(IN_MEMORY), registers: UnsafeCell::new(registers) }))
    }

    /// Makes this CPU's registers the thread's.
    #[inline]
    pub(super) fn load(&mut self) {
        let cpu = cpu_id();
        if self.0.live_on.load(Ordering::Relaxed) != cpu {
            self.load_from_memory(cpu);
        }
    }

    #[cold]
    fn load_from_memory(&mut self, cpu: usize) {
        release(cpu);
        self.wait_for_memory();
        // SAFETY: the state is in memory, and `&mut self` keeps it there.
        unsafe { restore(self.0.registers.get()) };
        self.0.live_on.store(cpu, Ordering::Relaxed);
        HELD[cpu].store(Arc::into_raw(self.0.clone()).cast_mut(), Ordering::Relaxed);
    }

    /// FPSR and FPCR in one word, then the registers, as a signal frame has them.
    pub(super) fn to_words(&self, words: &mut [u64]) {
        let copy = self.clone();
        // SAFETY: the copy's memory is up to date and nobody else's.
        let registers = unsafe { &*copy.0.registers.get() };
        words[0] = registers.fpsr & 0xffff_ffff | registers.fpcr << 32;
        for (halves, register) in words[1..].chunks_exact_mut(2).zip(registers.q) {
            halves.copy_from_slice(&[register as u64, (register >> 64) as u64]);
        }
    }

    /// The same, read.
    pub(super) fn from_words(words: &[u64]) -> Self {
        let mut registers = Registers { q: [0; 32], fpcr: words[0] >> 32, fpsr: words[0] & 0xffff_ffff };
        for (register, halves) in registers.q.iter_mut().zip(words[1..].chunks_exact(2)) {
            *register = u128::from(halves[0]) | u128::from(halves[1]) << 64;
        }
        Self::with(registers)
    }

    /// Waits until another CPU has written the registers to memory, if one holds them.
    fn wait_for_memory(&self) {
        loop {
            let holder = self.0.live_on.load(Ordering::Acquire);
            if holder == IN_MEMORY {
                return;
            }
            WANTED[holder].store(true, Ordering::Release);
            relax();
        }
    }
}

impl Clone for FpState {
    fn clone(&self) -> Self {
        let cpu = cpu_id();
        if self.0.live_on.load(Ordering::Relaxed) == cpu {
            // SAFETY: this CPU holds the registers, so nobody reads the memory.
            unsafe { save(self.0.registers.get()) };
        } else {
            self.wait_for_memory();
        }
        // SAFETY: the memory is up to date, and changes neither on this CPU during the call nor elsewhere: it would
        // have to be loaded by `&mut self` first.
        Self::with(unsafe { (*self.0.registers.get()).clone() })
    }
}

impl Drop for FpState {
    /// Leaves nothing of a thread that ends where it ran last.
    fn drop(&mut self) {
        let cpu = cpu_id();
        if self.0.live_on.load(Ordering::Relaxed) == cpu {
            release(cpu);
        }
    }
}

impl fmt::Debug for FpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FpState")
    }
}

/// Writes the registers to memory when another CPU waits for them.
#[inline]
pub(super) fn answer(cpu: usize) {
    if WANTED[cpu].load(Ordering::Relaxed) && WANTED[cpu].swap(false, Ordering::Acquire) {
        release(cpu);
    }
}

/// Writes the registers to memory, if they are any thread's.
pub(super) fn release(cpu: usize) {
    let held = HELD[cpu].swap(ptr::null_mut(), Ordering::Relaxed);
    if held.is_null() {
        return;
    }
    // SAFETY: the pointer came from `Arc::into_raw` and has left HELD.
    let held = unsafe { Arc::from_raw(held) };
    if Arc::strong_count(&held) > 1 {
        // SAFETY: this CPU holds the registers, so nobody reads the memory.
        unsafe { save(held.registers.get()) };
    }
    held.live_on.store(IN_MEMORY, Ordering::Release);
}

unsafe extern "C" {
    /// Writes the CPU's registers to `to`, which is writable.
    #[link_name = "aarch64_save_fp"]
    fn save(to: *mut Registers);
    /// Sets the CPU's registers from `from`, which is readable.
    #[link_name = "aarch64_restore_fp"]
    fn restore(from: *const Registers);
}

// The compiler, which is told that there are no such registers, keeps nothing in them.
global_asm!(
    r#"
    .arch_extension fp
    .arch_extension simd
    .macro  each_pair instruction
    \instruction q0, q1, [x0]
    \instruction q2, q3, [x0, #32]
    \instruction q4, q5, [x0, #64]
    \instruction q6, q7, [x0, #96]
    \instruction q8, q9, [x0, #128]
    \instruction q10, q11, [x0, #160]
    \instruction q12, q13, [x0, #192]
    \instruction q14, q15, [x0, #224]
    \instruction q16, q17, [x0, #256]
    \instruction q18, q19, [x0, #288]
    \instruction q20, q21, [x0, #320]
    \instruction q22, q23, [x0, #352]
    \instruction q24, q25, [x0, #384]
    \instruction q26, q27, [x0, #416]
    \instruction q28, q29, [x0, #448]
    \instruction q30, q31, [x0, #480]
    .endm

    .global aarch64_save_fp
aarch64_save_fp:
    each_pair stp
    mrs     x1, fpcr
    mrs     x2, fpsr
    add     x0, x0, #{fpcr}
    stp     x1, x2, [x0]
    ret

    .global aarch64_restore_fp
aarch64_restore_fp:
    each_pair ldp
    add     x0, x0, #{fpcr}
    ldp     x1, x2, [x0]
    msr     fpcr, x1
    msr     fpsr, x2
    ret
    .purgem each_pair
    .arch_extension nosimd
    .arch_extension nofp
    "#,
    fpcr = const offset_of!(Registers, fpcr),
);
const _: () = assert!(offset_of!(Registers, fpsr) == offset_of!(Registers, fpcr) + 8);
