//! What a process may do less than its credentials allow. Children inherit it, exec(2) keeps it.

use super::{Capabilities, Credentials, Rlimit, Rlimits, Seccomp, users::UserProcess};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general::{RLIMIT_CPU, RLIMIT_NPROC};
use veridian_containers::{Signal, abi::Errno};
use veridian_hal::sync::SpinLock;

/// How willingly a process is killed when memory is out: -1000, never, to 1000, first (proc_pid_oom_score_adj(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OomScoreAdj {
    value: i16,
    /// What it can be lowered to by who is not privileged.
    least: i16,
}

impl OomScoreAdj {
    /// What spares a process.
    pub const NEVER: i16 = -1000;

    /// The value.
    pub fn get(self) -> i16 {
        self.value
    }

    /// Sets it. EINVAL beyond -1000 to 1000; EACCES for lowering it, unless `privileged` (CAP_SYS_RESOURCE), below what
    /// somebody privileged has set.
    pub fn set(&mut self, value: i16, privileged: bool) -> Result<(), Errno> {
        if !(Self::NEVER..=1000).contains(&value) {
            return Err(Errno::EINVAL);
        }
        if value < self.least && !privileged {
            return Err(Errno::EACCES);
        }
        *self = Self { value, least: if privileged { value } else { self.least } };
        Ok(())
    }
}

/// What binds a process, as a value: what its children begin with.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// How its calls are filtered.
    pub seccomp: Seccomp,
    /// Its resource limits.
    pub limits: Rlimits,
    /// How willingly it is killed when memory is out.
    pub oom_score_adj: OomScoreAdj,
}

/// The confinement of one thread, in part its process's.
#[derive(Debug)]
pub struct Confinement {
    seccomp: SpinLock<Seccomp>,
    /// Whether its calls are filtered at all: looked at without the lock.
    judges_calls: AtomicBool,
    /// The process's: all of its threads have the same.
    limits: Arc<SpinLock<Rlimits>>,
    /// Counts as a process of its user until it has been waited for.
    process: SpinLock<Option<UserProcess>>,
    /// A change of user made one process too many of that user's: it may go on, but run no further program (execve(2)).
    excessive: AtomicBool,
    oom_score_adj: Arc<SpinLock<OomScoreAdj>>,
}

impl Confinement {
    /// Of a process with these credentials; EAGAIN if it is one too many of its user's (RLIMIT_NPROC).
    pub fn new(credentials: &Credentials, bounds: Bounds) -> Result<Self, Errno> {
        let Bounds { seccomp, limits, oom_score_adj } = bounds;
        let (limits, oom_score_adj) = (Arc::new(SpinLock::new(limits)), Arc::new(SpinLock::new(oom_score_adj)));
        Self::sharing(credentials, seccomp, limits, oom_score_adj)
    }

    fn sharing(
        credentials: &Credentials,
        seccomp: Seccomp,
        limits: Arc<SpinLock<Rlimits>>,
        oom_score_adj: Arc<SpinLock<OomScoreAdj>>,
    ) -> Result<Self, Errno> {
        let most = processes_of(credentials, &limits.lock());
        Ok(Self {
            judges_calls: AtomicBool::new(!matches!(seccomp, Seccomp::Disabled)),
            seccomp: SpinLock::new(seccomp),
            limits,
            process: SpinLock::new(Some(UserProcess::new(credentials.uid, most)?)),
            excessive: AtomicBool::new(false),
            oom_score_adj,
        })
    }

    /// A child's, to begin with (fork(2)); EAGAIN.
    pub fn inherited(&self, credentials: &Credentials) -> Result<Self, Errno> {
        Self::new(credentials, self.bounds())
    }

    /// A further thread's of the same process (clone(2)): its limits are one; EAGAIN.
    pub fn of_sibling(&self, credentials: &Credentials) -> Result<Self, Errno> {
        Self::sharing(credentials, self.seccomp(), self.limits.clone(), self.oom_score_adj.clone())
    }

    /// What binds it now.
    pub fn bounds(&self) -> Bounds {
        Bounds { seccomp: self.seccomp(), limits: self.limits(), oom_score_adj: self.oom_score_adj() }
    }

    /// How its calls are filtered.
    pub fn seccomp(&self) -> Seccomp {
        self.seccomp.lock().clone()
    }

    /// Whether there is anything that its calls are filtered by.
    pub fn judges_calls(&self) -> bool {
        self.judges_calls.load(Ordering::Acquire)
    }

    /// Whether a call of this number is allowed whatever its arguments are.
    pub fn allows_call(&self, number: u32) -> bool {
        match &*self.seccomp.lock() {
            Seccomp::Disabled => true,
            Seccomp::Strict => false,
            Seccomp::Filtered(filter) => filter.always_allows(number),
        }
    }

