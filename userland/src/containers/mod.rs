//! What `init` and `vctl` share: bundles, containers, how a failure is told; and the verbs of `vctl`.
//!
//! Owns: reading a bundle ([`bundle`]), a container by its descriptor with the words for what can go wrong
//! ([`container`]), what a command line says ([`words`]), the verbs ([`verbs`]). Nothing is kept in files: the kernel has
//! the containers. A function that fails gives the words to print.

pub mod bundle;
pub mod container;
pub mod file;
mod process;
pub mod relay;
mod table;
pub mod verbs;
pub mod words;
