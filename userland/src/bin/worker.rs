//! What the drivers let run in their containers: one small task for each word of the first argument.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::auxvec::{AT_PAGESZ, AT_RANDOM};
use linux_raw_sys::general::{O_CREAT, O_RDWR, POLLIN, SIGKILL};
use veridian_containers::abi::CreateFlags;
use veridian_userland::check::{in_child, wait_for};
use veridian_userland::heapless::CString;
use veridian_userland::sys::{self, Errno, PAGE, Region, Start};
use veridian_userland::{driver, println, program, text};

program!(main);

/// Bytes that a hog takes if nothing stops it.
const HOG: usize = 32 << 20;
/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// What a task does: its arguments in, the exit status out.
type Task = fn(&Start) -> i32;

/// The tasks by name.
const TASKS: &[(&str, Task)] = &[
    ("exit", |start| number(start, 2)),
    ("since-reset", |_| {
        println!("since reset: {}", sys::since_reset());
        0
    }),
    ("signal", |start| signal_itself(number(start, 2) as u32)),
    ("segfault", |_| i32::from(sys::Wild::Null.read())),
    ("sleep", |start| sys::sleep(number(start, 2) as u64 * MILLISECOND).map_or(1, |()| 0)),
    ("forever", |_| forever()),
    ("spin", |_| {
        loop {
            core::hint::spin_loop();
        }
    }),
    ("ids", |start| i32::from(sys::getuid() != number(start, 2) || sys::getgid() != number(start, 3))),
    ("effective", |start| i32::from(sys::geteuid() != number(start, 2))),
    ("check-start", check_start),
    ("host", |start| i32::from(!sys::uname().is_ok_and(|names| Some(sys::text_of(&names.nodename)) == start.arg(2)))),
    ("write", |start| write_file(start.arg(2).unwrap_or(""))),
    ("open", |start| i32::from(sys::fcntl(number(start, 2), linux_raw_sys::general::F_GETFD, 0).is_err())),
    ("fresh-vectors", |_| i32::from(sys::read_vectors().iter().any(|word| *word != 0))),
    ("orphans", leave_orphans),
    ("neighbour", neighbour),
    ("hog-mmap", |_| Region::anonymous(HOG).map_or(2, |region| touch(&region))),
    ("hog-brk", |_| hog_brk()),
    ("hog-fork", |_| hog_fork()),
    ("hog-tmpfs", |_| hog_tmpfs()),
    ("fork-bomb", |_| fork_bomb()),
    ("fill", |_| fill()),
    ("contain", |start| contain(start.arg(2).unwrap_or("left"))),
];

fn main(start: &Start) -> i32 {
    let name = start.arg(1).unwrap_or("");
    match TASKS.iter().find(|(task, _)| *task == name) {
        Some((_, task)) => task(start),
        None => {
            println!("worker: no task {name:?}");
            2
        }
    }
}

