//! Terminals: what stands between a keyboard and programs (termios(3), tty(4), pty(7)).
//!
//! Owns: [`Terminal`] (settings, line discipline, foreground group, window size), the machine's console as one, and
//! pseudo-terminals. May call: `fs`'s traits, `sched` (wait queues), `task` (signals, sessions), hal's console. Called
//! by: `device` (open), `fs` (devpts), `task` (the end of a session), `virt`.
//!
//! Locks: a terminal's state; under it nothing but hal's console and, while bytes are copied, an address space. The list
//! of controlling terminals: nothing is locked under it. Nothing is woken and no signal is sent under either.

pub mod console;
mod control;
mod discipline;
pub mod pty;
mod session;
mod terminal;
mod termios;

pub use session::{Current, session_ends, terminal_of};
pub use terminal::{Terminal, WindowSize};
pub use termios::Termios;
