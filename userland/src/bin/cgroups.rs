//! Driver: control groups through the cgroup2 file system: their tree, freezing, memory, tasks, who may change what,
//! and a container's keys.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::Write;

use heapless::String;
use linux_raw_sys::general::{
    CLONE_INTO_CGROUP, CLONE_NEWCGROUP, O_CREAT, O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY, POLLPRI, WNOHANG,
};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child, until, wait_for};
use veridian_userland::groups::{
    self, KILLED, Path, burner, end, field, get, is, join, make, number, put, remove, usage,
};
use veridian_userland::sys::{self, CloneArgs, Fd, Region, Start};
use veridian_userland::{driver, program};

program!(main);

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
const PAGE: usize = 4096;

fn main(start: &Start) -> i32 {
    if let Some(word) = start.arg(1) {
        return inside(word);
    }
    let mut checks = Checks::new();
    checks.equal("cgroup2 is mounted", groups::mount(), Ok(()));
    tree(&mut checks);
    freezer(&mut checks);
    tasks(&mut checks);
    memory(&mut checks);
    scores(&mut checks);
    clones(&mut checks);
    namespace(&mut checks);
    container(&mut checks);
    delegation(&mut checks);
    checks.finish()
}

fn tree(checks: &mut Checks) {
    checks.holds("the root has all controllers", is("cgroup.controllers", "cpuset cpu memory pids"));
    checks.equal("a group is made", make("t"), Ok(()));
    checks.equal("its name is taken", make("t"), Err(Errno::EEXIST));
    checks.equal("a file's name is taken too", make("t/cgroup.procs"), Err(Errno::EEXIST));
    checks.equal(
        "it has no controllers' files before they are handed on",
        get("t/memory.max").map(drop),
        Err(Errno::ENOENT),
    );
    checks.equal("no such controller", put("cgroup.subtree_control", "+disk"), Err(Errno::EINVAL));
    checks.equal("controllers are handed on", put("cgroup.subtree_control", "+cpuset +cpu +memory +pids"), Ok(()));
    checks.holds(
        "it has them now",
        is("t/memory.max", "max") && is("t/cpu.max", "max 100000") && is("t/pids.max", "max"),
    );
    for (file, text, errno) in [
        ("t/cpu.max", "10 100000", Errno::EINVAL),
        ("t/cpu.weight", "0", Errno::ERANGE),
        ("t/memory.max", "many", Errno::EINVAL),
        ("t/pids.max", "-1", Errno::EINVAL),
        ("t/cgroup.freeze", "2", Errno::ERANGE),
        ("t/cgroup.type", "threaded", Errno::EOPNOTSUPP),
        ("t/cgroup.threads", "0", Errno::EOPNOTSUPP),
        ("t/cgroup.procs", "999999", Errno::ESRCH),
    ] {
        checks.equal(format_args!("{text:?} to {file}"), put(file, text), Err(errno));
    }
    checks.equal("what counts cannot be written", put("t/memory.current", "0"), Err(Errno::EINVAL));
    let child = burner("t");
    while !is("t/cgroup.events", "populated 1\nfrozen 0") {
        sys::sched_yield();
    }
    checks.equal("a group with a process is busy", remove("t"), Err(Errno::EBUSY));
    checks.equal("it hands nothing on", put("t/cgroup.subtree_control", "+pids"), Err(Errno::EBUSY));
    let mut number = String::<16>::new();
    write!(number, "{child}").expect("a number fits");
    checks.holds("the process is listed", is("t/cgroup.procs", &number));
    checks.equal("groups below", make("t/below"), Ok(()));
    checks.equal("the group is killed whole", put("t/cgroup.kill", "1"), Ok(()));
    checks.equal("the process is dead", wait_for(child), KILLED);
    checks.equal("now it hands on", put("t/cgroup.subtree_control", "+pids"), Ok(()));
    checks.equal("and takes no process", join("t"), Err(Errno::EBUSY));
    checks.equal("a group above another is busy", remove("t"), Err(Errno::EBUSY));
    checks.equal("a bound on groups below", put("t/cgroup.max.descendants", "1"), Ok(()));
    checks.equal("holds", make("t/second"), Err(Errno::EAGAIN));
    checks.holds("they are counted", field("t/cgroup.stat", "nr_descendants") == 1);
    let removed = (remove("t/below"), remove("t"));
    checks.equal("all are removed", removed, (Ok(()), Ok(())));
    let mut deep = Path::new();
    let mut depth = 0;
    let stopped = loop {
        write!(deep, "{}d", if depth == 0 { "" } else { "/" }).expect("the path fits");
        match make(&deep) {
            Ok(()) => depth += 1,
            Err(errno) => break errno,
        }
    };
    checks.equal("groups nest so deep and no deeper", (depth, stopped), (32, Errno::EAGAIN));
    while depth > 0 {
        deep.truncate(2 * depth - 1);
        remove(&deep).expect("an empty group");
        depth -= 1;
    }
}

