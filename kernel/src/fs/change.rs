//! Changes of names: making, linking, renaming and removing entries.

use super::{
    Access, Caller, Dentry, DeviceNumber, FileType, Inode, Location, PATH_MAX, RenameFlags,
    dentry::Entries,
    inode::{Attributes, Content},
    inotify::{self, Events},
    overlay,
    path::{Last, LastKind, Walk},
    permission::SET_GID,
    pipe::Pipe,
    synthetic::{self, Node},
    tmpfs::Data,
};
use crate::{cgroup::devices::DeviceAccess, security::Capabilities};
use alloc::{boxed::Box, format, sync::Arc};
use veridian_containers::abi::Errno;
use veridian_hal::sync::RwLock;

/// The most names of one inode (as ext4's).
const LINKS_MAX: u32 = 65000;

impl Caller<'_> {
    /// mkdir(2).
    pub fn mkdir(&self, base: &Location, path: &[u8], mode: u16) -> Result<(), Errno> {
        let mut walk = Walk::new(self, base, path)?;
        let last = self.absent_name(&mut walk)?;
        let content = Content::Directory(RwLock::new(Entries::new()));
        self.make(&walk.at, walk.name(&last), content, mode & 0o1777).map(drop)
    }

    /// mknod(2) of a regular file, a fifo or a device. Devices need CAP_MKNOD.
    pub fn mknod(
        &self,
        base: &Location,
        path: &[u8],
        file_type: FileType,
        mode: u16,
        device: DeviceNumber,
    ) -> Result<(), Errno> {
        let content = match file_type {
            FileType::Regular => Content::Regular(Box::new(Data::new())),
            FileType::Fifo => Content::Fifo(Pipe::fifo()),
            FileType::CharacterDevice | FileType::BlockDevice => {
                if !self.credentials.capable(Capabilities::MKNOD) {
                    return Err(Errno::EPERM);
                }
                self.permit_device(file_type, device, DeviceAccess::MAKE)?;
                Content::Device(file_type, device)
            }
            FileType::Directory => return Err(Errno::EPERM),
            FileType::Socket => Content::Socket(Arc::default()),
            FileType::Symlink | FileType::Anonymous => return Err(Errno::EINVAL),
        };
        let mut walk = Walk::new(self, base, path)?;
        let last = self.absent_name(&mut walk)?;
        if last.slash {
            return Err(Errno::ENOENT);
        }
        self.make(&walk.at, walk.name(&last), content, mode & 0o7777).map(drop)
    }

    /// symlink(2).
    pub fn symlink(&self, target: &[u8], base: &Location, path: &[u8]) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut walk = Walk::new(self, base, path)?;
        let last = self.absent_name(&mut walk)?;
        if last.slash {
            return Err(Errno::ENOENT);
        }
        self.make(&walk.at, walk.name(&last), Content::Symlink(target.into()), 0o777).map(drop)
    }

    /// link(2): a further name for what is at `old`.
    pub fn link(&self, old: &Location, base: &Location, path: &[u8]) -> Result<(), Errno> {
        let mut walk = Walk::new(self, base, path)?;
        let last = self.absent_name(&mut walk)?;
        if last.slash {
            return Err(Errno::ENOENT);
        }
        let directory = &walk.at;
        if !Arc::ptr_eq(&old.mount, &directory.mount) {
            return Err(Errno::EXDEV);
        }
        let inode = old.inode();
        if inode.is_directory() {
            return Err(Errno::EPERM);
        }
        let _change = directory.mount.begin_change()?;
        directory.inode().permit(self.credentials, Access::WRITE | Access::EXECUTE)?;
        if directory.inode().node().is_some() {
            return Err(Errno::EPERM);
        }
        if directory.inode().overlay_node().is_some() {
            overlay::link(&old.dentry, &directory.dentry, walk.name(&last), self.memory)?;
        } else {
            self.insert_link(&directory.dentry, walk.name(&last), inode)?;
        }
        inotify::notify_link(directory.inode(), walk.name(&last), inode);
        Ok(())
    }

    /// Makes `name` in `directory` stand for `inode` too.
    fn insert_link(&self, directory: &Arc<Dentry>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        let name: Arc<[u8]> = name.into();
        let dentry = Dentry::new(directory, name.clone(), inode.clone(), self.memory)?;
        let _structure = directory.inode().superblock().structure.lock();
        let mut entries = directory.inode().entries()?.write();
        may_insert(&entries, &name)?;
        gain_name(inode)?;
        entries.insert(name, dentry);
        inode.touch_changed();
        directory.inode().touch_modified();
        Ok(())
    }

    /// unlink(2).
    pub fn unlink(&self, base: &Location, path: &[u8]) -> Result<(), Errno> {
        let mut walk = Walk::new(self, base, path)?;
        let last = walk.reach_last()?;
        if last.kind != LastKind::Name {
            return Err(Errno::EISDIR);
        }
        self.remove(&walk, &last, |victim| {
            if victim.is_directory() {
                return Err(Errno::EISDIR);
            }
            if last.slash { Err(Errno::ENOTDIR) } else { Ok(()) }
        })
    }

    /// rmdir(2).
    pub fn rmdir(&self, base: &Location, path: &[u8]) -> Result<(), Errno> {
        let mut walk = Walk::new(self, base, path)?;
        let last = walk.reach_last()?;
        match last.kind {
            LastKind::Root => return Err(Errno::EBUSY),
            LastKind::Dot => return Err(Errno::EINVAL),
            LastKind::DotDot => return Err(Errno::ENOTEMPTY),
            LastKind::Name => {}
        }
        self.remove(&walk, &last, Inode::close_if_empty)
    }

    /// renameat2(2).
    pub fn rename(
        &self,
        old_base: &Location,
        old_path: &[u8],
        new_base: &Location,
        new_path: &[u8],
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        if flags.contains(RenameFlags::NOREPLACE | RenameFlags::EXCHANGE) {
            return Err(Errno::EINVAL);
        }
        let mut from = Walk::new(self, old_base, old_path)?;
        let mut to = Walk::new(self, new_base, new_path)?;
        let (old, new) = (from.reach_last()?, to.reach_last()?);
        if !Arc::ptr_eq(&from.at.mount, &to.at.mount) {
            return Err(Errno::EXDEV);
        }
        if old.kind != LastKind::Name || new.kind != LastKind::Name {
            let occupied = flags.contains(RenameFlags::NOREPLACE) && old.kind == LastKind::Name;
            return Err(if occupied { Errno::EEXIST } else { Errno::EBUSY });
        }
        let _change = from.at.mount.begin_change()?;
        if from.at.inode().node().is_some() {
            return Err(Errno::EPERM);
        }
        let structure = from.at.inode().superblock().structure.lock();
        let moving = from.entry(&old)?.ok_or(Errno::ENOENT)?;
        let target = to.entry(&new)?;
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        match &target {
            Some(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ => {}
        }
        let moves_directory = moving.inode().is_directory();
        let new_slash_binds = new.slash && !(exchange && target.as_ref().is_some_and(|t| t.inode().is_directory()));
        if !moves_directory && (old.slash || new_slash_binds) {
            return Err(Errno::ENOTDIR);
        }
        if moves_directory && moving.contains(&to.at.dentry) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = &target
            && target.inode().is_directory()
            && target.contains(&from.at.dentry)
        {
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if let Some(target) = &target
            && Arc::ptr_eq(target.inode().real(), moving.inode().real())
        {
            return Ok(());
        }
        self.permit_rename(&from.at, &moving, &to.at, target.as_ref(), exchange)?;
        if moving.is_mountpoint() || target.as_ref().is_some_and(|target| target.is_mountpoint()) {
            return Err(Errno::EBUSY);
        }
        let is_overlay = to.at.inode().overlay_node().is_some();
        if !is_overlay && to.at.inode().entries()?.read().is_closed() {
            return Err(Errno::ENOENT);
        }
        if let Some(target) = &target
            && !exchange
        {
            match (moves_directory, target.inode().is_directory()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) => target.inode().close_if_empty()?,
                (false, false) => {}
            }
        }
        let (old_name, new_name) = (from.name(&old), to.name(&new));
        let (from, to) = (&from.at.dentry, &to.at.dentry);
        if is_overlay {
            overlay::rename((from, &moving, old_name), (to, target.as_ref(), new_name), exchange, self.memory)?;
        } else {
            swap_names(from, &moving, old_name, to, target.as_ref(), new_name, exchange)?;
        }
        drop(structure);
        let (old_place, new_place) = ((&**from.inode(), old_name), (&**to.inode(), new_name));
        let target = target.as_ref().map(|target| &**target.inode());
        inotify::notify_move(old_place, new_place, moving.inode(), target.filter(|_| !exchange));
        if let Some(target) = target.filter(|_| exchange) {
            inotify::notify_move(new_place, old_place, target, None);
        }
        Ok(())
    }

    /// Makes an entry in `directory`. The mode is masked by the process's umask, but for a link's.
    pub(super) fn make(
        &self,
        directory: &Location,
        name: &[u8],
        content: Content,
        mode: u16,
    ) -> Result<Arc<Dentry>, Errno> {
        let _change = directory.mount.begin_change()?;
        let parent = directory.inode();
        let attributes = self.attributes_below(parent, &content, mode)?;
        if let Some(Node::Directory(node)) = parent.node() {
            return synthetic::make(&directory.dentry, name, self, || match content {
                Content::Directory(_) => node.make_directory(name, attributes.mode, self),
                Content::Regular(_) => node.make_file(name, attributes.mode, self),
                _ => Err(Errno::EPERM),
            });
        }
        let made = if parent.overlay_node().is_some() {
            overlay::create(&directory.dentry, name, attributes, content, self.memory)?
        } else {
            insert_new(&directory.dentry, name, attributes, content, self.memory)?
        };
        inotify::notify_name(parent, name, made.inode(), Events::CREATE);
        Ok(made)
    }

    /// What a new inode with `content` in the directory `parent` is given; EACCES, EOVERFLOW.
    fn attributes_below(&self, parent: &Inode, content: &Content, mode: u16) -> Result<Attributes, Errno> {
        parent.permit(self.credentials, Access::WRITE | Access::EXECUTE)?;
        if !parent.superblock().owner().maps(self.credentials.fsuid, self.credentials.fsgid) {
            return Err(Errno::EOVERFLOW);
        }
        let above = parent.attributes();
        let mode = if matches!(content, Content::Symlink(_)) { mode } else { mode & !self.context.umask };
        let mut attributes = Attributes::new(mode, self.credentials.fsuid, self.credentials.fsgid);
        if above.mode & SET_GID != 0 {
            attributes.gid = above.gid;
            if matches!(content, Content::Directory(_)) {
                attributes.mode |= SET_GID;
            } else if !self.may_keep_set_gid(above.uid, above.gid) {
                attributes.mode &= !SET_GID;
            }
        }
        Ok(attributes)
    }

    /// A new file without a name (open(2), O_TMPFILE), which linkat(2) may give one if it `is_linkable`: ENOTDIR;
    /// EOPNOTSUPP where the file system has no such files.
    pub(super) fn make_unnamed(
        &self,
        directory: &Location,
        mode: u16,
        is_linkable: bool,
    ) -> Result<Arc<Dentry>, Errno> {
        let parent = directory.inode();
        if !parent.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let _change = directory.mount.begin_change()?;
        let content = Content::Regular(Box::new(Data::new()));
        let mut attributes = self.attributes_below(parent, &content, mode)?;
        if parent.node().is_some() {
            return Err(Errno::EOPNOTSUPP);
        }
        attributes.links = 0;
        attributes.is_linkable = is_linkable;
        if parent.overlay_node().is_some() {
            return overlay::make_unnamed(&directory.dentry, attributes, content, self.memory);
        }
        let inode = Inode::new(parent.superblock(), attributes, content, self.memory)?;
        let name = format!("#{}", inode.number());
        let dentry = Dentry::new(&directory.dentry, name.as_bytes().into(), inode, self.memory)?;
        dentry.unlink();
        Ok(dentry)
    }

    /// Whether a set-group-id file of `gid` may be this caller's making: CAP_FSETID counts over `uid` and `gid`.
    pub(super) fn may_keep_set_gid(&self, uid: u32, gid: u32) -> bool {
        self.credentials.in_group(gid) || self.credentials.capable_over(uid, gid, Capabilities::FSETID)
    }

    /// Walks to the directory of a name that does not exist; EEXIST if it does.
    pub(super) fn absent_name(&self, walk: &mut Walk<'_>) -> Result<Last, Errno> {
        let last = walk.reach_last()?;
        if last.kind != LastKind::Name {
            return Err(Errno::EEXIST);
        }
        match walk.entry(&last)? {
            None => Ok(last),
            Some(_) => Err(Errno::EEXIST),
        }
    }

    fn remove(
        &self,
        walk: &Walk<'_>,
        last: &Last,
        fits: impl FnOnce(&Inode) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let directory = &walk.at;
        let _change = directory.mount.begin_change()?;
        let structure = directory.inode().superblock().structure.lock();
        let victim = walk.entry(last)?.ok_or(Errno::ENOENT)?;
        directory.inode().permit_removal(victim.inode(), self.credentials)?;
        if victim.is_mountpoint() {
            return Err(Errno::EBUSY);
        }
        fits(victim.inode())?;
        match directory.inode().node() {
            Some(Node::Directory(node)) => {
                if victim.inode().is_directory() {
                    node.remove_directory(walk.name(last), self)?;
                } else {
                    node.remove_file(walk.name(last), self)?;
                }
                directory.dentry.forget_child(&victim);
            }
            _ if directory.inode().overlay_node().is_some() => {
                overlay::remove(&directory.dentry, &victim, walk.name(last), self.memory)?;
            }
            _ => {
                directory.inode().entries()?.write().remove(walk.name(last));
                lose_name(&directory.dentry, &victim);
            }
        }
        directory.inode().touch_modified();
        drop(structure);
        inotify::notify_removal(directory.inode(), walk.name(last), victim.inode());
        Ok(())
    }

    fn permit_rename(
        &self,
        from: &Location,
        moving: &Dentry,
        to: &Location,
        target: Option<&Arc<Dentry>>,
        exchange: bool,
    ) -> Result<(), Errno> {
        from.inode().permit_removal(moving.inode(), self.credentials)?;
        match target {
            Some(target) => to.inode().permit_removal(target.inode(), self.credentials)?,
            None => to.inode().permit(self.credentials, Access::WRITE | Access::EXECUTE)?,
        }
        // A directory that changes its parent is written itself: its `..` changes.
        if !Arc::ptr_eq(&from.dentry, &to.dentry) {
            let exchanged = target.filter(|_| exchange).map(|target| target.inode());
            for inode in [Some(moving.inode()), exchanged].into_iter().flatten().filter(|inode| inode.is_directory()) {
                inode.permit(self.credentials, Access::WRITE)?;
            }
        }
        Ok(())
    }
}

