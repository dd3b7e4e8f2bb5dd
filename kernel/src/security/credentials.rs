//! User and group ids, and the rules of setuid(2) and its family (credentials(7), capabilities(7)).

use super::Capabilities;
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

/// The most supplementary groups (NGROUPS_MAX).
pub const GROUPS_MAX: usize = 65536;

/// A task's identity. A value: changes make another.
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
    /// Supplementary groups, sorted.
    pub groups: Arc<[u32]>,
    /// What may be made effective again.
    pub permitted: Capabilities,
    /// What is checked.
    pub effective: Capabilities,
}

/// What the file that is executed says about ids: its set-user-id and set-group-id bits with its owner, already
/// dropped if its mount is nosuid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetIds {
    /// The owner, when the file is set-user-id.
    pub uid: Option<u32>,
    /// The group, when the file is set-group-id.
    pub gid: Option<u32>,
}

impl Credentials {
    /// User and group 0 with all capabilities.
    pub fn root() -> Self {
        Self::of(0, 0, Arc::from([]))
    }

    /// All user ids `uid`, all group ids `gid`. User 0 has all capabilities, any other none.
    pub fn of(uid: u32, gid: u32, groups: Arc<[u32]>) -> Self {
        let capabilities = if uid == 0 { Capabilities::all() } else { Capabilities::empty() };
        let mut credentials = Self {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: Arc::from([]),
            permitted: capabilities,
            effective: capabilities,
        };
        credentials.groups = sorted(&groups);
        credentials
    }

    /// Whether all of `capabilities` are effective.
    pub fn capable(&self, capabilities: Capabilities) -> bool {
        self.effective.contains(capabilities)
    }

    /// Whether `gid` is the group for file access or a supplementary one.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.binary_search(&gid).is_ok()
    }

    /// setuid(2).
    pub fn set_uid(&self, uid: u32) -> Result<Self, Errno> {
        check(uid)?;
        let mut new = self.clone();
        if self.capable(Capabilities::SETUID) {
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
            if ![self.uid, self.euid, self.suid].contains(&id) && !self.capable(Capabilities::SETUID) {
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
        let may = self.capable(Capabilities::SETUID);
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
        if [self.uid, self.euid, self.suid, self.fsuid].contains(&fsuid) || self.capable(Capabilities::SETUID) {
            new.fsuid = fsuid;
            if self.fsuid == 0 && fsuid != 0 {
                new.effective -= Capabilities::OF_FILES;
            } else if self.fsuid != 0 && fsuid == 0 {
                new.effective |= self.permitted & Capabilities::OF_FILES;
            }
        }
        new
    }

    /// setgid(2).
    pub fn set_gid(&self, gid: u32) -> Result<Self, Errno> {
        check(gid)?;
        let mut new = self.clone();
        if self.capable(Capabilities::SETGID) {
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
            if ![self.gid, self.egid, self.sgid].contains(&id) && !self.capable(Capabilities::SETGID) {
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
        let may = self.capable(Capabilities::SETGID);
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
        if [self.gid, self.egid, self.sgid, self.fsgid].contains(&fsgid) || self.capable(Capabilities::SETGID) {
            new.fsgid = fsgid;
        }
        new
    }

    /// setgroups(2).
    pub fn set_groups(&self, groups: &[u32]) -> Result<Self, Errno> {
        if !self.capable(Capabilities::SETGID) {
            return Err(Errno::EPERM);
        }
        if groups.len() > GROUPS_MAX || groups.contains(&u32::MAX) {
            return Err(Errno::EINVAL);
        }
        Ok(Self { groups: sorted(groups), ..self.clone() })
    }

    /// What execve(2) makes of them: the file's set-ids; user 0 gains all capabilities, others lose theirs
    /// (capabilities(7), "Capabilities and execution of programs by root"; there are no file capabilities).
    pub fn at_exec(&self, ids: SetIds) -> Self {
        let mut new = self.clone();
        new.euid = ids.uid.unwrap_or(self.euid);
        new.egid = ids.gid.unwrap_or(self.egid);
        (new.suid, new.fsuid) = (new.euid, new.euid);
        (new.sgid, new.fsgid) = (new.egid, new.egid);
        new.permitted = if new.uid == 0 || new.euid == 0 { Capabilities::all() } else { Capabilities::empty() };
        new.effective = if new.euid == 0 { new.permitted } else { Capabilities::empty() };
        new
    }

    /// capabilities(7), "Effect of user ID changes on capabilities".
    fn after_uid_change(mut self, old: &Self) -> Self {
        if [old.uid, old.euid, old.suid].contains(&0) && ![self.uid, self.euid, self.suid].contains(&0) {
            self.permitted = Capabilities::empty();
            self.effective = Capabilities::empty();
        }
        if old.euid == 0 && self.euid != 0 {
            self.effective = Capabilities::empty();
        } else if old.euid != 0 && self.euid == 0 {
            self.effective = self.permitted;
        }
        self
    }
}

/// -1 is no id.
fn check(id: u32) -> Result<(), Errno> {
    if id == u32::MAX { Err(Errno::EINVAL) } else { Ok(()) }
}

fn sorted(groups: &[u32]) -> Arc<[u32]> {
    let mut groups = groups.to_vec();
    groups.sort_unstable();
    groups.into()
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
        assert_eq!(user.set_groups(&[1]), Err(Errno::EPERM));
    }

    #[test]
    fn a_saved_user_0_can_come_back() {
        let user = Credentials::root().set_res_uid(None, Some(1000), None).expect("root may");
        assert!(user.effective.is_empty() && user.permitted == Capabilities::all());
        let back = user.set_res_uid(None, Some(0), None).expect("the real id is 0");
        assert!(back.capable(Capabilities::SYS_ADMIN));
    }

    #[test]
    fn exec_by_user_0_gains_and_by_others_loses() {
        let user = Credentials::of(1000, 1000, Arc::from([5, 3]));
        assert!(user.in_group(3) && user.in_group(1000) && !user.in_group(4));
        assert!(user.at_exec(SetIds::default()).effective.is_empty());
        let set = user.at_exec(SetIds { uid: Some(0), gid: None });
        assert_eq!((set.uid, set.euid, set.suid), (1000, 0, 0));
        assert!(set.capable(Capabilities::all()));
    }
}
