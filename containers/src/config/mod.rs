//! The OCI configuration: its model, its checks, and its two forms.
//!
//! Owns [`Config`], which every front end produces and the engine consumes. [`Config::parse`] reads either form,
//! `Display` prints the canonical key=value text, and reading that gives an equal `Config`. Calls the line reader,
//! the validators and the table of keys; knows nothing of the engine.

mod bounds;
mod check;
#[cfg(test)]
mod documentation;
mod error;
mod lines;
mod model;
#[cfg(test)]
mod properties;
mod support;
mod syntax;
#[cfg(test)]
mod tests;
mod variables;
mod walk;

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Deref;
use sha2::{Digest, Sha256};

pub use bounds::*;
pub use error::ConfigError;
pub use model::*;
pub use support::{VALUES, Value, is_enforced, new_namespaces};

use self::check::Problem;
use self::lines::{Accept, Document, Reader};
use crate::NamespaceKind;
use crate::keys::KeyId;
use crate::line::DOCUMENT_LEN_MAX;
use crate::text;

/// A configuration that was checked: all of it can be enforced, and it can be printed on lines of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config(Settings);

impl Config {
    /// Reads a document in the key=value form. `${NAME}` in a value is replaced from `variables`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(document: &[u8], variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::parse_accepting(document, variables, Accept::Enforced)
    }

    /// Reads all of the language, whether it is enforced or not.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    #[cfg(any(test, fuzzing))]
    pub fn parse_whole_language(document: &[u8], variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::parse_accepting(document, variables, Accept::All)
    }

    fn parse_accepting(document: &[u8], variables: &[(&str, &str)], accept: Accept) -> Result<Self, ConfigError> {
        let Document { mut settings, places } = lines::document(document, variables, accept, |_| Ok(()))?;
        check::normalize(&mut settings);
        check::together(&settings).map_err(|Problem { key, index, reason }| {
            ConfigError::on_line(places.line(key, index), key.name(), reason)
        })?;
        fits_in_a_document(&settings)?;
        Ok(Self(settings))
    }

    /// Checks settings that another front end read.
    ///
    /// # Errors
    /// The first thing that is wrong, without a line.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        Self::checked(settings, Accept::Enforced, |key, _| key.name().into())
    }

    /// Checks settings by writing and reading them as lines: whatever holds of a line holds of them. `name` tells
    /// how an error names a key whose value config.json has in the given place.
    fn checked(
        mut settings: Settings,
        accept: Accept,
        name: fn(KeyId, fmt::Arguments<'_>) -> Cow<'static, str>,
    ) -> Result<Self, ConfigError> {
        check::normalize(&mut settings);
        let mut reader = Reader::new(&[], accept);
        let mut line = 0;
        walk::settings(&settings, &mut |entry| {
            line += 1;
            let value = entry.value.to_string();
            let taken = text::one_line(&value).map_err(|reason| Cow::Owned(error::about(&value, reason)));
            let taken = taken.and_then(|()| reader.take(entry.key, &value, line));
            taken.map_err(|reason| ConfigError::without_line(name(entry.key, entry.path), reason))
        })?;
        let place = |key: KeyId, index: Option<usize>| {
            let mut nth = index.unwrap_or(0);
            let found = walk::settings(&settings, &mut |entry| match (entry.key == key, nth) {
                (true, 0) => Err(name(key, entry.path)),
                (true, _) => {
                    nth -= 1;
                    Ok(())
                }
                _ => Ok(()),
            });
            found.err().unwrap_or(Cow::Borrowed(key.name()))
        };
        let read = reader.finish().map(|mut read| {
            check::normalize(&mut read);
            read
        });
        let read = read.map_err(|(key, reason)| ConfigError::without_line(place(key, None), reason))?;
        check::together(&settings)
            .map_err(|Problem { key, index, reason }| ConfigError::without_line(place(key, index), reason))?;
        if read != settings {
            let (written, read) = (Self(settings).to_string(), Self(read).to_string());
            let differs = written.lines().zip(read.lines()).find(|(written, read)| written != read);
            let key = differs.and_then(|(line, _)| line.split_once('=')).map_or("", |(key, _)| key);
            return Err(ConfigError::without_line(String::from(key), "means something else on a line of its own"));
        }
        fits_in_a_document(&settings)?;
        Ok(Self(settings))
    }

    /// The settings, to be changed and checked again.
    #[must_use]
    pub fn into_settings(self) -> Settings {
        self.0
    }

    /// The SHA-256 of the canonical text: the same on every architecture, and for every way of writing the same.
    #[must_use]
    pub fn identity(&self) -> Identity {
        /// Hashes what is printed.
        struct Hashed(Sha256);

        impl Write for Hashed {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.update(text.as_bytes());
                Ok(())
            }
        }

        let mut hashed = Hashed(Sha256::new());
        // Hashing does not fail, and printing fails only if its writer does.
        let _ = write!(hashed, "{self}");
        Identity(hashed.0.finalize().into())
    }

    /// Whether the container has a root of its own: whether it has its own mount namespace.
    #[must_use]
    pub const fn has_own_root(&self) -> bool {
        self.0.namespaces.is_new(NamespaceKind::Mount)
    }

    /// The program that runs: the first argument.
    #[must_use]
    pub fn program(&self) -> &str {
        self.0.process.args.first().map_or("", String::as_str)
    }
}

impl Resources {
    /// Reads limits to change: a document in the key=value form with the keys from `memory_limit` to `unified`.
    /// What it does not say stays as it is.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(document: &[u8], variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::parse_accepting(document, variables, Accept::Enforced)
    }

    fn parse_accepting(document: &[u8], variables: &[(&str, &str)], accept: Accept) -> Result<Self, ConfigError> {
        let is_limit = |key| match key {
            _ if (KeyId::MemoryLimit..=KeyId::Unified).contains(&key) => Ok(()),
            _ => Err("is not a limit, and cannot be changed"),
        };
        let Document { settings, places } = lines::document(document, variables, accept, is_limit)?;
        let resources = Self { devices: Vec::new(), ..settings.resources };
        check::resources(&resources).map_err(|Problem { key, index, reason }| {
            ConfigError::on_line(places.line(key, index), key.name(), reason)
        })?;
        Ok(resources)
    }
}

/// Prints the limits as lines, the device rules aside.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        walk::resources(self, &mut |entry| writeln!(f, "{}={}", entry.key.name(), entry.value))
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

/// Prints the canonical text: keys in the order of the table, arguments as one JSON array, what has no order
/// sorted, and of what has a default beyond the first walk's keys only what differs from it.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        canonical(&self.0, f)
    }
}

fn canonical(settings: &Settings, out: &mut impl Write) -> fmt::Result {
    walk::settings(settings, &mut |entry| writeln!(out, "{}={}", entry.key.name(), entry.value))
}

/// Whether the canonical text is itself a document that can be read.
fn fits_in_a_document(settings: &Settings) -> Result<(), ConfigError> {
    /// Counts instead of printing; fails past the bound.
    struct Counter(usize);

    impl Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let counted = canonical(settings, &mut Counter(DOCUMENT_LEN_MAX));
    counted.map_err(|_| ConfigError::without_line("", "the canonical text is longer than 65536 bytes"))
}

/// The identity of a configuration: the SHA-256 of its canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u8; 32]);

impl Identity {
    /// The 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Prints 64 lower-case hexadecimal digits.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
