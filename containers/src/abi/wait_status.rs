//! How a process ended, and the encoding of it that wait(2) reports.

use core::fmt;

use crate::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitStatus {
    /// It called exit with this status (its low eight bits, as exit(2) says).
    Exited(u8),
    /// A signal ended it. No core is ever written here, so the core bit is never set.
    Signaled(Signal),
}

impl WaitStatus {
    /// The `wstatus` of wait(2): status in bits 8 to 15, or the signal in bits 0 to 6.
    #[must_use]
    pub const fn encode(self) -> i32 {
        match self {
            Self::Exited(status) => (status as i32) << 8,
            Self::Signaled(signal) => signal.number() as i32,
        }
    }

    /// Reads a `wstatus` of an ended process; `None` for stopped, continued and malformed ones. A core bit is
    /// ignored.
    #[must_use]
    pub const fn decode(wstatus: i32) -> Option<Self> {
        match wstatus {
            0..=0xffff if wstatus & 0xff == 0 => Some(Self::Exited((wstatus >> 8) as u8)),
            0..=0xff => match Signal::new((wstatus & 0x7f) as u32) {
                Some(signal) => Some(Self::Signaled(signal)),
                None => None,
            },
            _ => None,
        }
    }

    /// The status by the convention of shells: the exit status, or 128 and the signal's number.
    #[must_use]
    pub const fn shell_status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Signaled(signal) => 128 + signal.number() as u8,
        }
    }
}

impl fmt::Display for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(signal) => write!(f, "killed by {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_survives_encoding() {
        for status in 0..=255 {
            let end = WaitStatus::Exited(status);
            assert_eq!(WaitStatus::decode(end.encode()), Some(end));
        }
        for signal in (1..=64).filter_map(Signal::new) {
            let end = WaitStatus::Signaled(signal);
            assert_eq!(WaitStatus::decode(end.encode()), Some(end));
            assert_eq!(WaitStatus::decode(end.encode() | 0x80), Some(end));
        }
    }

    #[test]
    fn what_is_no_end_decodes_to_none() {
        for wstatus in [0x137f, 0xffff, -1, 0x10000, 0x80, 0x7f, 0x0101] {
            assert_eq!(WaitStatus::decode(wstatus), None, "{wstatus:#x}");
        }
    }
}
