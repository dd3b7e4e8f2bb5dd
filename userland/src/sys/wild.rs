//! What no proper program does: touch addresses that are not its own, and hand them to system calls.

use core::ffi::CStr;
use linux_raw_sys::general as linux;
use veridian_containers::abi::Call;

use super::{Arg, Errno, Region, Result, machine};

/// Reads a byte, wherever.
///
/// # Safety
/// The address is not that of memory Rust is using.
pub(super) unsafe fn peek(address: usize) -> u8 {
    // SAFETY: volatile, so it is done as written; if it is not mapped, the kernel ends the process.
    unsafe { core::ptr::with_exposed_provenance::<u8>(address).read_volatile() }
}

/// Writes a byte, wherever.
///
/// # Safety
/// The address is not that of memory Rust is using.
pub(super) unsafe fn poke(address: usize, value: u8) {
    // SAFETY: volatile, so it is done as written; if it is not writable, the kernel ends the process.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(value) }
}

/// Calls what is at an address: a [`RETURN`](super::RETURN) instruction, or nothing executable.
pub(super) fn execute(address: usize) {
    // SAFETY: the region holds code that only returns; if it is not executable, the kernel ends the process.
    let code: extern "C" fn() = unsafe { core::mem::transmute(core::ptr::with_exposed_provenance::<()>(address)) };
    code();
}

/// An address where no program has memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wild {
    /// Null.
    Null,
    /// In the first page, never mapped.
    Low,
    /// The first address past what user mode can have, on any architecture.
    Noncanonical,
    /// In the half of the kernel.
    Kernel,
    /// The last bytes of the address space: what is longer wraps around.
    Last,
}

impl Wild {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Null, Self::Low, Self::Noncanonical, Self::Kernel, Self::Last];

    /// The address.
    pub fn address(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Low => 0x10,
            Self::Noncanonical => 0x0100_0000_0000_0000,
            Self::Kernel => 0xffff_ffff_8020_0000,
            Self::Last => usize::MAX - 2,
        }
    }
    /// Reads there: SIGSEGV.
    pub fn read(self) -> u8 {
        // SAFETY: no memory of Rust is there.
        unsafe { peek(self.address()) }
    }
    /// Writes there: SIGSEGV.
    pub fn write(self) {
        // SAFETY: no memory of Rust is there.
        unsafe { poke(self.address(), 1) }
    }
    /// Jumps there: SIGSEGV.
    pub fn execute(self) {
        execute(self.address());
    }
}

/// Writes to the program's own code: SIGSEGV.
pub fn write_own_text() {
    // The function's own first byte is written with what is there already: if it worked, nothing would change.
    let address = write_own_text as fn() as usize;
    // SAFETY: reads code, which is mapped; writes back what it holds.
    unsafe { poke(address, peek(address)) };
}

/// Writes to the program's own constants: SIGSEGV.
pub fn write_own_constant() {
    static CONSTANT: [u8; 16] = *b"never written to";
    let address = CONSTANT.as_ptr().expose_provenance();
    // SAFETY: writes back what is there already.
    unsafe { poke(address, peek(address)) };
}

/// Uses the stack without end: SIGSEGV when it is used up.
#[expect(unconditional_recursion, reason = "that is what it is for")]
pub fn overflow_stack(depth: usize) -> usize {
    let block = [depth as u8; 1024];
    overflow_stack(depth + 1) + usize::from(core::hint::black_box(&block)[depth % 1024])
}

/// One argument of a [`raw_call`].
#[derive(Clone, Copy)]
pub enum RawArg<'a> {
    /// A number.
    Number(i64),
    /// A string.
    Text(&'a CStr),
    /// Where no memory is.
    Wild(Wild),
    /// Byte `.1` of a region, mapped or not.
    Region(&'a Region, usize),
}

/// Calls whose arguments can change mappings, replace the stack, or name code; [`raw_call`] refuses them.
const MEMORY_CALLS: [u32; 9] = [
    linux::__NR_mmap,
    linux::__NR_munmap,
    linux::__NR_mremap,
    linux::__NR_mprotect,
    linux::__NR_brk,
    linux::__NR_clone,
    linux::__NR_clone3,
    linux::__NR_process_vm_writev,
    linux::__NR_madvise,
];

/// A system call with arguments as they are. EINVAL, without a call, for those that change mappings.
pub fn raw_call(number: u32, args: &[RawArg<'_>]) -> Result<usize> {
    if MEMORY_CALLS.contains(&number) {
        return Err(Errno::EINVAL);
    }
    let mut all = [0; 6];
    for (slot, arg) in all.iter_mut().zip(args) {
        *slot = match *arg {
            RawArg::Number(number) => number as usize,
            RawArg::Text(text) => Arg::read(text).0,
            RawArg::Wild(wild) => wild.address(),
            RawArg::Region(region, offset) => region.address(offset),
        };
    }
    // SAFETY: memory that the kernel can write through these arguments is a `Region` or none of this program's; a
    // number here is small (a descriptor, a length, flags), and strings are passed where the kernel reads.
    Errno::from_return(unsafe { machine::syscall(number as usize, all) })
}

/// As [`raw_call`], for a container call.
pub fn raw_container_call(which: Call, args: &[RawArg<'_>]) -> Result<usize> {
    raw_call(which.number() as u32, args)
}

/// Makes a call with any words at all. The caller's memory may be anything afterwards: only for a child that is to be
/// thrown away.
pub fn any_call(number: usize, words: [usize; 6]) -> isize {
    // SAFETY: none that Rust could rely on; whoever calls this has a process for it that nobody else depends on, and
    // which says no more than how far it came, through memory that is shared by numbers alone.
    unsafe { machine::syscall(number, words) }
}