impl Inode {
    /// Readies a directory for its removal: ENOTDIR, ENOTEMPTY; afterwards nothing can be put into it.
    fn close_if_empty(&self) -> Result<(), Errno> {
        if let Some(node) = self.node() {
            // Whether it may go is for the file system to say.
            return if matches!(node, Node::Directory(_)) { Ok(()) } else { Err(Errno::ENOTDIR) };
        }
        if let Some(node) = self.overlay_node() {
            // What is made in it meanwhile is made under the structure lock, which the caller has.
            return match self.is_directory() {
                false => Err(Errno::ENOTDIR),
                true if node.is_empty() => Ok(()),
                true => Err(Errno::ENOTEMPTY),
            };
        }
        let mut entries = self.entries()?.write();
        if !entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        entries.close();
        Ok(())
    }
}

/// Makes an inode and its name in `directory`, without asking for permission.
pub(super) fn insert_new(
    directory: &Arc<Dentry>,
    name: &[u8],
    mut attributes: Attributes,
    content: Content,
    memory: &crate::cgroup::MemoryGroup,
) -> Result<Arc<Dentry>, Errno> {
    let parent = directory.inode();
    let is_directory = matches!(content, Content::Directory(_));
    attributes.links = if is_directory { 2 } else { 1 };
    let inode = Inode::new(parent.superblock(), attributes, content, memory)?;
    let name: Arc<[u8]> = name.into();
    let dentry = Dentry::new(directory, name.clone(), inode, memory)?;
    let _structure = parent.superblock().structure.lock();
    let mut entries = parent.entries()?.write();
    may_insert(&entries, &name)?;
    entries.insert(name, dentry.clone());
    drop(entries);
    if is_directory {
        parent.attributes.lock().links += 1;
    }
    parent.touch_modified();
    Ok(dentry)
}

