//! Containers as kernel objects: the OCI configuration, the lifecycle, and an engine over one trait.
//!
//! This crate knows no kernel. One that embeds it implements [`Platform`](engine::Platform), operations on objects that it
//! has anyway (cgroups, namespaces, mounts, processes), keeps one [`Engine`](engine::Engine), and answers its container
//! system calls by it; docs/porting.md says how:
//!
#![cfg_attr(feature = "mock", doc = "```")]
#![cfg_attr(not(feature = "mock"), doc = "```ignore")]
//! # use veridian_containers::{abi::{CreateFlags, DeleteFlags, WaitStatus}, config::Config, engine::*, mock::Mock};
//! # let kernel = Mock::default();
//! let engine = Engine::new(kernel, [0x5eed, 0xf00d]);
//! let config = Config::parse(b"process_args=[\"/bin/hello\"]\nnamespace=pid\n", &[("CONTAINER_ID", "web")])?;
//! let request = CreateRequest {
//!     id: "web".parse()?,
//!     config,
//!     flags: CreateFlags::empty(),
//!     bundle: &(),
//!     bundle_path: "/srv/web".into(),
//!     caller: &None,
//! };
//! // A kernel with an executor awaits these instead.
//! let container = drive(engine.create(request), || {})?;
//! drive(engine.start(&container), || {})?;
//! # engine.platform().end(container.key(), WaitStatus::Exited(0));
//! // The kernel's exit path reports the end; whoever waits learns of it.
//! # let report = || for (key, exit) in engine.platform().take_exits() { engine.exited(key, exit) };
//! let exit = drive(container.stopped(), report);
//! assert_eq!(exit.status, WaitStatus::Exited(0));
//! drive(engine.delete(&container, DeleteFlags::empty()), || {})?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! What it owns, from the bottom: [`abi`] (what crosses the system-call boundary), [`line`](mod@line), [`keys`] and
//! [`text`] (the language without a heap), [`config`] (the checked configuration), [`engine`] (every container).
//! Without the feature `alloc` the last two are gone, and what is left is what user programs build on; a kernel
//! built so answers ENOSYS to the container calls. The feature `mock` adds a platform in memory for tests.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

/// The example of the page for embedders.
#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../../docs/porting.md")]
struct Porting;

pub mod abi;
#[cfg(feature = "alloc")]
pub mod config;
#[cfg(feature = "alloc")]
pub mod engine;
#[cfg(feature = "alloc")]
pub mod features;
mod id;
#[cfg(feature = "alloc")]
mod json;
pub mod keys;
pub mod line;
#[cfg(all(feature = "alloc", any(test, feature = "mock")))]
pub mod mock;
mod namespace;
pub mod seccomp;
mod signal;
mod status;
pub mod text;

pub use id::{ContainerId, ID_MAX};
pub use namespace::{NamespaceKind, NamespaceSet};
pub use signal::Signal;
pub use status::Status;
