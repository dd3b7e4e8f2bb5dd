//! Demand paging, copy-on-write, stacks, fork.

use super::*;

#[test]
fn a_mapping_costs_nothing_until_touched_and_is_zero_then() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 1000);
    assert_eq!(memory.current_bytes(), PAGE as u64, "the root table");
    let mut bytes = [0xff; 16];
    space.read_bytes(offset(at, PAGE - 8), &mut bytes).expect("mapped");
    assert_eq!(bytes, [0; 16]);
    assert_eq!(space.resident_bytes(), 2 * PAGE);
    drop(space);
    assert_all_freed(&memory);
}

#[test]
fn faults_tell_what_is_wrong() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 1);
    space.protect(at, PAGE, Protection::READ).expect("mapped");
    assert_eq!(space.fault(at, Access::Read), Ok(()));
    assert_eq!(space.fault(at, Access::Read), Ok(()), "a spurious fault");
    assert_eq!(space.fault(at, Access::Write), Err(FaultError::Denied));
    assert_eq!(space.fault(at, Access::Execute), Err(FaultError::Denied));
    assert_eq!(space.fault(offset(at, PAGE), Access::Read), Err(FaultError::NotMapped));
    assert_eq!(space.fault(UserAddr(0), Access::Read), Err(FaultError::NotMapped));
    assert_eq!(space.fault(UserAddr(usize::MAX), Access::Read), Err(FaultError::NotMapped));
}

#[test]
fn both_sides_of_a_fork_write_without_the_other_seeing_it() {
    let memory = group(None);
    let parent = space(&memory);
    let at = anonymous(&parent, 3);
    parent.write_bytes(at, &[1; 3 * PAGE]).expect("mapped");
    let before = memory.current_bytes();
    let child = parent.fork(memory.clone()).expect("memory");
    assert!(memory.current_bytes() <= before + 4 * PAGE as u64, "a fork costs tables only");
    parent.write(at, &2u8).expect("copied");
    child.write(offset(at, PAGE), &3u8).expect("copied");
    let read = |space: &AddressSpace| [0, 1, 2].map(|n| byte(space, offset(at, n * PAGE)).expect("mapped"));
    assert_eq!(read(&parent), [2, 1, 1]);
    assert_eq!(read(&child), [1, 3, 1]);
    drop(child);
    let held = memory.current_bytes();
    for n in 0..3 {
        parent.write(offset(at, n * PAGE), &4u8).expect("mapped");
    }
    mem::leave_address_space();
    assert!(memory.current_bytes() <= held, "the sole holder writes in place");
    assert_eq!(read(&parent), [4, 4, 4]);
    drop(parent);
    assert_all_freed(&memory);
}

#[test]
fn rights_that_come_back_do_not_uncover_a_shared_page() {
    let memory = group(None);
    let parent = space(&memory);
    let at = anonymous(&parent, 1);
    parent.write(at, &1u8).expect("mapped");
    let child = parent.fork(memory.clone()).expect("memory");
    for rights in [Protection::READ, RW] {
        child.protect(at, PAGE, rights).expect("mapped");
    }
    child.write(at, &2u8).expect("copied");
    assert_eq!((byte(&parent, at), byte(&child, at)), (Ok(1), Ok(2)));
}

#[test]
fn a_fork_at_every_limit_leaves_the_parent_unharmed_or_gives_a_child() {
    // Pages in several lowest tables, so that the child needs many tables.
    let stride = 2 << 20;
    let pages = 6;
    let mut refused = 0;
    for spare in 0..24 {
        let probe = group(None);
        let fill = |space: &AddressSpace| {
            let place = Place::Near(UserAddr(0));
            let at = space.map(Mapping::private(place, pages * stride, RW)).expect("room");
            for n in 0..pages {
                space.write(offset(at, n * stride), &(n as u8 + 1)).expect("memory");
            }
            at
        };
        fill(&space(&probe));
        let needed = probe.peak_bytes() / PAGE as u64;
        let memory = group(Some(needed + spare));
        let parent = space(&memory);
        let at = fill(&parent);
        let before = memory.current_bytes();
        match parent.fork(memory.clone()) {
            Ok(child) => assert_eq!(byte(&child, at), Ok(1)),
            Err(error) => {
                refused += 1;
                assert_eq!(error, Errno::ENOMEM);
                assert_eq!(memory.current_bytes(), before);
            }
        }
        mem::leave_address_space();
        for n in 0..pages {
            assert_eq!(byte(&parent, offset(at, n * stride)), Ok(n as u8 + 1));
            parent.write(offset(at, n * stride), &9u8).expect("its own page again");
        }
        assert_eq!(memory.current_bytes(), before);
        drop(parent);
        assert_all_freed(&memory);
    }
    assert!((1..24).contains(&refused), "{refused} forks were refused");
}

