//! # veridian-tests-qemu: Veridian in QEMU, from the host
//!
//! Owns: what a machine boots with ([`initrd::Initrd`], [`image`]), QEMU's command line and its end ([`Vm`],
//! [`Outcome`]), and the same for a [`Linux`] to compare with. Called by: `veridian-run` (behind `make run`),
//! `veridian-linux`, the benchmarks and the tests in `tests/qemu`. Calls: QEMU, and
//! reads the images that `scripts/image.sh` builds. Nothing here runs inside the guest.

pub mod arch;
mod busybox;
pub mod cpio;
pub mod image;
pub mod initrd;
mod linux;
mod outcome;
mod vm;

pub use arch::{Arch, Images, target};
pub use initrd::Initrd;
pub use linux::Linux;
pub use outcome::{Exit, Outcome, status};
pub use vm::Vm;
