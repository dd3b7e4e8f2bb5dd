//! The code of the vDSO on riscv64: clocks by `time`, and what handlers of signals return to.

use crate::vdso::Vdso;
use core::arch::global_asm;

const NAMES: [&str; 3] = ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_rt_sigreturn"];

global_asm!(
    ".pushsection .rodata.vdso, \"a\"",
    ".option push",
    // When the kernel is optimised as a whole, the assembler does not know what the target has.
    ".option arch, +m",
    ".option norelax",
    ".option norvc",
    ".balign 64",
    ".global vdso_code, vdso_end, vdso_offsets",
    "vdso_code:",
    ".skip 64",
    // t3: seconds, t4: nanoseconds, of the clock that shows t2 ns beyond the time since boot. t1: this code, t0: where to
    // return to. Changes t5.
    "vdso_now:",
    "rdtime t3",
    "ld t4, 0(t1)",
    "sub t3, t3, t4",
    "ld t4, 8(t1)",
    "mul t5, t3, t4",
    "mulhu t3, t3, t4",
    "srli t5, t5, 32",
    "slli t3, t3, 32",
    "or t5, t5, t3",
    "add t5, t5, t2",
    "li t4, 1000000000",
    "divu t3, t5, t4",
    "remu t4, t5, t4",
    "jr t0",
    // int clock_gettime(clockid_t, struct timespec *)
    "vdso_clock_gettime:",
    "li t2, 11",
    "bltu t2, a0, 2f",
    "lla t1, vdso_code",
    "add t2, t1, a0",
    "lbu t2, 40(t2)",
    "beqz t2, 2f",
    "add t2, t1, t2",
    "ld t2, 0(t2)",
    "jal t0, vdso_now",
    "sd t3, 0(a1)",
    "sd t4, 8(a1)",
    "li a0, 0",
    "ret",
    "2:",
    "li a7, 113",
    "ecall",
    "ret",
    // int gettimeofday(struct timeval *, struct timezone *)
    "vdso_gettimeofday:",
    "beqz a0, 2f",
    "lla t1, vdso_code",
    "ld t2, 16(t1)",
    "jal t0, vdso_now",
    "li t5, 1000",
    "divu t4, t4, t5",
    "sd t3, 0(a0)",
    "sd t4, 8(a0)",
    "2:",
    "beqz a1, 2f",
    "sd zero, 0(a1)",
    "2:",
    "li a0, 0",
    "ret",
    // What handlers return to, in the instructions that debuggers know.
    "vdso_sigreturn:",
    "li a7, 139",
    "ecall",
    "vdso_end:",
    ".balign 8",
    "vdso_offsets:",
    ".quad vdso_clock_gettime - vdso_code, vdso_gettimeofday - vdso_code, vdso_sigreturn - vdso_code",
    ".option pop",
    ".popsection",
);

/// See [`crate::vdso`].
pub(crate) fn vdso() -> Vdso {
    Vdso::assembled(&NAMES, Some(2), "LINUX_4.15")
}
