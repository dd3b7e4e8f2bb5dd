//! Plain: transfers with offsets and without a program's memory, restricted ways to files, room of files, and what
//! programs ask of the machine at their start.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{
    self as linux, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_APPEND, O_CREAT, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR,
    O_WRONLY, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
    RWF_APPEND, RWF_NOWAIT, SEEK_CUR, SEEK_DATA, SEEK_HOLE, SEEK_SET,
};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::desk::{
    Arg::{self, At, N, T},
    Desk,
};
use veridian_userland::sys::{self, AT_FDCWD, Fd, PAGE, Result, Start, close, fcntl, read, write};
use veridian_userland::{program, text};

program!(main);

const MILLISECOND: u64 = 1_000_000;
const NONBLOCK: i64 = 2;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    let mounted = sys::mkdir(c"proc", 0o755).and_then(|()| sys::mount(c"p", c"proc", c"proc", 0, None));
    checks.equal("proc is mounted", mounted, Ok(()));
    let desk = Desk::new();
    vectors(&mut checks, &desk);
    ways(&mut checks, &desk);
    room(&mut checks, &desk);
    pipes(&mut checks, &desk);
    copies(&mut checks, &desk);
    scheduling(&mut checks, &desk);
    machine(&mut checks, &desk);
    checks.finish()
}

fn file(path: &CStr, flags: u32) -> Fd {
    sys::openat(AT_FDCWD, path, flags, 0o644).expect("a file")
}

fn n(fd: Fd) -> Arg<'static> {
    N(fd.into())
}

fn vectors(checks: &mut Checks, desk: &Desk) {
    let fd = file(c"file", O_RDWR | O_CREAT);
    desk.put(256, b"onetwo");
    desk.words(0, &[desk.address(256), 3, desk.address(259), 3]);
    let at = |number, offset: i64| desk.call(number, &[n(fd), At(0), N(2), N(offset), N(0)]);
    let flagged =
        |number, offset: i64, flags: u32| desk.call(number, &[n(fd), At(0), N(2), N(offset), N(0), N(flags.into())]);
    checks.equal("stretches are written at an offset", at(linux::__NR_pwritev, 4), Ok(6));
    desk.put(256, b"......");
    checks.equal("and read", (at(linux::__NR_preadv, 5), desk.get(256)), (Ok(5), *b"netwo."));
    checks.equal("the file's own stays", sys::lseek(fd, 0, SEEK_CUR), Ok(0));
    checks.equal("a negative offset is none", at(linux::__NR_preadv, -1), Err(Errno::EINVAL));
    checks.equal("but the file's own here", flagged(linux::__NR_preadv2, -1, 0), Ok(6));
    checks.equal("which moves", sys::lseek(fd, 0, SEEK_CUR), Ok(6));
    checks.equal("at the end", flagged(linux::__NR_pwritev2, 0, RWF_APPEND), Ok(6));
    checks.equal(
        "it does not",
        (sys::lseek(fd, 0, SEEK_CUR), sys::fstat(fd).map(|stat| stat.st_size)),
        (Ok(6), Ok(16)),
    );
    checks.equal("unknown flags", flagged(linux::__NR_preadv2, 0, 1 << 12), Err(Errno::EOPNOTSUPP));
    let (from, to) = sys::pipe(0).expect("a pipe");
    let patient = desk.call(linux::__NR_preadv2, &[n(from), At(0), N(2), N(-1), N(0), N(RWF_NOWAIT.into())]);
    checks.equal("without a wait", patient, Err(Errno::EAGAIN));
    checks.equal(
        "a pipe has no offsets",
        desk.call(linux::__NR_preadv, &[n(from), At(0), N(2), N(0)]),
        Err(Errno::ESPIPE),
    );
    checks.equal("close", [fd, from, to].map(close), [Ok(()); 3]);
}

fn open_how(desk: &Desk, dir: Fd, path: &CStr, how: [u64; 3]) -> Result<Fd> {
    desk.words(0, &how);
    desk.call(linux::__NR_openat2, &[n(dir), T(path), At(0), N(24)]).map(|fd| fd as Fd)
}

