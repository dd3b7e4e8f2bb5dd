//! Driver: further processes in a container, pause and resume, new limits, statistics, opening by id, and containers in
//! containers. It runs itself inside of one, as `guests inside`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{P_PIDFD, POLLIN, SIGKILL, SIGTERM, WEXITED, WNOHANG};
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, Stats, WaitStatus};
use veridian_containers::{Signal, Status};
use veridian_userland::check::Checks;
use veridian_userland::heapless::String;
use veridian_userland::sys::{self, Fd, Start};
use veridian_userland::{driver, program, text};

program!(main);

const MILLISECOND: u64 = 1_000_000;
const LONG: u64 = 5_000 * MILLISECOND;
const SHORT: u64 = 50 * MILLISECOND;
/// The pid in a `siginfo_t`, and the status.
const PID: usize = 4;
const STATUS: usize = 6;

fn main(start: &Start) -> i32 {
    let mut checks = Checks::new();
    match start.arg(1) {
        None => {}
        Some("inside") => {
            inside(&mut checks);
            return checks.finish();
        }
        Some(_) => {
            refused(&mut checks);
            return checks.finish();
        }
    }
    exec(&mut checks);
    pidfds(&mut checks);
    unreaped(&mut checks);
    pause(&mut checks);
    update(&mut checks);
    open(&mut checks);
    features(&mut checks);
    nested(&mut checks);
    checks.equal("no container is left", driver::count(), Ok(0));
    checks.finish()
}

/// A container whose first process sleeps.
fn running(id: &str, more: &str) -> Fd {
    let config = driver::config(more, &["/bin/worker", "forever"]);
    let container = driver::create(id, &config, CreateFlags::empty()).expect("the container is created");
    sys::container_start(container).expect("it is started");
    container
}

#[expect(clippy::result_large_err, reason = "the message lies in it, without a heap")]
fn run_in(container: Fd, process: &str) -> Result<Fd, (Errno, String<256>)> {
    let mut message = [0; 256];
    sys::container_exec(container, process.as_bytes(), &mut message).map_err(|(errno, length)| {
        let mut text = String::new();
        let _ = text.push_str(core::str::from_utf8(&message[..length]).unwrap_or(""));
        (errno, text)
    })
}

/// The status of a child by its descriptor, which is closed.
fn status(pidfd: Fd) -> Result<i32, Errno> {
    let info = sys::waitid(P_PIDFD, pidfd, WEXITED)?;
    sys::close(pidfd)?;
    Ok(info[STATUS])
}

