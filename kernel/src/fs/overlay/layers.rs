//! What the layers say of a name.

use super::Overlay;
use crate::fs::{Dentry, Inode};
use alloc::{sync::Arc, vec::Vec};

/// Where a name is: in one layer at least.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub upper: Option<Arc<Dentry>>,
    /// Of a directory all that are merged, the uppermost first; of anything else one at most.
    pub lowers: Vec<Arc<Dentry>>,
}

impl Place {
    /// The file that is shown.
    pub fn real(&self) -> &Arc<Inode> {
        self.upper.as_ref().unwrap_or_else(|| &self.lowers[0]).inode()
    }

    fn is_empty(&self) -> bool {
        self.upper.is_none() && self.lowers.is_empty()
    }

    /// The inode number that the overlay tells: that of the file in the lower layer, also after it was copied.
    pub fn number(&self, overlay: &Overlay) -> u64 {
        match (&self.upper, self.lowers.first()) {
            (_, Some(lower)) => number(overlay, lower.inode().superblock().device(), lower.inode().number()),
            (Some(upper), None) => origin(overlay, upper.inode()),
            (None, None) => 0,
        }
    }
}

/// The overlay's number for inode `number` of `device`: which layer's file system it is of is in the highest bits.
fn number(overlay: &Overlay, device: u64, number: u64) -> u64 {
    const SHIFT: u32 = 48;
    let index = overlay.layers.iter().position(|layer| layer.superblock().device() == device).unwrap_or(0);
    (index as u64) << SHIFT | number
}

/// The number of a file of the upper layer: that of the file that it is a copy of, if it is one.
fn origin(overlay: &Overlay, inode: &Inode) -> u64 {
    let noted = inode.xattr(&overlay.xattr(ORIGIN));
    let noted = noted.as_deref().and_then(|bytes| Some((bytes.first_chunk::<8>()?, bytes.last_chunk::<8>()?)));
    let known = noted.map(|(device, inode)| (u64::from_le_bytes(*device), u64::from_le_bytes(*inode)));
    let known = known.filter(|(device, _)| overlay.layers.iter().any(|layer| layer.superblock().device() == *device));
    let (device, inode) = known.unwrap_or((inode.superblock().device(), inode.number()));
    number(overlay, device, inode)
}

/// The extended attribute that notes which file a file is a copy of.
pub(super) const ORIGIN: &[u8] = b"origin";
/// The extended attribute that makes a directory opaque: nothing below it is seen.
pub(super) const OPAQUE: &[u8] = b"opaque";

/// What [`ORIGIN`] notes of `inode`.
pub(super) fn origin_of(inode: &Inode) -> [u8; 16] {
    let mut noted = [0; 16];
    noted[..8].copy_from_slice(&inode.superblock().device().to_le_bytes());
    noted[8..].copy_from_slice(&inode.number().to_le_bytes());
    noted
}

/// The entry `name` in a layer's directory.
pub(super) fn entry(directory: &Dentry, name: &[u8]) -> Option<Arc<Dentry>> {
    directory.inode().entries().ok()?.read().get(name).cloned()
}

/// What `name` stands for in a directory that is `upper` and `lowers`. The uppermost layer that knows the name decides: a
/// whiteout hides it in all layers below; a directory is merged with those below, down to the first that is opaque,
/// or a whiteout, or no directory.
pub(super) fn resolve(
    overlay: &Overlay,
    upper: Option<&Arc<Dentry>>,
    lowers: &[Arc<Dentry>],
    name: &[u8],
) -> Option<Place> {
    let mut found = Place::default();
    for (layer, is_upper) in upper.map(|upper| (upper, true)).into_iter().chain(lowers.iter().map(|l| (l, false))) {
        let Some(dentry) = entry(layer, name) else { continue };
        let inode = dentry.inode().clone();
        if inode.is_whiteout() || !inode.is_directory() && !found.is_empty() {
            break;
        }
        if is_upper {
            found.upper = Some(dentry);
        } else {
            found.lowers.push(dentry);
        }
        if !inode.is_directory() || inode.xattr(&overlay.xattr(OPAQUE)).as_deref() == Some(b"y") {
            break;
        }
    }
    (!found.is_empty()).then_some(found)
}