#[test]
fn the_limit_stops_a_fault_and_what_is_freed_can_be_had_again() {
    let memory = group(Some(8));
    let space = space(&memory);
    let at = anonymous(&space, 16);
    let got = (0..16).take_while(|n| space.fault(offset(at, n * PAGE), Access::Write).is_ok()).count();
    assert!((1..8).contains(&got));
    assert_eq!(space.write_bytes(at, &[0; 16 * PAGE]), Err(Errno::ENOMEM));
    space.discard(at, PAGE, Discard::Any).expect("mapped");
    assert_eq!(space.fault(offset(at, got * PAGE), Access::Write), Ok(()));
    drop(space);
    assert_all_freed(&memory);
}

#[test]
fn shared_memory_is_seen_by_parent_and_child_and_freed_with_the_last() {
    let memory = group(None);
    let parent = space(&memory);
    let mapping = Mapping { content: Content::Shared, ..Mapping::private(Place::Near(UserAddr(0)), 2 * PAGE, RW) };
    let at = parent.map(mapping).expect("room");
    parent.write(at, &1u8).expect("mapped");
    let child = parent.fork(memory.clone()).expect("memory");
    child.write(at, &2u8).expect("mapped");
    child.write(offset(at, PAGE), &3u8).expect("mapped");
    assert_eq!((byte(&parent, at), byte(&parent, offset(at, PAGE))), (Ok(2), Ok(3)));
    parent.discard(at, PAGE, Discard::Any).expect("mapped");
    assert_eq!(byte(&parent, at), Ok(2), "shared pages stay with the others");
    drop(parent);
    assert_eq!(byte(&child, at), Ok(2));
    drop(child);
    assert_all_freed(&memory);
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_its_distance() {
    let memory = group(None);
    let space =
        AddressSpace::new(memory.clone(), Limits { stack: 64 * PAGE, ..Limits::default() }, MMAP_TOP).expect("memory");
    let top = layout::STACK_TOP;
    let stack =
        Mapping { content: Content::Stack, ..Mapping::private(Place::Free(UserAddr(top - 2 * PAGE)), 2 * PAGE, RW) };
    space.map(stack).expect("room");
    assert_eq!(space.fault(UserAddr(top - 10 * PAGE), Access::Write), Ok(()));
    assert_eq!(space.fault(UserAddr(top - 5 * PAGE), Access::Write), Ok(()), "all pages between are stack");
    assert_eq!(space.fault(UserAddr(top - 64 * PAGE), Access::Read), Ok(()));
    assert_eq!(space.fault(UserAddr(top - 65 * PAGE), Access::Read), Err(FaultError::NotMapped));
    assert_eq!(space.mapped_bytes(), 64 * PAGE);

    let space = AddressSpace::new(memory.clone(), Limits::default(), MMAP_TOP).expect("memory");
    space
        .map(Mapping { content: Content::Stack, ..Mapping::private(Place::Free(UserAddr(top - PAGE)), PAGE, RW) })
        .expect("room");
    let below = top - 100 * PAGE - layout::STACK_GUARD_GAP;
    space.map(Mapping::private(Place::Free(UserAddr(below)), PAGE, RW)).expect("room");
    assert_eq!(space.fault(UserAddr(top - 99 * PAGE), Access::Write), Ok(()));
    assert_eq!(space.fault(UserAddr(top - 100 * PAGE), Access::Write), Err(FaultError::NotMapped));
}

#[test]
fn pages_behind_no_access_keep_what_they_hold() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 4);
    space.write_bytes(at, &[7; 4 * PAGE]).expect("mapped");
    space.protect(offset(at, PAGE), 2 * PAGE, NONE).expect("mapped");
    assert_eq!(byte(&space, offset(at, PAGE)), Err(Errno::EFAULT));
    let child = space.fork(memory.clone()).expect("memory");
    for side in [&space, &child] {
        side.protect(offset(at, PAGE), 2 * PAGE, RW).expect("mapped");
        assert_eq!(byte(side, offset(at, PAGE)), Ok(7));
    }
    child.write(offset(at, PAGE), &8u8).expect("copied");
    child.write(offset(at, 2 * PAGE), &8u8).expect("copied");
    assert_eq!((byte(&space, offset(at, PAGE)), byte(&space, offset(at, 2 * PAGE))), (Ok(7), Ok(7)));
    space.protect(at, 4 * PAGE, NONE).expect("mapped");
    space.unmap(offset(at, 2 * PAGE), PAGE).expect("aligned");
    space.discard(offset(at, 3 * PAGE), PAGE, Discard::Any).expect("mapped");
    space.protect(offset(at, 3 * PAGE), PAGE, RW).expect("mapped");
    assert_eq!(byte(&space, offset(at, 3 * PAGE)), Ok(0));
    drop((space, child));
    assert_all_freed(&memory);
}

