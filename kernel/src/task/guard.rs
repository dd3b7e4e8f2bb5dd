//! What keeps others out of a process, and what happens to it when its parent ends.

use super::Thread;
use crate::{namespace::UserNamespace, security::Credentials};
use alloc::sync::Arc;
use veridian_containers::{Signal, abi::Errno};

/// See [`Thread::permit_access`] and PR_SET_PDEATHSIG of prctl(2).
#[derive(Clone, Debug)]
pub struct Guard {
    /// PR_SET_DUMPABLE: whether the process's own user may look into it.
    pub dumpable: bool,
    /// The user namespace that its program was executed in: who may look into it although it is not dumpable.
    pub program_namespace: Arc<UserNamespace>,
    /// What it is sent when its parent ends.
    pub death_signal: Option<Signal>,
}

impl Guard {
    /// Of a program that `credentials` have executed. One that got rights by it (`secure`), or that its user may not
    /// read, is not dumpable.
    pub fn of_program(credentials: &Credentials, secure: bool) -> Self {
        let same = credentials.uid == credentials.euid && credentials.gid == credentials.egid;
        Self { dumpable: same && !secure, program_namespace: credentials.user_namespace.clone(), death_signal: None }
    }

    /// Of a child made by fork(2).
    pub fn inherited(&self) -> Self {
        Self { death_signal: None, ..self.clone() }
    }

    /// After a change of credentials: who acts as somebody else, or has more rights, is closed to those who were his
    /// equals.
    pub fn after_change(&mut self, old: &Credentials, new: &Credentials) {
        let ids = |who: &Credentials| [who.euid, who.egid, who.fsuid, who.fsgid];
        if ids(old) != ids(new) || !new.gains_nothing_over(old) {
            self.dumpable = false;
            self.death_signal = None;
        }
    }
}

impl Thread {
    /// EPERM unless `viewer` may look into the process ([`Credentials::permit_access`]).
    pub fn permit_access_by(&self, viewer: &Credentials) -> Result<(), Errno> {
        let guard = self.guard();
        let guarded = (!guard.dumpable).then_some(&*guard.program_namespace);
        viewer.permit_access(&self.credentials(), guarded)
    }

    /// As [`Self::permit_access_by`], by another process; one may always look into oneself.
    pub fn permit_access(&self, viewer: &Self) -> Result<(), Errno> {
        if core::ptr::eq(self, viewer) { Ok(()) } else { self.permit_access_by(&viewer.credentials()) }
    }
}
