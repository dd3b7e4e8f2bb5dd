//! The system-call shim: the only place of the user programs with `unsafe` code.
//!
//! Owns the entry point, the system-call instruction and one typed, safe function for each call. An argument is
//! a number or something borrowed ([`Arg`]), so what the kernel may write to is what was lent to it. It calls
//! the kernel and nothing else. Numbers, flags and structures are `linux-raw-sys`'s and the container ABI's.

mod confine;
mod container;
mod file;
mod heap;
mod ipc;
mod machine;
mod memory;
mod process;
mod rights;
mod socket;
mod start;
mod wild;

pub use confine::*;
pub use container::*;
pub use file::*;
pub use ipc::*;
pub use machine::{
    FOREIGN_MACHINE, MACHINE, RETURN, VECTOR_WORDS, illegal_instruction, load_vectors, read_vectors, since_reset,
};
pub use memory::*;
pub use process::*;
pub use rights::*;
pub use socket::*;
pub use start::Start;
pub use veridian_containers::abi::Errno;
pub use wild::*;

use core::ffi::CStr;

/// What a system call gives: a value, or an error number.
pub type Result<T = ()> = core::result::Result<T, Errno>;

/// One argument of a call: a number, or the address of something that is borrowed for the time of the call.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Arg(usize);

impl Arg {
    /// The address of what the kernel reads.
    fn read<T: ?Sized>(lent: &T) -> Self {
        Self(core::ptr::from_ref(lent).cast::<u8>().addr())
    }

    /// The address of what the kernel writes.
    fn write<T: ?Sized>(lent: &mut T) -> Self {
        Self(core::ptr::from_mut(lent).cast::<u8>().expose_provenance())
    }
}

impl From<usize> for Arg {
    fn from(number: usize) -> Self {
        Self(number)
    }
}
impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self(number as usize)
    }
}
impl From<u32> for Arg {
    fn from(number: u32) -> Self {
        Self(number as usize)
    }
}
impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self(number as usize)
    }
}
/// Sign-extended, as the C compiler does for `int`.
impl From<i32> for Arg {
    fn from(number: i32) -> Self {
        Self(number as isize as usize)
    }
}
impl From<&CStr> for Arg {
    fn from(text: &CStr) -> Self {
        Self::read(text)
    }
}

/// Makes a call. The functions of this module pass only numbers and what was lent to them, and the lengths of it.
fn invoke<const N: usize>(number: u32, args: [Arg; N]) -> Result<usize> {
    let mut all = [0; 6];
    for (slot, arg) in all.iter_mut().zip(args) {
        *slot = arg.0;
    }
    // SAFETY: an address among the arguments is that of a borrow that outlives the call, mutable where the kernel
    // writes, with its true length; no other call than those of `memory` changes mappings, and each of those says
    // why that is sound.
    Errno::from_return(unsafe { machine::syscall(number as usize, all) })
}

/// A structure that is valid with every byte zero: only integers and arrays of them.
///
/// # Safety
/// All bytes zero must be a value of the type.
unsafe trait Plain: Sized {
    /// The value with every byte zero.
    fn zeroed() -> Self {
        // SAFETY: the promise of the trait.
        unsafe { core::mem::zeroed() }
    }
}

// SAFETY: integers and arrays of integers.
unsafe impl Plain for linux_raw_sys::general::stat {}
// SAFETY: integers and arrays of integers.
unsafe impl Plain for linux_raw_sys::system::new_utsname {}
// SAFETY: integers, arrays of integers and an empty array.
unsafe impl Plain for linux_raw_sys::system::sysinfo {}

/// `call!(__NR_name, a, b, c)`: the arguments become [`Arg`]s.
macro_rules! call {
    ($number:ident $(, $arg:expr)*) => {
        $crate::sys::invoke(linux_raw_sys::general::$number, [$($crate::sys::Arg::from($arg)),*])
    };
}
use call;
