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

    /// A function's worth of machine code that returns at once.
    pub const RETURN: &[u8] = &[0xc3];
    /// `e_machine` of another architecture: aarch64.
    pub const FOREIGN_MACHINE: u16 = 183;
    /// `machine` of uname(2).
    pub const MACHINE: &str = "x86_64";

    /// See [`super::hold_vectors`].
    pub(super) fn hold_vectors(pattern: &[u64; 64], spins: u64, found: &mut [u64; 64]) {
        // SAFETY: reads `pattern`, writes `found`, changes only registers it names.
        unsafe {
            asm!(
                "movups xmm0, [{p}]", "movups xmm1, [{p} + 16]", "movups xmm2, [{p} + 32]",
                "movups xmm3, [{p} + 48]", "movups xmm4, [{p} + 64]", "movups xmm5, [{p} + 80]",
                "movups xmm6, [{p} + 96]", "movups xmm7, [{p} + 112]", "movups xmm8, [{p} + 128]",
                "movups xmm9, [{p} + 144]", "movups xmm10, [{p} + 160]", "movups xmm11, [{p} + 176]",
                "movups xmm12, [{p} + 192]", "movups xmm13, [{p} + 208]", "movups xmm14, [{p} + 224]",
                "movups xmm15, [{p} + 240]",
                "2:", "dec {n}", "jnz 2b",
                "movups [{f}], xmm0", "movups [{f} + 16], xmm1", "movups [{f} + 32], xmm2",
                "movups [{f} + 48], xmm3", "movups [{f} + 64], xmm4", "movups [{f} + 80], xmm5",
                "movups [{f} + 96], xmm6", "movups [{f} + 112], xmm7", "movups [{f} + 128], xmm8",
                "movups [{f} + 144], xmm9", "movups [{f} + 160], xmm10", "movups [{f} + 176], xmm11",
                "movups [{f} + 192], xmm12", "movups [{f} + 208], xmm13", "movups [{f} + 224], xmm14",
                "movups [{f} + 240], xmm15",
                p = in(reg) pattern.as_ptr(), f = in(reg) found.as_mut_ptr(), n = inout(reg) spins => _,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _, options(nostack),
            );
        }
    }
    /// How many of the 64 words [`hold_vectors`] holds: 16 registers of 128 bits.
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

    /// A function's worth of machine code that returns at once.
    pub const RETURN: &[u8] = &[0xc0, 0x03, 0x5f, 0xd6];
    /// `e_machine` of another architecture: riscv.
    pub const FOREIGN_MACHINE: u16 = 243;
    /// `machine` of uname(2).
    pub const MACHINE: &str = "aarch64";

    /// See [`super::hold_vectors`].
    pub(super) fn hold_vectors(pattern: &[u64; 64], spins: u64, found: &mut [u64; 64]) {
        // SAFETY: reads `pattern`, writes `found`, changes only registers it names.
        unsafe {
            asm!(
                "ldp q0, q1, [{p}]", "ldp q2, q3, [{p}, #32]", "ldp q4, q5, [{p}, #64]", "ldp q6, q7, [{p}, #96]",
                "ldp q8, q9, [{p}, #128]", "ldp q10, q11, [{p}, #160]", "ldp q12, q13, [{p}, #192]",
                "ldp q14, q15, [{p}, #224]", "ldp q16, q17, [{p}, #256]", "ldp q18, q19, [{p}, #288]",
                "ldp q20, q21, [{p}, #320]", "ldp q22, q23, [{p}, #352]", "ldp q24, q25, [{p}, #384]",
                "ldp q26, q27, [{p}, #416]", "ldp q28, q29, [{p}, #448]", "ldp q30, q31, [{p}, #480]",
                "2:", "subs {n}, {n}, #1", "b.ne 2b",
                "stp q0, q1, [{f}]", "stp q2, q3, [{f}, #32]", "stp q4, q5, [{f}, #64]", "stp q6, q7, [{f}, #96]",
                "stp q8, q9, [{f}, #128]", "stp q10, q11, [{f}, #160]", "stp q12, q13, [{f}, #192]",
                "stp q14, q15, [{f}, #224]", "stp q16, q17, [{f}, #256]", "stp q18, q19, [{f}, #288]",
                "stp q20, q21, [{f}, #320]", "stp q22, q23, [{f}, #352]", "stp q24, q25, [{f}, #384]",
                "stp q26, q27, [{f}, #416]", "stp q28, q29, [{f}, #448]", "stp q30, q31, [{f}, #480]",
                p = in(reg) pattern.as_ptr(), f = in(reg) found.as_mut_ptr(), n = inout(reg) spins => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _,
                out("v14") _, out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _,
                out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v28") _, out("v29") _, out("v30") _, out("v31") _, options(nostack),
            );
        }
    }
    /// How many of the 64 words [`hold_vectors`] holds: 32 registers of 128 bits.
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

    /// A function's worth of machine code that returns at once.
    pub const RETURN: &[u8] = &[0x67, 0x80, 0x00, 0x00];
    /// `e_machine` of another architecture: x86_64.
    pub const FOREIGN_MACHINE: u16 = 62;
    /// `machine` of uname(2).
    pub const MACHINE: &str = "riscv64";

    /// See [`super::hold_vectors`].
    pub(super) fn hold_vectors(pattern: &[u64; 64], spins: u64, found: &mut [u64; 64]) {
        // SAFETY: reads `pattern`, writes `found`, changes only registers it names.
        unsafe {
            asm!(
                "fld f0, 0({p})", "fld f1, 8({p})", "fld f2, 16({p})", "fld f3, 24({p})", "fld f4, 32({p})",
                "fld f5, 40({p})", "fld f6, 48({p})", "fld f7, 56({p})", "fld f8, 64({p})", "fld f9, 72({p})",
                "fld f10, 80({p})", "fld f11, 88({p})", "fld f12, 96({p})", "fld f13, 104({p})",
                "fld f14, 112({p})", "fld f15, 120({p})", "fld f16, 128({p})", "fld f17, 136({p})",
                "fld f18, 144({p})", "fld f19, 152({p})", "fld f20, 160({p})", "fld f21, 168({p})",
                "fld f22, 176({p})", "fld f23, 184({p})", "fld f24, 192({p})", "fld f25, 200({p})",
                "fld f26, 208({p})", "fld f27, 216({p})", "fld f28, 224({p})", "fld f29, 232({p})",
                "fld f30, 240({p})", "fld f31, 248({p})",
                "2:", "addi {n}, {n}, -1", "bnez {n}, 2b",
                "fsd f0, 0({f})", "fsd f1, 8({f})", "fsd f2, 16({f})", "fsd f3, 24({f})", "fsd f4, 32({f})",
                "fsd f5, 40({f})", "fsd f6, 48({f})", "fsd f7, 56({f})", "fsd f8, 64({f})", "fsd f9, 72({f})",
                "fsd f10, 80({f})", "fsd f11, 88({f})", "fsd f12, 96({f})", "fsd f13, 104({f})",
                "fsd f14, 112({f})", "fsd f15, 120({f})", "fsd f16, 128({f})", "fsd f17, 136({f})",
                "fsd f18, 144({f})", "fsd f19, 152({f})", "fsd f20, 160({f})", "fsd f21, 168({f})",
                "fsd f22, 176({f})", "fsd f23, 184({f})", "fsd f24, 192({f})", "fsd f25, 200({f})",
                "fsd f26, 208({f})", "fsd f27, 216({f})", "fsd f28, 224({f})", "fsd f29, 232({f})",
                "fsd f30, 240({f})", "fsd f31, 248({f})",
                p = in(reg) pattern.as_ptr(), f = in(reg) found.as_mut_ptr(), n = inout(reg) spins => _,
                out("f0") _, out("f1") _, out("f2") _, out("f3") _, out("f4") _, out("f5") _, out("f6") _,
                out("f7") _, out("f8") _, out("f9") _, out("f10") _, out("f11") _, out("f12") _, out("f13") _,
                out("f14") _, out("f15") _, out("f16") _, out("f17") _, out("f18") _, out("f19") _, out("f20") _,
                out("f21") _, out("f22") _, out("f23") _, out("f24") _, out("f25") _, out("f26") _, out("f27") _,
                out("f28") _, out("f29") _, out("f30") _, out("f31") _, options(nostack),
            );
        }
    }
    /// How many of the 64 words [`hold_vectors`] holds: 32 registers of 64 bits.
    pub const VECTOR_WORDS: usize = 32;
}

pub use arch::{FOREIGN_MACHINE, MACHINE, RETURN, VECTOR_WORDS};

/// Loads every vector register (riscv64: floating-point register) with `pattern`, spins without a system call, and
/// stores what the registers then hold. Only the first [`VECTOR_WORDS`] words take part.
pub fn hold_vectors(pattern: &[u64; 64], spins: u64, found: &mut [u64; 64]) {
    arch::hold_vectors(pattern, spins.max(1), found);
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
