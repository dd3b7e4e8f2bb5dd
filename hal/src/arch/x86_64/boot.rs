//! The first instructions, and what the loader says: the PVH boot protocol (`hvm_start_info`). The loader
//! finds the entry in the ELF note `XEN_ELFNOTE_PHYS32_ENTRY` and jumps there in 32-bit protected mode, paging off, with
//! EBX pointing to its information.

use super::{
    acpi, apic,
    kernel_space::{self, BOOT_MAPPED, KERNEL_BASE, MOST_PHYSICAL},
    local::{self, Cpu},
    serial, smp, time,
};
use crate::{
    BootInfo, PAGE_SIZE, PhysAddr,
    arch::call_main,
    boot_info::{Initrd, MemoryMap},
    sync::Once,
};
use core::arch::global_asm;

global_asm!(
    ".section .note.Xen, \"a\", @note",
    ".balign 4",
    ".long 4, 8, 18", // name's and value's sizes; XEN_ELFNOTE_PHYS32_ENTRY
    ".asciz \"Xen\"",
    ".quad pvh_entry - {base}",

    // The tables that the image starts with: the first GiB at 0 (left as soon as the kernel's own tables are
    // loaded), in the direct map and at the kernel's base.
    ".section .bss.boot_tables, \"aw\", @nobits",
    ".balign 4096",
    ".global boot_root",
    "boot_root: .skip 4096",
    "boot_low: .skip 4096",
    "boot_high: .skip 4096",
    "boot_pages: .skip 4096",

    ".section .text.boot, \"ax\"",
    ".code32",
    ".global pvh_entry",
    "pvh_entry:",
    "cli",
    "cld",
    "movl %ebx, %edi",
    "movl $(boot_stack_top - {base}), %esp",
    // Needed and not to be missed: long mode, no-execute, and SYSCALL in long mode.
    "movl $0x80000000, %eax",
    "cpuid",
    "cmpl $0x80000001, %eax",
    "jb 8f",
    "movl $0x80000001, %eax",
    "cpuid",
    "andl $0x20100800, %edx",
    "cmpl $0x20100800, %edx",
    "jne 8f",
    "movl $(boot_pages - {base}), %ecx",
    "movl $0x83, %eax", // present, writable, 2 MiB
    "2: movl %eax, (%ecx)",
    "addl $8, %ecx",
    "addl $0x200000, %eax",
    "cmpl $0x40000083, %eax",
    "jne 2b",
    "movl $(boot_pages - {base} + 3), %eax",
    "movl %eax, boot_low - {base}",
    "movl %eax, boot_high - {base} + 510 * 8",
    "movl $(boot_low - {base} + 3), %eax",
    "movl %eax, boot_root - {base}",
    "movl %eax, boot_root - {base} + 256 * 8",
    "movl $(boot_high - {base} + 3), boot_root - {base} + 511 * 8",
    "movl $0x20, %eax", // PAE
    "movl %eax, %cr4",
    "movl $(boot_root - {base}), %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx",
    "rdmsr",
    "orl $0x900, %eax", // long mode, no-execute
    "wrmsr",
    "movl $0x80010011, %eax", // paging, write protection also for the kernel, protected mode
    "movl %eax, %cr0",
    "lgdt boot_segments_pointer - {base}",
    "ljmpl $0x08, $(3f - {base})",
    // No such CPU: say so on COM1 and stop.
    "8: movl $(9f - {base}), %esi",
    "movw $0x3f8, %dx",
    "4: lodsb",
    "testb %al, %al",
    "jz 5f",
    "outb %al, %dx",
    "jmp 4b",
    "5: hlt",
    "jmp 5b",
    "9: .asciz \"veridian: this CPU has no 64-bit mode with no-execute pages\\n\"",
    ".balign 8",
    "boot_segments: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff",
    "boot_segments_pointer: .word 31",
    ".long boot_segments - {base}",
    ".code64",
    "3: movabsq $6f, %rax",
    "jmpq *%rax",
    "6: movabsq $boot_stack_top, %rsp",
    "movl %edi, %edi",
    "xorl %ebp, %ebp",
    "pushq $0",
    "pushq $0",
    "call {start}",
    "ud2",

    // What the other CPUs begin with: copied to the page TRAMPOLINE and entered there in real mode.
    ".code16",
    ".global trampoline_start, trampoline_end",
    "trampoline_start:",
    "cli",
    "cld",
    "xorw %ax, %ax",
    "movw %ax, %ds",
    "lgdtl {trampoline} + (7f - trampoline_start)",
    "movl %cr0, %eax",
    "orb $1, %al",
    "movl %eax, %cr0",
    "ljmpl $0x18, $({trampoline} + (2f - trampoline_start))",
    ".code32",
    "2: movw $0x10, %ax",
    "movw %ax, %ds",
    "movl $0x20, %eax",
    "movl %eax, %cr4",
    "movl $(boot_root - {base}), %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx",
    "rdmsr",
    "orl $0x900, %eax",
    "wrmsr",
    "movl $0x80010011, %eax",
    "movl %eax, %cr0",
    "ljmpl $0x08, $({trampoline} + (3f - trampoline_start))",
    ".code64",
    "3: movabsq $trampoline_high, %rax",
    "jmpq *%rax",
    ".balign 8",
    "6: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff",
    "7: .word 31",
    ".long {trampoline} + (6b - trampoline_start)",
    "trampoline_end:",
    // From here on at its own address: the kernel's tables, then the stack, which only they map.
    "trampoline_high:",
    "movq {root}(%rip), %rax",
    "movq %rax, %cr3",
    "movq {stack}(%rip), %rsp",
    "xorl %ebp, %ebp",
    "pushq $0",
    "pushq $0",
    "call {other_start}",
    "ud2",
    ".text",
    base = const KERNEL_BASE,
    trampoline = const smp::TRAMPOLINE,
    start = sym start,
    root = sym smp::START_ROOT,
    stack = sym smp::START_STACK,
    other_start = sym smp::start,
    options(att_syntax)
);

