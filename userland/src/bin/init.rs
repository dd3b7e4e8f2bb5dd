//! The first process of the machine: runs what the kernel command line asks for, and exits with its status, which is
//! then the machine's.
//!
//! The words of the command line arrive as Linux passes them on: `name=value` in the environment, what follows `--`
//! as arguments. `config=FILE` (default `/config.oci`) runs a container, with `bundle=DIRECTORY` (default
//! `/bundle`) and `id=NAME` (default: the file's name without its ending). `bench=cycle` runs it `count=N` times and
//! prints means. `probe=NAME` runs the program `/bin/NAME` as a plain child with the arguments after `--`, and
//! `shell=NAME` does so with a terminal and the usual file systems.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::ffi::CStr;

use linux_raw_sys::general::{F_GETFD, O_RDONLY, O_RDWR, WNOHANG};
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitResult, WaitStatus};
use veridian_userland::heapless::{CString, Vec};
use veridian_userland::sys::{self, AT_FDCWD, Fd, Start};
use veridian_userland::{println, program, text};

program!(main);

/// Exit status when no process was made: a wrong configuration, a step of create that failed (as docker has it).
const REFUSED: u8 = 125;
/// Exit status when the program is there and cannot be run.
const NOT_RUNNABLE: u8 = 126;
/// Exit status when the program is not there.
const NOT_FOUND: u8 = 127;

/// A path with its NUL.
type Path = CString<256>;

fn main(start: &Start) -> i32 {
    open_console();
    mount_devices();
    let status = match (start.var("probe"), start.var("shell"), start.var("bench")) {
        (Some(name), ..) => run_child(start, name),
        (_, Some(name), _) => {
            mount_usual();
            run_child(start, name)
        }
        (None, None, None) => run_container(start),
        (None, None, Some("cycle")) => bench_cycle(start),
        (None, None, Some(other)) => {
            println!("veridian: bench={other} is not known; there is bench=cycle");
            Err(REFUSED)
        }
    };
    reap();
    i32::from(status.unwrap_or_else(|status| status))
}

/// Opens the console as standard input, output and error where the kernel left them closed.
fn open_console() {
    for wanted in 0..3 {
        if sys::fcntl(wanted, F_GETFD, 0).is_err() && sys::open(c"/dev/console", O_RDWR) != Ok(wanted) {
            // There is no place to say so.
            sys::exit(i32::from(REFUSED));
        }
    }
}

/// Shows the devices where the root has a directory for them.
fn mount_devices() {
    match sys::mount(c"dev", c"/dev", c"dev", 0, None) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => println!("veridian: /dev: {errno}"),
    }
}

/// Mounts what people expect to look at, where the root has directories for it.
fn mount_usual() {
    for (kind, place) in
        [(c"proc", c"/proc"), (c"sysfs", c"/sys"), (c"devpts", c"/dev/pts"), (c"cgroup2", c"/sys/fs/cgroup")]
    {
        if let Err(errno) = sys::mount(kind, place, kind, 0, None)
            && errno != Errno::ENOENT
        {
            println!("veridian: {}: {errno}", place.to_str().unwrap_or_default());
        }
    }
}

/// Takes the statuses of all ended children that init inherited.
fn reap() {
    while matches!(sys::wait4(-1, WNOHANG), Ok((pid, _)) if pid > 0) {}
}

/// A container to run: configuration text, its file's name for messages, bundle directory, id.
struct Request {
    config: &'static [u8],
    name: &'static str,
    bundle: Fd,
    id: &'static str,
}

impl Request {
    fn read(start: &Start) -> Result<Self, u8> {
        let file = start.var("config").unwrap_or("/config.oci");
        let name = file.rsplit('/').next().unwrap_or(file);
        let id = name.split('.').next().unwrap_or(name);
        let config = read_file(file).map_err(|errno| refused(file, errno))?;
        let directory = start.var("bundle").unwrap_or("/bundle");
        let bundle = open(directory).map_err(|errno| refused(directory, errno))?;
        Ok(Self { config, name, bundle, id: start.var("id").unwrap_or(id) })
    }

