//! Argument structures of the container calls, and the rules by which they grow.
//!
//! Each begins with its own size in bytes, as the program that fills it knows it. Fields are only ever appended.
//! A program that is newer than the kernel may pass more than the kernel knows as long as the rest is zero (E2BIG
//! otherwise); one that is older passes less, and what it does not know counts as zero. The rules are those of
//! clone3(2) and openat2(2). Addresses are `u64`; there is no padding that is not named.

use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Errno, ExitFlags};
use crate::id::ID_MAX;

/// The most bytes a structure may claim: far more than any has. A larger `size` is E2BIG.
pub const ARGS_SIZE_MAX: usize = 256;

/// A structure that starts with `size: u64` and grows at its end.
pub trait Args: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {
    /// Size of the structure's first version: less than this is EINVAL.
    const SIZE_MIN: usize;
}

/// Arguments of `container_create`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CreateArgs {
    /// Size of this structure in bytes.
    pub size: u64,
    /// Address of the configuration text, UTF-8.
    pub config: u64,
    /// Length of the configuration text in bytes.
    pub config_len: u64,
    /// Address of the id, not NUL-terminated.
    pub id: u64,
    /// Length of the id in bytes.
    pub id_len: u64,
    /// Descriptor of the bundle directory, or `AT_FDCWD` (-100).
    pub bundle_fd: i32,
    /// [`CreateFlags`](super::CreateFlags).
    pub flags: u32,
    /// Address of a buffer for the message of an error; 0 for none.
    pub message: u64,
    /// Size of that buffer in bytes.
    pub message_size: u64,
    /// Written by the kernel: bytes of the message in the buffer, cut at its size; 0 when there is no error. Not
    /// NUL-terminated.
    pub message_len: u64,
    /// Written by the kernel if the process has a terminal of its own: the descriptor of its master side. A configuration
    /// with a terminal is EINVAL for a program that does not know this field.
    pub terminal_fd: i64,
}

impl CreateArgs {
    /// Where in the structure the kernel writes [`message_len`](Self::message_len).
    pub const MESSAGE_LEN_OFFSET: usize = offset_of!(Self, message_len);
    /// Where in the structure the kernel writes [`terminal_fd`](Self::terminal_fd).
    pub const TERMINAL_FD_OFFSET: usize = offset_of!(Self, terminal_fd);
}

/// What `container_wait` writes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WaitResult {
    /// Size of this structure in bytes; the kernel writes back how many bytes it filled.
    pub size: u64,
    /// How the container's process ended, in the encoding of wait(2): see [`WaitStatus`](super::WaitStatus).
    pub status: i32,
    /// [`ExitFlags`].
    pub flags: u32,
    /// The most bytes of memory that were charged to the container at one time.
    pub memory_peak: u64,
    /// The most tasks (threads) that the container had at one time.
    pub tasks_peak: u64,
    /// Nanoseconds of processor time that it had in user mode.
    pub user_ns: u64,
    /// Nanoseconds of processor time that the kernel spent for it.
    pub system_ns: u64,
}

impl WaitResult {
    /// The flags; bits that this version does not know are dropped.
    #[must_use]
    pub const fn exit_flags(&self) -> ExitFlags {
        ExitFlags::from_bits_truncate(self.flags)
    }
}

/// Arguments of `container_exec` and `container_update`: a document, and room for the words of an error.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DocumentArgs {
    /// Size of this structure in bytes.
    pub size: u64,
    /// Address of the document, UTF-8.
    pub document: u64,
    /// Length of the document in bytes.
    pub document_len: u64,
    /// Address of a buffer for the message of an error; 0 for none.
    pub message: u64,
    /// Size of that buffer in bytes.
    pub message_size: u64,
    /// Written by the kernel: as in [`CreateArgs`].
    pub message_len: u64,
    /// Written by `container_exec`: as in [`CreateArgs`].
    pub terminal_fd: i64,
}

impl DocumentArgs {
    /// Where in the structure the kernel writes [`message_len`](Self::message_len).
    pub const MESSAGE_LEN_OFFSET: usize = offset_of!(Self, message_len);
    /// Where in the structure the kernel writes [`terminal_fd`](Self::terminal_fd).
    pub const TERMINAL_FD_OFFSET: usize = offset_of!(Self, terminal_fd);
}

