//! What a process may do less than its credentials allow. Children inherit it, exec(2) keeps it.

use super::{Capabilities, Credentials, Rlimit, Rlimits, Seccomp, users::UserProcess};
use core::sync::atomic::{AtomicBool, AtomicI16, Ordering};
use linux_raw_sys::general::RLIMIT_NPROC;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// What binds a process, as a value: what its children begin with.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// How its calls are filtered.
    pub seccomp: Seccomp,
    /// Its resource limits.
    pub limits: Rlimits,
    /// How willingly it is killed when the machine is out of memory, -1000 to 1000.
    pub oom_score_adj: i16,
}

/// The confinement of one process.
#[derive(Debug)]
pub struct Confinement {
    seccomp: SpinLock<Seccomp>,
    limits: SpinLock<Rlimits>,
    /// Counts as a process of its user until it has been waited for.
    process: SpinLock<Option<UserProcess>>,
    /// A change of user made one process too many of that user's: it may go on, but run no further program (execve(2)).
    excessive: AtomicBool,
    /// How willingly it is killed when the machine is out of memory, -1000 to 1000.
    oom_score_adj: AtomicI16,
}

impl Confinement {
    /// Of a process with these credentials; EAGAIN if it is one too many of its user's (RLIMIT_NPROC).
    pub fn new(credentials: &Credentials, bounds: Bounds) -> Result<Self, Errno> {
        let Bounds { seccomp, limits, oom_score_adj } = bounds;
        let most = processes_of(credentials, &limits);
        Ok(Self {
            seccomp: SpinLock::new(seccomp),
            limits: SpinLock::new(limits),
            process: SpinLock::new(Some(UserProcess::new(credentials.uid, most)?)),
            excessive: AtomicBool::new(false),
            oom_score_adj: AtomicI16::new(oom_score_adj),
        })
    }

    /// A child's, to begin with (fork(2)); EAGAIN.
    pub fn inherited(&self, credentials: &Credentials) -> Result<Self, Errno> {
        Self::new(credentials, self.bounds())
    }

    /// What binds it now.
    pub fn bounds(&self) -> Bounds {
        Bounds { seccomp: self.seccomp(), limits: self.limits(), oom_score_adj: self.oom_score_adj() }
    }

    /// How its calls are filtered.
    pub fn seccomp(&self) -> Seccomp {
        self.seccomp.lock().clone()
    }

    /// Whether a call of this number need not be judged at all.
    pub fn allows_call(&self, number: u32) -> bool {
        match &*self.seccomp.lock() {
            Seccomp::Disabled => true,
            Seccomp::Strict => false,
            Seccomp::Filtered(filter) => filter.always_allows(number),
        }
    }

    /// Exchanges how its calls are filtered. To be called by the process itself, with something stricter.
    pub fn set_seccomp(&self, seccomp: Seccomp) {
        let old = core::mem::replace(&mut *self.seccomp.lock(), seccomp);
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

    /// How willingly it is killed when the machine is out of memory: -1000 never, 1000 first.
    pub fn oom_score_adj(&self) -> i16 {
        self.oom_score_adj.load(Ordering::Relaxed)
    }

    /// Sets [`Self::oom_score_adj`].
    pub fn set_oom_score_adj(&self, value: i16) {
        self.oom_score_adj.store(value, Ordering::Relaxed);
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
