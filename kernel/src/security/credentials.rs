//! User and group ids, and the rules of setuid(2) and its family (credentials(7), capabilities(7)).

use super::{Capabilities, Groups, SecureBits};
use crate::namespace::UserNamespace;
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

/// A task's identity. A value: changes make another. Ids are the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Saved set-user-id.
    pub suid: u32,
    /// User id for file access.
    pub fsuid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Saved set-group-id.
    pub sgid: u32,
    /// Group id for file access.
    pub fsgid: u32,
    /// Supplementary groups.
    pub groups: Arc<Groups>,
    /// What is checked.
    pub effective: Capabilities,
    /// What may be made effective again.
    pub permitted: Capabilities,
    /// What an executed program may take over.
    pub inheritable: Capabilities,
    /// What no exec gains beyond.
    pub bounding: Capabilities,
    /// What every executed program without set-ids keeps; always both permitted and inheritable.
    pub ambient: Capabilities,
    /// What user 0 does not get for being user 0.
    pub securebits: SecureBits,
    /// No exec gains anything (PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
    /// Where the capabilities count, and whose ids the task sees.
    pub user_namespace: Arc<UserNamespace>,
}

impl Credentials {
    /// User and group 0 with all capabilities.
    pub fn root() -> Self {
        Self::of(0, 0, Arc::default())
    }

    /// All user ids `uid`, all group ids `gid`, in the first user namespace. User 0 has all capabilities, any other
    /// none.
    pub fn of(uid: u32, gid: u32, groups: Arc<Groups>) -> Self {
        let capabilities = if uid == 0 { Capabilities::all() } else { Capabilities::empty() };
        Self {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups,
            effective: capabilities,
            permitted: capabilities,
            inheritable: Capabilities::empty(),
            bounding: Capabilities::all(),
            ambient: Capabilities::empty(),
            securebits: SecureBits::empty(),
            no_new_privileges: false,
            user_namespace: UserNamespace::first().clone(),
        }
    }

    /// Whether all of `capabilities` are effective in the first user namespace: for what belongs to the machine.
    pub fn capable(&self, capabilities: Capabilities) -> bool {
        self.capable_in(UserNamespace::first(), capabilities)
    }

    /// Whether all of `capabilities` are effective in `namespace`: in one's own those of the effective set; in one below
    /// also all, if its way up leads to a namespace that the effective user made from one's own (user_namespaces(7)).
    pub fn capable_in(&self, namespace: &UserNamespace, capabilities: Capabilities) -> bool {
        let mut at = namespace;
        loop {
            if at == &*self.user_namespace {
                return self.effective.contains(capabilities);
            }
            if at.level() <= self.user_namespace.level() {
                return false;
            }
            let Some(parent) = at.parent() else { return false };
            if **parent == *self.user_namespace && at.creator().uid == self.euid {
                return true;
            }
            at = parent;
        }
    }

    /// Whether all of `capabilities` are effective in the task's own user namespace.
    pub fn capable_at_home(&self, capabilities: Capabilities) -> bool {
        self.effective.contains(capabilities)
    }

    /// Whether all of `capabilities` are effective over a file of `uid` and `gid`: both ids must be mapped in the task's
    /// user namespace.
    pub fn capable_over(&self, uid: u32, gid: u32, capabilities: Capabilities) -> bool {
        self.effective.contains(capabilities) && self.user_namespace.maps(uid, gid)
    }

