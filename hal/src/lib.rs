//! # veridian-hal: the machine
//!
//! Owns: boot, physical frames, page tables, the kernel heap, traps, user mode, CPUs, timer, console, power.
//! Called by: `kernel` and `boot`. Calls: crates that describe hardware, nothing of Veridian.
//!
//! This is the only kernel crate with `unsafe` code. What it offers is safe to misuse: a [`mem::Frame`] has
//! owners, a [`mem::PageTable`] owns what it maps, user memory is plain bytes reached through checked copies
//! ([`mem::PageTable::read`]), and user mode is a call that returns a reason ([`user::UserContext::run`]).
//!
//! Interrupts are off whenever kernel code runs. They are taken in user mode (where they end
//! [`user::UserContext::run`] with [`user::Trap::Interrupt`]) and inside [`cpu::idle`]. So no lock needs to
//! save the interrupt state, and no kernel data is ever seen half changed by a handler.
#![no_std]

#[cfg(any(test, not(target_os = "none")))]
extern crate std;

extern crate alloc;

mod addr;
pub mod arch;
pub mod boot_info;
pub mod clock;
pub mod console;
pub mod cpu;
#[cfg(target_os = "none")]
mod exception_table;
pub mod mem;
pub mod panic;
pub mod power;
pub mod sync;
pub mod user;
pub mod vdso;

pub use addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr, UserAddr};
pub use boot_info::BootInfo;
