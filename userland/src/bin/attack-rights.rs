//! Driver: attacks by rights. From inside of containers, with the rights that every container has, with CAP_SYS_ADMIN
//! and with all rights, everything is tried that reaches processes, groups, devices and settings of a Linux machine
//! (CVE-2021-3493, CVE-2022-0492, CVE-2023-25809 among them). It runs itself inside, as `attack-rights WORD`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWUSER, O_RDONLY, O_RDWR, O_WRONLY, S_IFBLK, S_IFCHR, SIGKILL,
};
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitStatus};
use veridian_containers::{Signal, Status};
use veridian_userland::check::{Checks, copy_file, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::sys::{self, AT_FDCWD, Fd, Pid, RawArg, Start};
use veridian_userland::world::{RIGHTS, c_str, exists, names};
use veridian_userland::{driver, groups, println, program, text};

program!(main);

const USER: u32 = 1000;
const OTHER_USER: u32 = 2000;
const CAP_SYS_PTRACE: usize = 19;
/// The most that pids are tried for.
const PIDS: Pid = 65_535;
/// A process table, a volume shared with the machine, and what containers are made from.
const HOUSE: &str = "mount=/proc:proc:proc\nmount=/sys:sysfs:sysfs\nmount=/v:bind:/tmp/v\nmount=/bundle:bind:/bundle\n\
    masked_path=none\nreadonly_path=none\nmemory_limit=12M\npids_limit=8\n";

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        None => {}
        Some("attack") => return attack(start.arg(2).unwrap_or("")),
        Some("hog") => return nested_hog(),
        Some("bounded") => return bounded(),
        Some("devices") => {
            let mut checks = Checks::new();
            devices(&mut checks);
            return checks.finish();
        }
        Some(word) => panic!("no attack {word}"),
    }
    let mut checks = Checks::new();
    enter_scratch();
    sys::mkdir(c"v", 0o777).and(sys::chmod(c"v", 0o777)).expect("a directory");
    checks.equal("the host name is set", sys::sethostname(b"outside"), Ok(()));
    checks.equal("the groups are seen here", groups::mount(), Ok(()));
    let bystander = sys::spawn(forever).expect("a child");
    let before = bystander_is(bystander);
    let neighbour = driver::config("", &["/bin/worker", "forever"]);
    let neighbour = driver::create("neighbour", &neighbour, CreateFlags::empty()).expect("a neighbour");
    checks.equal("a neighbour runs", sys::container_start(neighbour), Ok(()));
    for (rights, lines) in RIGHTS {
        let config = driver::config(&text!(512, "{HOUSE}{lines}"), &["/bin/attack-rights", "attack", rights]);
        let end = driver::run("attacker", &config).map(|end| end.status);
        checks.equal(format_args!("an attacker with {rights} gets nowhere"), end, Ok(WaitStatus::Exited(0)));
        checks.equal("a bystander is as it was", bystander_is(bystander), before);
        checks.equal("the neighbour runs", driver::status("neighbour"), Some(Status::Running));
        let name = sys::uname().map(|names| sys::text_of(&names.nodename) == "outside");
        checks.equal("the host name is the same", name, Ok(true));
        checks.holds("no group was made at the root", !exists(c"/cg/evil") && !exists(c"/cg/neighbour/evil"));
    }
    set_user_id_outside(&mut checks);
    let lines = text!(512, "{HOUSE}{}", RIGHTS[1].1);
    let end = driver::run("outer", &driver::config(&lines, &["/bin/attack-rights", "hog"]));
    let end = end.map(|end| (end.status, end.oom, end.memory_peak <= 12 << 20));
    let killed = WaitStatus::Signaled(Signal::SIGKILL);
    checks.equal("a container in a container has no more memory than that", end, Ok((killed, true, true)));
    checks.equal("the neighbour runs still", driver::status("neighbour"), Some(Status::Running));
    let gone = sys::container_delete(neighbour, DeleteFlags::FORCE).and(sys::close(neighbour));
    checks.equal("it goes when told from here", gone, Ok(()));
    checks.equal("so does the bystander", sys::kill(bystander, SIGKILL).and(wait_for(bystander)), Ok(killed));
    checks.equal("no container is left", driver::count(), Ok(0));
    checks.finish()
}

fn forever() -> i32 {
    loop {
        // Nothing ends this but a signal.
        let _ = sys::sleep(1_000_000_000);
    }
}

