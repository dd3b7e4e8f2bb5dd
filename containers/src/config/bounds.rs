//! How long each list of a configuration may be.

use alloc::format;
use alloc::string::String;

/// The most arguments a process or a hook may have.
pub const ARGS_MAX: usize = 1024;
/// The most environment entries a process or a hook may have.
pub const ENV_MAX: usize = 1024;
/// The most additional groups.
pub const GIDS_MAX: usize = 1024;
/// The most mounts a container may have.
pub const MOUNTS_MAX: usize = 256;
/// The most ranges in a mapping of ids (Linux's `UID_GID_MAP_MAX_EXTENTS`).
pub const MAPPINGS_MAX: usize = 340;
/// The most files of `unified`.
pub const UNIFIED_MAX: usize = 64;
/// The most devices.
pub const DEVICES_MAX: usize = 256;
/// The most device rules.
pub const DEVICE_RULES_MAX: usize = 256;
/// The most sysctls.
pub const SYSCTLS_MAX: usize = 256;
/// The most masked paths, and the most read-only ones.
pub const PATHS_MAX: usize = 256;
/// The most annotations.
pub const ANNOTATIONS_MAX: usize = 256;
/// The most hooks of a kind.
pub const HOOKS_MAX: usize = 64;

/// Whether a list of this length is within its bound.
pub(super) fn bounded(len: usize, most: usize) -> Result<(), String> {
    if len <= most { Ok(()) } else { Err(format!("more than {most} of them")) }
}
