//! Changes of capabilities by who has them: capset(2) and the options of prctl(2) (capabilities(7), "Programmatically
//! adjusting capability sets").

use super::{Capabilities, Credentials, SecureBits};
use veridian_containers::abi::Errno;

/// What capget(2) tells and capset(2) sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What is checked.
    pub effective: Capabilities,
    /// What may be made effective.
    pub permitted: Capabilities,
    /// What an executed program may take over.
    pub inheritable: Capabilities,
}

impl Credentials {
    /// capget(2).
    pub fn capabilities(&self) -> CapabilitySets {
        CapabilitySets { effective: self.effective, permitted: self.permitted, inheritable: self.inheritable }
    }

    /// capset(2): nothing is permitted that was not, nothing is effective that is not permitted, and nothing becomes
    /// inheritable that is neither permitted (or CAP_SETPCAP is effective) nor within the bounding set.
    pub fn set_capabilities(&self, sets: CapabilitySets) -> Result<Self, Errno> {
        let CapabilitySets { effective, permitted, inheritable } = sets;
        let may_inherit =
            self.capable_at_home(Capabilities::SETPCAP) || (self.inheritable | self.permitted).contains(inheritable);
        if !may_inherit
            || !(self.inheritable | self.bounding).contains(inheritable)
            || !self.permitted.contains(permitted)
            || !permitted.contains(effective)
        {
            return Err(Errno::EPERM);
        }
        let ambient = self.ambient & permitted & inheritable;
        Ok(Self { effective, permitted, inheritable, ambient, ..self.clone() })
    }

    /// PR_CAPBSET_DROP.
    pub fn drop_bounding(&self, capability: Capabilities) -> Result<Self, Errno> {
        if !self.capable_at_home(Capabilities::SETPCAP) {
            return Err(Errno::EPERM);
        }
        Ok(Self { bounding: self.bounding - capability, ..self.clone() })
    }

    /// PR_CAP_AMBIENT_RAISE: what is both permitted and inheritable, unless the securebits forbid it.
    pub fn raise_ambient(&self, capability: Capabilities) -> Result<Self, Errno> {
        if !(self.permitted & self.inheritable).contains(capability)
            || self.securebits.contains(SecureBits::NO_CAP_AMBIENT_RAISE)
        {
            return Err(Errno::EPERM);
        }
        Ok(Self { ambient: self.ambient | capability, ..self.clone() })
    }

    /// PR_CAP_AMBIENT_LOWER, and CLEAR_ALL with all.
    pub fn lower_ambient(&self, capabilities: Capabilities) -> Self {
        Self { ambient: self.ambient - capabilities, ..self.clone() }
    }

    /// PR_SET_SECUREBITS.
    pub fn set_securebits(&self, bits: u32) -> Result<Self, Errno> {
        let securebits = SecureBits::from_bits(bits).ok_or(Errno::EPERM)?;
        if !self.securebits.may_become(securebits) || !self.capable_at_home(Capabilities::SETPCAP) {
            return Err(Errno::EPERM);
        }
        Ok(Self { securebits, ..self.clone() })
    }

    /// PR_SET_KEEPCAPS.
    pub fn keep_capabilities(&self, keep: bool) -> Result<Self, Errno> {
        if self.securebits.contains(SecureBits::KEEP_CAPS_LOCKED) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.securebits.set(SecureBits::KEEP_CAPS, keep);
        Ok(new)
    }

    /// Whether a task that had `old` can do nothing more with these: no further capability is permitted in the same user
    /// namespace; or the namespace is one below that the effective user of `old` made, who can do all there anyway.
    pub fn gains_nothing_over(&self, old: &Self) -> bool {
        if self.user_namespace == old.user_namespace {
            return old.permitted.contains(self.permitted);
        }
        let mut at = &self.user_namespace;
        while let Some(parent) = at.parent() {
            if *parent == old.user_namespace && at.creator().uid == old.euid {
                return true;
            }
            at = parent;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(effective: Capabilities, permitted: Capabilities, inheritable: Capabilities) -> CapabilitySets {
        CapabilitySets { effective, permitted, inheritable }
    }

    #[test]
    fn capset_takes_and_does_not_give() {
        let (kill, chown, none) = (Capabilities::KILL, Capabilities::CHOWN, Capabilities::empty());
        let less = Credentials::root().set_capabilities(sets(kill, kill | chown, none)).expect("less of each");
        assert_eq!(less.set_capabilities(sets(chown, kill | chown, none)).map(|new| new.effective), Ok(chown));
        assert_eq!(less.set_capabilities(sets(none, Capabilities::all(), none)), Err(Errno::EPERM));
        assert_eq!(less.set_capabilities(sets(chown, kill, none)), Err(Errno::EPERM));
        assert_eq!(less.set_capabilities(sets(none, kill, chown)).map(|new| new.inheritable), Ok(chown));
        assert_eq!(less.set_capabilities(sets(none, none, Capabilities::SYS_TIME)), Err(Errno::EPERM));
    }

    #[test]
    fn what_the_bounding_set_lost_becomes_inheritable_no_more() {
        let (time, all, none) = (Capabilities::SYS_TIME, Capabilities::all(), Capabilities::empty());
        let bounded = Credentials::root().drop_bounding(time).expect("root may");
        assert_eq!(bounded.set_capabilities(sets(all, all, time)), Err(Errno::EPERM));
        assert!(bounded.set_capabilities(sets(all, all, all - time)).is_ok());
        let without = bounded.set_capabilities(sets(none, all, none)).expect("less");
        assert_eq!(without.drop_bounding(Capabilities::KILL), Err(Errno::EPERM));
    }

    #[test]
    fn the_ambient_set_is_within_permitted_and_inheritable() {
        let (kill, all, none) = (Capabilities::KILL, Capabilities::all(), Capabilities::empty());
        let root = Credentials::root();
        assert_eq!(root.raise_ambient(kill), Err(Errno::EPERM));
        let root = root.set_capabilities(sets(all, all, kill)).expect("root may");
        let raised = root.raise_ambient(kill).expect("permitted and inheritable");
        assert_eq!(raised.set_capabilities(sets(all, all, none)).map(|new| new.ambient), Ok(none));
        assert_eq!(raised.lower_ambient(all).ambient, none);
        let forbidden = root.set_securebits(SecureBits::NO_CAP_AMBIENT_RAISE.bits()).expect("root may");
        assert_eq!(forbidden.raise_ambient(kill), Err(Errno::EPERM));
    }

    #[test]
    fn locked_securebits_stay() {
        let root = Credentials::root();
        let bits = SecureBits::NOROOT | SecureBits::NOROOT_LOCKED | SecureBits::KEEP_CAPS_LOCKED;
        let locked = root.set_securebits(bits.bits()).expect("root may");
        for other in [SecureBits::NOROOT_LOCKED, SecureBits::NOROOT, bits | SecureBits::KEEP_CAPS] {
            assert_eq!(locked.set_securebits(other.bits()), Err(Errno::EPERM), "{other:?}");
        }
        assert_eq!(locked.keep_capabilities(true), Err(Errno::EPERM));
        assert!(locked.set_securebits((bits | SecureBits::NO_SETUID_FIXUP).bits()).is_ok());
        assert_eq!(root.set_securebits(1 << 8), Err(Errno::EPERM));
    }
}
