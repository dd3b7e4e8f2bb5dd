//! Plain: descriptors of what has no name: counters, timers and files in memory.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{
    self as linux, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, EFD_SEMAPHORE,
    EPOLL_CTL_ADD, EPOLLIN, F_ADD_SEALS, F_GET_SEALS, F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK,
    F_SEAL_WRITE, FD_CLOEXEC, MAP_PRIVATE, MAP_SHARED, MFD_ALLOW_SEALING, MFD_CLOEXEC, O_CLOEXEC, O_NONBLOCK, O_RDONLY,
    POLLIN, POLLOUT, PROT_READ, PROT_WRITE, SEEK_SET, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET,
};
use veridian_containers::abi::{Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, wait_for};
use veridian_userland::desk::{
    Arg::{At, N, T},
    Desk,
};
use veridian_userland::sys::{self, Fd, PAGE, Region, Result, Start, close, fcntl, poll, read, write};
use veridian_userland::{program, text};

program!(main);

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    let mounted = sys::mkdir(c"proc", 0o755).and_then(|()| sys::mount(c"p", c"proc", c"proc", 0, None));
    checks.equal("proc is mounted", mounted, Ok(()));
    let desk = Desk::new();
    counters(&mut checks, &desk);
    timers(&mut checks, &desk);
    files(&mut checks, &desk);
    seals(&mut checks, &desk);
    checks.finish()
}

fn link_of(fd: Fd) -> Result<heapless::String<64>> {
    let path = text!(32, "proc/self/fd/{fd}\0");
    let mut buffer = [0; 64];
    let path = core::ffi::CStr::from_bytes_until_nul(path.as_bytes()).expect("a NUL at its end");
    let length = sys::readlink(path, &mut buffer)?;
    Ok(text!(64, "{}", core::str::from_utf8(&buffer[..length]).unwrap_or("?")))
}

fn eventfd(desk: &Desk, count: i64, flags: u32) -> Result<Fd> {
    desk.call(linux::__NR_eventfd2, &[N(count), N(flags.into())]).map(|fd| fd as Fd)
}

fn add(fd: Fd, number: u64) -> Result<usize> {
    write(fd, &number.to_ne_bytes())
}

fn take(fd: Fd) -> Result<u64> {
    let mut number = [0; 8];
    read(fd, &mut number).map(|_| u64::from_ne_bytes(number))
}

fn counters(checks: &mut Checks, desk: &Desk) {
    let event = eventfd(desk, 3, O_NONBLOCK | O_CLOEXEC).expect("an eventfd");
    checks.equal("an eventfd is closed on exec if asked", fcntl(event, linux::F_GETFD, 0), Ok(FD_CLOEXEC as usize));
    checks.equal("is called so", link_of(event).as_deref(), Ok("anon_inode:[eventfd]"));
    checks.equal("is readable and writable", poll(event, POLLIN | POLLOUT, Some(0)), Ok(POLLIN | POLLOUT));
    checks.equal("adds up", (add(event, 4), add(event, 0), take(event)), (Ok(8), Ok(8), Ok(7)));
    checks.equal("is empty then", (take(event), poll(event, POLLIN, Some(0))), (Err(Errno::EAGAIN), Ok(0)));
    checks.equal("the largest number is none", add(event, u64::MAX), Err(Errno::EINVAL));
    checks.equal("the one below fills it", add(event, u64::MAX - 1), Ok(8));
    checks.equal("nothing is added then", add(event, 1), Err(Errno::EAGAIN));
    checks.equal("and it is not writable", poll(event, POLLIN | POLLOUT, Some(0)), Ok(POLLIN));
    let short = (read(event, &mut [0; 7]), write(event, &[0; 7]));
    checks.equal("less than eight bytes are EINVAL", short, (Err(Errno::EINVAL), Err(Errno::EINVAL)));
    checks.equal("it is taken whole", take(event), Ok(u64::MAX - 1));
    let mut two = [0; 16];
    two[0] = 1;
    two[8] = 1;
    checks.equal("of sixteen bytes eight count", (write(event, &two), take(event)), (Ok(8), Ok(1)));
    checks.equal("close", close(event), Ok(()));

    let semaphore = eventfd(desk, 2, EFD_SEMAPHORE | O_NONBLOCK).expect("a semaphore");
    let taken = [take(semaphore), take(semaphore), take(semaphore)];
    checks.equal("a semaphore is taken one by one", taken, [Ok(1), Ok(1), Err(Errno::EAGAIN)]);
    checks.equal("close", close(semaphore), Ok(()));
    checks.equal("unknown flags are EINVAL", eventfd(desk, 0, 2), Err(Errno::EINVAL));

    let (event, epoll) = (eventfd(desk, 0, 0).expect("an eventfd"), sys::epoll().expect("an epoll"));
    checks.equal("an epoll watches it", sys::epoll_set(epoll, EPOLL_CTL_ADD, event, EPOLLIN, 7), Ok(()));
    checks.equal("nothing yet", sys::epoll_wait(epoll, 0).map(|told| told.0), Ok(0));
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(add(event, 5) != Ok(8))
    });
    checks.equal("an epoll wakes", sys::epoll_wait(epoll, -1), Ok((1, EPOLLIN, 7)));
    checks.equal("for a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(add(event, 6) != Ok(8))
    });
    checks.equal("what is there is read", take(event), Ok(5));
    checks.equal("a read waits", take(event), Ok(6));
    checks.equal("for a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    let _ = add(event, u64::MAX - 1);
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(take(event) != Ok(u64::MAX - 1))
    });
    checks.equal("a write waits for room", add(event, 9), Ok(8));
    checks.equal("for a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal("and is there", take(event), Ok(9));
    checks.equal("close", (close(event), close(epoll)), (Ok(()), Ok(())));
    // As many as there may be, again and again: nothing leaks.
    for _ in 0..8 {
        let mut last = -1;
        while let Ok(fd) = eventfd(desk, 0, 0) {
            last = fd;
        }
        (3..=last).for_each(|fd| close(fd).unwrap_or(()));
    }
    checks.holds("many come and go", eventfd(desk, 0, 0).and_then(close).is_ok());
}

