//! Control groups (cgroup v2): the tree of groups, who is in them, and what each may take.
//!
//! Owns: [`Cgroup`], with its controllers [`memory`] and [`pids`]. A limit is charged where the resource is
//! taken: a frame when it is given out, a task when it is made. Limits may change while they are in use. May call:
//! hal's frames, `sched`; a group is killed through `task`. Called by: `mm`, `fs`, `task`, `virt`.
//!
//! Lock order: the hierarchy (one lock for the shape of the tree), then a group's list of tasks. Charges take no lock:
//! a group's counter first, then its parent's.

mod controllers;
pub mod devices;
mod freezer;
mod members;
pub mod memory;
mod migrate;
pub mod objects;
mod owners;
pub mod pids;
mod setting;
mod tree;
#[cfg(feature = "containers")]
mod update;

pub use controllers::Controllers;
pub use members::{Admission, Presence};
pub use memory::{KernelCharge, MemoryGroup};
pub use objects::{ObjectCharge, ObjectPool};
pub use pids::PidsGroup;
pub use setting::{Change, CpuMax};
pub use tree::Cgroup;
