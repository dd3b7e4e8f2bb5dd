//! Flag words of the container calls. A bit that is not defined here is refused with EINVAL.

use super::Errno;
use bitflags::bitflags;

bitflags! {
    /// Flags of `container_create`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CreateFlags: u32 {
        /// The last close of the container's descriptors kills the container's process with SIGKILL.
        const KILL_ON_CLOSE = 1 << 0;
    }

    /// Flags of `container_delete`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct DeleteFlags: u32 {
        /// Kills a container that is not stopped, and waits for its end, before it deletes it.
        const FORCE = 1 << 0;
    }

    /// What else `container_wait` has to say about the end of a container.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ExitFlags: u32 {
        /// The kernel killed it because its memory limit was reached.
        const OOM_KILLED = 1 << 0;
    }
}

macro_rules! from_user {
    ($($flags:ident)*) => {$(
        impl TryFrom<u32> for $flags {
            type Error = Errno;

            /// EINVAL if a bit is set that is not defined.
            fn try_from(bits: u32) -> Result<Self, Errno> {
                Self::from_bits(bits).ok_or(Errno::EINVAL)
            }
        }
    )*};
}

from_user!(CreateFlags DeleteFlags);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undefined_bit_is_einval() {
        assert_eq!(CreateFlags::try_from(1), Ok(CreateFlags::KILL_ON_CLOSE));
        assert_eq!(CreateFlags::try_from(3), Err(Errno::EINVAL));
        assert_eq!(DeleteFlags::try_from(1 << 31), Err(Errno::EINVAL));
    }
}
