//! Whether a task may act on another one (kill(2); ptrace(2), "Ptrace access mode checking").

use super::{Capabilities, Credentials};
use crate::namespace::UserNamespace;
use veridian_containers::abi::Errno;

impl Credentials {
    /// EPERM unless these may signal a task of `target`: with the real or effective user id equal to its real or saved
    /// one, or with CAP_KILL in its user namespace.
    pub fn permit_signal(&self, target: &Self) -> Result<(), Errno> {
        let same = [self.uid, self.euid].iter().any(|uid| [target.uid, target.suid].contains(uid));
        if same || self.capable_in(&target.user_namespace, Capabilities::KILL) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// EPERM unless these may look into another process: its memory, its namespaces, what `/proc` does not show to all.
    /// All its user and group ids must be those for file access, and it must have no capability that is not effective
    /// here; or CAP_SYS_PTRACE must be effective in its user namespace. `guarded` is given for a process that is not
    /// dumpable, with the user namespace that its program was executed in: CAP_SYS_PTRACE is needed there.
    pub fn permit_access(&self, target: &Self, guarded: Option<&UserNamespace>) -> Result<(), Errno> {
        let users = [target.uid, target.euid, target.suid].iter().all(|id| *id == self.fsuid);
        let groups = [target.gid, target.egid, target.sgid].iter().all(|id| *id == self.fsgid);
        let traces = |namespace: &UserNamespace| self.capable_in(namespace, Capabilities::SYS_PTRACE);
        let above = traces(&target.user_namespace);
        let no_more = self.user_namespace == target.user_namespace && self.effective.contains(target.permitted);
        let may = (above || users && groups && no_more) && guarded.is_none_or(traces);
        if may { Ok(()) } else { Err(Errno::EPERM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;

    fn user(uid: u32) -> Credentials {
        Credentials::of(uid, uid, Arc::default())
    }

    #[test]
    fn signals_go_to_the_same_user_and_from_above() {
        assert_eq!(user(5).permit_signal(&user(5)), Ok(()));
        assert_eq!(user(5).permit_signal(&user(6)), Err(Errno::EPERM));
        assert_eq!(user(0).permit_signal(&user(6)), Ok(()));
        let inside = user(5).in_new_user_namespace().expect("anybody may");
        assert_eq!(inside.permit_signal(&user(6)), Err(Errno::EPERM));
        assert_eq!(inside.permit_signal(&user(5)), Ok(()));
        assert_eq!(user(0).permit_signal(&inside), Ok(()));
    }

    #[test]
    fn one_looks_into_processes_with_the_same_ids_and_no_more_rights() {
        assert_eq!(user(5).permit_access(&user(5), None), Ok(()));
        assert_eq!(user(5).permit_access(&user(6), None), Err(Errno::EPERM));
        assert_eq!(user(5).permit_access(&user(5), Some(UserNamespace::first())), Err(Errno::EPERM));
        assert_eq!(user(0).permit_access(&user(6), Some(UserNamespace::first())), Ok(()));
        let stronger = Credentials { permitted: Capabilities::KILL, ..user(5) };
        assert_eq!(user(5).permit_access(&stronger, None), Err(Errno::EPERM));
        let saved = Credentials { suid: 0, ..user(5) };
        assert_eq!(user(5).permit_access(&saved, None), Err(Errno::EPERM));
    }

    #[test]
    fn all_of_a_user_namespace_is_open_to_its_maker_and_closed_to_those_in_it_from_outside() {
        let maker = user(5);
        let inside = maker.in_new_user_namespace().expect("anybody may");
        assert_eq!(maker.permit_access(&inside, None), Ok(()));
        assert_eq!(inside.permit_access(&maker, None), Err(Errno::EPERM));
        // A program that came in from outside and is not dumpable stays closed to those inside.
        let visitor = Credentials { uid: 0, ..inside.clone() };
        assert_eq!(inside.permit_access(&visitor, None), Ok(()));
        assert_eq!(inside.permit_access(&visitor, Some(UserNamespace::first())), Err(Errno::EPERM));
    }
}
