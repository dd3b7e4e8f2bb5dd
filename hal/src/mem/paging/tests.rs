//! Page tables on the simulated machine: the walk, the ownership of frames and tables, and where copies stop.

use super::*;
use crate::mem::{
    Owner,
    frames::tests::{COUNTED, TEST_LEDGER},
    statistics, test_machine,
};
use core::sync::atomic::{AtomicUsize, Ordering};
use proptest::prelude::*;
use std::{collections::BTreeMap, vec, vec::Vec};

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
const BASE: usize = 0x7f_ffe0_0000;

fn page(number: usize) -> UserAddr {
    UserAddr(BASE + number * PAGE_SIZE)
}

fn frame() -> Frame {
    Frame::zeroed(Owner::KERNEL).expect("the simulated machine has memory")
}

/// Gives a table its pages until there are none left, for the owner that the ledger counts.
struct Pages(AtomicUsize);

impl Pages {
    fn some(number: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(number)))
    }
}

impl FrameSource for Pages {
    fn zeroed_frame(&self) -> Result<Frame, OutOfFrames> {
        let taken = self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map_err(|_| OutOfFrames).and_then(|_| Frame::zeroed(COUNTED))
    }
}

fn table() -> Arc<PageTable> {
    PageTable::new(Pages::some(usize::MAX)).expect("the simulated machine has memory")
}

#[test]
fn what_is_mapped_is_found_and_nothing_else() {
    let _machine = test_machine();
    let (table, frame) = (table(), frame());
    assert_eq!(table.lookup(page(0)), None);
    table.map(page(0), frame.clone(), READ_WRITE).expect("memory");
    assert_eq!(table.lookup(page(0)), Some((frame.clone(), READ_WRITE)));
    for other in [page(1), UserAddr(page(0).0 - PAGE_SIZE), UserAddr(0), UserAddr(arch::USER_END), UserAddr(usize::MAX)]
    {
        assert_eq!(table.lookup(other), None, "{other:?}");
    }
}

#[test]
fn pages_that_are_not_of_the_user_half_are_refused() {
    let _machine = test_machine();
    let table = table();
    for at in [arch::USER_END, usize::MAX - PAGE_SIZE + 1, page(0).0 + 1, 1 << 63] {
        assert_eq!(table.map(UserAddr(at), frame(), READ_WRITE), Err(MapError::NotUser), "{at:#x}");
    }
    assert_eq!(table.map(page(0), frame(), Protection::empty()), Err(MapError::NotUser));
    assert_eq!(table.map(UserAddr(arch::USER_END - PAGE_SIZE), frame(), READ_WRITE), Ok(()));
}

#[test]
fn a_mapping_holds_its_frame_and_a_new_one_replaces_it() {
    let _machine = test_machine();
    let (table, one, two) = (table(), frame(), frame());
    table.map(page(0), one.clone(), READ_WRITE).expect("memory");
    assert!(one.is_shared());
    table.map(page(0), two.clone(), Protection::READ).expect("memory");
    assert!(!one.is_shared() && two.is_shared());
    assert_eq!(table.lookup(page(0)), Some((two.clone(), Protection::READ)));
    table.unmap(page(0)..page(1));
    assert!(!two.is_shared());
    assert_eq!(table.lookup(page(0)), None);
}

#[test]
fn ranges_are_unmapped_over_tables_and_holes_and_in_steps() {
    let _machine = test_machine();
    let (table, frame) = (table(), frame());
    let all = 3 * TABLE_ENTRIES + 5;
    for number in (0..all).filter(|n| n % 7 != 3) {
        table.map(page(number), frame.clone(), READ_WRITE).expect("memory");
    }
    let mapped = (1..all - 1).filter(|n| n % 7 != 3).count();
    assert_eq!(table.unmap(page(1)..page(all - 1)), mapped);
    let mut left = Vec::new();
    table.for_each(UserAddr(0)..UserAddr(arch::USER_END), |at, _, _| left.push(at));
    assert_eq!(left, [page(0), page(all - 1)]);
    table.unmap(UserAddr(0)..UserAddr(usize::MAX));
    assert!(!frame.is_shared());
    // Empty and backward ranges are nothing.
    table.unmap(page(3)..page(3));
    table.unmap(page(3)..page(2));
}

#[test]
fn protection_changes_page_by_page_and_none_unmaps() {
    let _machine = test_machine();
    let (table, frame) = (table(), frame());
    for number in 0..10 {
        let rights = if number % 2 == 0 { READ_WRITE } else { Protection::READ };
        table.map(page(number), frame.clone(), rights).expect("memory");
    }
    table.protect(page(2)..page(8), |p| {
        if p.contains(Protection::WRITE) { Protection::READ | Protection::EXECUTE } else { Protection::empty() }
    });
    let mut seen = Vec::new();
    table.for_each(page(0)..page(10), |at, f, rights| {
        assert_eq!(f, frame);
        seen.push(((at.0 - BASE) / PAGE_SIZE, rights));
    });
    let (rx, r) = (Protection::READ | Protection::EXECUTE, Protection::READ);
    assert_eq!(seen, [(0, READ_WRITE), (1, r), (2, rx), (4, rx), (6, rx), (8, READ_WRITE), (9, r)]);
}

#[test]
fn a_dropped_table_gives_back_everything() {
    let _machine = test_machine();
    let before = statistics().free;
    let table = table();
    for number in 0..40 {
        table.map(UserAddr(number << 38 | number << 13), frame(), READ_WRITE).expect("memory");
    }
    table.write(UserAddr(0), b"loads it").expect("mapped");
    drop(table);
    assert!(statistics().free < before, "it is still loaded");
    leave_address_space();
    assert_eq!(statistics().free, before);
}

