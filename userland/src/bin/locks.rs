//! Plain: locks of files bind those who ask for them, and go with who has them; what is executed is not written.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{
    self as linux, F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB,
    LOCK_SH, LOCK_UN, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, PROT_READ, PROT_WRITE,
    SEEK_CUR, SEEK_END, SEEK_SET, SIGKILL,
};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, await_sleep, copy_file, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::desk::{
    Arg::{At, N},
    Desk,
};
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Fd, PAGE, Pid, Region, Result, Start, close};

program!(main);

const MILLISECOND: u64 = 1_000_000;

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("wait") {
        let _ = sys::sleep(1000 * MILLISECOND);
        return 0;
    }
    let mut checks = Checks::new();
    enter_scratch();
    let mounted = sys::mkdir(c"proc", 0o755).and_then(|()| sys::mount(c"p", c"proc", c"proc", 0, None));
    checks.equal("proc is mounted", mounted, Ok(()));
    checks.equal("a file", make_file(c"file", 0o666, &[b'x'; 100]), Ok(()));
    let desk = Desk::new();
    whole(&mut checks, &desk);
    records(&mut checks, &desk);
    waits(&mut checks, &desk);
    open_files(&mut checks, &desk);
    cut(&mut checks);
    busy(&mut checks);
    checks.finish()
}

fn open(flags: u32) -> Fd {
    sys::open(c"file", flags).expect("the file")
}

fn flock(desk: &Desk, fd: Fd, operation: u32) -> Result<usize> {
    desk.call(linux::__NR_flock, &[N(fd.into()), N(operation.into())])
}

/// fcntl(2) with a lock of `length` bytes from `start` on.
fn lock(desk: &Desk, fd: Fd, command: u32, kind: u32, start: i64, length: i64) -> Result<usize> {
    lock_from(desk, fd, command, kind, SEEK_SET, start, length)
}

fn lock_from(desk: &Desk, fd: Fd, command: u32, kind: u32, whence: u32, start: i64, length: i64) -> Result<usize> {
    desk.words(0, &[0; 4]);
    desk.put(0, &(kind as u16).to_ne_bytes());
    desk.put(2, &(whence as u16).to_ne_bytes());
    desk.words(8, &[start as u64, length as u64]);
    desk.call(linux::__NR_fcntl, &[N(fd.into()), N(command.into()), At(0)])
}

/// What stands in the way of an exclusive lock: kind, start, length, process.
fn obstacle(desk: &Desk, fd: Fd, command: u32, start: i64, length: i64) -> Result<(u32, u64, u64, Pid)> {
    lock(desk, fd, command, F_WRLCK, start, length)?;
    Ok((desk.short(0).into(), desk.word(8), desk.word(16), desk.int(24) as Pid))
}

fn whole(checks: &mut Checks, desk: &Desk) {
    let (one, other) = (open(O_RDONLY), open(O_RDONLY));
    checks.equal("shared locks are many", [one, other].map(|fd| flock(desk, fd, LOCK_SH)), [Ok(0); 2]);
    checks.equal("none is exclusive then", flock(desk, one, LOCK_EX | LOCK_NB), Err(Errno::EAGAIN));
    checks.equal("and who asked has lost his", flock(desk, other, LOCK_EX | LOCK_NB), Ok(0));
    checks.equal(
        "it is of the open file",
        sys::dup(other).and_then(|copy| flock(desk, copy, LOCK_EX | LOCK_NB)),
        Ok(0),
    );
    checks.equal("an exclusive one keeps all out", flock(desk, one, LOCK_SH | LOCK_NB), Err(Errno::EAGAIN));
    let child = sys::spawn(|| i32::from(flock(desk, one, LOCK_EX) != Ok(0))).expect("a child");
    await_sleep("proc", child);
    checks.equal("who waits", flock(desk, other, LOCK_UN), Ok(0));
    checks.equal("gets it", wait_for(child), Ok(WaitStatus::Exited(0)));
    checks.equal("and its open file keeps it", flock(desk, other, LOCK_SH | LOCK_NB), Err(Errno::EAGAIN));
    checks.equal("till it is closed", close(one).and_then(|()| flock(desk, other, LOCK_EX | LOCK_NB)), Ok(0));
    checks.equal("unknown operations are EINVAL", flock(desk, other, 3), Err(Errno::EINVAL));
    checks.equal(
        "a place only is EBADF",
        sys::open(c"file", linux::O_PATH).and_then(|fd| flock(desk, fd, LOCK_SH)),
        Err(Errno::EBADF),
    );
    let records = lock(desk, open(O_RDWR), F_SETLK, F_WRLCK, 0, 0);
    checks.equal("locks of bytes are another matter", records, Ok(0));
    (3..16).for_each(|fd| close(fd).unwrap_or(()));
}