/// What attackers might change of a process.
fn bystander_is(pid: Pid) -> [sys::Result<usize>; 5] {
    let number = |number: i64| RawArg::Number(number);
    [
        sys::kill(pid, 0).map(|()| 0),
        sys::getpgid(pid).map(|group| group as usize),
        sys::getsid(pid).map(|session| session as usize),
        sys::raw_call(linux::__NR_getpriority, &[number(0), number(pid.into())]),
        sys::capget(pid).map(|sets| sets.effective as usize),
    ]
}

/// Inside, with these rights.
fn attack(rights: &str) -> i32 {
    let mut checks = Checks::new();
    println!("--- with {rights}");
    calls(&mut checks);
    processes(&mut checks, if rights == RIGHTS[0].0 { PIDS } else { 2000 });
    namespaces(&mut checks);
    settings(&mut checks, rights);
    devices(&mut checks);
    terminal(&mut checks);
    hierarchy(&mut checks, rights);
    user_namespaces(&mut checks, rights);
    nested(&mut checks, rights);
    checks.finish()
}

/// Calls that only a machine's administrator needs, or that attackers have used too often.
const CALLS: &[(&str, u32)] = &[
    ("acct", linux::__NR_acct),
    ("add_key", linux::__NR_add_key),
    ("bpf", linux::__NR_bpf),
    ("clock_settime", linux::__NR_clock_settime),
    ("delete_module", linux::__NR_delete_module),
    ("fanotify_init", linux::__NR_fanotify_init),
    ("finit_module", linux::__NR_finit_module),
    ("init_module", linux::__NR_init_module),
    ("io_uring_enter", linux::__NR_io_uring_enter),
    ("io_uring_register", linux::__NR_io_uring_register),
    ("io_uring_setup", linux::__NR_io_uring_setup),
    ("kcmp", linux::__NR_kcmp),
    ("kexec_load", linux::__NR_kexec_load),
    ("keyctl", linux::__NR_keyctl),
    ("lookup_dcookie", linux::__NR_lookup_dcookie),
    ("move_pages", linux::__NR_move_pages),
    ("name_to_handle_at", linux::__NR_name_to_handle_at),
    ("open_by_handle_at", linux::__NR_open_by_handle_at),
    ("perf_event_open", linux::__NR_perf_event_open),
    ("ptrace", linux::__NR_ptrace),
    ("quotactl", linux::__NR_quotactl),
    ("reboot", linux::__NR_reboot),
    ("request_key", linux::__NR_request_key),
    ("settimeofday", linux::__NR_settimeofday),
    ("swapoff", linux::__NR_swapoff),
    ("swapon", linux::__NR_swapon),
    ("syslog", linux::__NR_syslog),
    ("userfaultfd", linux::__NR_userfaultfd),
    ("vhangup", linux::__NR_vhangup),
];

fn calls(checks: &mut Checks) {
    for &(name, number) in CALLS {
        let answer = sys::raw_call(number, &[RawArg::Number(1), RawArg::Number(1)]);
        let refused = matches!(answer, Err(Errno::EPERM | Errno::ENOSYS | Errno::EINVAL | Errno::EOPNOTSUPP));
        checks.holds(format_args!("{name}: {answer:?}"), refused);
    }
    for which in 0..32 {
        let answer = sys::raw_call(linux::__NR_ptrace, &[RawArg::Number(which), RawArg::Number(1)]);
        checks.holds(format_args!("ptrace({which}): {answer:?}"), matches!(answer, Err(Errno::EPERM | Errno::ENOSYS)));
    }
}

