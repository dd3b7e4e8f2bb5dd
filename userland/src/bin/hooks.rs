//! Driver: hooks of all six kinds: in their order and their namespaces, with the state on their standard input; and
//! what becomes of a container when one fails or takes too long.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{O_CREAT, O_TRUNC, O_WRONLY, SIGKILL};
use veridian_containers::Status;
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno};
use veridian_userland::check::{Checks, enter_scratch, read_text, until, wait_for};
use veridian_userland::heapless::String;
use veridian_userland::sys::{self, Start};
use veridian_userland::{driver, program};

program!(main);

/// The container's `/tmp` is the probe's, for hooks inside to leave their lines in.
const SHARED: &str = "mount=/tmp:bind:/tmp\n";
/// How long a hook may hang.
const TIMEOUT: u64 = 1_000_000_000;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    enter_scratch();
    checks.equal("the machine has a name", sys::sethostname(b"outside"), Ok(()));
    order(&mut checks);
    environment(&mut checks);
    for kind in ["prestart", "create_runtime", "create_container"] {
        failing_create(&mut checks, kind);
    }
    for kind in ["start_container", "poststart"] {
        failing_start(&mut checks, kind);
    }
    failing_poststop(&mut checks);
    timeout(&mut checks);
    missing(&mut checks);
    killed_caller(&mut checks);
    checks.equal("no container is left", driver::count(), Ok(0));
    checks.finish()
}

/// What the hooks have written since the last time.
fn log() -> String<2048> {
    let text = read_text(c"/tmp/log").unwrap_or_default();
    let _ = sys::openat(sys::AT_FDCWD, c"/tmp/log", O_CREAT | O_TRUNC | O_WRONLY, 0o666).map(sys::close);
    text
}

/// The label of each line.
fn labels(log: &str) -> String<256> {
    let mut labels = String::new();
    for line in log.lines() {
        let _ = labels.push_str(line.split(':').next().unwrap_or(""));
        let _ = labels.push_str(" ");
    }
    labels
}

fn line<'a>(log: &'a str, label: &str) -> &'a str {
    log.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(": ")).unwrap_or("")
}

fn holds(checks: &mut Checks, log: &str, label: &str, expected: &str) {
    let line = line(log, label);
    for word in expected.split(' ') {
        let found = line.split(' ').any(|found| found == word);
        checks.holds(format_args!("{label} finds {word}: {line}"), found);
    }
}

