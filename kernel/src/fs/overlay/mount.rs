//! mount(2) of an overlay: its options, and what is asked of its layers.

use super::{Node, Overlay, layers::Place};
use crate::fs::{Access, Caller, Dentry, Inode, Location, Mount, Superblock};
use alloc::{collections::BTreeSet, string::String, sync::Arc, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::sync::SpinLock;

/// OVERLAYFS_SUPER_MAGIC of statfs(2).
const MAGIC: u64 = 0x794c_7630;
/// The most lower layers (Linux's bound).
const LOWERS_MAX: usize = 500;

/// The layers of an overlay, already resolved.
#[derive(Clone, Debug)]
pub struct OverlayLayers {
    /// Directories that are not changed, the uppermost first.
    pub lowers: Vec<Location>,
    /// Where changes go; `None` for a read-only overlay.
    pub upper: Option<OverlayUpper>,
    /// `userxattr`: marks in the layers are extended attributes `user.overlay.`, not `trusted.overlay.`.
    pub user_xattr: bool,
    /// The options as /proc tells them.
    pub options: String,
}

/// The directories of an overlay that are written.
#[derive(Clone, Debug)]
pub struct OverlayUpper {
    /// `upperdir`.
    pub directory: Location,
    /// `workdir`.
    pub work: Location,
}

impl OverlayLayers {
    /// Reads the options of mount(2), and resolves their paths for `caller`, once. EINVAL for what is unknown, or known
    /// and not done here.
    pub(in crate::fs) fn parse(caller: &Caller<'_>, text: &[u8]) -> Result<Self, Errno> {
        let (mut lowers, mut upper, mut work, mut user_xattr) = (None, None, None, false);
        for option in split(text, b',').iter().filter(|option| !option.is_empty()) {
            let (name, value) = match option.iter().position(|&byte| byte == b'=') {
                Some(at) => (&option[..at], Some(&option[at + 1..])),
                None => (&option[..], None),
            };
            let (place, value) = match (name, value) {
                (b"lowerdir", Some(value)) => (&mut lowers, value),
                (b"upperdir", Some(value)) => (&mut upper, value),
                (b"workdir", Some(value)) => (&mut work, value),
                (b"userxattr", None) => {
                    user_xattr = true;
                    continue;
                }
                // What is never done may be said not to be.
                (b"redirect_dir", Some(b"off" | b"nofollow"))
                | (b"index" | b"nfs_export" | b"metacopy" | b"xino", Some(b"off")) => continue,
                _ => return Err(Errno::EINVAL),
            };
            if value.is_empty() || place.replace(value.to_vec()).is_some() {
                return Err(Errno::EINVAL);
            }
        }
        let find = |path: &[u8]| caller.resolve(&caller.context.cwd, &unescape(path), true);
        let lowers = lowers.ok_or(Errno::EINVAL)?;
        let lowers = split(&lowers, b':').iter().map(|path| find(path)).collect::<Result<_, _>>()?;
        let upper = match (upper, work) {
            (Some(upper), Some(work)) => Some(OverlayUpper { directory: find(&upper)?, work: find(&work)? }),
            (None, None) => None,
            _ => return Err(Errno::EINVAL),
        };
        let options = String::from_utf8(text.to_vec()).map_err(|_| Errno::EINVAL)?;
        Ok(Self { lowers, upper, user_xattr, options })
    }
}

/// The parts of `text` between bytes `at` that no backslash comes before.
fn split(text: &[u8], at: u8) -> Vec<Vec<u8>> {
    let (mut parts, mut escaped) = (alloc::vec![Vec::new()], false);
    for &byte in text {
        match parts.last_mut() {
            Some(_) if byte == at && !escaped => parts.push(Vec::new()),
            Some(part) => part.push(byte),
            None => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    parts
}

/// A backslash stands for the byte after it.
fn unescape(path: &[u8]) -> Vec<u8> {
    let (mut plain, mut escaped) = (Vec::with_capacity(path.len()), false);
    for &byte in path {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            plain.push(byte);
            escaped = false;
        }
    }
    plain
}

/// The root of a new overlay. EPERM for who is root only in a user namespace of their own, EACCES for who may not write
/// to the upper directory. ENOTDIR for a layer that is no directory; EINVAL for one of a file system that has no
/// files of its own, or if upper and work directory are not apart and on one mount; ELOOP if the upper directory is
/// within a lower one, or the other way round; EBUSY if another overlay writes there.
pub(in crate::fs) fn tree(layers: &OverlayLayers, caller: &Caller<'_>) -> Result<Arc<Dentry>, Errno> {
    let OverlayLayers { lowers, upper, options, .. } = layers;
    if !caller.credentials.user_namespace.is_first() {
        return Err(Errno::EPERM);
    }
    if lowers.is_empty() || lowers.len() > LOWERS_MAX {
        return Err(Errno::EINVAL);
    }
    let written = upper.iter().flat_map(|upper| [&upper.directory, &upper.work]);
    for place in lowers.iter().chain(written) {
        if !place.inode().is_directory() {
            return Err(Errno::ENOTDIR);
        }
        place.inode().entries().map_err(|_| Errno::EINVAL)?;
    }
    let mut held = Vec::new();
    if let Some(OverlayUpper { directory, work }) = upper {
        for place in [directory, work] {
            place.inode().permit(caller.credentials, Access::WRITE | Access::EXECUTE)?;
        }
        let apart = !directory.dentry.contains(&work.dentry) && !work.dentry.contains(&directory.dentry);
        if !Arc::ptr_eq(&directory.mount, &work.mount) || !apart {
            return Err(Errno::EINVAL);
        }
        let overlaps = |lower: &Location| {
            let (lower, upper) = (&lower.dentry, &directory.dentry);
            lower.contains(upper)
                || upper.contains(lower)
                || work.dentry.contains(lower)
                || lower.contains(&work.dentry)
        };
        if lowers.iter().any(overlaps) {
            return Err(Errno::ELOOP);
        }
        held = [directory, work].into_iter().map(|place| Held::take(place.inode())).collect::<Result<_, _>>()?;
    }
    let root = Place { upper: upper.as_ref().map(|upper| upper.directory.dentry.clone()), lowers: dentries(lowers) };
    let overlay = overlay(layers, held, caller)?;
    let superblock = Superblock::new("overlay", MAGIC, None, None).owned_by(&caller.credentials.user_namespace);
    let superblock = if upper.is_none() { superblock.only_read() } else { superblock };
    superblock.set_options(options.clone());
    let number = root.number(&overlay);
    Ok(Dentry::root(Inode::overlay(&Arc::new(superblock), number, Node::new(&overlay, root))))
}

fn dentries(places: &[Location]) -> Vec<Arc<Dentry>> {
    places.iter().map(|place| place.dentry.clone()).collect()
}

/// Mounts of the layers that nobody else has.
fn overlay(layers: &OverlayLayers, held: Vec<Held>, caller: &Caller<'_>) -> Result<Arc<Overlay>, Errno> {
    let upper = layers.upper.as_ref().map(|upper| &upper.directory);
    let mounts: Vec<Arc<Mount>> = upper
        .into_iter()
        .chain(&layers.lowers)
        .map(|place| place.mount.bind(&place.dentry, caller.memory))
        .collect::<Result<_, _>>()?;
    if upper.is_some() {
        // Given back when the overlay goes.
        core::mem::forget(mounts[0].begin_change()?);
    }
    Ok(Arc::new(Overlay {
        layers: mounts,
        has_upper: upper.is_some(),
        user_xattr: layers.user_xattr,
        mounter: caller.credentials.clone(),
        names: SpinLock::new(()),
        _held: held,
    }))
}

/// Directories that overlays write to, by the address of their inodes, which they hold.
static HELD: SpinLock<BTreeSet<usize>> = SpinLock::new(BTreeSet::new());

/// The right to write to a directory that no other overlay has.
#[derive(Debug)]
pub(super) struct Held(Arc<Inode>);

impl Held {
    fn take(inode: &Arc<Inode>) -> Result<Self, Errno> {
        let is_new = HELD.lock().insert(Arc::as_ptr(inode).addr());
        if is_new { Ok(Self(inode.clone())) } else { Err(Errno::EBUSY) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.lock().remove(&Arc::as_ptr(&self.0).addr());
    }
}