fn timer(desk: &Desk, clock: u32, flags: u32) -> Result<Fd> {
    desk.call(linux::__NR_timerfd_create, &[N(clock.into()), N(flags.into())]).map(|fd| fd as Fd)
}

/// Sets a timer; gives the interval and what was left before.
fn set(desk: &Desk, fd: Fd, flags: u32, first: u64, interval: u64) -> Result<(u64, u64)> {
    let [first, interval] = [first, interval].map(|ns| [ns / SECOND, ns % SECOND]);
    desk.words(0, &[interval, first].concat_words());
    desk.call(linux::__NR_timerfd_settime, &[N(fd.into()), N(flags.into()), At(0), At(64)])?;
    Ok(setting(desk, 64))
}

fn setting(desk: &Desk, at: usize) -> (u64, u64) {
    let ns = |at| desk.word(at) * SECOND + desk.word(at + 8);
    (ns(at), ns(at + 16))
}

fn left(desk: &Desk, fd: Fd) -> Result<(u64, u64)> {
    desk.call(linux::__NR_timerfd_gettime, &[N(fd.into()), At(64)])?;
    Ok(setting(desk, 64))
}

/// Two times as the four words that they are.
trait Words {
    fn concat_words(self) -> [u64; 4];
}

impl Words for [[u64; 2]; 2] {
    fn concat_words(self) -> [u64; 4] {
        [self[0][0], self[0][1], self[1][0], self[1][1]]
    }
}

