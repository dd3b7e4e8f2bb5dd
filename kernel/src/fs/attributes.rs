//! Changes of attributes, and questions about them: mode, owner, times, length, access; the process's place.

use super::{
    Access, Caller, Context, File, FileType, Inode, Location, SetTime, Timestamp,
    file::permit_length,
    inode::{Attributes, Content},
    inotify::{self, Events},
    overlay,
    permission::{SET_GID, SET_UID},
    synthetic::{Node, Ownership},
};
use crate::security::{Capabilities, Credentials};
use alloc::{sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;

/// What an operation on attributes acts on: an inode, and the mount that it was reached through.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    location: Option<&'a Location>,
    inode: &'a Arc<Inode>,
}

impl<'a> From<&'a Location> for Subject<'a> {
    fn from(location: &'a Location) -> Self {
        Self { location: Some(location), inode: location.inode() }
    }
}

impl<'a> From<&'a File> for Subject<'a> {
    fn from(file: &'a File) -> Self {
        Self { location: file.location(), inode: file.inode() }
    }
}

impl<'a> Subject<'a> {
    pub(super) fn inode(&self) -> &'a Arc<Inode> {
        self.inode
    }

    pub(super) fn begin_change(&self) -> Result<Option<super::mount::Change<'a>>, Errno> {
        self.location.map(|location| location.mount.begin_change()).transpose()
    }

    /// Tells who watches it that `events` happen to it.
    pub(super) fn notify(&self, events: Events) {
        if let Some(location) = self.location {
            inotify::notify(&location.dentry, events);
        }
    }

    /// The file to change: in an overlay that of the upper layer, copied there if it is not yet. To be asked for when
    /// the change is permitted.
    pub(super) fn changeable(&self, caller: &Caller<'_>) -> Result<&'a Arc<Inode>, Errno> {
        if self.inode.overlay_node().is_some() {
            let location = self.location.ok_or(Errno::ENOENT)?;
            overlay::copy_up(&location.dentry, true, caller.memory)?;
        }
        Ok(self.inode.real())
    }
}

