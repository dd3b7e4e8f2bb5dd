//! Frames on the simulated machine.

use super::*;
use crate::mem::test_machine;
use core::sync::atomic::AtomicUsize;
use proptest::prelude::*;
use std::{collections::BTreeSet, vec::Vec};

fn frame(owner: Owner) -> Frame {
    Frame::zeroed(owner).expect("the simulated machine has memory")
}

#[test]
fn a_frame_is_zeroed_each_time_it_is_given_out() {
    let _machine = test_machine();
    for _ in 0..3 {
        let frames: Vec<Frame> = (0..50).map(|_| frame(Owner::KERNEL)).collect();
        for frame in &frames {
            let mut bytes = [1; PAGE_SIZE];
            frame.read(0, &mut bytes);
            assert!(bytes.iter().all(|&b| b == 0));
            frame.write(0, &[0xff; PAGE_SIZE]);
        }
        let numbers: BTreeSet<usize> = frames.iter().map(|f| f.number).collect();
        assert_eq!(numbers.len(), frames.len(), "no frame is given out twice");
    }
}

#[test]
fn the_last_handle_frees() {
    let _machine = test_machine();
    let before = statistics().free;
    let one = frame(Owner::KERNEL);
    assert_eq!(statistics().free, before - 1);
    assert!(!one.is_shared());
    let two = one.clone();
    assert!(one.is_shared() && one == two);
    drop(one);
    assert!(!two.is_shared());
    assert_eq!(statistics().free, before - 1);
    drop(two);
    assert_eq!(statistics().free, before);
}

#[test]
fn a_copy_has_the_contents_and_its_own_owner() {
    let _machine = test_machine();
    let original = frame(Owner::KERNEL);
    original.write(100, b"contents");
    let copy = Frame::copy_of(&original, Owner(3)).expect("memory");
    original.write(100, b"replaced");
    let mut bytes = [0; 8];
    copy.read(100, &mut bytes);
    assert_eq!(&bytes, b"contents");
    assert_eq!((original.owner(), copy.owner()), (Owner::KERNEL, Owner(3)));
}

#[test]
fn reads_and_writes_stop_at_the_end_of_the_frame() {
    let _machine = test_machine();
    let frame = frame(Owner::KERNEL);
    frame.write(PAGE_SIZE - 4, b"last");
    frame.write(PAGE_SIZE, b"");
    for past in [(PAGE_SIZE - 3, 4), (PAGE_SIZE, 1), (usize::MAX, 2)] {
        let refused = std::panic::catch_unwind(|| frame.write(past.0, &b"last"[..past.1]));
        assert!(refused.is_err(), "{past:?}");
    }
    frame.zero(PAGE_SIZE - 2..PAGE_SIZE);
    let mut bytes = [1; 4];
    frame.read(PAGE_SIZE - 4, &mut bytes);
    assert_eq!(&bytes, b"la\0\0");
}

/// The one ledger of this test process.
pub(crate) struct TestLedger {
    pub(crate) released: AtomicUsize,
}

pub(crate) static TEST_LEDGER: TestLedger = TestLedger { released: AtomicUsize::new(0) };
/// The owner that it counts.
pub(crate) const COUNTED: Owner = Owner(9);

impl Ledger for TestLedger {
    fn released(&self, owner: Owner) {
        if owner == COUNTED {
            self.released.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn the_ledger_hears_of_each_release_once() {
    let _machine = test_machine();
    let before = TEST_LEDGER.released.load(Ordering::Relaxed);
    let frames: Vec<Frame> = (0..10).map(|_| frame(COUNTED)).collect();
    let again = frames.clone();
    drop(frames);
    assert_eq!(TEST_LEDGER.released.load(Ordering::Relaxed), before);
    drop(again);
    assert_eq!(TEST_LEDGER.released.load(Ordering::Relaxed), before + 10);
    drop(frame(Owner(8)));
    drop(frame(Owner::KERNEL));
    assert_eq!(TEST_LEDGER.released.load(Ordering::Relaxed), before + 10);
}

#[test]
fn runs_are_aligned_and_merge_again() {
    let _machine = test_machine();
    let before = statistics().free;
    let runs: Vec<Run> = (0..=MAX_ORDER).map(|order| Run::new(PAGE_SIZE << order).expect("memory")).collect();
    for (order, run) in runs.iter().enumerate() {
        assert_eq!(run.number % (1 << order), 0);
        assert_eq!(run.bytes(), PAGE_SIZE << order);
    }
    assert!(Run::new((PAGE_SIZE << MAX_ORDER) + 1).is_err(), "larger than the largest run");
    drop(runs);
    assert_eq!(statistics().free, before);
    // All singles, then all back: the largest runs are there again.
    let largest = count_largest();
    let singles: Vec<Frame> = std::iter::from_fn(|| Frame::unfilled(Owner::KERNEL).ok()).collect();
    assert_eq!(singles.len(), before);
    assert_eq!(Frame::zeroed(Owner::KERNEL), Err(OutOfFrames));
    assert!(Run::new(PAGE_SIZE).is_err());
    drop(singles);
    assert_eq!(statistics().free, before);
    assert_eq!(count_largest(), largest);
}

fn count_largest() -> usize {
    let runs: Vec<Run> = std::iter::from_fn(|| Run::new(PAGE_SIZE << MAX_ORDER).ok()).collect();
    runs.len()
}

#[test]
fn free_ranges_leave_out_what_is_taken() {
    let mut map = MemoryMap { usable: Default::default(), reserved: Default::default(), initrd: None };
    for usable in [0x800..0x9_f400, 0x10_0000..0x100_0000] {
        map.usable.push(usable).expect("room");
    }
    for reserved in [0..0x1000, 0x8000..0x9000, 0x10_0000..0x18_0001, 0x17_f000..0x18_0800, 0x5000..0x5000] {
        map.reserved.push(reserved).expect("room");
    }
    map.initrd = Some(0xff_e800..0x100_0000);
    let free: Vec<_> = map.free_ranges().collect();
    assert_eq!(free, [0x1000..0x8000, 0x9000..0x9_f000, 0x18_1000..0xff_e000]);
}

proptest! {
    /// Whatever is taken and given back in whatever order: nothing overlaps, and everything comes back.
    #[test]
    fn any_order_of_taking_and_giving(steps in prop::collection::vec((0usize..=MAX_ORDER, any::<bool>(), any::<prop::sample::Index>()), 1..100)) {
        let _machine = test_machine();
        let before = statistics().free;
        let mut held: Vec<Run> = Vec::new();
        for (order, give, which) in steps {
            if give && !held.is_empty() {
                held.swap_remove(which.index(held.len()));
            } else if let Ok(run) = Run::new(PAGE_SIZE << order) {
                let frames = run.number..run.number + (1 << run.order);
                for other in &held {
                    prop_assert!(other.number >= frames.end || other.number + (1 << other.order) <= frames.start);
                }
                held.push(run);
            }
            let used: usize = held.iter().map(|run| 1 << run.order).sum();
            prop_assert_eq!(statistics().free, before - used);
        }
        drop(held);
        prop_assert_eq!(statistics().free, before);
    }
}
