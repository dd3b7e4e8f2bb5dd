//! Objects of one kind by id and by key (svipc's `*get`).

use alloc::collections::BTreeMap;
use bitflags::bitflags;
use veridian_containers::abi::Errno;

bitflags! {
    /// What a `*get` call asks; the nine permission bits are apart.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GetFlags: u32 {
        /// Make the object if there is none of this key.
        const CREAT = 0o1000;
        /// With `CREAT`: fail if there is.
        const EXCL = 0o2000;
        /// Do not wait (of other calls; without effect here).
        const NOWAIT = 0o4000;
    }
}

/// The key that no object has.
const PRIVATE: i32 = 0;

/// How many objects a table can hold (IPCMNI).
pub const TABLE_MAX: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 15;

/// What a program names an object by: its place in the table, and which of those that were there in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub i32);

impl Id {
    fn new(sequence: u16, index: u16) -> Self {
        Self((i32::from(sequence & 0x7fff) << INDEX_BITS) | i32::from(index))
    }

    fn index(self) -> u16 {
        (self.0 & ((1 << INDEX_BITS) - 1)) as u16
    }

    /// `ipc_perm.seq`.
    pub fn sequence(self) -> u16 {
        (self.0 >> INDEX_BITS) as u16
    }
}

/// Objects by id, and those that have one by key.
#[derive(Debug)]
pub(super) struct Table<V> {
    by_index: BTreeMap<u16, (Id, V)>,
    by_key: BTreeMap<i32, Id>,
    /// How many objects were ever made, modulo the range.
    made: u16,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { by_index: BTreeMap::new(), by_key: BTreeMap::new(), made: 0 }
    }
}

/// What a `*get` call comes to.
pub(super) enum Found<'a, V> {
    /// The object of the key; the permissions that were asked for have to be checked.
    Old(Id, &'a V),
    /// One is to be made, under this id.
    New(Id),
}

impl<V> Table<V> {
    /// What `key` and `flags` mean now: ENOENT, EEXIST; ENOSPC when `max` objects are there.
    pub fn get(&self, key: i32, flags: GetFlags, max: usize) -> Result<Found<'_, V>, Errno> {
        if key != PRIVATE
            && let Some(&id) = self.by_key.get(&key)
        {
            if flags.contains(GetFlags::CREAT | GetFlags::EXCL) {
                return Err(Errno::EEXIST);
            }
            return Ok(Found::Old(id, &self.by_index[&id.index()].1));
        }
        if key != PRIVATE && !flags.contains(GetFlags::CREAT) {
            return Err(Errno::ENOENT);
        }
        if self.by_index.len() >= max.min(TABLE_MAX) {
            return Err(Errno::ENOSPC);
        }
        let index = (0..TABLE_MAX as u16).find(|index| !self.by_index.contains_key(index)).ok_or(Errno::ENOSPC)?;
        Ok(Found::New(Id::new(self.made, index)))
    }

    /// Puts in the object that [`Self::get`] gave `id` for.
    pub fn insert(&mut self, id: Id, key: i32, object: V) {
        self.made = self.made.wrapping_add(1);
        self.by_index.insert(id.index(), (id, object));
        if key != PRIVATE {
            self.by_key.insert(key, id);
        }
    }

    /// The object of an id: EINVAL if it is none, or no longer.
    pub fn find(&self, id: i32) -> Result<&V, Errno> {
        let found = u16::try_from(id & ((1 << INDEX_BITS) - 1)).ok().and_then(|index| self.by_index.get(&index));
        found.filter(|(own, _)| own.0 == id).map(|(_, object)| object).ok_or(Errno::EINVAL)
    }

    /// As [`Self::find`], to change it.
    pub fn find_mut(&mut self, id: i32) -> Result<&mut V, Errno> {
        let found = u16::try_from(id & ((1 << INDEX_BITS) - 1)).ok().and_then(|index| self.by_index.get_mut(&index));
        found.filter(|(own, _)| own.0 == id).map(|(_, object)| object).ok_or(Errno::EINVAL)
    }

    /// The object at a place of the table, as the `*_STAT` calls count.
    pub fn at(&self, index: i32) -> Result<(Id, &V), Errno> {
        let found = u16::try_from(index).ok().and_then(|index| self.by_index.get(&index));
        found.map(|(id, object)| (*id, object)).ok_or(Errno::EINVAL)
    }

    /// The highest place that is taken; 0 for none.
    pub fn highest(&self) -> usize {
        self.by_index.last_key_value().map_or(0, |(index, _)| usize::from(*index))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_index.len()
    }

    /// Makes the object findable by its id alone.
    pub fn forget_key(&mut self, id: Id) {
        self.by_key.retain(|_, own| *own != id);
    }

    /// Takes the object out, if it is the one of this id.
    pub fn remove(&mut self, id: Id) -> Option<V> {
        if self.by_index.get(&id.index()).is_none_or(|(own, _)| *own != id) {
            return None;
        }
        self.forget_key(id);
        self.by_index.remove(&id.index()).map(|(_, object)| object)
    }

    /// All, by place.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &V)> {
        self.by_index.values().map(|(id, object)| (*id, object))
    }
}

/// The flags of a `*get` call; what is unknown is without effect, as on Linux.
pub fn get_flags(bits: u32) -> GetFlags {
    GetFlags::from_bits_truncate(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(table: &mut Table<u32>, key: i32, flags: GetFlags, value: u32) -> Result<Id, Errno> {
        match table.get(key, flags, 3)? {
            Found::Old(id, _) => Ok(id),
            Found::New(id) => {
                table.insert(id, key, value);
                Ok(id)
            }
        }
    }

    #[test]
    fn keys_find_what_they_made_and_private_objects_have_none() {
        let mut table = Table::default();
        assert_eq!(make(&mut table, 7, GetFlags::empty(), 1), Err(Errno::ENOENT));
        let id = make(&mut table, 7, GetFlags::CREAT, 1).expect("made");
        assert_eq!(make(&mut table, 7, GetFlags::empty(), 2), Ok(id));
        assert_eq!(make(&mut table, 7, GetFlags::CREAT | GetFlags::EXCL, 2), Err(Errno::EEXIST));
        let (a, b) = (make(&mut table, 0, GetFlags::empty(), 3), make(&mut table, 0, GetFlags::empty(), 4));
        assert_ne!(a, b);
        assert_eq!(make(&mut table, 0, GetFlags::empty(), 5), Err(Errno::ENOSPC));
        assert_eq!((table.len(), table.highest()), (3, 2));
    }

    #[test]
    fn an_id_is_not_used_again_for_what_takes_the_place() {
        let mut table = Table::default();
        let first = make(&mut table, 7, GetFlags::CREAT, 1).expect("made");
        table.forget_key(first);
        assert_eq!(table.find(first.0), Ok(&1));
        assert_eq!(table.remove(first), Some(1));
        assert_eq!(table.remove(first), None);
        let second = make(&mut table, 7, GetFlags::CREAT, 2).expect("made");
        assert_eq!(first.0 & 0x7fff, second.0 & 0x7fff);
        assert_eq!(table.find(first.0), Err(Errno::EINVAL));
        assert_eq!(table.find(second.0), Ok(&2));
        assert_eq!(table.find(-1), Err(Errno::EINVAL));
        assert_eq!(table.at(0), Ok((second, &2)));
    }
}
