//! Plain: /proc and /sys as programs read them, and what they must not let them do. Everything happens in a mount
//! namespace of the probe's own, where the instance is at `p`, and (with the argument `inside`) in a container, at `/proc`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;
use linux_raw_sys::general::{
    CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TRUNC,
    O_WRONLY, SEEK_SET, WNOHANG,
};
use veridian_containers::abi::{CreateFlags, Errno, WaitStatus};
use veridian_userland::check::{Checks, enter_scratch, in_child, make_file, wait_for};
use veridian_userland::heapless::String;
use veridian_userland::sys::{self, Start};
use veridian_userland::{driver, program, text};

program!(main);

fn main(start: &Start) -> i32 {
    if start.arg(1) == Some("inside") {
        return inside();
    }
    let mut checks = Checks::new();
    contained(&mut checks);
    checks.equal("a mount namespace of its own", sys::unshare(CLONE_NEWNS), Ok(()));
    enter_scratch();
    for directory in [c"p", c"hidden", c"d", c"ro"] {
        sys::mkdir(directory, 0o755).expect("a directory");
    }
    checks.equal("procfs is mounted", proc_at(c"p", None), Ok(()));
    itself(&mut checks, start);
    numbers(&mut checks);
    places(&mut checks);
    descriptors(&mut checks);
    namespaces(&mut checks);
    ends(&mut checks);
    others(&mut checks);
    machine(&mut checks);
    parameters(&mut checks);
    fixed(&mut checks);
    inner(&mut checks);
    races(&mut checks);
    checks.finish()
}

type Path = String<96>;

fn proc_at(target: &CStr, options: Option<&CStr>) -> sys::Result {
    sys::mount(c"proc", target, c"proc", 0, options)
}

/// A path as the calls take it.
macro_rules! path {
    ($($text:tt)*) => {{
        let mut text: Path = text!(96, $($text)*);
        text.push('\0').expect("a short path");
        text
    }};
}

fn c(path: &Path) -> &CStr {
    CStr::from_bytes_until_nul(path.as_bytes()).expect("a NUL at its end")
}

/// What a file says; at most one page of it.
fn read(path: &CStr) -> sys::Result<String<4096>> {
    let file = sys::open(path, O_RDONLY)?;
    let text = read_open(file);
    sys::close(file)?;
    text
}

fn read_open(file: sys::Fd) -> sys::Result<String<4096>> {
    let mut bytes = [0; 4096];
    let mut length = 0;
    loop {
        match sys::read(file, &mut bytes[length..])? {
            0 => break,
            count => length += count,
        }
    }
    let mut text = String::new();
    for &byte in &bytes[..length] {
        // A NUL separates what is to be told apart.
        text.push(if byte == 0 { '|' } else { byte as char }).expect("one byte each");
    }
    Ok(text)
}

fn link(path: &CStr) -> sys::Result<String<256>> {
    let mut bytes = [0; 256];
    let count = sys::readlink(path, &mut bytes)?;
    Ok(core::str::from_utf8(&bytes[..count]).map_err(|_| Errno::EILSEQ)?.try_into().expect("it fits"))
}

