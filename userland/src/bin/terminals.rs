//! Plain: pseudo-terminals, line editing, signals from keys, sessions and job control.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{
    ECHO, ICANON, ISIG, O_NOCTTY, O_NONBLOCK, O_RDWR, ONLCR, P_PIDFD, POLLHUP, POLLIN, SIGCONT, SIGTTOU, VMIN, VTIME,
    WEXITED, WNOHANG, WUNTRACED,
};
use linux_raw_sys::ioctl::{
    TCGETS, TCSETS, TIOCGPGRP, TIOCGPTN, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP, TIOCSPTLCK, TIOCSTI,
    TIOCSWINSZ,
};
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitStatus};
use veridian_containers::{Signal, Status};
use veridian_userland::check::{Checks, enter_scratch, wait_for};
use veridian_userland::containers::relay::clear;
use veridian_userland::sys::{self, Fd, Pid, Result, Start, close, poll, read, write};
use veridian_userland::{driver, println, program, text};

program!(main);

/// 20 ms, in nanoseconds.
const SHORT: u64 = 20_000_000;
/// Long enough for anything that should come, in nanoseconds.
const LONG: u64 = 10_000_000_000;

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("inside") {
        return inside(start.arg(2).unwrap_or(""));
    }
    let mut checks = Checks::new();
    enter_scratch();
    for (place, options) in [(c"a", c"ptmxmode=666,mode=620,gid=5"), (c"b", c"max=1")] {
        sys::mkdir(place, 0o755).expect("a directory");
        checks.equal("devpts is mounted", sys::mount(c"devpts", place, c"devpts", 0, Some(options)), Ok(()));
    }
    nodes(&mut checks);
    lines(&mut checks);
    raw(&mut checks);
    keys(&mut checks);
    jobs(&mut checks);
    hang_up(&mut checks);
    containers(&mut checks);
    checks.finish()
}

/// Terminals of containers' processes.
fn containers(checks: &mut Checks) {
    let own = "process_terminal=true\nprocess_console_size=81x23\n";
    let with_names = text!(128, "{own}mount=/dev/pts:devpts:devpts\n");
    for (what, lines, names) in [("with devpts", with_names.as_str(), "names"), ("without", own, "none")] {
        let config = driver::config(lines, &["/bin/terminals", "inside", names]);
        let made = driver::create_with_terminal("terminal", &config);
        let Some((container, master)) = checks.value(format_args!("{what}: a container has a terminal"), made) else {
            return;
        };
        checks.equal("start", sys::container_start(container), Ok(()));
        checks.holds("what it writes comes to its creator", reads(master, b"inside\r\n"));
        // As the first of its pid namespace it has no ear for ^C.
        write(master, b"typed\r").expect("keys");
        let end = driver::wait(container).map(|end| end.status);
        checks.equal("and keys go to it", end, Ok(WaitStatus::Exited(6)));
        checks.holds("and are echoed", reads(master, b"typed\r\n"));
        checks.equal("then nobody has it", read(master, &mut [0; 8]), Err(Errno::EIO));
        checks.equal("delete", driver::delete(container), Ok(()));
        close(master).expect("close");
    }
    let host = driver::config("mount=/dev/pts:devpts:devpts\n", &["/bin/worker", "forever"]);
    let host = driver::create("host", &host, CreateFlags::empty()).expect("a container");
    checks.equal("a container without a terminal", sys::container_start(host), Ok(()));
    let process = text!(160, "{own}process_arg=/bin/terminals\nprocess_arg=inside\nprocess_arg=exec\n");
    let made = sys::container_exec_with_terminal(host, process.as_bytes(), &mut []);
    let made = made.map_err(|(errno, _)| errno).and_then(|(pid, master)| Ok((pid, master.ok_or(Errno::ENOTTY)?)));
    if let Some((pidfd, master)) = checks.value("a further process has one of its own", made) {
        checks.holds("it writes there", reads(master, b"inside\r\n"));
        close(master).expect("close");
        let info = sys::waitid(P_PIDFD, pidfd, WEXITED).map(|info| info[6]);
        checks.equal("and is hung up with it", info, Ok(Signal::SIGHUP.number() as i32));
    }
    checks.equal("the container runs on", driver::status("host"), Some(Status::Running));
    checks.equal("FORCE", sys::container_delete(host, DeleteFlags::FORCE), Ok(()));
}

