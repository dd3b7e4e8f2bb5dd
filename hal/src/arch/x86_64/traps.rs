//! The trap table and the first and last instructions of every stay in user mode.
//!
//! User mode is entered by [`enter_user`] and left by a trap or `syscall`, both of which end in the return of
//! `enter_user`, with the user's registers stored in the [`Registers`] that it was given: the hardware
//! pushes its part straight to their end, to which the task state points. A trap in kernel mode goes to
//! [`kernel_trap`] on the same stack, and those that may come with a bad stack to [`fatal_trap`] on their own.

use super::{
    USER_END, apic, instructions,
    local::{
        GS_KERNEL_RSP, GS_RSP0, GS_SCRATCH, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_NMI, KERNEL_CODE, TablePointer,
    },
};
use crate::exception_table;
use core::{
    arch::{asm, global_asm},
    mem::offset_of,
};

/// Vectors from here on are interrupts; below are the CPU's exceptions.
pub(super) const FIRST_INTERRUPT: u64 = 32;
/// Vectors that have a gate; `int n` beyond them is a protection fault.
const GATES: usize = 64;
/// What `enter_user` returns for a system call.
pub(super) const SYSCALL: u64 = 256;
pub(super) const PAGE_FAULT: u64 = 14;
const NMI: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const MACHINE_CHECK: u64 = 18;

/// Registers of interrupted code, in the order that the stubs push them.
#[repr(C, align(16))]
#[derive(Clone, Debug, Default)]
pub(super) struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

unsafe extern "sysv64" {
    /// Runs user code with these registers until it traps; the vector, or [`SYSCALL`].
    ///
    /// # Safety
    /// Interrupts are off; `rip` is below `USER_END`; selectors and flags are what user code may have; the user half
    /// and the extended state of this thread are loaded.
    pub(super) fn enter_user(registers: *mut Registers) -> u64;
    /// Where `syscall` goes.
    pub(super) fn syscall_entry();
    /// The gates' stubs, 16 bytes each.
    static trap_stubs: [[u8; 16]; GATES];
}

global_asm!(
    ".text",
    ".global enter_user, syscall_entry, trap_stubs",
    ".balign 16",
    "enter_user:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov gs:[{kernel_rsp}], rsp",
    "lea rax, [rdi + {size}]",
    "mov gs:[{rsp0}], rax",
    // `sysretq` puts RCX into RIP and R11 into RFLAGS: it serves where that is what the user is to see, as after a system call.
    // It cannot set TF or RF as `iretq` does.
    "mov rcx, [rdi + {rip}]",
    "mov r11, [rdi + {rflags}]",
    "cmp rcx, [rdi + {rcx}]",
    "jne 2f",
    "cmp r11, [rdi + {r11}]",
    "jne 2f",
    "test r11d, 0x10100",
    "jnz 2f",
    "mov r15, [rdi + {r15}]",
    "mov r14, [rdi + {r14}]",
    "mov r13, [rdi + {r13}]",
    "mov r12, [rdi + {r12}]",
    "mov rbp, [rdi + {rbp}]",
    "mov rbx, [rdi + {rbx}]",
    "mov r10, [rdi + {r10}]",
    "mov r9, [rdi + {r9}]",
    "mov r8, [rdi + {r8}]",
    "mov rax, [rdi + {rax}]",
    "mov rdx, [rdi + {rdx}]",
    "mov rsi, [rdi + {rsi}]",
    "mov rsp, [rdi + {rsp}]",
    "mov rdi, [rdi + {rdi}]",
    "swapgs",
    "sysretq",
    "2:",
    "mov rsp, rdi",
    ".irp r, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi",
    "pop \\r",
    ".endr",
    "add rsp, 16",
    "swapgs",
    "iretq",

    ".balign 16",
    "syscall_entry:",
    "swapgs",
    "mov gs:[{scratch}], rsp",
    "mov rsp, gs:[{rsp0}]",
    "mov [rsp - {size} + {r15}], r15",
    "mov [rsp - {size} + {r14}], r14",
    "mov [rsp - {size} + {r13}], r13",
    "mov [rsp - {size} + {r12}], r12",
    "mov [rsp - {size} + {rbp}], rbp",
    "mov [rsp - {size} + {rbx}], rbx",
    "mov [rsp - {size} + {r11}], r11",
    "mov [rsp - {size} + {r10}], r10",
    "mov [rsp - {size} + {r9}], r9",
    "mov [rsp - {size} + {r8}], r8",
    "mov [rsp - {size} + {rax}], rax",
    "mov [rsp - {size} + {rcx}], rcx",
    "mov [rsp - {size} + {rdx}], rdx",
    "mov [rsp - {size} + {rsi}], rsi",
    "mov [rsp - {size} + {rdi}], rdi",
    "mov [rsp - {size} + {rip}], rcx",
    "mov [rsp - {size} + {rflags}], r11",
    "mov rcx, gs:[{scratch}]",
    "mov [rsp - {size} + {rsp}], rcx",
    "mov rsp, gs:[{kernel_rsp}]",
    "mov eax, {syscall}",
    "3:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",

    // One stub for each gate: it pushes the error code where the CPU does not, then the vector.
    ".balign 16",
    "trap_stubs:",
    ".set vector, 0",
    ".rept {gates}",
    ".balign 16",
    // 8, 10 to 14, 17, 21, 29 and 30 come with an error code.
    ".if (0x60227d00 >> vector) & 1 == 0 || vector > 31",
    "push 0",
    ".endif",
    "push vector",
    ".if vector == 2 || vector == 8 || vector == 18",
    "jmp 6f",
    ".else",
    "jmp 4f",
    ".endif",
    ".set vector, vector + 1",
    ".endr",

    ".balign 16",
    "4:",
    "test byte ptr [rsp + {cs} - {vector}], 3",
    "jz 5f",
    "swapgs",
    ".irp r, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15",
    "push \\r",
    ".endr",
    "mov eax, [rsp + {vector}]",
    "mov rsp, gs:[{kernel_rsp}]",
    // The user's flags are still in force: AC would lift SMAP, DF turn copies round.
    "push 2",
    "popfq",
    "jmp 3b",

    // A trap in kernel mode. The two words pushed last make the interrupted instruction a frame of the backtrace.
    "5:",
    ".irp r, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15",
    "push \\r",
    ".endr",
    "mov rdi, rsp",
    "push [rsp + {rip}]",
    "push rbp",
    "mov rbp, rsp",
    "call {kernel_trap}",
    "add rsp, 16",
    ".irp r, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi",
    "pop \\r",
    ".endr",
    "add rsp, 16",
    "iretq",

    // On a stack of its own, whose uppermost words say which CPU this is; GS may be the user's.
    "6:",
    ".irp r, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15",
    "push \\r",
    ".endr",
    "mov rax, [rsp + {size}]",
    "mov rdx, rax",
    "shr rdx, 32",
    "mov ecx, 0xc0000101",
    "wrmsr",
    "cld",
    "mov rdi, rsp",
    "push [rsp + {rip}]",
    "push rbp",
    "mov rbp, rsp",
    "call {fatal_trap}",
    "ud2",

    kernel_rsp = const GS_KERNEL_RSP,
    rsp0 = const GS_RSP0,
    scratch = const GS_SCRATCH,
    syscall = const SYSCALL,
    gates = const GATES,
    size = const size_of::<Registers>(),
    r15 = const offset_of!(Registers, r15),
    r14 = const offset_of!(Registers, r14),
    r13 = const offset_of!(Registers, r13),
    r12 = const offset_of!(Registers, r12),
    rbp = const offset_of!(Registers, rbp),
    rbx = const offset_of!(Registers, rbx),
    r11 = const offset_of!(Registers, r11),
    r10 = const offset_of!(Registers, r10),
    r9 = const offset_of!(Registers, r9),
    r8 = const offset_of!(Registers, r8),
    rax = const offset_of!(Registers, rax),
    rcx = const offset_of!(Registers, rcx),
    rdx = const offset_of!(Registers, rdx),
    rsi = const offset_of!(Registers, rsi),
    rdi = const offset_of!(Registers, rdi),
    vector = const offset_of!(Registers, vector),
    rip = const offset_of!(Registers, rip),
    cs = const offset_of!(Registers, cs),
    rflags = const offset_of!(Registers, rflags),
    rsp = const offset_of!(Registers, rsp),
    kernel_trap = sym kernel_trap,
    fatal_trap = sym fatal_trap,
);

