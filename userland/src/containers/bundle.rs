//! A bundle: a directory with a configuration, and usually with the root of a container.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use veridian_containers::abi::{CreateFlags, Errno};

use super::{
    container::{Container, message_of},
    file,
};
use crate::sys::{self, Fd};

/// The configurations that a bundle may have; the first that is there counts.
const CONFIGS: [&str; 2] = ["config.json", "config.oci"];

/// An open bundle with its configuration.
pub struct Bundle {
    directory: Fd,
    config: Vec<u8>,
    /// Of the configuration, for messages.
    name: String,
}

/// Why no container came of it.
pub struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// The words.
    pub message: String,
    /// Whether all was well but the program, which could not be executed.
    pub is_of_program: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Bundle {
    /// A bundle with the configuration that lies in it.
    pub fn open(path: &str) -> Result<Self, String> {
        for name in CONFIGS {
            let config = format!("{}/{name}", path.trim_end_matches('/'));
            match file::read(&config) {
                Ok(found) => return Self::new(path, found, name),
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(format!("{config}: {errno}")),
            }
        }
        let [json, lines] = CONFIGS;
        Err(format!("{path}: neither {json} nor {lines} is there: {}", Errno::ENOENT))
    }

    /// A bundle whose configuration lies elsewhere.
    pub fn with_config(path: &str, config: &str) -> Result<Self, String> {
        let name = config.rsplit('/').next().unwrap_or(config);
        Self::new(path, file::read(config).map_err(|errno| format!("{config}: {errno}"))?, name)
    }

    fn new(path: &str, config: Vec<u8>, name: &str) -> Result<Self, String> {
        let directory = file::open(path).map_err(|errno| format!("{path}: {errno}"))?;
        Ok(Self { directory, config, name: name.to_string() })
    }

    /// The configuration's text.
    pub fn config(&self) -> &[u8] {
        &self.config
    }

    /// `container_create`.
    pub fn create(&self, id: &str, flags: CreateFlags) -> Result<Container, Refusal> {
        let mut buffer = [0; 1024];
        let made = sys::container_create_with_terminal(&self.config, id.as_bytes(), self.directory, flags, &mut buffer);
        made.map(|(fd, terminal)| Container::new(id, fd, terminal))
            .map_err(|(errno, length)| self.refusal(errno, &buffer[..length]))
    }

    fn refusal(&self, errno: Errno, said: &[u8]) -> Refusal {
        let said = message_of(errno, said);
        let message = match said.strip_prefix("line ") {
            Some(line) => format!("{}:{line}", self.name),
            None => format!("{}: {said}", self.name),
        };
        Refusal { errno, message, is_of_program: said.ends_with("(process)") }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // It was only read from.
        let _ = sys::close(self.directory);
    }
}
