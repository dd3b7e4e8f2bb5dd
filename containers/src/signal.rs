//! Signals: numbers and names.

use core::fmt;
use core::num::NonZeroU8;

use crate::abi::Errno;

/// A signal, 1 to 64. The numbers are Linux's, the same on x86_64, aarch64 and riscv64 (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(NonZeroU8);

impl Signal {
    /// The largest signal number (`_NSIG`).
    pub const MAX: u32 = 64;

    /// The signal of a number, `None` outside 1 to 64. There is no signal 0: kill(2) uses it to send none.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number > Self::MAX {
            return None;
        }
        match NonZeroU8::new(number as u8) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get() as u32
    }

    /// The name without its `SIG`, `None` for the real-time signals.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        let index = self.0.get() as usize - 1;
        if index < NAMES.len() { Some(NAMES[index]) } else { None }
    }
}

impl TryFrom<u32> for Signal {
    type Error = Errno;

    /// EINVAL for a number that is no signal.
    fn try_from(number: u32) -> Result<Self, Errno> {
        Self::new(number).ok_or(Errno::EINVAL)
    }
}

impl core::str::FromStr for Signal {
    type Err = Errno;

    /// Reads `KILL`, `SIGKILL`, `kill` or `9`; EINVAL for anything else.
    fn from_str(text: &str) -> Result<Self, Errno> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().and_then(Self::new).ok_or(Errno::EINVAL);
        }
        let name = match text.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("SIG") => &text[3..],
            _ => text,
        };
        let index = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).ok_or(Errno::EINVAL)?;
        Self::new(index as u32 + 1).ok_or(Errno::EINVAL)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.number()),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! signals {
    ($($number:literal $constant:ident $name:literal;)*) => {
        impl Signal {
            $(
                #[doc = concat!("`", stringify!($constant), "`, ", $number, ".")]
                pub const $constant: Self = match Self::new($number) {
                    Some(signal) => signal,
                    None => panic!("signals are 1 to 64"),
                };
            )*
        }

        /// Names of the signals from 1 on, without `SIG`.
        const NAMES: &[&str] = &[$($name),*];
    };
}

signals! {
    1 SIGHUP "HUP"; 2 SIGINT "INT"; 3 SIGQUIT "QUIT"; 4 SIGILL "ILL"; 5 SIGTRAP "TRAP"; 6 SIGABRT "ABRT";
    7 SIGBUS "BUS"; 8 SIGFPE "FPE"; 9 SIGKILL "KILL"; 10 SIGUSR1 "USR1"; 11 SIGSEGV "SEGV"; 12 SIGUSR2 "USR2";
    13 SIGPIPE "PIPE"; 14 SIGALRM "ALRM"; 15 SIGTERM "TERM"; 16 SIGSTKFLT "STKFLT"; 17 SIGCHLD "CHLD";
    18 SIGCONT "CONT"; 19 SIGSTOP "STOP"; 20 SIGTSTP "TSTP"; 21 SIGTTIN "TTIN"; 22 SIGTTOU "TTOU"; 23 SIGURG "URG";
    24 SIGXCPU "XCPU"; 25 SIGXFSZ "XFSZ"; 26 SIGVTALRM "VTALRM"; 27 SIGPROF "PROF"; 28 SIGWINCH "WINCH";
    29 SIGIO "IO"; 30 SIGPWR "PWR"; 31 SIGSYS "SYS";
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::general;

    #[test]
    fn a_signal_is_named_with_and_without_sig_and_by_number() {
        for text in ["KILL", "SIGKILL", "kill", "sigkill", "9"] {
            assert_eq!(text.parse(), Ok(Signal::SIGKILL));
        }
        for text in ["", "0", "65", "SIG", "SIGSIGKILL", "KILLL", "-9", "+9", "9 ", "99999999999", "ſigkill"] {
            assert_eq!(text.parse::<Signal>(), Err(Errno::EINVAL), "{text:?}");
        }
        assert_eq!("64".parse::<Signal>().unwrap().name(), None);
    }

    #[test]
    fn numbers_are_linux_s() {
        assert_eq!(Signal::SIGBUS.number(), general::SIGBUS);
        assert_eq!(Signal::SIGSTKFLT.number(), general::SIGSTKFLT);
        assert_eq!(Signal::SIGCHLD.number(), general::SIGCHLD);
        assert_eq!(Signal::SIGSYS.number(), general::SIGSYS);
        assert_eq!(NAMES.len(), 31);
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(name.parse::<Signal>().unwrap().number() as usize, index + 1);
        }
    }
}