/// What `container_stats` writes. A limit of [`Stats::UNLIMITED`] is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stats {
    /// Size of this structure in bytes; the kernel writes back how many bytes it filled.
    pub size: u64,
    /// Bytes of memory charged now.
    pub memory_current: u64,
    /// The most bytes charged at one time.
    pub memory_peak: u64,
    /// The limit in bytes.
    pub memory_limit: u64,
    /// How often memory was taken back though it was below `memory.low`.
    pub memory_low_events: u64,
    /// How often it was slowed down above `memory.high`.
    pub memory_high_events: u64,
    /// How often a charge met the limit.
    pub memory_max_events: u64,
    /// How often there was nothing left to take back at the limit.
    pub memory_oom_events: u64,
    /// How many processes were killed for memory.
    pub memory_oom_kills: u64,
    /// Nanoseconds of processor time.
    pub cpu_usage_ns: u64,
    /// Of it in user mode.
    pub cpu_user_ns: u64,
    /// Of it in the kernel.
    pub cpu_system_ns: u64,
    /// Periods of the quota that have passed.
    pub cpu_periods: u64,
    /// Periods in which the quota was used up.
    pub cpu_throttled_periods: u64,
    /// Nanoseconds for which it was held back.
    pub cpu_throttled_ns: u64,
    /// Tasks now.
    pub pids_current: u64,
    /// The most tasks at one time.
    pub pids_peak: u64,
    /// The limit on tasks.
    pub pids_limit: u64,
    /// How often a task was refused at the limit.
    pub pids_max_events: u64,
}

impl Stats {
    /// No limit.
    pub const UNLIMITED: u64 = u64::MAX;
}

/// One container, as `container_list` writes it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ListEntry {
    /// Size of this structure in bytes; the kernel writes back how many bytes it filled.
    pub size: u64,
    /// [`Status`](crate::Status).
    pub status: u32,
    /// Process id as the caller sees it; 0 when there is no process.
    pub pid: u32,
    /// Length of the id in bytes.
    pub id_len: u64,
    /// The id; bytes past its length are zero.
    pub id: [u8; ID_MAX],
}

impl Default for ListEntry {
    fn default() -> Self {
        Self { size: 0, status: 0, pid: 0, id_len: 0, id: [0; ID_MAX] }
    }
}

impl Args for CreateArgs {
    const SIZE_MIN: usize = 72;
}
impl Args for WaitResult {
    const SIZE_MIN: usize = 32;
}
impl Args for DocumentArgs {
    const SIZE_MIN: usize = 48;
}
impl Args for Stats {
    const SIZE_MIN: usize = 152;
}
impl Args for ListEntry {
    const SIZE_MIN: usize = 88;
}

/// Checks the size that a program claims for a `T`: how many bytes to fetch before [`read_args`].
///
/// # Errors
/// EINVAL below [`Args::SIZE_MIN`], E2BIG above [`ARGS_SIZE_MAX`].
pub const fn args_size<T: Args>(claimed: u64) -> Result<usize, Errno> {
    if claimed < T::SIZE_MIN as u64 {
        Err(Errno::EINVAL)
    } else if claimed > ARGS_SIZE_MAX as u64 {
        Err(Errno::E2BIG)
    } else {
        Ok(claimed as usize)
    }
}

