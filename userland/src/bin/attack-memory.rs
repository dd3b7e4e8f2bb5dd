//! Driver: attacks on memory that is shared because nobody may write it: races of copy-on-write (CVE-2016-5195), a pipe
//! that holds a file's page (CVE-2022-0847), `/proc/self/mem`; and on memory that others have left. It runs itself
//! inside, as `attack-memory WORD`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{
    __NR_read, __NR_sendfile, __NR_splice, __NR_tee, __NR_vmsplice, MADV_DONTNEED, MAP_ANONYMOUS, MAP_PRIVATE,
    MAP_SHARED, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, PROT_READ, PROT_WRITE,
};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, make_file, wait_for};
use veridian_userland::sys::{self, AT_FDCWD, Fd, PAGE, RawArg, Region, Start};
use veridian_userland::world::{await_file, exists, names, sum};
use veridian_userland::{driver, program};

program!(main);

/// Pages of the file that is attacked.
const PAGES: usize = 8;
const SIZE: usize = PAGES * PAGE;
/// Bytes that somebody leaves behind.
const LEFT: usize = 3 << 20;
const SECRET: u8 = 0xa7;
const TARGET: &core::ffi::CStr = c"/v/target";

/// How attackers see the file, and what that does not let them do.
const ATTACKERS: [(&str, &str); 3] = [
    ("through a read-only mount", "mount=/v:bind:/tmp/v:ro\n"),
    ("as a user who may only read", "mount=/v:bind:/tmp/v\nprocess_uid=1000\nprocess_gid=1000\n"),
    ("as a lower layer", "mount=/v:overlay:o:lowerdir=/tmp/v,upperdir=/tmp/upper,workdir=/tmp/work\n"),
];

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        None => {}
        Some("write") => return write(start.arg(2) == Some("as a lower layer")),
        Some("watch") => return watch(),
        Some("leave") => return leave(),
        Some("look") => return look(),
        Some(word) => panic!("no attack {word}"),
    }
    let mut checks = Checks::new();
    enter_scratch();
    for directory in [c"v", c"w", c"upper", c"work"] {
        sys::mkdir(directory, 0o777).expect("a directory");
    }
    let content: [u8; SIZE] = core::array::from_fn(byte);
    make_file(c"v/target", 0o444, &content).expect("a file");
    let before = (sum(c"v/target"), programs());
    let watching = "mount=/v:bind:/tmp/v:ro\nmount=/w:bind:/tmp/w\n";
    let watching = driver::config(watching, &["/bin/attack-memory", "watch"]);
    let watcher = driver::create("watcher", &watching, CreateFlags::empty()).expect("a container");
    checks.equal("a neighbour has the file mapped", sys::container_start(watcher), Ok(()));
    await_file(c"w/ready");
    for (how, lines) in ATTACKERS {
        let end = driver::run("attacker", &driver::config(lines, &["/bin/attack-memory", "write", how]));
        checks.equal(format_args!("nobody writes it {how}"), end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
        checks.equal("not a bit of it has changed", (sum(c"v/target"), programs()), before);
    }
    make_file(c"w/stop", 0o644, b"").expect("a file");
    let end = driver::wait(watcher).map(|end| end.status);
    checks.equal("nor did the neighbour ever see another", end, Ok(WaitStatus::Exited(0)));
    checks.equal("the neighbour goes", driver::delete(watcher), Ok(()));
    for word in ["leave", "look", "leave", "look"] {
        let end = driver::run(word, &driver::config("memory_limit=24M\n", &["/bin/attack-memory", word]));
        checks.equal(
            format_args!("secrets are left, then looked for: {word}"),
            end.map(|end| end.status),
            Ok(WaitStatus::Exited(0)),
        );
    }
    checks.equal("no container is left", driver::count(), Ok(0));
    checks.finish()
}

/// Byte `at` of the file.
fn byte(at: usize) -> u8 {
    (at / PAGE * 31 + at % 251) as u8
}

/// A sum of the programs that all containers share.
fn programs() -> u64 {
    let mut all = 0_u64;
    sys::chdir(c"/bundle/rootfs/bin").expect("a directory");
    names(c".", |name| all = all.wrapping_add(sum(name).map_or(0, |(_, hash)| hash))).expect("listed");
    sys::chdir(c"/tmp").expect("a directory");
    all
}

