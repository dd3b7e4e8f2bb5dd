//! Plain: what happens to files is told to who watches them, in order, and no more than that.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{
    self as linux, IN_ACCESS, IN_ALL_EVENTS, IN_ATTRIB, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE,
    IN_DELETE_SELF, IN_EXCL_UNLINK, IN_IGNORED, IN_ISDIR, IN_MASK_ADD, IN_MASK_CREATE, IN_MODIFY, IN_MOVE_SELF,
    IN_MOVED_FROM, IN_MOVED_TO, IN_ONESHOT, IN_ONLYDIR, IN_OPEN, IN_Q_OVERFLOW, MS_BIND, O_CREAT, O_DIRECTORY,
    O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, POLLIN,
};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::desk::{
    Arg::{N, T},
    Desk,
};
use veridian_userland::heapless::Vec;
use veridian_userland::program;
use veridian_userland::sys::{self, AT_FDCWD, Fd, Result, Start, close, read, write};

program!(main);

const MILLISECOND: u64 = 1_000_000;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    let desk = Desk::new();
    files(&mut checks, &desk);
    directories(&mut checks, &desk);
    manners(&mut checks, &desk);
    queues(&mut checks, &desk);
    overlays(&mut checks, &desk);
    checks.finish()
}

fn init(desk: &Desk, flags: u32) -> Result<Fd> {
    desk.call(linux::__NR_inotify_init1, &[N(flags.into())]).map(|fd| fd as Fd)
}

fn watch(desk: &Desk, fd: Fd, path: &CStr, mask: u32) -> Result<i32> {
    desk.call(linux::__NR_inotify_add_watch, &[N(fd.into()), T(path), N(mask.into())]).map(|number| number as i32)
}

fn unwatch(desk: &Desk, fd: Fd, number: i32) -> Result<usize> {
    desk.call(linux::__NR_inotify_rm_watch, &[N(fd.into()), N(number.into())])
}

/// An event: watch, what, and the first letters of the name.
type Event = (i32, u32, [u8; 4]);

/// What is told now, and whether the two halves of each move have one number that no other has.
fn told(fd: Fd) -> (Vec<Event, 32>, bool) {
    let mut events = Vec::new();
    let mut cookies: Vec<u32, 32> = Vec::new();
    let mut buffer = [0; 2048];
    while let Ok(length) = read(fd, &mut buffer) {
        let mut rest = &buffer[..length];
        while let Some((header, more)) = rest.split_first_chunk::<16>() {
            let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let (name, next) = more.split_at(word(12) as usize);
            let mut letters = [0; 4];
            let known = name.len().min(4);
            letters[..known].copy_from_slice(&name[..known]);
            let _ = events.push((word(0) as i32, word(4), letters));
            if word(8) != 0 {
                let _ = cookies.push(word(8));
            }
            rest = next;
        }
    }
    let pairs = cookies.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]);
    let apart = cookies.windows(3).all(|three| three[0] != three[2]);
    (events, pairs && apart)
}

fn is(checks: &mut Checks, sentence: &str, fd: Fd, expected: &[Event]) {
    let (events, moves) = told(fd);
    checks.equal(sentence, &events[..], expected);
    checks.holds("moves have one number", moves);
}

fn open(path: &CStr, flags: u32) -> Fd {
    sys::openat(AT_FDCWD, path, flags, 0o644).unwrap_or(-1)
}

const NONE: [u8; 4] = [0; 4];
const FILE: [u8; 4] = *b"file";

