//! Driver: whoever takes more memory than its limit is killed for it, and its neighbour does not notice.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, WaitStatus};
use veridian_userland::check::Checks;
use veridian_userland::sys::{self, Start};
use veridian_userland::{driver, program};

program!(main);

/// `memory_limit` of the hogs in bytes.
const LIMIT: u64 = 8 << 20;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    let (keyboard, end_of_input) = sys::pipe(0).expect("a pipe");
    let console = sys::dup(0).expect("the console is open");
    sys::dup3(keyboard, 0, 0).expect("the pipe becomes the standard input");
    let neighbour = driver::config("memory_limit=4M\n", &["/bin/worker", "neighbour"]);
    let neighbour = driver::create("neighbour", &neighbour, CreateFlags::empty()).expect("a neighbour");
    sys::dup3(console, 0, 0).expect("the console is the standard input again");
    sys::close(keyboard).expect("the neighbour alone reads it");
    checks.equal("the neighbour starts", sys::container_start(neighbour), Ok(()));

    for way in ["hog-mmap", "hog-brk", "hog-fork"] {
        let end = driver::run(way, &driver::config("memory_limit=8M\n", &["/bin/worker", way]));
        let Some(end) = checks.value(format_args!("{way} lives in a container"), end) else { continue };
        checks.equal(format_args!("{way} is killed"), end.status, WaitStatus::Signaled(Signal::SIGKILL));
        checks.equal(format_args!("{way} is killed for its memory"), end.oom, true);
        checks.holds(format_args!("{way} never had more than its limit"), end.memory_peak <= LIMIT);
        checks.holds(format_args!("{way} had most of it"), end.memory_peak >= LIMIT / 2);
    }
    // A write to a file can be refused where a touched page cannot: either is a limit that holds.
    let files = driver::config("memory_limit=8M\n", &["/bin/worker", "hog-tmpfs"]);
    if let Some(end) = checks.value("hog-tmpfs lives in a container", driver::run("hog-tmpfs", &files)) {
        let stopped = matches!(end.status, WaitStatus::Exited(4)) || end.oom;
        checks.holds(format_args!("hog-tmpfs is stopped: {}", end.status), stopped);
        checks.holds("hog-tmpfs never had more than its limit", end.memory_peak <= LIMIT);
        checks.holds("hog-tmpfs had most of it", end.memory_peak >= LIMIT / 2);
    }
    let bounded = "root_path=rootfs\nnamespace=mount\nmount=/tmp:tmpfs:tmpfs:size=1M\nprocess_args=[\"/bin/worker\",\"hog-tmpfs\"]\n";
    let status = driver::run("small-tmpfs", bounded).map(|end| (end.status, end.oom));
    checks.equal("a tmpfs of size=1M is full before that: ENOSPC", status, Ok((WaitStatus::Exited(4), false)));

    checks.equal("the neighbour's input ends", sys::close(end_of_input), Ok(()));
    let end = driver::wait(neighbour);
    checks.equal("the neighbour has noticed nothing", end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
    checks.equal("and was not killed for memory", end.map(|end| end.oom), Ok(false));
    checks.equal("it can be deleted", driver::delete(neighbour), Ok(()));
    checks.equal("nothing is left", driver::count(), Ok(0));
    checks.finish()
}
