//! Frames, page tables, and copies to and from user memory.

use crate::checks::{Checks, KernelFrames, Outcome, STACK, data_page, ensure, ensure_eq, frame, space};
use alloc::{sync::Arc, vec, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};
use veridian_hal::{
    PAGE_SIZE, UserAddr, arch,
    mem::{self, Frame, Ledger, MapError, Owner, PageTable, Protection},
    user::{Access, Fault},
};

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

/// All checks of memory.
pub fn run(checks: &mut Checks) {
    checks.check("frames are zeroed, distinct, and free again after their last handle", frames);
    checks.check("all memory can be given out, is refused when used up, and merges again", exhaustion);
    checks.check("the ledger hears of each released frame of an owner", ledger);
    checks.check("pages are mapped, looked up, protected, unmapped, and released", mapping);
    checks.check("a table frees everything when it is dropped", table_drop);
    checks.check("copies cross pages", copies);
    checks.check("copies stop at the very byte that is not mapped", copy_faults);
    checks.check("copies refuse kernel addresses and wrapping ranges", copy_bounds);
}

fn frames() -> Outcome {
    let before = mem::statistics();
    ensure!(before.free > 0 && before.free <= before.total, "{before:?}");
    let frames: Vec<Frame> = (0..100).map(|_| frame()).collect();
    for (number, one) in frames.iter().enumerate() {
        let mut bytes = [1; PAGE_SIZE];
        one.read(0, &mut bytes);
        ensure!(bytes.iter().all(|&b| b == 0), "frame {number} is not zeroed");
        one.write(0, &[number as u8 + 1; PAGE_SIZE]);
    }
    for (number, one) in frames.iter().enumerate() {
        let mut byte = [0];
        one.read(PAGE_SIZE - 1, &mut byte);
        ensure_eq!(byte[0], number as u8 + 1);
    }
    let shared = frames[0].clone();
    ensure!(shared.is_shared() && shared == frames[0], "a clone is the same frame");
    let held = mem::statistics().free;
    drop(frames);
    ensure!(!shared.is_shared(), "one handle is left");
    // The heap may have taken some for the list.
    ensure!(mem::statistics().free >= held + 99, "99 frames are free again");
    drop(shared);
    Ok(())
}

fn exhaustion() -> Outcome {
    // The list's own memory first, in pieces that the heap can give.
    const PIECE: usize = 1 << 16;
    let mut all: Vec<Vec<Frame>> = Vec::new();
    for _ in 0..=mem::statistics().free / PIECE {
        all.push(Vec::with_capacity(PIECE.min(mem::statistics().free)));
    }
    let before = mem::statistics().free;
    'all: for piece in &mut all {
        while piece.len() < piece.capacity() {
            match Frame::zeroed(Owner::KERNEL) {
                Ok(frame) => piece.push(frame),
                Err(mem::OutOfFrames) => break 'all,
            }
        }
    }
    ensure_eq!(all.iter().map(Vec::len).sum::<usize>(), before);
    ensure_eq!(mem::statistics().free, 0);
    ensure_eq!(Frame::zeroed(Owner::KERNEL), Err(mem::OutOfFrames));
    drop(all);
    ensure!(mem::statistics().free >= before, "all are free again");
    // Only merged runs are large enough for this.
    let large = vec![0u8; 1 << 20];
    ensure!(large.iter().all(|&b| b == 0), "it is zeroed");
    Ok(())
}

struct Count(AtomicUsize);

