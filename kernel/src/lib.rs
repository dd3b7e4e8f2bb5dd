//! # veridian-kernel: policy, not hardware
//!
//! Rooms: [`syscall`] (the table and the families), [`task`] (processes), [`sched`] (CPUs), [`mm`] (memory of
//! programs), [`fs`], [`device`] and [`tty`] (files), [`ipc`] (what processes share by number or name), [`namespace`],
//! [`cgroup`], [`security`], and [`virt`] (the platform of
//! the container engine). It calls `veridian-hal` for the machine and `veridian-containers` for what a container is.
//!
//! A user thread is an async fn; the kernel is not preempted inside itself; no lock guard lives across an await.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod boot;
pub mod cgroup;
pub mod device;
pub mod fs;
pub mod ipc;
mod log;
pub mod mm;
pub mod namespace;
pub mod net;
pub mod sched;
pub mod security;
pub mod syscall;
pub mod task;
pub mod tty;
pub mod virt;

pub use boot::main;
