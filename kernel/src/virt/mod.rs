//! Virtual machines of the kernel's own making: containers.
//!
//! Owns: the container engine's [`containers::Kernel`] platform and the container's descriptor. May call: every room.
//! Called by: `syscall::container`, `boot`.

#[cfg(feature = "containers")]
pub mod containers;
