//! The architectures. One of them is compiled in, under the names that the rest of hal uses; `hosted` is the
//! same interface on the development machine, so that the kernel above is tested and fuzzed there.
//!
//! Each architecture provides:
//!
//! | name | what it does |
//! | --- | --- |
//! | `USER_END` | first address behind the user half; user addresses are below it |
//! | `phys_to_virt(PhysAddr) -> *mut u8` | where the kernel sees physical memory |
//! | `Format` | [`crate::mem::PageFormat`]: the page-table entry |
//! | `activate(&Arc<PageTable>)` | loads a table's user half on this CPU, if it is not loaded; keeps the `Arc` while it is |
//! | `deactivate()` | loads an empty user half and drops that `Arc` |
//! | `flush_pages(&PageTable, first, count)` | on return no CPU has an old translation of these pages; never allocates |
//! | `published_entry(&PageTable, page)` | an absent entry became present (a fence where the architecture wants one) |
//! | `copy_from_user(*mut u8, usize, len)`, `copy_to_user(usize, *const u8, len)` | bytes *not* copied; a fault is caught by the exception table; the range is in the user half |
//! | `UserContext` | registers, FP and vector state of a user thread: see below |
//! | `cpu_id`, `cpu_count`, `start_cpus`, `send_kick`, `take_events`, `idle`, `relax` | see [`crate::cpu`] |
//! | `now_ns`, `ticks`, `ticks_to_ns`, `set_deadline`, `boot_time_unix` | see [`crate::clock`] |
//! | `hardware_random`, `describe_cpu`, `hardware_capabilities` | see [`crate::cpu`] |
//! | `console_write(&[u8])`, `console_read() -> Option<u8>` | the serial port |
//! | `exit(u8) -> !`, `halt_or_exit_after_panic() -> !` | see [`crate::power`] |
//! | `backtrace() -> impl Iterator<Item = usize>` | return addresses of the kernel's own frames, bounded, innermost first |
//! | `ELF_MACHINE: u16` | what the ELF header of its programs says (e_machine) |
//! | `vdso() -> Vdso`, `counter_scale() -> [u64; 2]` | code for programs, and what it reckons with: see [`crate::vdso`] |
//! | `LEAST_SIGNAL_STACK: usize` | the smallest alternate stack in bytes (`MINSIGSTKSZ`) |
//! | `DESCRIPTION: &str` | the name that uname(2) gives as machine |
//!
//! `UserContext` is `Send + Clone + Debug` and has:
//! `new(entry: UserAddr, stack: UserAddr)` (all other registers zero, FP state as after reset),
//! `run(&mut self, &Arc<PageTable>) -> Trap`, `syscall_number() -> usize`, `syscall_args() -> [usize; 6]`,
//! `set_syscall_result(isize)`, `restart_syscall()` (the system call just trapped is issued again by the next
//! `run`, with its original arguments), and getters and setters `instruction_pointer`, `stack_pointer`,
//! `thread_pointer` (`UserAddr`); `push_handler` and `pop_handler`, which make and take back the frame of a signal's
//! handler in Linux's layout (`struct rt_sigframe`).
//!
//! `handler_frame_bytes() -> usize` is the most that `push_handler` takes of a stack.
//!
//! The entry code, when the machine is set up, calls the function named by [`crate::entry!`].

#[cfg(any(test, all(target_os = "none", any(target_arch = "aarch64", target_arch = "riscv64"))))]
pub mod device_tree;

#[cfg(all(target_os = "none", target_arch = "x86_64"))]
#[path = "x86_64/mod.rs"]
mod current;

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
#[path = "aarch64/mod.rs"]
mod current;

#[cfg(all(target_os = "none", target_arch = "riscv64"))]
#[path = "riscv64/mod.rs"]
mod current;

#[cfg(not(target_os = "none"))]
pub mod hosted;
#[cfg(not(target_os = "none"))]
use hosted as current;

pub use current::UserContext;
pub use current::{DESCRIPTION, ELF_MACHINE, LEAST_SIGNAL_STACK, USER_END};
pub(crate) use current::{
    Format, activate, backtrace, boot_time_unix, console_read, console_write, copy_from_user, copy_to_user,
    counter_scale, cpu_count, cpu_id, deactivate, describe_cpu, exit, flush_pages, halt_or_exit_after_panic,
    hardware_capabilities, hardware_random, idle, now_ns, phys_to_virt, published_entry, relax, send_kick,
    set_deadline, start_cpus, take_events, ticks, ticks_to_ns, vdso,
};

/// Names the kernel's main function, `fn(veridian_hal::BootInfo) -> !`, which CPU 0 runs once the machine is set up.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: the one symbol of this name: hal's entry code calls it with this signature.
        #[unsafe(no_mangle)]
        fn veridian_main(boot: $crate::BootInfo) -> ! {
            let main: fn($crate::BootInfo) -> ! = $main;
            main(boot)
        }
    };
}

/// Calls the function that [`entry!`] named.
#[cfg(target_os = "none")]
pub(crate) fn call_main(boot: crate::BootInfo) -> ! {
    unsafe extern "Rust" {
        fn veridian_main(boot: crate::BootInfo) -> !;
    }
    // SAFETY: `entry!` defines it with this very signature.
    unsafe { veridian_main(boot) }
}
