//! FP and vector registers and the segment bases of user threads. The kernel uses none of them (soft float;
//! its own GS base is exchanged at each entry), so they stay in the CPU's registers while kernel code runs,
//! and are saved only when something needs them elsewhere: another thread on this CPU, the thread itself on
//! another CPU, a clone, or sleep.
//!
//! The one rule: `CPUS[n].state_owner` is a state exactly when that state's `live_on` is `n + 1`, and only CPU
//! `n` changes that. A CPU that needs a state which is live elsewhere asks for it ([`super::requests`]). So a
//! state may be moved, cloned and dropped anywhere, and its memory is written by the CPU that it is live on, or,
//! when it is live nowhere, by whoever holds it mutably.

use super::{
    instructions::{cpuid, msr, rdmsr, wrmsr},
    local::Cpu,
    requests::{self, Operation},
};
use crate::UserAddr;
use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use core::{
    arch::asm,
    cell::Cell,
    ptr::{NonNull, null},
    sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering},
};

/// The saved state: this header, then at [`AREA`] the area that the save instruction defines.
#[repr(C, align(64))]
pub(super) struct ExtendedState {
    /// 1 + the number of the CPU whose registers hold the state; 0: none, the memory is up to date.
    live_on: AtomicUsize,
    fs_base: Cell<u64>,
    gs_base: Cell<u64>,
}

/// Where the save area begins: it must be aligned to 64.
const AREA: usize = size_of::<ExtendedState>();
/// Control words as Linux starts a program with them: all exceptions masked, 64-bit precision.
const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;

/// How this machine saves: one of the constants below.
static METHOD: AtomicU8 = AtomicU8::new(FXSAVE);
const FXSAVE: u8 = 0;
const XSAVE: u8 = 1;
const XSAVEOPT: u8 = 2;
/// Bytes of the save area.
static AREA_BYTES: AtomicUsize = AtomicUsize::new(LEGACY_BYTES);
/// Which parts are saved.
static ENABLED: AtomicU32 = AtomicU32::new(X87_SSE);

/// The part of the area that FXSAVE writes, and the header behind it that XSAVE adds.
const LEGACY_BYTES: usize = 512;
const HEADER_BYTES: usize = 64;
const MXCSR: usize = 24;
/// Bits of MXCSR that there are.
const MXCSR_BITS: u32 = 0xffff;
/// Parts of the state.
const X87_SSE: u32 = 0b11;
const AVX: u32 = 1 << 2;
const AVX512: u32 = 0b111 << 5;

/// Chooses what is saved, and enables it on this CPU.
pub(super) fn set_up(_cpu: &Cpu) {
    if cpuid(1, 0).ecx & 1 << 26 == 0 {
        return;
    }
    let supported = cpuid(13, 0).eax;
    let mut enabled = X87_SSE;
    if supported & AVX != 0 {
        enabled |= AVX;
        if supported & AVX512 == AVX512 {
            enabled |= AVX512;
        }
    }
    // SAFETY: CR4.OSXSAVE is set (the CPU has XSAVE); the bits are ones that the CPU supports, in legal company.
    unsafe { asm!("xsetbv", in("ecx") 0, in("eax") enabled, in("edx") 0, options(nomem, nostack)) };
    ENABLED.store(enabled, Ordering::Relaxed);
    // EBX gives the size for what is enabled now.
    AREA_BYTES.store(cpuid(13, 0).ebx as usize, Ordering::Relaxed);
    let method = if cpuid(13, 1).eax & 1 != 0 { XSAVEOPT } else { XSAVE };
    METHOD.store(method, Ordering::Relaxed);
}

/// The handle that a context holds.
pub(super) struct Handle(NonNull<ExtendedState>);

// SAFETY: see the rule at the head of this file.
unsafe impl Send for Handle {}
// SAFETY: as above: shared handles only save and read.
unsafe impl Sync for Handle {}

fn layout() -> Layout {
    Layout::from_size_align(AREA + AREA_BYTES.load(Ordering::Relaxed), 64).expect("a small power of two")
}