fn freezer(checks: &mut Checks) {
    make("f").expect("a group");
    let burners = [burner("f"), burner("f")];
    until(|| usage("f") >= 10_000);
    let events = sys::open(c"/cg/f/cgroup.events", O_RDONLY).expect("events");
    sys::read(events, &mut [0; 64]).expect("read once");
    checks.equal("a group is frozen", put("f/cgroup.freeze", "1"), Ok(()));
    let told = sys::poll(events, POLLPRI, Some(30_000 * MILLISECOND));
    checks.holds("who watches is told", told.is_ok_and(|ready| ready & POLLPRI != 0));
    sys::close(events).expect("open before");
    checks.holds("it comes to rest", until(|| is("f/cgroup.events", "populated 1\nfrozen 1")));
    let before = usage("f");
    sys::sleep(100 * MILLISECOND).expect("time passes");
    checks.equal("and uses no CPU", usage("f"), before);
    checks.equal("a frozen process can be killed", end(burners[0]), KILLED);
    checks.equal("the other still rests", sys::wait4(burners[1], WNOHANG), Ok((0, 0)));
    checks.equal("the group is thawed", put("f/cgroup.freeze", "0"), Ok(()));
    checks.holds("and runs again", until(|| usage("f") > before + 5000));
    checks.equal("the other ends", end(burners[1]), KILLED);
    checks.equal("the group is removed", remove("f"), Ok(()));
}

fn tasks(checks: &mut Checks) {
    make("p").expect("a group");
    put("p/pids.max", "2").expect("a limit");
    let outcome = in_child(|| {
        if join("p").is_err() {
            return 1;
        }
        let first = sys::spawn(|| 0);
        let second = sys::spawn(|| 0);
        let refused = matches!((first, second), (Ok(_), Err(Errno::EAGAIN)));
        i32::from(!refused)
    });
    checks.equal("a group of two has no third", outcome, Ok(WaitStatus::Exited(0)));
    checks.holds("the refusal is counted", is("p/pids.events", "max 1") && is("p/pids.peak", "2"));
    put("p/pids.max", "0").expect("a limit of none");
    let outcome = in_child(|| i32::from(join("p").is_err() || sys::spawn(|| 0) != Err(Errno::EAGAIN)));
    checks.equal("a limit of 0 forbids to fork, not to move", outcome, Ok(WaitStatus::Exited(0)));
    while remove("p") == Err(Errno::EBUSY) {
        sys::sched_yield();
    }
}

/// Touches this much memory, and then waits to be killed.
fn hog(bytes: usize) -> i32 {
    let Ok(memory) = Region::anonymous(bytes) else { return 1 };
    (0..bytes).step_by(PAGE).for_each(|offset| memory.set(offset, 1));
    loop {
        let _ = sys::sleep(1000 * MILLISECOND);
    }
}

