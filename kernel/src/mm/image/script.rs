//! Files that begin with `#!`: the program that is to read them (execve(2), "Interpreter scripts").

use alloc::vec::Vec;

use super::{Arguments, ExecError};

/// What of a file's beginning is looked at (Linux's BINPRM_BUF_SIZE).
pub(super) const HEAD_BYTES: usize = 256;

/// A script's first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The path of the program that reads it.
    pub interpreter: Vec<u8>,
    /// All that stands behind it in the line, as one argument.
    argument: Option<Vec<u8>>,
}

impl Script {
    /// Reads the first line of a file that begins with `head`, at most [`HEAD_BYTES`] of it; `None` if it is no script.
    ///
    /// # Errors
    /// ENOEXEC: no interpreter is named, or its name does not end within `head`.
    pub(super) fn parse(head: &[u8]) -> Result<Option<Self>, ExecError> {
        let Some(text) = head.strip_prefix(b"#!") else { return Ok(None) };
        let end = text.iter().position(|&byte| matches!(byte, b'\n' | 0));
        let line = trimmed(&text[..end.unwrap_or(text.len())]);
        let name_length = line.iter().position(is_blank).unwrap_or(line.len());
        let (name, argument) = line.split_at(name_length);
        if name.is_empty() {
            return Err(ExecError::not_executable("a script: its first line names no interpreter"));
        }
        // An argument may be cut; a name that is cut is another program's.
        if end.is_none() && text.ends_with(name) && head.len() == HEAD_BYTES {
            return Err(ExecError::not_executable("a script: its interpreter's name is too long"));
        }
        let argument = Some(trimmed(argument)).filter(|argument| !argument.is_empty()).map(<[u8]>::to_vec);
        Ok(Some(Self { interpreter: name.to_vec(), argument }))
    }

    /// The arguments of the interpreter: its name, the line's argument, the script's path, and what the script was
    /// called with but for its own name.
    #[must_use]
    pub fn arguments(&self, path: &[u8], given: &Arguments) -> Arguments {
        let first = [Some(&self.interpreter[..]), self.argument.as_deref(), Some(path)];
        first.into_iter().flatten().chain(given.iter().skip(1)).collect()
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `text` without the blanks around it.
fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().take_while(|&byte| is_blank(byte)).count();
    let blanks_behind = text[start..].iter().rev().take_while(|&byte| is_blank(byte)).count();
    &text[start..text.len() - blanks_behind]
}