#[test]
fn a_table_without_a_charge_for_its_pages_maps_nothing_and_leaks_nothing() {
    let _machine = test_machine();
    let before = statistics().free;
    let released = TEST_LEDGER.released.load(Ordering::Relaxed);
    let pages = Pages::some(3);
    let table = PageTable::new(pages.clone()).expect("one page of three");
    // Needs three more, and gets two.
    assert_eq!(table.map(page(0), frame(), READ_WRITE), Err(MapError::OutOfFrames));
    assert_eq!(table.lookup(page(0)), None);
    pages.0.store(1, Ordering::Relaxed);
    assert_eq!(table.map(page(0), frame(), READ_WRITE), Ok(()));
    assert_eq!(PageTable::new(pages.clone()).err(), Some(OutOfFrames));
    drop(table);
    assert_eq!(TEST_LEDGER.released.load(Ordering::Relaxed), released + 4);
    assert_eq!(statistics().free, before);
}

#[test]
fn copies_stop_at_the_first_byte_that_they_may_not_touch() {
    let _machine = test_machine();
    let table = table();
    table.map(page(0), frame(), READ_WRITE).expect("memory");
    table.map(page(1), frame(), Protection::READ).expect("memory");
    for before in 0..20 {
        let start = UserAddr(page(1).0 - before);
        assert_eq!(table.write(start, &[7; 20]), Err(Fault { address: page(1), access: Access::Write }));
        let mut bytes = vec![0; PAGE_SIZE + before + 1];
        let fault = Fault { address: page(2), access: Access::Read };
        assert_eq!(table.read(start, &mut bytes), Err(fault));
        assert!(bytes[..before].iter().all(|&b| b == 7));
    }
    leave_address_space();
}

#[test]
fn copies_leave_the_kernel_half_alone() {
    let _machine = test_machine();
    let table = table();
    let last = UserAddr(arch::USER_END - PAGE_SIZE);
    table.map(last, frame(), READ_WRITE).expect("memory");
    let mut bytes = [0; 16];
    for start in [arch::USER_END - 3, arch::USER_END, arch::USER_END + 1, usize::MAX - 3, usize::MAX] {
        let stop = UserAddr(start.max(arch::USER_END));
        assert_eq!(table.read(UserAddr(start), &mut bytes), Err(Fault { address: stop, access: Access::Read }));
        assert_eq!(table.write(UserAddr(start), &bytes), Err(Fault { address: stop, access: Access::Write }));
    }
    assert_eq!(table.read(UserAddr(usize::MAX), &mut []), Ok(()));
    leave_address_space();
}

#[test]
fn frames_are_copied_from_and_to_user_memory() {
    let _machine = test_machine();
    let (table, source, target) = (table(), frame(), frame());
    table.map(page(0), frame(), READ_WRITE).expect("memory");
    table.map(page(1), frame(), READ_WRITE).expect("memory");
    source.write(0, &[3; PAGE_SIZE]);
    let start = UserAddr(page(1).0 - 10);
    assert_eq!(table.write_frame(start, &source, 5..30), Ok(()));
    assert_eq!(table.read_frame(start, &target, 100..125), Ok(()));
    let mut bytes = [0; 27];
    target.read(99, &mut bytes);
    assert_eq!((bytes[0], &bytes[1..26], bytes[26]), (0, &[3; 25][..], 0));
    let far = UserAddr(page(2).0 - 4);
    assert_eq!(table.read_frame(far, &target, 0..5), Err(Fault { address: page(2), access: Access::Read }));
    let past = std::panic::AssertUnwindSafe(|| table.write_frame(start, &source, 0..PAGE_SIZE + 1));
    assert!(std::panic::catch_unwind(past).is_err());
    leave_address_space();
}

proptest! {
    /// A table behaves as a map from pages to frames, whatever is done to it.
    #[test]
    fn a_table_is_a_map(steps in prop::collection::vec((0u8..3, 0usize..1200, 1usize..700, 1u8..8), 1..60)) {
        let _machine = test_machine();
        let before = statistics().free;
        {
            let table = table();
            let frames: Vec<Frame> = (0..4).map(|_| frame()).collect();
            let mut model: BTreeMap<usize, (usize, Protection)> = BTreeMap::new();
            for (kind, first, count, bits) in steps {
                // The simulated format keeps all three bits apart.
                let rights = Protection::from_bits_truncate(bits);
                match kind {
                    0 => {
                        let which = first % frames.len();
                        prop_assert_eq!(table.map(page(first), frames[which].clone(), rights), Ok(()));
                        model.insert(first, (which, rights));
                    }
                    1 => {
                        let mapped = model.range(first..first + count).count();
                        prop_assert_eq!(table.unmap(page(first)..page(first + count)), mapped);
                        model.retain(|n, _| !(first..first + count).contains(n));
                    }
                    _ => {
                        table.protect(page(first)..page(first + count), |p| p & rights);
                        for (_, (_, held)) in model.range_mut(first..first + count) {
                            *held &= rights;
                        }
                        model.retain(|_, (_, held)| !held.is_empty());
                    }
                }
            }
            let mut seen = BTreeMap::new();
            table.for_each(page(0)..page(2000), |at, frame, rights| {
                let which = frames.iter().position(|f| *f == frame).expect("one of ours");
                seen.insert((at.0 - BASE) / PAGE_SIZE, (which, rights));
            });
            prop_assert_eq!(seen, model);
        }
        prop_assert_eq!(statistics().free, before);
    }
}