fn memory(checks: &mut Checks) {
    const LIMIT: u64 = 4 << 20;
    make("m").expect("a group");
    put("m/memory.max", "4M").expect("a limit");
    let member = |bytes| sys::spawn(move || if join("m").is_ok() { hog(bytes) } else { 1 }).expect("a child");
    let small = member(64 << 10);
    until(|| field("m/memory.stat", "anon") >= 64 << 10);
    let large = member(16 << 20);
    checks.equal("the largest of a group at its limit is killed", wait_for(large), KILLED);
    checks.equal("the others live", sys::wait4(small, WNOHANG), Ok((0, 0)));
    checks.equal("it was killed at the limit, to the page", number("m/memory.peak"), LIMIT);
    checks.equal("one was killed", field("m/memory.events", "oom_kill"), 1);
    checks.equal("and no group", field("m/memory.events", "oom_group_kill"), 0);
    checks.holds("what it has is told by kind", field("m/memory.stat", "anon") >= 64 << 10);
    put("m/memory.oom.group", "1").expect("as one");
    let large = member(16 << 20);
    checks.equal("of a group that dies as one the largest dies", wait_for(large), KILLED);
    checks.equal("and the others", wait_for(small), KILLED);
    checks.equal("the group was killed", field("m/memory.events", "oom_group_kill"), 1);
    put("m/memory.high", "1M").expect("a threshold");
    let slow = member(3 << 20);
    checks.holds("who goes over memory.high is slowed", until(|| field("m/memory.events", "high") >= 1));
    sys::sleep(300 * MILLISECOND).expect("time passes");
    let current = number("m/memory.current");
    checks.holds(format_args!("to a crawl: {current}"), current < 2 << 20);
    checks.equal("it can be killed meanwhile", end(slow), KILLED);
    checks.equal("a limit is lowered below what is used", put("m/memory.high", "max"), Ok(()));
    let used = member(2 << 20);
    until(|| field("m/memory.stat", "anon") >= 2 << 20);
    put("m/memory.max", "1M").expect("a lower limit");
    checks.equal("who used it is killed", wait_for(used), KILLED);
    checks.equal("the group is removed", remove("m"), Ok(()));
}

fn namespace(checks: &mut Checks) {
    make("n").expect("a group");
    let outcome = in_child(|| {
        let mut wrong = 0;
        let mut hold = |holds: bool, bit: u32| wrong |= if holds { 0 } else { 1 << bit };
        hold(join("n").is_ok(), 0);
        hold(sys::unshare(CLONE_NEWCGROUP).is_ok(), 1);
        hold(sys::mkdir(c"/cg-own", 0o755).is_ok(), 2);
        hold(sys::mount(c"own", c"/cg-own", c"cgroup2", 0, None).is_ok(), 2);
        let inside = |name: &str| {
            let mut path = Path::new();
            write!(path, "../cg-own/{name}").expect("the path fits");
            path
        };
        hold(is(&inside("cgroup.type"), "domain"), 3);
        hold(put(&inside("memory.max"), "1M") == Err(Errno::EPERM), 4);
        hold(make(&inside("sub")).is_ok(), 5);
        hold(put(&inside("sub/cgroup.procs"), "0").is_ok(), 5);
        // What lies outside is seen by the old mount, and not to be changed.
        hold(make("n-beside") == Err(Errno::EPERM), 6);
        hold(put("n/memory.max", "max") == Err(Errno::EPERM), 6);
        hold(put("cgroup.procs", "0") == Err(Errno::EPERM), 6);
        wrong
    });
    checks.equal("a cgroup namespace shows its own part and changes nothing else", outcome, Ok(WaitStatus::Exited(0)));
    checks.equal("what was made below is there", remove("n/sub"), Ok(()));
    checks.equal("the group is removed", remove("n"), Ok(()));
    let _ = sys::umount(c"/cg-own", 0);
}