fn ways(checks: &mut Checks, desk: &Desk) {
    for name in [c"top", c"top/in", c"mounted"] {
        let _ = sys::mkdir(name, 0o755);
    }
    let _ = (make_file(c"top/in/file", 0o644, b"inside"), make_file(c"outside", 0o644, b"out"));
    for (target, path) in [
        (c"../../outside", c"top/in/up"),
        (c"/in/file", c"top/root"),
        (c"in/file", c"top/link"),
        (c"/tmp/outside", c"top/far"),
    ] {
        let _ = sys::symlink(target, path);
    }
    let _ = (sys::mkdir(c"top/mount", 0o755), sys::mount(c"t", c"top/mount", c"tmpfs", 0, None));
    let _ = make_file(c"top/mount/file", 0o644, b"x");
    let top = file(c"top", O_RDONLY | O_DIRECTORY);
    let go = |path: &CStr, resolve: u32| open_how(desk, top, path, [0, 0, resolve.into()]).and_then(close);
    checks.equal("a plain way", [go(c"in/up", 0), go(c"far", 0), go(c"mount/file", 0)], [Ok(()); 3]);
    let beneath = [c"in/file", c"link", c"in/../link", c"mount/file"].map(|path| go(path, RESOLVE_BENEATH));
    checks.equal("beneath", beneath, [Ok(()); 4]);
    let out = [c"..", c"../outside", c"in/up", c"root", c"far", c"/tmp/outside"].map(|path| go(path, RESOLVE_BENEATH));
    checks.equal("never out", out, [Err(Errno::EXDEV); 6]);
    let inside = [c"/in/file", c"root", c"../../in/file", c"link", c"/"].map(|path| go(path, RESOLVE_IN_ROOT));
    checks.equal("in a root of its own", inside, [Ok(()); 5]);
    checks.equal(
        "nothing else is",
        [go(c"far", RESOLVE_IN_ROOT), go(c"in/up", RESOLVE_IN_ROOT)],
        [Err(Errno::ENOENT); 2],
    );
    checks.equal("no links", go(c"link", RESOLVE_NO_SYMLINKS), Err(Errno::ELOOP));
    checks.equal(
        "but as the end of the way",
        open_how(desk, top, c"link", [(O_PATH | linux::O_NOFOLLOW).into(), 0, RESOLVE_NO_SYMLINKS.into()])
            .and_then(close),
        Ok(()),
    );
    checks.equal(
        "no other mount",
        [go(c"mount/file", RESOLVE_NO_XDEV), go(c"mount", RESOLVE_NO_XDEV), go(c"../proc", RESOLVE_NO_XDEV)],
        [Err(Errno::EXDEV); 3],
    );
    checks.equal(
        "nor out of one",
        open_how(desk, file(c"top/mount", O_RDONLY), c"..", [0, 0, RESOLVE_NO_XDEV.into()]),
        Err(Errno::EXDEV),
    );
    let magic = text!(32, "/tmp/proc/self/fd/{top}\0");
    let magic = CStr::from_bytes_until_nul(magic.as_bytes()).expect("a NUL");
    checks.equal(
        "no magic",
        [go(magic, RESOLVE_NO_MAGICLINKS), go(c"/tmp/proc/self/stat", RESOLVE_NO_MAGICLINKS)],
        [Err(Errno::ELOOP), Ok(())],
    );
    let make = |flags: u32, mode: u64, resolve: u64| {
        open_how(desk, top, c"new", [flags.into(), mode, resolve]).and_then(close)
    };
    checks.equal("made beneath", make(O_CREAT | O_WRONLY, 0o600, RESOLVE_BENEATH.into()), Ok(()));
    checks.equal("a mode without making", make(O_RDONLY, 0o600, 0), Err(Errno::EINVAL));
    checks.equal("a mode that is none", make(O_CREAT | O_WRONLY, 0o10000, 0), Err(Errno::EINVAL));
    checks.equal("unknown flags", make(1 << 30, 0, 0), Err(Errno::EINVAL));
    checks.equal("unknown ways", make(O_RDONLY, 0, 1 << 10), Err(Errno::EINVAL));
    checks.equal("two at once", make(O_RDONLY, 0, (RESOLVE_BENEATH | RESOLVE_IN_ROOT).into()), Err(Errno::EINVAL));
    checks.equal("a place that is written", make(O_PATH | O_RDWR, 0, 0), Err(Errno::EINVAL));
    desk.words(0, &[0, 0, 0, 0]);
    let sized = |size| desk.call(linux::__NR_openat2, &[n(top), T(c"link"), At(0), N(size)]).map(|fd| close(fd as Fd));
    checks.equal(
        "of later versions",
        [sized(32), sized(16), sized(5000)],
        [Ok(Ok(())), Err(Errno::EINVAL), Err(Errno::E2BIG)],
    );
    desk.words(24, &[1]);
    checks.equal("which say nothing new", sized(32), Err(Errno::E2BIG));
    // (openat(2) passes unknown flags over.)
    checks.equal("an old call is patient", sys::open(c"outside", 1 << 30).and_then(close), Ok(()));
    (3..16).for_each(|fd| close(fd).unwrap_or(()));
}

