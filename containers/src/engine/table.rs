//! The containers by id and by key.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::hash::BuildHasher;
use core::num::NonZeroU64;
use core::ops::Bound;
use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::container::{Container, ContainerKey};
use super::{Error, Platform};
use crate::ContainerId;
use crate::abi::Errno;

/// Every container that has an id. By id for look-up, by key for the walk through all: keys only ever grow.
pub(super) struct Table<P: Platform> {
    by_id: HashMap<ContainerId, Arc<Container<P>>, Keyed>,
    by_key: BTreeMap<ContainerKey, Arc<Container<P>>>,
    last_key: u64,
}

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
        Self { by_id: HashMap::with_hasher(Keyed(hash_key)), by_key: BTreeMap::new(), last_key: 0 }
    }

    /// Enters a new container. EEXIST if the id is taken, ENOMEM if there is no room.
    pub(super) fn reserve(
        &mut self,
        id: ContainerId,
        make: impl FnOnce(ContainerKey, ContainerId) -> Container<P>,
    ) -> Result<Arc<Container<P>>, Error> {
        if self.by_id.contains_key(&id) {
            let error = Error::new(Errno::EEXIST).reason("a container with this id exists");
            return Err(error.operand(String::from(id.as_str())));
        }
        self.by_id.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.last_key += 1;
        let Some(serial) = NonZeroU64::new(self.last_key) else { unreachable!("2^64 containers") };
        let key = ContainerKey::new(serial);
        let container = Arc::new(make(key, id.clone()));
        self.by_id.insert(id, Arc::clone(&container));
        self.by_key.insert(key, Arc::clone(&container));
        Ok(container)
    }

    /// Takes a container out; its id is free again.
    pub(super) fn remove(&mut self, key: ContainerKey) -> Option<Arc<Container<P>>> {
        let container = self.by_key.remove(&key)?;
        self.by_id.remove(container.id());
        Some(container)
    }

    pub(super) fn get(&self, id: &ContainerId) -> Option<Arc<Container<P>>> {
        self.by_id.get(id).cloned()
    }

    pub(super) fn by_key(&self, key: ContainerKey) -> Option<Arc<Container<P>>> {
        self.by_key.get(&key).cloned()
    }

    pub(super) fn next_after(&self, cookie: u64) -> Option<Arc<Container<P>>> {
        let after = match NonZeroU64::new(cookie) {
            Some(serial) => Bound::Excluded(ContainerKey::new(serial)),
            None => Bound::Unbounded,
        };
        self.by_key.range((after, Bound::Unbounded)).next().map(|(_, container)| Arc::clone(container))
    }
}
