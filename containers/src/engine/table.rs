//! The containers by id and by key.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use core::hash::BuildHasher;
use core::num::NonZeroU64;
use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::container::{Container, ContainerKey, Origin};
use super::{Error, Platform};
use crate::ContainerId;
use crate::abi::Errno;

/// Every container that has an id: by id and by key for look-up, and the keys in order for the walk through those that
/// are in the same place. Keys only ever grow.
pub(super) struct Table<P: Platform> {
    by_id: HashMap<Name, Arc<Container<P>>, Keyed>,
    by_key: BTreeMap<ContainerKey, Arc<Container<P>>>,
    by_place: BTreeSet<(Place, ContainerKey)>,
    last_key: u64,
}

/// The container that others are inside of; `None`: they are in none.
type Place = Option<ContainerKey>;

/// An id, and where it means something.
type Name = (Place, ContainerId);

/// Builds hashers that nobody can predict who does not know the key: ids are chosen by users.
struct Keyed([u64; 2]);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0[0], self.0[1])
    }
}

impl<P: Platform> Table<P> {
    pub(super) const fn new(hash_key: [u64; 2]) -> Self {
        Self {
            by_id: HashMap::with_hasher(Keyed(hash_key)),
            by_key: BTreeMap::new(),
            by_place: BTreeSet::new(),
            last_key: 0,
        }
    }

    /// Enters a new container. EEXIST if the id is taken, ENOMEM if there is no room, ESRCH if the container that it
    /// would be in is gone.
    pub(super) fn reserve(&mut self, origin: Origin<P>) -> Result<Arc<Container<P>>, Error> {
        let name = (origin.outer, origin.id.clone());
        if self.by_id.contains_key(&name) {
            let error = Error::new(Errno::EEXIST).reason("a container with this id exists");
            return Err(error.operand(String::from(origin.id.as_str())));
        }
        if origin.outer.is_some_and(|outer| !self.by_key.contains_key(&outer)) {
            return Err(Errno::ESRCH.into());
        }
        self.by_id.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.last_key += 1;
        let Some(serial) = NonZeroU64::new(self.last_key) else { unreachable!("2^64 containers") };
        let key = ContainerKey::new(serial);
        self.by_place.insert((origin.outer, key));
        let container = Arc::new(Container::new(key, origin));
        self.by_id.insert(name, Arc::clone(&container));
        self.by_key.insert(key, Arc::clone(&container));
        Ok(container)
    }

    /// Takes a container out; its id is free again.
    pub(super) fn remove(&mut self, key: ContainerKey) -> Option<Arc<Container<P>>> {
        let container = self.by_key.remove(&key)?;
        self.by_place.remove(&(container.outer(), key));
        self.by_id.remove(&(container.outer(), container.id().clone()));
        Some(container)
    }

    /// The container that has `id` inside of `outer`.
    pub(super) fn get(&self, outer: Place, id: &ContainerId) -> Option<Arc<Container<P>>> {
        self.by_id.get(&(outer, id.clone())).cloned()
    }

    pub(super) fn by_key(&self, key: ContainerKey) -> Option<Arc<Container<P>>> {
        self.by_key.get(&key).cloned()
    }

    /// The container next after the one of a key, of those that are in the same place; the first for 0.
    pub(super) fn next_after(&self, place: Place, cookie: u64) -> Option<Arc<Container<P>>> {
        let first = (place, ContainerKey::new(NonZeroU64::new(cookie.checked_add(1)?)?));
        let &(found, key) = self.by_place.range(first..).next()?;
        (found == place).then(|| self.by_key(key)).flatten()
    }
}