fn timers(checks: &mut Checks, desk: &Desk) {
    for clock in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME] {
        let fd = timer(desk, clock, O_NONBLOCK).expect("a timer");
        checks.equal(
            format_args!("a timer of clock {clock} is called so"),
            link_of(fd).as_deref(),
            Ok("anon_inode:[timerfd]"),
        );
        checks.equal("is not armed", (take(fd), left(desk, fd)), (Err(Errno::EAGAIN), Ok((0, 0))));
        checks.equal("is armed", set(desk, fd, 0, 100 * SECOND, 0), Ok((0, 0)));
        checks.holds("tells what is left", left(desk, fd).is_ok_and(|(_, left)| (1..=100 * SECOND).contains(&left)));
        let before = set(desk, fd, 0, 10 * MILLISECOND, 0);
        checks.holds("or what was", before.is_ok_and(|(_, left)| (1..=100 * SECOND).contains(&left)));
        let begin = sys::now();
        checks.equal("wakes who polls", poll(fd, POLLIN, Some(20 * SECOND)), Ok(POLLIN));
        checks.holds("in time", sys::now() - begin < 20 * SECOND);
        checks.equal("once", (take(fd), take(fd)), (Ok(1), Err(Errno::EAGAIN)));
        checks.equal("and is over", left(desk, fd), Ok((0, 0)));
        let now = sys::clock(clock).expect("a clock");
        let armed = set(desk, fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now + 10 * MILLISECOND, 0);
        checks.equal("a time of the clock", armed, Ok((0, 0)));
        checks.equal("comes", poll(fd, POLLIN, None), Ok(POLLIN));
        checks.holds("not before", sys::clock(clock).is_ok_and(|shown| shown >= now + 10 * MILLISECOND));
        let _ = set(desk, fd, TFD_TIMER_ABSTIME, 1, 0);
        checks.equal("one that is past has come", take(fd), Ok(1));
        let _ = set(desk, fd, 0, MILLISECOND, 2 * MILLISECOND);
        let _ = sys::sleep(12 * MILLISECOND);
        checks.holds("an interval counts", take(fd).is_ok_and(|count| count >= 5));
        checks.equal("and goes on", poll(fd, POLLIN, Some(20 * SECOND)), Ok(POLLIN));
        checks.holds(
            "until it is disarmed",
            set(desk, fd, 0, 0, 0).is_ok_and(|(interval, _)| interval == 2 * MILLISECOND),
        );
        checks.equal("what it had counted is forgotten", take(fd), Err(Errno::EAGAIN));
        checks.equal("close", close(fd), Ok(()));
    }
    let fd = timer(desk, CLOCK_MONOTONIC, 0).expect("a timer");
    let _ = set(desk, fd, 0, 5 * MILLISECOND, 0);
    checks.equal("a read waits", take(fd), Ok(1));
    let child = sys::spawn(|| {
        let _ = sys::sleep(10 * MILLISECOND);
        i32::from(set(desk, fd, 0, MILLISECOND, 0).is_err())
    });
    let _ = set(desk, fd, 0, 1000 * SECOND, 0);
    checks.equal("a read waits for a timer that is set anew", take(fd), Ok(1));
    checks.equal("by a child", child.and_then(wait_for), Ok(WaitStatus::Exited(0)));
    checks.equal("less than eight bytes are EINVAL", read(fd, &mut [0; 7]), Err(Errno::EINVAL));
    checks.equal("a timer is not written", add(fd, 1), Err(Errno::EINVAL));
    checks.equal("unknown flags are EINVAL", set(desk, fd, 4, 1, 0), Err(Errno::EINVAL));
    desk.words(0, &[0, SECOND, 0, 0]);
    let fill = |from, to| desk.call(linux::__NR_timerfd_settime, &[N(fd.into()), N(0), from, to]);
    checks.equal("a full second of nanoseconds too", fill(At(0), N(0)), Err(Errno::EINVAL));
    desk.words(0, &[0, 0, u64::MAX, 0]);
    checks.equal("a negative time too", fill(At(0), N(0)), Err(Errno::EINVAL));
    checks.equal("no time is EFAULT", fill(N(0), N(0)), Err(Errno::EFAULT));
    checks.holds(
        "the end of all times does not come",
        set(desk, fd, TFD_TIMER_ABSTIME, u64::MAX / 4, u64::MAX / 4).is_ok(),
    );
    checks.equal("not ready", poll(fd, POLLIN, Some(0)), Ok(0));
    checks.equal("no clock of CPU time", timer(desk, CLOCK_PROCESS_CPUTIME_ID, 0), Err(Errno::EINVAL));
    checks.equal("unknown flags are EINVAL", timer(desk, CLOCK_MONOTONIC, 1), Err(Errno::EINVAL));
    checks.equal("standard output is no timer", left(desk, 1), Err(Errno::EINVAL));
    checks.equal("close", close(fd), Ok(()));
}

fn memory_file(desk: &Desk, name: &core::ffi::CStr, flags: u32) -> Result<Fd> {
    desk.call(linux::__NR_memfd_create, &[T(name), N(flags.into())]).map(|fd| fd as Fd)
}

