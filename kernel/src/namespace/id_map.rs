//! Maps of user or group ids between a user namespace and the whole machine (user_namespaces(7), "User and group ID
//! mappings").
//!
//! The kernel keeps every id as the first user namespace sees it. A map leads from the ids inside a namespace to those.

use alloc::{format, string::String, vec::Vec};
use veridian_containers::abi::Errno;

/// The most extents of one map.
pub const EXTENTS_MAX: usize = 340;
/// No id, and never a part of a map.
const NO_ID: u32 = u32::MAX;

/// A run of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first id inside the namespace.
    pub inside: u32,
    /// The first id outside: as the parent namespace sees it in what is written, and as the first namespace sees it in
    /// an [`IdMap`].
    pub outside: u32,
    /// How many, at least one.
    pub count: u32,
}

impl Extent {
    /// Reads `inside outside count`; EINVAL when it is not that, or leads beyond the ids that there are.
    fn parse(line: &[u8]) -> Result<Self, Errno> {
        let text = core::str::from_utf8(line).map_err(|_| Errno::EINVAL)?;
        let mut numbers = text.split_ascii_whitespace().map(|word| {
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            if digits { word.parse::<u32>().map_err(|_| Errno::EINVAL) } else { Err(Errno::EINVAL) }
        });
        let mut next = || numbers.next().ok_or(Errno::EINVAL)?;
        let extent = Self { inside: next()?, outside: next()?, count: next()? };
        if numbers.next().is_some() {
            return Err(Errno::EINVAL);
        }
        extent.check()
    }

    /// EINVAL unless it has an id, and -1 is neither inside nor outside.
    pub fn check(self) -> Result<Self, Errno> {
        let fits = |first: u32| first.checked_add(self.count).is_some();
        if self.count > 0 && fits(self.inside) && fits(self.outside) { Ok(self) } else { Err(Errno::EINVAL) }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let meet = |a: u32, b: u32| a < b + other.count && b < a + self.count;
        meet(self.inside, other.inside) || meet(self.outside, other.outside)
    }

    /// The ids outside of the run of `count` ids inside from `first`, if all are in this extent.
    fn out(&self, first: u32, count: u32) -> Option<u32> {
        let offset = first.checked_sub(self.inside)?;
        (offset < self.count && self.count - offset >= count).then(|| self.outside + offset)
    }

    fn back(&self, outside: u32) -> Option<u32> {
        let offset = outside.checked_sub(self.outside)?;
        (offset < self.count).then(|| self.inside + offset)
    }
}

/// Reads what is written to a `uid_map`: one extent a line. EINVAL when it is malformed, empty, too long, or says
/// anything twice.
pub fn parse(text: &[u8]) -> Result<Vec<Extent>, Errno> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut extents: Vec<Extent> = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let extent = Extent::parse(line)?;
        push(&mut extents, extent)?;
    }
    Ok(extents)
}

/// Adds an extent to a list: EINVAL for one too many, or one that says something that another says.
pub fn push(extents: &mut Vec<Extent>, extent: Extent) -> Result<(), Errno> {
    let extent = extent.check()?;
    if extents.len() == EXTENTS_MAX || extents.iter().any(|other| other.overlaps(&extent)) {
        return Err(Errno::EINVAL);
    }
    extents.push(extent);
    Ok(())
}

/// A map whose outside is the whole machine's.
#[derive(Debug, PartialEq, Eq)]
pub struct IdMap(Vec<Extent>);

impl IdMap {
    /// The first namespace's: every id is itself.
    pub fn identity() -> Self {
        Self(Vec::from([Extent { inside: 0, outside: 0, count: NO_ID }]))
    }

    /// The map that has no id.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// The map of a namespace below one with the map `parent`. EPERM when an extent is not wholly in one extent of the
    /// parent.
    pub fn beneath(parent: &Self, extents: &[Extent]) -> Result<Self, Errno> {
        let translate = |extent: &Extent| {
            let outside =
                parent.0.iter().find_map(|wide| wide.out(extent.outside, extent.count)).ok_or(Errno::EPERM)?;
            Ok(Extent { outside, ..*extent })
        };
        Ok(Self(extents.iter().map(translate).collect::<Result<_, Errno>>()?))
    }

