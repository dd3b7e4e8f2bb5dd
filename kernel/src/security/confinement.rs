//! What a process may do less than its credentials allow. Children inherit it, exec(2) keeps it.

use super::Seccomp;
use veridian_hal::sync::SpinLock;

/// The confinement of one process.
#[derive(Debug, Default)]
pub struct Confinement {
    seccomp: SpinLock<Seccomp>,
}

impl Confinement {
    /// A child's, to begin with (fork(2)).
    pub fn inherited(&self) -> Self {
        Self { seccomp: SpinLock::new(self.seccomp()) }
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
}
