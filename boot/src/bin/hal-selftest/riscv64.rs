//! User-mode programs of the self test for riscv64. Each takes its parameters from the words at its stack
//! pointer and may be placed at any address.

use veridian_hal::user::Exception;

/// `ret`.
pub const RETURN: [u8; 4] = 0x0000_8067_u32.to_le_bytes();

/// The direct map's view of the kernel image, on QEMU's `virt` machine: the loader puts the image 2 MiB into RAM.
pub fn text_alias(address: usize) -> Option<usize> {
    const IMAGE_BASE: usize = 0xffff_ffff_8000_0000;
    const DIRECT_MAP: usize = 0xffff_ffc0_0000_0000;
    const LOADED_AT: usize = 0x8020_0000;
    Some(address - IMAGE_BASE + LOADED_AT + DIRECT_MAP)
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
    user_status: IllegalInstruction,
    user_address_space: IllegalInstruction,
    user_scratch: IllegalInstruction,
    user_cycle_counter: IllegalInstruction,
    user_instruction_counter: IllegalInstruction,
    user_timer: IllegalInstruction,
    user_return: IllegalInstruction,
    user_machine_return: IllegalInstruction,
    user_wait: IllegalInstruction,
    user_fence: IllegalInstruction,
    user_vectors: IllegalInstruction,
    user_misaligned_atomic: Misaligned,
    // Reading the time and fencing instructions are allowed: it is the breakpoint behind them that traps.
    user_time: Breakpoint,
}

core::arch::global_asm!(
    ".section .rodata.user_programs, \"a\"",
    ".option push",
    ".option arch, +d, +a, +zifencei",
    ".balign 16",
    ".global user_programs, user_programs_end",
    ".global user_six_arguments, user_load, user_store, user_jump, user_illegal, user_breakpoint, user_spin",
    ".global user_load_loop, user_vector, user_registers",
    ".global user_status, user_address_space, user_scratch, user_cycle_counter, user_instruction_counter, user_timer",
    ".global user_return, user_machine_return, user_wait, user_fence, user_vectors, user_misaligned_atomic, user_time",
    "user_programs:",
    // System call 100 with arguments 1 to 6 in order, then 101 with the first one's result.
    "user_six_arguments:",
    "li a7, 100",
    "li a0, 0x11",
    "li a1, 0x22",
    "li a2, 0x33",
    "li a3, 0x44",
    "li a4, 0x55",
    "li a5, 0x66",
    "ecall",
    "li a7, 101",
    "ecall",
    "unimp",
    // Loads a byte from the address at [sp]; then system call 102.
    "user_load:",
    "ld t0, 0(sp)",
    "lb t0, 0(t0)",
    "li a7, 102",
    "ecall",
    "unimp",
    // Stores a byte to the address at [sp]; then system call 102.
    "user_store:",
    "ld t0, 0(sp)",
    "li t1, 1",
    "sb t1, 0(t0)",
    "li a7, 102",
    "ecall",
    "unimp",
    // Jumps to the address at [sp].
    "user_jump:",
    "ld t0, 0(sp)",
    "jr t0",
    "user_illegal:",
    "unimp",
    "user_breakpoint:",
    "ebreak",
    "unimp",
    "user_spin:",
    "j user_spin",
    // Loads from the address at [sp] for ever.
    "user_load_loop:",
    "ld t0, 0(sp)",
    "1: lb t1, 0(t0)",
    "j 1b",
    // Fills every floating-point register with the word at [sp] plus its number, and the flags of fcsr (number
    // 32) with the word's low bits; then, as often as [sp + 8] says, compares them all; a spin of 1000 rounds lies
    // between. System call 103 with 0 when all was well, else with 1 plus the number of the register that changed.
    // Every 16 rounds: system call 104.
    "user_vector:",
    "ld s0, 0(sp)",
    "ld s1, 8(sp)",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "addi t0, s0, \\n",
    "fmv.d.x f\\n, t0",
    ".endr",
    "andi s2, s0, 0x1f",
    "fscsr s2",
    "2: li t0, 1000",
    "3: addi t0, t0, -1",
    "bnez t0, 3b",
    "li a0, 1",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "addi t0, s0, \\n",
    "fmv.x.d t1, f\\n",
    "bne t0, t1, 5f",
    "addi a0, a0, 1",
    ".endr",
    "frcsr t0",
    "bne t0, s2, 5f",
    "andi t0, s1, 15",
    "bnez t0, 4f",
    "li a7, 104",
    "ecall",
    "4: addi s1, s1, -1",
    "bnez s1, 2b",
    "li a0, 0",
    "5: li a7, 103",
    "ecall",
    "unimp",
    // Fills the general registers that a system call leaves alone, then spins and makes system calls (104)
    // as often as [sp + 8] says, comparing them each time. Ends as `user_vector`.
    "user_registers:",
    "ld s0, 0(sp)",
    "ld s1, 8(sp)",
    ".irp n, 1,3,4,7,11,12,13,14,15,16,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "addi x\\n, s0, \\n",
    ".endr",
    "6: li a7, 104",
    "ecall",
    "li t0, 1000",
    "7: addi t0, t0, -1",
    "bnez t0, 7b",
    ".irp n, 1,3,4,7,11,12,13,14,15,16,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "li a0, 1 + \\n",
    "addi t0, s0, \\n",
    "bne x\\n, t0, 8f",
    ".endr",
    "li a0, 1 + 8",
    "ld t0, 0(sp)",
    "bne s0, t0, 8f",
    "addi s1, s1, -1",
    "bnez s1, 6b",
    "li a0, 0",
    "8: li a7, 103",
    "ecall",
    "unimp",
    "user_status:",
    "csrr a0, sstatus",
    "ecall",
    "user_address_space:",
    "csrw satp, zero",
    "ecall",
    "user_scratch:",
    "csrrw sp, sscratch, sp",
    "ecall",
    // Of the counters, user mode has the time alone.
    "user_cycle_counter:",
    "rdcycle a0",
    "ecall",
    "user_instruction_counter:",
    "rdinstret a0",
    "ecall",
    "user_timer:",
    "csrw 0x14d, zero",
    "ecall",
    "user_return:",
    "sret",
    "ecall",
    "user_machine_return:",
    "mret",
    "ecall",
    "user_wait:",
    "wfi",
    "ecall",
    "user_fence:",
    "sfence.vma",
    "ecall",
    // `vsetvli t0, zero, e8, m1`: vectors are not offered, whether the CPU has them or not.
    "user_vectors:",
    ".4byte 0x000072d7",
    "ecall",
    "user_misaligned_atomic:",
    "addi t0, sp, 1",
    "amoadd.d a0, zero, (t0)",
    "ecall",
    "user_time:",
    "rdtime a0",
    "fence.i",
    "ebreak",
    "user_programs_end:",
    ".option pop",
    ".text",
);
