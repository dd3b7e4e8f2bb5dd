//! Driver: attacks by paths. From inside of containers, and on their creation, everything is tried that has led
//! runtimes to follow a path out of a container: their own binary (CVE-2019-5736), leaked descriptors (CVE-2016-9962,
//! CVE-2024-21626), links in the root and on a shared volume (CVE-2021-30465, CVE-2023-27561), masks (CVE-2025-31133),
//! directories that are moved away (CVE-2015-2925). It runs itself inside, as `attack-paths WORD`.
//! `count=N` in the environment takes another number of creations and further processes.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, P_PIDFD, RENAME_EXCHANGE, WEXITED};
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, make_file};
use veridian_userland::sys::{self, AT_FDCWD, Fd, Start};
use veridian_userland::world::{RIGHTS, await_file, c_str, exists, names, sum};
use veridian_userland::{driver, program, text};

program!(main);

/// What is done with a path.
type Deed = fn(&CStr) -> sys::Result;

/// The status of a further process in its `siginfo_t`.
const STATUS: usize = 6;
/// Descriptors that might be leaked.
const DESCRIPTORS: u32 = 1024;
/// A process table and the volume that attackers and the machine share.
const VOLUME: &str = "mount=/proc:proc:proc\nmount=/v:bind:/tmp/v\n";

fn main(start: &Start) -> i32 {
    match start.arg(1) {
        None => {}
        Some("overwrite") => return overwrite(),
        Some("cwd") => return i32::from(!is_inside(c".") || !is_inside(c"..") || !has_a_path()),
        Some("swap") => return swap(),
        Some("masked") => return masked(),
        Some("others") => return others(start.arg(2).unwrap_or("1")),
        Some("stray") => return stray(),
        Some(word) => panic!("no attack {word}"),
    }
    let count = start.var("count").and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut checks = Checks::new();
    enter_scratch();
    for directory in [c"v", c"v/point", c"p", c"tree", c"tree/shared", c"tree/shared/a", c"tree/shared/a/b"] {
        sys::mkdir(directory, 0o777).expect("a directory");
    }
    sys::mount(c"proc", c"p", c"proc", 0, None).expect("a procfs");
    make_file(c"marker", 0o644, b"as it was").expect("a file");
    make_file(c"tree/secret", 0o644, b"").expect("a file");
    let before = host();
    runtime_binary(&mut checks, count);
    leaked_descriptors(&mut checks);
    mount_race(&mut checks, count);
    masks(&mut checks);
    other_processes(&mut checks);
    moved_directory(&mut checks);
    checks.equal("mounts, programs and files outside are as before", host(), before);
    checks.equal("no container is left", driver::count(), Ok(0));
    checks.finish()
}

/// What an attack must not change: the mounts, each program of the machine and of the bundle, a file. As sums.
fn host() -> [sys::Result<(u64, u64)>; 4] {
    let programs = |directory: &CStr, prefix: &str| {
        let (mut bytes, mut all) = (0, 0_u64);
        names(directory, |name| {
            let path = text!(128, "{prefix}/{}\0", name.to_str().unwrap_or("?"));
            if let Ok((length, hash)) = sum(c_str(&path)) {
                bytes += length;
                all = all.wrapping_add(hash);
            }
        })
        .map(|()| (bytes, all))
    };
    [
        sum(c"p/self/mountinfo"),
        programs(c"/bin", "/bin"),
        programs(c"/bundle/rootfs/bin", "/bundle/rootfs/bin"),
        sum(c"marker"),
    ]
}

/// A container of the attacker's that runs.
fn attacker(id: &str, lines: &str, word: &str) -> Fd {
    let config = driver::config(lines, &["/bin/attack-paths", word]);
    let container = driver::create(id, &config, CreateFlags::empty()).expect("the attacker's container");
    sys::container_start(container).expect("it starts");
    container
}

/// A further process in a container, until it has ended: its exit status.
fn run_in(container: Fd, process: &str) -> Result<i32, Errno> {
    let pidfd = sys::container_exec(container, process.as_bytes(), &mut [0; 256]).map_err(|(errno, _)| errno)?;
    let info = sys::waitid(P_PIDFD, pidfd, WEXITED)?;
    sys::close(pidfd)?;
    Ok(info[STATUS])
}

