//! Resource limits (getrlimit(2)): what a process may take, by kind, and how far it may move that itself.

use core::fmt::Write;
use linux_raw_sys::general::*;
use veridian_containers::abi::Errno;

/// No limit (RLIM_INFINITY).
pub const INFINITY: u64 = u64::MAX;

/// A limit of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What is enforced.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

impl Rlimit {
    const NONE: Self = Self { soft: INFINITY, hard: INFINITY };

    const fn both(value: u64) -> Self {
        Self { soft: value, hard: value }
    }
}

/// The limits of a process, by the numbers of setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimits([Rlimit; RLIM_NLIMITS as usize]);

/// The name, unit and number of each kind, in the order of `/proc/PID/limits`.
const KINDS: [(&str, &str, u32); RLIM_NLIMITS as usize] = [
    ("Max cpu time", "seconds", RLIMIT_CPU),
    ("Max file size", "bytes", RLIMIT_FSIZE),
    ("Max data size", "bytes", RLIMIT_DATA),
    ("Max stack size", "bytes", RLIMIT_STACK),
    ("Max core file size", "bytes", RLIMIT_CORE),
    ("Max resident set", "bytes", RLIMIT_RSS),
    ("Max processes", "processes", RLIMIT_NPROC),
    ("Max open files", "files", RLIMIT_NOFILE),
    ("Max locked memory", "bytes", RLIMIT_MEMLOCK),
    ("Max address space", "bytes", RLIMIT_AS),
    ("Max file locks", "locks", RLIMIT_LOCKS),
    ("Max pending signals", "signals", RLIMIT_SIGPENDING),
    ("Max msgqueue size", "bytes", RLIMIT_MSGQUEUE),
    ("Max nice priority", "", RLIMIT_NICE),
    ("Max realtime priority", "", RLIMIT_RTPRIO),
    ("Max realtime timeout", "us", RLIMIT_RTTIME),
];

impl Default for Rlimits {
    /// The first process's (Linux's `INIT_RLIMITS`; no number of processes but the groups').
    fn default() -> Self {
        let mut limits = Self([Rlimit::NONE; _]);
        for (kind, limit) in [
            (RLIMIT_STACK, Rlimit { soft: 8 << 20, hard: INFINITY }),
            (RLIMIT_CORE, Rlimit { soft: 0, hard: INFINITY }),
            (RLIMIT_NOFILE, Rlimit { soft: 1024, hard: 4096 }),
            (RLIMIT_MEMLOCK, Rlimit::both(8 << 20)),
            (RLIMIT_SIGPENDING, Rlimit::both(4096)),
            (RLIMIT_MSGQUEUE, Rlimit::both(819_200)),
            (RLIMIT_NICE, Rlimit::both(0)),
            (RLIMIT_RTPRIO, Rlimit::both(0)),
        ] {
            limits.0[kind as usize] = limit;
        }
        limits
    }
}

impl Rlimits {
    /// The limit of a kind; EINVAL if it is none.
    pub fn get(&self, kind: u32) -> Result<Rlimit, Errno> {
        self.0.get(kind as usize).copied().ok_or(Errno::EINVAL)
    }

    /// What is enforced of a kind.
    pub fn soft(&self, kind: u32) -> u64 {
        self.0.get(kind as usize).map_or(INFINITY, |limit| limit.soft)
    }

    /// Sets a limit. EINVAL: no such kind, or more is enforced than may be set. EPERM: above the hard limit without
    /// `privileged` (CAP_SYS_RESOURCE), or more descriptors than any process may have.
    pub fn set(&mut self, kind: u32, limit: Rlimit, privileged: bool) -> Result<(), Errno> {
        let place = self.0.get_mut(kind as usize).ok_or(Errno::EINVAL)?;
        if limit.soft > limit.hard {
            return Err(Errno::EINVAL);
        }
        if kind == RLIMIT_NOFILE && limit.hard > crate::fs::DESCRIPTORS_MAX as u64 {
            return Err(Errno::EPERM);
        }
        if limit.hard > place.hard && !privileged {
            return Err(Errno::EPERM);
        }
        *place = limit;
        Ok(())
    }

    /// `/proc/PID/limits`.
    pub fn print(&self, out: &mut impl Write) -> core::fmt::Result {
        writeln!(out, "{:<25} {:<20} {:<20} {:<10}", "Limit", "Soft Limit", "Hard Limit", "Units")?;
        for (name, unit, kind) in KINDS {
            let Rlimit { soft, hard } = self.0[kind as usize];
            write!(out, "{name:<25} {:<20} {:<20} ", Shown(soft), Shown(hard))?;
            writeln!(out, "{unit:<10}")?;
        }
        Ok(())
    }
}

/// A limit as text.
struct Shown(u64);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 == INFINITY { f.pad("unlimited") } else { core::fmt::Display::fmt(&self.0, f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn a_hard_limit_is_raised_by_the_privileged_alone() {
        let mut limits = Rlimits::default();
        let lower = Rlimit { soft: 10, hard: 20 };
        assert_eq!(limits.set(RLIMIT_NOFILE, lower, false), Ok(()));
        assert_eq!(limits.set(RLIMIT_NOFILE, Rlimit { soft: 20, hard: 20 }, false), Ok(()));
        assert_eq!(limits.set(RLIMIT_NOFILE, Rlimit { soft: 20, hard: 21 }, false), Err(Errno::EPERM));
        assert_eq!(limits.set(RLIMIT_NOFILE, Rlimit { soft: 20, hard: 21 }, true), Ok(()));
        assert_eq!(limits.set(RLIMIT_NOFILE, Rlimit { soft: 22, hard: 21 }, true), Err(Errno::EINVAL));
        assert_eq!(limits.set(RLIMIT_NOFILE, Rlimit::NONE, true), Err(Errno::EPERM));
        assert_eq!(limits.set(RLIM_NLIMITS, lower, true), Err(Errno::EINVAL));
        assert_eq!(limits.get(RLIMIT_NOFILE), Ok(Rlimit { soft: 20, hard: 21 }));
        assert_eq!(limits.get(RLIM_NLIMITS), Err(Errno::EINVAL));
    }

    #[test]
    fn the_table_reads_as_linux_writes_it() {
        let mut text = String::new();
        Rlimits::default().print(&mut text).expect("text");
        let lines: alloc::vec::Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Limit                     Soft Limit           Hard Limit           Units     ");
        assert_eq!(lines[1], "Max cpu time              unlimited            unlimited            seconds   ");
        assert_eq!(lines[8], "Max open files            1024                 4096                 files     ");
        assert_eq!(lines.len(), 17);
    }
}
