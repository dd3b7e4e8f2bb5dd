//! From the firmware to Rust: translation is off, `a0` is the hart, and for the first one `a1` the device tree.
//!
//! There is never an identity map: with `stvec` at the virtual address to go on at, the fetch that follows the
//! write of `satp` faults, and that is the jump.

use super::{IMAGE, boot, cpu::Cpu, kernel_map::STACK_BYTES, trap};
use crate::{PhysAddr, cpu::MAX_CPUS};
use core::{
    arch::{asm, global_asm},
    mem::offset_of,
    ops::Range,
};

/// Bytes of the stack that the boot CPU begins on. It lies behind the image, and is free memory later.
const BOOT_STACK_BYTES: usize = STACK_BYTES;
/// Megapages of the first map of the image: an image is not larger.
const BOOT_MEGAPAGES: usize = 8;

global_asm!(
    // The entry point: the first byte of the image. The firmware starts the boot hart here.
    ".section .text.boot, \"ax\"",
    ".global _start",
    ".type _start, @function",
    "_start:",
    ".option push",
    ".option arch, +a",
    // The first hart boots. A later one was asked for by `start_cpus`: OpenSBI says that a hart is wanted before it
    // notes where, so that one which looks in between arrives where the first did.
    "lla t0, boot_claimed",
    "li t1, 1",
    "amoswap.w t1, t1, (t0)",
    ".option pop",
    "bnez t1, secondary_start",
    "csrw sie, zero",
    // The first tables: the image by megapages, with every right, and all physical memory by gigapages.
    "lla a2, kernel_start",
    "lla t0, boot_root",
    "lla t1, boot_image_table",
    "srli t2, t1, 2",
    "ori t2, t2, 0x01",
    "li t3, 510 * 8",
    "add t3, t0, t3",
    "sd t2, 0(t3)",
    "srli t2, a2, 2",
    "ori t2, t2, 0xcf",
    "li t4, 1 << 19",
    "addi t5, t1, {megapages} * 8",
    "1: sd t2, 0(t1)",
    "add t2, t2, t4",
    "addi t1, t1, 8",
    "bltu t1, t5, 1b",
    "addi t1, t0, 2047",
    "addi t1, t1, 1",
    "li t2, 0xc7",
    "li t4, 1 << 28",
    "2: sd t2, 0(t1)",
    "add t2, t2, t4",
    "addi t1, t1, 8",
    "bltu t1, t3, 2b",
    // Translation on.
    "lla t1, 4f",
    "ld t1, 0(t1)",
    "csrw stvec, t1",
    "srli t0, t0, 12",
    "li t1, 8 << 60",
    "or t0, t0, t1",
    "sfence.vma",
    "csrw satp, t0",
    ".balign 4",
    "3: lla t0, {trap_entry}",
    "csrw stvec, t0",
    "csrw sscratch, zero",
    "lla tp, {cpus}",
    "lla sp, boot_stack_top",
    "li s0, 0",
    "call {boot_main}",
    ".balign 8",
    "4: .quad 3b",
    ".size _start, . - _start",
    // Where the firmware starts the other harts.
    ".global secondary_start",
    ".balign 4",
    ".type secondary_start, @function",
    "secondary_start:",
    "csrw sie, zero",
    // Which CPU is this? t1 becomes the offset of its `Cpu`.
    "lla t0, {cpus}",
    "li t1, 0",
    "li t2, {cpus_bytes}",
    "7: add t3, t0, t1",
    "ld t3, {hart}(t3)",
    "beq t3, a0, 9f",
    "addi t1, t1, {cpu_bytes}",
    "bltu t1, t2, 7b",
    // Nobody has asked for this hart.
    "8: wfi",
    "j 8b",
    "9: mv a1, t1",
    "lla t0, kernel_satp",
    "ld t0, 0(t0)",
    "lla t1, 6f",
    "ld t1, 0(t1)",
    "csrw stvec, t1",
    "sfence.vma",
    "csrw satp, t0",
    ".balign 4",
    "5: lla t0, {trap_entry}",
    "csrw stvec, t0",
    "csrw sscratch, zero",
    "lla tp, {cpus}",
    "add tp, tp, a1",
    "ld sp, {stack_top}(tp)",
    "li s0, 0",
    "call {secondary_main}",
    ".balign 8",
    "6: .quad 5b",
    ".size secondary_start, . - secondary_start",
    ".data",
    ".balign 8",
    ".global kernel_satp",
    "kernel_satp: .quad 0",
    "boot_claimed: .word 0",
    // Used until the kernel's own tables and stack are there. The linker script puts it behind the image.
    ".section .boot_bss, \"aw\", @nobits",
    ".balign 4096",
    "boot_root: .skip 4096",
    "boot_image_table: .skip 4096",
    ".global boot_stack, boot_stack_top",
    "boot_stack: .skip {boot_stack_bytes}",
    "boot_stack_top:",
    ".text",
    megapages = const BOOT_MEGAPAGES,
    boot_stack_bytes = const BOOT_STACK_BYTES,
    stack_top = const offset_of!(Cpu, stack_top),
    hart = const offset_of!(Cpu, hart),
    cpu_bytes = const size_of::<Cpu>(),
    cpus_bytes = const size_of::<[Cpu; MAX_CPUS]>(),
    trap_entry = sym trap::trap_entry,
    cpus = sym super::cpu::CPUS,
    boot_main = sym boot::boot_main,
    secondary_main = sym super::cpu::secondary_main,
);

