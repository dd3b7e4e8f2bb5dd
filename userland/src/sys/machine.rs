//! The part that differs from one architecture to the next: the entry point, the system-call instruction, a few
//! instructions of the probes. Owns all inline assembly of the user programs; calls only [`start`](super::start).

use super::start::start;

#[cfg(target_arch = "x86_64")]
mod arch {
    use core::arch::{asm, naked_asm};

    /// Entry point. Linux starts a program with the stack pointer at `argc`, all else undefined.
    #[unsafe(naked)]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn _start() -> ! {
        naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {start}", "ud2", start = sym super::start)
    }

    /// The system-call instruction.
    ///
    /// # Safety
    /// What the kernel does for this call with these arguments must leave this process's memory as Rust left it,
    /// but for memory that the caller lends to the call.
    pub(super) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
        let returned;
        // SAFETY: the instruction clobbers rcx and r11, and memory only as the caller allows.
        unsafe {
            asm!("syscall", inlateout("rax") number => returned, in("rdi") args[0], in("rsi") args[1],
                in("rdx") args[2], in("r10") args[3], in("r8") args[4], in("r9") args[5],
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        returned
    }

    /// See [`super::illegal_instruction`].
    pub(super) fn illegal_instruction() {
        // SAFETY: it does not complete.
        unsafe { asm!("ud2", options(nomem, nostack)) };
    }

    /// A function's worth of machine code that returns at once.
    pub const RETURN: &[u8] = &[0xc3];
    /// `e_machine` of another architecture: aarch64.
    pub const FOREIGN_MACHINE: u16 = 183;
    /// `machine` of uname(2).
    pub const MACHINE: &str = "x86_64";

    /// See [`super::since_reset`]. QEMU's time-stamp counter counts nanoseconds of the virtual clock.
    pub(super) fn since_reset() -> u64 {
        // SAFETY: reads a counter.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// Every vector register from memory at `p`.
    macro_rules! load {
        () => {
            concat!(
                "movups xmm0, [{p} + 0]\n",
                "movups xmm1, [{p} + 16]\n",
                "movups xmm2, [{p} + 32]\n",
                "movups xmm3, [{p} + 48]\n",
                "movups xmm4, [{p} + 64]\n",
                "movups xmm5, [{p} + 80]\n",
                "movups xmm6, [{p} + 96]\n",
                "movups xmm7, [{p} + 112]\n",
                "movups xmm8, [{p} + 128]\n",
                "movups xmm9, [{p} + 144]\n",
                "movups xmm10, [{p} + 160]\n",
                "movups xmm11, [{p} + 176]\n",
                "movups xmm12, [{p} + 192]\n",
                "movups xmm13, [{p} + 208]\n",
                "movups xmm14, [{p} + 224]\n",
                "movups xmm15, [{p} + 240]\n",
            )
        };
    }
    /// Every vector register to memory at `f`.
    macro_rules! store {
        () => {
            concat!(
                "movups [{f} + 0], xmm0\n",
                "movups [{f} + 16], xmm1\n",
                "movups [{f} + 32], xmm2\n",
                "movups [{f} + 48], xmm3\n",
                "movups [{f} + 64], xmm4\n",
                "movups [{f} + 80], xmm5\n",
                "movups [{f} + 96], xmm6\n",
                "movups [{f} + 112], xmm7\n",
                "movups [{f} + 128], xmm8\n",
                "movups [{f} + 144], xmm9\n",
                "movups [{f} + 160], xmm10\n",
                "movups [{f} + 176], xmm11\n",
                "movups [{f} + 192], xmm12\n",
                "movups [{f} + 208], xmm13\n",
                "movups [{f} + 224], xmm14\n",
                "movups [{f} + 240], xmm15\n",
            )
        };
    }
    /// See [`super::load_vectors`].
    pub(super) fn load_vectors(pattern: &[u64; 64]) {
        // SAFETY: reads `pattern`; no compiled code has anything in the registers.
        unsafe { asm!(load!(), p = in(reg) pattern.as_ptr(), options(nostack, readonly)) };
    }
    /// See [`super::read_vectors`].
    pub(super) fn read_vectors(found: &mut [u64; VECTOR_WORDS]) {
        // SAFETY: writes `found`.
        unsafe { asm!(store!(), f = in(reg) found.as_mut_ptr(), options(nostack)) };
    }
    /// How many of the 64 words [`load_vectors`] loads: 16 registers of 128 bits.
    pub const VECTOR_WORDS: usize = 32;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use core::arch::{asm, naked_asm};

    /// Entry point. Linux starts a program with the stack pointer at `argc`, all else undefined.
    #[unsafe(naked)]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn _start() -> ! {
        naked_asm!("mov x29, #0", "mov x30, #0", "mov x0, sp", "b {start}", start = sym super::start)
    }

    /// The system-call instruction.
    ///
    /// # Safety
    /// What the kernel does for this call with these arguments must leave this process's memory as Rust left it,
    /// but for memory that the caller lends to the call.
    pub(super) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
        let returned;
        // SAFETY: the instruction changes x0, and memory only as the caller allows.
        unsafe {
            asm!("svc #0", in("x8") number, inlateout("x0") args[0] => returned, in("x1") args[1],
                in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5], options(nostack));
        }
        returned
    }

    /// See [`super::illegal_instruction`].
    pub(super) fn illegal_instruction() {
        // SAFETY: it does not complete.
        unsafe { asm!("udf #0", options(nomem, nostack)) };
    }

    /// A function's worth of machine code that returns at once.
    pub const RETURN: &[u8] = &[0xc0, 0x03, 0x5f, 0xd6];
    /// `e_machine` of another architecture: riscv.
    pub const FOREIGN_MACHINE: u16 = 243;
    /// `machine` of uname(2).
    pub const MACHINE: &str = "aarch64";

    /// See [`super::since_reset`].
    pub(super) fn since_reset() -> u64 {
        let (count, frequency): (u64, u64);
        // SAFETY: reads the virtual counter and its frequency, which user programs may.
        unsafe {
            asm!("mrs {}, cntvct_el0", "mrs {}, cntfrq_el0", out(reg) count, out(reg) frequency,
                options(nomem, nostack, preserves_flags));
        }
        (u128::from(count) * 1_000_000_000 / u128::from(frequency)) as u64
    }

    /// Every vector register from memory at `p`.
    macro_rules! load {
        () => {
            concat!(
                ".arch_extension simd\n",
                "ldp q0, q1, [{p}, #0]\n",
                "ldp q2, q3, [{p}, #32]\n",
                "ldp q4, q5, [{p}, #64]\n",
                "ldp q6, q7, [{p}, #96]\n",
                "ldp q8, q9, [{p}, #128]\n",
                "ldp q10, q11, [{p}, #160]\n",
                "ldp q12, q13, [{p}, #192]\n",
                "ldp q14, q15, [{p}, #224]\n",
                "ldp q16, q17, [{p}, #256]\n",
                "ldp q18, q19, [{p}, #288]\n",
                "ldp q20, q21, [{p}, #320]\n",
                "ldp q22, q23, [{p}, #352]\n",
                "ldp q24, q25, [{p}, #384]\n",
                "ldp q26, q27, [{p}, #416]\n",
                "ldp q28, q29, [{p}, #448]\n",
                "ldp q30, q31, [{p}, #480]\n",
                ".arch_extension nosimd\n",
            )
        };
    }
    /// Every vector register to memory at `f`.
    macro_rules! store {
        () => {
            concat!(
                ".arch_extension simd\n",
                "stp q0, q1, [{f}, #0]\n",
                "stp q2, q3, [{f}, #32]\n",
                "stp q4, q5, [{f}, #64]\n",
                "stp q6, q7, [{f}, #96]\n",
                "stp q8, q9, [{f}, #128]\n",
                "stp q10, q11, [{f}, #160]\n",
                "stp q12, q13, [{f}, #192]\n",
                "stp q14, q15, [{f}, #224]\n",
                "stp q16, q17, [{f}, #256]\n",
                "stp q18, q19, [{f}, #288]\n",
                "stp q20, q21, [{f}, #320]\n",
                "stp q22, q23, [{f}, #352]\n",
                "stp q24, q25, [{f}, #384]\n",
                "stp q26, q27, [{f}, #416]\n",
                "stp q28, q29, [{f}, #448]\n",
                "stp q30, q31, [{f}, #480]\n",
                ".arch_extension nosimd\n",
            )
        };
    }
    /// See [`super::load_vectors`].
    pub(super) fn load_vectors(pattern: &[u64; 64]) {
        // SAFETY: reads `pattern`; no compiled code has anything in the registers.
        unsafe { asm!(load!(), p = in(reg) pattern.as_ptr(), options(nostack, readonly)) };
    }
    /// See [`super::read_vectors`].
    pub(super) fn read_vectors(found: &mut [u64; VECTOR_WORDS]) {
        // SAFETY: writes `found`.
        unsafe { asm!(store!(), f = in(reg) found.as_mut_ptr(), options(nostack)) };
    }
    /// How many of the 64 words [`load_vectors`] loads: 32 registers of 128 bits.
    pub const VECTOR_WORDS: usize = 64;
}

