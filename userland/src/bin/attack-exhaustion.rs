//! Driver: attacks on what there is only so much of. In containers with small limits everything is taken that a program
//! can take until it is refused or the container is killed for its memory. A neighbour keeps its pace all the while, and
//! when a container is gone, so is all that it took. It runs itself inside, as `attack-exhaustion WORD`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::ffi::CString;
use alloc::{vec, vec::Vec};
use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, F_SETFL, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MS_BIND, MS_REC,
    O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE, SIGKILL,
};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_containers::seccomp::bpf::{Instruction, RETURN, verdict};
use veridian_containers::{Signal, Status};
use veridian_userland::check::{Checks, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::sys::{self, AT_FDCWD, PAGE, RawArg, Region, Start};
use veridian_userland::world::{RIGHTS, await_file, c_str, exists, settled, world};
use veridian_userland::{driver, groups, println, program, text};

program!(main);

/// Processes that take at the same time.
const CROWD: usize = 6;
/// The longest time, in nanoseconds, that the neighbour may have had to wait for its turn. A busy host counts too.
const PAUSE_MAX: u64 = 5_000_000_000;
const STREAM: u32 = 1;

/// Takes until it is refused: how often it was not, and the refusal.
type Hog = fn() -> (u32, Errno);

/// Each with its container's memory in MiB, further lines of configuration, what it does, and the refusals that are a limit's.
const HOGS: &[(&str, u64, &str, Hog, &[Errno])] = &[
    ("descriptors", 6, "", descriptors, &[Errno::EMFILE, Errno::ENOMEM]),
    ("open-files", 6, "", || crowd(open_files), &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM]),
    ("proc-files", 3, "mount=/proc:proc:proc\n", || crowd(proc_files), &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM]),
    ("pipes", 6, "", pipes, &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM]),
    ("sockets", 6, "", sockets, &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS]),
    ("epolls", 6, "", || crowd(epolls), &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOSPC]),
    (
        "connections",
        6,
        "namespace=network\n",
        connections,
        &[Errno::EAGAIN, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS, Errno::ECONNREFUSED],
    ),
    ("datagrams", 6, "namespace=network\n", datagrams, &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS]),
    ("files-under-way", 6, "", files_under_way, &[Errno::EAGAIN, Errno::ETOOMANYREFS, Errno::ENOMEM, Errno::ENOBUFS]),
    ("files", 2, "", files, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("links", 2, "", links, &[Errno::EMLINK, Errno::ENOSPC, Errno::ENOMEM]),
    ("symlinks", 6, "", symlinks, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("attributes", 6, "", attributes, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("deep-directories", 6, "", deep_directories, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("mounts", 6, RIGHTS[1].1, mounts, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("mount-bomb", 6, RIGHTS[1].1, mount_bomb, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("groups", 3, RIGHTS[1].1, wide_groups, &[Errno::ENOSPC, Errno::ENOMEM, Errno::EAGAIN]),
    ("pid-namespaces", 6, RIGHTS[1].1, pid_namespaces, &[Errno::ENOSPC, Errno::ENOMEM, Errno::EAGAIN]),
    ("user-namespaces", 6, RIGHTS[2].1, user_namespaces, &[Errno::ENOSPC, Errno::ENOMEM, Errno::EUSERS]),
    ("areas", 1, "", areas, &[Errno::ENOMEM]),
    ("page-tables", 6, "", page_tables, &[Errno::ENOMEM]),
    ("address-space", 6, "", address_space, &[Errno::ENOMEM]),
    ("arguments", 6, "", arguments, &[Errno::E2BIG, Errno::ENOMEM]),
    ("filters", 6, "", filters, &[Errno::ENOMEM]),
    ("identities", 6, RIGHTS[1].1, identities, &[Errno::ENOMEM]),
    ("shared-memory", 6, "namespace=ipc\n", shared_memory, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("semaphores", 6, "namespace=ipc\n", semaphores, &[Errno::ENOSPC, Errno::ENOMEM]),
    ("messages", 2, "namespace=ipc\n", messages, &[Errno::ENOSPC, Errno::ENOMEM, Errno::EAGAIN]),
    ("posix-queues", 6, "namespace=ipc\n", posix_queues, &[Errno::ENOSPC, Errno::ENOMEM, Errno::EMFILE]),
    (
        "terminals",
        6,
        "mount=/dev/pts:devpts:devpts\n",
        terminals,
        &[Errno::EMFILE, Errno::ENOSPC, Errno::ENOMEM, Errno::EIO],
    ),
    ("polls", 6, "", || crowd(polls), &[Errno::EINVAL, Errno::ENOMEM, Errno::EAGAIN]),
    (
        "containers",
        6,
        "capability=all\nmount=/bundle:bind:/bundle\n",
        containers,
        &[Errno::ENOMEM, Errno::EAGAIN, Errno::ENOSPC],
    ),
];

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        None => {}
        Some("neighbour") => return neighbour(),
        Some("everything") => return everything(),
        Some(hog) => return take(hog),
    }
    let only = start.var("only");
    let mut checks = Checks::new();
    enter_scratch();
    sys::mkdir(c"v", 0o777).expect("a directory");
    let config = driver::config("mount=/v:bind:/tmp/v\nmemory_limit=4M\n", &["/bin/attack-exhaustion", "neighbour"]);
    let neighbour = driver::create("neighbour", &config, CreateFlags::empty()).expect("a neighbour");
    checks.equal("a neighbour works", sys::container_start(neighbour), Ok(()));
    await_file(c"v/ready");
    documents(&mut checks);
    for (name, limit, lines, ..) in HOGS.iter().filter(|(name, ..)| only.is_none_or(|only| only == *name)) {
        let lines = text!(512, "memory_limit={limit}M\npids_limit=32\n{lines}");
        let config = driver::config(&lines, &["/bin/attack-exhaustion", name]);
        let mut rounds = 0;
        // The kernel's heap may grow, and keeps that for the next: once it has enough, all is back each time.
        let (before, after) = loop {
            let before = world();
            if let Some(end) = checks.value(format_args!("{name} live in a container"), driver::run(name, &config)) {
                let stopped = end.status == WaitStatus::Exited(0) || end.oom;
                checks.holds(format_args!("{name} end at a limit: {}", end.status), stopped);
                checks.holds(format_args!("within memory: {}", end.memory_peak), end.memory_peak <= limit << 20);
            }
            rounds += 1;
            let after = settled(before);
            if after == before || rounds == 4 {
                break (before, after);
            }
        };
        checks.equal("all memory is back, and no process is left", after, before);
        checks.equal("the neighbour runs", driver::status("neighbour"), Some(Status::Running));
    }
    whole_machine(&mut checks);
    make_file(c"v/stop", 0o644, b"").expect("a file");
    let end = driver::wait(neighbour).map(|end| end.status);
    checks.equal("the neighbour has kept its pace", end, Ok(WaitStatus::Exited(0)));
    checks.equal("it goes", driver::delete(neighbour), Ok(()));
    checks.equal("nothing is left", driver::count(), Ok(0));
    checks.finish()
}

/// A container without a limit takes all memory that the machine has: it is killed, and nobody else.
fn whole_machine(checks: &mut Checks) {
    let before = world();
    let end = driver::run("everything", &driver::config("", &["/bin/attack-exhaustion", "everything"]));
    let killed = Ok(WaitStatus::Signaled(Signal::SIGKILL));
    checks.equal("who takes the whole machine is killed for it", end.map(|end| end.status), killed);
    checks.equal("all memory is back then too", settled(before), before);
    checks.equal("and the neighbour runs", driver::status("neighbour"), Some(Status::Running));
}

/// Inside: takes all memory, and has the kernel copy much on top of it.
fn everything() -> i32 {
    let arguments = vec![CString::new(vec![b'x'; 100 << 10]).expect("no NUL"); 18];
    let take = || {
        loop {
            let Ok(region) = Region::anonymous(4 << 20) else { continue };
            (0..region.len()).step_by(PAGE).for_each(|at| region.set(at, 1));
            let _ = sys::execve_lists(c"/bin/missing", &arguments, &arguments[..1]);
        }
    };
    for _ in 0..3 {
        // A refusal is as good.
        let _ = sys::spawn(take);
    }
    take()
}

/// Documents that are too large, and such as are only deep.
fn documents(checks: &mut Checks) {
    let large = sys::buffer(600 << 10).expect("memory");
    refuse(checks, large);
    let before = world();
    refuse(checks, large);
    checks.equal("nothing remains of them", settled(before), before);
}

fn refuse(checks: &mut Checks, large: &mut [u8]) {
    let create = |text: &[u8]| {
        let made = sys::container_create(text, b"large", AT_FDCWD, CreateFlags::empty(), &mut [0; 256]);
        made.map(drop).map_err(|(errno, _)| errno)
    };
    for (kind, first, rest, length) in [
        ("lines", b'#', b'x', 65 << 10),
        ("empty lines", b'\n', b'\n', 600 << 10),
        ("one value", b'a', b'=', 600 << 10),
        ("blanks before JSON", b' ', b' ', 600 << 10),
        ("a JSON text", b'{', b'"', 600 << 10),
        ("a deep document", b'{', b'[', 250 << 10),
        ("a deeper one", b'{', b'{', 250 << 10),
        ("numbers", b'{', b'9', 250 << 10),
    ] {
        large[..length].fill(rest);
        large[0] = first;
        if rest == b'[' {
            large[..5].copy_from_slice(b"{\"x\":");
        }
        let refused = matches!(create(&large[..length]), Err(Errno::EINVAL | Errno::E2BIG));
        checks.holds(format_args!("{kind} of {length} bytes are refused"), refused);
    }
    large[..250 << 10].fill(b' ');
    (0..240 << 10).step_by(5).for_each(|at| large[at..at + 5].copy_from_slice(b"{\"\":["));
    checks.equal("so is what is deep and well formed", create(&large[..240 << 10]), Err(Errno::EINVAL));
}

/// Inside: touches its memory, reads its file and says how long it had to wait at most.
fn neighbour() -> i32 {
    const SIZE: usize = 1 << 20;
    let memory = Region::anonymous(SIZE).expect("memory");
    (0..SIZE).step_by(PAGE).for_each(|at| memory.set(at, at as u8 ^ (at / PAGE) as u8));
    let file = sys::openat(AT_FDCWD, c"/tmp/own", O_CREAT | O_RDWR, 0o600).expect("a file");
    let (mut rounds, mut longest, mut last) = (0_u64, 0, sys::now());
    while !exists(c"/v/stop") {
        let kept = (0..SIZE).step_by(PAGE).all(|at| memory.get(at) == at as u8 ^ (at / PAGE) as u8);
        let mut found = [0; 8];
        let written = sys::pwrite(file, &rounds.to_ne_bytes(), 0).and_then(|_| sys::pread(file, &mut found, 0));
        if !kept || written != Ok(8) || found != rounds.to_ne_bytes() {
            return 1;
        }
        rounds += 1;
        // From here on it takes no more memory than it has.
        if rounds == 1 {
            make_file(c"/v/ready", 0o644, b"").expect("a file");
        }
        let _ = sys::sleep(1_000_000);
        let now = sys::now();
        longest = longest.max(now - last);
        last = now;
    }
    println!("ok: {rounds} rounds, at most {} ms apart", longest / 1_000_000);
    if longest < PAUSE_MAX { 0 } else { 2 }
}

/// Inside: takes.
fn take(name: &str) -> i32 {
    let Some((_, _, _, hog, limits)) = HOGS.iter().find(|(hog, ..)| *hog == name) else { return 2 };
    let (count, errno) = hog();
    let expected = limits.contains(&errno);
    println!("{}: {name}: {count}, then {errno}", if expected { "ok" } else { "FAIL" });
    i32::from(!expected)
}

/// Counts until something is refused, at most a million times.
fn until_refused<T>(mut step: impl FnMut(u32) -> sys::Result<T>) -> (u32, Errno) {
    for count in 0..1_000_000 {
        if let Err(errno) = step(count) {
            return (count, errno);
        }
    }
    (1_000_000, Errno::ECANCELED)
}

/// Several processes that take and keep; the refusal of this one.
fn crowd(hog: Hog) -> (u32, Errno) {
    let mut children = Vec::new();
    let (ready, tell) = sys::pipe(0).expect("a pipe");
    for _ in 0..CROWD {
        let child = sys::spawn(|| {
            hog();
            let _ = sys::write(tell, b"x");
            loop {
                // Until it is killed.
                let _ = sys::sleep(1_000_000_000);
            }
        });
        match child {
            Ok(child) => children.push(child),
            Err(errno) => return (0, errno),
        }
    }
    for _ in 0..CROWD {
        let _ = sys::read(ready, &mut [0]);
    }
    let outcome = hog();
    for child in children {
        let _ = sys::kill(child, SIGKILL).and(wait_for(child));
    }
    outcome
}

fn descriptors() -> (u32, Errno) {
    until_refused(|_| sys::dup(0))
}

fn open_files() -> (u32, Errno) {
    until_refused(|_| sys::open(c"/bin/worker", O_RDONLY))
}

fn proc_files() -> (u32, Errno) {
    const NAMES: [&str; 6] = ["status", "maps", "stat", "cmdline", "environ", "mountinfo"];
    until_refused(|count| {
        sys::open(c_str(&text!(64, "/proc/self/{}\0", NAMES[count as usize % NAMES.len()])), O_RDONLY)
    })
}

fn pipes() -> (u32, Errno) {
    until_refused(|_| {
        let (_, to) = sys::pipe(O_NONBLOCK)?;
        match until_refused(|_| sys::write(to, &[1; PAGE])) {
            (_, Errno::EAGAIN) => Ok(()),
            (_, errno) => Err(errno),
        }
    })
}

fn sockets() -> (u32, Errno) {
    until_refused(|_| {
        let (one, other) = sys::socketpair(STREAM | O_NONBLOCK)?;
        for end in [one, other] {
            match until_refused(|_| sys::write(end, &[1; PAGE])) {
                (_, Errno::EAGAIN) => {}
                (_, errno) => return Err(errno),
            }
        }
        Ok(())
    })
}

fn epolls() -> (u32, Errno) {
    let (from, _) = sys::pipe(0).expect("a pipe");
    until_refused(|_| {
        let epoll = sys::epoll()?;
        sys::epoll_set(epoll, linux::EPOLL_CTL_ADD, from, linux::EPOLLIN, 0)
    })
}

const INET: u32 = 2;
const PORT: u16 = 4000;

/// Connections that nobody accepts, each with as much in it as it takes.
fn connections() -> (u32, Errno) {
    let listener = sys::socket(INET, STREAM, 0).expect("a socket");
    let address = sys::v4_address([127, 0, 0, 1], PORT);
    sys::bind(listener, &address).and(sys::listen(listener, i32::MAX)).expect("it listens");
    until_refused(|_| {
        let socket = sys::socket(INET, STREAM | O_NONBLOCK, 0)?;
        sys::connect(socket, &address)?;
        match until_refused(|_| sys::write(socket, &[1; PAGE])) {
            (_, Errno::EAGAIN) => Ok(()),
            (_, errno) => Err(errno),
        }
    })
}

/// Sockets full of datagrams that nobody receives.
fn datagrams() -> (u32, Errno) {
    const DATAGRAM: u32 = 2;
    until_refused(|count| {
        let socket = sys::socket(INET, DATAGRAM | O_NONBLOCK, 0)?;
        let address = sys::v4_address([127, 0, 0, 1], PORT + count as u16);
        sys::bind(socket, &address)?;
        // What finds no room is dropped.
        (0..256).try_for_each(|_| match sys::send(socket, &[1; 1024], 0, Some(&address)) {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(errno),
        })
    })
}

fn files_under_way() -> (u32, Errno) {
    until_refused(|_| {
        let (one, other) = sys::socketpair(STREAM | O_NONBLOCK)?;
        sys::fcntl(one, F_SETFL, O_NONBLOCK)?;
        loop {
            let file = sys::open(c"/bin/worker", O_RDONLY)?;
            let sent = sys::send_files(one, b"x", &[file, file, file, other]);
            let sent = if sent.is_err() { sys::send_files(one, b"x", &[file, file, file]) } else { sent };
            sys::close(file)?;
            sent?;
        }
        #[expect(unreachable_code, reason = "the loop ends with an error")]
        Ok(())
    })
}

fn files() -> (u32, Errno) {
    until_refused(|count| make_file(c_str(&text!(32, "/tmp/{count}\0")), 0o600, b""))
}

/// Names of 200 bytes.
fn links() -> (u32, Errno) {
    make_file(c"/tmp/file", 0o600, b"").expect("a file");
    until_refused(|count| sys::link(c"/tmp/file", c_str(&text!(256, "/tmp/{count:0200}\0"))))
}

fn symlinks() -> (u32, Errno) {
    let mut target = [b'x'; 4000];
    target[3999] = 0;
    let target = core::ffi::CStr::from_bytes_with_nul(&target).expect("one NUL");
    until_refused(|count| sys::symlink(target, c_str(&text!(32, "/tmp/{count}\0"))))
}

fn attributes() -> (u32, Errno) {
    let value = [1; 4096];
    until_refused(|count| {
        let file = text!(32, "/tmp/{count}\0");
        make_file(c_str(&file), 0o600, b"")?;
        for name in [c"user.a", c"user.b", c"user.c", c"user.d"] {
            sys::setxattr(c_str(&file), name, &value, 0)?;
        }
        Ok(())
    })
}

/// As deep as memory allows; taking such a tree down must not take as much of the kernel's stack.
fn deep_directories() -> (u32, Errno) {
    sys::chdir(c"/tmp").expect("a directory");
    until_refused(|_| sys::mkdir(c"d", 0o700).and_then(|()| sys::chdir(c"d")))
}

fn mounts() -> (u32, Errno) {
    sys::chdir(c"/tmp").expect("a directory");
    until_refused(|_| sys::mkdir(c"d", 0o700).and(sys::mount(c"t", c"d", c"tmpfs", 0, None)).and(sys::chdir(c"d")))
}

/// Each time twice as many.
fn mount_bomb() -> (u32, Errno) {
    sys::mount(c"t", c"/tmp", c"tmpfs", 0, None).expect("a mount");
    until_refused(|count| {
        let directory = text!(32, "/tmp/{count}\0");
        sys::mkdir(c_str(&directory), 0o700)?;
        sys::mount(c"/tmp", c_str(&directory), c"", MS_BIND | MS_REC, None)
    })
}

fn wide_groups() -> (u32, Errno) {
    sys::unshare(CLONE_NEWNS | linux::CLONE_NEWCGROUP).and(groups::mount()).expect("groups");
    until_refused(|count| groups::make(&text!(32, "{count}")))
}

fn pid_namespaces() -> (u32, Errno) {
    fn deeper(level: u32) -> (u32, Errno) {
        if let Err(errno) = sys::unshare(CLONE_NEWPID) {
            return (level, errno);
        }
        let (from, to) = sys::pipe(0).expect("a pipe");
        let child = sys::spawn(|| {
            let (count, errno) = deeper(level + 1);
            let _ = sys::write(to, &[count as u8, errno.get() as u8]);
            0
        });
        match child {
            Err(errno) => (level, errno),
            Ok(child) => {
                let mut told = [0; 2];
                let read = sys::read(from, &mut told);
                let _ = wait_for(child);
                match (read, Errno::new(told[1].into())) {
                    (Ok(2), Some(errno)) => (u32::from(told[0]), errno),
                    _ => (level, Errno::EIO),
                }
            }
        }
    }
    deeper(0)
}

fn user_namespaces() -> (u32, Errno) {
    sys::mount(c"p", c"/tmp", c"proc", 0, None).expect("a procfs");
    until_refused(|_| {
        sys::unshare(CLONE_NEWUSER)?;
        make_file(c"/tmp/self/setgroups", 0, b"deny")?;
        make_file(c"/tmp/self/uid_map", 0, b"0 0 1").and(make_file(c"/tmp/self/gid_map", 0, b"0 0 1"))
    })
}

fn areas() -> (u32, Errno) {
    until_refused(|count| {
        let protection = if count % 2 == 0 { PROT_READ } else { PROT_READ | PROT_WRITE };
        Region::map(PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, None)
    })
}

/// A page in each two megabytes, so that each takes a page table.
fn page_tables() -> (u32, Errno) {
    const STRETCH: usize = 2 << 20;
    until_refused(|_| {
        let region =
            Region::map(64 * STRETCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, None)?;
        (0..64).for_each(|at| region.set(at * STRETCH, 1));
        Ok(())
    })
}

fn address_space() -> (u32, Errno) {
    until_refused(|_| Region::map(1 << 45, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, None))
}

fn arguments() -> (u32, Errno) {
    let list = |count: usize, length: usize| vec![CString::new(vec![b'x'; length]).expect("no NUL"); count];
    let worker = c"/bin/worker";
    for (count, length) in [(1, 200 << 10), (1, 128 << 10), (24, 100 << 10), (300_000, 1)] {
        match in_child(|| i32::from(sys::execve_lists(worker, &list(count, length), &[]).get())) {
            Ok(WaitStatus::Exited(errno)) if errno == Errno::E2BIG.get() as u8 => {}
            Ok(WaitStatus::Signaled(Signal::SIGKILL)) => return (0, Errno::ENOMEM),
            _ => return (0, Errno::EIO),
        }
    }
    // As much as is allowed, again and again, in many processes: what the kernel holds of it is charged.
    let most = list(18, 100 << 10);
    crowd_of(|| {
        let _ = sys::execve_lists(worker, &most, &most[..1]);
    });
    (4, sys::execve_lists(worker, &list(24, 100 << 10), &[]))
}

fn crowd_of(body: impl Fn()) {
    let children: Vec<_> = (0..CROWD)
        .map_while(|_| {
            sys::spawn(|| {
                body();
                0
            })
            .ok()
        })
        .collect();
    for child in children {
        let _ = wait_for(child);
    }
}

/// As many supplementary groups as may be, in as many processes: each has a list of its own.
fn identities() -> (u32, Errno) {
    let groups = vec![7; 65536];
    let (from, to) = sys::pipe(0).expect("a pipe");
    until_refused(|_| {
        sys::spawn(|| {
            let errno = sys::setgroups(&groups).err().map_or(0, |errno| errno.get() as u8);
            let _ = sys::write(to, &[errno]);
            loop {
                // Until it is killed.
                let _ = sys::sleep(1_000_000_000);
            }
        })?;
        let mut told = [0];
        sys::read(from, &mut told)?;
        Errno::new(told[0].into()).map_or(Ok(()), Err)
    })
}

fn filters() -> (u32, Errno) {
    let allow = Instruction { code: RETURN, jump_true: 0, jump_false: 0, operand: verdict::ALLOW };
    let mut program = vec![Instruction { code: 0, jump_true: 0, jump_false: 0, operand: 0 }; 4095];
    program.push(allow);
    until_refused(|_| sys::seccomp_filter(0, &program))
}

fn shared_memory() -> (u32, Errno) {
    until_refused(|_| {
        let segment = sys::shmget(sys::IPC_PRIVATE, 1 << 20, sys::IPC_CREAT | 0o600)?;
        let region = Region::attach(segment, 1 << 20, 0)?;
        (0..1 << 20).step_by(PAGE).for_each(|at| region.set(at, 1));
        Ok(())
    })
}

fn semaphores() -> (u32, Errno) {
    until_refused(|_| sys::semget(sys::IPC_PRIVATE, 250, sys::IPC_CREAT | 0o600))
}

fn messages() -> (u32, Errno) {
    until_refused(|_| {
        let queue = sys::msgget(sys::IPC_PRIVATE, sys::IPC_CREAT | 0o600)?;
        match until_refused(|_| sys::msgsnd(queue, 1, &[1; 64], sys::IPC_NOWAIT)) {
            (_, Errno::EAGAIN) => Ok(()),
            (_, errno) => Err(errno),
        }
    })
}

fn posix_queues() -> (u32, Errno) {
    until_refused(|count| sys::mq_open(c_str(&text!(32, "{count}\0")), O_CREAT | O_RDWR, 0o600, Some((10, 1024))))
}

fn terminals() -> (u32, Errno) {
    until_refused(|_| sys::open(c"/dev/pts/ptmx", O_RDWR))
}

/// Of as many descriptors as there may be.
fn polls() -> (u32, Errno) {
    let entries = Region::anonymous(8 << 20).expect("addresses");
    let time = Region::anonymous(PAGE).expect("memory");
    until_refused(|count| {
        let (entries, time) = (RawArg::Region(&entries, 0), RawArg::Region(&time, 0));
        let number = |number: i64| RawArg::Number(number);
        sys::raw_call(linux::__NR_ppoll, &[entries, number(256 << count), time, number(0), number(8)])
    })
}

fn containers() -> (u32, Errno) {
    let config = driver::config("", &["/bin/worker", "forever"]);
    until_refused(|count| {
        let made = driver::create(&text!(16, "{count}"), &config, CreateFlags::empty());
        made.map_err(|(errno, _)| errno).and_then(sys::container_start)
    })
}
