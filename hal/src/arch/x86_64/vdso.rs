//! The code of the vDSO on x86_64: clocks by the time-stamp counter.

use crate::vdso::Vdso;
use core::arch::global_asm;

const NAMES: [&str; 3] = ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"];

global_asm!(
    ".pushsection .rodata.vdso, \"a\"",
    ".balign 64",
    ".global vdso_code, vdso_end, vdso_offsets",
    "vdso_code:",
    ".skip 64",
    // rax: seconds, rdx: nanoseconds, of the clock that shows r9 ns beyond the time since boot. r8: this code. Changes rcx.
    "vdso_now:",
    "lfence",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "sub rax, [r8]",
    "jae 2f",
    "xor eax, eax",
    "2:",
    "mul qword ptr [r8 + 8]",
    "shrd rax, rdx, 32",
    "add rax, r9",
    "xor edx, edx",
    "mov ecx, 1000000000",
    "div rcx",
    "ret",
    // int clock_gettime(clockid_t, struct timespec *)
    "vdso_clock_gettime:",
    "cmp edi, 11",
    "ja 2f",
    "lea r8, [rip + vdso_code]",
    "mov eax, edi",
    "movzx r9d, byte ptr [r8 + rax + 40]",
    "test r9d, r9d",
    "jz 2f",
    "mov r9, [r8 + r9]",
    "call vdso_now",
    "mov [rsi], rax",
    "mov [rsi + 8], rdx",
    "xor eax, eax",
    "ret",
    "2:",
    "mov eax, 228",
    "syscall",
    "ret",
    // int gettimeofday(struct timeval *, struct timezone *)
    "vdso_gettimeofday:",
    "test rdi, rdi",
    "jz 2f",
    "lea r8, [rip + vdso_code]",
    "mov r9, [r8 + 16]",
    "call vdso_now",
    "mov [rdi], rax",
    "mov eax, edx",
    "xor edx, edx",
    "mov ecx, 1000",
    "div ecx",
    "mov [rdi + 8], rax",
    "2:",
    "test rsi, rsi",
    "jz 2f",
    "mov qword ptr [rsi], 0",
    "2:",
    "xor eax, eax",
    "ret",
    // time_t time(time_t *)
    "vdso_time:",
    "lea r8, [rip + vdso_code]",
    "mov r9, [r8 + 16]",
    "call vdso_now",
    "test rdi, rdi",
    "jz 2f",
    "mov [rdi], rax",
    "2:",
    "ret",
    "vdso_end:",
    ".balign 8",
    "vdso_offsets:",
    ".quad vdso_clock_gettime - vdso_code, vdso_gettimeofday - vdso_code, vdso_time - vdso_code",
    ".popsection",
);

/// See [`crate::vdso`].
pub(crate) fn vdso() -> Vdso {
    Vdso::assembled(&NAMES, None, "LINUX_2.6")
}