impl Ledger for Count {
    fn released(&self, owner: Owner) {
        if owner == Owner(7) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

static RELEASED: Count = Count(AtomicUsize::new(0));

fn ledger() -> Outcome {
    mem::set_ledger(&RELEASED);
    let frame = Frame::zeroed(Owner(7)).expect("memory");
    ensure_eq!(frame.owner(), Owner(7));
    let copy = Frame::copy_of(&frame, Owner(7)).expect("memory");
    let again = frame.clone();
    drop(frame);
    ensure_eq!(RELEASED.0.load(Ordering::Relaxed), 0);
    drop(again);
    ensure_eq!(RELEASED.0.load(Ordering::Relaxed), 1);
    drop(copy);
    ensure_eq!(RELEASED.0.load(Ordering::Relaxed), 2);
    Ok(())
}

fn mapping() -> Outcome {
    let table = space();
    let one = frame();
    ensure_eq!(table.lookup(data_page(0)).is_none(), true);
    ensure_eq!(table.map(data_page(0), one.clone(), READ_WRITE), Ok(()));
    ensure_eq!(table.lookup(data_page(0)), Some((one.clone(), READ_WRITE)));
    ensure_eq!(table.write(data_page(0), b"veridian"), Ok(()));
    let mut seen = [0; 8];
    one.read(0, &mut seen);
    ensure_eq!(&seen, b"veridian");

    table.protect(data_page(0)..data_page(1), |p| p.difference(Protection::WRITE));
    let refused = Err(Fault { address: data_page(0), access: Access::Write });
    ensure_eq!(table.write(data_page(0), b"x"), refused);
    ensure_eq!(table.read(data_page(0), &mut seen), Ok(()));
    ensure_eq!(table.lookup(data_page(0)), Some((one.clone(), Protection::READ)));

    let two = frame();
    ensure_eq!(table.map(data_page(0), two.clone(), READ_WRITE), Ok(()));
    ensure!(!one.is_shared(), "the frame that was mapped before is released");
    ensure_eq!(table.read(data_page(0), &mut seen), Ok(()));
    ensure_eq!(seen, [0; 8]);

    table.unmap(data_page(0)..data_page(1));
    ensure!(!two.is_shared(), "an unmapped frame is released");
    ensure_eq!(table.read(data_page(0), &mut seen), Err(Fault { address: data_page(0), access: Access::Read }));

    ensure_eq!(table.map(UserAddr(arch::USER_END), frame(), READ_WRITE), Err(MapError::NotUser));
    ensure_eq!(table.map(UserAddr(0usize.wrapping_sub(PAGE_SIZE)), frame(), READ_WRITE), Err(MapError::NotUser));
    ensure_eq!(table.map(UserAddr(data_page(0).0 + 1), frame(), READ_WRITE), Err(MapError::NotUser));
    ensure_eq!(table.map(data_page(0), frame(), Protection::empty()), Err(MapError::NotUser));
    // The last page of the user half is a page like any other.
    let last = UserAddr(arch::USER_END - PAGE_SIZE);
    ensure_eq!(table.map(last, frame(), READ_WRITE), Ok(()));
    ensure_eq!(table.write(last, &[7; PAGE_SIZE]), Ok(()));

    // Many pages at once, over several tables.
    let shared = frame();
    for number in 0..1500 {
        ensure_eq!(table.map(data_page(number), shared.clone(), Protection::READ), Ok(()));
    }
    let mut count = 0;
    table.for_each(data_page(0)..data_page(1500), |_, _, _| count += 1);
    ensure_eq!(count, 1500);
    table.protect(data_page(3)..data_page(1400), |_| Protection::empty());
    table.unmap(data_page(0)..data_page(1500));
    ensure!(!shared.is_shared(), "all 1500 handles are gone");
    ensure_eq!(table.read(data_page(1), &mut seen), Err(Fault { address: data_page(1), access: Access::Read }));
    Ok(())
}

fn table_drop() -> Outcome {
    // Whatever an earlier check left loaded goes first.
    mem::leave_address_space();
    drop(space());
    let before = mem::statistics().free;
    for _ in 0..20 {
        let table = space();
        for number in 0..20 {
            let far = UserAddr(number << 31 | 0x1000);
            ensure_eq!(table.map(far, frame(), READ_WRITE), Ok(()));
        }
        ensure_eq!(table.write(STACK, b"loaded"), Ok(()));
    }
    mem::leave_address_space();
    ensure_eq!(mem::statistics().free, before);
    Ok(())
}

fn copies() -> Outcome {
    let table = space();
    let frames = [frame(), frame(), frame()];
    for (number, frame) in frames.iter().enumerate() {
        table.map(data_page(number), frame.clone(), READ_WRITE).expect("memory for tables");
    }
    let pattern: Vec<u8> = (0..2 * PAGE_SIZE).map(|n| (n % 251) as u8).collect();
    for offset in [0, 1, 7, 8, 100, PAGE_SIZE - 1] {
        let at = UserAddr(data_page(0).0 + offset);
        ensure_eq!(table.write(at, &pattern), Ok(()));
        let mut back = vec![0; pattern.len()];
        ensure_eq!(table.read(at, &mut back), Ok(()));
        ensure!(back == pattern, "what was written at offset {offset} is read");
    }
    for length in 0..40 {
        let mut back = [0xee; 48];
        ensure_eq!(table.read(UserAddr(data_page(0).0 + PAGE_SIZE - 17), &mut back[..length]), Ok(()));
        ensure!(back[length..].iter().all(|&b| b == 0xee), "a copy of {length} bytes stays within them");
    }
    let source = frame();
    source.write(0, &pattern[..PAGE_SIZE]);
    let at = UserAddr(data_page(1).0 - 50);
    ensure_eq!(table.write_frame(at, &source, 10..110), Ok(()));
    let target = frame();
    ensure_eq!(table.read_frame(at, &target, 20..120), Ok(()));
    let mut back = [0; 100];
    target.read(20, &mut back);
    ensure!(back[..] == pattern[10..110], "frames are copied from and to");
    Ok(())
}

fn copy_faults() -> Outcome {
    let table = space();
    table.map(data_page(0), frame(), READ_WRITE).expect("memory for tables");
    table.write(data_page(0), &[0x5a; PAGE_SIZE]).expect("mapped");
    for before in 0..20 {
        for length in before + 1..before + 20 {
            let start = UserAddr(data_page(1).0 - before);
            let mut bytes = [0; 40];
            let stopped = table.read(start, &mut bytes[..length]);
            ensure_eq!(stopped, Err(Fault { address: data_page(1), access: Access::Read }));
            ensure!(bytes[..before].iter().all(|&b| b == 0x5a), "the {before} bytes before the fault are copied");
            ensure!(bytes[before..].iter().all(|&b| b == 0), "none after it");
            let stopped = table.write(start, &[0xa5; 40][..length]);
            ensure_eq!(stopped, Err(Fault { address: data_page(1), access: Access::Write }));
            ensure_eq!(table.read(start, &mut bytes[..before]), Ok(()));
            ensure!(bytes[..before].iter().all(|&b| b == 0xa5), "the {before} bytes before the fault are written");
            ensure_eq!(table.write(start, &[0x5a; 40][..before]), Ok(()));
        }
    }
    ensure_eq!(table.read(UserAddr(0), &mut [0]), Err(Fault { address: UserAddr(0), access: Access::Read }));
    Ok(())
}

fn copy_bounds() -> Outcome {
    let table = space();
    let mut bytes = [0; 16];
    // The direct map, the kernel's own variables, the end of everything.
    for address in [arch::USER_END, &raw const bytes as usize, usize::MAX - 3, usize::MAX, 1 << 63] {
        let address = UserAddr(address);
        ensure_eq!(table.read(address, &mut bytes), Err(Fault { address, access: Access::Read }));
        ensure_eq!(table.write(address, &bytes), Err(Fault { address, access: Access::Write }));
        ensure_eq!(table.read(address, &mut []), Ok(()));
    }
    let last = UserAddr(arch::USER_END - PAGE_SIZE);
    table.map(last, frame(), READ_WRITE).expect("memory for tables");
    let end = UserAddr(arch::USER_END);
    ensure_eq!(table.read(UserAddr(end.0 - 5), &mut bytes), Err(Fault { address: end, access: Access::Read }));
    ensure_eq!(table.write(UserAddr(end.0 - 5), &bytes), Err(Fault { address: end, access: Access::Write }));
    // A free-standing table: the copies activate it themselves.
    let other = PageTable::new(Arc::new(KernelFrames)).expect("memory");
    ensure!(other.read(STACK, &mut bytes).is_err(), "another table has its own pages");
    Ok(())
}
