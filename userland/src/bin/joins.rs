//! Driver: namespaces that are joined, by their path in a configuration, and by setns(2) with a descriptor of a container
//! or of a process. It runs itself inside of a container, as `joins inside`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS,
    SIGKILL,
};
use veridian_containers::Status;
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, in_child};
use veridian_userland::heapless::String;
use veridian_userland::sys::{self, Fd, Start};
use veridian_userland::world::c_str;
use veridian_userland::{driver, program, text};

program!(main);

/// A kind as configurations name it, its link in /proc, its flag.
const KINDS: [(&str, &str, u32); 8] = [
    ("pid", "pid", CLONE_NEWPID),
    ("mount", "mnt", CLONE_NEWNS),
    ("uts", "uts", CLONE_NEWUTS),
    ("ipc", "ipc", CLONE_NEWIPC),
    ("network", "net", CLONE_NEWNET),
    ("cgroup", "cgroup", CLONE_NEWCGROUP),
    ("time", "time", CLONE_NEWTIME),
    ("user", "user", CLONE_NEWUSER),
];
/// Every namespace of its own; its users are users without rights outside.
const HOST: &str = "namespace=ipc\nnamespace=network\nnamespace=cgroup\nnamespace=time\nnamespace=user\n\
    uid_mapping=0:1000:10\ngid_mapping=0:1000:10\n";

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("inside") {
        return inside();
    }
    let mut checks = Checks::new();
    checks.equal("procfs", sys::mount(c"proc", c"/proc", c"proc", 0, None), Ok(()));
    let config = driver::config(HOST, &["/bin/worker", "forever"]);
    let host = driver::create("host", &config, CreateFlags::empty()).expect("a container");
    checks.equal("a container with every namespace of its own", sys::container_start(host), Ok(()));
    let pid = pid_of("host");
    by_path(&mut checks, pid);
    wrong_paths(&mut checks, pid);
    by_descriptor(&mut checks, host, pid);
    checks.equal("the host runs", driver::status("host"), Some(Status::Running));
    checks.equal("and ends", sys::container_kill(host, SIGKILL), Ok(()));
    checks.holds("by the signal", driver::wait(host).is_ok());
    checks.equal("what has ended cannot be joined", sys::setns(host, CLONE_NEWUTS), Err(Errno::ESRCH));
    checks.equal("delete", driver::delete(host), Ok(()));
    checks.finish()
}

/// The pid of a container's first process, as it is here.
fn pid_of(id: &str) -> u32 {
    let mut pid = 0;
    let _ = driver::list(|entry| {
        if sys::entry_id(entry) == id {
            pid = entry.pid;
        }
    });
    pid
}

/// The name of a process's namespace.
fn link(pid: u32, kind: &str) -> Result<String<64>, Errno> {
    let mut buffer = [0; 64];
    let length = sys::readlink(c_str(&text!(64, "/proc/{pid}/ns/{kind}\0")), &mut buffer)?;
    let mut name = String::new();
    name.push_str(core::str::from_utf8(&buffer[..length]).unwrap_or("?")).map_err(|_| Errno::ENAMETOOLONG)?;
    Ok(name)
}

/// A configuration of nothing but these lines and a program.
fn plain(lines: &str, arguments: &[&str]) -> driver::Config {
    let mut config = driver::Config::new();
    config.push_str(lines).expect("the configuration fits");
    for argument in arguments {
        config.push_str(&text!(64, "process_arg={argument}\n")).expect("the configuration fits");
    }
    config
}

fn by_path(checks: &mut Checks, host: u32) {
    for (kind, name, _) in KINDS {
        let root = if kind == "mount" { "" } else { "root_path=rootfs\nnamespace=mount\n" };
        let lines = text!(160, "{root}namespace={kind}:/proc/{host}/ns/{name}\n");
        let made = driver::create("guest", &plain(&lines, &["/bin/worker", "forever"]), CreateFlags::empty());
        let Some(guest) = checks.value(format_args!("a container joins a {kind} namespace"), made.map_err(|e| e.0))
        else {
            continue;
        };
        let pid = pid_of("guest");
        for (other, name, _) in KINDS {
            let same = link(pid, name).is_ok() && link(pid, name) == link(host, name);
            checks.equal(format_args!("{kind}: its {other} namespace is the host's"), same, other == kind);
        }
        checks.equal("FORCE", sys::container_delete(guest, veridian_containers::abi::DeleteFlags::FORCE), Ok(()));
        checks.equal("close", sys::close(guest), Ok(()));
    }
    let lines = text!(
        256,
        "root_path=rootfs\nnamespace=mount\nnamespace=uts:/proc/{host}/ns/uts\nnamespace=pid:/proc/{host}/ns/pid\n"
    );
    let end = driver::run("guest", &plain(&lines, &["/bin/joins", "inside"])).map(|end| end.status);
    checks.equal("who has joined sees what the host sees", end, Ok(WaitStatus::Exited(0)));
    // Its end is not the end of the namespace that it has joined.
    checks.equal("and leaves the host running", driver::status("host"), Some(Status::Running));
}

