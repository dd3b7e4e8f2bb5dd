//! Containers as kernel objects: the OCI configuration, the lifecycle, and an engine over one trait.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
#[cfg(feature = "alloc")]
pub mod config;
#[cfg(feature = "alloc")]
pub mod engine;
mod id;
#[cfg(feature = "alloc")]
mod json;
pub mod keys;
pub mod line;
mod namespace;
mod signal;
mod status;
pub mod text;

pub use id::{ContainerId, ID_MAX};
pub use namespace::{NamespaceKind, NamespaceSet};
pub use signal::Signal;
pub use status::Status;