fn files(checks: &mut Checks, desk: &Desk) {
    let fd = init(desk, O_NONBLOCK).expect("an inotify");
    checks.equal("a file", make_file(c"file", 0o644, b"text"), Ok(()));
    checks.equal("is watched", watch(desk, fd, c"file", IN_ALL_EVENTS), Ok(1));
    checks.equal(
        "nothing happens yet",
        (sys::poll(fd, POLLIN, Some(0)), read(fd, &mut [0; 64])),
        (Ok(0), Err(Errno::EAGAIN)),
    );
    let mut buffer = [0; 8];
    let file = open(c"file", O_RDWR);
    let _ = (read(file, &mut buffer), read(file, &mut buffer), write(file, b"more"), write(file, b"more"));
    let _ = (sys::ftruncate(file, 2), close(file));
    checks.equal("something has", sys::poll(fd, POLLIN, Some(0)), Ok(POLLIN));
    let events = [IN_OPEN, IN_ACCESS, IN_MODIFY, IN_CLOSE_WRITE].map(|event| (1, event, NONE));
    is(checks, "open, read, written, cut, closed", fd, &events);
    let _ = (close(open(c"file", O_RDONLY)), close(open(c"file", O_PATH)));
    is(checks, "closed by who only reads", fd, &[IN_OPEN, IN_CLOSE_NOWRITE].map(|event| (1, event, NONE)));
    let _ = close(open(c"file", O_WRONLY | O_TRUNC));
    is(checks, "cut as it is opened", fd, &[IN_MODIFY, IN_OPEN, IN_CLOSE_WRITE].map(|event| (1, event, NONE)));
    let _ = (sys::chmod(c"file", 0o600), sys::access(c"file", 0), sys::fstatat(AT_FDCWD, c"file", 0));
    is(checks, "a new mode", fd, &[(1, IN_ATTRIB, NONE)]);
    let _ = sys::setxattr(c"file", c"user.note", b"x", 0);
    is(checks, "an attribute", fd, &[(1, IN_ATTRIB, NONE)]);
    let _ = (sys::link(c"file", c"second"), sys::unlink(c"second"));
    is(checks, "names", fd, &[(1, IN_ATTRIB, NONE)]);
    let _ = sys::rename(c"file", c"moved", 0);
    is(checks, "moved", fd, &[(1, IN_MOVE_SELF, NONE)]);
    let _ = sys::unlink(c"moved");
    is(checks, "removed", fd, &[IN_ATTRIB, IN_DELETE_SELF, IN_IGNORED].map(|event| (1, event, NONE)));
    checks.equal("the watch is gone", unwatch(desk, fd, 1), Err(Errno::EINVAL));
    checks.equal("close", close(fd), Ok(()));
}

fn directories(checks: &mut Checks, desk: &Desk) {
    let fd = init(desk, O_NONBLOCK).expect("an inotify");
    let _ = (sys::mkdir(c"one", 0o755), sys::mkdir(c"two", 0o755));
    checks.equal("a directory", watch(desk, fd, c"one", IN_ALL_EVENTS), Ok(1));
    checks.equal("another", watch(desk, fd, c"two", IN_ALL_EVENTS & !(IN_OPEN | IN_CLOSE_NOWRITE)), Ok(2));
    checks.equal("a file in it", make_file(c"one/file", 0o644, b"text"), Ok(()));
    let made = [(IN_CREATE, FILE), (IN_OPEN, FILE), (IN_MODIFY, FILE), (IN_CLOSE_WRITE, FILE)];
    is(checks, "made and written", fd, &made.map(|(event, name)| (1, event, name)));
    let _ = sys::rename(c"one/file", c"two/new", 0);
    is(checks, "moved", fd, &[(1, IN_MOVED_FROM, FILE), (2, IN_MOVED_TO, *b"new\0")]);
    let _ = (sys::mkdir(c"two/dir", 0o755), sys::symlink(c"x", c"two/link"), sys::mknod(c"two/pipe", 0o010644, 0));
    let made = [(IN_CREATE | IN_ISDIR, *b"dir\0"), (IN_CREATE, *b"link"), (IN_CREATE, *b"pipe")];
    is(checks, "all kinds", fd, &made.map(|(event, name)| (2, event, name)));
    let _ = sys::rename(c"two/new", c"two/dir", 2);
    let swapped = [
        (IN_MOVED_FROM, *b"new\0"),
        (IN_MOVED_TO, *b"dir\0"),
        (IN_MOVED_FROM | IN_ISDIR, *b"dir\0"),
        (IN_MOVED_TO | IN_ISDIR, *b"new\0"),
    ];
    is(checks, "exchanged", fd, &swapped.map(|(event, name)| (2, event, name)));
    let _ = (sys::unlink(c"two/link"), sys::rmdir(c"two/new"), sys::chmod(c"two/dir", 0o600));
    let gone = [(IN_DELETE, *b"link"), (IN_DELETE | IN_ISDIR, *b"new\0"), (IN_ATTRIB, *b"dir\0")];
    is(checks, "removed and changed", fd, &gone.map(|(event, name)| (2, event, name)));
    let listing = open(c"one", O_RDONLY | O_DIRECTORY);
    let _ = (sys::getdents(listing, &mut [0; 256]), close(listing));
    let listed = [IN_OPEN, IN_ACCESS, IN_CLOSE_NOWRITE].map(|event| (1, event | IN_ISDIR, NONE));
    is(checks, "listed", fd, &listed);
    let refused = [sys::mkdir(c"two/dir", 0o755), sys::unlink(c"two/no"), sys::rename(c"two/no", c"two/x", 0)];
    checks.holds("what is refused", refused.iter().all(Result::is_err));
    is(checks, "is not told", fd, &[]);
    let _ = (sys::rmdir(c"one"), sys::unlink(c"two/dir"));
    let gone = [(1, IN_DELETE_SELF | IN_ISDIR, NONE), (1, IN_IGNORED, NONE), (2, IN_DELETE, *b"dir\0")];
    is(checks, "a directory goes", fd, &gone);
    checks.equal("close", close(fd), Ok(()));
}

