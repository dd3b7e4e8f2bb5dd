//! Mapping, unmapping, protecting, moving: results and refusals.

use super::*;

fn fixed(at: usize, pages: usize) -> Mapping {
    Mapping::private(Place::Fixed(UserAddr(at)), pages * PAGE, RW)
}

#[test]
fn mappings_are_placed_below_each_other_from_the_top() {
    let space = space(&group(None));
    let first = anonymous(&space, 4);
    assert_eq!(first.0 + 4 * PAGE, MMAP_TOP);
    assert_eq!(anonymous(&space, 2).0 + 2 * PAGE, first.0);
    space.unmap(offset(first, PAGE), 2 * PAGE).expect("aligned");
    assert_eq!(anonymous(&space, 2), offset(first, PAGE), "the highest gap that fits");
    let hint = UserAddr(0x1234_5678);
    let near = Mapping::private(Place::Near(hint), PAGE, RW);
    assert_eq!(space.map(near.clone()), Ok(hint.page_start()));
    assert_ne!(space.map(near), Ok(hint.page_start()));
}

#[test]
fn bad_lengths_and_addresses_are_refused_as_linux_refuses_them() {
    let space = space(&group(None));
    let map = |place, length| space.map(Mapping::private(place, length, RW));
    let anywhere = Place::Near(UserAddr(0));
    assert_eq!(map(anywhere, 0), Err(Errno::EINVAL));
    assert_eq!(map(anywhere, usize::MAX), Err(Errno::ENOMEM));
    assert_eq!(map(anywhere, layout::TOP), Err(Errno::ENOMEM));
    assert_eq!(map(Place::Fixed(UserAddr(0x10_0001)), PAGE), Err(Errno::EINVAL));
    assert_eq!(map(Place::Fixed(UserAddr(0)), PAGE), Err(Errno::EPERM));
    assert_eq!(map(Place::Fixed(UserAddr(layout::TOP)), PAGE), Err(Errno::ENOMEM));
    assert_eq!(map(Place::Fixed(UserAddr(layout::TOP - PAGE)), 2 * PAGE), Err(Errno::ENOMEM));
    let at = map(anywhere, PAGE).expect("room");
    assert_eq!(map(Place::Free(at), PAGE), Err(Errno::EEXIST));
    assert_eq!(space.unmap(at, 0), Err(Errno::EINVAL));
    assert_eq!(space.unmap(offset(at, 1), PAGE), Err(Errno::EINVAL));
    assert_eq!(space.unmap(at, usize::MAX), Err(Errno::EINVAL));
    assert_eq!(space.protect(offset(at, 1), PAGE, RW), Err(Errno::EINVAL));
    assert_eq!(space.protect(at, 2 * PAGE, RW), Err(Errno::ENOMEM));
    assert_eq!(space.protect(at, usize::MAX, RW), Err(Errno::ENOMEM));
    assert_eq!(space.protect(at, 0, RW), Ok(()));
    let file = TestFile::new(vec![0; PAGE]);
    let content = Content::PrivateFile { source: file, first: u64::MAX / PAGE as u64 };
    assert_eq!(space.map(Mapping { content, ..Mapping::private(anywhere, PAGE, RW) }), Err(Errno::EOVERFLOW));
}

#[test]
fn more_writable_memory_than_the_machine_has_is_refused_unless_asked_for() {
    let space = space(&group(None));
    let vast = Mapping::private(Place::Near(UserAddr(0)), 1 << 40, RW);
    assert_eq!(space.map(vast.clone()), Err(Errno::ENOMEM));
    assert_eq!(space.map(Mapping { content: Content::Shared, ..vast.clone() }), Err(Errno::ENOMEM));
    space.map(Mapping { bounded: false, ..vast.clone() }).expect("there are addresses enough");
    space.map(Mapping { protection: NONE, ..vast }).expect("nothing can be written there");
    let at = anonymous(&space, 1);
    assert_eq!(space.remap(at, PAGE, 1 << 40, Destination::Anywhere), Err(Errno::ENOMEM));
}

