//! Who a task is and what it may do.
//!
//! Owns: [`Credentials`] (user and group ids, Linux's rules for changing them) and [`Capabilities`].
//! May call: nothing of the kernel. Called by: `fs`, `task`, `syscall`, `virt`.
//!
//! No locks: credentials are values; a task replaces its own as a whole.

mod capabilities;
mod credentials;

pub use capabilities::Capabilities;
pub use credentials::{Credentials, GROUPS_MAX, SetIds};
