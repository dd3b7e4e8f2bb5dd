//! Which devices the tasks of a group may open and make nodes of (cgroup v2's device programs).

use super::Cgroup;
use crate::fs::{DeviceNumber, FileType};
use alloc::{boxed::Box, sync::Arc};
use bitflags::bitflags;
use veridian_containers::abi::Errno;

bitflags! {
    /// What is done with a device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DeviceAccess: u8 {
        /// Open for reading.
        const READ = 1;
        /// Open for writing.
        const WRITE = 2;
        /// Make a node of it (mknod(2)).
        const MAKE = 4;
    }
}

/// A rule about some devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows.
    pub allow: bool,
    /// Character or block devices, `None` for both.
    pub kind: Option<FileType>,
    /// Major number, `None` for each.
    pub major: Option<u32>,
    /// Minor number, `None` for each.
    pub minor: Option<u32>,
    /// What it says something about.
    pub access: DeviceAccess,
}

/// A list of rules: of those that match, the last decides; what none allows is forbidden.
#[derive(Clone, Debug)]
pub struct DeviceRules(Box<[DeviceRule]>);

impl FromIterator<DeviceRule> for DeviceRules {
    fn from_iter<I: IntoIterator<Item = DeviceRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl DeviceRules {
    /// Whether all of `access` is allowed; each part is decided alone.
    pub fn allow(&self, kind: FileType, number: DeviceNumber, access: DeviceAccess) -> bool {
        access.iter().all(|part| {
            let last = self.0.iter().rev().find(|rule| rule.matches(kind, number) && rule.access.contains(part));
            last.is_some_and(|rule| rule.allow)
        })
    }
}

impl DeviceRule {
    fn matches(&self, kind: FileType, number: DeviceNumber) -> bool {
        self.kind.is_none_or(|own| own == kind)
            && self.major.is_none_or(|major| major == number.major)
            && self.minor.is_none_or(|minor| minor == number.minor)
    }
}

impl Cgroup {
    /// Holds the tasks of this group and of those below to `rules`, as well as to those of the groups above.
    pub fn set_devices(&self, rules: DeviceRules) {
        let old = self.devices.lock().replace(Arc::new(rules));
        drop(old);
    }

    /// EPERM unless this group and all above it allow the access to a device.
    pub fn permit_device(&self, kind: FileType, number: DeviceNumber, access: DeviceAccess) -> Result<(), Errno> {
        let allowed = self.to_root().all(|group| {
            let rules = group.devices.lock().clone();
            rules.is_none_or(|rules| rules.allow(kind, number, access))
        });
        if allowed { Ok(()) } else { Err(Errno::EPERM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::memory;

    const CHARACTER: FileType = FileType::CharacterDevice;
    const BLOCK: FileType = FileType::BlockDevice;

    fn rule(allow: bool, kind: Option<FileType>, major: Option<u32>, minor: Option<u32>, access: u8) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access: DeviceAccess::from_bits_truncate(access) }
    }

    #[test]
    fn of_the_rules_that_match_the_last_decides_for_each_part() {
        let rules: DeviceRules = [
            rule(false, None, None, None, 7),
            rule(true, Some(CHARACTER), None, None, 4),
            rule(true, Some(CHARACTER), Some(1), Some(3), 3),
            rule(true, Some(BLOCK), Some(8), None, 7),
            rule(false, None, Some(8), Some(1), 2),
        ]
        .into_iter()
        .collect();
        let allow = |kind, major, minor, access| {
            rules.allow(kind, DeviceNumber::new(major, minor), DeviceAccess::from_bits_truncate(access))
        };
        assert!(allow(CHARACTER, 1, 3, 3) && allow(CHARACTER, 1, 3, 7) && allow(CHARACTER, 9, 9, 4));
        assert!(!allow(CHARACTER, 1, 5, 1) && !allow(BLOCK, 1, 3, 1) && !allow(BLOCK, 9, 9, 4));
        assert!(allow(BLOCK, 8, 0, 7) && allow(BLOCK, 8, 1, 1) && !allow(BLOCK, 8, 1, 3));
        let none = DeviceRules::from_iter([]);
        assert!(!none.allow(CHARACTER, DeviceNumber::new(1, 3), DeviceAccess::READ));
    }

    #[test]
    fn a_group_is_held_to_the_rules_of_those_above_it() {
        memory::tests::machine();
        let root = Cgroup::root();
        let outer = root.create("outer").expect("a group");
        let inner = outer.create("inner").expect("a group");
        let null = |group: &Cgroup| group.permit_device(CHARACTER, DeviceNumber::new(1, 3), DeviceAccess::READ);
        assert_eq!(null(&inner), Ok(()));
        outer.set_devices(DeviceRules::from_iter([]));
        inner.set_devices([rule(true, None, None, None, 7)].into_iter().collect());
        assert_eq!((null(&root), null(&outer), null(&inner)), (Ok(()), Err(Errno::EPERM), Err(Errno::EPERM)));
    }
}