#[test]
fn the_address_space_limit_counts_what_is_mapped() {
    let memory = group(None);
    let space =
        AddressSpace::new(memory, Limits { address_space: 10 * PAGE, ..Limits::default() }, MMAP_TOP).expect("memory");
    let at = anonymous(&space, 8);
    let more = |pages| space.map(Mapping::private(Place::Near(UserAddr(0)), pages * PAGE, RW));
    assert_eq!(more(3), Err(Errno::ENOMEM));
    space.map(fixed(at.0, 8)).expect("it replaces as much");
    more(2).expect("within the limit");
    assert_eq!(more(1), Err(Errno::ENOMEM));
}

#[test]
fn the_number_of_areas_is_bounded() {
    let space = space(&group(None));
    let start = 0x1000_0000;
    for n in 0..layout::AREAS_MAX {
        space.map(fixed(start + 2 * n * PAGE, 1)).expect("below the limit");
    }
    assert_eq!(space.map(fixed(start - 2 * PAGE, 1)), Err(Errno::ENOMEM));
    space.map(fixed(start, 1)).expect_err("even instead of another: as Linux counts");
    space.unmap(UserAddr(start), PAGE).expect("one less");
    space.map(fixed(start, 3)).expect("one less again: it merges");
    space.unmap(UserAddr(start + PAGE), PAGE).expect("back to the limit");
    space.clear();
    assert_eq!(space.mapped_bytes(), 0);
}

#[test]
fn many_areas_are_charged_and_stop_at_the_groups_limit() {
    let memory = group(Some(20));
    let space = space(&memory);
    let made = (0..layout::AREAS_MAX).take_while(|n| space.map(fixed(0x1000_0000 + 2 * n * PAGE, 1)).is_ok()).count();
    assert!((200..400).contains(&made), "{made} areas");
    assert_eq!(memory.current_bytes(), 20 * PAGE as u64);
    assert!(memory.take_refusal().is_some());
    drop(space);
    assert_all_freed(&memory);
}

#[test]
fn the_break_moves_both_ways_and_stays_where_it_cannot() {
    let memory = group(None);
    let space = space(&memory);
    let start = 0x60_0000;
    space.set_heap_start(start);
    let brk = |to: usize| space.set_break(UserAddr(to)).0;
    assert_eq!(brk(0), start);
    assert_eq!(brk(start + 5000), start + 5000);
    space.write(UserAddr(start + 8191), &1u8).expect("the page of the break");
    assert_eq!(brk(start + 100), start + 100);
    assert_eq!(byte(&space, UserAddr(start + PAGE)), Err(Errno::EFAULT));
    space.map(fixed(start + 4 * PAGE, 1)).expect("room");
    assert_eq!(brk(start + 4 * PAGE), start + 100, "a page stays free");
    assert_eq!(brk(start + 3 * PAGE), start + 3 * PAGE);
    assert_eq!(brk(start - 1), start + 3 * PAGE);
    assert_eq!(brk(usize::MAX), start + 3 * PAGE);
    assert_eq!(brk(start), start);
    space.unmap(UserAddr(start + 4 * PAGE), PAGE).expect("aligned");
    assert_eq!(brk(start + (1 << 40)), start, "more than the machine has");
    assert_eq!(space.mapped_bytes(), 0);
    drop(space);
    assert_all_freed(&memory);
}

