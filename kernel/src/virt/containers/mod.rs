//! The platform that the container engine stands on: cgroups, namespaces, mounts and processes of this kernel.

mod cgroup;
mod confinement;
mod descriptor;
mod devices;
mod hooks;
mod mounts;
mod namespaces;
mod paths;
mod platform;
mod process;
mod program;
mod root;
mod runtime;

pub use descriptor::{container_of, descriptor_for, process_of};
pub use platform::Kernel;

/// A container of this kernel.
pub type Container = veridian_containers::engine::Container<Kernel>;