#[test]
fn a_private_file_page_is_the_files_frame_until_written() {
    let memory = group(None);
    let file = TestFile::new((0..5 * PAGE + 10).map(|n| (n / PAGE) as u8 + 1).collect());
    let space = space(&memory);
    let content = Content::PrivateFile { source: file.clone(), first: 1 };
    let mapping = Mapping { content, ..Mapping::private(Place::Near(UserAddr(0)), 6 * PAGE, RW) };
    let at = space.map(mapping).expect("room");
    assert_eq!(byte(&space, at), Ok(2));
    let charged = memory.current_bytes();
    assert_eq!(byte(&space, at), Ok(2));
    assert_eq!(memory.current_bytes(), charged);
    space.write(at, &9u8).expect("copied");
    assert_eq!(memory.current_bytes(), charged + PAGE as u64);
    assert_eq!(file.page(1, &memory).expect("there").address(), file.page(1, &memory).expect("there").address());
    let mut first = [0];
    file.page(1, &memory).expect("there").read(0, &mut first);
    assert_eq!(first, [2], "the file is as it was");
    assert_eq!((byte(&space, offset(at, 4 * PAGE)), byte(&space, offset(at, 4 * PAGE + 10))), (Ok(6), Ok(0)));
    assert_eq!(space.fault(offset(at, 5 * PAGE), Access::Read), Err(FaultError::Bus));
    assert_eq!(byte(&space, offset(at, 5 * PAGE)), Err(Errno::EFAULT));
    drop((space, file));
    assert_all_freed(&memory);
}

#[test]
fn a_fault_on_a_file_maps_the_neighbours_that_are_there() {
    let memory = group(None);
    let file = TestFile::new(vec![1; 40 * PAGE]);
    for index in 0..40 {
        file.page(index, &memory).expect("memory");
    }
    let space = space(&memory);
    let content = Content::PrivateFile { source: file, first: 0 };
    let place = Place::Fixed(UserAddr(0x10_0000 + 4 * PAGE));
    let at = space.map(Mapping { content, ..Mapping::private(place, 40 * PAGE, RX) }).expect("room");
    assert_eq!(space.fault(at, Access::Execute), Ok(()));
    assert_eq!(space.resident_bytes(), 12 * PAGE, "to the window's end");
    assert_eq!(space.fault(offset(at, 12 * PAGE), Access::Execute), Ok(()));
    assert_eq!(space.resident_bytes(), 28 * PAGE);
    space.unmap(at, 40 * PAGE).expect("aligned");
    assert_eq!(space.resident_bytes(), 0);
    assert_eq!(space.peak_resident_bytes(), 28 * PAGE);
}

#[test]
fn a_fault_on_a_file_leaves_what_was_written_next_to_it_and_is_out_of_reach() {
    let memory = group(None);
    let file = TestFile::new(vec![1; 2 * PAGE]);
    let other = space(&memory);
    let private = |space: &AddressSpace| {
        let content = Content::PrivateFile { source: file.clone(), first: 0 };
        let place = Place::Fixed(UserAddr(0x10_0000));
        space.map(Mapping { content, ..Mapping::private(place, 2 * PAGE, RW) }).expect("room")
    };
    let at = private(&other);
    other.populate(at..offset(at, 2 * PAGE)).expect("the file has its pages at hand");
    let space = space(&memory);
    private(&space);
    space.write(offset(at, PAGE), &2u8).expect("mapped");
    space.protect(at, 2 * PAGE, NONE).expect("mapped");
    space.protect(at, 2 * PAGE, RW).expect("mapped");
    assert_eq!(byte(&space, at), Ok(1));
    assert_eq!(byte(&space, offset(at, PAGE)), Ok(2));
}