fn manners(checks: &mut Checks, desk: &Desk) {
    let fd = init(desk, O_NONBLOCK).expect("an inotify");
    let _ = (make_file(c"file", 0o644, b"text"), sys::mkdir(c"dir", 0o755), sys::symlink(c"file", c"link"));
    checks.equal("only a directory", watch(desk, fd, c"file", IN_OPEN | IN_ONLYDIR), Err(Errno::ENOTDIR));
    checks.equal("nothing to watch for", watch(desk, fd, c"file", 0), Err(Errno::EINVAL));
    checks.equal("nothing there", watch(desk, fd, c"nothing", IN_OPEN), Err(Errno::ENOENT));
    checks.equal(
        "no address",
        desk.call(linux::__NR_inotify_add_watch, &[N(fd.into()), N(8), N(1)]),
        Err(Errno::EFAULT),
    );
    checks.equal("standard output watches nothing", watch(desk, 1, c"file", IN_OPEN), Err(Errno::EINVAL));
    checks.equal("a closed descriptor neither", watch(desk, 99, c"file", IN_OPEN), Err(Errno::EBADF));
    checks.equal("unknown flags", init(desk, 1), Err(Errno::EINVAL));
    let number = watch(desk, fd, c"file", IN_OPEN);
    checks.equal("a link leads to the file", watch(desk, fd, c"link", IN_ACCESS | IN_MASK_ADD), number);
    checks.equal("which is watched once", watch(desk, fd, c"file", IN_OPEN | IN_MASK_CREATE), Err(Errno::EEXIST));
    let file = open(c"file", O_RDONLY);
    let _ = read(file, &mut [0; 4]);
    let first = number.unwrap_or(0);
    is(checks, "for both", fd, &[(first, IN_OPEN, NONE), (first, IN_ACCESS, NONE)]);
    checks.equal("or for something else", watch(desk, fd, c"file", IN_CLOSE_NOWRITE | IN_ONESHOT), number);
    let _ = (close(file), close(open(c"file", O_RDONLY)));
    is(checks, "once", fd, &[(first, IN_CLOSE_NOWRITE, NONE), (first, IN_IGNORED, NONE)]);
    let again = watch(desk, fd, c"file", IN_OPEN).unwrap_or(0);
    checks.holds("a new watch has a new number", again > first);
    checks.equal("a watch is ended", unwatch(desk, fd, again), Ok(0));
    let _ = close(open(c"file", O_RDONLY));
    is(checks, "and says so", fd, &[(again, IN_IGNORED, NONE)]);
    let number = watch(desk, fd, c"dir", IN_MODIFY | IN_EXCL_UNLINK).unwrap_or(0);
    let file = open(c"dir/file", O_CREAT | O_RDWR);
    let _ = (write(file, b"x"), sys::unlink(c"dir/file"), write(file, b"y"), close(file));
    is(checks, "what has no name is passed over", fd, &[(number, IN_MODIFY, FILE)]);
    checks.equal(
        "what may not be read is not watched",
        in_child(|| {
            let _ = sys::chmod(c"file", 0o200);
            let _ = sys::setresuid(1000, 1000, 1000);
            i32::from(watch(desk, fd, c"file", IN_OPEN) != Err(Errno::EACCES))
        }),
        Ok(WaitStatus::Exited(0)),
    );
    checks.equal("close", close(fd), Ok(()));
}

