//! From the loader to the kernel: the Linux arm64 `Image` header, the way down from EL2, the tables that serve
//! until the real ones stand ([`super::memory`]), and the entry of the other CPUs.
//!
//! The loader enters with the MMU off, in physical memory, x0 pointing to the device tree. Until the jump to the
//! link address the code is position-independent and touches no data but the boot tables.

use super::memory::{IMAGE_BASE, STACK_SLOT};
use core::arch::global_asm;

/// The image's own 1 GiB of the upper half: index in the second-level table.
const IMAGE_INDEX: usize = (IMAGE_BASE >> 30) & 511;
const _: () = assert!(IMAGE_BASE >> 39 == usize::MAX >> 39 && IMAGE_BASE.is_multiple_of(1 << 30));
const _: () = assert!(STACK_SLOT == 1 << 17, "the vectors test bit 16 of the stack pointer");

/// A valid block: normal memory (attribute 0), inner shareable, accessed, read-write and executable by EL1.
const BOOT_BLOCK: u64 = 0x701;

/// Attribute 0: normal memory, write-back; attribute 1: device memory, nGnRE.
const MAIR: u64 = 0x04ff;

/// 48-bit halves of 4 KiB pages, walks cached and inner shareable; TBI0, as Linux has it, lets user pointers carry
/// a tag in the top byte. The physical size (IPS) is added from the CPU's own register.
const TCR: u64 = 0x20_b510_3510;

/// MMU and caches on; stack alignment checked. EL0 may use WFI and WFE, DC ZVA, read CTR, and maintain caches by
/// address (as on Linux); SETEND is undefined; PAN is set by every exception (SPAN is clear). WXN stays off: it
/// would also take execution from the user pages that a program asked for as writable and executable. The
/// kernel's own pages are one or the other by how they are mapped.
const SCTLR: u64 = 0x3455_d91d;

