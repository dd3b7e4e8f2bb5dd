//! Who owns a group's directory and files in a cgroup2 file system: so a group is given to a user who may then make
//! groups below it.

use super::Cgroup;
use alloc::collections::BTreeMap;

/// Users and groups who own the group's directory and files in a cgroup2 file system.
#[derive(Default)]
pub(super) struct Owners {
    directory: (u32, u32),
    files: (u32, u32),
    /// Files that were given to others.
    given: BTreeMap<&'static str, (u32, u32)>,
}

impl Cgroup {
    /// User and group who own its file, or its directory, in a cgroup2 file system.
    pub fn owner(&self, file: Option<&str>) -> (u32, u32) {
        let owners = self.owners.lock();
        match file {
            None => owners.directory,
            Some(name) => owners.given.get(name).copied().unwrap_or(owners.files),
        }
    }

    /// Gives its file, or its directory, to another user and group.
    pub fn set_owner(&self, file: Option<&'static str>, owner: (u32, u32)) {
        let mut owners = self.owners.lock();
        match file {
            None => owners.directory = owner,
            Some(name) => drop(owners.given.insert(name, owner)),
        }
    }

    /// Gives its directory and all files to who has made it.
    pub fn set_maker(&self, owner: (u32, u32)) {
        let mut owners = self.owners.lock();
        (owners.directory, owners.files) = (owner, owner);
    }
}
