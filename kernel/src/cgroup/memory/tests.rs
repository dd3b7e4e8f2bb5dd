//! Tests of charges on the hosted machine.

use super::*;
use alloc::{sync::Arc, vec::Vec};
use veridian_hal::{PAGE_SIZE, arch::hosted};

const PAGE: u64 = PAGE_SIZE as u64;

/// Gives the tests their memory. Each that makes groups begins with it.
pub fn machine() {
    hosted::init(16 << 20);
    mem::set_ledger(&Books);
}

fn limited(parent: &Arc<MemoryGroup>, frames: u64) -> Arc<MemoryGroup> {
    let group = MemoryGroup::child(parent);
    group.set_limit(Limit::Max, Some(frames * PAGE));
    group
}

#[test]
fn the_frame_past_the_limit_is_refused_and_a_freed_frame_makes_room() {
    machine();
    let root = MemoryGroup::root();
    let group = limited(&root, 3);
    let mut frames: Vec<_> = (0..3).map(|_| group.zeroed_frame(Kind::Anon).expect("within the limit")).collect();
    assert_eq!(group.zeroed_frame(Kind::Anon), Err(OutOfMemory));
    assert!(group.take_refusal().is_some_and(|at| Arc::ptr_eq(&at, &group)));
    assert!(group.take_refusal().is_none());
    assert_eq!(root.current_bytes(), 3 * PAGE);
    assert_eq!((group.event(Event::Max), root.event(Event::Max)), (1, 1));
    assert_eq!(root.events_here()[Event::Max as usize], 0);
    frames.pop();
    frames.push(group.copied_frame(Kind::Shmem, &frames[0]).expect("room again"));
    let stat = group.stat();
    assert_eq!((stat.anon, stat.shmem), (2 * PAGE, PAGE));
    drop(frames);
    assert_eq!((group.current_bytes(), root.current_bytes()), (0, 0));
    assert_eq!(group.peak_bytes(), 3 * PAGE);
    group.close();
}

#[test]
fn a_limit_above_binds_the_groups_below_together() {
    machine();
    let root = MemoryGroup::root();
    let outer = limited(&root, 2);
    let (a, b) = (MemoryGroup::child(&outer), MemoryGroup::child(&outer));
    let _held = (a.zeroed_frame(Kind::Anon).expect("first"), b.zeroed_frame(Kind::Anon).expect("second"));
    assert_eq!(a.zeroed_frame(Kind::Anon), Err(OutOfMemory));
    assert!(a.take_refusal().is_some_and(|at| Arc::ptr_eq(&at, &outer)));
    assert_eq!(a.current_bytes(), PAGE);
}

#[test]
fn a_closed_group_lives_until_its_last_frame() {
    machine();
    let root = MemoryGroup::root();
    let group = MemoryGroup::child(&root);
    let frame = group.zeroed_frame(Kind::Anon).expect("memory");
    let watch = Arc::downgrade(&group);
    group.close();
    drop(group);
    assert!(watch.upgrade().is_some());
    drop(frame);
    assert!(watch.upgrade().is_none());
    assert_eq!(root.current_bytes(), 0);
}

#[test]
fn bytes_of_the_kernel_are_paid_in_whole_frames_by_all_objects_together() {
    machine();
    let root = MemoryGroup::root();
    let group = limited(&root, 2);
    let small: Vec<_> = (0..4).map(|_| group.charge_kernel(PAGE_SIZE / 4).expect("one frame")).collect();
    assert_eq!(group.current_bytes(), PAGE);
    let mut grows = group.charge_kernel(1).expect("a second frame");
    assert_eq!(grows.resize(PAGE_SIZE + 1), Err(OutOfMemory));
    grows.resize(PAGE_SIZE).expect("fits the second frame");
    assert_eq!(group.stat().kernel, 2 * PAGE);
    drop(small);
    assert_eq!(root.current_bytes(), PAGE);
    drop(grows);
    assert_eq!(root.current_bytes(), 0);
}

#[test]
fn over_high_costs_time_that_grows_with_the_square() {
    machine();
    let root = MemoryGroup::root();
    let group = MemoryGroup::child(&root);
    let below = MemoryGroup::child(&group);
    group.set_limit(Limit::High, Some(8 * PAGE));
    let mut frames: Vec<_> = (0..8).map(|_| below.zeroed_frame(Kind::Anon).expect("memory")).collect();
    assert_eq!(below.penalty_ns(), 0);
    frames.push(below.zeroed_frame(Kind::Anon).expect("memory"));
    assert_eq!(below.penalty_ns(), 250_000_000);
    frames.push(below.zeroed_frame(Kind::Anon).expect("memory"));
    assert_eq!(below.penalty_ns(), 1_000_000_000);
    assert_eq!((group.event(Event::High), root.event(Event::High), below.event(Event::High)), (2, 2, 0));
}