/// The value of a line `name: value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn itself(checks: &mut Checks, start: &Start) {
    let pid = sys::getpid();
    let number: String<16> = text!(16, "{pid}");
    checks.equal("self is the caller", link(c"p/self").as_deref().ok(), Some(number.as_str()));
    let thread: String<32> = text!(32, "{pid}/task/{pid}");
    checks.equal("thread-self too", link(c"p/thread-self").as_deref().ok(), Some(thread.as_str()));
    let status = read(c"p/self/status").unwrap_or_default();
    for (name, value) in [("Pid", number.as_str()), ("Tgid", &number), ("NSpid", &number), ("Name", "procfs")] {
        checks.equal(format_args!("status tells {name}"), field(&status, name), Some(value));
    }
    checks.equal("it runs", field(&status, "State"), Some("R (running)"));
    checks.equal("it is root", field(&status, "Uid"), Some("0\t0\t0\t0"));
    checks.equal("no trick is forbidden", field(&status, "NoNewPrivs"), Some("0"));
    checks.holds("it has memory", field(&status, "VmRSS").is_some_and(|size| size.ends_with(" kB")));
    let stat = read(c"p/self/stat").unwrap_or_default();
    let (name, rest) = stat.rsplit_once(") ").unwrap_or_default();
    let head: String<32> = text!(32, "{pid} (procfs");
    checks.equal("stat begins with number and name", name, head.as_str());
    checks.equal("and has 52 fields", rest.split_ascii_whitespace().count(), 50);
    let field_of =
        |index: usize| rest.split_ascii_whitespace().nth(index - 3).and_then(|word| word.parse::<u64>().ok());
    checks.equal("the fourth is the parent", field_of(4), Some(u64::from(sys::getppid().unsigned_abs())));
    checks.holds("the 23rd is the size of its memory", field_of(23).is_some_and(|bytes| bytes > 4096));
    let statm = read(c"p/self/statm").unwrap_or_default();
    checks.equal("statm has seven numbers", statm.split_ascii_whitespace().count(), 7);
    let mut arguments: String<1024> = String::new();
    for argument in start.args() {
        let _ = arguments.push_str(argument.to_str().unwrap_or("?"));
        let _ = arguments.push('|');
    }
    checks.equal("cmdline", read(c"p/self/cmdline").as_deref().ok(), Some(arguments.as_str()));
    let environment = read(c"p/self/environ").unwrap_or_default();
    checks.holds("environ has the probe's name", environment.split('|').any(|entry| entry == "probe=procfs"));
    checks.equal("comm", read(c"p/self/comm").as_deref().ok(), Some("procfs\n"));
    checks.equal("comm can be set", make_file(c"p/self/comm", 0, b"renamed\n"), Ok(()));
    checks.equal("and is", read(c"p/self/comm").as_deref().ok(), Some("renamed\n"));
    let maps = read(c"p/self/maps").unwrap_or_default();
    checks
        .holds("maps shows the stack", maps.lines().any(|line| line.ends_with(" [stack]") && line.contains(" rw-p ")));
    checks.holds("and the program", maps.lines().any(|line| line.ends_with("/procfs") && line.contains(" r-xp ")));
    let auxv = sys::open(c"p/self/auxv", O_RDONLY).expect("auxv");
    let mut entry = [0; 16];
    checks.equal("auxv can be read", sys::read(auxv, &mut entry), Ok(16));
    sys::close(auxv).expect("open");
    let groups = read(c"p/self/cgroup").unwrap_or_default();
    checks.holds("cgroup is of version 2", groups.starts_with("0::/"));
    checks.holds("its own task is listed", lists(c"p/self/task", &number));
}

fn numbers(checks: &mut Checks) {
    let found = [c"p/self/stat", c"p/self/status", c"p/self"].map(|path| sys::fstatat(sys::AT_FDCWD, path, 0));
    let again = [c"p/self/stat", c"p/self/status", c"p/self"].map(|path| sys::fstatat(sys::AT_FDCWD, path, 0));
    let inode = |found: &sys::Result<linux_raw_sys::general::stat>| found.as_ref().map_or(0, |found| found.st_ino);
    checks.holds("inode numbers stay", found.iter().zip(&again).all(|(a, b)| inode(a) == inode(b) && inode(a) != 0));
    checks.holds("and differ", inode(&found[0]) != inode(&found[1]) && inode(&found[1]) != inode(&found[2]));
    let file = sys::open(c"p/self/stat", O_RDONLY).expect("stat");
    let (mut first, mut second) = ([0; 8], [0; 8]);
    checks.equal("a text is read in parts", sys::read(file, &mut first), Ok(8));
    checks.holds("that go on", sys::read(file, &mut second).is_ok_and(|count| count > 0) && first != second);
    checks.equal("and begins anew", sys::lseek(file, 0, SEEK_SET), Ok(0));
    checks.equal("when it is wound back", sys::read(file, &mut second).map(|_| second), Ok(first));
    sys::close(file).expect("open");
}