    /// `container_create`; when it fails, says why and gives the status to exit with.
    fn create(&self) -> Result<Fd, u8> {
        let mut message = [0; 1024];
        let (config, id) = (self.config, self.id.as_bytes());
        sys::container_create(config, id, self.bundle, CreateFlags::empty(), &mut message).map_err(|(errno, len)| {
            let said = core::str::from_utf8(&message[..len]).unwrap_or("(the kernel's message is not UTF-8)");
            match said.strip_prefix("line ") {
                Some(line) => println!("veridian: {}:{line}", self.name),
                None if said.is_empty() => println!("veridian: {}: {errno}", self.name),
                None => println!("veridian: {}: {said}", self.name),
            }
            if said.ends_with("(process)") { exec_status(errno) } else { REFUSED }
        })
    }
}

/// The status for a program that could not be executed.
fn exec_status(errno: Errno) -> u8 {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => NOT_FOUND,
        Errno::EACCES | Errno::EPERM | Errno::ENOEXEC => NOT_RUNNABLE,
        _ => REFUSED,
    }
}

/// Says that a step failed; the status to exit with.
fn refused(what: &str, errno: Errno) -> u8 {
    println!("veridian: {what}: {errno}");
    REFUSED
}

/// Create, start, wait, delete, each told in a line.
fn run_container(start: &Start) -> Result<u8, u8> {
    let request = Request::read(start)?;
    let id = request.id;
    let begin = sys::now();
    let container = request.create()?;
    let created = sys::now();
    println!("veridian: created {id} in {} ns", created - begin);

    let begin = sys::now();
    if let Err(errno) = sys::container_start(container) {
        refused("start", errno);
        return Err(delete_unstarted(container));
    }
    let started = sys::now();
    println!("veridian: started {id} in {} ns", started - begin);

    let result = sys::container_wait(container).map_err(|errno| refused("wait", errno))?;
    let stopped = sys::now();
    let status = tell_end(id, &result, stopped - started);

    let begin = sys::now();
    sys::container_delete(container, DeleteFlags::empty()).map_err(|errno| refused("delete", errno))?;
    println!("veridian: deleted {id} in {} ns", sys::now() - begin);
    let closed = sys::close(container);
    closed.map_err(|errno| refused("close", errno)).and(status)
}

/// Deletes a container whose start failed, so that nothing of it is left; the status to exit with.
fn delete_unstarted(container: Fd) -> u8 {
    sys::container_delete(container, DeleteFlags::FORCE).map_or_else(|errno| refused("delete", errno), |()| REFUSED)
}

/// Says how a container ended; its status by the convention of shells.
fn tell_end(id: &str, result: &WaitResult, nanoseconds: u64) -> Result<u8, u8> {
    let Some(status) = WaitStatus::decode(result.status) else {
        println!("veridian: wait gave {:#x}, which is no status of an ended process", result.status);
        return Err(REFUSED);
    };
    let memory = if result.exit_flags().is_empty() { "" } else { ", out of memory" };
    match status {
        WaitStatus::Exited(number) => {
            println!("veridian: exited {id} with status {number}{memory} after {nanoseconds} ns");
        }
        WaitStatus::Signaled(signal) => {
            let number = signal.number();
            println!("veridian: exited {id}, killed by signal {number} ({signal}){memory}, after {nanoseconds} ns");
        }
    }
    println!("veridian: {id} had at most {} bytes of memory and {} tasks", result.memory_peak, result.tasks_peak);
    Ok(status.shell_status())
}