impl Caller<'_> {
    /// chmod(2).
    pub fn chmod<'a>(&self, subject: impl Into<Subject<'a>>, mode: u16) -> Result<(), Errno> {
        let subject = subject.into();
        let _change = subject.begin_change()?;
        subject.inode.permit_owner(self.credentials)?;
        if subject.inode.is_symlink() {
            return Err(Errno::EOPNOTSUPP);
        }
        subject.changeable(self)?.change_ownership(|own| {
            let keeps_set_gid = subject.inode.is_directory() || self.may_keep_set_gid(own.uid, own.gid);
            own.mode = if keeps_set_gid { mode & 0o7777 } else { mode & 0o7777 & !SET_GID };
            Ok(())
        })?;
        subject.notify(Events::ATTRIB);
        Ok(())
    }

    /// chown(2); `None` leaves an id as it is.
    pub fn chown<'a>(&self, subject: impl Into<Subject<'a>>, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let subject = subject.into();
        let _change = subject.begin_change()?;
        let change = |own: &mut Ownership| {
            let owns = own.uid == self.credentials.fsuid;
            let may_uid = uid.is_none_or(|uid| owns && uid == own.uid);
            let may_gid = gid.is_none_or(|gid| owns && (gid == own.gid || self.credentials.in_group(gid)));
            let above = self.credentials.capable_over(own.uid, own.gid, Capabilities::CHOWN);
            let may = may_uid && may_gid || above;
            if !may {
                return Err(Errno::EPERM);
            }
            own.uid = uid.unwrap_or(own.uid);
            own.gid = gid.unwrap_or(own.gid);
            if !subject.inode.is_directory() {
                own.mode = without_set_ids(own.mode);
            }
            Ok(())
        };
        let Attributes { mode, uid: old_uid, gid: old_gid, .. } = subject.inode.attributes();
        change(&mut Ownership { mode, uid: old_uid, gid: old_gid })?;
        subject.changeable(self)?.change_ownership(change)?;
        subject.notify(Events::ATTRIB);
        Ok(())
    }

    /// utimensat(2).
    pub fn set_times<'a>(
        &self,
        subject: impl Into<Subject<'a>>,
        accessed: SetTime,
        modified: SetTime,
    ) -> Result<(), Errno> {
        let subject = subject.into();
        if (accessed, modified) == (SetTime::Omit, SetTime::Omit) {
            return Ok(());
        }
        let _change = subject.begin_change()?;
        let owner = subject.inode.permit_owner(self.credentials);
        if (accessed, modified) == (SetTime::Now, SetTime::Now) {
            // Who may write may say that it was just written.
            owner.or_else(|_| subject.inode.permit(self.credentials, Access::WRITE))?;
        } else {
            owner?;
        }
        let now = Timestamp::now();
        let choose = |set, old| match set {
            SetTime::Omit => old,
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        let changed = subject.changeable(self)?;
        {
            let mut attributes = changed.attributes.lock();
            attributes.accessed = choose(accessed, attributes.accessed);
            attributes.modified = choose(modified, attributes.modified);
            attributes.changed = now;
        }
        subject.notify(match (accessed, modified) {
            (SetTime::Omit, _) => Events::MODIFY,
            (_, SetTime::Omit) => Events::ACCESS,
            _ => Events::ATTRIB,
        });
        Ok(())
    }

    /// truncate(2): what is at `location` gets `length` bytes; EFBIG to lengthen it beyond `most` (RLIMIT_FSIZE).
    pub fn truncate(&self, location: &Location, length: u64, most: u64) -> Result<(), Errno> {
        match location.inode().file_type() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        let _change = location.mount.begin_change()?;
        location.inode().permit(self.credentials, Access::WRITE)?;
        let inode = Subject::from(location).changeable(self)?;
        let Content::Regular(data) = &inode.content else { return Err(Errno::EINVAL) };
        permit_length(data.length_bytes(), length, most)?;
        data.used.begin(false)?;
        let result = data.set_length(length, inode.superblock());
        data.used.end(false);
        result?;
        inode.written(self.credentials.capable(Capabilities::FSETID));
        inotify::notify(&location.dentry, Events::MODIFY);
        Ok(())
    }

    /// access(2): whether `credentials` (the real ids' or the effective ones') may do `access`; an empty `access` asks
    /// for existence alone.
    pub fn access(&self, location: &Location, credentials: &Credentials, access: Access) -> Result<(), Errno> {
        let inode = location.inode();
        let is_object = matches!(
            inode.real().content,
            Content::Device(..) | Content::Fifo(_) | Content::Synthetic(Node::Object(_))
        );
        if access.contains(Access::WRITE) && !is_object {
            drop(location.mount.begin_change()?);
        }
        if access.contains(Access::EXECUTE)
            && inode.file_type() == FileType::Regular
            && location.mount.flags().contains(super::MountFlags::NOEXEC)
        {
            return Err(Errno::EACCES);
        }
        if access.is_empty() { Ok(()) } else { inode.permit(credentials, access) }
    }

    /// readlink(2).
    pub fn read_link(&self, location: &Location) -> Result<Vec<u8>, Errno> {
        match &location.inode().real().content {
            Content::Symlink(target) => {
                location.mount.touch_accessed(location.inode());
                Ok(target.to_vec())
            }
            Content::Synthetic(Node::Link(link)) => link.target(self),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The context after chdir(2) to `to`.
    pub fn chdir(&self, to: Location) -> Result<Context, Errno> {
        self.enter(&to)?;
        Ok(Context { cwd: to, ..self.context.clone() })
    }

    /// The context after chroot(2) to `to`.
    pub fn chroot(&self, to: Location) -> Result<Context, Errno> {
        self.enter(&to)?;
        if !self.credentials.capable_at_home(Capabilities::SYS_CHROOT) {
            return Err(Errno::EPERM);
        }
        Ok(Context { root: to, ..self.context.clone() })
    }

    fn enter(&self, to: &Location) -> Result<(), Errno> {
        if !to.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        to.inode().permit(self.credentials, Access::EXECUTE)
    }
}

impl Inode {
    /// Changes mode and owner, all or nothing; a synthetic node may refuse.
    fn change_ownership(&self, change: impl FnOnce(&mut Ownership) -> Result<(), Errno>) -> Result<(), Errno> {
        if let Some(node) = self.node() {
            let mut ownership = node.entry().ownership();
            change(&mut ownership)?;
            node.entry().set_ownership(ownership)?;
            self.touch_changed();
            return Ok(());
        }
        let mut attributes = self.attributes.lock();
        let Attributes { mode, uid, gid, .. } = *attributes;
        let mut ownership = Ownership { mode, uid, gid };
        change(&mut ownership)?;
        let Ownership { mode, uid, gid } = ownership;
        *attributes = Attributes { mode, uid, gid, changed: Timestamp::now(), ..*attributes };
        Ok(())
    }

    /// The content was changed by someone who may keep set-id bits, or not.
    pub(super) fn written(&self, keeps_set_ids: bool) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        (attributes.modified, attributes.changed) = (now, now);
        if !keeps_set_ids {
            attributes.mode = without_set_ids(attributes.mode);
        }
    }
}

/// Set-user-id goes, and set-group-id where it means just that (with group execute permission).
fn without_set_ids(mode: u16) -> u16 {
    let set_gid = if mode & 0o010 != 0 { SET_GID } else { 0 };
    mode & !(SET_UID | set_gid)
}
