//! What is wrong with a configuration.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;

use crate::line::LineError;

/// The first thing that is wrong with a configuration: `line 7: memory_limit: "64Q" is not a size: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    line: Option<NonZeroU32>,
    key: Cow<'static, str>,
    reason: Cow<'static, str>,
}

impl ConfigError {
    /// An error on a line; 0 for none.
    pub(super) fn on_line(line: u32, key: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { line: NonZeroU32::new(line), key: key.into(), reason: reason.into() }
    }

    pub(super) fn without_line(key: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::on_line(0, key, reason)
    }

    /// The line, counted from 1; `None` if it is on none: something is missing, or there are no lines.
    #[must_use]
    pub const fn line(&self) -> Option<NonZeroU32> {
        self.line
    }

    /// The key, empty if the line has none.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<LineError> for ConfigError {
    fn from(error: LineError) -> Self {
        Self::on_line(error.line, "", error.kind.reason())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl core::error::Error for ConfigError {}

/// The most bytes of a text that a message repeats.
const SHOWN_MAX: usize = 64;

/// A text of the configuration as a message shows it: in quotes, without control characters, and cut.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= SHOWN_MAX {
            return write!(f, "{:?}", self.0);
        }
        write!(f, "{:?}…", &self.0[..self.0.floor_char_boundary(SHOWN_MAX)])
    }
}

/// A reason that begins with the text it is about.
pub(super) fn about(text: &str, reason: &str) -> String {
    alloc::format!("{} {reason}", Shown(text))
}
