//! Driver: `pids_limit` holds a fork bomb; the machine and a second container go on making processes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use veridian_containers::abi::{CreateFlags, DeleteFlags, WaitStatus};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::sys::{self, Start};
use veridian_userland::{driver, program};

program!(main);

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    for (limit, lines) in [(1, "pids_limit=1\n"), (5, "pids_limit=5\n"), (40, "pids_limit=40\n")] {
        let end = driver::run("bomb", &driver::config(lines, &["/bin/worker", "fork-bomb"]));
        let Some(end) = checks.value(format_args!("a bomb with pids_limit={limit}"), end) else { continue };
        // The first process counts too.
        let expected = WaitStatus::Exited(limit as u8 - 1);
        checks.equal("gets EAGAIN when the limit is reached", end.status, expected);
        checks.equal("and has had that many tasks at most", end.tasks_peak, limit);
    }

    // While a bomb holds all that it may, others are not held.
    let bomb = driver::config("pids_limit=3\n", &["/bin/worker", "fill"]);
    let other = driver::config("pids_limit=2\n", &["/bin/worker", "fork-bomb"]);
    let container = driver::create("full", &bomb, CreateFlags::empty()).expect("a container");
    checks.equal("a container that fills its limit starts", sys::container_start(container), Ok(()));
    checks.equal("this process can fork", in_child(|| 3), Ok(WaitStatus::Exited(3)));
    let status = driver::run("other", &other).map(|end| end.status);
    checks.equal("another container has its own count", status, Ok(WaitStatus::Exited(1)));
    checks.equal("the full one is deleted", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    checks.equal("close", sys::close(container), Ok(()));

    // What a container's first process leaves behind ends with it.
    let end = driver::run("orphans", &driver::config("", &["/bin/worker", "orphans"]));
    checks.equal("pid 1 takes its orphans with it", end.map(|end| end.status), Ok(WaitStatus::Exited(7)));
    checks.equal("nothing is left", driver::count(), Ok(0));
    checks.finish()
}
