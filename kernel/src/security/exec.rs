//! What execve(2) makes of credentials (capabilities(7), "Transformation of capabilities during execve()").
//!
//! There are no file capabilities: no file system here keeps the attribute `security.capability`.

use super::{Capabilities, Credentials, SecureBits};

/// What the file that is executed says about ids: its set-user-id and set-group-id bits with its owner. Its mount has
/// already been asked whether they count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetIds {
    /// The owner, when the file is set-user-id.
    pub uid: Option<u32>,
    /// The group, when the file is set-group-id.
    pub gid: Option<u32>,
}

/// Who an executed program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its credentials.
    pub credentials: Credentials,
    /// It has rights that its caller had not: it must not trust its environment (AT_SECURE), and others may not look
    /// into it.
    pub secure: bool,
}

impl Credentials {
    /// The credentials of a program that is executed with these.
    pub fn at_exec(&self, ids: SetIds) -> Executed {
        let mut new = self.clone();
        if !self.no_new_privileges {
            new.euid = ids.uid.unwrap_or(self.euid);
            new.egid = ids.gid.unwrap_or(self.egid);
        }
        let root = self.user_namespace.root_user();
        let root_counts = !self.securebits.contains(SecureBits::NOROOT);
        let really_root = Some(new.uid) == root;
        let effectively_root = Some(new.euid) == root;
        new.permitted = if root_counts && (really_root || effectively_root) {
            self.bounding | self.inheritable
        } else {
            Capabilities::empty()
        };
        let raises = root_counts && effectively_root;
        let sets_id = new.euid != self.uid || new.egid != self.gid;
        if self.no_new_privileges && (sets_id || !self.permitted.contains(new.permitted)) {
            // No more than before, and maybe less.
            (new.euid, new.egid) = (new.uid, new.gid);
            new.permitted &= self.permitted;
        }
        (new.suid, new.fsuid) = (new.euid, new.euid);
        (new.sgid, new.fsgid) = (new.egid, new.egid);
        if sets_id {
            new.ambient = Capabilities::empty();
        }
        new.permitted |= new.ambient;
        new.effective = if raises { new.permitted } else { new.ambient };
        new.securebits -= SecureBits::KEEP_CAPS;
        let grown = !new.ambient.contains(new.permitted);
        let secure = sets_id || !really_root && (raises || grown);
        Executed { credentials: new, secure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;

    const USER: u32 = 1000;

    fn user() -> Credentials {
        Credentials::of(USER, USER, Arc::default())
    }

    #[test]
    fn user_0_gains_the_bounding_set_and_others_lose_theirs() {
        let bounding = Capabilities::CHOWN | Capabilities::KILL;
        let mut root = Credentials { bounding, ..Credentials::root() };
        let executed = root.at_exec(SetIds::default());
        assert_eq!((executed.credentials.permitted, executed.credentials.effective), (bounding, bounding));
        assert!(!executed.secure);
        root.inheritable = Capabilities::SYS_TIME;
        assert_eq!(root.at_exec(SetIds::default()).credentials.permitted, bounding | Capabilities::SYS_TIME);
        let mut other = user();
        (other.permitted, other.effective, other.inheritable) = (bounding, bounding, bounding);
        let executed = other.at_exec(SetIds::default());
        assert!(executed.credentials.permitted.is_empty() && executed.credentials.effective.is_empty());
        assert_eq!(executed.credentials.inheritable, bounding);
        assert!(!executed.secure);
    }

    #[test]
    fn a_set_user_id_program_of_user_0_gains_all_that_is_bounded() {
        let executed = user().at_exec(SetIds { uid: Some(0), gid: None });
        let new = executed.credentials;
        assert_eq!((new.uid, new.euid, new.suid, new.fsuid), (USER, 0, 0, 0));
        assert!(new.capable(Capabilities::all()) && executed.secure);
        let noroot = Credentials { securebits: SecureBits::NOROOT, ..user() };
        let executed = noroot.at_exec(SetIds { uid: Some(0), gid: None });
        assert_eq!((executed.credentials.euid, executed.credentials.permitted), (0, Capabilities::empty()));
        assert!(executed.secure);
    }

    #[test]
    fn without_new_privileges_nothing_is_gained() {
        let held = Credentials { no_new_privileges: true, ..user() };
        let executed = held.at_exec(SetIds { uid: Some(0), gid: Some(0) });
        assert_eq!(executed.credentials, held);
        assert!(!executed.secure);
        let mut root = Credentials { no_new_privileges: true, ..Credentials::root() };
        root.permitted = Capabilities::CHOWN;
        let executed = root.at_exec(SetIds::default());
        assert_eq!(executed.credentials.permitted, Capabilities::CHOWN);
        assert_eq!(executed.credentials.effective, Capabilities::CHOWN);
    }

    #[test]
    fn ambient_capabilities_stay_unless_ids_are_set() {
        let kill = Capabilities::KILL;
        let mut holder = user();
        (holder.permitted, holder.inheritable, holder.ambient) = (Capabilities::all(), kill, kill);
        let executed = holder.at_exec(SetIds::default());
        let new = &executed.credentials;
        assert_eq!((new.permitted, new.effective, new.ambient, executed.secure), (kill, kill, kill, false));
        let executed = holder.at_exec(SetIds { uid: Some(2000), gid: None });
        let new = &executed.credentials;
        assert!(new.permitted.is_empty() && new.effective.is_empty() && new.ambient.is_empty() && executed.secure);
    }

    #[test]
    fn a_real_user_0_with_another_effective_one_has_permitted_and_no_effective_capabilities() {
        let root = Credentials::root().set_res_uid(None, Some(USER), None).expect("root may");
        let executed = root.at_exec(SetIds::default());
        assert_eq!(executed.credentials.permitted, Capabilities::all());
        assert!(executed.credentials.effective.is_empty() && executed.secure);
    }

    #[test]
    fn keeping_capabilities_ends_at_exec() {
        let root = Credentials { securebits: SecureBits::all(), ..Credentials::root() };
        let bits = root.at_exec(SetIds::default()).credentials.securebits;
        assert_eq!(bits, SecureBits::all() - SecureBits::KEEP_CAPS);
    }
}
