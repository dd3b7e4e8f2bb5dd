//! The OCI configuration: its model, its checks, and its two forms.
//!
//! Owns [`Config`], which every front end produces and the engine consumes. [`Config::parse`] reads either form,
//! `Display` prints the canonical key=value text, and reading that gives an equal `Config`. Calls the line reader,
//! the validators and the table of keys; knows nothing of the engine.

mod bounds;
mod check;
mod demands;
#[cfg(test)]
mod documentation;
mod error;
mod json;
mod lines;
mod model;
#[cfg(test)]
mod properties;
mod rules;
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
pub use demands::Demand;
pub use error::ConfigError;
pub use json::JSON_LEN_MAX;
pub use model::*;
pub use support::{VALUES, Value, is_enforced, new_namespaces};

use self::check::Problem;
use self::json::Read;
use self::lines::{Accept, Document};
use self::support::NOT_ENFORCED;
use self::walk::Entry;
use crate::NamespaceKind;
use crate::keys::{KEYS, KeyId, Support};
use crate::line::DOCUMENT_LEN_MAX;

/// A configuration that was checked: all of it can be enforced, and it can be printed on lines of its own.
#[derive(Clone, Debug)]
pub struct Config {
    settings: Settings,
    warnings: Vec<String>,
    canonical_len: usize,
}

/// The most bytes that a document of either form may have.
pub const LEN_MAX: usize = if JSON_LEN_MAX > DOCUMENT_LEN_MAX { JSON_LEN_MAX } else { DOCUMENT_LEN_MAX };

impl Config {
    /// Reads a document: config.json if its first character is a brace, else the key=value form. In the latter
    /// `${NAME}` in a value is replaced from `variables`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line, or with its path in config.json.
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
        if json::is_json(document) {
            let Read { content, warnings } = json::settings(document)?;
            let config = Self::checked(content, accept, in_json)?;
            return Ok(Self { warnings, ..config });
        }
        let Document { mut settings, places } = lines::document(document, variables, accept, |_| Ok(()))?;
        check::normalize(&mut settings);
        check::together(&settings).map_err(|problem| problem.on_line(&places))?;
        Self::of(settings)
    }

    /// Checks settings that another front end read.
    ///
    /// # Errors
    /// The first thing that is wrong, without a line.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        Self::checked(settings, Accept::Enforced, |key, _| key.name().into())
    }

    /// Checks settings; `name` tells how an error names them.
    fn checked(mut settings: Settings, accept: Accept, name: Naming) -> Result<Self, ConfigError> {
        check::normalize(&mut settings);
        if accept == Accept::Enforced && KEYS.iter().any(|key| key.support == Support::NotYet) {
            walk::settings(&settings, &mut |entry| enforced(&entry, name))?;
        }
        let checked = rules::settings(&settings, accept).and_then(|()| check::together(&settings));
        checked.map_err(|problem| {
            let place = problem.place(name, &mut |visit| walk::settings(&settings, &mut |entry| visit(entry)));
            ConfigError::without_line(place, problem.reason)
        })?;
        Self::of(settings)
    }

    /// Settings that were checked; the canonical text must fit in a document, too.
    fn of(settings: Settings) -> Result<Self, ConfigError> {
        let canonical_len = canonical_len(&settings)?;
        Ok(Self { settings, warnings: Vec::new(), canonical_len })
    }

    /// Takes settings as they are, for tests of what comes after the checks.
    #[cfg(test)]
    pub(crate) fn unchecked(settings: Settings) -> Self {
        Self::of(settings).unwrap()
    }

    /// The settings, to be changed and checked again.
    #[must_use]
    pub fn into_settings(self) -> Settings {
        self.settings
    }

    /// What the document asks for and does not get, though that is no error: to be told to who looks after it.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How many bytes the canonical text has.
    #[must_use]
    pub const fn canonical_len(&self) -> usize {
        self.canonical_len
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
        self.settings.namespaces.is_new(NamespaceKind::Mount)
    }

    /// The program that runs: the first argument.
    #[must_use]
    pub fn program(&self) -> &str {
        self.settings.process.args.first().map_or("", String::as_str)
    }
}