/// A trap taken in kernel mode: an interrupt while the CPU is idle, a fault of a user copy, or a bug.
extern "sysv64" fn kernel_trap(registers: &mut Registers) {
    if registers.vector >= FIRST_INTERRUPT {
        apic::interrupt(registers.vector);
        return;
    }
    let address = instructions::read_cr2();
    if registers.vector == PAGE_FAULT
        && address < USER_END
        && let Some(fixup) = exception_table::fixup(registers.rip as usize)
    {
        registers.rip = fixup as u64;
        return;
    }
    report(registers, address)
}

/// A trap that nothing goes on after.
extern "sysv64" fn fatal_trap(registers: &Registers) -> ! {
    report(registers, instructions::read_cr2())
}

fn report(registers: &Registers, address: usize) -> ! {
    let guarded =
        super::local::Cpu::current().stacks().any(|s| (s.start - crate::PAGE_SIZE..s.start).contains(&address));
    let what = match registers.vector {
        DOUBLE_FAULT | PAGE_FAULT if guarded => "kernel stack overflow",
        DOUBLE_FAULT => "double fault",
        PAGE_FAULT => "page fault in the kernel",
        NMI => "non-maskable interrupt",
        MACHINE_CHECK => "machine check",
        _ => "exception in the kernel",
    };
    panic!(
        "{what} (vector {}, error {:#x}, address {address:#x}) at {:#x}\n{registers:#x?}",
        registers.vector, registers.error, registers.rip
    )
}

#[repr(C, align(16))]
struct TrapTable([[u64; 2]; GATES]);

/// The table that all CPUs share: built by the first, before the others start.
static TABLE: crate::sync::Once<TrapTable> = crate::sync::Once::new();

fn build_table() -> TrapTable {
    TrapTable(core::array::from_fn(|vector| {
        let stub = &raw const trap_stubs as u64 + 16 * vector as u64;
        let ist = match vector as u64 {
            DOUBLE_FAULT => IST_DOUBLE_FAULT,
            NMI => IST_NMI,
            MACHINE_CHECK => IST_MACHINE_CHECK,
            _ => 0,
        };
        // `int3` and `int 4` are instructions of user mode; every other `int n` is a protection fault.
        let user: u64 = if vector == 3 || vector == 4 { 3 } else { 0 };
        let low = stub & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | u64::from(ist) << 32
            | (0x8e | user << 5) << 40
            | (stub >> 16 & 0xffff) << 48;
        [low, stub >> 32]
    }))
}

/// Loads the trap table on this CPU.
///
/// # Safety
/// The CPU's segments and task state are loaded.
pub(super) unsafe fn load_table() {
    let table = TABLE.call_once(build_table);
    let pointer = TablePointer { limit: size_of::<TrapTable>() as u16 - 1, base: (&raw const *table) as u64 };
    // SAFETY: the table lives for ever; its gates lead to the stubs above.
    unsafe { asm!("lidt [{}]", in(reg) &pointer, options(nostack)) };
}