impl Handle {
    /// The state that a program starts with.
    pub(super) fn new() -> Self {
        let state = Self::allocate();
        let area = state.area();
        // SAFETY: a zeroed area says that each part is in its initial configuration; the words written here
        // are those that this does not cover (or that FXRSTOR loads), within the area's 512 first bytes.
        unsafe {
            area.cast::<u16>().write(INITIAL_FCW);
            area.add(24).cast::<u32>().write(INITIAL_MXCSR);
        }
        state
    }

    fn allocate() -> Self {
        // SAFETY: the layout has a size. Zero bytes are a valid header.
        let pointer = unsafe { alloc_zeroed(layout()) };
        match NonNull::new(pointer.cast()) {
            Some(state) => Self(state),
            None => handle_alloc_error(layout()),
        }
    }

    fn state(&self) -> &ExtendedState {
        // SAFETY: allocated in `allocate`, freed in `drop`.
        unsafe { self.0.as_ref() }
    }

    fn area(&self) -> *mut u8 {
        // SAFETY: within the allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(AREA) }
    }

    /// Puts the state into this CPU's registers, if it is not there.
    #[inline]
    pub(super) fn load(&mut self, cpu: &Cpu) {
        if cpu.state_owner.get() != self.0.as_ptr() {
            self.load_slowly(cpu);
        }
    }

    #[cold]
    fn load_slowly(&mut self, cpu: &Cpu) {
        release(cpu);
        self.bring_to_memory(cpu);
        let state = self.state();
        // SAFETY: the area was written by `new` or by the save instruction; the bases are canonical, since they
        // were read from the registers or checked by `set_thread_pointer`. Selectors that a program has loaded are not kept:
        // they go before the bases, which loading a selector changes.
        unsafe {
            restore(self.area());
            clear_selectors();
            wrmsr(msr::FS_BASE, state.fs_base.get());
            wrmsr(msr::KERNEL_GS_BASE, state.gs_base.get());
        }
        state.live_on.store(1 + cpu.id(), Ordering::Relaxed);
        cpu.state_owner.set(state);
    }

    /// On return, the state is live on this CPU or its memory is up to date.
    fn take_from_others(&self, cpu: &Cpu) {
        let live_on = self.state().live_on.load(Ordering::Acquire);
        if live_on != 0 && live_on != 1 + cpu.id() {
            requests::send(cpu, 1 << (live_on - 1), Operation::ReleaseState(self.0.as_ptr() as usize));
        }
    }

    fn bring_to_memory(&self, cpu: &Cpu) {
        self.take_from_others(cpu);
        if cpu.state_owner.get() == self.0.as_ptr() {
            save(self.state());
        }
    }

    /// The FS base.
    pub(super) fn thread_pointer(&self) -> u64 {
        let cpu = Cpu::current();
        self.take_from_others(cpu);
        if cpu.state_owner.get() == self.0.as_ptr() {
            // SAFETY: every x86_64 CPU has it.
            return unsafe { rdmsr(msr::FS_BASE) };
        }
        self.state().fs_base.get()
    }

    /// Sets the FS base; `to` is canonical.
    pub(super) fn set_thread_pointer(&mut self, to: u64) {
        let cpu = Cpu::current();
        self.take_from_others(cpu);
        if cpu.state_owner.get() == self.0.as_ptr() {
            // SAFETY: the kernel does not use FS; the value is canonical.
            unsafe { wrmsr(msr::FS_BASE, to) };
        }
        self.state().fs_base.set(to);
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        let new = Self::allocate();
        self.bring_to_memory(Cpu::current());
        new.state().fs_base.set(self.state().fs_base.get());
        new.state().gs_base.set(self.state().gs_base.get());
        // SAFETY: two areas of this size; the original's memory is up to date and not written meanwhile.
        unsafe { new.area().copy_from_nonoverlapping(self.area(), AREA_BYTES.load(Ordering::Relaxed)) };
        new
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let cpu = Cpu::current();
        self.take_from_others(cpu);
        if cpu.state_owner.get() == self.0.as_ptr() {
            cpu.state_owner.set(null());
        }
        // SAFETY: allocated with this layout (its size is settled before the first context is made); no CPU
        // has it as its state any more.
        unsafe { dealloc(self.0.as_ptr().cast(), layout()) };
    }
}