#[test]
fn a_mapping_is_moved_with_its_pages() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 4);
    space.write_bytes(at, &[5; 4 * PAGE]).expect("mapped");
    space.protect(offset(at, 3 * PAGE), PAGE, NONE).expect("mapped");
    space.protect(offset(at, 3 * PAGE), PAGE, RW).expect("mapped");
    assert_eq!(space.remap(at, 4 * PAGE, 2 * PAGE, Destination::InPlace), Ok(at), "shorter");
    assert_eq!(byte(&space, offset(at, 2 * PAGE)), Err(Errno::EFAULT));
    assert_eq!(space.remap(at, 2 * PAGE, 3 * PAGE, Destination::InPlace), Ok(at), "longer, there is room");
    assert_eq!((byte(&space, offset(at, PAGE)), byte(&space, offset(at, 2 * PAGE))), (Ok(5), Ok(0)));
    anonymous(&space, 1);
    let below = anonymous(&space, 1);
    space.protect(below, PAGE, Protection::READ).expect("so that it is an area of its own");
    assert_eq!(space.remap(below, PAGE, 2 * PAGE, Destination::InPlace), Err(Errno::ENOMEM), "no room");
    let held = space.resident_bytes();
    let moved = space.remap(at, 3 * PAGE, 9 * PAGE, Destination::Anywhere).expect("room");
    assert_ne!(moved, at);
    assert_eq!(space.resident_bytes(), held);
    assert_eq!(byte(&space, at), Err(Errno::EFAULT));
    assert_eq!((byte(&space, offset(moved, PAGE)), byte(&space, offset(moved, 8 * PAGE))), (Ok(5), Ok(0)));
    let target = UserAddr(0x1000_0000);
    assert_eq!(space.remap(moved, 9 * PAGE, PAGE, Destination::Fixed(target)), Ok(target));
    assert_eq!((byte(&space, target), byte(&space, moved)), (Ok(5), Err(Errno::EFAULT)));
    for (old, length, new, to) in [
        (offset(target, 1), PAGE, PAGE, Destination::Anywhere),
        (target, PAGE, 0, Destination::Anywhere),
        (target, 0, PAGE, Destination::Anywhere),
        (target, PAGE, PAGE, Destination::Fixed(target)),
        (target, PAGE, PAGE, Destination::Fixed(UserAddr(1))),
    ] {
        assert_eq!(space.remap(old, length, new, to), Err(Errno::EINVAL));
    }
    assert_eq!(space.remap(target, 2 * PAGE, 3 * PAGE, Destination::Anywhere), Err(Errno::EFAULT));
    drop(space);
    assert_all_freed(&memory);
}

#[test]
fn discarded_pages_are_zero_or_the_files_again() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 2);
    space.write_bytes(at, &[5; 2 * PAGE]).expect("mapped");
    space.discard(at, PAGE, Discard::PrivateAnonymous).expect("mapped");
    assert_eq!((byte(&space, at), byte(&space, offset(at, PAGE))), (Ok(0), Ok(5)));
    let content = Content::PrivateFile { source: TestFile::new(vec![7; PAGE]), first: 0 };
    let file = space.map(Mapping { content, ..Mapping::private(Place::Near(UserAddr(0)), PAGE, RW) }).expect("room");
    space.write(file, &1u8).expect("mapped");
    assert_eq!(space.discard(file, PAGE, Discard::PrivateAnonymous), Err(Errno::EINVAL));
    assert_eq!(byte(&space, file), Ok(1));
    space.discard(file, PAGE, Discard::Any).expect("mapped");
    assert_eq!(byte(&space, file), Ok(7));
    assert_eq!(space.discard(at, 64 * PAGE, Discard::Any), Err(Errno::ENOMEM), "holes");
    assert_eq!(space.check_mapped(at, 2 * PAGE), Ok(()));
    assert_eq!(space.check_mapped(at, 64 * PAGE), Err(Errno::ENOMEM));
}

#[test]
fn rights_change_only_as_a_whole() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 2);
    let content = Content::SharedFile { source: TestFile::new(vec![7; PAGE]), first: 0 };
    let place = Place::Fixed(offset(at, 2 * PAGE));
    space.map(Mapping { content, ..Mapping::private(place, PAGE, Protection::READ) }).expect("room");
    space.protect(at, 2 * PAGE, Protection::READ).expect("mapped");
    assert_eq!(space.protect(at, 3 * PAGE, RW), Err(Errno::EACCES));
    assert_eq!(space.write(at, &1u8), Err(Errno::EFAULT), "nothing has changed");
    space.protect(at, 2 * PAGE, Protection::WRITE).expect("mapped");
    space.write(at, &1u8).expect("may be written");
    assert_eq!(byte(&space, at), Ok(1), "writing implies reading");
}