fn places(checks: &mut Checks) {
    checks.equal("cwd", link(c"p/self/cwd").as_deref().ok(), Some("/tmp"));
    checks.equal("root", link(c"p/self/root").as_deref().ok(), Some("/"));
    let same = |a: &CStr, b: &CStr| {
        let found = [a, b].map(|path| sys::fstatat(sys::AT_FDCWD, path, 0).map(|found| (found.st_dev, found.st_ino)));
        found[0].is_ok() && found[0] == found[1]
    };
    checks.holds("cwd is followed to the directory itself", same(c"p/self/cwd", c"."));
    checks.holds("and through it", same(c"p/self/cwd/d", c"d"));
    checks.holds("root too", same(c"p/self/root/tmp", c"."));
    checks.holds("a slash behind it changes nothing", same(c"p/self/cwd/", c"."));
    let exe = link(c"p/self/exe").unwrap_or_default();
    checks.holds("exe is the program", exe.ends_with("/procfs"));
    checks.equal("a slash behind a file's link", sys::open(c"p/self/exe/", O_RDONLY), Err(Errno::ENOTDIR));
    let place = sys::open(c"p/self/exe", O_PATH | O_NOFOLLOW).expect("the link itself");
    let mode = sys::fstat(place).map(|found| found.st_mode & linux_raw_sys::general::S_IFMT);
    checks.equal("O_PATH and O_NOFOLLOW open the link", mode, Ok(linux_raw_sys::general::S_IFLNK));
    sys::close(place).expect("open");
    checks.equal("without O_PATH that is ELOOP", sys::open(c"p/self/exe", O_RDONLY | O_NOFOLLOW), Err(Errno::ELOOP));
    sys::chdir(c"p/self").expect("a directory");
    let mut bytes = [0; 64];
    let cwd = sys::getcwd(&mut bytes).ok().and_then(|_| CStr::from_bytes_until_nul(&bytes).ok()?.to_str().ok());
    let expected: String<32> = text!(32, "/tmp/p/{}", sys::getpid());
    checks.equal("getcwd in a process's directory", cwd, Some(expected.as_str()));
    sys::chdir(c"/tmp").expect("a directory");
    checks.equal("a mount on a name in it", sys::mount(c"none", c"p/self/ns", c"tmpfs", 0, None), Ok(()));
    checks.equal("stays", make_file(c"p/self/ns/file", 0o644, b"x"), Ok(()));
    checks.holds("for who comes later", sys::fstatat(sys::AT_FDCWD, c"p/self/ns/file", 0).is_ok());
    checks.equal("until it is taken away", sys::umount(c"p/self/ns", 0), Ok(()));
    checks.equal("and is gone then", sys::open(c"p/self/ns/file", O_RDONLY), Err(Errno::ENOENT));
}

fn descriptors(checks: &mut Checks) {
    make_file(c"file", 0o644, b"content").expect("a file");
    let file = sys::open(c"file", O_RDONLY).expect("open");
    let through = path!("p/self/fd/{file}");
    checks.equal("fd leads to the file", link(c(&through)).as_deref().ok(), Some("/tmp/file"));
    let again = sys::open(c(&through), O_RDWR);
    checks
        .holds("it is opened anew, for writing too", again.is_ok_and(|fd| fd != file && sys::write(fd, b"C") == Ok(1)));
    checks.equal("the offset is another's", sys::lseek(file, 0, linux_raw_sys::general::SEEK_CUR), Ok(0));
    checks.equal(
        "O_CREAT and O_TRUNC go there too",
        sys::open(c(&through), O_WRONLY | O_CREAT | O_TRUNC).map(drop),
        Ok(()),
    );
    checks.equal("and cut it", sys::fstat(file).map(|found| found.st_size), Ok(0));
    let number: String<16> = text!(16, "{file}");
    checks.holds("it is listed", lists(c"p/self/fd", &number) && lists(c"p/self/fdinfo", &number));
    let info = read(c(&path!("p/self/fdinfo/{file}"))).unwrap_or_default();
    checks.equal("fdinfo tells the offset", field(&info, "pos"), Some("0"));
    sys::unlink(c"file").expect("there");
    checks.equal("a file without a name", link(c(&through)).as_deref().ok(), Some("/tmp/file (deleted)"));
    checks.holds("can still be opened there", sys::open(c(&through), O_RDONLY).is_ok());
    sys::close(file).expect("open");
    checks.equal("a closed one is not there", sys::open(c(&through), O_RDONLY), Err(Errno::ENOENT));
    let (from, to) = sys::pipe(0).expect("a pipe");
    let name = link(c(&path!("p/self/fd/{from}"))).unwrap_or_default();
    checks.holds("a pipe has a number", name.starts_with("pipe:[") && name.ends_with(']'));
    let writer = sys::open(c(&path!("p/self/fd/{from}")), O_WRONLY).expect("the other end");
    checks.equal("its other end opens there", sys::write(writer, b"through"), Ok(7));
    let mut bytes = [0; 16];
    checks.equal("and is the same pipe", sys::read(from, &mut bytes), Ok(7));
    let kind = |path: &Path| sys::fstatat(sys::AT_FDCWD, c(path), 0).map(|found| found.st_mode & 0o170_000);
    checks.equal("stat follows to it", kind(&path!("p/self/fd/{to}")), Ok(linux_raw_sys::general::S_IFIFO));
    for fd in [from, to, writer] {
        sys::close(fd).expect("open");
    }
    // A read-only mount stays one, whatever way leads there.
    sys::mount(c"none", c"ro", c"tmpfs", 0, None).expect("a tmpfs");
    make_file(c"ro/file", 0o644, b"x").expect("a file");
    let flags =
        linux_raw_sys::general::MS_REMOUNT | linux_raw_sys::general::MS_BIND | linux_raw_sys::general::MS_RDONLY;
    sys::mount(c"none", c"ro", c"none", flags, None).expect("read-only");
    let file = sys::open(c"ro/file", O_RDONLY).expect("open");
    let through = path!("p/self/fd/{file}");
    checks.equal("a read-only mount is one there too", sys::open(c(&through), O_RDWR), Err(Errno::EROFS));
    sys::close(file).expect("open");
    let directory = sys::open(c"d", O_RDONLY | O_DIRECTORY).expect("a directory");
    let above = path!("p/self/fd/{directory}/../file2");
    checks.equal(
        "a directory goes on from where it is",
        make_file(c(&above), 0o644, b"").map(|()| exists(c"file2")),
        Ok(true),
    );
    sys::close(directory).expect("open");
}

