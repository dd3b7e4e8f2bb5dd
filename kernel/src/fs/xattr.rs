//! Extended attributes (xattr(7)): small values with names, kept with an inode. Not an access control of any kind: the
//! name spaces `system` (ACLs) and `security.capability` (file capabilities), which would have to be enforced, are
//! refused.

use super::{Access, Caller, FileType, Inode, attributes::Subject, inotify::Events, permission::STICKY};
use crate::{
    cgroup::{MemoryGroup, ObjectCharge},
    security::Capabilities,
};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use bitflags::bitflags;
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// The longest name, in bytes.
pub const XATTR_NAME_MAX: usize = 255;
/// The most bytes of one value, and of all names and values of an inode.
pub const XATTR_SIZE_MAX: usize = 64 << 10;
/// What a value costs on the kernel heap besides its name and itself.
const VALUE_BYTES: usize = 128;

bitflags! {
    /// Flags of setxattr(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct XattrFlags: u32 {
        /// EEXIST if it exists.
        const CREATE = 1;
        /// ENODATA if it does not.
        const REPLACE = 2;
    }
}

/// The attributes of an inode; most have none.
#[derive(Debug, Default)]
pub(super) struct Xattrs(SpinLock<Option<Box<Values>>>);

type Values = BTreeMap<Box<[u8]>, Value>;

#[derive(Debug)]
struct Value {
    bytes: Box<[u8]>,
    _charge: ObjectCharge,
}

impl Inode {
    /// A value, without asking for permission.
    pub(super) fn xattr(&self, name: &[u8]) -> Option<Vec<u8>> {
        let values = self.xattrs.0.lock();
        values.as_ref()?.get(name).map(|value| value.bytes.to_vec())
    }

    /// All names.
    pub(super) fn xattr_names(&self) -> Vec<Box<[u8]>> {
        let values = self.xattrs.0.lock();
        values.as_ref().map_or_else(Vec::new, |values| values.keys().cloned().collect())
    }

    /// Sets a value, paid for by `memory`: EEXIST, ENODATA, ENOSPC past the inode's bound, ENOMEM.
    pub(super) fn set_xattr(
        &self,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
        memory: &MemoryGroup,
    ) -> Result<(), Errno> {
        let charge = self.superblock().charge_object(VALUE_BYTES + name.len() + value.len(), memory)?;
        let new = Value { bytes: value.into(), _charge: charge };
        let mut values = self.xattrs.0.lock();
        let values = values.get_or_insert_default();
        match values.contains_key(name) {
            true if flags.contains(XattrFlags::CREATE) => return Err(Errno::EEXIST),
            false if flags.contains(XattrFlags::REPLACE) => return Err(Errno::ENODATA),
            _ => {}
        }
        let others = values.iter().filter(|(other, _)| &***other != name);
        let bytes: usize = others.map(|(name, value)| name.len() + value.bytes.len()).sum();
        if bytes + name.len() + value.len() > XATTR_SIZE_MAX {
            return Err(Errno::ENOSPC);
        }
        values.insert(name.into(), new);
        Ok(())
    }

    /// Removes a value: ENODATA if there is none.
    pub(super) fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let mut values = self.xattrs.0.lock();
        let removed = values.as_mut().and_then(|values| values.remove(name));
        removed.map(drop).ok_or(Errno::ENODATA)
    }
}

impl Caller<'_> {
    /// getxattr(2): ENODATA if there is none.
    pub fn get_xattr<'a>(&self, subject: impl Into<Subject<'a>>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let inode = subject.into().inode();
        self.permit_xattr(inode, name, Access::READ)?;
        inode.real().xattr(name).ok_or(Errno::ENODATA)
    }

    /// listxattr(2): the names that the caller may know of, each with a NUL.
    pub fn list_xattrs<'a>(&self, subject: impl Into<Subject<'a>>) -> Vec<u8> {
        let inode = subject.into().inode();
        let knows_trusted = self.credentials.capable(Capabilities::SYS_ADMIN);
        let mut names = inode.real().xattr_names();
        names.retain(|name| (knows_trusted || !name.starts_with(b"trusted.")) && !inode.keeps_to_itself(name));
        names.iter().flat_map(|name| name.iter().copied().chain([0])).collect()
    }

    /// setxattr(2).
    pub fn set_xattr<'a>(
        &self,
        subject: impl Into<Subject<'a>>,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
    ) -> Result<(), Errno> {
        let subject = subject.into();
        let _change = subject.begin_change()?;
        self.permit_xattr(subject.inode(), name, Access::WRITE)?;
        let inode = subject.changeable(self)?;
        inode.set_xattr(name, value, flags, self.memory)?;
        inode.touch_changed();
        subject.notify(Events::ATTRIB);
        Ok(())
    }

    /// removexattr(2).
    pub fn remove_xattr<'a>(&self, subject: impl Into<Subject<'a>>, name: &[u8]) -> Result<(), Errno> {
        let subject = subject.into();
        let _change = subject.begin_change()?;
        self.permit_xattr(subject.inode(), name, Access::WRITE)?;
        if subject.inode().real().xattr(name).is_none() {
            return Err(Errno::ENODATA);
        }
        let inode = subject.changeable(self)?;
        inode.remove_xattr(name)?;
        inode.touch_changed();
        subject.notify(Events::ATTRIB);
        Ok(())
    }

    /// Who may do what with which name: xattr(7).
    fn permit_xattr(&self, inode: &Inode, name: &[u8], access: Access) -> Result<(), Errno> {
        let writes = access.contains(Access::WRITE);
        if inode.node().is_some() || inode.file_type() == FileType::Anonymous || inode.keeps_to_itself(name) {
            return Err(Errno::EOPNOTSUPP);
        }
        let refused = if writes { Errno::EPERM } else { Errno::ENODATA };
        if name.starts_with(b"trusted.") && name.len() > b"trusted.".len() {
            // Rights over the machine: what is trusted is trusted by all who use the file system.
            return if self.credentials.capable(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(refused) };
        }
        if name.starts_with(b"security.") && name.len() > b"security.".len() && name != b"security.capability" {
            let may = !writes || self.credentials.capable(Capabilities::SYS_ADMIN);
            return if may { Ok(()) } else { Err(Errno::EPERM) };
        }
        if !name.starts_with(b"user.") || name.len() == b"user.".len() {
            return Err(Errno::EOPNOTSUPP);
        }
        if !matches!(inode.file_type(), FileType::Regular | FileType::Directory) {
            return Err(refused);
        }
        if writes && inode.is_directory() && inode.attributes().mode & STICKY != 0 {
            inode.permit_owner(self.credentials)?;
        }
        inode.permit(self.credentials, access)
    }
}