/// The runtime's own binary is within no container's reach: neither run as `/proc/self/exe` nor opened by others.
fn runtime_binary(checks: &mut Checks, count: u32) {
    make_file(c"v/script", 0o755, b"#!/proc/self/exe\n").expect("a file");
    sys::symlink(c"/proc/self/exe", c"v/exe").expect("a link");
    let lines = text!(128, "root_readonly=true\n{VOLUME}");
    let attacker = attacker("attacker", &lines, "overwrite");
    await_file(c"v/ready");
    for program in ["/proc/self/exe", "/proc/thread-self/exe", "/proc/1/exe", "/v/script", "/v/exe"] {
        let made = driver::create("exe", &driver::config(&lines, &[program]), CreateFlags::empty());
        checks.holds(format_args!("a container that is to run {program} is refused"), made.is_err());
        let run = run_in(attacker, &text!(64, "process_arg={program}\n"));
        checks.holds(format_args!("so is a further process: {run:?}"), run.is_err());
    }
    let other = driver::config("", &["/bin/worker", "exit", "0"]);
    let mut good = 0;
    for _ in 0..count {
        let created = driver::create("other", &other, CreateFlags::empty()).map_err(|(errno, _)| errno);
        let deleted = created.and_then(|made| sys::container_delete(made, DeleteFlags::FORCE).and(sys::close(made)));
        let run = run_in(attacker, "process_args=[\"/bin/worker\",\"sleep\",\"1\"]\n");
        good += u32::from(deleted.is_ok() && run == Ok(0));
    }
    checks.equal("containers and processes are made meanwhile", good, count);
    make_file(c"v/stop", 0o644, b"").expect("a file");
    let end = driver::wait(attacker).map(|end| end.status);
    checks.equal("the attacker met them, and no link led out or could be written", end, Ok(WaitStatus::Exited(0)));
    checks.equal("it is deleted", driver::delete(attacker), Ok(()));
}

/// Inside: opens the programs of all processes for writing, and looks where their directories and descriptors lead.
fn overwrite() -> i32 {
    let known = [c"/bin/attack-paths", c"/bin/worker"].map(identity);
    make_file(c"/v/ready", 0o644, b"").expect("a file");
    let (mut met, mut wrong) = (0, 0);
    while !exists(c"/v/stop") {
        let listed = names(c"/proc", |name| {
            let Some(pid) = name.to_str().ok().and_then(|name| name.parse::<u32>().ok()) else { return };
            met += u32::from(pid > 1);
            let exe = text!(64, "/proc/{pid}/exe\0");
            let program = identity(c_str(&exe));
            // Who has ended has none.
            wrong |= u32::from(program.is_some() && !known.contains(&program));
            for flags in [O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC] {
                wrong |= u32::from(sys::open(c_str(&exe), flags).is_ok()) << 1;
            }
            for way in ["root", "cwd", "root/..", "cwd/..", "root/proc/self/root/.."] {
                let way = text!(64, "/proc/{pid}/{way}\0");
                wrong |= u32::from(!is_inside(c_str(&way))) << 2;
            }
            for fd in 3..16 {
                wrong |= u32::from(pid > 1 && exists(c_str(&text!(64, "/proc/{pid}/fd/{fd}\0")))) << 3;
            }
        });
        wrong |= u32::from(listed.is_err()) << 4;
    }
    if met == 0 { 99 } else { wrong as i32 }
}

fn identity(path: &CStr) -> Option<(u64, u64)> {
    sys::fstatat(AT_FDCWD, path, 0).ok().map(|found| (found.st_dev, found.st_ino))
}

/// Whether a directory, if it can be opened at all, is not one of the machine's: only outside there are `/boot`, and
/// the file that must stay secret.
fn is_inside(path: &CStr) -> bool {
    let Ok(directory) = sys::open(path, O_RDONLY | O_DIRECTORY) else { return true };
    let outside = [c"boot", c"bundle", c"marker", c"secret"];
    let found = outside.iter().any(|name| sys::fstatat(directory, name, 0).is_ok());
    sys::close(directory).is_ok() && !found
}

/// Whether the working directory has a path from the root.
fn has_a_path() -> bool {
    let mut path = [0; 256];
    sys::getcwd(&mut path).is_ok() && path[0] == b'/'
}