fn exists(path: &CStr) -> bool {
    sys::fstatat(sys::AT_FDCWD, path, 0).is_ok()
}

fn namespaces(checks: &mut Checks) {
    let name = link(c"p/self/ns/uts").unwrap_or_default();
    let number = name.strip_prefix("uts:[").and_then(|rest| rest.strip_suffix(']')).and_then(|n| n.parse::<u64>().ok());
    checks.holds("a namespace has a number", number.is_some());
    let file = sys::open(c"p/self/ns/uts", O_RDONLY).expect("a namespace");
    checks.equal("which is its inode's", sys::fstat(file).map(|found| found.st_ino).ok(), number);
    checks.equal("it is not written", sys::open(c"p/self/ns/uts", O_RDWR), Err(Errno::EACCES));
    let of_file = link(c(&path!("p/self/fd/{file}"))).unwrap_or_default();
    checks.equal("its descriptor says the same", of_file.as_str(), name.as_str());
    sys::close(file).expect("open");
    let changed = in_child(|| {
        let before = link(c"p/self/ns/uts");
        let unshared = sys::unshare(CLONE_NEWUTS);
        i32::from(unshared.is_err() || before == link(c"p/self/ns/uts") || before.as_deref() != Ok(&*name))
    });
    checks.equal("an unshared one has another", changed, Ok(WaitStatus::Exited(0)));
    for kind in ["mnt", "pid", "pid_for_children", "time", "time_for_children", "user"] {
        checks.holds(format_args!("ns/{kind} is there"), link(c(&path!("p/self/ns/{kind}"))).is_ok());
    }
}

/// What is left of a process that has ended, and of one that has been waited for.
fn ends(checks: &mut Checks) {
    let (from, to) = sys::pipe(0).expect("a pipe");
    let child = sys::spawn(|| {
        // Until the parent closes its end.
        let _ = sys::close(to);
        let _ = sys::read(from, &mut [0]);
        0
    })
    .expect("a child");
    let directory = path!("p/{child}");
    let status = path!("p/{child}/status");
    let open = sys::open(c(&status), O_RDONLY).expect("a live child");
    let held = sys::open(c(&directory), O_RDONLY | O_DIRECTORY).expect("a live child");
    let waits = (0..1000).any(|_| {
        sys::sched_yield();
        read(c(&status)).is_ok_and(|text| field(&text, "State") == Some("S (sleeping)"))
    });
    checks.holds("a child that waits sleeps", waits);
    sys::close(to).expect("open");
    let zombie = (0..1000).any(|_| {
        sys::sched_yield();
        read(c(&status)).is_ok_and(|text| field(&text, "State") == Some("Z (zombie)"))
    });
    checks.holds("an ended one is a zombie", zombie);
    checks.equal("without arguments", read(c(&path!("p/{child}/cmdline"))).as_deref().ok(), Some(""));
    checks.equal("and without a place", link(c(&path!("p/{child}/cwd"))).err(), Some(Errno::ENOENT));
    wait_for(child).expect("a child");
    checks.equal("one that was waited for is not there", sys::open(c(&status), O_RDONLY), Err(Errno::ENOENT));
    checks.equal("its open file says ESRCH", read_open(open).err(), Some(Errno::ESRCH));
    checks.equal("its open directory is empty", sys::openat(held, c"status", O_RDONLY, 0), Err(Errno::ENOENT));
    let number: String<16> = text!(16, "{child}");
    checks.holds("it is not listed", !lists(c"p", &number));
    for fd in [from, open, held] {
        sys::close(fd).expect("open");
    }
}