/// What a signal frame says of its extended state, in bytes of the area that the instructions leave to software
/// (`struct _fpx_sw_bytes` of Linux).
const SOFTWARE: usize = 464;
const MAGIC_BEFORE: u32 = 0x4650_5853;
const MAGIC_BEHIND: u32 = 0x4650_5845;

/// Bytes of the state in a signal frame.
pub(super) fn frame_bytes() -> usize {
    match AREA_BYTES.load(Ordering::Relaxed) {
        LEGACY_BYTES => LEGACY_BYTES,
        more => more + size_of_val(&MAGIC_BEHIND),
    }
}

impl Handle {
    /// Puts the state into a signal frame at `to`.
    pub(super) fn write_frame<E>(
        &self,
        to: UserAddr,
        write: &mut impl FnMut(UserAddr, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bring_to_memory(Cpu::current());
        let length = AREA_BYTES.load(Ordering::Relaxed);
        // SAFETY: the area has this length; its memory is up to date and not written while `write` runs, which is
        // done on this CPU.
        let area = unsafe { core::slice::from_raw_parts(self.area(), length) };
        let mut software = [0u8; LEGACY_BYTES - SOFTWARE];
        if length > LEGACY_BYTES {
            software[..4].copy_from_slice(&MAGIC_BEFORE.to_le_bytes());
            software[4..8].copy_from_slice(&(frame_bytes() as u32).to_le_bytes());
            software[8..12].copy_from_slice(&ENABLED.load(Ordering::Relaxed).to_le_bytes());
            software[16..20].copy_from_slice(&(length as u32).to_le_bytes());
        }
        let at = |offset: usize| UserAddr(to.0.wrapping_add(offset));
        write(to, &area[..SOFTWARE])?;
        write(at(SOFTWARE), &software)?;
        if length > LEGACY_BYTES {
            write(at(LEGACY_BYTES), &area[LEGACY_BYTES..])?;
            write(at(length), &MAGIC_BEHIND.to_le_bytes())?;
        }
        Ok(())
    }

    /// Takes the state out of the signal frame at `from`; without one it is as at a program's start. A frame that is
    /// broken, or has less than this machine saves, gives what it has.
    pub(super) fn read_frame<E>(
        &mut self,
        from: Option<UserAddr>,
        read: &mut impl FnMut(UserAddr, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let cpu = Cpu::current();
        // The segment bases are not in the frame: they are in memory after this. Then the state is live nowhere.
        self.bring_to_memory(cpu);
        if cpu.state_owner.get() == self.0.as_ptr() {
            cpu.state_owner.set(null());
            self.state().live_on.store(0, Ordering::Release);
        }
        let length = AREA_BYTES.load(Ordering::Relaxed);
        // SAFETY: the area has this length, is ours alone (`&mut self`), and live in no CPU's registers.
        let area = unsafe { core::slice::from_raw_parts_mut(self.area(), length) };
        let Some(from) = from else {
            *self = Self::with_bases_of(self);
            return Ok(());
        };
        let outcome = read_area(area, from, read);
        make_loadable(area);
        outcome
    }

    fn with_bases_of(other: &Self) -> Self {
        let new = Self::new();
        new.state().fs_base.set(other.state().fs_base.get());
        new.state().gs_base.set(other.state().gs_base.get());
        new
    }
}

fn read_area<E>(
    area: &mut [u8],
    from: UserAddr,
    read: &mut impl FnMut(UserAddr, &mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let at = |offset: usize| UserAddr(from.0.wrapping_add(offset));
    let (legacy, rest) = area.split_at_mut(LEGACY_BYTES);
    read(from, legacy)?;
    if rest.is_empty() {
        return Ok(());
    }
    let word = |at: usize| u32::from_le_bytes(*legacy[SOFTWARE + at..].first_chunk().expect("within"));
    let mut behind = [0; 4];
    let length = LEGACY_BYTES + rest.len();
    let whole = word(0) == MAGIC_BEFORE && word(16) as usize == length;
    if whole {
        read(at(length), &mut behind)?;
    }
    if whole && u32::from_le_bytes(behind) == MAGIC_BEHIND {
        return read(at(LEGACY_BYTES), rest);
    }
    rest.fill(0);
    rest[..4].copy_from_slice(&X87_SSE.to_le_bytes());
    Ok(())
}

/// Makes of any bytes a state that the CPU loads without a fault.
fn make_loadable(area: &mut [u8]) {
    let mxcsr = u32::from_le_bytes(*area[MXCSR..].first_chunk().expect("within")) & MXCSR_BITS;
    area[MXCSR..MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
    if let Some(header) = area.get_mut(LEGACY_BYTES..LEGACY_BYTES + HEADER_BYTES) {
        let parts = u32::from_le_bytes(*header.first_chunk().expect("within")) & ENABLED.load(Ordering::Relaxed);
        header.fill(0);
        header[..4].copy_from_slice(&parts.to_le_bytes());
    }
}

/// Saves the state in this CPU's registers, if it is anybody's, so that it is live nowhere.
pub(super) fn release(cpu: &Cpu) {
    let owner = cpu.state_owner.replace(null());
    // SAFETY: by the rule, an owner is live here, and so has not been freed.
    if let Some(state) = unsafe { owner.as_ref() } {
        save(state);
        state.live_on.store(0, Ordering::Release);
    }
}

/// Releases the state at `state`, if this CPU still has it.
pub(super) fn release_if(cpu: &Cpu, state: usize) {
    if cpu.state_owner.get() as usize == state {
        release(cpu);
    }
}

/// Writes the registers to the state's memory. It is live on this CPU.
fn save(state: &ExtendedState) {
    debug_assert!(state.live_on.load(Ordering::Relaxed) == 1 + Cpu::current().id());
    // SAFETY: every x86_64 CPU has these registers.
    unsafe {
        state.fs_base.set(rdmsr(msr::FS_BASE));
        state.gs_base.set(rdmsr(msr::KERNEL_GS_BASE));
    }
    // The area is behind the header, in the same allocation: `Handle::allocate`.
    let area = (&raw const *state).wrapping_add(1).cast::<u8>().cast_mut();
    // SAFETY: the area is large enough for what this machine saves, aligned to 64, and ours to write by the rule.
    unsafe {
        match METHOD.load(Ordering::Relaxed) {
            XSAVEOPT => asm!("xsaveopt64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack)),
            XSAVE => asm!("xsave64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack)),
            _ => asm!("fxsave64 [{}]", in(reg) area, options(nostack)),
        }
    }
}

/// # Safety
/// `area` holds what `save` or [`Handle::new`] wrote.
unsafe fn restore(area: *const u8) {
    // SAFETY: the caller's promise; kernel code uses none of these registers.
    unsafe {
        match METHOD.load(Ordering::Relaxed) {
            FXSAVE => asm!("fxrstor64 [{}]", in(reg) area, options(nostack)),
            _ => asm!("xrstor64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack)),
        }
    }
}

/// Loads empty selectors where a program has loaded others.
///
/// # Safety
/// The user's segment bases are set after it.
unsafe fn clear_selectors() {
    // SAFETY: data selectors mean nothing in 64-bit kernel code; the kernel's GS base is out of the way, behind
    // `swapgs`, while GS is loaded. Interrupts are off.
    unsafe {
        asm!(
            "mov {a:e}, ds",
            "mov {b:e}, es",
            "or {a:e}, {b:e}",
            "mov {b:e}, fs",
            "or {a:e}, {b:e}",
            "mov {b:e}, gs",
            "or {a:e}, {b:e}",
            "jz 2f",
            "xor {a:e}, {a:e}",
            "mov ds, {a:e}",
            "mov es, {a:e}",
            "mov fs, {a:e}",
            "swapgs",
            "mov gs, {a:e}",
            "swapgs",
            "2:",
            a = out(reg) _,
            b = out(reg) _,
            options(nostack),
        );
    }
}