/// Whether the file is as it was made, by a read and not by a mapping.
fn intact() -> bool {
    let Ok(file) = sys::open(TARGET, O_RDONLY) else { return false };
    let mut block = [0; PAGE];
    let same = (0..PAGES).all(|page| {
        sys::read(file, &mut block) == Ok(PAGE)
            && block.iter().enumerate().all(|(at, &found)| found == byte(page * PAGE + at))
    });
    sys::close(file).is_ok() && same
}

fn shows(region: &Region) -> bool {
    (0..SIZE).step_by(97).all(|at| region.get(at) == byte(at))
}

/// Inside the neighbour: looks at the file, by mappings and by reads, until it is told to stop.
fn watch() -> i32 {
    let file = sys::open(TARGET, O_RDONLY).expect("the file");
    let shared = Region::map(SIZE, PROT_READ, MAP_SHARED, Some(file)).expect("a mapping");
    let private = Region::map(SIZE, PROT_READ, MAP_PRIVATE, Some(file)).expect("a mapping");
    make_file(c"/w/ready", 0o644, b"").expect("a file");
    while !exists(c"/w/stop") {
        if !(shows(&shared) && shows(&private) && intact()) {
            return 1;
        }
        sys::sched_yield();
    }
    0
}

/// Inside an attacker's container. `copies`: a write is allowed, and goes to a copy.
fn write(copies: bool) -> i32 {
    let mut checks = Checks::new();
    let file = sys::open(TARGET, O_RDONLY).expect("the file");
    mappings(&mut checks, file);
    checks.holds("the file is intact after mappings", intact());
    copy_on_write(&mut checks, file);
    checks.holds("after races of copy-on-write", intact());
    pipes(&mut checks, file);
    checks.holds("after a pipe that had its pages", intact());
    own_memory(&mut checks, file);
    checks.holds("after writes to the own memory", intact());
    own_program(&mut checks);
    names_and_sizes(&mut checks, file, copies);
    checks.finish()
}

/// A file that is open for reading is mapped for writing by nobody.
fn mappings(checks: &mut Checks, file: Fd) {
    let both = PROT_READ | PROT_WRITE;
    let shared = Region::map(SIZE, both, MAP_SHARED, Some(file)).map(drop);
    checks.equal("a shared mapping to write is EACCES", shared, Err(Errno::EACCES));
    let shared = Region::map(SIZE, PROT_READ, MAP_SHARED, Some(file)).expect("a mapping");
    checks.equal("one to read does not become one", shared.protect(0, SIZE, both), Err(Errno::EACCES));
    checks.equal("not a page of it", shared.protect(PAGE, PAGE, PROT_WRITE), Err(Errno::EACCES));
    let (from, to) = sys::pipe(0).expect("a pipe");
    sys::write(to, &[SECRET; 64]).expect("written");
    let answer = read_into(from, &shared, 0, 64);
    checks.equal("the kernel writes to it for nobody", answer, Err(Errno::EFAULT));
    checks.segfaults("a write is SIGSEGV", || shared.set(0, SECRET));
    let private = Region::map(SIZE, PROT_READ, MAP_PRIVATE, Some(file)).expect("a mapping");
    checks.equal("nor to a private one to read", read_into(from, &private, 0, 64), Err(Errno::EFAULT));
    sys::close(from).and(sys::close(to)).expect("close");
    shared.unmap(0, SIZE).and(private.unmap(0, SIZE)).expect("unmap");
}

fn read_into(fd: Fd, region: &Region, offset: usize, length: usize) -> sys::Result<usize> {
    sys::raw_call(
        __NR_read,
        &[RawArg::Number(fd.into()), RawArg::Region(region, offset), RawArg::Number(length as i64)],
    )
}