/// What users see of others.
fn others(checks: &mut Checks) {
    checks.equal("hidepid is taken", proc_at(c"hidden", Some(c"hidepid=2")), Ok(()));
    checks.equal("a wrong option is not", proc_at(c"d", Some(c"hidepid=9")), Err(Errno::EINVAL));
    checks.equal("nor an unknown one", proc_at(c"d", Some(c"nonsense")), Err(Errno::EINVAL));
    let parent = sys::getpid();
    checks.succeeds("a user sees what is everybody's, and no more", || {
        sys::setresgid(1000, 1000, 1000).expect("root may");
        sys::setresuid(1000, 1000, 1000).expect("root may");
        let mut checks = Checks::new();
        checks.holds("status of another", read(c(&path!("p/{parent}/status"))).is_ok());
        for name in ["environ", "maps", "auxv"] {
            let path = path!("p/{parent}/{name}");
            checks.equal(format_args!("{name} of another"), sys::open(c(&path), O_RDONLY), Err(Errno::EACCES));
        }
        for name in ["cwd", "root", "exe", "ns/mnt", "fd/0"] {
            let path = path!("p/{parent}/{name}");
            checks.equal(format_args!("{name} of another"), link(c(&path)).err(), Some(Errno::EACCES));
            checks.equal(format_args!("the way through {name}"), sys::open(c(&path), O_RDONLY), Err(Errno::EACCES));
        }
        checks.equal("a mount", proc_at(c"d", None), Err(Errno::EPERM));
        checks.equal("another's comm", sys::open(c(&path!("p/{parent}/comm")), O_WRONLY), Err(Errno::EACCES));
        checks.equal("a parameter", sys::open(c"p/sys/kernel/hostname", O_WRONLY), Err(Errno::EACCES));
        checks.equal("a hidden process", read(c(&path!("hidden/{parent}/status"))).err(), Some(Errno::ENOENT));
        let number: String<16> = text!(16, "{parent}");
        checks.holds("is not listed", !lists(c"hidden", &number) && lists(c"p", &number));
        checks.holds("the own one is", read(c"hidden/self/status").is_ok());
        checks.finish()
    });
}

fn machine(checks: &mut Checks) {
    let told = sys::sysinfo().expect("sysinfo");
    let memory = read(c"p/meminfo").unwrap_or_default();
    let kib = |name| field(&memory, name).and_then(|value| value.strip_suffix(" kB")?.trim().parse::<u64>().ok());
    checks.equal("MemTotal is sysinfo's", kib("MemTotal"), Some(told.totalram / 1024));
    checks.holds("MemFree is less", kib("MemFree").is_some_and(|free| free > 0 && free < told.totalram / 1024));
    checks.equal("there is no swap", kib("SwapTotal"), Some(0));
    let version = read(c"p/version").unwrap_or_default();
    checks.holds("version", version.starts_with("Linux version 6."));
    let uptime = read(c"p/uptime").unwrap_or_default();
    let words =
        uptime.split_ascii_whitespace().filter(|word| word.split_once('.').is_some_and(|(_, part)| part.len() == 2));
    checks.equal("uptime is two times", words.count(), 2);
    let load = read(c"p/loadavg").unwrap_or_default();
    let last = load.split_ascii_whitespace().last().and_then(|word| word.parse::<i32>().ok());
    checks.equal("loadavg has five parts", load.split_ascii_whitespace().count(), 5);
    checks.holds("the last is the last pid", last.is_some_and(|last| last >= sys::getpid()));
    let stat = read(c"p/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    checks.holds(
        "stat counts the CPUs' time",
        first.starts_with("cpu  ") && first.split_ascii_whitespace().count() == 11,
    );
    checks.holds("and of each", stat.lines().any(|line| line.starts_with("cpu0 ")));
    let cpus = read(c"p/cpuinfo").unwrap_or_default();
    let counted = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    checks.equal("cpuinfo has as many", cpus.lines().filter(|line| line.starts_with("processor\t: ")).count(), counted);
    let types = read(c"p/filesystems").unwrap_or_default();
    checks.holds("filesystems", ["proc", "tmpfs"].iter().all(|name| types.lines().any(|line| line.ends_with(name))));
    checks.holds("swaps has a head", read(c"p/swaps").is_ok_and(|text| text.starts_with("Filename")));
    checks.holds(
        "cmdline has what the machine was started with",
        read(c"p/cmdline").is_ok_and(|t| t.contains("probe=procfs")),
    );
    for absent in [c"p/kcore", c"p/keys", c"p/timer_list", c"p/sched_debug", c"p/sysrq-trigger", c"p/1x", c"p/01"] {
        checks.equal(format_args!("{absent:?} is not there"), sys::open(absent, O_RDONLY), Err(Errno::ENOENT));
    }
}

