//! Seccomp profiles: which system calls a container may make, as the programs that decide it.
//!
//! Owns the instructions of classic BPF ([`bpf`]), the way from a configuration's rules to a program ([`compile`]), and
//! the profile of a configuration that says nothing ([`default_profile`]). Pure: of the kernel it knows what
//! [`Machine`] tells. Knows the configuration's model, nothing of the engine.

#[cfg(feature = "alloc")]
mod assembler;
pub mod bpf;
#[cfg(feature = "alloc")]
mod compile;
#[cfg(feature = "alloc")]
mod default;
#[cfg(all(test, feature = "alloc"))]
mod tests;

#[cfg(feature = "alloc")]
pub use compile::{Machine, compile};
#[cfg(feature = "alloc")]
pub use default::{DEFAULT_CONDITIONS, default_profile};
