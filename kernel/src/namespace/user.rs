//! The user namespace (user_namespaces(7)): which ids there are, and on whose authority.
//!
//! Who may make one, map its ids and act in it is `security`'s; here is what it is.

use super::{
    id_map::{Extent, IdMap},
    next_inode,
};
use alloc::{string::String, sync::Arc};
use core::sync::atomic::{AtomicBool, Ordering};
use veridian_containers::abi::Errno;
use veridian_hal::sync::{Once, SpinLock};

/// How deep user namespaces nest below the first one.
const LEVEL_MAX: u32 = 32;
/// The id that a program is shown for one that its namespace does not map (`/proc/sys/kernel/overflowuid`).
pub const OVERFLOW_ID: u32 = 65534;

/// Users' or groups' ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

/// A set of ids, and an owner outside of it.
#[derive(Debug)]
pub struct UserNamespace {
    parent: Option<Arc<Self>>,
    level: u32,
    creator: Creator,
    inode: u64,
    users: Once<IdMap>,
    groups: Once<IdMap>,
    may_set_groups: AtomicBool,
    /// Held over every decision of whether groups may be set, and over the making of maps.
    change: SpinLock<()>,
}

/// Who made a user namespace: who has all capabilities in it, from the namespace above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creator {
    /// The effective user id, the machine's.
    pub uid: u32,
    /// The effective group id, the machine's.
    pub gid: u32,
    /// Whether CAP_SETFCAP was effective: only then may the namespace map the user 0 of its parent by itself.
    pub could_set_file_capabilities: bool,
}