fn queues(checks: &mut Checks, desk: &Desk) {
    let fd = init(desk, 0).expect("an inotify");
    let _ = sys::mkdir(c"busy", 0o755);
    let number = watch(desk, fd, c"busy", IN_CREATE | IN_DELETE).unwrap_or(0);
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(make_file(c"busy/file", 0o644, b"").is_err())
    });
    checks.equal(
        "a buffer too small is EINVAL when there is something",
        {
            let _ = sys::poll(fd, POLLIN, None);
            read(fd, &mut [0; 31])
        },
        Err(Errno::EINVAL),
    );
    let mut event = [0; 32];
    checks.equal("a name is told with its padding", (read(fd, &mut event), &event[16..21]), (Ok(32), &b"file\0"[..]));
    checks.equal("from a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    for _ in 0..9000 {
        let _ = (sys::unlink(c"busy/file"), sys::mknod(c"busy/file", 0o100644, 0));
    }
    let mut count = 0;
    let mut last = 0;
    let mut buffer = [0; 4096];
    while sys::poll(fd, POLLIN, Some(0)) == Ok(POLLIN) {
        let length = read(fd, &mut buffer).unwrap_or(0);
        let mut rest = &buffer[..length];
        while rest.len() >= 16 {
            let word = |at: usize| u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
            (count, last) = (count + 1, word(4));
            rest = &rest[16 + word(12) as usize..];
        }
        if length == 0 {
            break;
        }
    }
    checks.equal("a queue has an end, and says so", (count, last), (16385, IN_Q_OVERFLOW));
    let _ = (sys::unlink(c"busy/file"), number);
    checks.equal("and goes on", read(fd, &mut event), Ok(32));
    checks.equal("close", close(fd), Ok(()));
    // Many come and go with all their watches.
    for _ in 0..64 {
        let fd = init(desk, 0).expect("an inotify");
        let _ = (watch(desk, fd, c"busy", IN_ALL_EVENTS), make_file(c"busy/file", 0o644, b"x"), close(fd));
    }
    checks.equal("nobody is told any more", make_file(c"busy/file", 0o644, b"x"), Ok(()));
}

fn overlays(checks: &mut Checks, desk: &Desk) {
    for name in [c"low", c"up", c"work", c"all", c"bound"] {
        let _ = sys::mkdir(name, 0o755);
    }
    let _ = make_file(c"low/file", 0o644, b"text");
    let options = c"lowerdir=/tmp/low,upperdir=/tmp/up,workdir=/tmp/work";
    checks.equal("an overlay", sys::mount(c"o", c"all", c"overlay", 0, Some(options)), Ok(()));
    checks.equal("seen twice", sys::mount(c"all", c"bound", c"none", MS_BIND, None), Ok(()));
    let fd = init(desk, O_NONBLOCK).expect("an inotify");
    let number = watch(desk, fd, c"all", IN_ALL_EVENTS & !IN_ATTRIB).unwrap_or(0);
    let file = open(c"bound/file", O_WRONLY);
    let _ = (write(file, b"x"), close(file), sys::rename(c"bound/file", c"bound/gone", 0), sys::unlink(c"all/gone"));
    let happened = [
        (IN_OPEN, FILE),
        (IN_MODIFY, FILE),
        (IN_CLOSE_WRITE, FILE),
        (IN_MOVED_FROM, FILE),
        (IN_MOVED_TO, *b"gone"),
        (IN_DELETE, *b"gone"),
    ];
    is(checks, "an overlay tells what happens in it", fd, &happened.map(|(event, name)| (number, event, name)));
    checks.equal("close", close(fd), Ok(()));
}
