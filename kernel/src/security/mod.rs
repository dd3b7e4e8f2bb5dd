//! Who a task is and what it may do.
//!
//! Owns: [`Credentials`] (user and group ids, five sets of [`Capabilities`], [`SecureBits`], the user namespace that
//! they count in) and Linux's rules for checking and changing them; who may make a user namespace and map its ids; the
//! [`Confinement`] of a process and [`seccomp`] filters. May call: `namespace::user`, `cgroup` (charges). Called by: `fs`, `task`, `syscall`, `virt`.
//!
//! Ids are the machine's (as the first user namespace sees them) everywhere in the kernel. They are converted where they
//! come from a program or go to one: [`UserNamespace::user`](crate::namespace::UserNamespace::user) and
//! [`shown_user`](crate::namespace::UserNamespace::shown_user).
//!
//! A check asks for a capability in the user namespace that owns what is acted on
//! ([`Credentials::capable_in`]); for what belongs to the machine, in the first one ([`Credentials::capable`]).
//!
//! Credentials are values; a task replaces its own as a whole. A confinement has a lock for each of its parts, under
//! which nothing else is locked.

mod access;
mod capabilities;
mod confinement;
mod credentials;
mod exec;
mod groups;
mod privileges;
mod rlimits;
pub mod seccomp;
mod securebits;
mod user_namespaces;
mod users;

pub use capabilities::Capabilities;
pub use confinement::{Bounds, Confinement, OomScoreAdj};
pub use credentials::Credentials;
pub use exec::{Executed, SetIds};
pub use groups::Groups;
pub use privileges::CapabilitySets;
pub use rlimits::{Rlimit, Rlimits};
pub use seccomp::Seccomp;
pub use securebits::SecureBits;
pub use user_namespaces::{write_map, write_set_groups};
pub use users::UserSignal;
