//! Hostile: resource limits bind, and are raised by nobody who may not.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::*;
use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::sys::{self, AT_FDCWD, PAGE, Region, Rlimit, Start};
use veridian_userland::{driver, program};

program!(main);

const NONE: u64 = u64::MAX;
const USER: u32 = 1000;

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        Some("contained") => return contained(),
        Some("devices") => return devices(),
        Some("nodes") => return nodes(),
        Some("maker") => return maker(),
        _ => {}
    }
    if start.arg(1) == Some("inside") {
        return i32::from(sys::getrlimit(RLIMIT_NOFILE) != Ok(Rlimit { soft: 7, hard: 9 }));
    }
    let mut checks = Checks::new();
    enter_scratch();
    rules(&mut checks);
    descriptors(&mut checks);
    file_size(&mut checks);
    memory(&mut checks);
    processes(&mut checks);
    containers(&mut checks);
    checks.finish()
}

fn become_user() -> sys::Result {
    sys::setgroups(&[]).and(sys::setresgid(USER, USER, USER)).and(sys::setresuid(USER, USER, USER))
}

fn rules(checks: &mut Checks) {
    for kind in 0..RLIM_NLIMITS {
        checks.holds(
            format_args!("limit {kind} is there"),
            sys::getrlimit(kind).is_ok_and(|limit| limit.soft <= limit.hard),
        );
    }
    for kind in [RLIM_NLIMITS, u32::MAX] {
        checks.equal(format_args!("limit {kind} is EINVAL"), sys::getrlimit(kind), Err(Errno::EINVAL));
        checks.equal(format_args!("to set limit {kind} too"), sys::setrlimit(kind, 1, 1), Err(Errno::EINVAL));
    }
    checks.equal("a soft limit above the hard one is EINVAL", sys::setrlimit(RLIMIT_CORE, 2, 1), Err(Errno::EINVAL));
    checks.equal(
        "as many descriptors as one likes is EPERM",
        sys::setrlimit(RLIMIT_NOFILE, NONE, NONE),
        Err(Errno::EPERM),
    );
    checks.succeeds("a user lowers a limit for good", || {
        let lowered = become_user().and(sys::setrlimit(RLIMIT_CORE, 5, 10)).and(sys::setrlimit(RLIMIT_CORE, 10, 10));
        let raised = sys::setrlimit(RLIMIT_CORE, 10, 11);
        i32::from(lowered.is_err() || raised != Err(Errno::EPERM))
    });
    checks.succeeds("root raises it again", || {
        i32::from(sys::setrlimit(RLIMIT_CORE, 5, 10).and(sys::setrlimit(RLIMIT_CORE, 5, NONE)).is_err())
    });
    checks.succeeds("limits go on in children and their programs", || {
        let set = sys::setrlimit(RLIMIT_NOFILE, 7, 9);
        let child = in_child(|| {
            let error = sys::execve(c"/bin/limits", &[c"limits", c"inside"], &[]);
            100 + i32::from(error.get())
        });
        i32::from(set.is_err() || child != Ok(WaitStatus::Exited(0)))
    });
    let child = sys::spawn(|| {
        loop {
            let _ = sys::sleep(1_000_000_000);
        }
    });
    let child = child.expect("a child");
    checks.succeeds("a user does not change the limits of root's processes", || {
        i32::from(become_user().is_err() || sys::prlimit(child, RLIMIT_CPU, 1, 1) != Err(Errno::EPERM))
    });
    let before = sys::getrlimit(RLIMIT_CORE).expect("a limit");
    checks.equal("root does", sys::prlimit(child, RLIMIT_CORE, 1, 2), Ok(before));
    checks.equal("and finds them changed", sys::prlimit(child, RLIMIT_CORE, 1, 2), Ok(Rlimit { soft: 1, hard: 2 }));
    checks.equal("nobody's are ESRCH", sys::prlimit(0x3fff_fff0, RLIMIT_CORE, 1, 2), Err(Errno::ESRCH));
    let _ = sys::kill(child, SIGKILL);
    let _ = wait_for(child);
}

