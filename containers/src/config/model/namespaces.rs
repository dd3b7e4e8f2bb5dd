//! `linux.namespaces`, and what belongs to single kinds of them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::num::NonZeroU32;

use crate::{NamespaceKind, NamespaceSet};

/// `linux.namespaces`: of the kinds in neither list the container has the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The kinds to make new.
    pub new: NamespaceSet,
    /// The kinds to join, and the absolute paths of the namespaces. None of them is in `new`.
    pub joined: BTreeMap<NamespaceKind, String>,
}

impl Namespaces {
    /// Whether the container gets a new namespace of this kind.
    #[must_use]
    pub const fn is_new(&self, kind: NamespaceKind) -> bool {
        self.new.contains(kind.flag())
    }

    /// Whether the container has another namespace of this kind than its caller: a new one, or one it joins.
    #[must_use]
    pub fn is_own(&self, kind: NamespaceKind) -> bool {
        self.is_new(kind) || self.joined.contains_key(&kind)
    }
}

/// One of `linux.uidMappings` or `linux.gidMappings`: user_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMapping {
    /// The first id in the container.
    pub container: u32,
    /// The id in the caller's user namespace that it is.
    pub host: u32,
    /// How many follow on each other. No range passes 2^32 - 2.
    pub size: NonZeroU32,
}

/// `linux.timeOffsets`: time_namespaces(7). Zero for what is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOffsets {
    /// What is added to `CLOCK_MONOTONIC`.
    pub monotonic: TimeOffset,
    /// What is added to `CLOCK_BOOTTIME`.
    pub boottime: TimeOffset,
}

impl TimeOffsets {
    /// Whether nothing is added to any clock.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// An offset of a clock: `secs` and, on top of them, `nanosecs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOffset {
    /// Seconds, of either sign.
    pub secs: i64,
    /// Nanoseconds, below 10^9.
    pub nanosecs: u32,
}