/// In a container, with a terminal on descriptors 0, 1 and 2.
fn inside(names: &str) -> i32 {
    let number = |fd| sys::fstat(fd).map(|status| status.st_rdev);
    let console = sys::fstatat(sys::AT_FDCWD, c"/dev/console", 0).map(|status| status.st_rdev);
    let mut size = [0; 64];
    let tests = [
        (0..3).all(|fd| number(fd).is_ok_and(|number| number >> 8 == 136)),
        sys::ioctl(0, TIOCGWINSZ, &mut size).is_ok() && size[..4] == [23, 0, 81, 0],
        get(0, TIOCGPGRP) == Ok(sys::getpid()) && get(0, TIOCGSID) == Ok(sys::getpid()),
        sys::open(c"/dev/tty", O_RDWR).is_ok(),
        names != "names" || console == number(0) && sys::access(c"/dev/pts/0", 0).is_ok(),
    ];
    if let Some(failed) = tests.iter().position(|held| !held) {
        println!("test {failed}");
        return 1;
    }
    println!("inside");
    read(0, &mut [0; 8]).map_or(1, |count| count as i32)
}

/// A pair of the first instance, its terminal open: numbers, master and slave.
fn pair() -> (Fd, Fd) {
    let master = sys::open(c"a/ptmx", O_RDWR | O_NOCTTY).expect("a master");
    set(master, TIOCSPTLCK, 0).expect("unlock");
    let slave = open_slave(master, O_RDWR | O_NOCTTY).expect("a slave");
    (master, slave)
}

fn open_slave(master: Fd, flags: u32) -> Result<Fd> {
    sys::open(name(get(master, TIOCGPTN)?), flags)
}

fn name(number: i32) -> &'static CStr {
    [c"a/0", c"a/1", c"a/2"][number as usize]
}

fn get(fd: Fd, request: u32) -> Result<i32> {
    let mut buffer = [0; 64];
    sys::ioctl(fd, request, &mut buffer)?;
    Ok(i32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]))
}

fn set(fd: Fd, request: u32, value: i32) -> Result {
    let mut buffer = [0; 64];
    buffer[..4].copy_from_slice(&value.to_ne_bytes());
    sys::ioctl(fd, request, &mut buffer).map(drop)
}

/// Changes the settings: four flag words, a byte, then the characters (struct termios).
fn change(fd: Fd, change: impl FnOnce(&mut [u8; 64])) -> Result {
    let mut settings = [0; 64];
    sys::ioctl(fd, TCGETS, &mut settings)?;
    change(&mut settings);
    sys::ioctl(fd, TCSETS, &mut settings).map(drop)
}

/// What there is to read now.
fn reads(fd: Fd, expected: &[u8]) -> bool {
    let mut buffer = [0; 64];
    poll(fd, POLLIN, Some(LONG)).is_ok_and(|ready| ready & POLLIN != 0)
        && read(fd, &mut buffer).is_ok_and(|count| &buffer[..count] == expected)
}

fn nodes(checks: &mut Checks) {
    let master = sys::open(c"a/ptmx", O_RDWR | O_NOCTTY).expect("a master");
    checks.equal("the first pair is number 0", get(master, TIOCGPTN), Ok(0));
    checks.equal("its terminal is locked", sys::open(c"a/0", O_RDWR), Err(Errno::EIO));
    checks.equal("until it is unlocked", set(master, TIOCSPTLCK, 0), Ok(()));
    let slave = checks.value("then it opens", sys::open(c"a/0", O_RDWR | O_NOCTTY));
    let status = sys::fstatat(sys::AT_FDCWD, c"a/0", 0).expect("stat");
    checks.equal("its node is the caller's and the mount's", (status.st_mode & 0o7777, status.st_gid), (0o620, 5));
    checks.equal("and a device", status.st_rdev, 136 << 8);
    let second = sys::open(c"a/ptmx", O_RDWR | O_NOCTTY).expect("a master");
    checks.equal("the second pair is number 1", get(second, TIOCGPTN), Ok(1));
    let other = sys::open(c"b/ptmx", O_RDWR | O_NOCTTY).expect("a master");
    checks.equal("another instance counts for itself", get(other, TIOCGPTN), Ok(0));
    checks.equal("and has its own limit", sys::open(c"b/ptmx", O_RDWR), Err(Errno::ENOSPC));
    checks.equal("no name leads from one to another", sys::access(c"b/1", 0), Err(Errno::ENOENT));
    [Some(master), slave, Some(second), Some(other)].into_iter().flatten().for_each(|fd| close(fd).expect("close"));
    checks.equal("a closed pair's name is gone", sys::access(c"a/0", 0), Err(Errno::ENOENT));
    checks.equal(
        "unknown options are EINVAL",
        sys::mount(c"x", c"a", c"devpts", 0, Some(c"size=1")),
        Err(Errno::EINVAL),
    );
}

