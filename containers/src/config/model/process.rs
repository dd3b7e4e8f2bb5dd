//! `process`: what runs.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Capabilities, Rlimit, RlimitKind};

/// `process`: what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Working directory: an absolute path in the container.
    pub cwd: String,
    /// Who it runs as.
    pub user: User,
    /// Arguments, at least one; the first names the program.
    pub args: Vec<String>,
    /// The whole environment, each `NAME=value`.
    pub env: Vec<String>,
    /// Whether it gets a terminal of its own.
    pub terminal: bool,
    /// The size of that terminal; `None` without one.
    pub console_size: Option<ConsoleSize>,
    /// Its capability sets.
    pub capabilities: Capabilities,
    /// Its resource limits; the caller's where it has none here.
    pub rlimits: BTreeMap<RlimitKind, Rlimit>,
    /// Whether no execve(2) of it or of its children grants what the caller of execve does not have.
    pub no_new_privileges: bool,
    /// How willingly it is killed for memory, -1000 to 1000; `None` keeps the caller's.
    pub oom_score_adj: Option<i16>,
}

/// `process.user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User id, in the container's user namespace.
    pub uid: u32,
    /// Group id, likewise.
    pub gid: u32,
    /// Permission bits that new files do not get, at most 0o777.
    pub umask: u16,
    /// Further groups, in the order given.
    pub additional_gids: Vec<u32>,
}

/// `process.consoleSize`, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleSize {
    /// Lines.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// Permission bits that new files do not get if the configuration does not say (Docker's).
pub const UMASK: u16 = 0o022;

/// Prints `COLUMNSxLINES`.
impl fmt::Display for ConsoleSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl Default for User {
    fn default() -> Self {
        Self { uid: 0, gid: 0, umask: UMASK, additional_gids: Vec::new() }
    }
}

impl Default for Process {
    /// What a configuration gets that says nothing; it lacks arguments, so it is not yet valid.
    fn default() -> Self {
        Self {
            cwd: String::from("/"),
            user: User::default(),
            args: Vec::new(),
            env: Vec::new(),
            terminal: false,
            console_size: None,
            capabilities: Capabilities::default(),
            rlimits: BTreeMap::new(),
            no_new_privileges: true,
            oom_score_adj: None,
        }
    }
}