/// Reads a `T` from the bytes that a program passed, exactly as many as it claimed.
///
/// The `size` inside is what the program's memory held when it was fetched; the length of `bytes` is what counts.
///
/// # Errors
/// EINVAL or E2BIG for a length that [`args_size`] refuses, E2BIG if what this version does not know is not zero.
pub fn read_args<T: Args>(bytes: &[u8]) -> Result<T, Errno> {
    args_size::<T>(bytes.len() as u64)?;
    let known = bytes.len().min(size_of::<T>());
    if bytes[known..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    let mut args = T::new_zeroed();
    args.as_mut_bytes()[..known].copy_from_slice(&bytes[..known]);
    Ok(args)
}

/// How many bytes of a `T` to write for a program that claims room for `claimed`: never more than either knows.
///
/// # Errors
/// EINVAL below [`Args::SIZE_MIN`].
pub const fn written_size<T: Args>(claimed: u64) -> Result<usize, Errno> {
    if claimed < T::SIZE_MIN as u64 {
        Err(Errno::EINVAL)
    } else if claimed > size_of::<T>() as u64 {
        Ok(size_of::<T>())
    } else {
        Ok(claimed as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_offsets_are_the_documented_ones() {
        assert_eq!(size_of::<CreateArgs>(), 80);
        assert_eq!(offset_of!(CreateArgs, config), 8);
        assert_eq!(offset_of!(CreateArgs, config_len), 16);
        assert_eq!(offset_of!(CreateArgs, id), 24);
        assert_eq!(offset_of!(CreateArgs, id_len), 32);
        assert_eq!(offset_of!(CreateArgs, bundle_fd), 40);
        assert_eq!(offset_of!(CreateArgs, flags), 44);
        assert_eq!(offset_of!(CreateArgs, message), 48);
        assert_eq!(offset_of!(CreateArgs, message_size), 56);
        assert_eq!(CreateArgs::MESSAGE_LEN_OFFSET, 64);
        assert_eq!(CreateArgs::TERMINAL_FD_OFFSET, 72);
        assert_eq!(size_of::<DocumentArgs>(), 56);
        assert_eq!(DocumentArgs::MESSAGE_LEN_OFFSET, 40);
        assert_eq!(DocumentArgs::TERMINAL_FD_OFFSET, 48);
        assert_eq!(size_of::<Stats>(), 152);
        assert_eq!(offset_of!(Stats, cpu_usage_ns), 72);
        assert_eq!(offset_of!(Stats, pids_current), 120);
        assert_eq!(size_of::<WaitResult>(), 48);
        assert_eq!(offset_of!(WaitResult, status), 8);
        assert_eq!(offset_of!(WaitResult, flags), 12);
        assert_eq!(offset_of!(WaitResult, memory_peak), 16);
        assert_eq!(offset_of!(WaitResult, tasks_peak), 24);
        assert_eq!(offset_of!(WaitResult, user_ns), 32);
        assert_eq!(offset_of!(WaitResult, system_ns), 40);
        assert_eq!(size_of::<ListEntry>(), 88);
        assert_eq!(offset_of!(ListEntry, status), 8);
        assert_eq!(offset_of!(ListEntry, pid), 12);
        assert_eq!(offset_of!(ListEntry, id_len), 16);
        assert_eq!(offset_of!(ListEntry, id), 24);
    }

    /// A structure of which two versions exist: the first had no `b`.
    #[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Grown {
        size: u64,
        a: u64,
        b: u64,
    }
    impl Args for Grown {
        const SIZE_MIN: usize = 16;
    }

    #[test]
    fn an_older_program_leaves_zero_and_a_newer_one_must() {
        let full = Grown { size: 24, a: 1, b: 2 };
        assert_eq!(read_args::<Grown>(full.as_bytes()), Ok(full));
        assert_eq!(read_args::<Grown>(&full.as_bytes()[..16]), Ok(Grown { b: 0, ..full }));
        let mut newer = [0; 40];
        newer[..24].copy_from_slice(full.as_bytes());
        assert_eq!(read_args::<Grown>(&newer), Ok(full));
        newer[39] = 1;
        assert_eq!(read_args::<Grown>(&newer), Err(Errno::E2BIG));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert_eq!(args_size::<Grown>(15), Err(Errno::EINVAL));
        assert_eq!(args_size::<Grown>(0), Err(Errno::EINVAL));
        assert_eq!(args_size::<Grown>(256), Ok(256));
        assert_eq!(args_size::<Grown>(257), Err(Errno::E2BIG));
        assert_eq!(args_size::<Grown>(u64::MAX), Err(Errno::E2BIG));
        assert_eq!(read_args::<Grown>(&[0; 15]), Err(Errno::EINVAL));
        assert_eq!(written_size::<Grown>(15), Err(Errno::EINVAL));
        assert_eq!(written_size::<Grown>(16), Ok(16));
        assert_eq!(written_size::<Grown>(4096), Ok(24));
    }
}