fn lines(checks: &mut Checks) {
    let (master, slave) = pair();
    checks.equal("a program writes", write(slave, b"hi\n"), Ok(3));
    checks.holds("the screen shows it with a carriage return", reads(master, b"hi\r\n"));
    write(master, b"abX\x7fc").expect("keys");
    checks.equal("half a line is not read", poll(slave, POLLIN, Some(SHORT)), Ok(0));
    checks.holds("but echoed", reads(master, b"abX\x08 \x08c"));
    write(master, b"\rnext\r").expect("keys");
    checks.holds("a line is", reads(slave, b"abc\n"));
    checks.holds("and then the next", reads(slave, b"next\n"));
    write(master, b"\x04").expect("keys");
    checks.equal("^D is an end of file", read(slave, &mut [0; 8]), Ok(0));
    checks.equal("a window has no size at first", get(slave, TIOCGWINSZ), Ok(0));
    checks.equal("it can be set", set(master, TIOCSWINSZ, 24 | 80 << 16), Ok(()));
    checks.equal("and is told", get(slave, TIOCGWINSZ), Ok(24 | 80 << 16));
    checks.equal("nobody types for another: TIOCSTI", set(slave, TIOCSTI, 0x61), Err(Errno::EIO));
    let _ = write(master, &[b'x'; 8192]);
    checks.holds("input that nobody reads is bounded", write(master, b"\r").is_ok());
    [master, slave].into_iter().for_each(|fd| close(fd).expect("close"));
}

fn raw(checks: &mut Checks) {
    let (master, slave) = pair();
    let set_up = change(slave, |settings| {
        clear(settings, 3, ICANON | ECHO | ISIG);
        clear(settings, 1, ONLCR);
        settings[17 + VMIN as usize] = 0;
        settings[17 + VTIME as usize] = 1;
    });
    checks.equal("raw mode is set", set_up, Ok(()));
    checks.equal("a read with VTIME ends without input", read(slave, &mut [0; 8]), Ok(0));
    write(master, b"a\x03").expect("keys");
    checks.holds("keys come as they are", reads(slave, b"a\x03"));
    write(slave, b"x\n").expect("output");
    checks.holds("and so does output", reads(master, b"x\n"));
    checks.equal("no echo", poll(master, POLLIN, Some(SHORT)), Ok(0));
    [master, slave].into_iter().for_each(|fd| close(fd).expect("close"));
}

/// A child that leads a session with the slave as its terminal.
fn with_session(master: Fd, body: impl FnOnce(Fd) -> i32) -> Pid {
    sys::spawn(|| {
        sys::setsid().expect("a session");
        let slave = open_slave(master, O_RDWR).expect("a slave");
        close(master).expect("close");
        body(slave)
    })
    .expect("a child")
}

fn ended(child: Pid) -> Option<WaitStatus> {
    wait_for(child).ok()
}

fn keys(checks: &mut Checks) {
    // The slave side stays open: a master reads an error while nobody has it.
    let (master, slave) = pair();
    let waits = |slave: Fd| {
        write(slave, b".").expect("ready");
        read(slave, &mut [0; 8]).map_or(1, |_| 2)
    };
    let child = with_session(master, waits);
    checks.holds("a child has the terminal", reads(master, b"."));
    write(master, b"\x03").expect("keys");
    checks.equal("^C interrupts it", ended(child), Some(WaitStatus::Signaled(Signal::SIGINT)));
    checks.holds("and is echoed", reads(master, b"^C"));
    let child = with_session(master, waits);
    reads(master, b".");
    write(master, b"\x1c").expect("keys");
    checks.equal("^\\ is quit", ended(child), Some(WaitStatus::Signaled(Signal::SIGQUIT)));
    reads(master, b"^\\");
    let child = with_session(master, |slave| {
        let same = get(slave, TIOCGPGRP) == Ok(sys::getpgid(0).unwrap_or(0));
        let through_tty = sys::open(c"/dev/tty", O_RDWR).and_then(|tty| write(tty, b"tty"));
        let stranger =
            sys::spawn(|| i32::from(sys::setsid().is_err() || sys::open(c"/dev/tty", O_RDWR) != Err(Errno::ENXIO)));
        let stranger = stranger.and_then(wait_for);
        i32::from(!same || through_tty.is_err()) + 2 * i32::from(stranger != Ok(WaitStatus::Exited(0)))
    });
    checks.equal("/dev/tty is the own terminal, and no other session's", ended(child), Some(WaitStatus::Exited(0)));
    checks.holds("what is written there is shown", reads(master, b"tty"));
    checks.equal("who is in no session of it is told so", get(master, TIOCGPGRP), Err(Errno::ENOTTY));
    checks.equal("and cannot give it up", set(master, TIOCNOTTY, 0), Err(Errno::ENOTTY));
    [master, slave].into_iter().for_each(|fd| close(fd).expect("close"));
}