fn records(checks: &mut Checks, desk: &Desk) {
    let fd = open(O_RDWR);
    let refuses = |what: i64, length: i64| {
        move || match lock(&Desk::new(), fd, F_SETLK, F_RDLCK, what, length) {
            Err(Errno::EAGAIN) => 0,
            _ => 1,
        }
    };
    let refused = |start, length| in_child(refuses(start, length)) == Ok(WaitStatus::Exited(0));
    checks.equal("bytes are locked", lock(desk, fd, F_SETLK, F_WRLCK, 10, 20), Ok(0));
    checks.holds("against others", refused(29, 1) && refused(0, 11) && refused(15, 0));
    checks.holds("no further", !refused(30, 5) && !refused(0, 10));
    checks.equal("not oneself", lock(desk, fd, F_SETLK, F_RDLCK, 15, 5), Ok(0));
    checks.holds("what is shared now is", !refused(15, 5) && refused(14, 5) && refused(20, 1));
    let parent = sys::getpid();
    let told = in_child(|| {
        let desk = Desk::new();
        i32::from(obstacle(&desk, fd, F_GETLK, 12, 2) != Ok((F_WRLCK, 10, 5, parent)))
    });
    checks.equal("others are told of it", told, Ok(WaitStatus::Exited(0)));
    checks.equal("its owner is not", obstacle(desk, fd, F_GETLK, 0, 0).map(|told| told.0), Ok(F_UNLCK));
    checks.equal("a part is given up", lock(desk, fd, F_SETLK, F_UNLCK, 12, 2), Ok(0));
    checks.holds("alone", !refused(12, 2) && refused(11, 1) && refused(14, 1));
    checks.equal("a child has none of them", in_child(refuses(10, 2)), Ok(WaitStatus::Exited(0)));
    let other = open(O_RDONLY);
    checks.equal("any close gives all of them up", close(other), Ok(()));
    checks.holds("at once", !refused(0, 0));

    let _ = sys::lseek(fd, 50, SEEK_SET);
    checks.equal("from the offset on", lock_from(desk, fd, F_SETLK, F_WRLCK, SEEK_CUR, 5, 5), Ok(0));
    checks.holds("it is", refused(55, 5) && !refused(50, 5) && !refused(60, 5));
    checks.equal("backwards from the end", lock_from(desk, fd, F_SETLK, F_WRLCK, SEEK_END, 0, -10), Ok(0));
    checks.holds("it is", refused(90, 1) && refused(99, 1) && !refused(100, 1));
    checks.equal("to the end of all files", lock(desk, fd, F_SETLK, F_WRLCK, 1 << 40, 0), Ok(0));
    checks.holds("it is", refused(i64::MAX, 1));
    checks.equal("before the beginning", lock(desk, fd, F_SETLK, F_WRLCK, -1, 1), Err(Errno::EINVAL));
    checks.equal("beyond the end", lock(desk, fd, F_SETLK, F_WRLCK, i64::MAX, 2), Err(Errno::EOVERFLOW));
    checks.equal("no kind", lock(desk, fd, F_SETLK, 7, 0, 1), Err(Errno::EINVAL));
    checks.equal("no whence", lock_from(desk, fd, F_SETLK, F_RDLCK, 9, 0, 1), Err(Errno::EINVAL));
    checks.equal(
        "no address",
        desk.call(linux::__NR_fcntl, &[N(fd.into()), N(F_SETLK.into()), N(8)]),
        Err(Errno::EFAULT),
    );
    let (reader, writer) = (open(O_RDONLY), open(O_WRONLY));
    checks.equal("who reads writes no lock", lock(desk, reader, F_SETLK, F_WRLCK, 0, 1), Err(Errno::EBADF));
    checks.equal("who writes reads none", lock(desk, writer, F_SETLK, F_RDLCK, 0, 1), Err(Errno::EBADF));
    checks.equal("nobody leases", sys::fcntl(fd, linux::F_SETLEASE, F_RDLCK), Err(Errno::EINVAL));
    let _ = lock(desk, fd, F_SETLK, F_WRLCK, 0, 0);
    let left = in_child(|| {
        let desk = Desk::new();
        // A thousand pieces, which go with the child.
        let own = sys::openat(AT_FDCWD, c"other", O_CREAT | O_RDWR, 0o600).expect("a file");
        i32::from(!(0..1000).all(|piece| lock(&desk, own, F_SETLK, F_WRLCK, piece * 2, 1) == Ok(0)))
    });
    checks.equal("a thousand locks", left, Ok(WaitStatus::Exited(0)));
    let own = sys::open(c"other", O_RDWR).expect("a file");
    checks.equal("go with who has them", obstacle(desk, own, F_GETLK, 0, 0).map(|told| told.0), Ok(F_UNLCK));
    (3..16).for_each(|fd| close(fd).unwrap_or(()));
}