/// Whatever takes the number of a process finds the container's own and no other.
fn processes(checks: &mut Checks, most: Pid) {
    let child = sys::spawn(forever).expect("a child");
    let number = |number: Pid| RawArg::Number(number.into());
    let file_of = |descriptor: Fd| sys::raw_call(linux::__NR_pidfd_getfd, &[number(descriptor), number(0), number(0)]);
    let ways: [(&str, &dyn Fn(Pid) -> bool); 12] = [
        ("kill", &|pid| sys::kill(pid, 0).is_ok()),
        ("tgkill", &|pid| sys::tgkill(pid, pid, 0).is_ok()),
        ("pidfd_open", &|pid| sys::pidfd_open(pid, 0).and_then(sys::close).is_ok()),
        ("pidfd_getfd", &|pid| sys::pidfd_open(pid, 0).and_then(file_of).is_ok()),
        ("getpgid", &|pid| sys::getpgid(pid).is_ok()),
        ("getsid", &|pid| sys::getsid(pid).is_ok()),
        ("setpgid", &|pid| sys::setpgid(pid, 0).is_ok()),
        ("capget", &|pid| sys::capget(pid).is_ok()),
        ("prlimit", &|pid| sys::raw_call(linux::__NR_prlimit64, &[number(pid), number(7)]).is_ok()),
        ("getpriority", &|pid| sys::raw_call(linux::__NR_getpriority, &[number(0), number(pid)]).is_ok()),
        ("process_vm_readv", &|pid| sys::process_vm(pid, 0x10_0000, false).is_ok()),
        ("process_vm_writev", &|pid| sys::process_vm(pid, 0x10_0000, true).is_ok()),
    ];
    for (name, reaches) in ways {
        let others = (2..=most).filter(|&pid| pid != child && reaches(pid)).count();
        checks.equal(format_args!("{name} reaches nobody outside"), others, 0);
    }
    for pid in [-1, -2, -most] {
        let reached = in_child(|| sys::kill(pid, SIGKILL).map_or_else(|errno| i32::from(errno.get()), |()| 0));
        // All but the first process, which nobody inside kills, and the caller: the child.
        let allowed = [Ok(WaitStatus::Exited(if pid == -1 { 0 } else { Errno::ESRCH.get() as u8 }))];
        checks.holds(format_args!("SIGKILL to {pid}: {reached:?}"), allowed.contains(&reached));
    }
    checks.equal("which reached its own child", wait_for(child), Ok(WaitStatus::Signaled(Signal::SIGKILL)));
    let listed = names(c"/proc", |name| {
        let pid = name.to_str().ok().and_then(|name| name.parse::<Pid>().ok());
        checks.holds("a process that is listed is the own one", pid.is_none_or(|pid| pid == 1));
    });
    checks.equal("processes are listed", listed, Ok(()));
}

/// Namespaces are entered through descriptors, and none of others' can be had.
fn namespaces(checks: &mut Checks) {
    const NS_GET_PARENT: u32 = 0xb702;
    for kind in ["pid", "mnt", "uts"] {
        let path = text!(32, "/proc/self/ns/{kind}\0");
        let Some(own) = checks.value("the own namespace", sys::open(c_str(&path), O_RDONLY)) else { continue };
        let parent = sys::ioctl_namespace(own, NS_GET_PARENT);
        let refused = matches!(parent, Err(Errno::EPERM | Errno::EINVAL));
        checks.holds(format_args!("what is above {kind} is not opened: {parent:?}"), refused);
        sys::close(own).expect("open");
    }
    let joined = (0..64).filter(|&fd| sys::setns(fd, 0).is_ok()).count();
    checks.equal("no descriptor that is open is a namespace", joined, 0);
}

/// Files by which a machine is commanded, or read out.
const SETTINGS: &[&CStr] = &[
    c"/dev/kmsg",
    c"/dev/mem",
    c"/proc/kcore",
    c"/proc/kmsg",
    c"/proc/mem",
    c"/proc/sys/fs/binfmt_misc/register",
    c"/proc/sys/kernel/core_pattern",
    c"/proc/sys/kernel/hotplug",
    c"/proc/sys/kernel/modprobe",
    c"/proc/sys/kernel/osrelease",
    c"/proc/sys/kernel/panic",
    c"/proc/sys/kernel/pid_max",
    c"/proc/sys/vm/panic_on_oom",
    c"/proc/sysrq-trigger",
    c"/proc/timer_list",
    c"/sys/devices/system/cpu/cpu0/online",
    c"/sys/firmware/efi/vars",
    c"/sys/fs/cgroup/release_agent",
    c"/sys/kernel/debug",
    c"/sys/kernel/uevent_helper",
    c"/sys/power/state",
];

fn settings(checks: &mut Checks, rights: &str) {
    if rights != RIGHTS[2].0 {
        let spared = make_file(c"/proc/self/oom_score_adj", 0, b"-1000");
        checks.equal("nobody is spared when memory is short", spared, Err(Errno::EACCES));
    }
    for &path in SETTINGS {
        checks.holds(
            format_args!("{path:?} takes nothing"),
            [O_WRONLY, O_RDWR].iter().all(|&flags| sys::open(path, flags).is_err()),
        );
    }
}

