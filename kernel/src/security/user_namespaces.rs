//! Who may make a user namespace, go into one and map its ids (user_namespaces(7)).

use super::{Capabilities, Credentials, SecureBits};
use crate::namespace::{IdKind, UserNamespace, id_map, user::Creator};
use alloc::sync::Arc;
use veridian_containers::abi::Errno;

impl Credentials {
    /// These in a new user namespace: all capabilities there and none elsewhere. EPERM for a user or group without an id
    /// in the present one, ENOSPC when nested too deep. (One whose root directory is not that of its mount namespace may
    /// not make one either: the caller's to check.)
    pub fn in_new_user_namespace(&self) -> Result<Self, Errno> {
        if !self.user_namespace.maps(self.euid, self.egid) {
            return Err(Errno::EPERM);
        }
        let could_set_file_capabilities = self.effective.contains(Capabilities::SETFCAP);
        let creator = Creator { uid: self.euid, gid: self.egid, could_set_file_capabilities };
        Ok(self.moved_to(UserNamespace::child(&self.user_namespace, creator)?))
    }

    /// These in `namespace` by setns(2): EINVAL for the present one, EPERM without CAP_SYS_ADMIN there.
    pub fn in_user_namespace(&self, namespace: &Arc<UserNamespace>) -> Result<Self, Errno> {
        if *namespace == self.user_namespace {
            return Err(Errno::EINVAL);
        }
        if !self.capable_in(namespace, Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        Ok(self.moved_to(namespace.clone()))
    }

    fn moved_to(&self, user_namespace: Arc<UserNamespace>) -> Self {
        Self {
            effective: Capabilities::all(),
            permitted: Capabilities::all(),
            inheritable: Capabilities::empty(),
            bounding: Capabilities::all(),
            ambient: Capabilities::empty(),
            securebits: SecureBits::empty(),
            user_namespace,
            ..self.clone()
        }
    }
}

/// A write of `text` to the `uid_map` or `gid_map` of a process in `target`, through a file that `opener` opened, by
/// `writer`. EPERM unless both may, EINVAL for a text that is no map.
pub fn write_map(
    target: &Arc<UserNamespace>,
    kind: IdKind,
    text: &[u8],
    opener: &Credentials,
    writer: &Credentials,
) -> Result<(), Errno> {
    let parent = target.parent().ok_or(Errno::EPERM)?;
    let here = opener.user_namespace == *target;
    if !here && opener.user_namespace != *parent || target.is_mapped(kind) {
        return Err(Errno::EPERM);
    }
    if !opener.capable_in(target, Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let extents = id_map::parse(text)?;
    target.set_map(kind, &extents, |may_set_groups| {
        let maps_root = extents.iter().any(|extent| extent.outside == 0);
        let may_map_root = if here {
            target.creator().could_set_file_capabilities
        } else {
            opener.capable_in(parent, Capabilities::SETFCAP)
        };
        if kind == IdKind::User && maps_root && !may_map_root {
            return Err(Errno::EPERM);
        }
        // Its maker may map the own id, alone. What is forbidden to some group must not be reached by dropping it.
        if let [only] = &extents[..]
            && only.count == 1
            && target.creator().uid == opener.euid
        {
            let outside = parent.to_kernel(kind, only.outside);
            let own = match kind {
                IdKind::User => outside == Some(opener.euid),
                IdKind::Group => !may_set_groups && outside == Some(opener.egid),
            };
            if own {
                return Ok(());
            }
        }
        let needed = match kind {
            IdKind::User => Capabilities::SETUID,
            IdKind::Group => Capabilities::SETGID,
        };
        let may = writer.capable_in(parent, needed) && opener.capable_in(parent, needed);
        if may { Ok(()) } else { Err(Errno::EPERM) }
    })
}

/// A write of `text` to the `setgroups` of a process in `target`, through a file that `opener` opened.
pub fn write_set_groups(target: &UserNamespace, text: &[u8], opener: &Credentials) -> Result<(), Errno> {
    if !opener.capable_in(target, Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    match text.trim_ascii_end() {
        b"allow" => target.set_set_groups(true),
        b"deny" => target.set_set_groups(false),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Groups, *};

    fn user(uid: u32) -> Credentials {
        Credentials::of(uid, uid, Arc::default())
    }

    fn map(who: &Credentials, of: &Credentials, kind: IdKind, text: &str) -> Result<(), Errno> {
        write_map(&of.user_namespace, kind, text.as_bytes(), who, who)
    }

    #[test]
    fn anybody_is_all_powerful_in_a_namespace_of_his_own_and_only_there() {
        let outside = user(1000);
        let inside = outside.in_new_user_namespace().expect("anybody may");
        assert!(inside.capable_in(&inside.user_namespace, Capabilities::all()));
        assert!(!inside.capable(Capabilities::CHOWN));
        assert!(outside.capable_in(&inside.user_namespace, Capabilities::all()));
        assert!(!user(1001).capable_in(&inside.user_namespace, Capabilities::CHOWN));
        assert!(user(0).capable_in(&inside.user_namespace, Capabilities::CHOWN));
        assert_eq!(inside.in_new_user_namespace().err(), Some(Errno::EPERM), "no id of its own yet");
    }

    #[test]
    fn who_is_not_privileged_maps_himself_alone() {
        let outside = user(1000);
        let inside = outside.in_new_user_namespace().expect("anybody may");
        assert_eq!(map(&inside, &inside, IdKind::User, "0 1001 1"), Err(Errno::EPERM));
        assert_eq!(map(&inside, &inside, IdKind::User, "0 0 1"), Err(Errno::EPERM));
        assert_eq!(map(&inside, &inside, IdKind::User, "0 1000 2"), Err(Errno::EPERM));
        assert_eq!(map(&user(1001), &inside, IdKind::User, "0 1000 1"), Err(Errno::EPERM));
        assert_eq!(map(&inside, &inside, IdKind::User, "0 1000 1"), Ok(()));
        assert_eq!(map(&inside, &inside, IdKind::User, "0 1000 1"), Err(Errno::EPERM), "once");
        assert_eq!(map(&inside, &inside, IdKind::Group, "0 1000 1"), Err(Errno::EPERM), "setgroups is allowed");
        assert_eq!(write_set_groups(&inside.user_namespace, b"never", &inside), Err(Errno::EINVAL));
        assert_eq!(write_set_groups(&inside.user_namespace, b"deny", &inside), Ok(()));
        assert_eq!(write_set_groups(&inside.user_namespace, b"allow\n", &inside), Err(Errno::EPERM));
        assert_eq!(map(&outside, &inside, IdKind::Group, "0 1000 1"), Ok(()));
        assert_eq!(inside.set_groups(Arc::default()), Err(Errno::EPERM));
        assert_eq!(inside.user_namespace.root_user(), Some(1000));
        assert_eq!(inside.set_uid(1000).map(|new| new.uid), Ok(1000));
    }

    #[test]
    fn root_above_maps_what_it_likes() {
        let inside = user(1000).in_new_user_namespace().expect("anybody may");
        assert_eq!(map(&user(0), &inside, IdKind::User, "0 100000 65536\n70000 0 1"), Ok(()));
        assert_eq!(map(&user(0), &inside, IdKind::Group, "0 100000 65536"), Ok(()));
        assert_eq!(write_set_groups(&inside.user_namespace, b"deny", &user(0)), Err(Errno::EPERM), "there is a map");
        assert!(inside.set_groups(Groups::of([100_001].into())).is_ok());
        assert!(inside.capable_over(100_000, 165_535, Capabilities::CHOWN));
        assert!(!inside.capable_over(1000, 100_000, Capabilities::CHOWN));
        assert_eq!(inside.user_namespace.shown_user(1000), 65534);
    }

    #[test]
    fn a_namespace_made_without_cap_setfcap_does_not_map_the_user_0_above_by_itself() {
        let root = user(0);
        let weak = Credentials { effective: Capabilities::all() - Capabilities::SETFCAP, ..root.clone() };
        let inside = weak.in_new_user_namespace().expect("anybody may");
        assert_eq!(map(&inside, &inside, IdKind::User, "0 0 1"), Err(Errno::EPERM));
        assert_eq!(map(&weak, &inside, IdKind::User, "0 0 1"), Err(Errno::EPERM));
        assert_eq!(map(&root, &inside, IdKind::User, "0 0 1"), Ok(()));
    }

    #[test]
    fn namespaces_nest_32_deep() {
        let mut who = user(0);
        for _ in 0..32 {
            who = who.in_new_user_namespace().expect("within the bound");
            let above = who.user_namespace.parent().expect("one above").clone();
            let maker = Credentials { user_namespace: above, ..who.clone() };
            for kind in [IdKind::User, IdKind::Group] {
                assert_eq!(map(&maker, &who, kind, "0 0 4294967295"), Ok(()));
            }
        }
        assert_eq!(who.in_new_user_namespace().err(), Some(Errno::ENOSPC));
        assert!(user(0).capable_in(&who.user_namespace, Capabilities::all()));
    }
}