global_asm!(
    r#"
    .pushsection .head.text, "ax"
    .global _start
_start:
    b       boot_entry              // code0
    .long   0                       // code1
    .quad   0                       // text_offset: the image begins at a multiple of 2 MiB
    .quad   __image_bytes
    .quad   0b1010                  // little endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    // The boot CPU. x0: physical address of the device tree.
boot_entry:
    msr     daifset, #0xf
    mov     x19, x0
    bl      leave_el2

    // The boot tables: level 0, level 1 of physical memory (used by both halves), level 1 and 2 of the image.
    adrp    x1, __boot_tables
    add     x2, x1, #0x4000
1:  stp     xzr, xzr, [x1], #16
    cmp     x1, x2
    b.lo    1b
    adrp    x1, __boot_tables
    add     x2, x1, #0x1000
    add     x3, x1, #0x2000
    add     x4, x1, #0x3000
    adrp    x20, _start
    lsr     x5, x20, #39
    and     x5, x5, #511
    orr     x6, x2, #3
    str     x6, [x1, x5, lsl #3]
    orr     x6, x3, #3
    str     x6, [x1, #511 * 8]
    orr     x6, x4, #3
    str     x6, [x3, #{image_index} * 8]
    // The gigabytes of the image's first and last byte and of the device tree.
    mov     x8, #{boot_block}
    adrp    x7, __image_end
    mov     x9, x20
    bl      map_gigabyte
    mov     x9, x7
    bl      map_gigabyte
    mov     x9, x19
    bl      map_gigabyte
    // The image, in blocks of 2 MiB.
    orr     x9, x20, x8
1:  str     x9, [x4], #8
    add     x9, x9, #0x200000
    cmp     x9, x7
    b.lo    1b

    bl      enable_mmu
    ldr     x1, =boot_continue
    br      x1
boot_continue:
    adrp    x1, __bss_start
    adrp    x2, __bss_end
    b       2f
1:  stp     xzr, xzr, [x1], #16
2:  cmp     x1, x2
    b.lo    1b
    msr     tpidr_el1, xzr
    adrp    x1, __boot_stack_end
    mov     sp, x1
    mov     x0, x19
    mov     x1, x20
    mov     x29, xzr
    mov     x30, xzr
    b       {start}

    // Maps the gigabyte of physical address x9 in the table at x2. Clobbers x9, x10.
map_gigabyte:
    lsr     x9, x9, #30
    and     x10, x9, #511
    lsl     x9, x9, #30
    orr     x9, x9, x8
    str     x9, [x2, x10, lsl #3]
    ret

    // Another CPU. x0: its number.
    .global secondary_entry
secondary_entry:
    msr     daifset, #0xf
    mov     x19, x0
    bl      leave_el2
    bl      enable_mmu
    ldr     x1, =secondary_continue
    br      x1
secondary_continue:
    msr     tpidr_el1, x19
    adrp    x0, {root}
    ldr     x0, [x0, :lo12:{root}]
    adrp    x1, {trampoline}
    ldr     x1, [x1, :lo12:{trampoline}]
    ldr     x2, ={stacks}
    add     x3, x19, #1
    add     x2, x2, x3, lsl #17
    sub     x2, x2, #16
    adrp    x3, {secondary_main}
    add     x3, x3, :lo12:{secondary_main}
    mov     x4, x19
    b       enter_kernel_tables

    // Goes on with the kernel's own tables and on another stack, for ever.
    // x0: root table, x1: physical address of `switch_trampoline`, x2: stack, x3: function, x4: its argument.
    .global enter_kernel_tables
enter_kernel_tables:
    adr     x30, 1f
    br      x1
1:  // The user half is empty from here on; the trampoline was the last code run from there.
    msr     ttbr0_el1, x5
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    mov     sp, x2
    mov     x0, x4
    mov     x29, xzr
    mov     x30, xzr
    br      x3

    // Runs at its physical address: no translation of the upper half may be in use while that half is exchanged.
    .global switch_trampoline
switch_trampoline:
    adrp    x5, __empty_table
    msr     ttbr1_el1, x5
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    msr     ttbr1_el1, x0
    isb
    ret

    // Turns the MMU on, with the boot tables in both halves. Clobbers x0, x1.
enable_mmu:
    mov     x0, #{mair}
    msr     mair_el1, x0
    ldr     x0, ={tcr}
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf
    cmp     x1, #5
    b.ls    1f
    mov     x1, #5                  // 48 bits of physical address: all that these tables can hold
1:  orr     x0, x0, x1, lsl #32
    msr     tcr_el1, x0
    adrp    x0, __boot_tables
    msr     ttbr0_el1, x0
    msr     ttbr1_el1, x0
    mov     x0, #3 << 20            // CPACR: no trap of FP; SVE and SME do trap
    msr     cpacr_el1, x0
    ldr     x0, =exception_vectors
    msr     vbar_el1, x0
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    ldr     x0, ={sctlr}
    msr     sctlr_el1, x0
    isb
    ret

    // Returns at EL1 with the MMU off, entered at EL1 or EL2. Clobbers x0.
leave_el2:
    mrs     x0, CurrentEL
    cmp     x0, #2 << 2
    b.eq    1f
    ldr     x0, =0x30d00800
    msr     sctlr_el1, x0
    isb
    ret
1:  ldr     x0, =(1 << 31) | (3 << 40)  // EL1 is AArch64; pointer authentication does not trap
    msr     hcr_el2, x0
    mov     x0, #3                  // the physical counter and timer do not trap
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    mov     x0, #0x33ff             // CPTR: FP does not trap
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, id_aa64pfr0_el1
    ubfx    x0, x0, #24, #4
    cbz     x0, 2f
    mrs     x0, s3_4_c12_c9_5       // ICC_SRE_EL2: the GICv3 registers are EL1's too, where there are any
    orr     x0, x0, #1
    orr     x0, x0, #8
    msr     s3_4_c12_c9_5, x0
    isb
    mrs     x0, s3_4_c12_c9_5
    tbz     x0, #0, 2f
    msr     s3_4_c12_c11_0, xzr     // ICH_HCR_EL2
2:  ldr     x0, =0x30d00800         // SCTLR_EL1: MMU off, the bits that read as one set
    msr     sctlr_el1, x0
    mov     x0, #0x3c5              // EL1h, everything masked
    msr     spsr_el2, x0
    msr     elr_el2, x30
    eret
    .ltorg
    .popsection
    "#,
    image_index = const IMAGE_INDEX,
    boot_block = const BOOT_BLOCK,
    mair = const MAIR,
    tcr = const TCR,
    sctlr = const SCTLR,
    stacks = const super::memory::STACKS,
    start = sym super::start,
    secondary_main = sym super::cpus::secondary_main,
    root = sym super::memory::KERNEL_ROOT,
    trampoline = sym super::memory::SWITCH_TRAMPOLINE,
);

unsafe extern "C" {
    /// Loads `root` as the upper half, empties the lower, and calls `next(argument)` on `stack`.
    ///
    /// # Safety
    /// The boot tables are loaded; `trampoline` is the physical address of [`switch_trampoline`]; `root` maps the
    /// image as it is mapped now, and the stack.
    pub(super) fn enter_kernel_tables(
        root: usize,
        trampoline: usize,
        stack: usize,
        next: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> !;

    /// See [`enter_kernel_tables`].
    pub(super) safe static switch_trampoline: u8;
    /// Where PSCI starts another CPU, at its physical address.
    pub(super) safe static secondary_entry: u8;
}
