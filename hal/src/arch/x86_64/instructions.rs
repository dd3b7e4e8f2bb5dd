//! Single machine instructions that Rust has no word for.

use core::arch::{asm, x86_64 as intel};

pub(super) mod msr {
    pub const APIC_BASE: u32 = 0x1b;
    pub const TSC_DEADLINE: u32 = 0x6e0;
    pub const X2APIC: u32 = 0x800;
    pub const EFER: u32 = 0xc000_0080;
    pub const STAR: u32 = 0xc000_0081;
    pub const LSTAR: u32 = 0xc000_0082;
    pub const FMASK: u32 = 0xc000_0084;
    pub const FS_BASE: u32 = 0xc000_0100;
    pub const GS_BASE: u32 = 0xc000_0101;
    /// What `swapgs` exchanges with the GS base: the user's, while kernel code runs.
    pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
}

/// # Safety
/// The register exists.
pub(super) unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise; reading has no other effect.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// # Safety
/// The register exists and the value means no harm to the running code.
pub(super) unsafe fn wrmsr(register: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
             options(nostack, preserves_flags));
    }
}

/// # Safety
/// The port's device does nothing to memory or control flow by being read.
pub(super) unsafe fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// # Safety
/// As [`inb`], for writing.
pub(super) unsafe fn outb(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// # Safety
/// As [`inb`], for writing.
pub(super) unsafe fn outw(port: u16, value: u16) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// # Safety
/// As [`inb`].
pub(super) unsafe fn inl(port: u16) -> u32 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
    value
}

/// # Safety
/// As [`inb`], for writing.
pub(super) unsafe fn outl(port: u16, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) };
}

/// A CPUID leaf and sub-leaf; zeros when the CPU does not have the leaf.
pub(super) fn cpuid(leaf: u32, subleaf: u32) -> intel::CpuidResult {
    let most = intel::__cpuid(leaf & 0xffff_0000).eax;
    if leaf > most || most & 0xffff_0000 != leaf & 0xffff_0000 {
        return intel::CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    }
    intel::__cpuid_count(leaf, subleaf)
}

/// The time-stamp counter, not read before the loads that precede it in the program.
#[inline]
pub(super) fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: every x86_64 CPU has both instructions.
    unsafe { asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

pub(super) fn has_rdrand() -> bool {
    cpuid(1, 0).ecx & 1 << 30 != 0
}

/// To be called where [`has_rdrand`]; `None` when the generator is dry.
pub(super) fn rdrand() -> Option<u64> {
    let (value, full): (u64, u8);
    // SAFETY: touches the two registers only; a CPU without it never gets here.
    unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) full, options(nomem, nostack)) };
    (full != 0).then_some(value)
}

pub(super) fn read_cr2() -> usize {
    let value;
    // SAFETY: reading the fault address has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

pub(super) fn read_cr3() -> u64 {
    let value;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
/// `root` is a root table whose kernel half maps the running code, its stack and its data.
pub(super) unsafe fn write_cr3(root: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Forgets this CPU's translation of one page.
pub(super) fn invlpg(address: usize) {
    // SAFETY: forgetting a translation is always sound.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Stops this CPU for good.
pub(super) fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off it only sleeps.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