// The linker script's, and those above.
unsafe extern "C" {
    static kernel_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static kernel_end: u8;
    static boot_end: u8;
    static boot_stack: u8;
    static boot_stack_top: u8;
    fn secondary_start();
    static mut kernel_satp: usize;
}

/// Where the image lies in physical memory. Each part is whole pages.
pub(super) struct Image {
    /// The instructions.
    pub(super) text: Range<usize>,
    /// Constants and the exception table.
    pub(super) rodata: Range<usize>,
    /// Variables.
    pub(super) data: Range<usize>,
    /// Behind what is used only until [`enter_kernel_map`].
    pub(super) boot_end: usize,
}

impl Image {
    /// The image whose first byte is at `start`.
    pub(super) fn at(start: PhysAddr) -> Self {
        let physical = |symbol: *const u8| start.0 + (symbol as usize - IMAGE);
        let rodata = physical(&raw const text_end)..physical(&raw const rodata_end);
        Self {
            text: physical(&raw const kernel_start)..rodata.start,
            data: rodata.end..physical(&raw const kernel_end),
            rodata,
            boot_end: physical(&raw const boot_end),
        }
    }
}

/// The stack that the boot CPU begins on.
pub(super) fn boot_stack_range() -> Range<usize> {
    &raw const boot_stack as usize..&raw const boot_stack_top as usize
}

/// Where the firmware is to start further harts, in kernel addresses.
pub(super) fn secondary_entry() -> usize {
    secondary_start as *const () as usize
}

/// Leaves the boot tables and the boot stack for the kernel's, for ever, and goes on with `next`.
///
/// # Safety
/// `satp` names tables that show the image where it is, and `stack_top` is the end of an unused stack in them.
pub(super) unsafe fn enter_kernel_map(satp: usize, stack_top: usize, next: extern "C" fn() -> !) -> ! {
    // SAFETY: one CPU runs; harts that it starts later read the variable.
    unsafe { (&raw mut kernel_satp).write_volatile(satp) };
    // SAFETY: the caller's promise; nothing of the old stack is used from here on.
    unsafe {
        asm!(
            "csrw satp, {satp}",
            "sfence.vma",
            "mv sp, {stack_top}",
            "li s0, 0",
            "li ra, 0",
            "jr a0",
            satp = in(reg) satp,
            stack_top = in(reg) stack_top,
            in("a0") next,
            options(noreturn),
        )
    }
}