fn descriptors(checks: &mut Checks) {
    checks.succeeds("no descriptor is at the limit or beyond", || {
        let set = sys::setrlimit(RLIMIT_NOFILE, 5, 10);
        let opened = [sys::dup(1), sys::dup(1), sys::dup(1)];
        let full = [Ok(3), Ok(4), Err(Errno::EMFILE)];
        let others = sys::open(c"/dev/null", O_RDONLY) == Err(Errno::EMFILE)
            && sys::pipe(0).map(drop) == Err(Errno::EMFILE)
            && sys::dup3(1, 5, 0) == Err(Errno::EBADF)
            && sys::dup3(1, 4, 0) == Ok(4)
            && sys::fcntl(1, F_DUPFD, 5) == Err(Errno::EINVAL);
        i32::from(set.is_err() || opened != full || !others)
    });
    checks.succeeds("what is open beyond a lowered limit stays", || {
        let high = sys::dup3(1, 60, 0);
        let lowered = sys::setrlimit(RLIMIT_NOFILE, 4, 10);
        i32::from(high != Ok(60) || lowered.is_err() || sys::fcntl(60, F_GETFD, 0).is_err() || sys::close(60).is_err())
    });
}

fn file_size(checks: &mut Checks) {
    const XFSZ: WaitStatus = match Signal::new(SIGXFSZ) {
        Some(signal) => WaitStatus::Signaled(signal),
        None => unreachable!(),
    };
    make_file(c"grown", 0o644, &[b'x'; 90]).expect("a file");
    let limited = |body: &dyn Fn(sys::Fd) -> i32, deaf: bool| {
        in_child(|| {
            if deaf && sys::ignore_signal(SIGXFSZ, true).is_err() {
                return 100;
            }
            let file = sys::openat(AT_FDCWD, c"grown", O_WRONLY, 0);
            let (Ok(file), Ok(())) = (file, sys::setrlimit(RLIMIT_FSIZE, 100, 100)) else { return 101 };
            body(file)
        })
    };
    let done = Ok(WaitStatus::Exited(0));
    let begun = limited(&|file| i32::from(sys::pwrite(file, &[b'y'; 50], 80) != Ok(20)), false);
    checks.equal("a write ends at the limit", begun, done);
    let beyond = limited(&|file| i32::from(sys::pwrite(file, b"y", 100) != Err(Errno::EFBIG)), true);
    checks.equal("a write behind it is EFBIG", beyond, done);
    let killed = limited(&|file| sys::pwrite(file, b"y", 100).map_or(0, |_| 1), false);
    checks.equal("and SIGXFSZ", killed, Ok(XFSZ));
    let cut = limited(&|file| i32::from(sys::ftruncate(file, 101) != Err(Errno::EFBIG)), true);
    checks.equal("so is a file made longer", cut, done);
    let by_path = limited(&|_| i32::from(sys::truncate(c"grown", 101) != Err(Errno::EFBIG)), true);
    checks.equal("by its path too", by_path, done);
    let appended = limited(
        &|_| {
            let Ok(file) = sys::openat(AT_FDCWD, c"grown", O_WRONLY | O_APPEND, 0) else { return 102 };
            let first = sys::write(file, &[b'z'; 64]);
            let second = sys::write(file, b"z");
            i32::from(first != Err(Errno::EFBIG) || second != Err(Errno::EFBIG))
        },
        true,
    );
    checks.equal("and one that is appended to", appended, done);
    let size = sys::fstatat(AT_FDCWD, c"grown", 0).map(|found| found.st_size);
    checks.equal("the file is as long as the limit", size, Ok(100));
    checks.succeeds("a pipe has no size", || {
        let (Ok((_, to)), Ok(())) = (sys::pipe(0), sys::setrlimit(RLIMIT_FSIZE, 0, 0)) else { return 100 };
        i32::from(sys::write(to, b"x") != Ok(1))
    });
}

