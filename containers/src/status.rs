//! The states of a container, as the OCI runtime specification names them.

use core::fmt;

use crate::abi::Errno;

/// State of a container. `paused` is the addition that runc, crun and youki make to the specification's four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Status {
    /// It is being built; it has an id and nothing else.
    Creating = 0,
    /// It is built, and its process is held before its first instruction.
    Created = 1,
    /// Its process runs.
    Running = 2,
    /// Its processes are frozen.
    Paused = 3,
    /// Its last process has ended.
    Stopped = 4,
}

impl Status {
    /// The word of the OCI state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl From<Status> for u32 {
    fn from(status: Status) -> Self {
        status as Self
    }
}

impl TryFrom<u32> for Status {
    type Error = Errno;

    /// EINVAL for a number that is no state.
    fn try_from(number: u32) -> Result<Self, Errno> {
        Ok(match number {
            0 => Self::Creating,
            1 => Self::Created,
            2 => Self::Running,
            3 => Self::Paused,
            4 => Self::Stopped,
            _ => return Err(Errno::EINVAL),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_back() {
        for number in 0..5 {
            assert_eq!(u32::from(Status::try_from(number).unwrap()), number);
        }
        assert_eq!(Status::try_from(5), Err(Errno::EINVAL));
    }
}
