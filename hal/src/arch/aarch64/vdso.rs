//! The code of the vDSO on aarch64: clocks by the virtual counter, and what handlers of signals return to.

use crate::vdso::Vdso;
use core::arch::global_asm;

const NAMES: [&str; 3] = ["__kernel_clock_gettime", "__kernel_gettimeofday", "__kernel_rt_sigreturn"];

global_asm!(
    ".pushsection .rodata.vdso, \"a\"",
    ".balign 64",
    ".global vdso_code, vdso_end, vdso_offsets",
    "vdso_code:",
    ".skip 64",
    // x12: seconds, x13: nanoseconds, of the clock that shows x5 ns beyond the time since boot. x2: this code. Changes x6
    // to x11.
    "vdso_now:",
    "isb",
    "mrs x6, cntvct_el0",
    "ldp x7, x8, [x2]",
    "sub x6, x6, x7",
    "mul x9, x6, x8",
    "umulh x10, x6, x8",
    "extr x9, x10, x9, #32",
    "add x9, x9, x5",
    "movz x11, #0xca00",
    "movk x11, #0x3b9a, lsl #16",
    "udiv x12, x9, x11",
    "msub x13, x12, x11, x9",
    "ret",
    // int clock_gettime(clockid_t, struct timespec *)
    "vdso_clock_gettime:",
    "cmp w0, #11",
    "b.hi 2f",
    "adr x2, vdso_code",
    "add x4, x2, w0, uxtw",
    "ldrb w4, [x4, #40]",
    "cbz w4, 2f",
    "ldr x5, [x2, x4]",
    "mov x15, x30",
    "bl vdso_now",
    "stp x12, x13, [x1]",
    "mov w0, #0",
    "ret x15",
    "2:",
    "mov x8, #113",
    "svc #0",
    "ret",
    // int gettimeofday(struct timeval *, struct timezone *)
    "vdso_gettimeofday:",
    "cbz x0, 2f",
    "adr x2, vdso_code",
    "ldr x5, [x2, #16]",
    "mov x15, x30",
    "bl vdso_now",
    "mov x30, x15",
    "mov x11, #1000",
    "udiv x13, x13, x11",
    "stp x12, x13, [x0]",
    "2:",
    "cbz x1, 2f",
    "str xzr, [x1]",
    "2:",
    "mov w0, #0",
    "ret",
    // What handlers return to, in the instructions that debuggers know, behind one that is not the handler's caller's.
    "nop",
    "vdso_sigreturn:",
    "mov x8, #139",
    "svc #0",
    "vdso_end:",
    ".balign 8",
    "vdso_offsets:",
    ".quad vdso_clock_gettime - vdso_code, vdso_gettimeofday - vdso_code, vdso_sigreturn - vdso_code",
    ".popsection",
);

/// See [`crate::vdso`].
pub(crate) fn vdso() -> Vdso {
    Vdso::assembled(&NAMES, Some(2), "LINUX_2.6.39")
}