#[cfg(target_arch = "riscv64")]
mod arch {
    use core::arch::{asm, naked_asm};

    /// Entry point. Linux starts a program with the stack pointer at `argc`, all else undefined.
    #[unsafe(naked)]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn _start() -> ! {
        naked_asm!("li s0, 0", "li ra, 0", "mv a0, sp", "andi sp, sp, -16", "tail {start}", start = sym super::start)
    }

    /// The system-call instruction.
    ///
    /// # Safety
    /// What the kernel does for this call with these arguments must leave this process's memory as Rust left it,
    /// but for memory that the caller lends to the call.
    pub(super) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
        let returned;
        // SAFETY: the instruction changes a0, and memory only as the caller allows.
        unsafe {
            asm!("ecall", in("a7") number, inlateout("a0") args[0] => returned, in("a1") args[1],
                in("a2") args[2], in("a3") args[3], in("a4") args[4], in("a5") args[5], options(nostack));
        }
        returned
    }

    /// See [`super::illegal_instruction`].
    pub(super) fn illegal_instruction() {
        // SAFETY: it does not complete.
        unsafe { asm!("unimp", options(nomem, nostack)) };
    }

    /// A function's worth of machine code that returns at once.
    pub const RETURN: &[u8] = &[0x67, 0x80, 0x00, 0x00];
    /// `e_machine` of another architecture: x86_64.
    pub const FOREIGN_MACHINE: u16 = 62;
    /// `machine` of uname(2).
    pub const MACHINE: &str = "riscv64";

    /// See [`super::since_reset`]. The timer of QEMU's `virt` machine runs at 10 MHz.
    pub(super) fn since_reset() -> u64 {
        let count: u64;
        // SAFETY: reads the time counter, which user programs may.
        unsafe { asm!("rdtime {}", out(reg) count, options(nomem, nostack, preserves_flags)) };
        count * 100
    }

    /// Every vector register from memory at `p`.
    macro_rules! load {
        () => {
            concat!(
                ".option push\n",
                ".option arch, +d\n",
                "fld f0, 0({p})\n",
                "fld f1, 8({p})\n",
                "fld f2, 16({p})\n",
                "fld f3, 24({p})\n",
                "fld f4, 32({p})\n",
                "fld f5, 40({p})\n",
                "fld f6, 48({p})\n",
                "fld f7, 56({p})\n",
                "fld f8, 64({p})\n",
                "fld f9, 72({p})\n",
                "fld f10, 80({p})\n",
                "fld f11, 88({p})\n",
                "fld f12, 96({p})\n",
                "fld f13, 104({p})\n",
                "fld f14, 112({p})\n",
                "fld f15, 120({p})\n",
                "fld f16, 128({p})\n",
                "fld f17, 136({p})\n",
                "fld f18, 144({p})\n",
                "fld f19, 152({p})\n",
                "fld f20, 160({p})\n",
                "fld f21, 168({p})\n",
                "fld f22, 176({p})\n",
                "fld f23, 184({p})\n",
                "fld f24, 192({p})\n",
                "fld f25, 200({p})\n",
                "fld f26, 208({p})\n",
                "fld f27, 216({p})\n",
                "fld f28, 224({p})\n",
                "fld f29, 232({p})\n",
                "fld f30, 240({p})\n",
                "fld f31, 248({p})\n",
                ".option pop\n",
            )
        };
    }
    /// Every vector register to memory at `f`.
    macro_rules! store {
        () => {
            concat!(
                ".option push\n",
                ".option arch, +d\n",
                "fsd f0, 0({f})\n",
                "fsd f1, 8({f})\n",
                "fsd f2, 16({f})\n",
                "fsd f3, 24({f})\n",
                "fsd f4, 32({f})\n",
                "fsd f5, 40({f})\n",
                "fsd f6, 48({f})\n",
                "fsd f7, 56({f})\n",
                "fsd f8, 64({f})\n",
                "fsd f9, 72({f})\n",
                "fsd f10, 80({f})\n",
                "fsd f11, 88({f})\n",
                "fsd f12, 96({f})\n",
                "fsd f13, 104({f})\n",
                "fsd f14, 112({f})\n",
                "fsd f15, 120({f})\n",
                "fsd f16, 128({f})\n",
                "fsd f17, 136({f})\n",
                "fsd f18, 144({f})\n",
                "fsd f19, 152({f})\n",
                "fsd f20, 160({f})\n",
                "fsd f21, 168({f})\n",
                "fsd f22, 176({f})\n",
                "fsd f23, 184({f})\n",
                "fsd f24, 192({f})\n",
                "fsd f25, 200({f})\n",
                "fsd f26, 208({f})\n",
                "fsd f27, 216({f})\n",
                "fsd f28, 224({f})\n",
                "fsd f29, 232({f})\n",
                "fsd f30, 240({f})\n",
                "fsd f31, 248({f})\n",
                ".option pop\n",
            )
        };
    }
    /// See [`super::load_vectors`].
    pub(super) fn load_vectors(pattern: &[u64; 64]) {
        // SAFETY: reads `pattern`; no compiled code has anything in the registers.
        unsafe { asm!(load!(), p = in(reg) pattern.as_ptr(), options(nostack, readonly)) };
    }
    /// See [`super::read_vectors`].
    pub(super) fn read_vectors(found: &mut [u64; VECTOR_WORDS]) {
        // SAFETY: writes `found`.
        unsafe { asm!(store!(), f = in(reg) found.as_mut_ptr(), options(nostack)) };
    }
    /// How many of the 64 words [`load_vectors`] loads: 32 registers of 64 bits.
    pub const VECTOR_WORDS: usize = 32;
}

