//! Plain: mappings and their protection, the program break, and memory that a fork shares until someone writes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDONLY, O_RDWR};
use linux_raw_sys::general::{PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, PAGE, RETURN, Region, Start};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    mappings(&mut checks);
    protection(&mut checks);
    files(&mut checks);
    program_break(&mut checks);
    copy_on_write(&mut checks);
    generations(&mut checks);
    checks.finish()
}

fn pages(count: usize) -> Region {
    Region::anonymous(count * PAGE).expect("memory")
}

fn mappings(checks: &mut Checks) {
    let region = pages(64);
    checks.holds("new memory is zero", (0..region.len()).step_by(64).all(|offset| region.get(offset) == 0));
    (0..64).for_each(|page| region.set(page * PAGE + page, page as u8 + 1));
    checks.holds("and keeps what is written", (0..64).all(|page| region.get(page * PAGE + page) == page as u8 + 1));
    checks.equal("a hole in its middle", region.unmap(16 * PAGE, 2 * PAGE), Ok(()));
    checks.segfaults("is no memory any more", || region.set(16 * PAGE, 1));
    checks.segfaults("to its end", || region.set(18 * PAGE - 1, 1));
    checks.equal("what is around it stays", (region.get(15 * PAGE + 15), region.get(18 * PAGE + 18)), (16, 19));
    checks.equal("a hole can be unmapped", region.unmap(16 * PAGE, 2 * PAGE), Ok(()));
    checks.equal("and all of it", region.unmap(0, region.len()), Ok(()));
    checks.segfaults("nothing is left", || region.set(0, 1));

    let private = MAP_PRIVATE | MAP_ANONYMOUS;
    let map = |len, protection, flags| Region::map(len, protection, flags, None).map(|_| ());
    checks.equal("no bytes are EINVAL", map(0, PROT_READ, private), Err(Errno::EINVAL));
    checks.equal("neither private nor shared is EINVAL", map(PAGE, PROT_READ, MAP_ANONYMOUS), Err(Errno::EINVAL));
    checks.equal("more than there is room for is ENOMEM", map(usize::MAX / 2, PROT_READ, private), Err(Errno::ENOMEM));
    checks.equal("a length that wraps is ENOMEM", map(usize::MAX - 5, PROT_READ, private), Err(Errno::ENOMEM));
    checks.equal(
        "a file that is none is EBADF",
        Region::map(PAGE, PROT_READ, MAP_PRIVATE, Some(99)).map(|_| ()),
        Err(Errno::EBADF),
    );
    checks.equal("addresses between pages are EINVAL", sys::unaligned_memory_calls(), [Err(Errno::EINVAL); 2]);
}

fn protection(checks: &mut Checks) {
    let region = pages(4);
    region.set(PAGE, 7);
    checks.equal("memory can be made read-only", region.protect(PAGE, PAGE, PROT_READ), Ok(()));
    checks.equal("then it can be read", region.get(PAGE), 7);
    checks.segfaults("and not written", || region.set(PAGE, 8));
    region.set(0, 1);
    region.set(2 * PAGE, 1);
    checks.equal("its neighbours can be", (region.get(0), region.get(2 * PAGE)), (1, 1));
    checks.equal("PROT_NONE", region.protect(PAGE, PAGE, PROT_NONE), Ok(()));
    checks.segfaults("cannot even be read", || {
        core::hint::black_box(region.get(PAGE));
    });
    checks.equal(
        "nor by the kernel",
        sys::raw_call(
            linux_raw_sys::general::__NR_write,
            &[sys::RawArg::Number(1), sys::RawArg::Region(&region, PAGE), sys::RawArg::Number(1)],
        ),
        Err(Errno::EFAULT),
    );
    checks.equal("and back", region.protect(PAGE, PAGE, PROT_READ | PROT_WRITE), Ok(()));
    checks.equal("with what was in it", region.get(PAGE), 7);
    region.fill(0, RETURN);
    checks.segfaults("data cannot be executed", || region.execute());
    checks.equal("until it is made so", region.protect(0, PAGE, PROT_READ | PROT_EXEC), Ok(()));
    checks.succeeds("then it can", || {
        region.execute();
        0
    });
    checks.segfaults("and is not written any more", || region.set(0, 0));
    checks.equal(
        "a hole cannot be protected: ENOMEM",
        {
            region.unmap(3 * PAGE, PAGE).expect("unmap");
            region.protect(2 * PAGE, 2 * PAGE, PROT_READ)
        },
        Err(Errno::ENOMEM),
    );
}