/// In a container that has joined the pid and uts namespaces of another.
fn inside() -> i32 {
    let host_name = sys::uname().is_ok_and(|names| sys::text_of(&names.nodename) == "inside");
    i32::from(sys::getpid() <= 1) | i32::from(sys::kill(1, 0).is_err()) << 1 | i32::from(!host_name) << 2
}

fn wrong_paths(checks: &mut Checks, host: u32) {
    let inner = text!(160, "root_path=rootfs\nnamespace=mount\nnamespace=uts:/proc/{host}/ns/ipc\n");
    for (what, lines, errno) in [
        ("another kind of namespace is EINVAL", inner.as_str(), Errno::EINVAL),
        ("what is no namespace is EINVAL", "namespace=uts:/bin/hello\n", Errno::EINVAL),
        ("what is not there is ENOENT", "namespace=uts:/proc/self/ns/nothing\n", Errno::ENOENT),
    ] {
        let made = driver::create("guest", &plain(lines, &["/bin/hello"]), CreateFlags::empty());
        checks.equal(what, made.map_err(|(errno, _)| errno), Err(errno));
    }
    checks.equal("nothing is left of them", driver::count(), Ok(1));
}

fn by_descriptor(checks: &mut Checks, host: Fd, pid: u32) {
    let pidfd = sys::pidfd_open(pid as i32, 0).expect("a pidfd");
    for (what, fd) in [("a container", host), ("a pidfd", pidfd)] {
        checks.equal(format_args!("{what}: no kind is EINVAL"), sys::setns(fd, 0), Err(Errno::EINVAL));
        checks.equal(format_args!("{what}: an unknown kind too"), sys::setns(fd, 1), Err(Errno::EINVAL));
        checks.succeeds(format_args!("{what}: each kind is joined alone"), || {
            let own = sys::getpid() as u32;
            for (index, (kind, name, flag)) in (1..).zip(KINDS) {
                let joined = in_child(|| {
                    let own = sys::getpid() as u32;
                    let now = if kind == "pid" || kind == "time" {
                        text!(32, "{name}_for_children")
                    } else {
                        text!(32, "{name}")
                    };
                    let theirs = link(pid, name);
                    // Only what is seen from here can be compared: the names of before, and after.
                    let before = link(own, &now);
                    if before == theirs || sys::setns(fd, flag).is_err() {
                        return 1;
                    }
                    // In another mount or pid namespace this /proc is not there, or tells of others.
                    i32::from(kind != "mount" && link(own, &now) != theirs)
                });
                if joined != Ok(WaitStatus::Exited(0)) {
                    return index;
                }
            }
            i32::from(sys::getpid() as u32 != own)
        });
        checks.succeeds(format_args!("{what}: and all at once"), || {
            let all = KINDS.iter().fold(0, |all, (_, _, flag)| all | flag);
            let outside = c"/bundle";
            if sys::access(outside, 0).is_err() || sys::setns(fd, all).is_err() {
                return 1;
            }
            let name = sys::uname().is_ok_and(|names| sys::text_of(&names.nodename) == "inside");
            let away = sys::access(outside, 0) == Err(Errno::ENOENT);
            i32::from(!name) << 1 | i32::from(!away) << 2 | i32::from(sys::getuid() == 0) << 3
        });
        checks.succeeds(format_args!("{what}: nobody joins who has no rights over it"), || {
            if sys::unshare(CLONE_NEWUSER).is_err() {
                return 1;
            }
            let refused = KINDS.iter().all(|(_, _, flag)| sys::setns(fd, *flag) == Err(Errno::EPERM));
            i32::from(!refused) << 1
        });
    }
    checks.equal("a file is no namespace", sys::setns(0, CLONE_NEWUTS), Err(Errno::EINVAL));
    checks.equal("close", sys::close(pidfd), Ok(()));
}