/// Nodes of devices that no container needs are neither made nor opened.
fn devices(checks: &mut Checks) {
    let directory = c"/tmp/nodes";
    sys::mkdir(directory, 0o755).expect("a directory");
    sys::chdir(directory).expect("chdir");
    for (kind, major, minor) in
        [(S_IFCHR, 1, 1), (S_IFCHR, 1, 2), (S_IFCHR, 1, 4), (S_IFBLK, 8, 0), (S_IFBLK, 254, 0), (S_IFCHR, 10, 200)]
    {
        let made = sys::mknod(c"node", kind | 0o666, major << 8 | minor);
        let opened = made.and_then(|()| sys::open(c"node", O_RDWR));
        checks.holds(format_args!("device {major}:{minor}: {made:?}, {opened:?}"), opened.is_err());
        // It is there only if it could be made.
        let _ = sys::unlink(c"node");
    }
    sys::chdir(c"/").expect("chdir");
}

/// What is typed on the terminal outside is not typed from here.
fn terminal(checks: &mut Checks) {
    const TIOCSTI: u32 = 0x5412;
    const TIOCLINUX: u32 = 0x541c;
    const TIOCCONS: u32 = 0x541d;
    for fd in 0..3 {
        for request in [TIOCSTI, TIOCLINUX, TIOCCONS] {
            let answer = sys::ioctl(fd, request, &mut [b'x'; 64]);
            checks.holds(format_args!("ioctl {request:#x} of {fd}: {answer:?}"), answer.is_err());
        }
    }
}

/// Groups: none of version 1, and none outside to change.
fn hierarchy(checks: &mut Checks, rights: &str) {
    // It may be there already.
    let _ = sys::mkdir(c"/cg", 0o755);
    for data in [None, Some(c"memory"), Some(c"rdma"), Some(c"release_agent=/x")] {
        let mounted = sys::mount(c"cgroup", c"/cg", c"cgroup", 0, data);
        checks.holds(
            format_args!("cgroup version 1 with {data:?}: {mounted:?}"),
            matches!(mounted, Err(Errno::ENODEV | Errno::EPERM)),
        );
    }
    if rights == RIGHTS[0].0 {
        checks.equal("version 2 takes a right", groups::mount(), Err(Errno::EPERM));
        return;
    }
    checks.succeeds("the hierarchy of the machine", || {
        let mut checks = Checks::new();
        checks.equal("it is mounted in an own mount namespace", sys::unshare(CLONE_NEWNS).and(groups::mount()), Ok(()));
        names(c"/cg", |name| {
            let name = name.to_str().unwrap_or("?");
            let foreign = ["release_agent", "notify_on_release", "tasks", "cgroup.clone_children"].contains(&name);
            checks.holds("no file is version 1's", !foreign);
        })
        .expect("listed");
        untouchable(&mut checks, "");
        untouchable(&mut checks, "neighbour/");
        untouchable(&mut checks, "attacker/");
        checks.holds("no group is made", groups::make("evil").is_err() && groups::make("attacker/evil").is_err());
        checks.finish()
    });
    checks.succeeds("and that of a cgroup namespace", || {
        let mut checks = Checks::new();
        checks.equal("it is mounted", sys::unshare(CLONE_NEWNS | CLONE_NEWCGROUP).and(groups::mount()), Ok(()));
        untouchable(&mut checks, "");
        checks.holds("nothing is above", !exists(c"/cg/neighbour") && !exists(c"/cg/../cg/neighbour"));
        // Groups of its own do not lift the limit above them.
        if groups::make("sub").and(groups::put("sub/cgroup.procs", "0")).is_ok() {
            let _ = groups::put("sub/pids.max", "max");
            let mut children = [0; 16];
            let count = children.iter_mut().map_while(|child| sys::spawn(forever).ok().map(|pid| *child = pid)).count();
            checks.holds(format_args!("{count} processes are the most"), count < 8);
            for &child in &children[..count] {
                sys::kill(child, SIGKILL).and(wait_for(child)).expect("a child");
            }
        }
        checks.finish()
    });
}

