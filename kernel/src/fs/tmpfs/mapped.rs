//! Which address spaces map a file: what is cut off is unmapped there, and what is mapped to be written is not sealed.
//!
//! A space puts itself on the list before it maps the file, with its lock held, and never leaves it: it is dropped from
//! the list once it is gone.

use super::{Data, Seals};
use crate::mm::AddressSpace;
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use veridian_containers::abi::Errno;
use veridian_hal::mem::Frame;

/// Spaces that are gone are looked for when there are so many.
const SWEPT_AT: usize = 16;

/// Who maps a file, as far as they still are.
#[derive(Default)]
pub(super) struct Mappers {
    spaces: Vec<Weak<AddressSpace>>,
    swept_at: usize,
}

impl Mappers {
    fn add(&mut self, space: &Weak<AddressSpace>) {
        if self.spaces.iter().any(|known| known.ptr_eq(space)) {
            return;
        }
        if self.spaces.len() >= self.swept_at.max(SWEPT_AT) {
            self.spaces.retain(|known| known.strong_count() > 0);
            self.swept_at = self.spaces.len() * 2;
        }
        self.spaces.push(space.clone());
    }
}

impl Data {
    /// A number that no other file has as long as this one is there.
    pub fn identity(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// `space` is about to map it.
    pub fn mapped_in(&self, space: &Weak<AddressSpace>) {
        self.mappers.lock().add(space);
    }

    /// Runs `each` for all who map it, also those who begin to while this runs (a fork's child).
    fn for_each_mapper(&self, mut each: impl FnMut(&AddressSpace)) {
        let mut done: Vec<Arc<AddressSpace>> = Vec::new();
        loop {
            let is_new = |space: &Arc<AddressSpace>| !done.iter().any(|known| Arc::ptr_eq(known, space));
            let new: Vec<_> = {
                let mappers = self.mappers.lock();
                mappers.spaces.iter().filter_map(Weak::upgrade).filter(is_new).collect()
            };
            if new.is_empty() {
                return;
            }
            new.iter().for_each(|space| each(space));
            done.extend(new);
        }
    }

    /// The pages from `first` on are the file's no more: an access to them is SIGBUS.
    pub(super) fn unmap_from(&self, first: u64) {
        self.for_each_mapper(|space| space.forget_pages(self.identity(), first..u64::MAX, &|_, _| true));
    }

    /// The file has other pages now in place of `gone`.
    pub(super) fn unmap(&self, gone: &BTreeMap<u64, Frame>) {
        let (Some((&first, _)), Some((&last, _))) = (gone.first_key_value(), gone.last_key_value()) else { return };
        let is_gone =
            |index: u64, frame: &Frame| gone.get(&index).is_some_and(|gone| gone.address() == frame.address());
        self.for_each_mapper(|space| space.forget_pages(self.identity(), first..last + 1, &is_gone));
    }

    /// Sets further seals: EPERM where none may be, EBUSY where somebody's mapping may write what is to be sealed.
    pub fn add_seals(&self, seals: Seals) -> Result<(), Errno> {
        let before = {
            let mut pages = self.pages.lock();
            if pages.seals.contains(Seals::SEAL) {
                return Err(Errno::EPERM);
            }
            let before = pages.seals;
            pages.seals.insert(seals);
            before
        };
        let mut is_written = false;
        if seals.contains(Seals::WRITE) && !before.contains(Seals::WRITE) {
            // Nobody begins to map it for writing from here on.
            self.for_each_mapper(|space| is_written |= space.may_write(self.identity()));
        }
        if is_written {
            self.pages.lock().seals = before;
            return Err(Errno::EBUSY);
        }
        Ok(())
    }
}

/// Whether a file is open for writing, or being executed: not both.
#[derive(Debug, Default)]
pub(in crate::fs) struct Use(core::sync::atomic::AtomicI32);

impl Use {
    /// One more writes it, or (`executes`) executes it; ETXTBSY.
    pub fn begin(&self, executes: bool) -> Result<(), Errno> {
        use core::sync::atomic::Ordering::{AcqRel, Acquire};
        let step = if executes { -1 } else { 1 };
        // Those who write are counted upwards from 0, those who execute downwards.
        let more = |count: i32| if count * step >= 0 { count.checked_add(step) } else { None };
        self.0.try_update(AcqRel, Acquire, more).map(drop).map_err(|_| Errno::ETXTBSY)
    }

    /// Ends what [`Self::begin`] began.
    pub fn end(&self, executes: bool) {
        self.0.fetch_add(if executes { 1 } else { -1 }, core::sync::atomic::Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_and_who_executes_keep_each_other_out() {
        let used = Use::default();
        assert_eq!((used.begin(false), used.begin(false), used.begin(true)), (Ok(()), Ok(()), Err(Errno::ETXTBSY)));
        used.end(false);
        used.end(false);
        assert_eq!((used.begin(true), used.begin(false), used.begin(true)), (Ok(()), Err(Errno::ETXTBSY), Ok(())));
        used.end(true);
        used.end(true);
        assert_eq!(used.begin(false), Ok(()));
    }
}