fn room(checks: &mut Checks, desk: &Desk) {
    let fd = file(c"room", O_RDWR | O_CREAT);
    let call =
        |mode: u32, at: i64, length: i64| desk.call(linux::__NR_fallocate, &[n(fd), N(mode.into()), N(at), N(length)]);
    let sizes = || sys::fstat(fd).map(|stat| (stat.st_size, stat.st_blocks * 512 / PAGE as i64));
    checks.equal("room is made", (call(0, 0, 3 * PAGE as i64), sizes()), (Ok(0), Ok((3 * PAGE as i64, 3))));
    checks.equal(
        "behind the end too",
        (call(FALLOC_FL_KEEP_SIZE, 0, 5 * PAGE as i64), sizes()),
        (Ok(0), Ok((3 * PAGE as i64, 5))),
    );
    let hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    let _ = sys::pwrite(fd, &[b'x'; 3 * PAGE], 0);
    checks.equal("a hole", (call(hole, PAGE as i64 - 1, PAGE as i64 + 2), sizes()), (Ok(0), Ok((3 * PAGE as i64, 4))));
    let mut bytes = [1; 4];
    checks.equal("is zeros", (sys::pread(fd, &mut bytes, PAGE as i64 - 3), bytes), (Ok(4), *b"xx\0\0"));
    checks.equal("to its end", (sys::pread(fd, &mut bytes, 2 * PAGE as i64 - 1), bytes), (Ok(4), *b"\0\0xx"));
    let found = [(0, SEEK_HOLE), (PAGE as i64, SEEK_DATA), (2 * PAGE as i64, SEEK_HOLE)];
    let found = found.map(|(from, whence)| sys::lseek(fd, from, whence));
    checks.equal("and found", found, [Ok(PAGE), Ok(2 * PAGE), Ok(3 * PAGE)]);
    checks.equal(
        "not behind the end",
        [SEEK_DATA, SEEK_HOLE].map(|whence| sys::lseek(fd, 3 * PAGE as i64, whence)),
        [Err(Errno::ENXIO); 2],
    );
    checks.equal("a hole that makes it shorter", call(FALLOC_FL_PUNCH_HOLE, 0, 1), Err(Errno::EOPNOTSUPP));
    checks.equal("what tmpfs has not", call(linux::FALLOC_FL_ZERO_RANGE, 0, 1), Err(Errno::EOPNOTSUPP));
    checks.equal("nothing", [call(0, 0, 0), call(0, -1, 1), call(0, 0, -1)], [Err(Errno::EINVAL); 3]);
    checks.equal("too much", call(0, i64::MAX, 2), Err(Errno::EFBIG));
    checks.equal("more than there is", call(0, 0, 1 << 40), Err(Errno::ENOSPC));
    checks.equal("leaves it as it was", sizes(), Ok((3 * PAGE as i64, 4)));
    let other = |fd: Fd| desk.call(linux::__NR_fallocate, &[n(fd), N(0), N(0), N(1)]);
    checks.equal("who only reads", other(file(c"room", O_RDONLY)), Err(Errno::EBADF));
    checks.equal("a pipe", sys::pipe(0).and_then(|(_, to)| other(to)), Err(Errno::ESPIPE));
    let advise =
        |fd: Fd, length: i64, advice: i64| desk.call(linux::__NR_fadvise64, &[n(fd), N(0), N(length), N(advice)]);
    checks.equal(
        "advice",
        [advise(fd, 0, 4), advise(fd, 0, 6), advise(fd, -1, 0), advise(99, 0, 0)],
        [Ok(0), Err(Errno::EINVAL), Err(Errno::EINVAL), Err(Errno::EBADF)],
    );
    (3..16).for_each(|fd| close(fd).unwrap_or(()));
}

fn splice(desk: &Desk, from: Fd, to: Fd, length: usize, flags: i64) -> Result<usize> {
    desk.call(linux::__NR_splice, &[n(from), N(0), n(to), N(0), N(length as i64), N(flags)])
}

fn tee(desk: &Desk, from: Fd, to: Fd, length: usize) -> Result<usize> {
    desk.call(linux::__NR_tee, &[n(from), n(to), N(length as i64), N(NONBLOCK)])
}