fn waits(checks: &mut Checks, desk: &Desk) {
    let fd = open(O_RDWR);
    let _ = lock(desk, fd, F_SETLK, F_WRLCK, 0, 10);
    let waiter = sys::spawn(|| i32::from(lock(&Desk::new(), fd, F_SETLKW, F_WRLCK, 5, 1) != Ok(0))).expect("a child");
    await_sleep("proc", waiter);
    let killed = sys::spawn(|| i32::from(lock(&Desk::new(), fd, F_SETLKW, F_RDLCK, 6, 1) != Ok(0))).expect("a child");
    await_sleep("proc", killed);
    checks.equal("who waits can be killed", sys::kill(killed, SIGKILL), Ok(()));
    checks.equal("and is", wait_for(killed), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("who waits", lock(desk, fd, F_SETLK, F_UNLCK, 0, 10), Ok(0));
    checks.equal("gets it", wait_for(waiter), Ok(WaitStatus::Exited(0)));
    checks.equal("and loses it at its end", lock(desk, fd, F_SETLK, F_WRLCK, 0, 10), Ok(0));
    // The child has byte 20 and waits for ours: to wait for byte 20 would be for ever.
    let (go, told) = sys::pipe(0).expect("a pipe");
    let child = sys::spawn(|| {
        let desk = Desk::new();
        let own = lock(&desk, fd, F_SETLK, F_WRLCK, 20, 1);
        let _ = sys::write(told, b"x");
        i32::from(own != Ok(0) || lock(&desk, fd, F_SETLKW, F_WRLCK, 0, 1) != Ok(0))
    })
    .expect("a child");
    let _ = sys::read(go, &mut [0]);
    await_sleep("proc", child);
    checks.equal("a circle of waits is EDEADLK", lock(desk, fd, F_SETLKW, F_WRLCK, 20, 1), Err(Errno::EDEADLK));
    checks.equal("what is given up", lock(desk, fd, F_SETLK, F_UNLCK, 0, 10), Ok(0));
    checks.equal("goes to who waits", wait_for(child), Ok(WaitStatus::Exited(0)));
    checks.equal("and no circle is left", lock(desk, fd, F_SETLKW, F_WRLCK, 20, 1), Ok(0));
    (3..16).for_each(|fd| close(fd).unwrap_or(()));
}

fn open_files(checks: &mut Checks, desk: &Desk) {
    let (one, other) = (open(O_RDWR), open(O_RDWR));
    checks.equal("an open file has locks", lock(desk, one, F_OFD_SETLK, F_WRLCK, 0, 10), Ok(0));
    checks.equal(
        "against others of the same process",
        lock(desk, other, F_OFD_SETLK, F_RDLCK, 5, 1),
        Err(Errno::EAGAIN),
    );
    checks.equal("and the process itself", lock(desk, other, F_SETLK, F_RDLCK, 5, 1), Err(Errno::EAGAIN));
    let told = obstacle(desk, other, F_OFD_GETLK, 0, 0);
    checks.equal("which is told of no process", told, Ok((F_WRLCK, 0, 10, -1)));
    checks.equal(
        "a child has them too",
        in_child(|| i32::from(lock(&Desk::new(), one, F_OFD_SETLK, F_WRLCK, 3, 1) != Ok(0))),
        Ok(WaitStatus::Exited(0)),
    );
    let kept = close(open(O_RDONLY)).and_then(|()| lock(desk, other, F_OFD_SETLK, F_RDLCK, 5, 1).map(drop));
    checks.equal("a close of another leaves them", kept, Err(Errno::EAGAIN));
    checks.equal(
        "its own does not",
        close(one).and_then(|()| lock(desk, other, F_OFD_SETLK, F_RDLCK, 5, 1).map(drop)),
        Ok(()),
    );
    desk.ints(24, &[1]);
    let with_process = desk.call(linux::__NR_fcntl, &[N(other.into()), N(F_OFD_SETLK.into()), At(0)]);
    checks.equal("a process is not named", with_process, Err(Errno::EINVAL));
    (3..16).for_each(|fd| close(fd).unwrap_or(()));
}

fn cut(checks: &mut Checks) {
    let file = sys::openat(AT_FDCWD, c"long", O_CREAT | O_RDWR, 0o600).expect("a file");
    let _ = sys::write(file, &[b'a'; 3 * PAGE]);
    let shared = Region::map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, Some(file)).expect("a mapping");
    let private = Region::map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, Some(file)).expect("a mapping");
    for page in 0..3 {
        shared.set(page * PAGE, b's');
        private.set(page * PAGE, b'p');
    }
    let bus = WaitStatus::Signaled(Signal::new(linux::SIGBUS).expect("a signal"));
    // A child has the pages, too.
    let (go, told) = sys::pipe(0).expect("a pipe");
    let child = sys::spawn(|| {
        let _ = sys::read(go, &mut [0]);
        i32::from(shared.get(PAGE))
    });
    checks.equal("a file is cut", sys::ftruncate(file, PAGE as i64 + 1), Ok(()));
    checks.equal("what is left stays", (shared.get(0), private.get(0), shared.get(PAGE)), (b's', b'p', b's'));
    checks.equal("behind its end in a page are zeros", shared.get(PAGE + 1), 0);
    checks.ends("behind it is SIGBUS", bus, || i32::from(shared.get(2 * PAGE)));
    checks.ends("a private copy too", bus, || i32::from(private.get(2 * PAGE)));
    checks.equal("it is cut again", sys::ftruncate(file, 1).and_then(|()| sys::write(told, b"x")), Ok(1));
    checks.equal("for those forked before, too", child.and_then(wait_for), Ok(bus));
    checks.equal("and made longer", sys::ftruncate(file, 3 * PAGE as i64), Ok(()));
    checks.equal("with zeros", (shared.get(PAGE), shared.get(2 * PAGE), private.get(2 * PAGE)), (0, 0, 0));
    shared.set(PAGE, b'n');
    let mut byte = [0];
    checks.equal("that are the file's", (sys::pread(file, &mut byte, PAGE as i64), byte), (Ok(1), *b"n"));
    let hole = linux::FALLOC_FL_PUNCH_HOLE | linux::FALLOC_FL_KEEP_SIZE;
    let _ = private.get(PAGE);
    let desk = Desk::new();
    let punched = desk.call(linux::__NR_fallocate, &[N(file.into()), N(hole.into()), N(PAGE as i64), N(PAGE as i64)]);
    checks.equal("a hole", punched, Ok(0));
    checks.equal("is seen by all", (shared.get(PAGE), private.get(PAGE)), (0, 0));
    shared.set(PAGE, b'h');
    checks.equal("and filled", (sys::pread(file, &mut byte, PAGE as i64), byte), (Ok(1), *b"h"));
    checks.equal("close", close(file), Ok(()));
}

fn busy(checks: &mut Checks) {
    checks.equal("a program", copy_file(c"/bin/locks", c"program", 0o755), Ok(()));
    let child = sys::spawn(|| i32::from(sys::execve(c"program", &[c"program", c"wait"], &[]) == Errno::ENOEXEC) + 1)
        .expect("a child");
    await_sleep("proc", child);
    let writes = |flags| sys::open(c"program", flags).and_then(close);
    checks.equal("a running program is not written", writes(O_WRONLY), Err(Errno::ETXTBSY));
    checks.equal("nor cut", [writes(O_RDONLY | O_TRUNC), sys::truncate(c"program", 0)], [Err(Errno::ETXTBSY); 2]);
    checks.equal("but read", writes(O_RDONLY), Ok(()));
    checks.equal("and removed", sys::rename(c"program", c"renamed", 0), Ok(()));
    let _ = sys::kill(child, SIGKILL);
    checks.equal("it ends", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    let writer = sys::open(c"renamed", O_WRONLY);
    checks.holds("then it is written", writer.is_ok());
    let child = sys::spawn(|| i32::from(sys::execve(c"renamed", &[c"renamed", c"wait"], &[]) != Errno::ETXTBSY));
    checks.equal("what is open for writing is not executed", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
}