fn parameters(checks: &mut Checks) {
    let name = |text: &mut [core::ffi::c_char]| -> String<66> { sys::text_of(text).chars().chain(['\n']).collect() };
    let changed = in_child(|| {
        sys::unshare(CLONE_NEWUTS).expect("root may");
        let mut checks = Checks::new();
        let mut told = sys::uname().expect("uname");
        let host = read(c"p/sys/kernel/hostname").unwrap_or_default();
        checks.equal("hostname is uname's", host.as_str(), name(&mut told.nodename).as_str());
        checks.equal("ostype", read(c"p/sys/kernel/ostype").as_deref().ok(), Some("Linux\n"));
        let release = read(c"p/sys/kernel/osrelease").unwrap_or_default();
        checks.equal("osrelease is uname's", release.as_str(), name(&mut told.release).as_str());
        checks.equal("hostname can be set", make_file(c"p/sys/kernel/hostname", 0, b"other\n"), Ok(()));
        let mut told = sys::uname().expect("uname");
        checks.equal("and is", name(&mut told.nodename).as_str(), "other\n");
        checks.finish()
    });
    checks.equal("parameters are the namespace's", changed, Ok(WaitStatus::Exited(0)));
    checks.equal(
        "what is not to be set is not, even by root",
        sys::open(c"p/sys/kernel/osrelease", O_WRONLY),
        Err(Errno::EACCES),
    );
    let uuids = [(); 2].map(|()| read(c"p/sys/kernel/random/uuid").unwrap_or_default());
    checks.holds("each uuid is new", uuids[0] != uuids[1] && uuids[0].len() == 37);
    let boots = [(); 2].map(|()| read(c"p/sys/kernel/random/boot_id").unwrap_or_default());
    checks.holds("there is one boot", boots[0] == boots[1] && boots[0].len() == 37);
    checks.holds("directories are listed", lists(c"p/sys", "kernel") && lists(c"p/sys/kernel", "random"));
}

/// Nothing is made or removed there.
fn fixed(checks: &mut Checks) {
    checks.equal("mkdir", sys::mkdir(c"p/new", 0o755), Err(Errno::ENOENT));
    checks.equal("creat", make_file(c"p/new", 0o644, b""), Err(Errno::ENOENT));
    checks.equal("unlink", sys::unlink(c"p/version"), Err(Errno::EPERM));
    checks.equal("rmdir", sys::rmdir(c"p/self/fd"), Err(Errno::EPERM));
    checks.equal("rename", sys::rename(c"p/version", c"p/other", 0), Err(Errno::EPERM));
    checks.equal("chmod", sys::chmod(c"p/version", 0o777), Err(Errno::EPERM));
}

