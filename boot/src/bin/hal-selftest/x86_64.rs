//! User-mode programs of the self test for x86_64. Each takes its parameters from the words at its stack
//! pointer and may be placed at any address.

use veridian_hal::user::Exception;

/// `ret`.
pub const RETURN: [u8; 1] = [0xc3];

/// The direct map's view of the kernel image.
pub fn text_alias(address: usize) -> Option<usize> {
    const KERNEL_BASE: usize = 0xffff_ffff_8000_0000;
    const DIRECT_MAP: usize = 0xffff_8000_0000_0000;
    Some(address - KERNEL_BASE + DIRECT_MAP)
}

macro_rules! exceptions {
    ($($symbol:ident: $exception:ident,)*) => {
        unsafe extern "C" {
            static user_programs: u8;
            $(static $symbol: u8;)*
        }
        /// Further programs, by their offset, and what each must trap with.
        pub const EXCEPTIONS: &[(fn() -> usize, Exception)] = &[
            $((|| &raw const $symbol as usize - &raw const user_programs as usize, Exception::$exception),)*
        ];
    };
}

exceptions! {
    user_divide: Arithmetic,
    user_privileged: Protection,
    user_port: Protection,
    user_interrupt: Protection,
    user_hlt: Protection,
    user_sse: Arithmetic,
    user_x87: Arithmetic,
    user_step: Breakpoint,
    user_stack: Protection,
    user_wild_load: Protection,
    user_far: Protection,
}

macro_rules! programs {
    ($($name:ident = $symbol:ident;)*) => {
        unsafe extern "C" {
            $(static $symbol: u8;)*
        }
        $(pub fn $name() -> usize {
            &raw const $symbol as usize - &raw const user_programs as usize
        })*
    };
}

programs! {
    tables = user_tables;
    flags_call = user_flags_call;
    flags_fault = user_flags_fault;
    clobbers = user_clobbers;
    gs_base = user_gs_base;
    control_words = user_control_words;
}

