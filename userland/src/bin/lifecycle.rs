//! Driver: the life of a container, step by step. What a state does not allow is refused and changes nothing.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{POLLIN, SIGKILL, SIGTERM};
use veridian_containers::abi::{Call, CreateFlags, DeleteFlags, Errno, WaitStatus};
use veridian_containers::{Signal, Status};
use veridian_userland::check::Checks;
use veridian_userland::sys::{self, Fd, RawArg, Start};
use veridian_userland::{driver, program};

program!(main);

/// Long enough for anything that should come, in nanoseconds.
const LONG: u64 = 5_000_000_000;
/// Long enough to show that something does not come.
const SHORT: u64 = 20_000_000;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.equal("there is no container at first", driver::count(), Ok(0));
    a_plain_life(&mut checks);
    a_running_container(&mut checks);
    killed_before_start(&mut checks);
    ids(&mut checks);
    several(&mut checks);
    last_close(&mut checks);
    checks.equal("there is no container at last", driver::count(), Ok(0));
    checks.finish()
}

/// A container that runs a worker's task, or the end of the probe.
fn make(id: &str, arguments: &[&str]) -> Fd {
    make_with(id, arguments, CreateFlags::empty())
}

fn make_with(id: &str, arguments: &[&str], flags: CreateFlags) -> Fd {
    driver::create(id, &driver::config("", arguments), flags).expect("the container is created")
}

fn a_plain_life(checks: &mut Checks) {
    let container = make("plain", &["/bin/worker", "exit", "42"]);
    checks.equal("after create it is created", driver::status("plain"), Some(Status::Created));
    checks.equal("nothing to poll while it is created", sys::poll(container, POLLIN, Some(SHORT)), Ok(0));
    let refused = sys::container_delete(container, DeleteFlags::empty());
    checks.equal("delete of a created one is EBUSY", refused, Err(Errno::EBUSY));
    checks.equal("it is still created", driver::status("plain"), Some(Status::Created));
    checks.equal("start", sys::container_start(container), Ok(()));
    checks.equal("poll says POLLIN when it has stopped", sys::poll(container, POLLIN, Some(LONG)), Ok(POLLIN));
    checks.equal("then it is stopped", driver::status("plain"), Some(Status::Stopped));
    checks.equal("start of a stopped one is EINVAL", sys::container_start(container), Err(Errno::EINVAL));
    checks.equal("kill of a stopped one is ESRCH", sys::container_kill(container, SIGKILL), Err(Errno::ESRCH));
    let status = driver::wait(container).map(|end| end.status);
    checks.equal("wait gives its status", status, Ok(WaitStatus::Exited(42)));
    let status = driver::wait(container).map(|end| end.status);
    checks.equal("wait gives it again", status, Ok(WaitStatus::Exited(42)));
    state(checks, container, "\"status\":\"stopped\"");
    checks.equal("delete", sys::container_delete(container, DeleteFlags::empty()), Ok(()));
    checks.equal("it is in the list no more", driver::status("plain"), None);
    checks.equal("start of a deleted one is refused", sys::container_start(container).is_err(), true);
    let again = sys::container_delete(container, DeleteFlags::empty());
    checks.equal("a second delete is ENOENT", again, Err(Errno::ENOENT));
    checks.equal("close", sys::close(container), Ok(()));
    checks.equal("the descriptor is gone", sys::container_start(container), Err(Errno::EBADF));
}

