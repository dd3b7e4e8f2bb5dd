//! Devices: null, zero, full, random and the terminals, by Linux's numbers.
//!
//! Owns: what stands behind a character device node, the generator of random numbers. May call: hal, `tty`, and the
//! traits of `fs`. Called by: `fs` (open), `syscall`, `mm`, `virt`.
//!
//! Locks: a generator of each CPU. Nothing is locked under it.

mod memory;
pub mod random;

use crate::{
    fs::{DeviceNumber, FileObject, FileType},
    tty,
};
use alloc::sync::Arc;

/// `/dev/null`.
pub const NULL: DeviceNumber = DeviceNumber::new(1, 3);
/// `/dev/zero`.
pub const ZERO: DeviceNumber = DeviceNumber::new(1, 5);
/// `/dev/full`.
pub const FULL: DeviceNumber = DeviceNumber::new(1, 7);
/// `/dev/random`.
pub const RANDOM: DeviceNumber = DeviceNumber::new(1, 8);
/// `/dev/urandom`.
pub const URANDOM: DeviceNumber = DeviceNumber::new(1, 9);
/// `/dev/tty`: the caller's controlling terminal.
pub const TTY: DeviceNumber = DeviceNumber::new(5, 0);
/// `/dev/console`.
pub const CONSOLE: DeviceNumber = DeviceNumber::new(5, 1);

/// Majors of character devices, and what they are called.
pub const MAJORS: [(u32, &str); 3] = [(1, "mem"), (5, "/dev/tty"), (tty::pty::MAJOR, "pts")];

/// Opens the device of a node; `None` if there is none.
pub fn open(file_type: FileType, number: DeviceNumber) -> Option<Arc<dyn FileObject>> {
    if file_type != FileType::CharacterDevice {
        return None;
    }
    match number {
        NULL => Some(Arc::new(memory::Null)),
        ZERO => Some(Arc::new(memory::Zero)),
        FULL => Some(Arc::new(memory::Full)),
        RANDOM | URANDOM => Some(Arc::new(random::Random)),
        TTY => Some(Arc::new(tty::Current)),
        CONSOLE => Some(tty::console::open()),
        _ => None,
    }
}
