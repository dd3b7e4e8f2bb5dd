//! What the user programs share: the start code, the system-call shim, printing, and the tools of the probes.
//!
//! The programs are static and `no_std`, on Linux's system-call ABI and the container calls of
//! `veridian-containers::abi`; the probes do without a heap. Owns nothing but those tools; it may call the kernel (through [`sys`]), and
//! imports `veridian-containers`. How to build: see README.md in this directory.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod check;
pub mod containers;
pub mod desk;
pub mod driver;
pub mod groups;
pub mod io;
pub mod shell;
#[expect(unsafe_code, reason = "the shim is where a program leaves what Rust can check")]
pub mod sys;
pub mod world;

pub use heapless;

use core::panic::PanicInfo;

/// Exit status of a program that panicked: what a shell shows for SIGABRT.
pub const PANIC_STATUS: i32 = 134;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    io::print(2, format_args!("{info}\n"));
    sys::exit(PANIC_STATUS)
}

/// Names the function that is the program: `fn(&Start) -> i32`, the exit status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn veridian_main(start: &$crate::sys::Start) -> i32 {
            $main(start)
        }
    };
}