/// No setting of this group is changed.
fn untouchable(checks: &mut Checks, group: &str) {
    for (file, value) in [
        ("cgroup.freeze", "1"),
        ("cgroup.kill", "1"),
        ("cgroup.max.descendants", "0"),
        ("cpu.max", "max"),
        ("cpu.weight", "10000"),
        ("cpuset.cpus", "0"),
        ("memory.high", "max"),
        ("memory.max", "max"),
        ("memory.oom.group", "0"),
        ("pids.max", "max"),
    ] {
        let written = groups::put(&text!(64, "{group}{file}"), value);
        checks.holds(
            format_args!("{group}{file}: {written:?}"),
            matches!(written, Err(Errno::EPERM | Errno::EROFS | Errno::ENOENT | Errno::EACCES)),
        );
    }
}

/// Who is root in a user namespace makes set-user-id and other files that give nothing outside.
fn user_namespaces(checks: &mut Checks, rights: &str) {
    if rights == RIGHTS[0].0 {
        checks.succeeds("a user namespace is refused", || i32::from(sys::unshare(CLONE_NEWUSER) != Err(Errno::EPERM)));
    }
    if rights != RIGHTS[2].0 {
        return;
    }
    sys::setxattr(c"/v", c"user.x", b"", 0).expect("attributes");
    checks.succeeds("root in a user namespace", || {
        let mut checks = Checks::new();
        sys::setgroups(&[])
            .and(sys::setresgid(USER, USER, USER))
            .and(sys::setresuid(USER, USER, USER))
            .expect("root may");
        checks.equal("he makes one", sys::unshare(CLONE_NEWUSER | CLONE_NEWNS), Ok(()));
        for map in ["0 0 1\n", "0 0 4294967295\n", "0 1000 2\n"] {
            let written = make_file(c"/proc/self/uid_map", 0, map.as_bytes());
            checks.equal(format_args!("a map of others' ids: {map:?}"), written, Err(Errno::EPERM));
        }
        make_file(c"/proc/self/setgroups", 0, b"deny").expect("it may be denied");
        let mapped =
            make_file(c"/proc/self/uid_map", 0, b"0 1000 1").and(make_file(c"/proc/self/gid_map", 0, b"0 1000 1"));
        checks.equal("a map of his own", mapped.map(|()| sys::getuid()), Ok(0));
        copy_file(c"/bin/worker", c"/v/worker", 0o755).expect("a copy");
        checks.equal("a set-user-id file is his", sys::chmod(c"/v/worker", 0o6755), Ok(()));
        checks.holds("it is given to nobody else", sys::chown(c"/v/worker", 1, 1).is_err());
        checks.holds(
            "it gets no capabilities",
            sys::setxattr(c"/v/worker", c"security.capability", &[0; 20], 0).is_err(),
        );
        checks.holds("no device is made", sys::mknod(c"/v/node", S_IFCHR | 0o666, 0x101).is_err());
        for directory in [c"/v/lower", c"/v/upper", c"/v/work", c"/v/merged"] {
            sys::mkdir(directory, 0o777).expect("a directory");
        }
        copy_file(c"/bin/worker", c"/v/lower/worker", 0o755).expect("a copy");
        let options = c"lowerdir=/v/lower,upperdir=/v/upper,workdir=/v/work";
        let overlaid = sys::mount(c"o", c"/v/merged", c"overlay", 0, Some(options));
        checks.equal("an overlay is not mounted", overlaid, Err(Errno::EPERM));
        let through = sys::setxattr(c"/v/merged/worker", c"security.capability", &[0; 20], 0);
        checks.holds("nor are capabilities given through one", through.is_err());
        checks.equal("a tmpfs of his own is mounted", sys::mount(c"t", c"/v/merged", c"tmpfs", 0, None), Ok(()));
        copy_file(c"/bin/worker", c"/v/merged/suid", 0o755).and(sys::chmod(c"/v/merged/suid", 0o6755)).expect("a copy");
        checks.holds("the machine's groups are not his", groups::mount().is_err() || groups::make("evil").is_err());
        checks.finish()
    });
}

