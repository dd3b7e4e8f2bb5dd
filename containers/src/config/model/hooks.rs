//! `hooks`: programs that the runtime runs around the container's life.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// `hooks`: for each moment, what runs then, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// `prestart`: at create, once the namespaces are made, before the root is changed.
    pub prestart: Vec<Hook>,
    /// `createRuntime`: after those.
    pub create_runtime: Vec<Hook>,
    /// `createContainer`: after those, in the container's namespaces; the path is found in the runtime's.
    pub create_container: Vec<Hook>,
    /// `startContainer`: at start, in the container, before the program.
    pub start_container: Vec<Hook>,
    /// `poststart`: at start, once the program runs.
    pub poststart: Vec<Hook>,
    /// `poststop`: at delete, once everything is undone.
    pub poststop: Vec<Hook>,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Absolute path of the program.
    pub path: String,
    /// All of its arguments, at least one: the first is its name for itself, the path if not given.
    pub args: Vec<String>,
    /// The whole environment, each `NAME=value`. For `startContainer` that of the process if not given.
    pub env: Vec<String>,
    /// The seconds after which it is killed and has failed.
    pub timeout: Option<NonZeroU32>,
}

/// The moments of hooks, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookKind {
    /// `prestart`
    Prestart,
    /// `createRuntime`
    CreateRuntime,
    /// `createContainer`
    CreateContainer,
    /// `startContainer`
    StartContainer,
    /// `poststart`
    Poststart,
    /// `poststop`
    Poststop,
}

impl HookKind {
    /// Every kind, in order.
    pub const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The word of OCI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }
}

impl Hooks {
    /// The hooks of one moment.
    #[must_use]
    pub const fn of(&self, kind: HookKind) -> &Vec<Hook> {
        match kind {
            HookKind::Prestart => &self.prestart,
            HookKind::CreateRuntime => &self.create_runtime,
            HookKind::CreateContainer => &self.create_container,
            HookKind::StartContainer => &self.start_container,
            HookKind::Poststart => &self.poststart,
            HookKind::Poststop => &self.poststop,
        }
    }

    /// The same, to be changed.
    pub const fn of_mut(&mut self, kind: HookKind) -> &mut Vec<Hook> {
        match kind {
            HookKind::Prestart => &mut self.prestart,
            HookKind::CreateRuntime => &mut self.create_runtime,
            HookKind::CreateContainer => &mut self.create_container,
            HookKind::StartContainer => &mut self.start_container,
            HookKind::Poststart => &mut self.poststart,
            HookKind::Poststop => &mut self.poststop,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        HookKind::ALL.into_iter().all(|kind| self.of(kind).is_empty())
    }
}
