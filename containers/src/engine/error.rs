//! Why an operation on a container failed.

use alloc::borrow::Cow;
use core::fmt;

use crate::abi::Errno;
use crate::config::HookKind;

/// An error number with the operand that failed and the step that was under way.
///
/// A platform makes one from an [`Errno`] and adds the operand where it knows it better than the engine does.
/// Its text begins with the operand: `"/srv/www": ENOENT: No such file or directory (mount)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    errno: Errno,
    operand: Option<Cow<'static, str>>,
    reason: Option<Cow<'static, str>>,
    step: Option<Step>,
}

/// A step of the engine, in the order in which create takes them; start comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The id is reserved in the table.
    Reserve,
    /// The cgroup is made and its limits are set.
    Cgroup,
    /// The new namespaces are made.
    Namespaces,
    /// Host and domain name are set in the uts namespace.
    Names,
    /// A variable of a namespace is set.
    Sysctl,
    /// The root directory is opened.
    Root,
    /// A file system is mounted.
    Mount,
    /// A device node is made.
    Device,
    /// A hook is run.
    Hook(HookKind),
    /// The root of the new mount namespace is changed.
    PivotRoot,
    /// A path is made read-only.
    ReadonlyPath,
    /// A path is hidden.
    MaskedPath,
    /// The process is made, or its program is loaded and held before its first instruction.
    Process,
    /// The process is let go.
    Start,
}

impl Step {
    /// The name that messages use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve id",
            Self::Cgroup => "cgroup",
            Self::Namespaces => "namespaces",
            Self::Names => "hostname",
            Self::Sysctl => "sysctl",
            Self::Root => "root",
            Self::Mount => "mount",
            Self::Device => "device",
            Self::Hook(kind) => kind.name(),
            Self::PivotRoot => "pivot_root",
            Self::ReadonlyPath => "readonly path",
            Self::MaskedPath => "masked path",
            Self::Process => "process",
            Self::Start => "start",
        }
    }
}

impl Error {
    /// An error of this number.
    #[must_use]
    pub const fn new(errno: Errno) -> Self {
        Self { errno, operand: None, reason: None, step: None }
    }

    /// Names the operand that failed, unless one is named already.
    #[must_use]
    pub fn operand(mut self, operand: impl Into<Cow<'static, str>>) -> Self {
        if self.operand.is_none() {
            self.operand = Some(operand.into());
        }
        self
    }

    /// Says why in words better than the errno's own, unless that was said already.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        if self.reason.is_none() {
            self.reason = Some(reason.into());
        }
        self
    }

    /// Names the step; the engine does that.
    #[must_use]
    pub(super) fn at(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    /// The number to return to the caller.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        self.errno
    }

    /// The step that failed, `None` when the operation was refused before its first.
    #[must_use]
    pub const fn step(&self) -> Option<Step> {
        self.step
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::new(errno)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operand) = &self.operand {
            write!(f, "{operand:?}: ")?;
        }
        match &self.reason {
            Some(reason) => write!(f, "{}: {reason}", self.errno.name())?,
            None => write!(f, "{}", self.errno)?,
        }
        match self.step {
            Some(step) => write!(f, " ({})", step.name()),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_operand_comes_first_and_the_step_last() {
        let error = Error::from(Errno::ENOENT).operand("/srv/www").at(Step::Mount);
        assert_eq!(error.to_string(), "\"/srv/www\": ENOENT: No such file or directory (mount)");
        let error = Error::new(Errno::EBUSY).reason("it is running, not stopped").operand("web");
        assert_eq!(error.to_string(), "\"web\": EBUSY: it is running, not stopped");
    }

    #[test]
    fn what_was_known_first_is_kept() {
        let error = Error::new(Errno::ENOEXEC).operand("/bin/sh").reason("no ELF file").operand("x").reason("y");
        assert_eq!(error.to_string(), "\"/bin/sh\": ENOEXEC: no ELF file");
    }
}
