//! Path walk: from a path's bytes to a [`Location`], once (path_resolution(7)).
//!
//! `..` never leads above the process's root, nor out of a mount: a directory that was moved away from beneath the
//! root of a bind mount has no parent any more for who sees it through that mount.

use super::{
    Access, Caller, Context, Dentry, Location, MountFlags, PATH_MAX,
    inode::Content,
    name::{LINKS_FOLLOWED_MAX, NAME_MAX},
    synthetic::{Node, Target},
};
use alloc::{borrow::Cow, sync::Arc, vec::Vec};
use bitflags::bitflags;
use core::ops::Range;
use linux_raw_sys::general as linux;
use veridian_containers::abi::Errno;

bitflags! {
    /// What the way to a file may not be (openat2(2), RESOLVE_*).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Resolve: u32 {
        /// Onto another mount.
        const NO_XDEV = linux::RESOLVE_NO_XDEV;
        /// By a link of procfs that leads to a file of itself.
        const NO_MAGICLINKS = linux::RESOLVE_NO_MAGICLINKS;
        /// By any symbolic link.
        const NO_SYMLINKS = linux::RESOLVE_NO_SYMLINKS;
        /// Out of the directory that it begins at.
        const BENEATH = linux::RESOLVE_BENEATH;
        /// The directory is the root: no way leads out of it.
        const IN_ROOT = linux::RESOLVE_IN_ROOT;
        /// By what is not at hand.
        const CACHED = linux::RESOLVE_CACHED;
        /// Those that keep the walk in the directory.
        const SCOPED = Self::BENEATH.bits() | Self::IN_ROOT.bits();
    }
}

impl Caller<'_> {
    /// What `path` leads to from `base` (`context.cwd` or an open directory). A symbolic link as the last component is
    /// followed if `follow`, or if a slash comes after it.
    pub fn resolve(&self, base: &Location, path: &[u8], follow: bool) -> Result<Location, Errno> {
        Walk::new(self, base, path)?.reach_end(follow)
    }

    /// As [`Self::resolve`] with links followed, of a path that must not lead out of `base` on any part of its way:
    /// EXDEV for a `..` above it and for an absolute link (openat2(2), RESOLVE_BENEATH).
    pub fn resolve_beneath(&self, base: &Location, path: &[u8]) -> Result<Location, Errno> {
        Walk::within(self, base, path, Resolve::BENEATH)?.reach_end(true)
    }

    /// The directory that `path` leads to, if the caller may enter it (chdir(2)).
    pub fn resolve_directory(&self, base: &Location, path: &[u8]) -> Result<Location, Errno> {
        let location = self.resolve(base, path, true)?;
        if !location.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        location.inode().permit(self.credentials, Access::EXECUTE)?;
        Ok(location)
    }

    /// As [`Self::resolve`], and an empty path is `base` itself (AT_EMPTY_PATH).
    pub fn resolve_or_base(&self, base: &Location, path: &[u8], follow: bool) -> Result<Location, Errno> {
        if path.is_empty() { Ok(base.clone()) } else { self.resolve(base, path, follow) }
    }
}

impl Context {
    /// The path from the process's root to `at`, for getcwd(2): ENOENT when it was removed; begins with
    /// `(unreachable)` when it is not beneath the root.
    pub fn path_of(&self, at: &Location) -> Result<Vec<u8>, Errno> {
        let way = self.way_to(at);
        if way.removed {
            return Err(Errno::ENOENT);
        }
        let path = if way.reachable { way.path } else { [b"(unreachable)", &way.path[..]].concat() };
        if path.len() >= PATH_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(path) }
    }

    /// What a magic link to `at` reads as: the path from the process's root, or from as far up as it goes; of what was
    /// removed, where it was, and ` (deleted)`; of what never had a name, what it is.
    pub fn describe(&self, at: &Location) -> Vec<u8> {
        if !at.is_mount_root() && at.dentry.place().is_none() {
            return at.inode().description();
        }
        let mut way = self.way_to(at);
        if way.removed {
            way.path.extend_from_slice(b" (deleted)");
        }
        way.path
    }

    fn way_to(&self, at: &Location) -> Way {
        let mut at = at.clone();
        let mut names: Vec<Arc<[u8]>> = Vec::new();
        let (mut reachable, mut removed) = (true, false);
        while at != self.root {
            if at.is_mount_root() {
                let Some(place) = at.mount.place() else {
                    reachable = false;
                    break;
                };
                at = place;
                continue;
            }
            let place = at.dentry.place();
            removed |= place.as_ref().is_none_or(|place| !place.linked);
            let Some((place, parent)) = place.and_then(|place| place.parent.get().map(|parent| (place, parent))) else {
                removed = true;
                break;
            };
            at.dentry = parent;
            names.push(place.name);
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if names.is_empty() {
            path.push(b'/');
        }
        Way { path, reachable, removed }
    }
}