/// Argument `index` as a number; 0 if there is none.
fn number(start: &Start, index: usize) -> i32 {
    start.arg(index).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Makes a container that runs, and leaves it alone.
fn contain(id: &str) -> i32 {
    let config = driver::config("", &["/bin/worker", "forever"]);
    match driver::create(id, &config, CreateFlags::empty()) {
        Ok(container) => sys::container_start(container).map_or(4, |()| 0),
        Err((errno, message)) => {
            println!("create {id}: {errno}: {message}");
            3
        }
    }
}

/// Sleeps until a signal ends it.
fn forever() -> ! {
    loop {
        // However it ends, it begins again.
        let _ = sys::sleep(1000 * MILLISECOND);
    }
}

/// Makes processes until it may have no more, and keeps them.
fn fill() -> ! {
    while sys::spawn(|| forever()).is_ok() {}
    forever()
}

/// Sends itself a signal, and comes back only if that does nothing.
fn signal_itself(signal: u32) -> i32 {
    match sys::kill(sys::getpid(), signal) {
        Ok(()) => 0,
        Err(errno) => i32::from(errno.get()),
    }
}

/// The start as `execs` gives it: arguments `check-start`, an empty one and a long one, and two variables.
fn check_start(start: &Start) -> i32 {
    let args_hold = start.args().len() == 4 && start.arg(2) == Some("") && start.arg(3) == Some("a long one = : ü");
    let env_holds = start.env().count() == 2 && start.var("A") == Some("1") && start.var("EMPTY") == Some("");
    let aux_holds = start.aux(AT_PAGESZ) == Some(PAGE) && start.aux(AT_RANDOM).is_some_and(|address| address != 0);
    i32::from(!args_hold) | i32::from(!env_holds) << 1 | i32::from(!aux_holds) << 2
}

/// Makes a file with a byte in it; 0 or the number of the error.
fn write_file(path: &str) -> i32 {
    let file = c_path(path).and_then(|path| sys::openat(sys::AT_FDCWD, &path, O_CREAT | O_RDWR, 0o600));
    file.and_then(|file| sys::write(file, b"x")).map_or_else(|errno| i32::from(errno.get()), |_| 0)
}

/// Leaves three processes behind that would run for ever, and exits with 7.
fn leave_orphans(_: &Start) -> i32 {
    for _ in 0..3 {
        if sys::spawn(|| forever()).is_err() {
            return 1;
        }
    }
    7
}

/// Keeps a megabyte of memory and a file in its `/tmp` and checks both again and again, until its standard input ends.
fn neighbour(_: &Start) -> i32 {
    const SIZE: usize = 1 << 20;
    let Ok(memory) = Region::anonymous(SIZE) else { return 2 };
    let mark = |offset: usize| (offset / PAGE) as u8 ^ 0x5a;
    (0..SIZE).step_by(PAGE).for_each(|offset| memory.set(offset, mark(offset)));
    let Ok(file) = sys::openat(sys::AT_FDCWD, c"/tmp/mine", O_CREAT | O_RDWR, 0o600) else { return 3 };
    if sys::pwrite(file, b"the neighbour's", 0) != Ok(15) {
        return 4;
    }
    loop {
        let mut found = [0; 16];
        if !(0..SIZE).step_by(PAGE).all(|offset| memory.get(offset) == mark(offset)) {
            return 5;
        }
        if sys::pread(file, &mut found, 0) != Ok(15) || &found[..15] != b"the neighbour's" {
            return 6;
        }
        // A new process is possible all the while.
        if in_child(|| 9) != Ok(veridian_containers::abi::WaitStatus::Exited(9)) {
            return 7;
        }
        match sys::poll(0, POLLIN, Some(MILLISECOND)) {
            Ok(0) => {}
            Ok(_) => return 0,
            Err(_) => return 8,
        }
    }
}

/// Writes to every page; coming back means that nothing stopped it.
fn touch(region: &Region) -> i32 {
    (0..region.len()).step_by(PAGE).for_each(|offset| region.set(offset, 1));
    println!("FAIL: the hog got {} bytes", region.len());
    1
}

fn hog_brk() -> i32 {
    let Ok(region) = Region::brk(HOG) else { return 2 };
    touch(&region)
}

/// Children that each copy, page by page, what they share with their parent.
fn hog_fork() -> i32 {
    const SHARE: usize = 2 << 20;
    let Ok(shared) = Region::anonymous(SHARE) else { return 2 };
    (0..SHARE).step_by(PAGE).for_each(|offset| shared.set(offset, 1));
    for _ in 0..HOG / SHARE {
        let child = sys::spawn(|| {
            (0..SHARE).step_by(PAGE).for_each(|offset| shared.set(offset, 2));
            forever()
        });
        if child.is_err() {
            return 3;
        }
    }
    let _ = sys::sleep(2000 * MILLISECOND);
    println!("FAIL: {} processes each have a copy", HOG / SHARE);
    1
}

/// Files in memory, which are charged like memory. A refused write (ENOSPC, ENOMEM) is reported and is as good.
fn hog_tmpfs() -> i32 {
    let block = [0x5a; PAGE];
    for index in 0..HOG / (1 << 20) {
        let Ok(path) = c_path(&text!(32, "/tmp/{index}")) else { return 2 };
        let Ok(file) = sys::openat(sys::AT_FDCWD, &path, O_CREAT | O_RDWR, 0o600) else { return 3 };
        for _ in 0..(1 << 20) / PAGE {
            match sys::write(file, &block) {
                Ok(PAGE) => {}
                Err(Errno::ENOSPC | Errno::ENOMEM) | Ok(_) => return 4,
                Err(_) => return 5,
            }
        }
    }
    println!("FAIL: the hog wrote {HOG} bytes of files");
    1
}

fn c_path(text: &str) -> Result<CString<32>, Errno> {
    let mut path = CString::new();
    path.extend_from_bytes(text.as_bytes()).map_err(|_| Errno::ENAMETOOLONG)?;
    Ok(path)
}

/// Forks and never ends until fork is refused, then ends all and exits with how many there were (at most 200).
fn fork_bomb() -> i32 {
    let mut children = [0; 200];
    let mut count = 0;
    let refused = loop {
        if count == children.len() {
            break None;
        }
        match sys::spawn(|| forever()) {
            Ok(child) => {
                children[count] = child;
                count += 1;
            }
            Err(errno) => break Some(errno),
        }
    };
    // A child can make none either: the limit holds for the container, not for one process.
    let again = sys::fork();
    if again == Ok(0) {
        sys::exit(0);
    }
    for &child in &children[..count] {
        if sys::kill(child, SIGKILL).is_err() || wait_for(child).is_err() {
            return 250;
        }
    }
    match (refused, again) {
        (Some(Errno::EAGAIN), Err(Errno::EAGAIN)) => count as i32,
        (refused, _) => {
            println!("FAIL: fork {count} was refused with {refused:?}");
            251
        }
    }
}