/// Refuses what a key says that is not enforced.
fn enforced(entry: &Entry<'_>, name: Naming) -> Result<(), ConfigError> {
    match entry.key.key().support {
        Support::Enforced => Ok(()),
        Support::NotYet => Err(ConfigError::without_line(name(entry.key, entry.path), NOT_ENFORCED)),
    }
}

/// How an error names a key whose value config.json has in the given place.
type Naming = fn(KeyId, fmt::Arguments<'_>) -> Cow<'static, str>;

/// How an error names a key in config.json: by the path of its value.
fn in_json(_: KeyId, path: fmt::Arguments<'_>) -> Cow<'static, str> {
    Cow::Owned(path.to_string())
}

/// Configurations are equal if they mean the same.
impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Config {}

impl Process {
    /// Reads one more process for a container: what `process` of config.json is, or the keys from `process_cwd` to
    /// `oom_score_adj`. What it does not say has its default.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line, or with its path in config.json.
    pub fn parse(document: &[u8], variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::parse_accepting(document, variables, Accept::Enforced)
    }

    fn parse_accepting(document: &[u8], variables: &[(&str, &str)], accept: Accept) -> Result<Self, ConfigError> {
        if json::is_json(document) {
            let process = json::process(document)?.content;
            let settings = Settings { process, ..Settings::default() };
            return Ok(Config::checked(settings, accept, in_json)?.settings.process);
        }
        let is_of_process = |key| match key {
            _ if (KeyId::ProcessCwd..=KeyId::OomScoreAdj).contains(&key) => Ok(()),
            _ => Err("is of the container, not of a process in it"),
        };
        let Document { settings, places } = lines::document(document, variables, accept, is_of_process)?;
        check::together(&settings).map_err(|problem| problem.on_line(&places))?;
        Ok(settings.process)
    }
}

impl Resources {
    /// Reads limits to change: what `linux.resources` of config.json is, or the keys from `memory_limit` to
    /// `unified`. What it does not say stays as it is.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line, or with its path in config.json.
    pub fn parse(document: &[u8], variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::parse_accepting(document, variables, Accept::Enforced)
    }

    fn parse_accepting(document: &[u8], variables: &[(&str, &str)], accept: Accept) -> Result<Self, ConfigError> {
        if json::is_json(document) {
            return Self::checked(json::resources(document)?, accept);
        }
        let is_limit = |key| match key {
            _ if (KeyId::MemoryLimit..=KeyId::Unified).contains(&key) => Ok(()),
            _ => Err("is not a limit, and cannot be changed"),
        };
        let Document { settings, places } = lines::document(document, variables, accept, is_limit)?;
        let resources = Self { devices: Vec::new(), ..settings.resources };
        check::resources(&resources).map_err(|problem| problem.on_line(&places))?;
        Ok(resources)
    }

    /// Checks limits that config.json gave.
    fn checked(self, accept: Accept) -> Result<Self, ConfigError> {
        if accept == Accept::Enforced {
            walk::resources(&self, &mut |entry| enforced(&entry, in_json))?;
        }
        rules::limits(&self).map_err(|problem| {
            let place = problem.place(in_json, &mut |visit| walk::resources(&self, &mut |entry| visit(entry)));
            ConfigError::without_line(place, problem.reason)
        })?;
        check::resources(&self).map_err(|Problem { key, reason, .. }| ConfigError::without_line(key.name(), reason))?;
        Ok(self)
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
        &self.settings
    }
}

/// Prints the canonical text: keys in the order of the table, arguments as one JSON array, what has no order
/// sorted, and of what has a default beyond the first walk's keys only what differs from it.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        canonical(&self.settings, f)
    }
}

fn canonical(settings: &Settings, out: &mut impl Write) -> fmt::Result {
    walk::settings(settings, &mut |entry| writeln!(out, "{}={}", entry.key.name(), entry.value))
}

/// The length of the canonical text, which must itself be a document that can be read.
fn canonical_len(settings: &Settings) -> Result<usize, ConfigError> {
    /// Counts instead of printing; fails past the bound.
    struct Counter(usize);

    impl Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            if self.0 > DOCUMENT_LEN_MAX { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut counter = Counter(0);
    let counted = canonical(settings, &mut counter);
    counted.map_err(|_| ConfigError::without_line("", "the canonical text is longer than 65536 bytes"))?;
    Ok(counter.0)
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