fn files(checks: &mut Checks, desk: &Desk) {
    let fd = memory_file(desk, c"notes", MFD_CLOEXEC).expect("a file in memory");
    checks.equal("a file in memory is called so", link_of(fd).as_deref(), Ok("/memfd:notes (deleted)"));
    checks.equal("is closed on exec", fcntl(fd, linux::F_GETFD, 0), Ok(FD_CLOEXEC as usize));
    checks.equal("is a regular file", sys::fstat(fd).map(|stat| stat.st_mode), Ok(0o100777));
    checks.equal("is written", write(fd, b"some words"), Ok(10));
    let mut buffer = [0; 16];
    checks.equal("and read", (sys::lseek(fd, 0, SEEK_SET), read(fd, &mut buffer)), (Ok(0), Ok(10)));
    checks.equal("has no seals", fcntl(fd, F_GET_SEALS, 0), Ok(F_SEAL_SEAL as usize));
    checks.equal("nor gets any", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), Err(Errno::EPERM));
    let path = text!(32, "proc/self/fd/{fd}\0");
    let path = core::ffi::CStr::from_bytes_until_nul(path.as_bytes()).expect("a NUL at its end");
    let again = sys::open(path, O_RDONLY).expect("the file by its descriptor");
    checks.equal("is opened again", (read(again, &mut buffer), &buffer[..4]), (Ok(10), &b"some"[..]));
    checks.equal("to read alone", write(again, b"x"), Err(Errno::EBADF));
    let map = Region::map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, Some(fd)).expect("a mapping");
    map.set(0, b'S');
    checks.equal("is mapped", (sys::pread(fd, &mut buffer, 0), buffer[0]), (Ok(10), b'S'));
    checks.equal("close", (close(fd), close(again)), (Ok(()), Ok(())));
    let long = [b'n'; 251];
    let name = |length: usize| {
        let mut bytes = [0; 256];
        bytes[..length].copy_from_slice(&long[..length]);
        bytes
    };
    let (fits, fits_not) = (name(249), name(250));
    let of = |bytes: &[u8; 256]| {
        let name = core::ffi::CStr::from_bytes_until_nul(bytes).expect("a NUL");
        memory_file(desk, name, 0).and_then(close)
    };
    checks.equal("a name has 249 bytes", (of(&fits), of(&fits_not)), (Ok(()), Err(Errno::EINVAL)));
    checks.equal("unknown flags are EINVAL", memory_file(desk, c"x", 1 << 20), Err(Errno::EINVAL));
    let both = linux::MFD_EXEC | linux::MFD_NOEXEC_SEAL;
    checks.equal("to be executed and not is EINVAL", memory_file(desk, c"x", both), Err(Errno::EINVAL));
    checks.equal("no name is EFAULT", desk.call(linux::__NR_memfd_create, &[N(0), N(0)]), Err(Errno::EFAULT));
}

fn seals(checks: &mut Checks, desk: &Desk) {
    let fd = memory_file(desk, c"sealed", MFD_ALLOW_SEALING).expect("a file in memory");
    checks.equal("seals may be set", fcntl(fd, F_GET_SEALS, 0), Ok(0));
    let _ = write(fd, &[b'x'; 100]);
    checks.equal("to keep its length", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), Ok(0));
    checks.equal("not shorter", sys::ftruncate(fd, 99), Err(Errno::EPERM));
    checks.equal("not longer", sys::ftruncate(fd, 101), Err(Errno::EPERM));
    checks.equal("not by a write", sys::pwrite(fd, b"y", 100), Err(Errno::EPERM));
    checks.equal("but as far as it reaches", sys::pwrite(fd, b"yy", 99), Ok(1));
    let longer = desk.call(linux::__NR_fallocate, &[N(fd.into()), N(0), N(0), N(101)]);
    checks.equal("nor by fallocate", longer, Err(Errno::EPERM));
    checks.equal("as long as it is", sys::ftruncate(fd, 100), Ok(()));
    let writable = |fd| Region::map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, Some(fd));
    let map = writable(fd).expect("a mapping");
    checks.equal("what is mapped to be written is not sealed", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), Err(Errno::EBUSY));
    checks.equal("but for the future", fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), Ok(0));
    map.set(0, b'm');
    let mut buffer = [0; 1];
    checks.equal("the mapping goes on", (sys::pread(fd, &mut buffer, 0), buffer[0]), (Ok(1), b'm'));
    checks.equal("no further one", writable(fd).map(drop), Err(Errno::EPERM));
    checks.equal("no write", sys::pwrite(fd, b"z", 0), Err(Errno::EPERM));
    checks.equal("when it is gone", map.unmap(0, PAGE), Ok(()));
    checks.equal("it is sealed", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), Ok(0));
    let hole = i64::from(linux::FALLOC_FL_PUNCH_HOLE | linux::FALLOC_FL_KEEP_SIZE);
    let punched = desk.call(linux::__NR_fallocate, &[N(fd.into()), N(hole), N(0), N(10)]);
    checks.equal("no hole", punched, Err(Errno::EPERM));
    checks.equal("no further seals", fcntl(fd, F_ADD_SEALS, linux::F_SEAL_EXEC), Err(Errno::EPERM));
    let read_only = Region::map(PAGE, PROT_READ, MAP_SHARED, Some(fd)).expect("a mapping to read");
    checks.equal(
        "what is mapped to read is not written",
        read_only.protect(0, PAGE, PROT_READ | PROT_WRITE),
        Err(Errno::EACCES),
    );
    let private = Region::map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, Some(fd)).expect("a copy");
    private.set(0, b'p');
    checks.equal("a copy of it is", (sys::pread(fd, &mut buffer, 0), buffer[0]), (Ok(1), b'm'));
    checks.equal("unknown seals are EINVAL", fcntl(fd, F_ADD_SEALS, 1 << 10), Err(Errno::EINVAL));
    checks.equal("close", close(fd), Ok(()));
    checks.equal("a pipe has none", sys::pipe(0).and_then(|(from, _)| fcntl(from, F_GET_SEALS, 0)), Err(Errno::EINVAL));
}