fn pipes(checks: &mut Checks, desk: &Desk) {
    let (from, to) = sys::pipe(0).expect("a pipe");
    let (next, last) = sys::pipe(0).expect("a pipe");
    let mut buffer = [0; 64];
    let fd = file(c"source", O_RDWR | O_CREAT);
    let _ = (write(fd, b"some words of a file"), sys::lseek(fd, 5, SEEK_SET));
    checks.equal("from a file", splice(desk, fd, to, 5, 0), Ok(5));
    checks.equal("whose offset moves", sys::lseek(fd, 0, SEEK_CUR), Ok(10));
    desk.words(0, &[16]);
    let at = desk.call(linux::__NR_splice, &[n(fd), At(0), n(to), N(0), N(100), N(0)]);
    checks.equal("from an offset", (at, desk.word(0)), (Ok(4), 20));
    checks.equal("a copy", tee(desk, from, last, 64), Ok(9));
    checks.equal("is one", (read(next, &mut buffer), &buffer[..9]), (Ok(9), &b"wordsfile"[..]));
    let _ = tee(desk, from, last, 4);
    let _ = (write(last, b"!"), write(to, b"?"));
    checks.equal("which grows apart", (read(next, &mut buffer), &buffer[..5]), (Ok(5), &b"word!"[..]));
    checks.equal("from pipe to pipe", splice(desk, from, last, 3, 0), Ok(3));
    let _ = write(last, b"+");
    checks.equal("a part", (read(next, &mut buffer), &buffer[..4]), (Ok(4), &b"wor+"[..]));
    let target = file(c"target", O_RDWR | O_CREAT);
    checks.equal("to a file", splice(desk, from, target, 64, 0), Ok(7));
    checks.equal("is written", (sys::pread(target, &mut buffer, 0), &buffer[..7]), (Ok(7), &b"dsfile?"[..]));
    checks.equal("nothing is EAGAIN", splice(desk, from, target, 64, NONBLOCK), Err(Errno::EAGAIN));
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(write(to, b"late") != Ok(4))
    });
    checks.equal("or is awaited", splice(desk, from, target, 64, 0), Ok(4));
    checks.equal("for a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    let appends = file(c"target", O_WRONLY | O_APPEND);
    let refused = [
        splice(desk, from, to, 1, 0),
        splice(desk, fd, target, 1, 0),
        splice(desk, from, appends, 1, 0),
        splice(desk, from, last, 1, 1 << 9),
    ];
    checks.equal("one's own, no pipe, a file's end, no flags", refused, [Err(Errno::EINVAL); 4]);
    checks.equal(
        "the wrong ways",
        [splice(desk, to, target, 1, 0), splice(desk, fd, from, 1, 0)],
        [Err(Errno::EBADF); 2],
    );
    let offset = desk.call(linux::__NR_splice, &[n(from), At(0), n(target), N(0), N(1), N(0)]);
    checks.equal("a pipe has no offset", offset, Err(Errno::ESPIPE));
    desk.put(256, b"twoparts");
    desk.words(0, &[desk.address(256), 3, desk.address(259), 5]);
    let vmsplice = |fd: Fd| desk.call(linux::__NR_vmsplice, &[n(fd), At(0), N(2), N(NONBLOCK)]);
    checks.equal(
        "from memory",
        (vmsplice(to), read(from, &mut buffer), &buffer[..8]),
        (Ok(8), Ok(8), &b"twoparts"[..]),
    );
    checks.equal("no pipe", vmsplice(fd), Err(Errno::EBADF));
    checks.equal("a pipe's size", fcntl(from, linux::F_GETPIPE_SZ, 0), Ok(65536));
    checks.equal(
        "is set",
        (fcntl(to, linux::F_SETPIPE_SZ, 5000), fcntl(from, linux::F_GETPIPE_SZ, 0)),
        (Ok(8192), Ok(8192)),
    );
    let zero = file(c"/dev/zero", O_RDONLY);
    checks.equal("and binds", splice(desk, zero, to, 100_000, 0), Ok(8192));
    checks.equal("full is EAGAIN", splice(desk, zero, to, 1, NONBLOCK), Err(Errno::EAGAIN));
    checks.equal("full is not made smaller", fcntl(to, linux::F_SETPIPE_SZ, 4096), Err(Errno::EBUSY));
    checks.equal("a file has none", fcntl(fd, linux::F_GETPIPE_SZ, 0), Err(Errno::EBADF));
    let _ = close(from);
    let pipe_signal = WaitStatus::Signaled(Signal::SIGPIPE);
    checks.ends("nobody reads: SIGPIPE", pipe_signal, || splice(desk, fd, to, 1, 0).map_or(1, |_| 2));
    (3..32).for_each(|fd| close(fd).unwrap_or(()));
}