fn container(checks: &mut Checks) {
    const KEYS: &str = "cgroups_path=/deep/er/one\ncpu_shares=2048\ncpu_quota=50000\ncpu_period=200000\ncpu_burst=10000\n\
        cpuset_cpus=0\nmemory_limit=8M\nmemory_high=6M\nmemory_reservation=1M\nmemory_swap=9M\npids_limit=16\n\
        unified=memory.min=4096\n";
    let refused = driver::config("unified=memory.most=1\n", &["/bin/hello"]);
    let errno = driver::create("keyless", &refused, CreateFlags::empty()).map_err(|(errno, _)| errno);
    checks.equal("an unknown file of the group is refused", errno, Err(Errno::ENOENT));
    let config = driver::config(KEYS, &["/bin/hello"]);
    let Ok(made) = driver::create("limited", &config, CreateFlags::empty()) else {
        checks.holds("a container has a group of its own", false);
        return;
    };
    for (file, value) in [
        ("cpu.weight", "174"),
        ("cpu.max", "50000 200000"),
        ("cpu.max.burst", "10000"),
        ("cpuset.cpus", "0"),
        ("memory.max", "8388608"),
        ("memory.high", "6291456"),
        ("memory.low", "1048576"),
        ("memory.min", "4096"),
        ("memory.swap.max", "1048576"),
        ("memory.oom.group", "1"),
        ("pids.max", "16"),
    ] {
        let mut name = Path::new();
        write!(name, "deep/er/one/{file}").expect("the path fits");
        checks.holds(format_args!("{file} of the container is {value}"), is(&name, value));
    }
    update(checks, made);
    checks.equal("its group cannot be removed", remove("deep/er/one"), Err(Errno::EBUSY));
    let started = sys::container_start(made);
    checks.equal("it runs", started.and_then(|()| driver::wait(made)).map(|end| end.status), Ok(WaitStatus::Exited(0)));
    checks.equal("it is deleted", driver::delete(made), Ok(()));
    let gone = sys::open(c"/cg/deep", O_RDONLY | O_DIRECTORY);
    checks.equal("and its groups with it", gone.map(drop), Err(Errno::ENOENT));
}

/// New limits: all or none.
fn update(checks: &mut Checks, container: Fd) {
    let update = |lines: &str| {
        let updated = sys::container_update(container, lines.as_bytes(), &mut [0; 256]);
        updated.map_err(|(errno, _)| errno)
    };
    let holds = |weight, max, bytes| {
        is("deep/er/one/cpu.weight", weight) && is("deep/er/one/cpu.max", max) && is("deep/er/one/memory.max", bytes)
    };
    checks.equal("limits are changed", update("cpu_shares=1024\ncpu_quota=20000\nmemory_limit=16M\n"), Ok(()));
    checks.holds("all of them, and no others", holds("100", "20000 200000", "16777216"));
    checks.holds("nor those beside them", is("deep/er/one/pids.max", "16") && is("deep/er/one/memory.high", "6291456"));
    for (sentence, lines, errno) in [
        ("less memory than is in use", "cpu_shares=2\nmemory_limit=4096\n", Errno::EBUSY),
        ("a burst above the quota", "cpu_shares=2\nmemory_limit=32M\ncpu_burst=30000\n", Errno::EINVAL),
        ("a CPU that is not there", "cpu_quota=0\nmemory_limit=32M\ncpuset_cpus=40\n", Errno::EINVAL),
        ("no such file", "cpu_quota=0\nmemory_limit=32M\nunified=cpu.most=1\n", Errno::ENOENT),
    ] {
        checks.equal(format_args!("{sentence} is refused"), update(lines), Err(errno));
        checks.holds("and nothing is changed", holds("100", "20000 200000", "16777216"));
    }
}