core::arch::global_asm!(
    ".section .rodata.user_programs, \"a\"",
    ".balign 16",
    ".global user_programs, user_programs_end",
    ".global user_six_arguments, user_load, user_store, user_jump, user_illegal, user_breakpoint, user_spin",
    ".global user_load_loop, user_vector, user_registers, user_divide, user_privileged, user_port, user_interrupt",
    ".global user_hlt, user_sse, user_x87, user_step, user_stack, user_wild_load, user_far",
    ".global user_tables, user_flags_call, user_flags_fault, user_clobbers, user_gs_base, user_control_words",
    "user_programs:",
    // System call 100 with arguments 1 to 6 in order, then 101 with the first one's result.
    "user_six_arguments:",
    "mov eax, 100",
    "mov edi, 0x11",
    "mov esi, 0x22",
    "mov edx, 0x33",
    "mov r10d, 0x44",
    "mov r8d, 0x55",
    "mov r9d, 0x66",
    "syscall",
    "mov rdi, rax",
    "mov eax, 101",
    "syscall",
    "ud2",
    // Loads a byte from the address at [sp]; then system call 102.
    "user_load:",
    "mov rax, [rsp]",
    "mov al, [rax]",
    "mov eax, 102",
    "syscall",
    "ud2",
    // Stores a byte to the address at [sp]; then system call 102.
    "user_store:",
    "mov rax, [rsp]",
    "mov byte ptr [rax], 1",
    "mov eax, 102",
    "syscall",
    "ud2",
    // Jumps to the address at [sp].
    "user_jump:",
    "jmp [rsp]",
    "user_illegal:",
    "ud2",
    "user_breakpoint:",
    "int3",
    "ud2",
    "user_spin:",
    "jmp user_spin",
    // Loads from the address at [sp] for ever.
    "user_load_loop:",
    "mov rbx, [rsp]",
    "1: mov al, [rbx]",
    "jmp 1b",
    // Fills every vector register, its upper half too where the CPU has AVX, with the word at [sp] plus its number, then,
    // as often as [sp + 8] says, compares them all; a spin of 1000 rounds lies between. The x87 and SSE control words
    // are changed and compared too. System call 103 with 0 when all was well, else with 1 plus the number of the register
    // that changed. Every 16 rounds: system call 104.
    "user_vector:",
    "mov eax, 1",
    "xor ecx, ecx",
    "cpuid",
    "mov r13d, ecx",
    "and r13d, 0x18000000",
    "xor r13d, 0x18000000", // 0: AVX, and the kernel has enabled it
    "mov rbx, [rsp]",
    "mov r12, [rsp + 8]",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "lea rax, [rbx + \\n]",
    "movq xmm\\n, rax",
    "punpcklqdq xmm\\n, xmm\\n",
    ".endr",
    "test r13d, r13d",
    "jnz 2f",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "vinsertf128 ymm\\n, ymm\\n, xmm\\n, 1",
    ".endr",
    "2: mov dword ptr [rsp - 24], 0x027f9fc0", // x87: 53 bits of precision; SSE: flush to zero, denormals are zero
    "fldcw [rsp - 22]",
    "mov dword ptr [rsp - 32], 0x9fc0",
    "ldmxcsr [rsp - 32]",
    "fldpi",
    "2: mov ecx, 1000",
    "3: dec ecx",
    "jnz 3b",
    "mov edi, 1",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "lea rax, [rbx + \\n]",
    "movdqu [rsp - 16], xmm\\n",
    "cmp rax, [rsp - 16]",
    "jne 5f",
    "cmp rax, [rsp - 8]",
    "jne 5f",
    "test r13d, r13d",
    "jnz 6f",
    "vextractf128 [rsp - 16], ymm\\n, 1",
    "cmp rax, [rsp - 16]",
    "jne 5f",
    "cmp rax, [rsp - 8]",
    "jne 5f",
    "6: inc edi",
    ".endr",
    "stmxcsr [rsp - 32]",
    "cmp dword ptr [rsp - 32], 0x9fc0",
    "jne 5f",
    "inc edi",
    "fnstcw [rsp - 32]",
    "cmp word ptr [rsp - 32], 0x027f",
    "jne 5f",
    "inc edi",
    "fldpi",
    "fcomip st, st(1)",
    "jne 5f",
    "test r12d, 15",
    "jnz 4f",
    "mov eax, 104",
    "syscall",
    "4: dec r12",
    "jnz 2b",
    "xor edi, edi",
    "5: mov eax, 103",
    "syscall",
    "ud2",
    // Fills the general registers that a system call leaves alone, then spins and makes system calls (104)
    // as often as [sp + 8] says, comparing them each time. Ends as `user_vector`.
    "user_registers:",
    "mov r12, [rsp + 8]",
    "mov rbx, [rsp]",
    ".irp r, rbp, rsi, rdx, r8, r9, r10, r13, r14, r15",
    "lea \\r, [rbx + 7]",
    ".endr",
    "6: mov eax, 104",
    "syscall",
    "mov ecx, 1000",
    "7: dec ecx",
    "jnz 7b",
    "mov edi, 1",
    "lea rax, [rbx + 7]",
    ".irp r, rbp, rsi, rdx, r8, r9, r10, r13, r14, r15",
    "cmp \\r, rax",
    "jne 8f",
    "inc edi",
    ".endr",
    "cmp rbx, [rsp]",
    "jne 8f",
    "dec r12",
    "jnz 6b",
    "xor edi, edi",
    "8: mov eax, 103",
    "syscall",
    "ud2",
    "user_divide:",
    "xor ecx, ecx",
    "div ecx",
    "user_privileged:",
    "cli",
    "user_port:",
    "in al, 0x71",
    "user_interrupt:",
    "int 0x80",
    "user_hlt:",
    "hlt",
    // SSE division by zero, unmasked.
    "user_sse:",
    "push 0x1d00",
    "ldmxcsr [rsp]",
    "mov eax, 1",
    "cvtsi2ss xmm0, eax",
    "xorps xmm1, xmm1",
    "divss xmm0, xmm1",
    "user_x87:",
    "push 0x37b",
    "fldcw [rsp]",
    "fld1",
    "fldz",
    "fdivp st(1), st",
    "fwait",
    // Single step.
    "user_step:",
    "pushfq",
    "or dword ptr [rsp], 0x100",
    "popfq",
    "nop",
    "nop",
    // A stack pointer that is no address.
    "user_stack:",
    "movabs rsp, 0x900000000000",
    "push rax",
    // A load from no address.
    "user_wild_load:",
    "movabs rax, 0x8000000000000000",
    "mov al, [rax]",
    // A far jump to the empty descriptor where a 32-bit code segment would be: 0x23:0.
    "user_far:",
    "mov rax, 0x2300000000",
    "mov [rsp], rax",
    ".byte 0xff, 0x2c, 0x24",
    "user_tables:",
    "sidt [rsp - 16]",
    "ud2",
    // Sets alignment checks, the direction flag and the nested-task flag; then a system call, or a fault.
    "user_flags_call:",
    "pushfq",
    "or dword ptr [rsp], 0x44400",
    "popfq",
    "syscall",
    "user_flags_fault:",
    "pushfq",
    "or dword ptr [rsp], 0x44400",
    "popfq",
    "ud2",
    // System call 104, then 103 with 0 when RCX is the address behind it and R11 the flags.
    "user_clobbers:",
    "mov eax, 104",
    "xor edx, edx", // flags: ZF and PF
    "syscall",
    "2: pushfq",
    "pop rbx",
    "lea rdx, [rip + 2b]",
    "mov edi, 1",
    "cmp rcx, rdx",
    "jne 3f",
    "inc edi",
    "cmp r11, rbx",
    "jne 3f",
    "xor edi, edi",
    "3: mov eax, 103",
    "syscall",
    "ud2",
    // Sets the GS base to the word at [sp]; then for ever system call 104 with 0 as long as it is that.
    "user_gs_base:",
    "mov rbx, [rsp]",
    "wrgsbase rbx",
    "2: rdgsbase rdi",
    "sub rdi, rbx",
    "mov eax, 104",
    "syscall",
    "jmp 2b",
    // System call 104 with the control words of x87 and SSE.
    "user_control_words:",
    "mov qword ptr [rsp], 0",
    "fnstcw [rsp]",
    "mov rdi, [rsp]",
    "mov qword ptr [rsp], 0",
    "stmxcsr [rsp]",
    "mov rsi, [rsp]",
    "mov eax, 104",
    "syscall",
    "ud2",
    "user_programs_end:",
    ".text",
);
