//! How a machine's run ended.

use crate::Arch;
use std::fmt;

/// Exit statuses that do not come from a container's process. Its own status, or 128 plus the number of the
/// signal that killed it, is passed on as it is.
pub mod status {
    /// QEMU did not start.
    pub const NOT_STARTED: u8 = 123;
    /// The machine did not end within its time.
    pub const HANG: u8 = 124;
    /// The configuration was refused, or the container could not be created.
    pub const REFUSED: u8 = 125;
    /// The program is there, and cannot be executed.
    pub const NOT_RUNNABLE: u8 = 126;
    /// The program is not there.
    pub const NOT_FOUND: u8 = 127;
    /// The kernel panicked, or the machine stopped without the kernel's word.
    pub const PANIC: u8 = 250;
}

/// Why QEMU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The kernel ended the machine with this status.
    Status(u8),
    /// The machine was reset or switched off without a status: on x86_64, a triple fault looks so.
    NoStatus,
    /// It ran past its time and was killed.
    TimedOut,
    /// QEMU refused to run.
    NotStarted,
}

impl Exit {
    /// The exit status that `veridian-run` passes to its caller.
    pub fn code(&self) -> u8 {
        match self {
            Exit::Status(code) => *code,
            Exit::NoStatus => status::PANIC,
            Exit::TimedOut => status::HANG,
            Exit::NotStarted => status::NOT_STARTED,
        }
    }

    /// Reads QEMU's exit code (`None` when a signal ended it). `reported` is the byte that an x86_64 kernel
    /// writes to the debug console before it leaves, because the exit code carries only seven bits of it.
    /// QEMU's own failures have the code 1, as a guest's status 1 or 0 may have, but they say why on `errors`
    /// and come before the guest's first output.
    pub(crate) fn decode(arch: Arch, code: Option<i32>, reported: Option<u8>, console: &str, errors: &str) -> Self {
        let complained = errors.lines().any(|line| line.starts_with("qemu-system") && !line.contains("warning:"));
        match (arch, code, reported) {
            (Arch::X86_64, Some(code), Some(status)) if code == i32::from(status.wrapping_mul(2) | 1) => {
                Exit::Status(status)
            }
            (_, Some(code), _) if code != 0 && complained && console.is_empty() => Exit::NotStarted,
            (Arch::X86_64, ..) => Exit::NoStatus,
            (_, Some(code), _) => u8::try_from(code).map_or(Exit::NoStatus, Exit::Status),
            (_, None, _) => Exit::NoStatus,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Status(status) => write!(f, "status {status}"),
            Exit::NoStatus => f.write_str("the machine stopped without a status"),
            Exit::TimedOut => f.write_str("no end within the time limit"),
            Exit::NotStarted => f.write_str("QEMU did not start"),
        }
    }
}

/// What a run of a machine left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Why it ended.
    pub exit: Exit,
    /// All that the guest printed, with `\r\n` as `\n`.
    pub console: String,
    /// What QEMU itself said.
    pub errors: String,
    /// QEMU's command line, to be run by hand.
    pub command: String,
}

impl Outcome {
    /// Whether the console has this line, whole.
    pub fn has_line(&self, line: &str) -> bool {
        self.console.lines().any(|it| it == line)
    }

    /// Whether the kernel panicked.
    pub fn panicked(&self) -> bool {
        self.console.contains("kernel panic")
    }

    /// The number that follows the first `text` on the console. Under [`crate::Vm::count_instructions`] the nanoseconds
    /// that the guest tells are instructions.
    pub fn number_after(&self, text: &str) -> Option<u64> {
        let rest = &self.console[self.console.find(text)? + text.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    }

    /// The end of the console, for a report.
    pub fn last_lines(&self, count: usize) -> String {
        let lines: Vec<_> = self.console.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_64_gives_all_eight_bits() {
        for status in 0..=255u8 {
            let code = (i32::from(status) * 2 + 1) & 0xff;
            assert_eq!(Exit::decode(Arch::X86_64, Some(code), Some(status), "", ""), Exit::Status(status));
        }
    }

    #[test]
    fn x86_64_without_the_kernels_word_is_no_success() {
        assert_eq!(Exit::decode(Arch::X86_64, Some(1), None, "output", ""), Exit::NoStatus);
        assert_eq!(Exit::decode(Arch::X86_64, Some(0), None, "output", ""), Exit::NoStatus);
        assert_eq!(Exit::decode(Arch::X86_64, Some(3), Some(0), "output", ""), Exit::NoStatus);
    }

    #[test]
    fn a_qemu_that_refuses_is_told_from_a_guest_that_exits_1() {
        let refusal = "qemu-system-riscv64: -m 1T: cannot set up guest memory\n";
        let warning = "qemu-system-riscv64: warning: something is not supported\n";
        for arch in Arch::ALL {
            assert_eq!(Exit::decode(arch, Some(1), None, "", refusal), Exit::NotStarted);
        }
        assert_eq!(Exit::decode(Arch::Riscv64, Some(1), None, "hello\n", warning), Exit::Status(1));
        assert_eq!(Exit::decode(Arch::Aarch64, Some(137), None, "hello\n", ""), Exit::Status(137));
        assert_eq!(Exit::decode(Arch::Aarch64, None, None, "hello\n", ""), Exit::NoStatus);
    }

    #[test]
    fn a_number_is_found_by_what_stands_before_it() {
        let outcome = Outcome {
            exit: Exit::Status(0),
            console: "created a in 12 ns\nstarted a in 34567\ndeleted a in x".into(),
            errors: String::new(),
            command: String::new(),
        };
        assert_eq!(outcome.number_after("created a in "), Some(12));
        assert_eq!(outcome.number_after("started a in "), Some(34567));
        assert_eq!(outcome.number_after("deleted a in "), None);
        assert_eq!(outcome.number_after("stopped"), None);
    }
}