#[test]
fn writes_to_a_shared_file_reach_it_where_it_allows_them() {
    let memory = group(None);
    let file = TestFile::writable(vec![1; PAGE]);
    let space = space(&memory);
    let map = |source: &Arc<TestFile>, protection| {
        let content = Content::SharedFile { source: source.clone(), first: 0 };
        space.map(Mapping { content, ..Mapping::private(Place::Near(UserAddr(0)), PAGE, protection) })
    };
    let at = map(&file, RW).expect("room");
    space.write(at, &5u8).expect("mapped");
    let mut first = [0];
    file.page(0, &memory).expect("there").read(0, &mut first);
    assert_eq!(first, [5]);
    let fixed = TestFile::new(vec![1; PAGE]);
    assert_eq!(map(&fixed, RW), Err(Errno::EACCES));
    let at = map(&fixed, Protection::READ).expect("room");
    assert_eq!(space.protect(at, PAGE, RW), Err(Errno::EACCES));
    assert_eq!(byte(&space, at), Ok(1));
}

#[test]
fn copies_stop_exactly_where_nothing_is_mapped() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 3);
    space.unmap(offset(at, 2 * PAGE), PAGE).expect("aligned");
    let end = 2 * PAGE;
    for (start, length, copied) in [
        (0, 2 * PAGE, 2 * PAGE),
        (PAGE - 1, 2, 2),
        (end - 1, 1, 1),
        (end - 1, 2, 1),
        (end - 100, 5000, 100),
        (end, 1, 0),
        (end, 0, 0),
    ] {
        let from = vec![3; length];
        let (done, result) = space.write_up_to(offset(at, start), &from);
        assert_eq!((done, result.is_ok()), (copied, copied == length), "write {start} {length}");
        let mut to = vec![0; length];
        let (done, result) = space.read_up_to(offset(at, start), &mut to);
        assert_eq!((done, result.is_ok()), (copied, copied == length), "read {start} {length}");
        assert!(to[..copied].iter().all(|&byte| byte == 3));
    }
    for wild in [0, 1, usize::MAX, usize::MAX - 3, layout::TOP, layout::TOP - 1, 1 << 63] {
        assert_eq!(space.read::<u64>(UserAddr(wild)), Err(Errno::EFAULT));
        assert_eq!(space.write(UserAddr(wild), &1u64), Err(Errno::EFAULT));
        assert_eq!(space.read_c_string(UserAddr(wild), 100), Err(Errno::EFAULT));
    }
    space.protect(at, PAGE, Protection::READ).expect("mapped");
    assert_eq!(space.write(at, &1u8), Err(Errno::EFAULT));
    assert_eq!(byte(&space, at), Ok(3));
}

#[test]
fn frames_are_copied_from_and_to_user_memory() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 2);
    let frame = memory.zeroed_frame(Kind::Anon).expect("memory");
    frame.write(100, b"between two pages");
    assert_eq!(space.write_frame(offset(at, PAGE - 5), &frame, 100..117), (17, Ok(())));
    let mut text = [0; 17];
    space.read_bytes(offset(at, PAGE - 5), &mut text).expect("mapped");
    assert_eq!(&text, b"between two pages");
    assert_eq!(space.read_frame(offset(at, PAGE - 5), &frame, 0..17), (17, Ok(())));
    frame.read(0, &mut text);
    assert_eq!(&text, b"between two pages");
    assert_eq!(space.read_frame(offset(at, 2 * PAGE - 4), &frame, 0..17), (4, Err(Errno::EFAULT)));
}

#[test]
fn strings_are_read_up_to_the_end_of_the_last_page() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 3);
    space.unmap(offset(at, 2 * PAGE), PAGE).expect("aligned");
    let end = 2 * PAGE;
    for length in [0, 1, 127, 128, 129, 1000, PAGE, PAGE + 1, 2 * PAGE - 1] {
        let mut text = vec![b'x'; length];
        text.push(0);
        let start = offset(at, end - text.len());
        space.write_bytes(start, &text).expect("mapped");
        text.pop();
        assert_eq!(space.read_c_string(start, length), Ok(text.clone()));
        if length > 0 {
            assert_eq!(space.read_c_string(start, length - 1), Err(Errno::ENAMETOOLONG));
        }
    }
    space.write_bytes(offset(at, end - 3), b"abc").expect("mapped");
    assert_eq!(space.read_c_string(offset(at, end - 3), 100), Err(Errno::EFAULT));
    assert_eq!(space.read_c_string(offset(at, end - 3), 2), Err(Errno::ENAMETOOLONG));
}
