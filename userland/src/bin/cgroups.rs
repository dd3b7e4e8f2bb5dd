//! Driver: control groups through the cgroup2 file system: their tree, freezing, memory, tasks, who may change what,
//! and a container's keys.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::Write;

use heapless::String;
use linux_raw_sys::general::{CLONE_NEWCGROUP, O_DIRECTORY, O_RDONLY, POLLPRI, WNOHANG};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child, wait_for};
use veridian_userland::groups::{
    self, KILLED, Path, burner, end, field, get, is, join, make, number, put, remove, usage,
};
use veridian_userland::sys::{self, Region, Start};
use veridian_userland::{driver, program};

program!(main);

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
const PAGE: usize = 4096;

fn main(_: &Start) -> i32 {
    let mut checks = Checks::new();
    checks.equal("cgroup2 is mounted", groups::mount(), Ok(()));
    tree(&mut checks);
    freezer(&mut checks);
    tasks(&mut checks);
    memory(&mut checks);
    namespace(&mut checks);
    container(&mut checks);
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
    while usage("f") < 10_000 {
        sys::sleep(5 * MILLISECOND).expect("time passes");
    }
    let events = sys::open(c"/cg/f/cgroup.events", O_RDONLY).expect("events");
    sys::read(events, &mut [0; 64]).expect("read once");
    checks.equal("a group is frozen", put("f/cgroup.freeze", "1"), Ok(()));
    let told = sys::poll(events, POLLPRI, Some(2000 * MILLISECOND));
    checks.holds("who watches is told", told.is_ok_and(|ready| ready & POLLPRI != 0));
    sys::close(events).expect("open before");
    let begin = sys::now();
    while !is("f/cgroup.events", "populated 1\nfrozen 1") && sys::now() - begin < 5000 * MILLISECOND {
        sys::sleep(MILLISECOND).expect("time passes");
    }
    checks.holds("it comes to rest", is("f/cgroup.events", "populated 1\nfrozen 1"));
    let before = usage("f");
    sys::sleep(100 * MILLISECOND).expect("time passes");
    checks.equal("and uses no CPU", usage("f"), before);
    checks.equal("a frozen process can be killed", end(burners[0]), KILLED);
    checks.equal("the other still rests", sys::wait4(burners[1], WNOHANG), Ok((0, 0)));
    checks.equal("the group is thawed", put("f/cgroup.freeze", "0"), Ok(()));
    let begin = sys::now();
    while usage("f") <= before + 5000 && sys::now() - begin < 5000 * MILLISECOND {
        sys::sleep(5 * MILLISECOND).expect("time passes");
    }
    checks.holds("and runs again", usage("f") > before + 5000);
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
    let (small, large) = (member(64 << 10), member(16 << 20));
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
    sys::sleep(300 * MILLISECOND).expect("time passes");
    checks.holds("who goes over memory.high is slowed", field("m/memory.events", "high") >= 1);
    let current = number("m/memory.current");
    checks.holds(format_args!("to a crawl: {current}"), current < 2 << 20);
    checks.equal("it can be killed meanwhile", end(slow), KILLED);
    checks.equal("a limit is lowered below what is used", put("m/memory.high", "max"), Ok(()));
    let used = member(2 << 20);
    while field("m/memory.stat", "anon") < 2 << 20 {
        sys::sleep(MILLISECOND).expect("time passes");
    }
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
    checks.equal("its group cannot be removed", remove("deep/er/one"), Err(Errno::EBUSY));
    let started = sys::container_start(made);
    checks.equal("it runs", started.and_then(|()| driver::wait(made)).map(|end| end.status), Ok(WaitStatus::Exited(0)));
    checks.equal("it is deleted", driver::delete(made), Ok(()));
    let gone = sys::open(c"/cg/deep", O_RDONLY | O_DIRECTORY);
    checks.equal("and its groups with it", gone.map(drop), Err(Errno::ENOENT));
}