pub use arch::{FOREIGN_MACHINE, MACHINE, RETURN, VECTOR_WORDS};

/// Loads every vector register (riscv64: floating-point register) with `pattern`, of which the first [`VECTOR_WORDS`] words
/// take part. There they stay: programs are compiled without floating point, and use none of these registers.
pub fn load_vectors(pattern: &[u64; 64]) {
    arch::load_vectors(pattern);
}

/// What the vector registers hold.
pub fn read_vectors() -> [u64; VECTOR_WORDS] {
    let mut found = [0; VECTOR_WORDS];
    arch::read_vectors(&mut found);
    found
}

/// An instruction that is none: SIGILL.
pub fn illegal_instruction() {
    arch::illegal_instruction();
}

/// Nanoseconds since the machine's reset, by the CPU's own counter; instructions when QEMU counts them (`-icount
/// shift=0`), as far as the counter is that fine: 16 on aarch64, 100 on riscv64.
pub fn since_reset() -> u64 {
    arch::since_reset()
}

/// One system call, as the kernel sees it.
///
/// # Safety
/// What the kernel does for this call with these arguments must leave this process's memory as Rust left it, but for
/// memory that the caller lends to the call.
pub(super) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    // SAFETY: the caller's promise is the one asked for.
    unsafe { arch::syscall(number, args) }
}