/// Waits until `child` is stopped; by which signal.
fn stopped_by(child: Pid) -> i32 {
    sys::wait4(child, WUNTRACED).map_or(0, |(_, status)| if status & 0xff == 0x7f { status >> 8 } else { -status })
}

fn jobs(checks: &mut Checks) {
    let (master, slave) = pair();
    let child = with_session(master, |slave| {
        let background = |body: &dyn Fn() -> i32| {
            sys::spawn(|| {
                sys::setpgid(0, 0).expect("a group");
                body()
            })
            .expect("a child")
        };
        let reader = background(&|| i32::from(read(slave, &mut [0; 8]) != Ok(3)));
        if stopped_by(reader) != 21 {
            return 1;
        }
        sys::ignore_signal(SIGTTOU, true).expect("ignore");
        if set(slave, TIOCSPGRP, reader).is_err() || sys::kill(reader, SIGCONT).is_err() {
            return 2;
        }
        write(slave, b".").expect("ready");
        if wait_for(reader) != Ok(WaitStatus::Exited(0)) {
            return 3;
        }
        let _ = set(slave, TIOCSPGRP, sys::getpid());
        let changer = background(&|| {
            sys::ignore_signal(SIGTTOU, false).expect("default");
            i32::from(change(slave, |_| {}).is_err())
        });
        if stopped_by(changer) != 22 || sys::wait4(changer, WNOHANG) != Ok((0, 0)) {
            return 4;
        }
        let _ = sys::kill(changer, 9);
        let _ = wait_for(changer);
        // Another session's leader cannot take it.
        let thief = sys::spawn(|| {
            i32::from(sys::setsid().is_err() || sys::ioctl_number(slave, TIOCSCTTY, 0) != Err(Errno::EPERM))
        });
        if thief.and_then(wait_for) != Ok(WaitStatus::Exited(0)) { 5 } else { 0 }
    });
    checks.holds("a reader in the background is stopped, and goes on in the foreground", reads(master, b"."));
    write(master, b"ok\r").expect("keys");
    checks.equal("so is who changes the terminal; nobody steals it", ended(child), Some(WaitStatus::Exited(0)));
    [master, slave].into_iter().for_each(|fd| close(fd).expect("close"));
}

fn hang_up(checks: &mut Checks) {
    let (master, slave) = pair();
    let child = with_session(master, |slave| {
        write(slave, b".").expect("ready");
        read(slave, &mut [0; 8]).map_or(1, |_| 2)
    });
    reads(master, b".");
    close(master).expect("close");
    checks.equal("the last close of the master hangs up", ended(child), Some(WaitStatus::Signaled(Signal::SIGHUP)));
    checks.equal("reads end", read(slave, &mut [0; 8]), Ok(0));
    checks.equal("writes fail", write(slave, b"x"), Err(Errno::EIO));
    checks.holds("poll tells", poll(slave, POLLIN, Some(0)).is_ok_and(|ready| ready & POLLHUP != 0));
    close(slave).expect("close");
    let (master, slave) = pair();
    close(slave).expect("close");
    checks.equal("a master whose terminal nobody has open reads EIO", read(master, &mut [0; 8]), Err(Errno::EIO));
    let again = open_slave(master, O_RDWR | O_NOCTTY | O_NONBLOCK).expect("a slave");
    checks.equal("until somebody opens it", poll(master, POLLIN, Some(0)), Ok(0));
    checks.equal("a read that would wait is EAGAIN", read(again, &mut [0; 8]), Err(Errno::EAGAIN));
    [master, again].into_iter().for_each(|fd| close(fd).expect("close"));
}