/// No number of a descriptor as the working directory leads out, of whatever the maker of the container has open.
fn leaked_descriptors(checks: &mut Checks) {
    let leaked = [c"/", c"/boot", c"/tmp", c"/bundle", c"/"].map(|path| sys::open(path, O_RDONLY | O_DIRECTORY));
    checks.holds("directories outside are open", leaked.iter().all(Result::is_ok));
    let (mut refused, mut inside, mut wrong) = (0, 0, 0);
    let mut count = |outcome: Result<i32, Errno>| match outcome {
        Err(_) => refused += 1,
        Ok(0) => inside += 1,
        Ok(_) => wrong += 1,
    };
    let running = driver::config(VOLUME, &["/bin/worker", "forever"]);
    let running = driver::create("running", &running, CreateFlags::empty()).expect("a container");
    sys::container_start(running).expect("it starts");
    let mut tried = 0;
    for fd in 0..DESCRIPTORS {
        // Of high numbers, which nobody has open, a further process tries each itself, and each 64th in all ways.
        let all = fd < 64 || fd % 64 == 63;
        let target = text!(64, "/proc/self/fd/{fd}\0");
        sys::symlink(c_str(&target), c"v/fd").expect("a link");
        let ways = [target.trim_end_matches('\0'), "/v/fd"];
        for directory in &ways[..1 + usize::from(all)] {
            let directory = text!(64, "process_cwd={directory}\n");
            let lines = text!(256, "{VOLUME}{directory}");
            let config = driver::config(&lines, &["/bin/attack-paths", "cwd"]);
            if all {
                tried += 1;
                count(match driver::create("cwd", &config, CreateFlags::empty()) {
                    Err((errno, _)) => Err(errno),
                    Ok(made) => {
                        sys::container_start(made).expect("it starts");
                        let end = driver::wait(made).map(|end| end.status.shell_status());
                        driver::delete(made).and(end).map(i32::from)
                    }
                });
            }
            tried += 1;
            count(run_in(running, &text!(128, "process_args=[\"/bin/attack-paths\",\"cwd\"]\n{directory}")));
        }
        sys::unlink(c"v/fd").expect("the link");
    }
    checks.holds(format_args!("{refused} are refused, {inside} stay inside, {wrong} lead out"), wrong == 0);
    checks.equal("all were tried, by create and by exec", refused + inside, tried);
    checks.equal(
        "the container goes",
        sys::container_delete(running, DeleteFlags::FORCE).and(sys::close(running)),
        Ok(()),
    );
    for fd in leaked.into_iter().flatten() {
        sys::close(fd).expect("open");
    }
}

/// A container swaps a directory for a link, again and again, while others are made that mount and mask there.
fn mount_race(checks: &mut Checks, count: u32) {
    make_file(c"v/point/kept", 0o644, b"kept").expect("a file");
    sys::symlink(c"/../../../tmp", c"v/link").expect("a link");
    let swapping = attacker("swapping", VOLUME, "swap");
    await_file(c"v/swapping");
    let config = |line| driver::config(&text!(128, "{VOLUME}{line}\n"), &["/bin/worker", "exit", "0"]);
    let lines = [
        "mount=/v/point/deep:tmpfs:t",
        "mount=/v/point:bind:/tmp/v/point:ro",
        "masked_path=/v/point",
        "readonly_path=/v/point",
    ];
    let configs = lines.map(config);
    let mut made = 0;
    for turn in 0..2 * count as usize {
        if let Ok(container) = driver::create("raced", &configs[turn % configs.len()], CreateFlags::empty()) {
            made += 1;
            let deleted = sys::container_delete(container, DeleteFlags::FORCE).and(sys::close(container));
            deleted.expect("it is deleted");
        }
    }
    checks.holds(format_args!("of {} containers some are made: {made}", 2 * count), made > 0);
    let ended = sys::container_delete(swapping, DeleteFlags::FORCE).and(sys::close(swapping));
    checks.equal("the swapping ends", ended, Ok(()));
    let outside = [c"/tmp/deep", c"/deep", c"/bundle/deep", c"/bundle/rootfs/deep", c"/bundle/rootfs/tmp/deep"];
    checks.equal("nothing came to be outside of the volume", outside.map(exists), [false; 5]);
    checks.equal("what was in it still is", exists(c"v/point/kept") || exists(c"v/link/kept"), true);
}

/// Inside.
fn swap() -> i32 {
    make_file(c"/v/swapping", 0o644, b"").expect("a file");
    loop {
        let _ = sys::rename(c"/v/point", c"/v/link", RENAME_EXCHANGE);
    }
}

/// Masks are the kernel's own objects: it does not matter what the container's `/dev/null` is.
fn masks(checks: &mut Checks) {
    make_file(c"v/hidden", 0o666, b"hidden").expect("a file");
    sys::symlink(c"hidden", c"v/to-hidden").expect("a link");
    sys::mkdir(c"v/closed", 0o777).expect("a directory");
    make_file(c"v/closed/file", 0o666, b"hidden").expect("a file");
    // No /dev is mounted: it is the root's own.
    let config = text!(
        1024,
        "root_path=rootfs\nnamespace=pid\nnamespace=mount\n{VOLUME}masked_path=/proc/version\nmasked_path=/v/to-hidden\n\
         masked_path=/v/closed\nprocess_args=[\"/bin/attack-paths\",\"masked\"]\n"
    );
    let null = c"/bundle/rootfs/dev/null";
    let kinds: [(&str, Deed); 4] = [
        ("missing", |_| Ok(())),
        ("a link to a file", |null| sys::symlink(c"/v/hidden", null)),
        ("a link to a kernel parameter", |null| sys::symlink(c"/proc/sys/kernel/hostname", null)),
        ("a file", |null| make_file(null, 0o666, b"none of it")),
    ];
    for (kind, make) in kinds {
        checks.equal(format_args!("/dev/null is {kind}"), make(null), Ok(()));
        let end = driver::run("masked", &config).map(|end| end.status);
        checks.equal("what is masked is empty and takes nothing", end, Ok(WaitStatus::Exited(0)));
        let _ = sys::unlink(null);
    }
    checks.equal(
        "outside it is as it was",
        (sum(c"v/hidden").map(|(length, _)| length), exists(c"v/closed/file")),
        (Ok(6), true),
    );
}