/// How a place is reached from a process's root.
struct Way {
    path: Vec<u8>,
    /// It is beneath the root.
    reachable: bool,
    /// A name on the way was removed.
    removed: bool,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    caller: &'a Caller<'a>,
    pub at: Location,
    /// What the way may not be.
    resolve: Resolve,
    /// What the walk must not leave.
    floor: Option<Location>,
    path: Cow<'a, [u8]>,
    position: usize,
    links: u32,
}

/// The last component of a path.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub kind: LastKind,
    component: Range<usize>,
    /// A slash comes after it: it must be a directory.
    pub slash: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastKind {
    /// There is none: the path is nothing but slashes.
    Root,
    Dot,
    DotDot,
    Name,
}

/// What the last component leads to.
pub(super) enum Look {
    At(Location),
    /// A symbolic link, not followed yet.
    Link(Location),
    /// The name does not exist; its directory is [`Walk::at`].
    Absent,
}

impl<'a> Walk<'a> {
    pub fn new(caller: &'a Caller<'a>, base: &Location, path: &'a [u8]) -> Result<Self, Errno> {
        Self::within(caller, base, path, Resolve::empty())
    }

    /// As [`Self::new`], on a way that `resolve` allows.
    pub fn within(caller: &'a Caller<'a>, base: &Location, path: &'a [u8], resolve: Resolve) -> Result<Self, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let absolute = path[0] == b'/';
        if absolute && resolve.contains(Resolve::BENEATH) {
            return Err(Errno::EXDEV);
        }
        let at = if absolute && !resolve.contains(Resolve::IN_ROOT) { &caller.context.root } else { base };
        let floor = resolve.intersects(Resolve::SCOPED).then(|| base.clone());
        Ok(Self { caller, at: at.clone(), resolve, floor, path: Cow::Borrowed(path), position: 0, links: 0 })
    }

    /// Where an absolute path begins, and where `..` ends.
    fn root(&self) -> &Location {
        let inner = self.floor.as_ref().filter(|_| self.resolve.contains(Resolve::IN_ROOT));
        inner.unwrap_or(&self.caller.context.root)
    }

    /// The walk goes on at `to`; EXDEV for another mount where that is forbidden.
    fn step_to(&self, to: Location) -> Result<Location, Errno> {
        let leaves = self.resolve.contains(Resolve::NO_XDEV) && !Arc::ptr_eq(&to.mount, &self.at.mount);
        if leaves { Err(Errno::EXDEV) } else { Ok(to) }
    }

    /// Walks to the end. A symbolic link there is followed if `follow`, or if a slash comes after it.
    pub fn reach_end(mut self, follow: bool) -> Result<Location, Errno> {
        loop {
            let last = self.reach_last()?;
            match self.look(&last)? {
                Look::At(found) => return Ok(found),
                Look::Absent => return Err(Errno::ENOENT),
                Look::Link(link) if follow || last.slash => {
                    if let Some(place) = self.follow(&link)? {
                        let fits = !last.slash || place.inode().is_directory();
                        return if fits { Ok(place) } else { Err(Errno::ENOTDIR) };
                    }
                }
                Look::Link(link) => return Ok(link),
            }
        }
    }

    /// Walks all components but the last, following links.
    pub fn reach_last(&mut self) -> Result<Last, Errno> {
        loop {
            let component = self.next_component();
            let after = self.skip_slashes(component.end);
            let kind = match &self.path[component.clone()] {
                b"" => LastKind::Root,
                b"." => LastKind::Dot,
                b".." => LastKind::DotDot,
                _ => LastKind::Name,
            };
            if after == self.path.len() {
                return Ok(Last { kind, slash: after > component.end, component });
            }
            self.search()?;
            match kind {
                LastKind::Root | LastKind::Dot => {}
                LastKind::DotDot => self.up()?,
                LastKind::Name => {
                    let child = self.child(&component)?.ok_or(Errno::ENOENT)?;
                    if !child.inode().is_symlink() {
                        self.at = child;
                    } else if let Some(place) = self.follow(&child)? {
                        self.at = place;
                    }
                }
            }
        }
    }