/// Another pid namespace.
fn inner(checks: &mut Checks) {
    let outside = sys::getpid();
    let alone = in_child(|| {
        sys::unshare(CLONE_NEWPID).expect("root may");
        match in_child(|| {
            let mut checks = Checks::new();
            checks.equal("self is not in the outer instance's namespace alone", link(c"p/self").is_ok(), true);
            checks.equal("an instance of its own", proc_at(c"d", None), Ok(()));
            checks.equal("shows it as 1", link(c"d/self").as_deref().ok(), Some("1"));
            let number: String<16> = text!(16, "{outside}");
            checks.holds("and nobody outside", outside == 1 || !lists(c"d", &number));
            checks.equal("the lowest number is the only one", processes(c"d"), 1);
            sys::umount(c"d", 0).expect("mounted");
            checks.finish()
        }) {
            Ok(WaitStatus::Exited(status)) => i32::from(status),
            _ => 2,
        }
    });
    checks.equal("a pid namespace has its own processes", alone, Ok(WaitStatus::Exited(0)));
}

/// The mounts of the container, what of it is hidden, and what is read-only beside the default.
const HOUSE: &str = "mount=/proc:proc:proc:nosuid,nodev,noexec\nmount=/sys:sysfs:sysfs:ro\n\
    masked_path=/proc/version\nmasked_path=/proc/sys/kernel/random\nmasked_path=/bin/hello\nmasked_path=/none\n\
    readonly_path=/proc/sys\nreadonly_path=/bin\nreadonly_path=/none\n";

/// /proc and /sys of a container, and what is refused when it is made.
fn contained(checks: &mut Checks) {
    let end = driver::run("inside", &driver::config(HOUSE, &["/bin/procfs", "inside"]));
    checks.equal("all is well inside", end.map(|end| end.status), Ok(WaitStatus::Exited(0)));
    checks.equal("a mask hides nothing outside", sys::access(c"/bundle/rootfs/bin/hello", 1), Ok(()));
    // What the kernel follows for a container that it makes leads through no process's descriptors or programs.
    for (lines, arguments) in [
        ("", "/proc/self/exe"),
        ("", "/proc/1/exe"),
        ("process_cwd=/proc/self/fd/3\n", "/bin/hello"),
        ("process_cwd=/proc/1/root\n", "/bin/hello"),
        ("process_cwd=/proc/self/cwd\n", "/bin/hello"),
    ] {
        let mut more: String<512> = HOUSE.try_into().expect("it fits");
        more.push_str(lines).expect("it fits");
        let made = driver::create("led", &driver::config(&more, &[arguments]), CreateFlags::empty());
        checks.holds(format_args!("{lines}{arguments} is refused"), made.is_err());
    }
    for (link, mount) in
        [(c"/bundle/rootfs/proc", "mount=/proc:proc:proc\n"), (c"/bundle/rootfs/sys", "mount=/sys:sysfs:sysfs\n")]
    {
        checks.equal("the bundle's own mount point", sys::rmdir(link), Ok(()));
        checks.equal("a link where kernel objects are to be", sys::symlink(c"/tmp", link), Ok(()));
        let made = driver::create("link", &driver::config(mount, &["/bin/hello"]), CreateFlags::empty());
        let refused = made.err().map(|(errno, message)| (errno, message.contains("symbolic link")));
        checks.equal("is refused with the reason", refused, Some((Errno::ELOOP, true)));
        checks.equal("and stays what it was", sys::unlink(link), Ok(()));
        checks.equal("and can be a directory again", sys::mkdir(link, 0o755), Ok(()));
    }
    checks.equal("nothing remains", driver::count(), Ok(0));
}