impl UserNamespace {
    /// The machine's first one, in which every id is itself.
    pub fn first() -> &'static Arc<Self> {
        static FIRST: Once<Arc<UserNamespace>> = Once::new();
        FIRST.call_once(|| {
            let creator = Creator { uid: 0, gid: 0, could_set_file_capabilities: true };
            let first = Self::new(None, 0, creator, true);
            first.users.call_once(IdMap::identity);
            first.groups.call_once(IdMap::identity);
            Arc::new(first)
        })
    }

    /// A namespace below `parent` with no ids yet. ENOSPC when nested too deep.
    pub fn child(parent: &Arc<Self>, creator: Creator) -> Result<Arc<Self>, Errno> {
        if parent.level >= LEVEL_MAX {
            return Err(Errno::ENOSPC);
        }
        let may_set_groups = parent.may_set_groups.load(Ordering::Acquire);
        Ok(Arc::new(Self::new(Some(parent.clone()), parent.level + 1, creator, may_set_groups)))
    }

    fn new(parent: Option<Arc<Self>>, level: u32, creator: Creator, may_set_groups: bool) -> Self {
        Self {
            parent,
            level,
            creator,
            inode: next_inode(),
            users: Once::new(),
            groups: Once::new(),
            may_set_groups: AtomicBool::new(may_set_groups),
            change: SpinLock::new(()),
        }
    }

    /// The one that it was made in; `None` for the first.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// How far below the first.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Whether it is the machine's first.
    pub fn is_first(&self) -> bool {
        self.level == 0
    }

    /// Who made it.
    pub fn creator(&self) -> Creator {
        self.creator
    }

    /// Unlike that of any other namespace.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Whether `self` is `other` or above it.
    pub fn contains(&self, other: &Self) -> bool {
        let mut at = other;
        while at.level > self.level {
            match &at.parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        at == self
    }

    fn map(&self, kind: IdKind) -> &Once<IdMap> {
        match kind {
            IdKind::User => &self.users,
            IdKind::Group => &self.groups,
        }
    }

    /// The machine's id for one in here; `None` for one that is not mapped.
    pub fn to_kernel(&self, kind: IdKind, id: u32) -> Option<u32> {
        self.map(kind).get()?.to_kernel(id)
    }

    /// The id in here of one of the machine's; `None` if it has none.
    pub fn from_kernel(&self, kind: IdKind, id: u32) -> Option<u32> {
        self.map(kind).get()?.from_kernel(id)
    }

    /// The machine's user id for one that a program gave: EINVAL for one that is not mapped.
    pub fn user(&self, uid: u32) -> Result<u32, Errno> {
        self.to_kernel(IdKind::User, uid).ok_or(Errno::EINVAL)
    }

    /// The machine's group id for one that a program gave: EINVAL for one that is not mapped.
    pub fn group(&self, gid: u32) -> Result<u32, Errno> {
        self.to_kernel(IdKind::Group, gid).ok_or(Errno::EINVAL)
    }

    /// What a program in here is shown of the machine's user id: 65534 for one that is not mapped.
    pub fn shown_user(&self, uid: u32) -> u32 {
        self.from_kernel(IdKind::User, uid).unwrap_or(OVERFLOW_ID)
    }

    /// What a program in here is shown of the machine's group id: 65534 for one that is not mapped.
    pub fn shown_group(&self, gid: u32) -> u32 {
        self.from_kernel(IdKind::Group, gid).unwrap_or(OVERFLOW_ID)
    }

    /// Whether both of the machine's ids have one in here.
    pub fn maps(&self, uid: u32, gid: u32) -> bool {
        self.from_kernel(IdKind::User, uid).is_some() && self.from_kernel(IdKind::Group, gid).is_some()
    }

    /// The machine's id of the user 0 in here; `None` when it is not mapped.
    pub fn root_user(&self) -> Option<u32> {
        self.to_kernel(IdKind::User, 0)
    }

    /// Whether the map is made.
    pub fn is_mapped(&self, kind: IdKind) -> bool {
        self.map(kind).is_completed()
    }

    /// Makes the map, once and for ever, if `permit` (which is told whether setgroups(2) is allowed) agrees. EPERM when
    /// it is made already, or leads to ids that the parent does not have.
    pub fn set_map(
        &self,
        kind: IdKind,
        extents: &[Extent],
        permit: impl FnOnce(bool) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let parent = self.parent.as_ref().ok_or(Errno::EPERM)?;
        let _change = self.change.lock();
        if self.is_mapped(kind) {
            return Err(Errno::EPERM);
        }
        permit(self.may_set_groups.load(Ordering::Acquire))?;
        let map = IdMap::beneath(parent.map(kind).get().ok_or(Errno::EPERM)?, extents)?;
        self.map(kind).call_once(|| map);
        Ok(())
    }

    /// The text of `/proc/<pid>/uid_map` or `gid_map` for a reader in `viewer`: outside ids are the viewer's, or the
    /// parent's for a reader in this namespace itself. Empty before the map is made.
    pub fn show_map(&self, kind: IdKind, viewer: &Self) -> String {
        let viewer = if viewer == self { self.parent.as_deref().unwrap_or(self) } else { viewer };
        match (self.map(kind).get(), viewer.map(kind).get()) {
            (Some(map), Some(seen)) => map.show(seen),
            (Some(map), None) => map.show(&IdMap::none()),
            (None, _) => String::new(),
        }
    }

    /// Whether setgroups(2) is possible in here: it is not denied, and there is a map of groups.
    pub fn allows_set_groups(&self) -> bool {
        let _change = self.change.lock();
        self.is_mapped(IdKind::Group) && self.may_set_groups.load(Ordering::Acquire)
    }

    /// The text of `/proc/<pid>/setgroups`.
    pub fn show_set_groups(&self) -> &'static str {
        if self.may_set_groups.load(Ordering::Acquire) { "allow\n" } else { "deny\n" }
    }

    /// Forbids setgroups(2) in here and in what is made below from now on; EPERM once there is a map of groups. To allow
    /// what is denied already is EPERM.
    pub fn set_set_groups(&self, allow: bool) -> Result<(), Errno> {
        let _change = self.change.lock();
        match (allow, self.may_set_groups.load(Ordering::Acquire)) {
            (true, false) => Err(Errno::EPERM),
            (true, true) => Ok(()),
            (false, _) if self.is_mapped(IdKind::Group) => Err(Errno::EPERM),
            (false, _) => {
                self.may_set_groups.store(false, Ordering::Release);
                Ok(())
            }
        }
    }
}

impl PartialEq for UserNamespace {
    /// The same one.
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl Eq for UserNamespace {}

impl Drop for UserNamespace {
    /// The chain above is let go link by link, not by recursion.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some(mut namespace) = above.and_then(Arc::into_inner) {
            above = namespace.parent.take();
        }
    }
}