fn memory(checks: &mut Checks) {
    const PLENTY: u64 = 64 << 20;
    checks.succeeds("RLIMIT_AS bounds all mappings", || {
        let set = sys::setrlimit(RLIMIT_AS, PLENTY, PLENTY);
        let most = Region::map(PLENTY as usize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, None).map(drop);
        let some = Region::anonymous(PAGE);
        i32::from(set.is_err() || most != Err(Errno::ENOMEM) || some.is_err())
    });
    checks.succeeds("RLIMIT_DATA bounds what is the program's to write", || {
        // One page less than is asked for: a program may have no data of its own yet.
        let set = sys::setrlimit(RLIMIT_DATA, PLENTY - PAGE as u64, PLENTY);
        let map = |protection| Region::map(PLENTY as usize, protection, MAP_PRIVATE | MAP_ANONYMOUS, None);
        let writable = map(PROT_READ | PROT_WRITE).map(drop);
        let readable = map(PROT_READ);
        let later = readable.as_ref().map(|region| region.protect(0, PLENTY as usize, PROT_READ | PROT_WRITE));
        let heap = Region::brk(PLENTY as usize).map(drop);
        let later_refused = later == Ok(Err(Errno::ENOMEM));
        i32::from(set.is_err() || writable != Err(Errno::ENOMEM) || !later_refused || heap.is_ok())
            | i32::from(Region::anonymous(PAGE).is_err()) << 1
    });
    checks.segfaults("RLIMIT_STACK bounds the stack", || {
        let _ = sys::setrlimit(RLIMIT_STACK, 128 << 10, NONE);
        if use_stack(96) == 0 {
            sys::exit(1);
        }
        use_stack(160);
    });
}

/// Uses this many KiB of stack.
fn use_stack(kib: usize) -> usize {
    let block = [kib as u8; 1024];
    let deeper = if kib == 0 { 1 } else { use_stack(kib - 1) };
    deeper + usize::from(core::hint::black_box(&block)[kib % 1024])
}

fn processes(checks: &mut Checks) {
    checks.succeeds("RLIMIT_NPROC bounds a user's processes", || {
        let set = sys::setrlimit(RLIMIT_NPROC, 2, 2).and(become_user());
        let first = sys::spawn(|| 0);
        let second = sys::fork();
        let Ok(child) = first else { return 100 };
        let waited = wait_for(child);
        let third = in_child(|| 0);
        let done = Ok(WaitStatus::Exited(0));
        i32::from(set.is_err() || second != Err(Errno::EAGAIN) || waited != done || third != done)
    });
    checks.succeeds("but not root's", || {
        let set = sys::setrlimit(RLIMIT_NPROC, 0, 0);
        i32::from(set.is_err() || in_child(|| 0) != Ok(WaitStatus::Exited(0)))
    });
    checks.succeeds("who becomes a user with too many runs no further program", || {
        let set = sys::setrlimit(RLIMIT_NPROC, 0, 0).and(become_user());
        i32::from(set.is_err() || sys::execve(c"/bin/hello", &[c"hello"], &[]) != Errno::EAGAIN)
    });
}

fn containers(checks: &mut Checks) {
    let end =
        |more: &str, arguments: &[&str]| driver::run("limited", &driver::config(more, arguments)).map(|end| end.status);
    let done = Ok(WaitStatus::Exited(0));
    let more =
        "rlimit=nofile:7:9\nrlimit=fsize:4096:max\numask=077\nadditional_gid=77\nadditional_gid=5\nprocess_gid=9\n";
    let found = end(more, &["/bin/limits", "contained"]);
    checks.equal("a container has the limits, groups and mask of its configuration", found, done);
    checks.equal("and the caller does not", sys::getrlimit(RLIMIT_FSIZE), Ok(Rlimit { soft: NONE, hard: NONE }));
    let rules = "device_rule=deny:a:*:*:rwm\ndevice_rule=allow:c:1:3:rw\ndevice_rule=allow:c:1:5:r\ndevice_rule=allow:c:1:9:m\n";
    checks.equal("devices are used by its rules alone", end(rules, &["/bin/limits", "devices"]), done);
    let nodes = "device=/dev/nothing:c:1:3\ndevice=/dev/null:c:1:3\ndevice=/tmp/a/b/disk:b:8:0:600:7:8\n\
        device=/made:p:4755:1000:1000\n";
    checks.equal("nodes of a configuration are made as it says", end(nodes, &["/bin/limits", "nodes"]), done);
    checks.equal("and go with the container", sys::access(c"/bundle/rootfs/made", 0), Err(Errno::ENOENT));
    for (what, node, errno) in [
        ("a node in the place of another", "device=/dev/null:c:1:5\n", Errno::EEXIST),
        ("a node in the place of a program", "device=/new:p\ndevice=/bin/limits:c:1:3\n", Errno::EEXIST),
        ("a node below a program", "device=/new:p\ndevice=/bin/limits/node:c:1:3\n", Errno::ENOTDIR),
    ] {
        let made = driver::create("noded", &driver::config(node, &["/bin/hello"]), CreateFlags::empty());
        checks.equal(what, made.map_err(|(errno, _)| errno), Err(errno));
    }
    checks.equal("nothing is left of a refused container", sys::access(c"/bundle/rootfs/new", 0), Err(Errno::ENOENT));
    let inner = "capability=default\ncapability=CAP_SYS_ADMIN\nmount=/bundle:bind:/bundle\n";
    checks.equal("a creator makes what he may make", end(inner, &["/bin/limits", "maker"]), done);
}