/// Who is killed when a group is at its limit: it is moved by oom_score_adj.
fn scores(checks: &mut Checks) {
    sys::mount(c"proc", c"/proc", c"proc", 0, None).expect("procfs");
    make("o").expect("a group");
    put("o/memory.max", "6M").expect("a limit");
    let member = |score: &'static str, bytes| {
        let child = sys::spawn(move || {
            let there = join("o").and_then(|()| put(SCORE, score));
            if there.is_ok() { hog(bytes) } else { 1 }
        });
        child.expect("a child")
    };
    let (spared, willing) = (member("-1000", 1 << 20), member("1000", 1 << 20));
    until(|| field("o/memory.stat", "anon") >= 2 << 20);
    let large = member("0", 16 << 20);
    checks.equal("who has little is killed first, if it is willing", wait_for(willing), KILLED);
    checks.equal("then who has most", wait_for(large), KILLED);
    put("o/memory.oom.group", "1").expect("as one");
    checks.equal("a group dies as one", wait_for(member("0", 16 << 20)), KILLED);
    checks.equal("but for who is never killed", sys::wait4(spared, WNOHANG), Ok((0, 0)));
    checks.equal("two were killed, and then one", field("o/memory.events", "oom_kill"), 3);
    checks.equal("it ends", end(spared), KILLED);
    checks.equal("the group is removed", remove("o"), Ok(()));
    let wrong = [put(SCORE, "1001"), put(SCORE, "-1001"), put(SCORE, "x")];
    checks.equal("no other scores", wrong, [Err(Errno::EINVAL); 3]);
}

/// The score of the process itself, as a path from `/cg`.
const SCORE: &str = "../proc/self/oom_score_adj";

/// clone3(2) with CLONE_INTO_CGROUP.
fn clones(checks: &mut Checks) {
    make("c").expect("a group");
    let open = |name: &str| sys::open(groups::c_str(&groups::path(name)), O_PATH).expect("a place");
    let (group, file) = (open("c"), open("c/cgroup.procs"));
    let clone = |cgroup: u64, size| {
        let args = CloneArgs { flags: CLONE_INTO_CGROUP, exit_signal: 17, cgroup, size, ..CloneArgs::default() };
        match sys::clone3(args)? {
            0 => sys::exit(i32::from(!is("../proc/self/cgroup", "0::/c"))),
            child => wait_for(child),
        }
    };
    checks.equal("a child is made in a group", clone(group as u64, 0), Ok(WaitStatus::Exited(0)));
    checks.equal("a file is no group", clone(file as u64, 0), Err(Errno::EBADF));
    checks.equal("nor is what is not open", clone(500, 0), Err(Errno::EBADF));
    checks.equal("nor what is no descriptor", clone(u64::MAX, 0), Err(Errno::EINVAL));
    checks.equal("the structure must have the field", clone(group as u64, 80), Err(Errno::EINVAL));
    put("c/pids.max", "0").expect("a limit");
    checks.equal("the group's limit binds", clone(group as u64, 0), Err(Errno::EAGAIN));
    put("c/pids.max", "max").expect("no limit");
    put("c/cgroup.subtree_control", "+pids").expect("handed on");
    checks.equal("no child in a group that hands on", clone(group as u64, 0), Err(Errno::EBUSY));
    checks.equal("the group is removed", remove("c"), Ok(()));
    checks.equal("and takes nobody any more", clone(group as u64, 0), Err(Errno::ENODEV));
    sys::close(group).and_then(|()| sys::close(file)).expect("open before");
}

/// What a container may do with the groups that it sees.
fn delegation(checks: &mut Checks) {
    const SEEN: &str = "mount=/cg:cgroup:cgroup:nosuid,noexec,nodev\nmount=/proc:proc:proc\nmemory_limit=24M\n";
    let mut run = |sentence: &str, word: &str, more: &str| {
        let mut lines = driver::Config::new();
        write!(lines, "{SEEN}{more}").expect("the lines fit");
        let config = driver::config(&lines, &["/bin/cgroups", word]);
        checks.equal(sentence, driver::run("confined", &config).map(|end| end.status), Ok(WaitStatus::Exited(0)));
    };
    run("a container rules below its group and not the group itself", "delegated", "namespace=cgroup\n");
    run("without a cgroup namespace it rules nothing", "bare", "");
    run("nor with all capabilities", "bare", "capability=default\ncapability=CAP_SYS_ADMIN\n");
    run("its score is what the configuration says", "score", "oom_score_adj=300\n");
}

