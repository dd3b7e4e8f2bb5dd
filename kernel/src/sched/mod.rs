//! Scheduling: an executor on each CPU, a fair queue, sleeping until a time or an event.
//!
//! Owns: [`Task`] (a future that some CPU polls), the run queues, the timers, [`WaitQueue`]. May call: hal. Called
//! by: everything that waits. The kernel is not preempted inside itself: a task runs until it awaits, and the
//! loop of a user thread asks [`slice_is_over`] each time it leaves user mode.
//!
//! Lock order: a task's future, then (never together) a queue or a timer list. Nothing is woken under these locks.

mod executor;
mod queue;
mod timer;
mod wait_queue;

pub use executor::{run, slice_is_over, spawn, yield_now};
pub use timer::{Sleep, sleep_until};
pub use wait_queue::WaitQueue;