fn copies(checks: &mut Checks, desk: &Desk) {
    let (source, target) = (file(c"from", O_RDWR | O_CREAT), file(c"to", O_RDWR | O_CREAT));
    let block: [u8; 3000] = core::array::from_fn(|at| at as u8);
    for _ in 0..40 {
        let _ = write(source, &block);
    }
    let copy = |from: Fd, to: Fd, length: i64, flags: i64| {
        desk.call(linux::__NR_copy_file_range, &[n(from), N(0), n(to), N(0), N(length), N(flags)])
    };
    let _ = sys::lseek(source, 0, SEEK_SET);
    checks.equal("a range is copied", copy(source, target, 1 << 20, 0), Ok(120_000));
    let mut bytes = [0; 3000];
    let same = (0..40).all(|part| sys::pread(target, &mut bytes, part * 3000) == Ok(3000) && bytes == block);
    checks.holds("as it is", same);
    checks.equal("at the end is nothing", copy(source, target, 1, 0), Ok(0));
    desk.words(0, &[10, 0]);
    let own = |from: u64, to: u64, length: i64| {
        desk.words(0, &[from, to]);
        desk.call(linux::__NR_copy_file_range, &[n(source), At(0), n(source), At(8), N(length), N(0)])
    };
    checks.equal("within a file", (own(0, 3000, 3000), desk.word(0), desk.word(8)), (Ok(3000), 3000, 6000));
    checks.equal("not over itself", own(0, 10, 100), Err(Errno::EINVAL));
    checks.equal("no flags", copy(source, target, 1, 1), Err(Errno::EINVAL));
    checks.equal("no directory", copy(file(c"proc", O_RDONLY), target, 1, 0), Err(Errno::EISDIR));
    checks.equal("the wrong way", copy(source, file(c"to", O_RDONLY), 1, 0), Err(Errno::EBADF));
    checks.equal("not to the end", copy(source, file(c"to", O_WRONLY | O_APPEND), 1, 0), Err(Errno::EBADF));
    checks.equal("not elsewhere", copy(source, file(c"/elsewhere", O_RDWR | O_CREAT), 1, 0), Err(Errno::EXDEV));
    let send = |to: Fd, from: Fd, length: i64| desk.call(linux::__NR_sendfile, &[n(to), n(from), N(0), N(length)]);
    let (from, to) = sys::pipe(0).expect("a pipe");
    let _ = sys::lseek(source, 0, SEEK_SET);
    checks.equal("sent to a pipe", (send(to, source, 100), sys::lseek(source, 0, SEEK_CUR)), (Ok(100), Ok(100)));
    checks.equal("sent from a text", send(to, file(c"proc/self/comm", O_RDONLY), 100), Ok(10));
    checks.equal("all is there", read(from, &mut bytes), Ok(110));
    let _ = write(to, b"x");
    checks.equal("sent from a pipe", send(target, from, 100), Ok(1));
    (3..32).for_each(|fd| close(fd).unwrap_or(()));
    let _ = sys::unlink(c"/elsewhere");
}

