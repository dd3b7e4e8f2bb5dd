//! Scheduling: which task runs on which CPU, and for how long; sleeping until a time or an event.
//!
//! Owns: [`Task`] (a future that some CPU polls), the tree of run queues with its [`Group`]s, the timers,
//! [`WaitQueue`]. May call: hal. Called by: everything that waits; `cgroup` sets what groups get. The kernel is not
//! preempted inside itself: a task runs until it awaits, and the loop of a user thread asks [`slice_is_over`] each time
//! it leaves user mode.
//!
//! Lock order: a task's future, then (never together) the tree or a timer list. Nothing is woken, and no task or group
//! dropped, under these locks.

mod account;
mod bandwidth;
mod control;
mod executor;
mod group;
mod park;
mod queue;
mod schedule;
mod stat;
mod task;
mod timer;
mod tree;
#[cfg(test)]
mod tree_tests;
mod wait_queue;
mod weight;

pub use account::{CpuTimes, Load, cpu_times, keep_load_average, load_average};
pub use bandwidth::Quota;
pub use executor::{barrier, in_user_mode, run, slice_is_over, spawn, yield_now};
pub use group::Group;
pub use schedule::{Left, Schedule};
pub use stat::{CpuStat, Times};
pub use task::{Class, Policy, Task};
pub use timer::{Sleep, sleep_until};
pub use tree::{ALL_CPUS, CPU_WEIGHT_DEFAULT, CpuMask};
pub use wait_queue::WaitQueue;
