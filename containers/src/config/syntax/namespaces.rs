//! `namespace`, `uid_mapping`, `gid_mapping`, `time_offset`.

use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;

use super::{Fields, Literal, checked, read, signed};
use crate::NamespaceKind;
use crate::config::error::about;
use crate::config::model::{IdMapping, TimeOffset, TimeOffsets};
use crate::config::variables::Variables;
use crate::text::{self, Range, Reason};

/// Reads `KIND`, to make one, or `KIND:PATH`, to join one.
pub(in crate::config) fn namespace(
    value: &str,
    variables: &mut Variables<'_>,
) -> Result<(NamespaceKind, Option<String>), String> {
    let (kind, path) = value.split_once(':').map_or((value, None), |(kind, path)| (kind, Some(path)));
    let kind = read(kind, variables, |name| {
        NamespaceKind::from_name(name).ok_or("is not a namespace: pid, network, mount, ipc, uts, user, cgroup, time")
    })?;
    Ok((kind, path.map(|path| checked(path, variables, text::absolute_path)).transpose()?))
}

/// Prints a namespace to join as the value of its line.
pub(in crate::config) struct Joined<'a>(pub(in crate::config) NamespaceKind, pub(in crate::config) &'a str);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, Literal(self.1))
    }
}

/// Reads `CONTAINER:HOST:SIZE`.
pub(in crate::config) fn mapping(value: &str, variables: &mut Variables<'_>) -> Result<IdMapping, String> {
    let mut fields = Fields::of(value);
    let (Some(container), Some(host), Some(size), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(about(value, "is not a mapping of ids: CONTAINER:HOST:SIZE"));
    };
    let container = read(container, variables, text::user_id)?;
    let host = read(host, variables, text::user_id)?;
    let size = read(size, variables, |text| {
        text::number(text).ok().and_then(NonZeroU32::new).ok_or("is not a number of ids, at least 1")
    })?;
    let mapping = IdMapping { container, host, size };
    fits(&mapping).map_err(|reason| about(value, reason))?;
    Ok(mapping)
}

/// Checks that all ids of a mapping are ids.
pub(in crate::config) fn fits(mapping: &IdMapping) -> Result<(), Reason> {
    let fits = |first: u32| first.checked_add(mapping.size.get()).is_some();
    if fits(mapping.container) && fits(mapping.host) { Ok(()) } else { Err("goes beyond the largest id, 4294967294") }
}

impl fmt::Display for IdMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.container, self.host, self.size)
    }
}

/// The clocks of time offsets, and their words.
pub(in crate::config) const CLOCKS: [&str; 2] = ["monotonic", "boottime"];

impl TimeOffsets {
    /// The offset of a clock of [`CLOCKS`].
    pub(in crate::config) const fn of_mut(&mut self, clock: usize) -> &mut TimeOffset {
        if clock == 0 { &mut self.monotonic } else { &mut self.boottime }
    }
}

/// Of the nanoseconds of an offset.
pub(in crate::config) const NANOSECONDS: Range =
    Range { least: 0, most: 999_999_999, otherwise: "is not from 0 to 999999999" };

/// Reads `CLOCK:SECONDS[:NANOSECONDS]`; the clock as its place in [`CLOCKS`].
pub(in crate::config) fn time_offset(
    value: &str,
    variables: &mut Variables<'_>,
) -> Result<(usize, TimeOffset), String> {
    let mut fields = Fields::of(value);
    let (Some(clock), Some(secs)) = (fields.next(), fields.next()) else {
        return Err(about(value, "is not a time offset: CLOCK:SECONDS[:NANOSECONDS]"));
    };
    let clock = read(clock, variables, |name| {
        CLOCKS.iter().position(|known| *known == name).ok_or("is not a clock with an offset: monotonic, boottime")
    })?;
    let secs = read(secs, variables, |text| signed(text).ok_or("is not a number of seconds"))?;
    let nanosecs = fields
        .next()
        .map_or(Ok(0), |field| read(field, variables, |text| NANOSECONDS.read(text).map(|number| number as u32)))?;
    if fields.rest().is_some() {
        return Err(about(value, "has more than three fields"));
    }
    Ok((clock, TimeOffset { secs, nanosecs }))
}

/// Prints seconds, and nanoseconds if there are any.
impl fmt::Display for TimeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.secs)?;
        if self.nanosecs == 0 { Ok(()) } else { write!(f, ":{}", self.nanosecs) }
    }
}