    /// The machine's id for one inside.
    pub fn to_kernel(&self, inside: u32) -> Option<u32> {
        self.0.iter().find_map(|extent| extent.out(inside, 1))
    }

    /// The id inside for one of the machine's.
    pub fn from_kernel(&self, id: u32) -> Option<u32> {
        self.0.iter().find_map(|extent| extent.back(id))
    }

    /// The text of `uid_map`, with the outside ids as a namespace with the map `viewer` sees them; those that it does
    /// not see are 4294967295.
    pub fn show(&self, viewer: &Self) -> String {
        let line = |extent: &Extent| {
            let outside = viewer.from_kernel(extent.outside).unwrap_or(NO_ID);
            format!("{:>10} {:>10} {:>10}\n", extent.inside, outside, extent.count)
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn extent(inside: u32, outside: u32, count: u32) -> Extent {
        Extent { inside, outside, count }
    }

    #[test]
    fn maps_are_read_as_linux_reads_them() {
        assert_eq!(parse(b"0 1000 1"), Ok(Vec::from([extent(0, 1000, 1)])));
        assert_eq!(parse(b"  0\t1000   1 \n5 3000 10\n"), Ok(Vec::from([extent(0, 1000, 1), extent(5, 3000, 10)])));
        let wrong: [&[u8]; 14] = [
            b"",
            b"\n",
            b"0 1000",
            b"0 1000 1 1",
            b"0 1000 0",
            b"-1 1000 1",
            b"+0 1000 1",
            b"0x0 1000 1",
            b"4294967295 0 1",
            b"0 4294967295 1",
            b"0 1 4294967295",
            b"0 4294967296 1",
            b"0 1000 1\n\n5 6 1",
            b"0 1000 1\0",
        ];
        for text in wrong {
            assert_eq!(parse(text), Err(Errno::EINVAL), "{:?}", core::str::from_utf8(text));
        }
    }

    #[test]
    fn nothing_is_mapped_twice_and_extents_are_bounded() {
        assert_eq!(parse(b"0 0 10\n9 100 1"), Err(Errno::EINVAL));
        assert_eq!(parse(b"0 0 10\n10 9 1"), Err(Errno::EINVAL));
        assert_eq!(parse(b"5 100 1\n0 0 10"), Err(Errno::EINVAL));
        assert!(parse(b"0 0 10\n10 10 1").is_ok());
        let lines: String = (0..EXTENTS_MAX as u32 + 1).map(|n| format!("{} {} 1\n", 2 * n, 3 * n)).collect();
        assert_eq!(parse(lines.as_bytes()), Err(Errno::EINVAL));
        let last = lines.trim_end().rfind('\n').expect("many lines");
        assert_eq!(parse(&lines.as_bytes()[..last]).map(|extents| extents.len()), Ok(EXTENTS_MAX));
    }

    #[test]
    fn nested_maps_lead_to_the_machines_ids() {
        let outer = IdMap::beneath(&IdMap::identity(), &[extent(0, 100_000, 1000), extent(5000, 7, 1)]).expect("all");
        let inner = IdMap::beneath(&outer, &[extent(0, 500, 500), extent(900, 5000, 1)]).expect("within outer");
        assert_eq!(inner.to_kernel(3), Some(100_503));
        assert_eq!(inner.to_kernel(500), None);
        assert_eq!(inner.to_kernel(900), Some(7));
        assert_eq!(inner.from_kernel(100_999), Some(499));
        assert_eq!((inner.from_kernel(100_000), inner.from_kernel(0)), (None, None));
        assert_eq!(IdMap::beneath(&outer, &[extent(0, 999, 2)]), Err(Errno::EPERM));
        assert_eq!(IdMap::beneath(&outer, &[extent(0, 4999, 2)]), Err(Errno::EPERM));
        assert_eq!(inner.show(&outer), "         0        500        500\n       900       5000          1\n");
        assert_eq!(outer.show(&inner).lines().next(), Some("         0 4294967295       1000"));
        let all = IdMap::identity();
        assert_eq!((all.to_kernel(NO_ID), all.to_kernel(NO_ID - 1)), (None, Some(NO_ID - 1)));
    }
}