/// In a container that may make containers, and devices by the rules of the default.
fn maker() -> i32 {
    let mut checks = Checks::new();
    let made =
        |node: &str| driver::run("inner", &driver::config(node, &["/bin/worker", "exit", "3"])).map(|end| end.status);
    checks.equal("a node", made("device=/dev/nothing:c:1:3\n"), Ok(WaitStatus::Exited(3)));
    checks.succeeds("none without CAP_MKNOD", || {
        let caps = sys::capget(0);
        let Ok(mut sets) = caps else { return 2 };
        sets.effective &= !(1 << CAP_MKNOD);
        i32::from(sys::capset(0, sets).is_err() || made("device=/dev/nothing:c:1:3\n") != Err(Errno::EPERM))
    });
    checks.finish()
}

/// In a container with nodes.
fn nodes() -> i32 {
    let mut checks = Checks::new();
    let look = |path| sys::fstatat(AT_FDCWD, path, 0).map(|s| (s.st_mode, s.st_rdev, s.st_uid, s.st_gid));
    checks.equal("a character device", look(c"/dev/nothing"), Ok((S_IFCHR | 0o666, 1 << 8 | 3, 0, 0)));
    checks.equal("which works", sys::open(c"/dev/nothing", O_RDWR).and_then(sys::close), Ok(()));
    checks.equal("a block device", look(c"/tmp/a/b/disk"), Ok((S_IFBLK | 0o600, 8 << 8, 7, 8)));
    checks.equal("which the rules of devices keep closed", sys::open(c"/tmp/a/b/disk", O_RDONLY), Err(Errno::EPERM));
    checks.equal("a pipe", look(c"/made"), Ok((S_IFIFO | 0o4755, 0, 1000, 1000)));
    checks.finish()
}

/// In a container with limits of its own.
fn contained() -> i32 {
    let mut checks = Checks::new();
    checks.equal("nofile", sys::getrlimit(RLIMIT_NOFILE), Ok(Rlimit { soft: 7, hard: 9 }));
    checks.equal("fsize", sys::getrlimit(RLIMIT_FSIZE), Ok(Rlimit { soft: 4096, hard: NONE }));
    checks.equal("mask", sys::umask(0), 0o077);
    let mut groups = [0; 4];
    let count = sys::getgroups(&mut groups);
    checks.equal("groups", (count, groups), (Ok(2), [5, 77, 0, 0]));
    checks.finish()
}

/// In a container that may read and write null, read zero, and make nodes of urandom.
fn devices() -> i32 {
    let mut checks = Checks::new();
    let open = |path, flags| sys::open(path, flags).and_then(sys::close);
    let refused = Err(Errno::EPERM);
    checks.equal("null to read and write", open(c"/dev/null", O_RDWR), Ok(()));
    checks.equal("zero to read", open(c"/dev/zero", O_RDONLY), Ok(()));
    checks.equal("zero to write", [open(c"/dev/zero", O_WRONLY), open(c"/dev/zero", O_RDWR)], [refused; 2]);
    checks.equal("urandom", open(c"/dev/urandom", O_RDONLY), refused);
    checks.equal("full", open(c"/dev/full", O_RDONLY), refused);
    let node = |path, major: u32, minor: u32| sys::mknod(path, S_IFCHR | 0o666, major << 8 | minor);
    checks.equal("a node of urandom", node(c"/tmp/random", 1, 9), Ok(()));
    checks.equal("which still cannot be opened", open(c"/tmp/random", O_RDONLY), refused);
    checks.equal("a node of null", node(c"/tmp/null", 1, 3), refused);
    checks.equal("a block device", sys::mknod(c"/tmp/disk", S_IFBLK | 0o666, 0x800), refused);
    checks.finish()
}
