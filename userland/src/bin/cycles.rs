//! Driver: ten thousand lives of a container leave the machine as they found it. `count=N` takes another number.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{O_CLOEXEC, O_DIRECTORY, O_RDONLY};
use veridian_containers::abi::{CreateFlags, DeleteFlags, WaitStatus};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::sys::{self, Start};
use veridian_userland::world::{settled, world};
use veridian_userland::{driver, println, program};

program!(main);

/// Lives before the first measurement: what the kernel keeps for later it has then.
const WARM_UP: u32 = 200;

fn main(start: &Start) -> i32 {
    let count = start.var("count").and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut checks = Checks::new();
    let config = driver::config("memory_limit=4M\npids_limit=8\n", &["/bin/worker", "exit", "3"]);
    // What is measured with measures: memory that is taken is missed.
    let before = world();
    checks.succeeds("memory in use is not free", || {
        sys::buffer(1 << 20).expect("memory").fill(1);
        i32::from(world().0 + (1 << 20) > before.0 || world().1 != before.1 + 1)
    });
    checks.equal("the first lives", lives(&config, WARM_UP), Ok(WARM_UP));
    let before = world();
    checks.equal("and all the others", lives(&config, count), Ok(count));
    checks.equal("free memory and processes are as before", settled(before), before);
    checks.equal("no container is left", driver::count(), Ok(0));

    refusals(&config, WARM_UP);
    let before = world();
    refusals(&config, count / 10);
    checks.equal("refused and unstarted ones leave nothing either", settled(before), before);

    processes(WARM_UP);
    let before = world();
    processes(count / 10);
    checks.equal("nor do plain processes", settled(before), before);
    let lowest = sys::openat(sys::AT_FDCWD, c"/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    checks.equal("no descriptor was lost", lowest, Ok(3));
    checks.finish()
}

/// Create, start, wait, delete, that often; how many ended as they should.
fn lives(config: &str, count: u32) -> sys::Result<u32> {
    let mut good = 0;
    for _ in 0..count {
        let end = driver::run("cycle", config)?;
        good += u32::from(end.status == WaitStatus::Exited(3) && !end.oom);
        if good % 1000 == 0 {
            println!("{good} lives, {} bytes free", world().0);
        }
    }
    Ok(good)
}

/// Containers that are refused at different steps, and ones that are deleted without a start.
fn refusals(config: &str, count: u32) {
    let flags = CreateFlags::empty();
    let wrong = [
        "process_arg=/bin/hello\nmemory_limit=64Q\n",
        "root_path=nowhere\nnamespace=mount\nprocess_arg=/bin/hello\n",
        "root_path=rootfs\nnamespace=mount\nmount=/tmp:bind:nowhere\nprocess_arg=/bin/hello\n",
        "root_path=rootfs\nnamespace=mount\nprocess_arg=/bin/missing\n",
    ];
    for _ in 0..count {
        for document in wrong {
            assert!(driver::create("cycle", document, flags).is_err(), "refused: {document}");
        }
        let container = driver::create("cycle", config, flags).expect("create");
        sys::container_delete(container, DeleteFlags::FORCE).expect("delete");
        sys::close(container).expect("close");
    }
}

/// Processes that fork and end.
fn processes(count: u32) {
    for _ in 0..count {
        assert_eq!(in_child(|| 5), Ok(WaitStatus::Exited(5)));
    }
}