fn files(checks: &mut Checks) {
    make_file(c"mapped", 0o644, b"hello, file").expect("a file");
    let file = sys::openat(AT_FDCWD, c"mapped", O_RDWR, 0).expect("open");
    let region = Region::map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, Some(file)).expect("a mapping");
    checks.equal("a file's bytes are in its mapping", [region.get(0), region.get(10)], *b"he");
    checks.equal("what is behind them is zero", region.get(11), 0);
    checks.ends("past its last page is SIGBUS", WaitStatus::Signaled(Signal::SIGBUS), || i32::from(region.get(PAGE)));
    region.set(0, b'J');
    let mut first = [0];
    checks.equal("a private mapping", sys::pread(file, &mut first, 0), Ok(1));
    checks.equal("does not write the file", first, *b"h");
    checks.equal("a mapping outlives its descriptor", sys::close(file).map(|()| region.get(0)), Ok(b'J'));
    let read_only = sys::openat(AT_FDCWD, c"mapped", O_RDONLY, 0).expect("open");
    let shared = Region::map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, Some(read_only)).map(|_| ());
    checks.equal("shared and writable wants a file open to write", shared, Err(Errno::EACCES));
    let write_only = sys::openat(AT_FDCWD, c"mapped", O_CREAT | linux_raw_sys::general::O_WRONLY, 0).expect("open");
    let unreadable = Region::map(PAGE, PROT_READ, MAP_PRIVATE, Some(write_only)).map(|_| ());
    checks.equal("and any mapping one open to read", unreadable, Err(Errno::EACCES));
    checks.equal("close", sys::close(read_only).and(sys::close(write_only)), Ok(()));
}

fn program_break(checks: &mut Checks) {
    let Some(heap) = checks.value("the break can be moved up", Region::brk(1 << 20)) else { return };
    checks.equal("new heap is zero", (heap.get(PAGE), heap.get(heap.len() - 1)), (0, 0));
    heap.set(heap.len() - 1, 9);
    checks.equal("and keeps what is written", heap.get(heap.len() - 1), 9);
    checks.equal("it can be moved down", heap.unbrk(), Ok(()));
    checks.segfaults("then there is nothing", || heap.set(heap.len() - 1, 1));
    let again = Region::brk(1 << 20);
    checks.equal("moved up again it is zero", again.map(|heap| heap.get(heap.len() - 1)), Ok(0));
    checks.equal("not as far as that", Region::brk(1 << 46).map(|_| ()), Err(Errno::ENOMEM));
}

fn copy_on_write(checks: &mut Checks) {
    const COUNT: usize = 128;
    let region = pages(COUNT);
    let all = |value: u8| (0..COUNT).all(|page| region.get(page * PAGE) == value);
    let fill = |value: u8| (0..COUNT).for_each(|page| region.set(page * PAGE, value));
    fill(1);
    checks.succeeds("a child has its parent's memory", || i32::from(!all(1)));
    checks.succeeds("and can write it", || {
        fill(2);
        i32::from(!all(2))
    });
    checks.holds("which its parent does not see", all(1));
    let (wait_here, go_on) = sys::pipe(0).expect("a pipe");
    let child = sys::spawn(|| {
        let _ = sys::read(wait_here, &mut [0]);
        i32::from(!all(1))
    });
    fill(3);
    checks.equal("a write of the parent", sys::write(go_on, b"x"), Ok(1));
    checks.equal("is not seen by the child", wait_for(child.expect("a child")), Ok(WaitStatus::Exited(0)));
    checks.holds("and is by the parent", all(3));
    // The kernel writes too: read(2) into memory that is shared must copy it first.
    make_file(c"nines", 0o644, &[9; PAGE]).expect("a file");
    let file = sys::openat(AT_FDCWD, c"nines", O_RDONLY, 0).expect("open");
    checks.succeeds("a child lets the kernel write", || {
        let read = sys::raw_call(
            linux_raw_sys::general::__NR_read,
            &[sys::RawArg::Number(file.into()), sys::RawArg::Region(&region, 0), sys::RawArg::Number(PAGE as i64)],
        );
        i32::from(read != Ok(PAGE) || region.get(0) != 9)
    });
    checks.holds("which its parent does not see either", all(3));
    let shared = Region::map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, None);
    if let Some(shared) = checks.value("shared memory", shared) {
        checks.succeeds("written by a child", || {
            shared.set(5, 5);
            0
        });
        checks.equal("is seen by its parent", shared.get(5), 5);
    }
    checks.equal("close", [wait_here, go_on, file].map(sys::close), [Ok(()); 3]);
}

/// Each process is the parent of the next, and changes its own page.
fn generations(checks: &mut Checks) {
    const DEPTH: usize = 12;
    let region = pages(DEPTH);
    fn descend(region: &Region, depth: usize) -> i32 {
        if depth == DEPTH {
            return i32::from(!(0..DEPTH).all(|page| region.get(page * PAGE) == page as u8 + 1));
        }
        region.set(depth * PAGE, depth as u8 + 1);
        let status = in_child(|| descend(region, depth + 1));
        let untouched = (depth + 1..DEPTH).all(|page| region.get(page * PAGE) == 0);
        i32::from(status != Ok(WaitStatus::Exited(0)) || !untouched)
    }
    checks.equal("twelve generations each see what was before them, and nothing after", descend(&region, 0), 0);
}