/// Outside: what he made is a user's, whoever runs it.
fn set_user_id_outside(checks: &mut Checks) {
    let made = sys::fstatat(AT_FDCWD, c"v/worker", 0).map(|found| (found.st_uid, found.st_mode & 0o6777));
    checks.equal("outside, the file is the user's", made, Ok((USER, 0o6755)));
    for (user, expected) in [("0", 1), ("1000", 0)] {
        let word = text!(8, "{user}\0");
        let run = in_child(|| {
            sys::setgroups(&[]).and(sys::setresgid(OTHER_USER, OTHER_USER, OTHER_USER)).expect("root may");
            sys::setresuid(OTHER_USER, OTHER_USER, OTHER_USER).expect("root may");
            i32::from(sys::execve(c"v/worker", &[c"worker", c"effective", c_str(&word)], &[]).get())
        });
        checks.equal(format_args!("it makes nobody user 0 (asked for {user})"), run, Ok(WaitStatus::Exited(expected)));
    }
}

/// A container that a container makes has at most what its maker has.
#[expect(clippy::result_large_err, reason = "the message lies in it, without a heap")]
fn nested(checks: &mut Checks, rights: &str) {
    let create = |id: &str, lines: &str, arguments: &[&str]| {
        driver::create(id, &driver::config(lines, arguments), CreateFlags::empty())
    };
    if rights == RIGHTS[0].0 {
        let made = create("inner", "", &["/bin/worker", "exit", "0"]).map_err(|(errno, _)| errno);
        checks.equal("a container takes a right", made, Err(Errno::EPERM));
        return;
    }
    if rights == RIGHTS[1].0 {
        let more = "capability=all\nseccomp=unconfined\nno_new_privileges=false\n";
        let inner = create("inner", more, &["/bin/attack-rights", "bounded"]);
        let kept = inner.map_err(|(errno, _)| errno).and_then(end_of);
        checks.holds(format_args!("one with more rights: {kept:?}"), matches!(kept, Err(Errno::EPERM) | Ok(0)));
    }
    let open = "device_rule=allow:a:*:*:rwm\n";
    let inner = create("inner", open, &["/bin/attack-rights", "devices"]).map_err(|(errno, _)| errno).and_then(end_of);
    checks.holds(format_args!("one with all devices: {inner:?}"), matches!(inner, Err(Errno::EPERM) | Ok(0)));
    for lines in [
        "mount=/x:bind:/../../../boot\n",
        "mount=/x:bind:/boot\n",
        "mount=/x:bind:/proc/1/root/boot\n",
        "mount=/x:bind:/bundle/../../boot\n",
    ] {
        let made = create("inner", lines, &["/bin/worker", "exit", "0"]);
        checks.holds(format_args!("{lines:?} is not found"), made.is_err());
    }
    for path in ["/evil", "/../evil", "/../../evil", "/neighbour/evil"] {
        let inner = create("inner", &text!(64, "cgroups_path={path}\n"), &["/bin/worker", "forever"]);
        let Ok(inner) = inner else { continue };
        let started = sys::container_start(inner);
        let seen = sys::unshare(CLONE_NEWNS)
            .and(groups::mount())
            .map(|()| exists(c"/cg/evil") || exists(c"/cg/neighbour/evil"));
        let _ = sys::umount(c"/cg", 0);
        let gone = sys::container_delete(inner, DeleteFlags::FORCE).and(sys::close(inner));
        checks.equal(
            format_args!("a group {path} is below the own one"),
            (started, seen, gone),
            (Ok(()), Ok(false), Ok(())),
        );
    }
}

fn end_of(container: Fd) -> sys::Result<u8> {
    sys::container_start(container)?;
    let end = driver::wait(container)?;
    driver::delete(container)?;
    Ok(end.status.shell_status())
}

/// Inside of a container in a container: its rights are its maker's.
fn bounded() -> i32 {
    let sets = sys::capget(0).unwrap_or_default();
    let capability =
        (sets.effective | sets.permitted) >> CAP_SYS_PTRACE & 1 != 0 || sys::bounding(CAP_SYS_PTRACE) == Ok(true);
    let unfiltered = sys::seccomp_mode() != Ok(2);
    let privileges = sys::no_new_privs() != Ok(true);
    i32::from(capability) + 2 * i32::from(unfiltered) + 4 * i32::from(privileges)
}

/// Inside: makes a container that takes more memory than there is here.
fn nested_hog() -> i32 {
    let config = driver::config("memory_limit=1G\n", &["/bin/worker", "hog-mmap"]);
    let inner = driver::create("inner", &config, CreateFlags::empty()).map_err(|(errno, message)| {
        println!("{errno}: {message}");
        errno
    });
    let end = inner.and_then(end_of);
    println!("FAIL: the hog ended, and its maker was not killed with it: {end:?}");
    1
}
