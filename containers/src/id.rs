//! Container ids.

use core::fmt;

use crate::abi::Errno;

/// The most bytes an id may have: the length of the hexadecimal SHA-256 that container managers use as id.
pub const ID_MAX: usize = 64;

/// A checked container id: 1 to [`ID_MAX`] of `[a-zA-Z0-9_+.-]`, the first no dot (the grammar of runc and crun).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(heapless::String<ID_MAX, u8>);

impl ContainerId {
    /// Checks and keeps an id.
    ///
    /// # Errors
    /// EINVAL if it is not of the grammar or too long.
    pub fn new(id: &str) -> Result<Self, Errno> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-' | b'.');
        if id.is_empty() || id.starts_with('.') || !id.bytes().all(allowed) {
            return Err(Errno::EINVAL);
        }
        heapless::String::try_from(id).map(Self).map_err(|_| Errno::EINVAL)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for ContainerId {
    type Err = Errno;

    fn from_str(id: &str) -> Result<Self, Errno> {
        Self::new(id)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_the_grammar_and_no_longer_than_64() {
        for id in ["a", "web-1", "_x", "+x", "-x", "A.b", "0", &"f".repeat(64)] {
            assert_eq!(ContainerId::new(id).unwrap().as_str(), id);
        }
        for id in ["", ".", "..", ".a", "a/b", "a b", "ä", "a\0", "a\n", &"f".repeat(65)] {
            assert_eq!(ContainerId::new(id), Err(Errno::EINVAL), "{id:?}");
        }
    }
}