/// Writes to private pages, by the program and by the kernel, and throws them away, in processes that share them.
fn copy_on_write(checks: &mut Checks, file: Fd) {
    const ROUNDS: usize = 60;
    let private = Region::map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, Some(file)).expect("a mapping");
    let (from, to) = sys::pipe(0).expect("a pipe");
    let race = |seed: usize| {
        for round in 0..ROUNDS {
            let page = (seed + round) % PAGES * PAGE;
            private.set(page, SECRET);
            private.fill(page + 8, &[SECRET; 16]);
            let given = sys::write(to, &[SECRET; 64]).and_then(|_| read_into(from, &private, page + 64, 64));
            if given != Ok(64) || private.get(page) != SECRET || private.get(page + 127) != SECRET {
                return 1;
            }
            if private.advise(page, PAGE, MADV_DONTNEED).is_err() || private.get(page) != byte(page) {
                return 2;
            }
            // Read, thrown away, and written by the kernel before anyone has touched it again.
            let _ = private.advise(page, PAGE, MADV_DONTNEED);
            let given = sys::write(to, &[SECRET; 64]).and_then(|_| read_into(from, &private, page, 64));
            if given != Ok(64) || private.advise(0, SIZE, MADV_DONTNEED).is_err() || !shows(&private) {
                return 3;
            }
        }
        0
    };
    let children = [0, 1, 2].map(|seed| sys::spawn(|| race(seed)).expect("a child"));
    let own = race(3);
    let ends = children.map(wait_for);
    checks.equal("private pages are each process's own", (own, ends), (0, [Ok(WaitStatus::Exited(0)); 3]));
    sys::close(from).and(sys::close(to)).expect("close");
    private.unmap(0, SIZE).expect("unmap");
}

/// What is written to a pipe after a file's bytes were sent there does not end in the file.
fn pipes(checks: &mut Checks, file: Fd) {
    let mut drained = [0; 4096];
    let number = |number: i64| RawArg::Number(number);
    let calls = [("splice", __NR_splice), ("sendfile", __NR_sendfile), ("tee", __NR_tee), ("vmsplice", __NR_vmsplice)];
    for (name, call) in calls {
        let (from, to) = sys::pipe(O_NONBLOCK).expect("a pipe");
        // Every buffer of the pipe was written once: the mark that stays is what the attack needs.
        while sys::write(to, &[SECRET; 4096]).is_ok() {}
        while sys::read(from, &mut drained).is_ok_and(|count| count > 0) {}
        sys::lseek(file, 0, 0).expect("seek");
        let region = Region::anonymous(PAGE).expect("memory");
        let (file_in, pipe_out) = (number(file.into()), number(to.into()));
        let arguments: &[_] = match name {
            "splice" => &[file_in, number(0), pipe_out, number(0), number(1), number(0)],
            "sendfile" => &[pipe_out, file_in, number(0), number(1)],
            "tee" => &[number(from.into()), pipe_out, number(1), number(0)],
            _ => &[pipe_out, RawArg::Region(&region, 0), number(0), number(0)],
        };
        let answer = sys::raw_call(call, arguments);
        let sane = matches!(answer, Ok(0 | 1) | Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM | Errno::EAGAIN));
        checks.holds(format_args!("{name} to a pipe: {answer:?}"), sane);
        checks.equal("written after it", sys::write(to, &[SECRET; 4000]), Ok(4000));
        if name == "sendfile" {
            let read = sys::read(from, &mut drained).map(|count| (count, drained[0], drained[1]));
            checks.equal("the pipe has both, in order", read, Ok((4001, byte(0), SECRET)));
        }
        checks.holds("the file has nothing of it", intact());
        region.unmap(0, PAGE).and(sys::close(from)).and(sys::close(to)).expect("close");
    }
}

/// `/proc/self/mem`, and a file that is sent to itself.
fn own_memory(checks: &mut Checks, file: Fd) {
    let shared = Region::map(SIZE, PROT_READ, MAP_SHARED, Some(file)).expect("a mapping");
    let private = Region::map(SIZE, PROT_READ, MAP_PRIVATE, Some(file)).expect("a mapping");
    for path in [c"/proc/self/mem", c"/proc/1/mem", c"/proc/thread-self/mem"] {
        let Ok(memory) = sys::open(path, O_RDWR) else { continue };
        for region in [&shared, &private] {
            // It may be allowed for a private page, which then is a copy.
            let _ = sys::pwrite(memory, &[SECRET; 64], region.address(0) as i64);
        }
        sys::close(memory).expect("close");
    }
    checks.equal("what is mapped to share shows the file", shows(&shared), true);
    let unchanged = sys::pwrite(file, &[SECRET; 16], 0);
    checks.equal("a descriptor to read takes no write", unchanged, Err(Errno::EBADF));
    let itself = [file, file].map(|fd| RawArg::Number(fd.into()));
    let sent = sys::raw_call(__NR_sendfile, &[itself[0], itself[1], RawArg::Number(0), RawArg::Number(64)]);
    checks.holds("nor what is sent to it", sent.is_err());
    shared.unmap(0, SIZE).and(private.unmap(0, SIZE)).expect("unmap");
}