/// Times create, start, wait and delete: means over `count` cycles after a tenth of them to warm up.
fn bench_cycle(start: &Start) -> Result<u8, u8> {
    let request = Request::read(start)?;
    let count = match start.var("count").map(str::parse::<u64>) {
        None => 100,
        Some(Ok(count)) if count > 0 => count,
        Some(_) => {
            println!("veridian: count= wants a number, at least 1");
            return Err(REFUSED);
        }
    };
    let mut spent = [0_u64; 4];
    for cycle in 0..count / 10 + count {
        let times = cycle_once(&request)?;
        if cycle >= count / 10 {
            spent.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        }
    }
    let [create, run, wait, delete] = spent.map(|sum| sum / count);
    let whole = spent.iter().sum::<u64>() / count;
    println!("veridian: bench cycle: {whole} ns a cycle, mean of {count}");
    println!("veridian: bench cycle: create {create} ns, start {run} ns, wait {wait} ns, delete {delete} ns");
    Ok(0)
}

/// One cycle; nanoseconds of each of the four calls.
fn cycle_once(request: &Request) -> Result<[u64; 4], u8> {
    let begin = sys::now();
    let container = request.create()?;
    let created = sys::now();
    sys::container_start(container).map_err(|errno| refused("start", errno))?;
    let started = sys::now();
    let result = sys::container_wait(container).map_err(|errno| refused("wait", errno))?;
    let stopped = sys::now();
    sys::container_delete(container, DeleteFlags::empty()).map_err(|errno| refused("delete", errno))?;
    sys::close(container).map_err(|errno| refused("close", errno))?;
    let deleted = sys::now();
    if WaitStatus::decode(result.status) != Some(WaitStatus::Exited(0)) {
        println!("veridian: bench cycle: the process ended with wait status {:#x}", result.status);
        return Err(REFUSED);
    }
    Ok([created - begin, started - created, stopped - started, deleted - stopped])
}

/// Runs `/bin/NAME` as a child, and takes every child's status until it has ended.
fn run_child(start: &Start, name: &str) -> Result<u8, u8> {
    let path = c_path(&text!(255, "/bin/{name}")).map_err(|errno| refused(name, errno))?;
    let mut args: Vec<&CStr, { sys::EXEC_STRINGS_MAX }> = Vec::new();
    let mut env: Vec<&CStr, { sys::EXEC_STRINGS_MAX }> = Vec::new();
    let too_many = || refused(name, Errno::E2BIG);
    args.push(&path).map_err(|_| too_many())?;
    start.args().skip(1).try_for_each(|arg| args.push(arg)).map_err(|_| too_many())?;
    start.env().try_for_each(|entry| env.push(entry)).map_err(|_| too_many())?;
    let child = sys::spawn(|| {
        let errno = sys::execve(&path, &args, &env);
        refused(name, errno);
        i32::from(exec_status(errno))
    });
    let child = child.map_err(|errno| refused("fork", errno))?;
    loop {
        let (pid, status) = sys::wait4(-1, 0).map_err(|errno| refused("wait4", errno))?;
        if pid == child {
            let Some(status) = WaitStatus::decode(status) else { continue };
            println!("veridian: {name} {status}");
            return Ok(status.shell_status());
        }
    }
}

/// A path as the kernel wants it.
fn c_path(path: &str) -> Result<Path, Errno> {
    let mut text = Path::new();
    if path.contains('\0') {
        return Err(Errno::EINVAL);
    }
    text.extend_from_bytes(path.as_bytes()).map_err(|_| Errno::ENAMETOOLONG)?;
    Ok(text)
}

fn open(path: &str) -> Result<Fd, Errno> {
    sys::openat(AT_FDCWD, &c_path(path)?, O_RDONLY, 0)
}

/// The whole of a file.
fn read_file(path: &str) -> Result<&'static [u8], Errno> {
    let file = open(path)?;
    let size = usize::try_from(sys::fstat(file)?.st_size).map_err(|_| Errno::EIO)?;
    let buffer = sys::buffer(size)?;
    let mut filled = 0;
    while filled < size {
        match sys::read(file, &mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    sys::close(file)?;
    Ok(&buffer[..filled])
}