fn a_running_container(checks: &mut Checks) {
    let container = make("busy", &["/bin/worker", "forever"]);
    checks.equal("start of the busy one", sys::container_start(container), Ok(()));
    checks.equal("it is running", driver::status("busy"), Some(Status::Running));
    checks.equal("a second start is EINVAL", sys::container_start(container), Err(Errno::EINVAL));
    let refused = sys::container_delete(container, DeleteFlags::empty());
    checks.equal("delete of a running one is EBUSY", refused, Err(Errno::EBUSY));
    checks.equal("it is running as before", driver::status("busy"), Some(Status::Running));
    checks.equal("nothing to poll while it runs", sys::poll(container, POLLIN, Some(SHORT)), Ok(0));
    state(checks, container, "\"status\":\"running\"");
    let unknown = sys::raw_container_call(Call::Delete, &[RawArg::Number(container.into()), RawArg::Number(0x8000)]);
    checks.equal("an unknown flag of delete is EINVAL", unknown, Err(Errno::EINVAL));
    checks.equal("signal 65 is EINVAL", sys::container_kill(container, 65), Err(Errno::EINVAL));
    checks.equal("SIGTERM can be sent", sys::container_kill(container, SIGTERM), Ok(()));
    let term = sys::poll(container, POLLIN, Some(SHORT));
    checks.equal("a pid 1 without a handler does not die of it", term, Ok(0));
    checks.equal("SIGKILL can be sent", sys::container_kill(container, SIGKILL), Ok(()));
    let end = driver::wait(container);
    checks.equal("and ends it", end.map(|end| end.status), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("no one says it was for memory", end.map(|end| end.oom), Ok(false));
    checks.equal("then it can be deleted", driver::delete(container), Ok(()));

    let container = make("forced", &["/bin/worker", "spin"]);
    checks.equal("start of the one that spins", sys::container_start(container), Ok(()));
    let forced = sys::container_delete(container, DeleteFlags::FORCE);
    checks.equal("FORCE deletes what runs", forced, Ok(()));
    checks.equal("and it is gone", driver::status("forced"), None);
    checks.equal("its descriptor closes", sys::close(container), Ok(()));
}

/// The OCI state holds `expected`.
fn state(checks: &mut Checks, container: Fd, expected: &str) {
    let mut buffer = [0; 1024];
    let asked = sys::container_state(container, &mut []);
    let given = sys::container_state(container, &mut buffer);
    checks.equal("a state of length 0 asks for the length", asked, given);
    let text = given.ok().and_then(|len| core::str::from_utf8(&buffer[..len]).ok()).unwrap_or("");
    checks.holds(format_args!("the state says {expected}: {text}"), text.contains(expected));
    let short = sys::container_state(container, &mut [0; 4]);
    checks.equal("a buffer that is too small is ERANGE", short, Err(Errno::ERANGE));
}

fn killed_before_start(checks: &mut Checks) {
    let container = make("early", &["/bin/worker", "exit", "0"]);
    checks.equal("SIGKILL to a created one", sys::container_kill(container, SIGKILL), Ok(()));
    let status = driver::wait(container).map(|end| end.status);
    checks.equal("ends it before its first instruction", status, Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("start is then EINVAL", sys::container_start(container), Err(Errno::EINVAL));
    checks.equal("delete", driver::delete(container), Ok(()));
}

fn ids(checks: &mut Checks) {
    let container = make("taken", &["/bin/worker", "exit", "0"]);
    let config = driver::config("", &["/bin/worker", "exit", "0"]);
    let again = driver::create("taken", &config, CreateFlags::empty()).map_err(|(errno, _)| errno);
    checks.equal("an id that is taken is EEXIST", again, Err(Errno::EEXIST));
    checks.equal("and the first has it still", driver::status("taken"), Some(Status::Created));
    let long = "x".repeat(65);
    for id in ["", ".hidden", "a/b", "a b", "ä", "a\n", long.as_str()] {
        let made = driver::create(id, &config, CreateFlags::empty()).map_err(|(errno, _)| errno);
        checks.equal(format_args!("{id:?} is no id: EINVAL"), made, Err(Errno::EINVAL));
    }
    let flags = CreateFlags::from_bits_retain(1 << 31);
    let made = driver::create("flags", &config, flags).map_err(|(errno, _)| errno);
    checks.equal("an unknown flag of create is EINVAL", made, Err(Errno::EINVAL));
    checks.equal("there is one container", driver::count(), Ok(1));
    checks.equal("FORCE deletes what is created", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    checks.equal("close", sys::close(container), Ok(()));
}

fn several(checks: &mut Checks) {
    let names = ["one", "two", "three"];
    let made = names.map(|id| make(id, &["/bin/worker", "exit", "0"]));
    let mut seen = [false; 3];
    let count = driver::list(|entry| {
        for (name, seen) in names.iter().zip(&mut seen) {
            *seen |= *name == sys::entry_id(entry) && entry.pid > 0;
        }
    });
    checks.equal("the list has three", count, Ok(3));
    checks.equal("each with its id and a pid", seen, [true; 3]);
    // The list survives changes: what was there all the while is seen once.
    let mut survivors = 0;
    let walked = driver::list(|entry| {
        match sys::entry_id(entry) {
            "one" => drop(sys::container_delete(made[1], DeleteFlags::FORCE)),
            "three" => survivors += 1,
            _ => {}
        };
    });
    checks.equal("a walk over a list that shrinks ends", walked.is_ok(), true);
    checks.equal("and sees what stays", survivors, 1);
    for container in [made[0], made[2]] {
        checks.equal("delete", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    }
    for container in made {
        checks.equal("close", sys::close(container), Ok(()));
    }
}

fn last_close(checks: &mut Checks) {
    let container = make_with("closing", &["/bin/worker", "forever"], CreateFlags::KILL_ON_CLOSE);
    let second = sys::dup(container).unwrap_or(-1);
    checks.equal("start", sys::container_start(container), Ok(()));
    checks.equal("close of the first descriptor", sys::close(container), Ok(()));
    checks.equal("leaves it running", driver::status("closing"), Some(Status::Running));
    checks.equal("close of the last", sys::close(second), Ok(()));
    // The close waits neither for its end nor for its deletion, and leaves no descriptor to wait on.
    while driver::status("closing").is_some() {
        sys::sched_yield();
    }
    checks.equal("ends and deletes it, as KILL_ON_CLOSE says", driver::status("closing"), None);
}