/// Hooks of every kind, one of them twice.
const ALL: &str = "\
hook_prestart=[\"/bin/hook\",\"prestart\",\"ok\"]
hook_create_runtime=[\"/bin/hook\",\"runtime1\",\"ok\"]:30
hook_create_runtime=[\"/bin/hook\",\"runtime2\",\"ok\"]
hook_create_container=[\"/bin/hook\",\"create\",\"ok\"]
hook_start_container=[\"/bin/hook\",\"start\",\"ok\"]
hook_poststart=[\"/bin/hook\",\"poststart\",\"ok\"]
hook_poststop=[\"/bin/hook\",\"poststop1\",\"ok\"]
hook_poststop=[\"/bin/hook\",\"poststop2\",\"ok\"]
";

fn config(hooks: &str, arguments: &[&str]) -> driver::Config {
    let mut lines = String::<1536>::new();
    lines.push_str(SHARED).and_then(|()| lines.push_str(hooks)).expect("the lines fit");
    driver::config(&lines, arguments)
}

fn order(checks: &mut Checks) {
    let made = driver::create("order", &config(ALL, &["/bin/worker", "forever"]), CreateFlags::empty());
    checks.equal("a container with hooks is created", made.as_ref().err(), None);
    let Ok(container) = made else { return };
    let created = log();
    checks.equal("create runs its hooks in order", labels(&created).as_str(), "prestart runtime1 runtime2 create ");
    let mut pid = 0;
    let _ = driver::list(|entry| pid = entry.pid);
    let outside = veridian_userland::text!(64, "creating pid={pid} id=order host=outside bundle=yes inside=no");
    for label in ["prestart", "runtime1", "runtime2"] {
        holds(checks, &created, label, &outside);
    }
    let around = "creating pid=1 id=order host=inside self=inner bundle=yes inside=yes";
    holds(checks, &created, "create", around);
    checks.equal("it is created", driver::status("order"), Some(Status::Created));

    checks.equal("start", sys::container_start(container), Ok(()));
    let started = log();
    checks.equal("start runs its hooks in order", labels(&started).as_str(), "start poststart ");
    holds(checks, &started, "start", "created pid=1 host=inside self=inner bundle=no");
    let outside = veridian_userland::text!(64, "running pid={pid} host=outside bundle=yes");
    holds(checks, &started, "poststart", &outside);
    checks.equal("it runs", driver::status("order"), Some(Status::Running));

    checks.equal("it is killed and deleted", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    let stopped = log();
    checks.equal("delete runs its hooks in order", labels(&stopped).as_str(), "poststop1 poststop2 ");
    holds(checks, &stopped, "poststop1", "stopped pid=0 host=outside bundle=yes inside=no");
    checks.equal("close", sys::close(container), Ok(()));
}

fn environment(checks: &mut Checks) {
    let hooks = "process_env=HOOK=process\n\
        hook_create_runtime=[\"/bin/hook\",\"none\",\"ok\"]\n\
        hook_create_runtime=[\"/bin/hook\",\"own\",\"ok\"]\nhook_env=HOOK=own\n\
        hook_start_container=[\"/bin/hook\",\"inherited\",\"ok\"]\n";
    let ended = driver::run("environment", &config(hooks, &["/bin/worker", "exit", "0"]));
    checks.holds("a container whose hooks look at their environment runs", ended.is_ok());
    let log = log();
    holds(checks, &log, "none", "env=-");
    holds(checks, &log, "own", "env=own");
    holds(checks, &log, "inherited", "env=process");
}

fn failing_create(checks: &mut Checks, kind: &str) {
    let hooks = veridian_userland::text!(
        512,
        "hook_{kind}=[\"/bin/hook\",\"bad\",\"fail\"]\nhook_{kind}=[\"/bin/hook\",\"never\",\"ok\"]\n\
         hook_poststop=[\"/bin/hook\",\"poststop\",\"ok\"]\n"
    );
    let made = driver::create("failing", &config(&hooks, &["/bin/worker", "exit", "0"]), CreateFlags::empty());
    let refused = made.map_err(|(errno, message)| (errno, message.contains("exited with status 3")));
    checks.equal(
        format_args!("a failing {kind} hook fails create, with its status"),
        refused,
        Err((Errno::ECANCELED, true)),
    );
    checks.equal("no further hook runs, but those after the end", labels(&log()).as_str(), "bad poststop ");
    checks.equal("and nothing is left of it", driver::status("failing"), None);
}

fn failing_start(checks: &mut Checks, kind: &str) {
    let hooks = veridian_userland::text!(
        512,
        "hook_{kind}=[\"/bin/hook\",\"bad\",\"fail\"]\nhook_poststop=[\"/bin/hook\",\"poststop\",\"ok\"]\n"
    );
    let Ok(container) = driver::create("failing", &config(&hooks, &["/bin/worker", "forever"]), CreateFlags::empty())
    else {
        checks.holds("a container whose start will fail is created", false);
        return;
    };
    let refused = sys::container_start(container);
    checks.equal(format_args!("a failing {kind} hook fails start"), refused, Err(Errno::ECANCELED));
    checks.equal("the container is stopped and deleted, with its hooks", labels(&log()).as_str(), "bad poststop ");
    checks.equal("its id is free", driver::status("failing"), None);
    checks.equal("its descriptor closes", sys::close(container), Ok(()));
}

fn failing_poststop(checks: &mut Checks) {
    let hooks = "hook_poststop=[\"/bin/hook\",\"bad\",\"fail\"]\nhook_poststop=[\"/bin/hook\",\"after\",\"ok\"]\n";
    let ended = driver::run("poststop", &config(hooks, &["/bin/worker", "exit", "0"]));
    checks.holds("a failing poststop hook fails nothing", ended.is_ok());
    checks.equal("and those after it run", labels(&log()).as_str(), "bad after ");
}

fn timeout(checks: &mut Checks) {
    let hooks = "hook_create_runtime=[\"/bin/hook\",\"slow\",\"hang\"]:1\n";
    let before = processes();
    let begin = sys::now();
    let made = driver::create("slow", &config(hooks, &["/bin/worker", "exit", "0"]), CreateFlags::empty());
    checks.equal("a hook that hangs fails create", made.map_err(|(errno, _)| errno), Err(Errno::ETIMEDOUT));
    let spent = sys::now() - begin;
    checks.holds("after its timeout, and soon", (TIMEOUT..20 * TIMEOUT).contains(&spent));
    checks.equal("it ran", labels(&log()).as_str(), "slow ");
    gone(checks, "it and its child are gone", before);
}

/// Tasks of the machine.
fn processes() -> u16 {
    sys::sysinfo().map_or(0, |info| info.procs)
}

/// Whether there are only as many tasks again, soon.
fn gone(checks: &mut Checks, sentence: &str, before: u16) {
    checks.holds(sentence, until(|| processes() <= before));
}

fn missing(checks: &mut Checks) {
    let hooks = "hook_prestart=/bin/no-such-hook\n";
    let made = driver::create("missing", &config(hooks, &["/bin/worker", "exit", "0"]), CreateFlags::empty());
    checks.equal("a hook that is not there fails create", made.map_err(|(errno, _)| errno), Err(Errno::ENOENT));
}

/// Whoever creates a container is killed while a hook runs.
fn killed_caller(checks: &mut Checks) {
    let before = processes();
    let hooks = "hook_create_runtime=[\"/bin/hook\",\"slow\",\"hang\"]\n\
        hook_poststop=[\"/bin/hook\",\"poststop\",\"ok\"]\n";
    let config = config(hooks, &["/bin/worker", "exit", "0"]);
    let child = sys::spawn(|| i32::from(driver::create("victim", &config, CreateFlags::empty()).is_err()));
    let Ok(child) = child else {
        checks.holds("a child that creates", false);
        return;
    };
    // Not emptied before there is something: it could come in between.
    until(|| read_text::<2048>(c"/tmp/log").is_ok_and(|text| !text.is_empty()));
    checks.equal("the hook runs", labels(&log()).as_str(), "slow ");
    checks.equal("its container is being created", driver::status("victim"), Some(Status::Creating));
    checks.equal("the caller is killed", sys::kill(child, SIGKILL), Ok(()));
    checks.holds("and ends", wait_for(child).is_ok());
    gone(checks, "so does the hook", before);
    checks.holds("nothing is left of the container", until(|| driver::status("victim").is_none()));
    checks.equal("and its last hooks have run", labels(&log()).as_str(), "poststop ");
}