fn inside(word: &str) -> i32 {
    let mut checks = Checks::new();
    match word {
        "delegated" => delegated(&mut checks),
        "bare" => bare(&mut checks),
        _ => score(&mut checks),
    }
    checks.finish()
}

fn delegated(checks: &mut Checks) {
    checks.holds("its group is the root here", is("../proc/self/cgroup", "0::/"));
    checks.holds("it is alone in it", is("cgroup.procs", "1"));
    for (file, text) in [
        ("memory.max", "max"),
        ("memory.high", "max"),
        ("memory.oom.group", "0"),
        ("cpu.max", "max"),
        ("cpu.weight", "10000"),
        ("cpuset.cpus", "0"),
        ("pids.max", "max"),
        ("cgroup.freeze", "1"),
        ("cgroup.kill", "1"),
        ("cgroup.max.depth", "max"),
        ("cgroup.max.descendants", "max"),
    ] {
        checks.equal(format_args!("{file} is not its own to write"), put(file, text), Err(Errno::EPERM));
    }
    checks.equal("it makes a group", make("job"), Ok(()));
    checks.equal("goes there", join("job"), Ok(()));
    checks.holds("as it sees itself", is("../proc/self/cgroup", "0::/job"));
    checks.equal("hands controllers on", put("cgroup.subtree_control", "+memory +pids"), Ok(()));
    checks.equal("and cannot go back then", join(""), Err(Errno::EBUSY));
    checks.equal("nobody outside has a number", put("job/cgroup.procs", "999"), Err(Errno::ESRCH));
    checks.equal("its group is limited", put("job/memory.max", "4M"), Ok(()));
    let large = sys::spawn(|| hog(16 << 20)).expect("a child");
    checks.equal("the limit binds", wait_for(large), KILLED);
    checks.equal("one was killed there", field("job/memory.events", "oom_kill"), 1);
    checks.equal("and the container was never at its own limit", field("memory.events.local", "oom"), 0);
    let path = groups::path;
    let c_str = groups::c_str;
    checks.equal("a busy group stays", remove("job"), Err(Errno::EBUSY));
    checks.equal(
        "groups keep their names",
        sys::rename(c_str(&path("job")), c_str(&path("work")), 0),
        Err(Errno::EPERM),
    );
    checks.equal("files stay", sys::unlink(c_str(&path("job/memory.max"))), Err(Errno::EPERM));
    let created = sys::openat(sys::AT_FDCWD, c_str(&path("job/new")), O_CREAT | O_WRONLY, 0o644);
    checks.equal("and none are made", created, Err(Errno::EACCES));
}

fn bare(checks: &mut Checks) {
    checks.holds("its group is told", is("../proc/self/cgroup", "0::/confined"));
    checks.holds("its limits are shown", is("confined/memory.max", "25165824"));
    for (file, text) in [
        ("cgroup.procs", "0"),
        ("cgroup.subtree_control", "-memory"),
        ("confined/memory.max", "max"),
        ("confined/cgroup.procs", "0"),
        ("confined/cgroup.freeze", "0"),
    ] {
        checks.equal(format_args!("{file} is not its own to write"), put(file, text), Err(Errno::EPERM));
    }
    checks.equal("it makes no group", make("more"), Err(Errno::EPERM));
    checks.equal("not even below its own", make("confined/more"), Err(Errno::EPERM));
    checks.equal("it removes none", remove("confined"), Err(Errno::EPERM));
}

fn score(checks: &mut Checks) {
    checks.holds("the score is the configuration's", is(SCORE, "300"));
    checks.equal("it is raised", put(SCORE, "700"), Ok(()));
    checks.equal("and lowered to what it was", put(SCORE, "300"), Ok(()));
    checks.equal("but no further", put(SCORE, "299"), Err(Errno::EACCES));
}
