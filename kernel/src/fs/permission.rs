//! Discretionary access control: owner, group, others, and the capabilities that stand above them.

use super::inode::{Attributes, Inode};
use crate::security::{Capabilities, Credentials};
use bitflags::bitflags;
use veridian_containers::abi::Errno;

bitflags! {
    /// What is wanted of a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u8 {
        /// Execute it, or search it when it is a directory.
        const EXECUTE = 1;
        /// Change it.
        const WRITE = 2;
        /// Read it.
        const READ = 4;
    }
}

/// The sticky bit: in such a directory only owners remove.
pub(super) const STICKY: u16 = 0o1000;
pub(super) const SET_GID: u16 = 0o2000;
pub(super) const SET_UID: u16 = 0o4000;

impl Inode {
    /// EACCES unless `credentials` may do all of `access` (path_resolution(7), "Permissions").
    pub(super) fn permit(&self, credentials: &Credentials, access: Access) -> Result<(), Errno> {
        let attributes = self.attributes();
        if permits(&attributes, credentials, access) {
            return Ok(());
        }
        let capable = |capability| credentials.capable_over(attributes.uid, attributes.gid, capability);
        let above = if self.is_directory() {
            capable(Capabilities::DAC_OVERRIDE)
                || !access.contains(Access::WRITE) && capable(Capabilities::DAC_READ_SEARCH)
        } else {
            let executable = !access.contains(Access::EXECUTE) || attributes.mode & 0o111 != 0;
            executable && capable(Capabilities::DAC_OVERRIDE)
                || access == Access::READ && capable(Capabilities::DAC_READ_SEARCH)
        };
        if above { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// EPERM unless `credentials` are the owner's or stand above owners.
    pub(super) fn permit_owner(&self, credentials: &Credentials) -> Result<(), Errno> {
        let Attributes { uid, gid, .. } = self.attributes();
        let owns = uid == credentials.fsuid || credentials.capable_over(uid, gid, Capabilities::FOWNER);
        if owns { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether the entry for `victim` may be removed from this directory: write and search permission, and in a sticky
    /// directory the owner of either (EPERM).
    pub(super) fn permit_removal(&self, victim: &Self, credentials: &Credentials) -> Result<(), Errno> {
        self.permit(credentials, Access::WRITE | Access::EXECUTE)?;
        let directory = self.attributes();
        if directory.mode & STICKY == 0 || directory.uid == credentials.fsuid {
            return Ok(());
        }
        victim.permit_owner(credentials)
    }
}

fn permits(attributes: &Attributes, credentials: &Credentials, access: Access) -> bool {
    let shift = if attributes.uid == credentials.fsuid {
        6
    } else if credentials.in_group(attributes.gid) {
        3
    } else {
        0
    };
    Access::from_bits_truncate((attributes.mode >> shift) as u8 & 7).contains(access)
}