    /// Whether `gid` is the group for file access or a supplementary one.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.binary_search(&gid).is_ok()
    }

    /// setuid(2).
    pub fn set_uid(&self, uid: u32) -> Result<Self, Errno> {
        let mut new = self.clone();
        if self.capable_at_home(Capabilities::SETUID) {
            (new.uid, new.suid) = (uid, uid);
        } else if uid != self.uid && uid != self.suid {
            return Err(Errno::EPERM);
        }
        (new.euid, new.fsuid) = (uid, uid);
        Ok(new.after_uid_change(self))
    }

    /// setresuid(2); `None` leaves an id as it is.
    pub fn set_res_uid(&self, uid: Option<u32>, euid: Option<u32>, suid: Option<u32>) -> Result<Self, Errno> {
        for id in [uid, euid, suid].into_iter().flatten() {
            if ![self.uid, self.euid, self.suid].contains(&id) && !self.capable_at_home(Capabilities::SETUID) {
                return Err(Errno::EPERM);
            }
        }
        let mut new = self.clone();
        new.uid = uid.unwrap_or(self.uid);
        new.euid = euid.unwrap_or(self.euid);
        new.suid = suid.unwrap_or(self.suid);
        new.fsuid = new.euid;
        Ok(new.after_uid_change(self))
    }

    /// setreuid(2); `None` leaves an id as it is.
    pub fn set_re_uid(&self, uid: Option<u32>, euid: Option<u32>) -> Result<Self, Errno> {
        let may = self.capable_at_home(Capabilities::SETUID);
        let known = uid.is_none_or(|id| [self.uid, self.euid].contains(&id))
            && euid.is_none_or(|id| [self.uid, self.euid, self.suid].contains(&id));
        if !known && !may {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.uid = uid.unwrap_or(self.uid);
        new.euid = euid.unwrap_or(self.euid);
        if uid.is_some() || euid.is_some_and(|id| id != self.uid) {
            new.suid = new.euid;
        }
        new.fsuid = new.euid;
        Ok(new.after_uid_change(self))
    }

    /// setfsuid(2): changes nothing when not allowed.
    pub fn set_fs_uid(&self, fsuid: u32) -> Self {
        let mut new = self.clone();
        if [self.uid, self.euid, self.suid, self.fsuid].contains(&fsuid) || self.capable_at_home(Capabilities::SETUID) {
            new.fsuid = fsuid;
            let root = self.user_namespace.root_user();
            if self.securebits.contains(SecureBits::NO_SETUID_FIXUP) {
                return new;
            }
            if Some(self.fsuid) == root && Some(fsuid) != root {
                new.effective -= Capabilities::OF_FILES;
            } else if Some(self.fsuid) != root && Some(fsuid) == root {
                new.effective |= self.permitted & Capabilities::OF_FILES;
            }
        }
        new
    }

    /// setgid(2).
    pub fn set_gid(&self, gid: u32) -> Result<Self, Errno> {
        let mut new = self.clone();
        if self.capable_at_home(Capabilities::SETGID) {
            (new.gid, new.sgid) = (gid, gid);
        } else if gid != self.gid && gid != self.sgid {
            return Err(Errno::EPERM);
        }
        (new.egid, new.fsgid) = (gid, gid);
        Ok(new)
    }

    /// setresgid(2); `None` leaves an id as it is.
    pub fn set_res_gid(&self, gid: Option<u32>, egid: Option<u32>, sgid: Option<u32>) -> Result<Self, Errno> {
        for id in [gid, egid, sgid].into_iter().flatten() {
            if ![self.gid, self.egid, self.sgid].contains(&id) && !self.capable_at_home(Capabilities::SETGID) {
                return Err(Errno::EPERM);
            }
        }
        let mut new = self.clone();
        new.gid = gid.unwrap_or(self.gid);
        new.egid = egid.unwrap_or(self.egid);
        new.sgid = sgid.unwrap_or(self.sgid);
        new.fsgid = new.egid;
        Ok(new)
    }

    /// setregid(2); `None` leaves an id as it is.
    pub fn set_re_gid(&self, gid: Option<u32>, egid: Option<u32>) -> Result<Self, Errno> {
        let may = self.capable_at_home(Capabilities::SETGID);
        let known = gid.is_none_or(|id| [self.gid, self.egid].contains(&id))
            && egid.is_none_or(|id| [self.gid, self.egid, self.sgid].contains(&id));
        if !known && !may {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.gid = gid.unwrap_or(self.gid);
        new.egid = egid.unwrap_or(self.egid);
        if gid.is_some() || egid.is_some_and(|id| id != self.gid) {
            new.sgid = new.egid;
        }
        new.fsgid = new.egid;
        Ok(new)
    }

    /// setfsgid(2): changes nothing when not allowed.
    pub fn set_fs_gid(&self, fsgid: u32) -> Self {
        let mut new = self.clone();
        if [self.gid, self.egid, self.sgid, self.fsgid].contains(&fsgid) || self.capable_at_home(Capabilities::SETGID) {
            new.fsgid = fsgid;
        }
        new
    }

    /// EPERM unless setgroups(2) is allowed: with CAP_SETGID, and in a user namespace that has a map of groups and
    /// does not deny it.
    pub fn permit_set_groups(&self) -> Result<(), Errno> {
        let may = self.capable_at_home(Capabilities::SETGID) && self.user_namespace.allows_set_groups();
        if may { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// setgroups(2).
    pub fn set_groups(&self, groups: Arc<Groups>) -> Result<Self, Errno> {
        self.permit_set_groups()?;
        if groups.len() > Groups::MAX || groups.contains(&u32::MAX) {
            return Err(Errno::EINVAL);
        }
        Ok(Self { groups, ..self.clone() })
    }

    /// capabilities(7), "Effect of user ID changes on capabilities".
    fn after_uid_change(mut self, old: &Self) -> Self {
        if old.securebits.contains(SecureBits::NO_SETUID_FIXUP) {
            return self;
        }
        let root = self.user_namespace.root_user();
        let is_root = |id: u32| Some(id) == root;
        let any_root = |who: &Self| [who.uid, who.euid, who.suid].into_iter().any(is_root);
        if any_root(old) && !any_root(&self) {
            if !old.securebits.contains(SecureBits::KEEP_CAPS) {
                self.permitted = Capabilities::empty();
                self.effective = Capabilities::empty();
            }
            self.ambient = Capabilities::empty();
        }
        if is_root(old.euid) && !is_root(self.euid) {
            self.effective = Capabilities::empty();
        } else if !is_root(old.euid) && is_root(self.euid) {
            self.effective = self.permitted;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_user_0_for_good_clears_all_capabilities() {
        let user = Credentials::root().set_uid(1000).expect("root may");
        assert_eq!((user.uid, user.euid, user.suid, user.fsuid), (1000, 1000, 1000, 1000));
        assert!(user.permitted.is_empty() && user.effective.is_empty());
        assert_eq!(user.set_uid(0), Err(Errno::EPERM));
        assert_eq!(user.set_res_uid(None, Some(0), None), Err(Errno::EPERM));
        assert_eq!(user.set_groups(Groups::of([1].into())), Err(Errno::EPERM));
    }

    #[test]
    fn a_saved_user_0_can_come_back() {
        let user = Credentials::root().set_res_uid(None, Some(1000), None).expect("root may");
        assert!(user.effective.is_empty() && user.permitted == Capabilities::all());
        let back = user.set_res_uid(None, Some(0), None).expect("the real id is 0");
        assert!(back.capable(Capabilities::SYS_ADMIN));
    }

    #[test]
    fn securebits_keep_capabilities_over_a_change_of_user() {
        let mut root = Credentials::root();
        root.securebits = SecureBits::KEEP_CAPS;
        root.ambient = Capabilities::KILL;
        let kept = root.set_uid(1000).expect("root may");
        assert_eq!((kept.permitted, kept.effective), (Capabilities::all(), Capabilities::empty()));
        assert!(kept.ambient.is_empty());
        root.securebits = SecureBits::NO_SETUID_FIXUP;
        let fixed = root.set_uid(1000).expect("root may");
        assert_eq!((fixed.permitted, fixed.effective, fixed.ambient), (root.permitted, root.effective, root.ambient));
        assert_eq!(root.set_fs_uid(1000).effective, root.effective);
    }

    #[test]
    fn the_user_id_for_files_takes_the_capabilities_over_files_along() {
        let other = Credentials::root().set_fs_uid(1000);
        assert_eq!(other.effective, Capabilities::all() - Capabilities::OF_FILES);
        assert_eq!(other.set_fs_uid(0).effective, Capabilities::all());
        let user = Credentials::of(1000, 1000, Groups::of([5, 3].into()));
        assert_eq!(user.set_fs_uid(0).fsuid, 1000);
        assert!(user.in_group(3) && user.in_group(1000) && !user.in_group(4));
    }
}