fn may_insert(entries: &Entries, name: &[u8]) -> Result<(), Errno> {
    if entries.is_closed() {
        return Err(Errno::ENOENT);
    }
    if entries.get(name).is_some() { Err(Errno::EEXIST) } else { Ok(()) }
}

/// One more name stands for `inode`: ENOENT if none does and none may, EMLINK if so many do.
pub(super) fn gain_name(inode: &Inode) -> Result<(), Errno> {
    let mut attributes = inode.attributes.lock();
    match attributes.links {
        0 if !attributes.is_linkable => return Err(Errno::ENOENT),
        LINKS_MAX.. => return Err(Errno::EMLINK),
        _ => attributes.links += 1,
    }
    attributes.is_linkable = false;
    Ok(())
}

/// `victim` is no entry of `directory` any more.
pub(super) fn lose_name(directory: &Arc<Dentry>, victim: &Arc<Dentry>) {
    victim.unlink();
    let inode = victim.inode();
    if inode.is_directory() {
        directory.inode().attributes.lock().links -= 1;
        inode.attributes.lock().links = 0;
    } else {
        inode.attributes.lock().links -= 1;
    }
    inode.touch_changed();
}

/// The change of names itself, all checked: under the structure lock, with both directories locked, so that no look-up
/// sees half of it.
pub(super) fn swap_names(
    from: &Arc<Dentry>,
    moving: &Arc<Dentry>,
    old_name: &[u8],
    to: &Arc<Dentry>,
    target: Option<&Arc<Dentry>>,
    new_name: &[u8],
    exchange: bool,
) -> Result<(), Errno> {
    let (old_name, new_name): (Arc<[u8]>, Arc<[u8]>) = (old_name.into(), new_name.into());
    let mut from_entries = from.inode().entries()?.write();
    let same = Arc::ptr_eq(from, to);
    let mut to_entries = if same { None } else { Some(to.inode().entries()?.write()) };
    match target.filter(|_| exchange) {
        Some(target) => {
            from_entries.insert(old_name.clone(), target.clone());
            target.set_place(from, old_name);
        }
        None => {
            from_entries.remove(&old_name);
        }
    }
    to_entries.as_mut().unwrap_or(&mut from_entries).insert(new_name.clone(), moving.clone());
    moving.set_place(to, new_name);
    drop((from_entries, to_entries));
    let directories = |dentry: &Arc<Dentry>| u32::from(dentry.inode().is_directory());
    if !same {
        from.inode().attributes.lock().links -= directories(moving);
        to.inode().attributes.lock().links += directories(moving);
    }
    match target {
        Some(target) if exchange && !same => {
            to.inode().attributes.lock().links -= directories(target);
            from.inode().attributes.lock().links += directories(target);
            target.inode().touch_changed();
        }
        Some(target) if exchange => target.inode().touch_changed(),
        Some(target) => lose_name(to, target),
        None => {}
    }
    moving.inode().touch_changed();
    from.inode().touch_modified();
    to.inode().touch_modified();
    Ok(())
}

/// Removes `dentry` from `directory` if it is still there, empty and not mounted on: what takes back its making.
pub(super) fn withdraw(directory: &Arc<Dentry>, dentry: &Arc<Dentry>) {
    let Some(place) = dentry.place() else { return };
    let structure = directory.inode().superblock().structure.lock();
    let Ok(entries) = directory.inode().entries() else { return };
    let is_there = entries.read().get(&place.name).is_some_and(|there| Arc::ptr_eq(there, dentry));
    if is_there
        && !dentry.is_mountpoint()
        && (!dentry.inode().is_directory() || dentry.inode().close_if_empty().is_ok())
    {
        entries.write().remove(&place.name);
        lose_name(directory, dentry);
    }
    drop(structure);
}