/// In a container.
fn inside() -> i32 {
    let mut checks = Checks::new();
    checks.equal("it is the first process", link(c"/proc/self").as_deref().ok(), Some("1"));
    checks.equal("and the only one", processes(c"/proc"), 1);
    checks.equal("a masked file is empty", read(c"/proc/version").as_deref().ok(), Some(""));
    checks.equal("and refuses writes", sys::open(c"/proc/version", O_WRONLY), Err(Errno::EROFS));
    let mut count = 0;
    names(c"/proc/sys/kernel/random", |_| count += 1);
    checks.equal("a masked directory is empty", count, 2);
    checks.equal("and takes nothing", sys::mkdir(c"/proc/sys/kernel/random/new", 0o755), Err(Errno::EROFS));
    checks.equal("a masked program is not run", sys::execve(c"/bin/hello", &[c"hello"], &[]), Errno::EACCES);
    let hostname = c"/proc/sys/kernel/hostname";
    checks.equal("a read-only path is so", sys::open(hostname, O_WRONLY), Err(Errno::EROFS));
    checks.equal("but can be read", read(hostname).as_deref().ok(), Some("inside\n"));
    checks.equal("another too", make_file(c"/bin/new", 0o644, b""), Err(Errno::EROFS));
    checks.equal("what is beside it is not", make_file(c"/new", 0o644, b""), Ok(()));
    let mounts = read(c"/proc/mounts").unwrap_or_default();
    checks.holds("each mount has six fields", mounts.lines().all(|line| line.split(' ').count() == 6));
    checks.holds(
        "/proc is one",
        mounts.lines().any(|line| line == "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0"),
    );
    let mounts = read(c"/proc/self/mountinfo").unwrap_or_default();
    checks.holds(
        "mountinfo has it too",
        mounts.lines().any(|line| line.contains(" /proc rw,") && line.contains(" - proc proc rw")),
    );
    let root = sys::fstatat(sys::AT_FDCWD, c"/", 0).map(|found| (found.st_dev, found.st_ino));
    for way in
        [c"/proc/self/root/..", c"/proc/1/cwd/../../..", c"/proc/self/root/proc/../..", c"/proc/thread-self/root/../.."]
    {
        let led = sys::fstatat(sys::AT_FDCWD, way, 0).map(|found| (found.st_dev, found.st_ino));
        checks.equal(format_args!("{way:?} stays inside"), led, root);
    }
    for fd in 0..3 {
        let way = path!("/proc/self/fd/{fd}/..");
        checks.equal("no way leads up from a terminal", sys::open(c(&way), O_RDONLY), Err(Errno::ENOTDIR));
    }
    for fd in 3..64 {
        checks.equal("no further descriptor", link(c(&path!("/proc/self/fd/{fd}"))).err(), Some(Errno::ENOENT));
    }
    for pid in 2..200 {
        if exists(c(&path!("/proc/{pid}"))) {
            checks.holds(format_args!("process {pid} is outside"), false);
        }
    }
    let online = read(c"/sys/devices/system/cpu/online").unwrap_or_default();
    checks.holds("the CPUs that are online", online.starts_with('0') && online.ends_with('\n'));
    checks.holds("each has a directory", lists(c"/sys/devices/system/cpu", "cpu0"));
    checks.holds("there is a place for cgroups", lists(c"/sys/fs", "cgroup"));
    checks.equal("nothing is made in /sys", sys::mkdir(c"/sys/new", 0o755), Err(Errno::EROFS));
    checks.finish()
}

/// Processes come and go while they are listed and read.
fn races(checks: &mut Checks) {
    let mut wrong = 0;
    for _ in 0..150 {
        let child = sys::spawn(|| 0).expect("a child");
        for name in ["stat", "status", "cmdline", "maps", "cwd", "fd/0"] {
            match read(c(&path!("p/{child}/{name}"))) {
                Ok(_) | Err(Errno::ENOENT | Errno::ESRCH | Errno::EISDIR | Errno::EINVAL | Errno::ENXIO) => {}
                // Nothing comes from a terminal or a pipe, and nobody waits for it.
                Err(_) => wrong += 1,
            }
            if name == "maps" {
                break;
            }
        }
        let _ = processes(c"p");
        while matches!(sys::wait4(child, WNOHANG), Ok((0, _))) {
            let _ = read(c(&path!("p/{child}/stat")));
        }
    }
    checks.equal("who goes meanwhile is ENOENT or ESRCH", wrong, 0);
}

/// Calls `each` with every name of a directory.
fn names(path: &CStr, mut each: impl FnMut(&str)) {
    let directory = sys::open(path, O_RDONLY | O_DIRECTORY).expect("a directory");
    let mut buffer = [0; 1024];
    while let Ok(count) = sys::getdents(directory, &mut buffer)
        && count > 0
    {
        let mut at = 0;
        while at < count {
            let length = usize::from(u16::from_le_bytes([buffer[at + 16], buffer[at + 17]]));
            let name = CStr::from_bytes_until_nul(&buffer[at + 19..at + length]).expect("a name");
            each(name.to_str().unwrap_or("?"));
            at += length;
        }
    }
    sys::close(directory).expect("open");
}

fn lists(path: &CStr, name: &str) -> bool {
    let mut found = 0;
    names(path, |listed| found += u32::from(listed == name));
    found == 1
}

/// Processes that a procfs lists.
fn processes(path: &CStr) -> usize {
    let mut count = 0;
    names(path, |name| count += usize::from(name.bytes().all(|byte| byte.is_ascii_digit())));
    count
}