/// `hvm_start_info`, version 1.
#[repr(C)]
#[derive(Clone, Copy)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    modules_at: u64,
    command_line_at: u64,
    rsdp_at: u64,
    memory_map_at: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Module {
    at: u64,
    bytes: u64,
    command_line_at: u64,
    reserved: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryRange {
    at: u64,
    bytes: u64,
    kind: u32,
    reserved: u32,
}

const MAGIC: u32 = 0x336e_c578;
/// The kind of a [`MemoryRange`] that is RAM.
const USABLE: u32 = 1;
/// As Linux's on this architecture.
const MOST_COMMAND_LINE: usize = 2048;

static COMMAND_LINE: Once<heapless::String<MOST_COMMAND_LINE>> = Once::new();

/// Where the 64-bit upper-half kernel begins, on CPU 0.
extern "sysv64" fn start(start_info: usize) -> ! {
    local::adopt(0);
    serial::init();
    let info: StartInfo = loader_data(start_info);
    assert!(info.magic == MAGIC, "entered by something else than PVH");
    assert!(info.version >= 1, "the loader gives no memory map (PVH version 0)");
    let command_line = COMMAND_LINE.call_once(|| command_line(info.command_line_at));
    let mut map = memory_map(&info);
    let memory_bytes = map.usable.iter().map(|r| r.len()).sum();
    kernel_space::init(&mut map);
    // SAFETY: once; the ranges are what the loader calls RAM, without what is in use, and are now mapped.
    unsafe { crate::mem::init(&map) };
    local::give_stacks(0, kernel_space::boot_stack_of_cpu_0()).expect("memory for the first CPU's stacks");
    local::set_up(Cpu::current());
    let platform = acpi::read(info.rsdp_at as usize);
    apic::init(platform).expect("memory for the interrupt controllers' mappings");
    time::init();
    let initrd = map.initrd.map(|range| {
        let pointer = kernel_space::phys_to_virt(PhysAddr(range.start));
        // SAFETY: the loader put the archive there; the range is reserved, so nobody writes it.
        Initrd::new(unsafe { core::slice::from_raw_parts(pointer, range.len()) }, PhysAddr(range.start))
    });
    call_main(BootInfo { command_line, initrd, memory_bytes, machine: acpi::machine_name(platform) })
}

/// Reads a structure that the loader left in memory.
fn loader_data<T: Copy>(at: usize) -> T {
    assert!(at != 0 && at < BOOT_MAPPED - size_of::<T>(), "the loader's data at {at:#x} is out of reach");
    // SAFETY: within what the boot tables map; T is one of the plain structures above. Nothing writes there yet.
    unsafe { kernel_space::phys_to_virt(PhysAddr(at)).cast::<T>().read_unaligned() }
}

fn command_line(at: u64) -> heapless::String<MOST_COMMAND_LINE> {
    let mut bytes = heapless::Vec::<u8, MOST_COMMAND_LINE>::new();
    if at != 0 {
        for at in at as usize.. {
            let byte: u8 = loader_data(at);
            if byte == 0 {
                break;
            }
            assert!(bytes.push(byte).is_ok(), "the command line is longer than {MOST_COMMAND_LINE} bytes");
        }
    }
    heapless::String::from_utf8(bytes).expect("the command line is not UTF-8")
}

/// Usable memory by the loader's map; reserved: the first page, the other CPUs' first page, the image.
fn memory_map(info: &StartInfo) -> MemoryMap {
    let mut map = MemoryMap { usable: Default::default(), reserved: Default::default(), initrd: None };
    for number in 0..info.memory_map_entries as usize {
        let entry: MemoryRange = loader_data(info.memory_map_at as usize + number * size_of::<MemoryRange>());
        let end = entry.at.saturating_add(entry.bytes).min(MOST_PHYSICAL as u64) as usize;
        let start = (entry.at as usize).min(end);
        if entry.kind == USABLE && start < end {
            map.usable.push(start..end).expect("the memory map has too many ranges");
        }
    }
    map.usable.sort_unstable_by_key(|range| range.start);
    for range in [0..PAGE_SIZE, smp::TRAMPOLINE..smp::TRAMPOLINE + PAGE_SIZE, kernel_space::image()] {
        map.reserved.push(range).expect("room for three ranges");
    }
    if info.modules > 0 {
        let module: Module = loader_data(info.modules_at as usize);
        let start = module.at as usize;
        if module.bytes > 0 {
            map.initrd = Some(start..start + module.bytes as usize);
        }
    }
    map
}