    /// Looks the last component up.
    pub fn look(&mut self, last: &Last) -> Result<Look, Errno> {
        if last.kind == LastKind::Root {
            return Ok(Look::At(self.at.clone()));
        }
        self.search()?;
        match last.kind {
            LastKind::Root | LastKind::Dot => Ok(Look::At(self.at.clone())),
            LastKind::DotDot => {
                self.up()?;
                Ok(Look::At(self.at.clone()))
            }
            LastKind::Name => Ok(match self.child(&last.component)? {
                None => Look::Absent,
                Some(found) if found.inode().is_symlink() => Look::Link(found),
                Some(found) if last.slash && !found.inode().is_directory() => return Err(Errno::ENOTDIR),
                Some(found) => Look::At(found),
            }),
        }
    }

    /// The entry of the last component itself, not what is mounted on it.
    pub fn entry(&self, last: &Last) -> Result<Option<Arc<Dentry>>, Errno> {
        self.search()?;
        let name = self.name(last);
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.at.dentry.child(name, self.caller)
    }

    /// The bytes of the last component.
    pub fn name(&self, last: &Last) -> &[u8] {
        &self.path[last.component.clone()]
    }

    /// Goes on with the target of `link`, the component just met, in its place. A magic link gives the place that it
    /// leads to, and the walk goes on with what comes after the link.
    pub fn follow(&mut self, link: &Location) -> Result<Option<Location>, Errno> {
        if self.resolve.contains(Resolve::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        self.links += 1;
        if self.links > LINKS_FOLLOWED_MAX || link.mount.flags().contains(MountFlags::NOSYMFOLLOW) {
            return Err(Errno::ELOOP);
        }
        match &link.inode().real().content {
            Content::Symlink(target) => self.substitute(target)?,
            Content::Synthetic(Node::Link(node)) => match node.follow(self.caller)? {
                Target::Path(target) => self.substitute(&target)?,
                Target::Place(_) if self.resolve.contains(Resolve::NO_MAGICLINKS) => return Err(Errno::ELOOP),
                Target::Place(_) if self.floor.is_some() => return Err(Errno::EXDEV),
                Target::Place(_) if self.caller.thread.is_none() => return Err(Errno::ELOOP),
                Target::Place(place) => return self.step_to(place).map(Some),
            },
            _ => return Err(Errno::EINVAL),
        }
        Ok(None)
    }

    /// Puts `target` before what is left of the path.
    fn substitute(&mut self, target: &[u8]) -> Result<(), Errno> {
        let mut path = Vec::with_capacity(target.len() + self.path.len() - self.position);
        path.extend_from_slice(target);
        path.extend_from_slice(&self.path[self.position..]);
        if path.first() == Some(&b'/') {
            if self.resolve.contains(Resolve::BENEATH) {
                return Err(Errno::EXDEV);
            }
            self.at = self.step_to(self.root().clone())?;
        }
        self.path = Cow::Owned(path);
        self.position = 0;
        Ok(())
    }

    fn skip_slashes(&self, from: usize) -> usize {
        self.path[from..].iter().position(|&byte| byte != b'/').map_or(self.path.len(), |n| from + n)
    }

    fn next_component(&mut self) -> Range<usize> {
        let start = self.skip_slashes(self.position);
        let length = self.path[start..].iter().position(|&byte| byte == b'/').unwrap_or(self.path.len() - start);
        self.position = start + length;
        start..self.position
    }

    /// ENOTDIR or EACCES unless names may be looked up here.
    fn search(&self) -> Result<(), Errno> {
        if !self.at.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        self.at.inode().permit(self.caller.credentials, Access::EXECUTE)
    }

    fn child(&self, component: &Range<usize>) -> Result<Option<Location>, Errno> {
        let name = &self.path[component.clone()];
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let dentry = self.at.dentry.child(name, self.caller)?;
        let found = dentry.map(|dentry| Location { mount: self.at.mount.clone(), dentry }.into_mounted());
        found.map(|found| self.step_to(found)).transpose()
    }

    fn up(&mut self) -> Result<(), Errno> {
        if self.resolve.contains(Resolve::BENEATH) && self.floor.as_ref() == Some(&self.at) {
            return Err(Errno::EXDEV);
        }
        let mut at = self.at.clone();
        while at != *self.root() {
            if !at.is_mount_root() {
                let parent = at.dentry.parent().ok_or(Errno::ENOENT)?;
                if !at.mount.shows(&parent) {
                    return Err(Errno::ENOENT);
                }
                at.dentry = parent;
                break;
            }
            let Some(place) = at.mount.place() else { break };
            at = place;
        }
        self.at = self.step_to(at.into_mounted())?;
        Ok(())
    }
}
