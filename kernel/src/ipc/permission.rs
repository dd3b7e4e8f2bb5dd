//! Who may do what with an object (sysvipc(7), `struct ipc_perm`).

use crate::{
    namespace::UserNamespace,
    security::{Capabilities, Credentials},
};
use veridian_containers::abi::Errno;

/// The wish to read, in the bits of one class.
pub const READ: u32 = 4;
/// The wish to change.
pub const WRITE: u32 = 2;

/// Owner, creator and mode of an object.
#[derive(Clone, Copy, Debug)]
pub struct Permissions {
    /// The key that it was made for; 0 (IPC_PRIVATE) for none.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Who made it.
    pub creator_uid: u32,
    /// The maker's group.
    pub creator_gid: u32,
    /// Nine permission bits, and what each kind adds above them.
    pub mode: u32,
}

impl Permissions {
    /// Of an object that `who` makes.
    pub fn new(key: i32, mode: u32, who: &Credentials) -> Self {
        Self { key, uid: who.euid, gid: who.egid, creator_uid: who.euid, creator_gid: who.egid, mode: mode & 0o777 }
    }

    /// EACCES unless `who` may do all of `wanted`: [`READ`], [`WRITE`], or the nine bits of a `*get` call, each class of
    /// which is a wish. `owner` rules the namespace of the object.
    pub fn permit(&self, who: &Credentials, owner: &UserNamespace, wanted: u32) -> Result<(), Errno> {
        let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
        let granted = if self.is_owner(who) {
            self.mode >> 6
        } else if who.egid == self.gid || who.egid == self.creator_gid || who.in_group(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted & 7 == 0 || who.capable_in(owner, Capabilities::IPC_OWNER) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// EACCES unless `who` may do all of `wanted` with the object as with a file: a POSIX queue (path_resolution(7),
    /// "Permissions").
    pub fn permit_file(&self, who: &Credentials, wanted: u32) -> Result<(), Errno> {
        let granted = if who.fsuid == self.uid {
            self.mode >> 6
        } else if who.in_group(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        let above = |capability| who.capable_over(self.uid, self.gid, capability);
        let may = wanted & !granted & 7 == 0
            || above(Capabilities::DAC_OVERRIDE)
            || wanted == READ && above(Capabilities::DAC_READ_SEARCH);
        if may { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// EPERM unless `who` owns or made the object, or stands above owners: to change or remove it.
    pub fn permit_change(&self, who: &Credentials, owner: &UserNamespace) -> Result<(), Errno> {
        if self.is_owner(who) || who.capable_in(owner, Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// IPC_SET of owner, group and mode.
    pub fn set(&mut self, [uid, gid, mode]: [u32; 3]) {
        (self.uid, self.gid) = (uid, gid);
        self.mode = self.mode & !0o777 | mode & 0o777;
    }

    fn is_owner(&self, who: &Credentials) -> bool {
        who.euid == self.uid || who.euid == self.creator_uid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Groups;
    use alloc::sync::Arc;

    #[test]
    fn each_class_has_its_bits_and_root_all() {
        let of = |uid, gid| Credentials::of(uid, gid, Arc::default());
        let first = UserNamespace::first();
        let object = Permissions::new(1, 0o640, &of(10, 20));
        assert_eq!(object.permit(&of(10, 99), first, READ | WRITE), Ok(()));
        assert_eq!(object.permit(&of(11, 20), first, READ), Ok(()));
        assert_eq!(object.permit(&of(11, 20), first, WRITE), Err(Errno::EACCES));
        assert_eq!(object.permit(&Credentials::of(11, 21, Groups::of([20].into())), first, READ), Ok(()));
        assert_eq!(object.permit(&of(11, 21), first, READ), Err(Errno::EACCES));
        assert_eq!(object.permit(&of(11, 21), first, 0), Ok(()));
        assert_eq!(object.permit(&of(11, 20), first, 0o600), Err(Errno::EACCES));
        assert_eq!(object.permit(&of(0, 0), first, 0o666), Ok(()));
        assert_eq!(object.permit_file(&of(10, 20), READ | WRITE), Ok(()));
        assert_eq!(object.permit_file(&of(11, 20), READ), Ok(()));
        assert_eq!(object.permit_file(&of(11, 20), WRITE), Err(Errno::EACCES));
        assert_eq!(object.permit_file(&of(0, 0), WRITE), Ok(()));
        assert_eq!(object.permit_change(&of(11, 20), first), Err(Errno::EPERM));
        assert_eq!(object.permit_change(&of(10, 20), first), Ok(()));
    }
}