/// The program's own file, whose pages run in other containers too.
fn own_program(checks: &mut Checks) {
    let file = sys::open(c"/bin/worker", O_RDONLY).expect("a program");
    let private = Region::map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, Some(file)).expect("a mapping");
    (0..4 * PAGE).for_each(|at| private.set(at, SECRET));
    checks.ends("a program that was overwritten in a private mapping runs as before", WaitStatus::Exited(7), || {
        i32::from(sys::execve(c"/bin/worker", &[c"worker", c"exit", c"7"], &[]).get())
    });
    private.unmap(0, 4 * PAGE).and(sys::close(file)).expect("close");
}

/// The file cannot be opened to write, cut or changed in any other way; where it is a lower layer that makes a copy.
fn names_and_sizes(checks: &mut Checks, file: Fd, copies: bool) {
    checks.holds("ftruncate of what is open to read is refused", sys::ftruncate(file, 0).is_err());
    let opened = sys::open(TARGET, O_RDWR);
    checks.equal("it is opened to write only where that copies it", opened.is_ok(), copies);
    if let Ok(copy) = opened {
        let mapped = Region::map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, Some(copy)).expect("a mapping");
        mapped.set(0, SECRET);
        checks.equal("the copy is written", sys::pwrite(copy, &[SECRET; 16], 16), Ok(16));
        checks.holds("and cut", sys::ftruncate(copy, 8).is_ok() && !intact());
        return;
    }
    checks.holds(
        "nor cut by its name",
        sys::truncate(TARGET, 0).is_err() && sys::open(TARGET, O_WRONLY | O_TRUNC).is_err(),
    );
    checks.holds("its mode stays", sys::chmod(TARGET, 0o666).is_err());
    checks.holds("and its owner", sys::chown(TARGET, 1000, 1000).is_err());
    checks.holds("and its attributes", sys::setxattr(TARGET, c"user.a", b"x", 0).is_err());
    checks.holds(
        "and it is still there",
        sys::fstatat(AT_FDCWD, TARGET, 0).is_ok_and(|found| found.st_size as usize == SIZE),
    );
    checks.holds("and whole", intact());
}

/// Inside: leaves secrets in all kinds of memory.
fn leave() -> i32 {
    let memory = Region::anonymous(LEFT).expect("memory");
    (0..LEFT).step_by(64).for_each(|at| memory.set(at, SECRET));
    let file = sys::openat(AT_FDCWD, c"/tmp/secrets", O_CREAT | O_RDWR, 0o600).expect("a file");
    for _ in 0..LEFT / 4096 {
        sys::write(file, &[SECRET; 4096]).expect("written");
    }
    let (_, to) = sys::pipe(O_NONBLOCK).expect("a pipe");
    while sys::write(to, &[SECRET; 4096]).is_ok() {}
    0
}

/// Inside another: looks for them in all kinds of fresh memory.
fn look() -> i32 {
    let clean = |region: &Region| (0..region.len()).step_by(32).all(|at| region.get(at) == 0);
    let private = Region::anonymous(2 * LEFT).expect("memory");
    let shared = Region::map(LEFT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, None).expect("memory");
    let heap = Region::brk(LEFT).expect("memory");
    let file = sys::openat(AT_FDCWD, c"/tmp/hole", O_CREAT | O_RDWR, 0o600).expect("a file");
    sys::ftruncate(file, LEFT as i64).expect("a hole");
    sys::pwrite(file, b"x", LEFT as i64 - 1).expect("a page");
    let hole = Region::map(LEFT, PROT_READ | PROT_WRITE, MAP_SHARED, Some(file)).expect("a mapping");
    hole.set(LEFT - 1, 0);
    i32::from(!clean(&private))
        + 2 * i32::from(!clean(&shared))
        + 4 * i32::from(!clean(&heap))
        + 8 * i32::from(!clean(&hole))
}