/// Inside.
fn masked() -> i32 {
    let empty = |path| sum(path).is_ok_and(|(length, _)| length == 0);
    let refuses = |path| [O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC].iter().all(|&flags| sys::open(path, flags).is_err());
    let files = [c"/proc/version", c"/v/hidden", c"/v/to-hidden"];
    let closed = !exists(c"/v/closed/file") && make_file(c"/v/closed/new", 0o666, b"").is_err();
    let kept = sys::rename(c"/v/hidden", c"/v/away", 0).is_err() && sys::unlink(c"/v/hidden").is_err();
    i32::from(!files.into_iter().all(|path| empty(path) && refuses(path)))
        + 2 * i32::from(!closed)
        + 4 * i32::from(!kept)
}

/// A container that shares the machine's process table sees the machine's processes, and goes nowhere through them.
fn other_processes(checks: &mut Checks) {
    let own = text!(16, "{}", sys::getpid());
    for (rights, lines) in &RIGHTS[..2] {
        let config = text!(
            512,
            "root_path=rootfs\nnamespace=mount\nmount=/proc:proc:proc\nmasked_path=none\n\
             {lines}process_args=[\"/bin/attack-paths\",\"others\",\"{own}\"]\n"
        );
        let end = driver::run("others", &config).map(|end| end.status);
        checks.equal(format_args!("{rights} give no way through others' processes"), end, Ok(WaitStatus::Exited(0)));
    }
}

/// Inside, in the machine's own pid namespace.
fn others(driver: &str) -> i32 {
    let mut wrong = 0;
    for pid in ["1", driver] {
        let path = |name: &str| text!(64, "/proc/{pid}/{name}\0");
        wrong |= i32::from(!exists(c_str(&path("status"))));
        for name in ["root", "cwd", "exe", "fd/0", "ns/mnt", "ns/pid", "environ", "maps"] {
            wrong |= i32::from(sys::open(c_str(&path(name)), O_RDONLY) != Err(Errno::EACCES)) << 1;
        }
        for name in ["root", "cwd", "root/boot", "cwd/.."] {
            wrong |= i32::from(sys::chdir(c_str(&path(name))) != Err(Errno::EACCES)) << 2;
            wrong |= i32::from(sys::chroot(c_str(&path(name))) != Err(Errno::EACCES)) << 3;
        }
        wrong |= i32::from(sys::readlink(c_str(&path("exe")), &mut [0; 64]).is_ok()) << 4;
        wrong |= i32::from(sys::open(c_str(&path("mem")), O_RDWR).is_ok()) << 5;
    }
    wrong
}

/// The directory in which an attacker stands is moved out of what is mounted for it: `..` then leads nowhere.
fn moved_directory(checks: &mut Checks) {
    let stray = attacker("stray", "mount=/v:bind:/tmp/tree/shared\n", "stray");
    await_file(c"tree/shared/ready");
    checks.equal("it is moved", sys::rename(c"tree/shared/a/b", c"tree/out", 0), Ok(()));
    make_file(c"tree/shared/moved", 0o644, b"").expect("a file");
    let end = driver::wait(stray).map(|end| end.status);
    checks.equal("who stood in it sees nothing of what is around", end, Ok(WaitStatus::Exited(0)));
    checks.equal("the container goes", driver::delete(stray), Ok(()));
}

/// Inside.
fn stray() -> i32 {
    sys::chdir(c"/v/a/b").expect("a directory");
    let above = sys::open(c".", O_RDONLY | O_DIRECTORY).expect("a directory");
    make_file(c"/v/ready", 0o644, b"").expect("a file");
    await_file(c"/v/moved");
    let ways = [c"..", c"../..", c"../../..", c"/proc/self/cwd/.."];
    let by_descriptor =
        sys::fstatat(above, c"../secret", 0).is_err() && sys::openat(above, c"..", O_RDONLY, 0).is_err();
    let climbs = ways.into_iter().all(|way| sys::chdir(way) == Err(Errno::ENOENT));
    let looks = ways.into_iter().all(is_inside) && sys::open(c"../secret", O_RDONLY).is_err();
    i32::from(!by_descriptor)
        + 2 * i32::from(!climbs)
        + 4 * i32::from(!looks)
        + 8 * i32::from(sys::rename(c"../secret", c"/tmp/secret", 0).is_ok())
}
