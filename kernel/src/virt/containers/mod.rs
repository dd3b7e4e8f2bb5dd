//! The platform that the container engine stands on: cgroups, namespaces, mounts and processes of this kernel.

mod cgroup;
mod confinement;
mod descriptor;
mod devices;
mod hooks;
mod mounts;
mod namespaces;
mod paths;
mod permission;
mod platform;
mod process;
mod program;
mod root;
mod runtime;
mod terminal;

pub use descriptor::{container_of, descriptor_for, process_of, take_terminal};
pub use permission::Domain;
pub use platform::Kernel;
pub use process::Guest;

/// A container of this kernel.
pub type Container = veridian_containers::engine::Container<Kernel>;
