//! Driver: who is root in the user namespace of a container makes containers there, and none that reaches beyond. It runs
//! itself inside, as `rootless inside`, `rootless own` and `rootless bare`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use linux_raw_sys::general::{CLONE_NEWUSER, P_PIDFD, SIGKILL, WEXITED};
use veridian_containers::Status;
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitStatus};
use veridian_userland::check::Checks;
use veridian_userland::sys::{self, CapabilitySets, Fd, Start};
use veridian_userland::{driver, program};

program!(main);

/// Descriptor 0 of whoever attacks is a container that is not his.
const STOLEN: Fd = 0;
const SYS_ADMIN: u64 = 1 << 21;
/// A user namespace of a thousand users, who are nobody outside.
const USERS: &str = "namespace=user\nuid_mapping=0:100000:1000\ngid_mapping=0:200000:1000\nnamespace=pid\n\
    capability=all\nseccomp=unconfined\nno_new_privileges=false\n";
/// A container that may make others in it.
const OUTER: &str = "root_path=rootfs\nnamespace=mount\nnamespace=uts\nnamespace=ipc\nnamespace=network\nnamespace=cgroup\n\
    pids_limit=8\nmemory_limit=32M\nrlimit=nofile:64:64\noom_score_adj=100\nmount=/tmp:tmpfs:tmpfs\nmount=/proc:proc:proc\n\
    mount=/mnt:bind:/bundle:ro\nmount=/bundle:bind:/bundle\n";
/// One in it.
const INNER: &str = "root_path=rootfs\nnamespace=pid\nnamespace=mount\nnamespace=uts\nhostname=inner\n\
    mount=/tmp:tmpfs:tmpfs\nmount=/dev:tmpfs:tmpfs\n";

fn main(start: &Start) -> i32 {
    let mut checks = Checks::new();
    match start.arg(1) {
        Some("inside") => inside(&mut checks),
        Some("own") => stolen(&mut checks),
        Some("bare") => bare(&mut checks),
        _ => outside(&mut checks),
    }
    checks.finish()
}

/// A configuration of these lines for a program with arguments.
fn text(parts: [&str; 2], arguments: &[&str]) -> driver::Config {
    let mut text = driver::Config::new();
    let lines = parts.iter().copied().chain(arguments.iter().flat_map(|argument| ["process_arg=", *argument, "\n"]));
    lines.for_each(|part| text.push_str(part).expect("the configuration fits"));
    text
}

