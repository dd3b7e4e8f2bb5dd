//! User memory as where a read goes and a write comes from.

use super::*;
use crate::fs::io::{Sink, Source};

#[test]
fn stretches_are_filled_and_emptied_in_order_and_count_what_was_moved() {
    let memory = group(None);
    let space = space(&memory);
    let at = anonymous(&space, 3);
    space.unmap(offset(at, 2 * PAGE), PAGE).expect("aligned");
    let stretches = [(offset(at, 10), 3), (UserAddr(0), 0), (offset(at, PAGE - 2), 4), (offset(at, 2 * PAGE - 1), 5)];
    let mut sink = UserBuffer::vectored(space.clone(), &stretches).expect("small");
    assert_eq!(Sink::remaining(&sink), 12);
    sink.put(b"abcd").expect("mapped");
    let frame = memory.zeroed_frame(Kind::Anon).expect("memory");
    frame.write(7, b"efgh");
    assert_eq!(sink.put_frame(&frame, 7..9), Ok(()));
    assert_eq!(sink.put_frame(&frame, 9..12), Err(Errno::EFAULT));
    assert_eq!(sink.remaining(), 4, "two more were taken before the fault");
    let mut source = UserBuffer::vectored(space.clone(), &stretches).expect("small");
    let mut bytes = [0; 5];
    source.take(&mut bytes).expect("mapped");
    assert_eq!(&bytes, b"abcde");
    source.take_to_frame(&frame, 100..103).expect("mapped");
    let mut rest = [0; 3];
    frame.read(100, &mut rest);
    assert_eq!(&rest, b"fgh");
    assert_eq!(source.take(&mut [0; 4]), Err(Errno::EFAULT));
    assert_eq!(source.remaining(), 4);
}

#[test]
fn lengths_that_no_read_could_return_are_refused() {
    let memory = group(None);
    let space = space(&memory);
    let half = isize::MAX as usize / 2 + 1;
    let refused = |stretches: &[(UserAddr, usize)]| UserBuffer::vectored(space.clone(), stretches).err();
    assert_eq!(refused(&[(UserAddr(0), half), (UserAddr(0), half)]), Some(Errno::EINVAL));
    assert_eq!(refused(&[(UserAddr(0), usize::MAX), (UserAddr(0), 2)]), Some(Errno::EINVAL));
    assert_eq!(refused(&[(UserAddr(0), half), (UserAddr(0), half - 1)]), None);
    let mut wild = UserBuffer::new(space.clone(), UserAddr(usize::MAX - 1), 10);
    assert_eq!(wild.put(b"0123456789"), Err(Errno::EFAULT));
    assert_eq!(wild.remaining(), 10);
}
