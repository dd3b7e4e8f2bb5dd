//! The OCI configuration: its model, its checks, and the key=value form of it.
//!
//! Owns [`Config`], which every front end produces and the engine consumes. [`Config::parse`] reads the
//! key=value form, `Display` prints the canonical one, and reading that gives an equal `Config`. Calls the line
//! reader, the validators and the table of keys; knows nothing of the engine.

mod check;
mod error;
mod model;
mod mount;
mod parse;
mod print;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod variables;

use alloc::string::String;
use core::fmt;
use core::ops::Deref;

pub use error::ConfigError;
pub use model::*;
pub use print::Identity;

use crate::NamespaceSet;

/// The most arguments a process may have.
pub const ARGS_MAX: usize = 1024;
/// The most environment entries a process may have.
pub const ENV_MAX: usize = 1024;
/// The most mounts a container may have.
pub const MOUNTS_MAX: usize = 256;
/// The kinds of namespaces that can be made new.
pub const NAMESPACES: NamespaceSet = NamespaceSet::PID.union(NamespaceSet::MOUNT).union(NamespaceSet::UTS);

/// A configuration that was checked: all of it can be enforced, and it can be printed on lines of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config(Settings);

impl Config {
    /// Reads a document in the key=value form. `${NAME}` in a value is replaced from `variables`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(document: &[u8], variables: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let (settings, lines) = parse::settings(document, variables)?;
        check::together(&settings).map_err(|problem| problem.on_line(&lines))?;
        Ok(Self(settings))
    }

    /// Checks settings that another front end read.
    ///
    /// # Errors
    /// The first thing that is wrong, without a line.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        check::each(&settings)?;
        check::together(&settings).map_err(|problem| problem.on_line(&[0; crate::keys::KeyId::COUNT]))?;
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
        Identity::of(&self.0)
    }

    /// Whether the container has a root of its own: whether it has its own mount namespace.
    #[must_use]
    pub const fn has_own_root(&self) -> bool {
        self.0.namespaces.is_new(crate::NamespaceKind::Mount)
    }

    /// The program that runs: the first argument.
    #[must_use]
    pub fn program(&self) -> &str {
        self.0.process.args.first().map_or("", String::as_str)
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

/// Prints the canonical text.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::canonical(&self.0, f)
    }
}