fn exec(checks: &mut Checks) {
    let config = driver::config("", &["/bin/worker", "forever"]);
    let container = driver::create("exec", &config, CreateFlags::empty()).expect("a container");
    let early = run_in(container, "process_arg=/bin/worker\n").map_err(|(errno, _)| errno);
    checks.equal("no process runs in a container that is not started", early, Err(Errno::EINVAL));
    checks.equal("start", sys::container_start(container), Ok(()));
    let first = run_in(container, "process_args=[\"/bin/worker\",\"exit\",\"7\"]\n");
    checks.equal("a further process ends with its status", first.map_err(|(errno, _)| errno).and_then(status), Ok(7));
    let json = "{\"cwd\":\"/\",\"args\":[\"/bin/worker\",\"host\",\"inside\"],\"env\":[\"A=1\"]}";
    let second = run_in(container, json).map_err(|(errno, _)| errno).and_then(status);
    checks.equal("a document in JSON serves too, and it is in the container's uts namespace", second, Ok(0));
    let user = "process_uid=1000\nprocess_gid=100\nprocess_args=[\"/bin/worker\",\"ids\",\"1000\",\"100\"]\n";
    checks.equal("as its own user", run_in(container, user).map_err(|(errno, _)| errno).and_then(status), Ok(0));
    let missing = run_in(container, "process_arg=/bin/missing\n");
    let told = missing.map_err(|(errno, message)| (errno, message.contains("/bin/missing")));
    checks.equal("a program that is not there is told by its name", told, Err((Errno::ENOENT, true)));
    let wrong = run_in(container, "process_arg=/bin/worker\nhostname=other\n");
    let told = wrong.map_err(|(errno, message)| (errno, message.contains("line 2")));
    checks.equal("what is no setting of a process is told with its line", told, Err((Errno::EINVAL, true)));
    checks.equal("tasks are those of the container", tasks(container), Ok(1));
    let third = run_in(container, "process_args=[\"/bin/worker\",\"forever\"]\n").map_err(|(errno, _)| errno);
    checks.equal("two tasks with a further process", tasks(container), Ok(2));
    checks.equal("the container is killed", sys::container_kill(container, SIGKILL), Ok(()));
    checks.equal("it stops", driver::wait(container).map(|end| end.status), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    checks.equal("and the further process with it", third.and_then(status), Ok(SIGKILL as i32));
    let late = run_in(container, "process_arg=/bin/worker\n").map_err(|(errno, _)| errno);
    checks.equal("none runs in a stopped one", late, Err(Errno::EINVAL));
    checks.equal("delete", driver::delete(container), Ok(()));
}

fn tasks(container: Fd) -> Result<u64, Errno> {
    sys::container_stats(container).map(|stats| stats.pids_current)
}

fn pidfds(checks: &mut Checks) {
    let child = sys::spawn(|| {
        loop {
            // Nothing ends this but a signal.
            let _ = sys::sleep(LONG);
        }
    });
    let child = child.expect("a child");
    let Some(pidfd) = checks.value("pidfd_open of a child", sys::pidfd_open(child, 0)) else { return };
    checks.equal("it is not readable while the child lives", sys::poll(pidfd, POLLIN, Some(SHORT)), Ok(0));
    checks.equal("signal 0 finds it", sys::pidfd_send_signal(pidfd, 0), Ok(()));
    checks.equal("SIGTERM can be sent by it", sys::pidfd_send_signal(pidfd, SIGTERM), Ok(()));
    checks.equal("it is readable when the child has ended", sys::poll(pidfd, POLLIN, Some(LONG)), Ok(POLLIN));
    let info = sys::waitid(P_PIDFD, pidfd, WEXITED);
    let found = info.map(|info| (info[PID], info[STATUS]));
    checks.equal("waitid by it gives the pid and the status", found, Ok((child, SIGTERM as i32)));
    let again = sys::waitid(P_PIDFD, pidfd, WEXITED | WNOHANG).map(drop);
    checks.equal("once", again, Err(Errno::ECHILD));
    checks.equal("then there is nobody to signal", sys::pidfd_send_signal(pidfd, 0), Err(Errno::ESRCH));
    checks.equal("close", sys::close(pidfd), Ok(()));
    checks.equal("pidfd_open of nobody", sys::pidfd_open(child, 0), Err(Errno::ESRCH));
    checks.equal("pidfd_open of 0", sys::pidfd_open(0, 0), Err(Errno::EINVAL));
    checks.equal("with an unknown flag", sys::pidfd_open(sys::getpid(), 1), Err(Errno::EINVAL));
    checks.equal("a signal by what is no pidfd", sys::pidfd_send_signal(1, 0), Err(Errno::EBADF));
    checks.equal("a wait by what is no pidfd", sys::waitid(P_PIDFD, 1, WEXITED).map(drop), Err(Errno::EBADF));
}

/// A further process that nobody waits for holds nothing up.
fn unreaped(checks: &mut Checks) {
    let container = running("unreaped", "");
    let guest = run_in(container, "process_args=[\"/bin/worker\",\"exit\",\"3\"]\n").map_err(|(errno, _)| errno);
    let Ok(guest) = guest else {
        checks.holds("a further process runs", false);
        return;
    };
    checks.equal("it ends", sys::poll(guest, POLLIN, Some(LONG)), Ok(POLLIN));
    checks.equal("the container is killed", sys::container_kill(container, SIGKILL), Ok(()));
    checks.equal("and stops, though nobody has waited", sys::poll(container, POLLIN, Some(LONG)), Ok(POLLIN));
    checks.equal("delete", driver::delete(container), Ok(()));
    checks.equal("its status is there still", status(guest), Ok(3));
}

fn pause(checks: &mut Checks) {
    let config = driver::config("", &["/bin/worker", "spin"]);
    let container = driver::create("spin", &config, CreateFlags::empty()).expect("a container");
    checks.equal("a created one cannot be paused", sys::container_pause(container), Err(Errno::EINVAL));
    checks.equal("start", sys::container_start(container), Ok(()));
    checks.equal("resume of a running one is EINVAL", sys::container_resume(container), Err(Errno::EINVAL));
    let used = |span| {
        let before = sys::container_stats(container).map_or(0, |stats| stats.cpu_usage_ns);
        let _ = sys::sleep(span);
        sys::container_stats(container).map_or(0, |stats| stats.cpu_usage_ns) - before
    };
    checks.holds("it uses the processor", used(SHORT) > 0);
    checks.equal("pause", sys::container_pause(container), Ok(()));
    checks.equal("it is paused", driver::status("spin"), Some(Status::Paused));
    checks.equal("a frozen container uses no processor time", used(SHORT), 0);
    checks.equal("a second pause is EINVAL", sys::container_pause(container), Err(Errno::EINVAL));
    let refused =
        run_in(container, "process_arg=/bin/worker\n").map_err(|(errno, message)| (errno, message.contains("paused")));
    checks.equal("no process runs in a paused one", refused, Err((Errno::EINVAL, true)));
    let refused = sys::container_delete(container, DeleteFlags::empty());
    checks.equal("delete of a paused one is EBUSY", refused, Err(Errno::EBUSY));
    checks.equal("resume", sys::container_resume(container), Ok(()));
    checks.equal("it runs", driver::status("spin"), Some(Status::Running));
    checks.holds("and uses the processor again", used(SHORT) > 0);
    checks.equal("paused again", sys::container_pause(container), Ok(()));
    checks.equal("FORCE deletes it", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    checks.equal("close", sys::close(container), Ok(()));
}

fn update(checks: &mut Checks) {
    let container = running("update", "memory_limit=16M\npids_limit=8\n");
    let limits = || sys::container_stats(container).map(|stats| (stats.memory_limit, stats.pids_limit));
    checks.equal("statistics tell the limits", limits(), Ok((16 << 20, 8)));
    let change = |document: &str| {
        let mut message = [0; 256];
        sys::container_update(container, document.as_bytes(), &mut message).map_err(|(errno, _)| errno)
    };
    checks.equal("a limit is changed", change("memory_limit=32M\n"), Ok(()));
    checks.equal("and no other", limits(), Ok((32 << 20, 8)));
    checks.equal("by JSON too", change("{\"pids\":{\"limit\":4}}"), Ok(()));
    checks.equal("which is so then", limits(), Ok((32 << 20, 4)));
    checks.equal("a limit below what is used is EBUSY", change("pids_limit=2\nmemory_limit=4K\n"), Err(Errno::EBUSY));
    checks.equal("what is no limit is EINVAL", change("hostname=x\n"), Err(Errno::EINVAL));
    checks.equal("and so is what cannot be read", change("memory_limit=much\n"), Err(Errno::EINVAL));
    checks.equal("nothing of these has changed anything", limits(), Ok((32 << 20, 4)));
    checks.equal("a limit is taken away", change("memory_limit=max\n"), Ok(()));
    checks.equal("then there is none", limits(), Ok((Stats::UNLIMITED, 4)));
    let stats = sys::container_stats(container).unwrap_or_default();
    checks.holds("it has memory", stats.memory_current > 0 && stats.memory_peak >= stats.memory_current);
    checks.equal("and one task", (stats.pids_current, stats.pids_peak), (1, 1));
    checks.equal("FORCE", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    checks.equal("close", sys::close(container), Ok(()));
}

fn open(checks: &mut Checks) {
    let container = running("kept", "");
    checks.equal("the last descriptor is closed", sys::close(container), Ok(()));
    checks.equal("the container runs on", driver::status("kept"), Some(Status::Running));
    let Some(container) = checks.value("it is opened by its id", sys::container_open("kept")) else { return };
    let second = sys::container_open("kept").unwrap_or(-1);
    for id in ["nobody", "", "kept/inner", "/kept", "kept/", "a b"] {
        checks.equal(format_args!("{id:?} is ENOENT"), sys::container_open(id), Err(Errno::ENOENT));
    }
    checks.equal("delete by one", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    checks.equal("the other finds it deleted", sys::container_start(second), Err(Errno::EINVAL));
    checks.equal("it cannot be opened any more", sys::container_open("kept"), Err(Errno::ENOENT));
    checks.equal("both close", (sys::close(container), sys::close(second)), (Ok(()), Ok(())));
}

fn features(checks: &mut Checks) {
    let mut buffer = [0; 8192];
    let length = sys::container_features(&mut buffer).unwrap_or(0);
    let json = core::str::from_utf8(&buffer[..length]).unwrap_or("");
    for expected in ["\"ociVersionMax\":\"1.3.0\"", "\"createContainer\"", "\"pid\"", "\"v2\":true"] {
        checks.holds(format_args!("the features have {expected}"), json.contains(expected));
    }
    checks.equal("a length of 0 asks for the length", sys::container_features(&mut []), Ok(length));
    checks.equal("too small a buffer is ERANGE", sys::container_features(&mut [0; 8]), Err(Errno::ERANGE));
}

/// A container that may make containers, and sees its own only.
const NESTING: &str =
    "capability=all\npids_limit=6\nmemory_limit=16M\nmount=/bundle:bind:/bundle\nmount=/proc:tmpfs:tmpfs\n";

fn nested(checks: &mut Checks) {
    let neighbour = running("neighbour", "");
    let end = driver::run("outer", &driver::config(NESTING, &["/bin/guests", "inside"]));
    checks.equal("a container makes containers", end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
    let end = driver::run(
        "plain",
        &driver::config("capability=default\nmount=/bundle:bind:/bundle\n", &["/bin/guests", "refused"]),
    );
    checks.equal("one without CAP_SYS_ADMIN does not", end.map(|end| end.status), Ok(WaitStatus::Exited(0)));

    let config = driver::config(NESTING, &["/bin/worker", "forever"]);
    let outer = driver::create("outer", &config, CreateFlags::empty()).expect("a container");
    checks.equal("start", sys::container_start(outer), Ok(()));
    let maker = "process_args=[\"/bin/worker\",\"contain\",\"left\"]\ncapability=all\n";
    let made = run_in(outer, maker).map_err(|(errno, _)| errno).and_then(status);
    checks.equal("a further process in it makes one and leaves it", made, Ok(0));
    let inner = text!(64, "outer/left");
    let Some(inner) = checks.value("which is opened by its path", sys::container_open(&inner)) else { return };
    checks.equal("and is not in the list here", driver::status("left"), None);
    checks.equal("tasks inside count outside", tasks(outer), Ok(2));
    checks.equal("the outer one is killed and deleted", sys::container_delete(outer, DeleteFlags::FORCE), Ok(()));
    checks.equal("the inner one is gone with it", sys::container_start(inner), Err(Errno::EINVAL));
    let state = sys::container_state(inner, &mut []);
    checks.equal("for good", state, Err(Errno::ENOENT));
    checks.equal("both close", (sys::close(outer), sys::close(inner)), (Ok(()), Ok(())));
    checks.equal("the neighbour lives", driver::status("neighbour"), Some(Status::Running));
    checks.equal("FORCE", sys::container_delete(neighbour, DeleteFlags::FORCE), Ok(()));
    checks.equal("close", sys::close(neighbour), Ok(()));
}

/// Runs in a container without CAP_SYS_ADMIN.
fn refused(checks: &mut Checks) {
    checks.equal("no list", driver::count(), Err(Errno::EPERM));
    checks.equal("no container to open", sys::container_open("outer"), Err(Errno::EPERM));
    let made = driver::create("inner", &driver::config("", &["/bin/worker"]), CreateFlags::empty());
    checks.equal("none to make", made.map_err(|(errno, _)| errno), Err(Errno::EPERM));
}

/// Runs in a container.
fn inside(checks: &mut Checks) {
    checks.equal("no container is seen from inside", driver::count(), Ok(0));
    checks.equal("the outer one cannot be opened", sys::container_open("outer"), Err(Errno::ENOENT));
    checks.equal("nor the neighbour", sys::container_open("neighbour"), Err(Errno::ENOENT));
    // An id that is taken outside is free in here.
    let config = driver::config("memory_limit=1G\n", &["/bin/worker", "exit", "5"]);
    let end = driver::run("neighbour", &config);
    checks.equal(
        "one is made and runs, with an id that is taken outside",
        end.map(|end| end.status),
        Ok(WaitStatus::Exited(5)),
    );
    let hog = driver::config("memory_limit=1G\n", &["/bin/worker", "fork-bomb"]);
    let end = driver::run("bomb", &hog);
    checks.holds(
        "a fork bomb in it is held by the outer one's limit",
        end.is_ok_and(|end| matches!(end.status, WaitStatus::Exited(count) if (1..6).contains(&count))),
    );
    let busy = driver::config("", &["/bin/worker", "forever"]);
    let busy = driver::create("busy", &busy, CreateFlags::empty());
    let Ok(busy) = busy else {
        checks.holds("a second one is made", false);
        return;
    };
    checks.equal("a second one starts", sys::container_start(busy), Ok(()));
    checks.equal("one is in the list", driver::count(), Ok(1));
    let mut pid = 0;
    let _ = driver::list(|entry| pid = entry.pid);
    checks.holds("its process is seen here by a number of here", pid > 1 && sys::kill(pid as i32, 0).is_ok());
    checks.equal("it is deleted", sys::container_delete(busy, DeleteFlags::FORCE), Ok(()));
    checks.equal("and closed", sys::close(busy), Ok(()));
}
