//! Numbers of the container calls.

/// First number of the container calls, far above Linux's own.
const FIRST: usize = 0x800;

macro_rules! calls {
    ($($(#[$doc:meta])* $variant:ident = $offset:literal, $name:literal;)*) => {
        /// A container call. Its number is the same on every architecture; numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Call {
            $($(#[$doc])* $variant = FIRST + $offset,)*
        }

        impl Call {
            /// Every call, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The call of a number, `None` if the number is none of this range.
            #[must_use]
            pub const fn from_number(number: usize) -> Option<Self> {
                match number.wrapping_sub(FIRST) {
                    $($offset => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name as documentation and traces write it, `"container_create"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("container_", $name),)*
                }
            }
        }
    };
}

calls! {
    /// `(args: *mut CreateArgs) -> fd`. Builds everything; the process is held before its first instruction.
    Create = 0x0, "create";
    /// `(path: *const u8, path_len: usize) -> fd`. A descriptor of the container with that id; ENOENT.
    Open = 0x1, "open";
    /// `(fd) -> 0`. Lets the process run. EINVAL unless `created`.
    Start = 0x2, "start";
    /// `(fd, signal: u32, flags: u32 = 0) -> 0`. Signals the container's process. ESRCH unless `created` or `running`.
    Kill = 0x3, "kill";
    /// `(fd) -> 0`. Freezes its processes. EINVAL unless `running`.
    Pause = 0x4, "pause";
    /// `(fd) -> 0`. Lets them run again. EINVAL unless `paused`.
    Resume = 0x5, "resume";
    /// `(fd, args: *mut DocumentArgs) -> pidfd`. Runs a further process in it. EINVAL unless `running`.
    Exec = 0x6, "exec";
    /// `(fd, args: *mut DocumentArgs) -> 0`. Sets new limits, all or none.
    Update = 0x7, "update";
    /// `(fd, result: *mut WaitResult, flags: u32 = 0) -> 0`. Waits until `stopped`.
    Wait = 0x8, "wait";
    /// `(fd, buffer: *mut u8, len: usize) -> length`. OCI state as JSON. A `len` of 0 asks for the length; a
    /// buffer that is too small is ERANGE.
    State = 0x9, "state";
    /// `(fd, stats: *mut Stats) -> 0`. What it uses, and its limits.
    Stats = 0xa, "stats";
    /// `(fd, flags: u32 of DeleteFlags) -> 0`. Gives everything back. EBUSY unless `stopped` or forced.
    Delete = 0xb, "delete";
    /// `(cookie: usize, entry: *mut ListEntry) -> next cookie`, 0 past the last. Start with cookie 0.
    List = 0xc, "list";
    /// `(buffer: *mut u8, len: usize) -> length`. What this kernel enforces, as OCI features JSON. `len` as in State.
    Features = 0xd, "features";
}

impl Call {
    /// The number in the system-call register.
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_from_0x800_and_map_back() {
        for (offset, &call) in Call::ALL.iter().enumerate() {
            assert_eq!(call.number(), 0x800 + offset);
            assert_eq!(Call::from_number(call.number()), Some(call));
            assert!(call.name().starts_with("container_"));
        }
        assert_eq!(Call::from_number(0x7ff), None);
        assert_eq!(Call::from_number(0x800 + Call::ALL.len()), None);
    }
}