fn outside(checks: &mut Checks) {
    let neighbour = driver::create("neighbour", &driver::config("", &["/bin/worker", "forever"]), CreateFlags::empty());
    let neighbour = neighbour.expect("a container");
    checks.equal("a neighbour starts", sys::container_start(neighbour), Ok(()));
    checks.equal("its descriptor falls into wrong hands", sys::dup3(neighbour, STOLEN, 0), Ok(STOLEN));
    let end = driver::run("outer", &text([USERS, OUTER], &["/bin/rootless", "inside"]));
    checks.equal("root in a container with users of its own", end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
    let end = driver::run("bare", &text([USERS, ""], &["/bin/rootless", "bare"]));
    checks.equal("one whose mounts are the machine's", end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
    checks.equal("the neighbour lives", driver::status("neighbour"), Some(Status::Running));

    let outer = driver::create("outer", &text([USERS, OUTER], &["/bin/worker", "forever"]), CreateFlags::empty());
    let outer = outer.expect("a container");
    checks.equal("it starts again", sys::container_start(outer), Ok(()));
    checks.equal("its own descriptor gets into it", sys::dup3(outer, STOLEN, 0), Ok(STOLEN));
    let process = b"process_args=[\"/bin/rootless\",\"own\"]\ncapability=all\n";
    let attacker = sys::container_exec(outer, process, &mut []).and_then(|guest| {
        let info = sys::waitid(P_PIDFD, guest, WEXITED).map_err(|errno| (errno, 0))?;
        Ok(info[6])
    });
    checks.equal("where it is of no use", attacker, Ok(0));
    for container in [neighbour, outer] {
        checks.equal("delete", sys::container_delete(container, DeleteFlags::FORCE), Ok(()));
    }
    checks.equal("no container is left", driver::count(), Ok(0));
}

/// Whoever has a container's descriptor has no right over it by that.
fn stolen(checks: &mut Checks) {
    let perm = Err(Errno::EPERM);
    checks.equal("it is not signalled", sys::container_kill(STOLEN, SIGKILL), perm);
    checks.equal("nor paused", sys::container_pause(STOLEN), perm);
    checks.equal("nor resumed", sys::container_resume(STOLEN), perm);
    checks.equal("nor started", sys::container_start(STOLEN), perm);
    checks.equal("nor deleted", sys::container_delete(STOLEN, DeleteFlags::FORCE), perm);
    checks.equal("its state is not told", sys::container_state(STOLEN, &mut []), Err(Errno::EPERM));
    checks.equal("nor its figures", sys::container_stats(STOLEN).map(drop), perm);
    let errno = |outcome: Result<(), (Errno, usize)>| outcome.map_err(|(errno, _)| errno);
    checks.equal("no limit is lifted", errno(sys::container_update(STOLEN, b"pids_limit=max\n", &mut [])), perm);
    let process = b"process_arg=/bin/worker\ncapability=all\n";
    checks.equal("and nobody enters", errno(sys::container_exec(STOLEN, process, &mut []).map(drop)), perm);
}

/// What becomes of a container with `more`.
fn life(more: &str, arguments: &[&str]) -> Result<WaitStatus, Errno> {
    let config = text([INNER, more], arguments);
    let container = driver::create("inner", &config, CreateFlags::empty()).map_err(|(errno, _)| errno)?;
    sys::container_start(container)?;
    let end = driver::wait(container)?;
    driver::delete(container)?;
    Ok(end.status)
}

/// As [`life`], of a process that ends with 0.
fn attempt(more: &str) -> Result<WaitStatus, Errno> {
    life(more, &["/bin/worker", "exit", "0"])
}

const FINE: Result<WaitStatus, Errno> = Ok(WaitStatus::Exited(0));

fn inside(checks: &mut Checks) {
    stolen(checks);
    checks.equal("no container is seen", driver::count(), Ok(0));
    checks.equal("nor opened", sys::container_open("neighbour"), Err(Errno::ENOENT));

    checks.equal("root of the container makes one", life("", &["/bin/worker", "ids", "0", "0"]), FINE);
    checks.equal("of another user", life("process_uid=7\nprocess_gid=8\n", &["/bin/worker", "ids", "7", "8"]), FINE);
    let users = "namespace=user\nuid_mapping=0:10:20\ngid_mapping=0:10:20\ncapability=all\n";
    let runs = life(users, &["/bin/worker", "ids", "0", "0"]);
    checks.equal("with users of its own, of his", runs, FINE);
    let hooks = "hook_prestart=/bin/worker:[\"worker\",\"ids\",\"0\",\"0\"]\n\
        hook_create_container=/bin/worker:[\"worker\",\"ids\",\"0\",\"0\"]\n";
    checks.equal("with hooks, who are he", attempt(hooks), FINE);
    checks.equal(
        "what he binds is as read-only as it was",
        life("mount=/tmp/at:bind:/mnt\n", &["/bin/worker", "write", "/tmp/at/new"]),
        Ok(WaitStatus::Exited(Errno::EROFS.get() as u8)),
    );
    let bomb = life("pids_limit=max\n", &["/bin/worker", "fork-bomb"]);
    let held = matches!(bomb, Ok(WaitStatus::Exited(1..8)));
    checks.holds("its tasks are held by the outer one's limit", held);

    for (sentence, more, errno) in ATTACKS {
        checks.equal(sentence, attempt(more), Err(*errno));
    }
    checks.succeeds("with CAP_SYS_ADMIN alone", || weak(&mut Checks::new()));
    checks.succeeds("in a further user namespace", || {
        let made = sys::unshare(CLONE_NEWUSER).map(|()| attempt(""));
        i32::from(made != Ok(Err(Errno::EPERM)))
    });
    checks.succeeds("as another user", || {
        let other = sys::setresgid(7, 7, 7).and(sys::setresuid(7, 7, 7)).and(sys::unshare(CLONE_NEWUSER));
        i32::from(other.map(|()| attempt("")) != Ok(Err(Errno::EPERM)))
    });
    checks.succeeds("with another root directory", || {
        let bundle = driver::bundle();
        let config = text([INNER, "namespace=user\nuid_mapping=0:0:9\ngid_mapping=0:0:9\n"], &["/bin/worker"]);
        let made = sys::chroot(c"/bundle/rootfs")
            .map(|()| sys::container_create(config.as_bytes(), b"inner", bundle, CreateFlags::empty(), &mut []));
        i32::from(made.map(|made| made.map_err(|(errno, _)| errno)) != Ok(Err(Errno::EPERM)))
    });
    checks.equal("what is read-only in /proc stays so", sys::umount(c"/proc/sys", 0), Err(Errno::EINVAL));
    checks.equal("none is left", driver::count(), Ok(0));
}

/// What is asked for, by which configuration, and why not.
const ATTACKS: &[(&str, &str, Errno)] = &[
    ("users of others", "namespace=user\nuid_mapping=0:5000:10\ngid_mapping=0:0:10\n", Errno::EPERM),
    ("groups of others", "namespace=user\nuid_mapping=0:0:10\ngid_mapping=0:995:10\n", Errno::EPERM),
    ("a user that there is not", "process_uid=1000\n", Errno::EINVAL),
    ("a device", "device=/dev/mem:c:1:1\n", Errno::EPERM),
    ("all devices", "mount=/mnt:dev:dev\n", Errno::EPERM),
    ("layers", "mount=/mnt:overlay:overlay:lowerdir=/bin\n", Errno::EPERM),
    ("the machine's devices", "mount=/mnt:sysfs:sysfs\n", Errno::EPERM),
    ("what is masked of the processes", "mount=/proc:proc:proc\n", Errno::EPERM),
    ("what is masked, bound alone", "mount=/mnt:bind:/proc\n", Errno::EINVAL),
    ("what is read-only, writable", "mount=/mnt:bind:/mnt:rw\n", Errno::EPERM),
    ("a file system of others, changed", "mount=/mnt:bind:/bundle\nmount=/mnt:none:/mnt:remount,rw\n", Errno::EPERM),
    ("more descriptors", "rlimit=nofile:65:65\n", Errno::EPERM),
    ("to be killed after others", "oom_score_adj=99\n", Errno::EACCES),
    ("a group elsewhere", "cgroups_path=../elsewhere\n", Errno::EINVAL),
];

/// Gives up all rights but CAP_SYS_ADMIN.
fn weak(checks: &mut Checks) -> i32 {
    let sets = CapabilitySets { effective: SYS_ADMIN, permitted: SYS_ADMIN, inheritable: 0 };
    checks.equal("he gives up the others", sys::capset(0, sets), Ok(()));
    checks.equal("he makes one of himself", attempt("capability=all\n"), FINE);
    for (sentence, more) in [
        ("nobody else", "process_uid=7\n"),
        ("no other group", "process_gid=7\n"),
        ("no further group", "additional_gid=7\n"),
        ("no users", "namespace=user\nuid_mapping=0:0:10\ngid_mapping=0:0:10\n"),
    ] {
        checks.equal(sentence, attempt(more), Err(Errno::EPERM));
    }
    core::mem::take(checks).finish()
}

/// In a user namespace of his own, among the machine's mounts.
fn bare(checks: &mut Checks) {
    checks.equal("he builds no tree from mounts that are not his", attempt(""), Err(Errno::EPERM));
    let made = driver::run("inner", &text(["", ""], &["/bin/worker", "ids", "0", "0"]));
    checks.equal("but runs programs in a group of their own", made.map(|end| end.status), FINE);
}