    /// Exchanges how its calls are filtered. To be called by the process itself, with something stricter.
    pub fn set_seccomp(&self, seccomp: Seccomp) {
        let judges = !matches!(seccomp, Seccomp::Disabled);
        let old = core::mem::replace(&mut *self.seccomp.lock(), seccomp);
        self.judges_calls.store(judges, Ordering::Release);
        drop(old);
    }

    /// Its resource limits.
    pub fn limits(&self) -> Rlimits {
        *self.limits.lock()
    }

    /// What is enforced of a kind of limit (`RLIMIT_*`).
    pub fn limit(&self, kind: u32) -> u64 {
        self.limits.lock().soft(kind)
    }

    /// Sets a limit, with the rules of [`Rlimits::set`]; gives the old one.
    pub fn set_limit(&self, kind: u32, limit: Rlimit, privileged: bool) -> Result<Rlimit, Errno> {
        let mut limits = self.limits.lock();
        let old = limits.get(kind)?;
        limits.set(kind, limit, privileged)?;
        Ok(old)
    }

    /// Notes who the process is now, when that has changed.
    pub fn set_user(&self, credentials: &Credentials) {
        let same = self.process.lock().as_ref().is_none_or(|process| process.user() == credentials.uid);
        if same {
            return;
        }
        let most = processes_of(credentials, &self.limits());
        let Ok(process) = UserProcess::new(credentials.uid, u64::MAX) else { return };
        self.excessive.store(process.exceeds(most), Ordering::Relaxed);
        let old = self.process.lock().replace(process);
        drop(old);
    }

    /// Whether the process may run another program: EAGAIN while its user has too many processes since it became that
    /// user.
    pub fn permit_exec(&self, credentials: &Credentials) -> Result<(), Errno> {
        let most = processes_of(credentials, &self.limits());
        let exceeds = self.excessive.load(Ordering::Relaxed)
            && self.process.lock().as_ref().is_some_and(|process| process.exceeds(most));
        self.excessive.store(exceeds, Ordering::Relaxed);
        if exceeds { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// The process has been waited for: it does not count any more.
    pub fn depart(&self) {
        let process = self.process.lock().take();
        drop(process);
    }

    /// How willingly it is killed when memory is out.
    pub fn oom_score_adj(&self) -> OomScoreAdj {
        *self.oom_score_adj.lock()
    }

    /// Sets it, with the rules of [`OomScoreAdj::set`].
    pub fn set_oom_score_adj(&self, value: i16, privileged: bool) -> Result<(), Errno> {
        self.oom_score_adj.lock().set(value, privileged)
    }

    /// The signal for a process that has had `seconds` of CPU time (setrlimit(2), RLIMIT_CPU): SIGKILL at the hard
    /// limit, SIGXCPU at the other one and each second from then on.
    pub fn cpu_time_signal(&self, seconds: u64) -> Option<Signal> {
        let mut limits = self.limits.lock();
        let Rlimit { soft, hard } = limits.get(RLIMIT_CPU).ok()?;
        if seconds >= hard {
            return Some(Signal::SIGKILL);
        }
        // A limit of 0 is one of a second, as on Linux.
        if seconds < soft.max(1) {
            return None;
        }
        limits.set(RLIMIT_CPU, Rlimit { soft: (seconds + 1).min(hard), hard }, false).ok()?;
        Some(Signal::SIGXCPU)
    }
}

/// How many processes these credentials may have: RLIMIT_NPROC, which does not bind the machine's user 0 nor who may
/// exceed limits (fork(2)).
fn processes_of(credentials: &Credentials, limits: &Rlimits) -> u64 {
    let exempt = credentials.uid == 0
        || credentials.capable(Capabilities::SYS_RESOURCE)
        || credentials.capable(Capabilities::SYS_ADMIN);
    if exempt { u64::MAX } else { limits.soft(RLIMIT_NPROC) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oom_score_is_lowered_no_further_than_somebody_privileged_has() {
        let mut score = OomScoreAdj::default();
        assert_eq!((score.set(1001, true), score.set(-1001, true)), (Err(Errno::EINVAL), Err(Errno::EINVAL)));
        assert_eq!((score.set(500, false), score.set(0, false)), (Ok(()), Ok(())));
        assert_eq!(score.set(-1, false), Err(Errno::EACCES));
        assert_eq!((score.set(-300, true), score.set(7, false), score.set(-300, false)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((score.set(-301, false), score.get()), (Err(Errno::EACCES), -300));
    }
}