fn scheduling(checks: &mut Checks, desk: &Desk) {
    let policy = || desk.call(linux::__NR_sched_getscheduler, &[N(0)]);
    let set = |policy: i64, priority: i32| {
        desk.ints(0, &[priority]);
        desk.call(linux::__NR_sched_setscheduler, &[N(0), N(policy), At(0)])
    };
    checks.equal("a policy", (policy(), set(3, 0), policy(), set(5, 0), policy()), (Ok(0), Ok(0), Ok(3), Ok(0), Ok(5)));
    checks.equal("a child has it", in_child(|| i32::from(policy() != Ok(5))), Ok(WaitStatus::Exited(0)));
    checks.equal("unless it is kept from that", set(3 | 1 << 30, 0), Ok(0));
    checks.equal("as here", in_child(|| i32::from(policy() != Ok(0))), Ok(WaitStatus::Exited(0)));
    checks.equal("normal again", set(0, 0), Ok(0));
    let refused = [set(1, 10), set(2, 10), set(1, 0), set(0, 1), set(9, 0), set(-1, 0)];
    let (perm, inval) = (Err(Errno::EPERM), Err(Errno::EINVAL));
    checks.equal("none of real time", refused, [perm, perm, inval, inval, inval, inval]);
    let bounds = [1, 2, 0, 3, 5, 6, 4].map(|policy| {
        (
            desk.call(linux::__NR_sched_get_priority_min, &[N(policy)]),
            desk.call(linux::__NR_sched_get_priority_max, &[N(policy)]),
        )
    });
    let zero = (Ok(0), Ok(0));
    checks.equal("bounds", bounds, [(Ok(1), Ok(99)), (Ok(1), Ok(99)), zero, zero, zero, zero, (inval, inval)]);
    desk.words(0, &[0; 8]);
    desk.ints(0, &[48, 3]);
    desk.ints(16, &[5]);
    checks.equal("attributes", desk.call(linux::__NR_sched_setattr, &[N(0), At(0), N(0)]), Ok(0));
    checks.equal("are told", desk.call(linux::__NR_sched_getattr, &[N(0), At(64), N(48), N(0)]), Ok(0));
    checks.equal("as they are", (desk.int(64), desk.int(68), desk.int(80)), (48, 3, 5));
    checks.equal("nobody", desk.call(linux::__NR_sched_getscheduler, &[N(99999)]), Err(Errno::ESRCH));
    let io = |class: i64, level: i64| desk.call(linux::__NR_ioprio_set, &[N(1), N(0), N(class << 13 | level)]);
    checks.equal(
        "I/O has priorities",
        [io(2, 7), io(3, 0), io(2, 8), io(4, 0), io(0, 1)],
        [Ok(0), Ok(0), inval, inval, inval],
    );
    checks.equal("that are told", desk.call(linux::__NR_ioprio_get, &[N(1), N(0)]), Ok(3 << 13));
    checks.equal("a CPU", (desk.call(linux::__NR_getcpu, &[At(0), At(4), N(0)]), desk.int(4)), (Ok(0), 0));
    checks.holds("that there is", desk.int(0) < 8);
}

fn machine(checks: &mut Checks, desk: &Desk) {
    let perm = Err(Errno::EPERM);
    let none: [Arg<'_>; 0] = [];
    for (name, number) in
        [("reboot", linux::__NR_reboot), ("swapon", linux::__NR_swapon), ("vhangup", linux::__NR_vhangup)]
    {
        checks.equal(format_args!("{name} is EPERM"), desk.call(number, &none), perm);
    }
    desk.words(0, &[1, 0]);
    let set = |clock: i64| desk.call(linux::__NR_clock_settime, &[N(clock), At(0)]);
    checks.equal("clocks are not set", [set(0), set(1)], [perm, Err(Errno::EINVAL)]);
    desk.words(0, &[0; 26]);
    checks.equal("nor adjusted, but told", desk.call(linux::__NR_adjtimex, &[At(0)]), Ok(5));
    checks.holds("with the time", desk.word(72) > 0);
    desk.ints(0, &[2]);
    checks.equal("to adjust is EPERM", desk.call(linux::__NR_adjtimex, &[At(0)]), perm);
    let personality = |wanted: i64| desk.call(linux::__NR_personality, &[N(wanted)]);
    checks.equal(
        "a personality",
        [personality(0xffff_ffff), personality(0), personality(8)],
        [Ok(0), Ok(0), Err(Errno::EINVAL)],
    );
    checks.equal(
        "barriers for all and for a process",
        desk.call(linux::__NR_membarrier, &[N(0), N(0), N(0)]),
        Ok(0x1f),
    );
    let locks = [0, 1, 2, 3, 4, 8].map(|flags| desk.call(linux::__NR_mlockall, &[N(flags)]));
    let inval = Err(Errno::EINVAL);
    checks.equal("all is locked", locks, [inval, Ok(0), Ok(0), Ok(0), inval, inval]);
    checks.equal("and not", desk.call(linux::__NR_munlockall, &none), Ok(0));
    let fresh = Desk::new();
    fresh.put(0, b"x");
    let resident = fresh.call(linux::__NR_mincore, &[At(0), N(2 * PAGE as i64), At(0)]);
    checks.equal("pages at hand", (resident, fresh.get(0)), (Ok(0), [1, 0]));
    checks.equal("of an odd address", fresh.call(linux::__NR_mincore, &[At(1), N(1), At(0)]), inval);
    let handle = desk.call(linux::__NR_name_to_handle_at, &[N(0), T(c"file"), At(0), At(8), N(0)]);
    checks.equal("no handles", handle, Err(Errno::EOPNOTSUPP));
}
