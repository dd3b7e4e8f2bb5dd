//! The first process of the machine: runs what the kernel command line asks for, and exits with its status, which is
//! then the machine's.
//!
//! The words of the command line arrive as Linux passes them on: `name=value` in the environment, what follows `--`
//! as arguments. `config=FILE` (default `/config.oci`) runs a container, with `bundle=DIRECTORY` (default
//! `/bundle`) and `id=NAME` (default: the file's name without its ending); with `trace=NAME`, its system calls are told. `bench=cycle` runs it `count=N` times and
//! prints means, while `alive=N` others of the configuration `alive_config=FILE` are there. `probe=NAME` runs the program `/bin/NAME` as a plain child with the arguments after `--`, and
//! `shell=NAME` does so with a terminal, of `size=COLUMNSxROWS` if it is told, and the usual file systems.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{ffi::CString, format, vec::Vec};
use core::iter;

use linux_raw_sys::general::{F_GETFD, O_RDWR, WNOHANG};
use linux_raw_sys::ioctl::TIOCSWINSZ;
use veridian_containers::abi::{CreateFlags, DeleteFlags, Errno, WaitResult, WaitStatus};
use veridian_userland::containers::{bundle::Bundle, container::Container, file};
use veridian_userland::sys::{self, Start};
use veridian_userland::{println, program, world::world};

program!(main);

/// Exit status when no process was made: a wrong configuration, a step of create that failed (as docker has it).
const REFUSED: u8 = 125;
/// Exit status when the program is there and cannot be run.
const NOT_RUNNABLE: u8 = 126;
/// Exit status when the program is not there.
const NOT_FOUND: u8 = 127;

fn main(start: &Start) -> i32 {
    open_console();
    mount_devices();
    let status = match (start.var("probe"), start.var("shell"), start.var("bench")) {
        (Some(name), ..) => run_child(start, name),
        (_, Some(name), _) => {
            mount_usual();
            set_window(start.var("size"));
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

/// Tells the console how large the terminal behind it is; it cannot ask.
fn set_window(size: Option<&str>) {
    let numbers = size.and_then(|size| size.split_once('x'));
    let Some((columns, rows)) = numbers.and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)))
    else {
        return;
    };
    let mut window = [0; 64];
    window[..2].copy_from_slice(&u16::to_ne_bytes(rows));
    window[2..4].copy_from_slice(&u16::to_ne_bytes(columns));
    if let Err(errno) = sys::ioctl(0, TIOCSWINSZ, &mut window) {
        println!("veridian: size={columns}x{rows}: {errno}");
    }
}

/// Takes the statuses of all ended children that init inherited.
fn reap() {
    while matches!(sys::wait4(-1, WNOHANG), Ok((pid, _)) if pid > 0) {}
}

/// A container to run: its bundle and configuration, and its id.
struct Request {
    bundle: Bundle,
    id: &'static str,
}

impl Request {
    fn read(start: &Start) -> Result<Self, u8> {
        let file = start.var("config").unwrap_or("/config.oci");
        let name = file.rsplit('/').next().unwrap_or(file);
        let id = name.split('.').next().unwrap_or(name);
        let bundle =
            Bundle::with_config(start.var("bundle").unwrap_or("/bundle"), file).map_err(|reason| told(&reason))?;
        Ok(Self { bundle, id: start.var("id").unwrap_or(id) })
    }

    /// `container_create`; when it fails, says why and gives the status to exit with.
    fn create(&self) -> Result<Container, u8> {
        self.bundle.create(self.id, CreateFlags::empty()).map_err(|refusal| {
            println!("veridian: {refusal}");
            if refusal.is_of_program { exec_status(refusal.errno) } else { REFUSED }
        })
    }
}

/// Says what went wrong; the status to exit with.
fn told(reason: &str) -> u8 {
    println!("veridian: {reason}");
    REFUSED
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

    if start.var("trace") == Some(id) {
        container.trace(true).map_err(|reason| told(&reason))?;
    }
    let begin = sys::now();
    if let Err(reason) = container.start() {
        told(&reason);
        return Err(delete_unstarted(&container));
    }
    let started = sys::now();
    println!("veridian: started {id} in {} ns", started - begin);

    let result = container.wait().map_err(|reason| told(&reason))?;
    let stopped = sys::now();
    let status = tell_end(id, &result, stopped - started);

    let begin = sys::now();
    container.delete(DeleteFlags::empty()).map_err(|reason| told(&reason))?;
    println!("veridian: deleted {id} in {} ns", sys::now() - begin);
    let closed = container.close();
    closed.map_err(|errno| refused("close", errno)).and(status)
}

/// Deletes a container whose start failed, so that nothing of it is left; the status to exit with.
fn delete_unstarted(container: &Container) -> u8 {
    container.delete(DeleteFlags::FORCE).map_or_else(|reason| told(&reason), |()| REFUSED)
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
    populate(start)?;
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

/// Makes the containers that are there besides, and says what each takes of the machine's memory.
fn populate(start: &Start) -> Result<(), u8> {
    let (Some(Ok(count @ 1..)), Some(file)) = (start.var("alive").map(str::parse::<u64>), start.var("alive_config"))
    else {
        return Ok(());
    };
    let bundle = Bundle::with_config(start.var("bundle").unwrap_or("/bundle"), file).map_err(|reason| told(&reason))?;
    let (free, _) = world();
    for number in 0..count {
        let container = bundle.create(&format!("alive-{number}"), CreateFlags::empty());
        let container = container.map_err(|refusal| told(&format!("{refusal}")))?;
        container.start().map_err(|reason| told(&reason))?;
        container.close().map_err(|errno| refused("close", errno))?;
    }
    println!("veridian: bench alive: {} bytes for each of {count}", (free - world().0) / count);
    Ok(())
}

/// One cycle; nanoseconds of each of the four calls.
fn cycle_once(request: &Request) -> Result<[u64; 4], u8> {
    let begin = sys::now();
    let container = request.create()?;
    let created = sys::now();
    container.start().map_err(|reason| told(&reason))?;
    let started = sys::now();
    let result = container.wait().map_err(|reason| told(&reason))?;
    let stopped = sys::now();
    container.delete(DeleteFlags::empty()).map_err(|reason| told(&reason))?;
    container.close().map_err(|errno| refused("close", errno))?;
    let deleted = sys::now();
    if WaitStatus::decode(result.status) != Some(WaitStatus::Exited(0)) {
        println!("veridian: bench cycle: the process ended with wait status {:#x}", result.status);
        return Err(REFUSED);
    }
    Ok([created - begin, started - created, stopped - started, deleted - stopped])
}

/// Runs `/bin/NAME` as a child, and takes every child's status until it has ended.
fn run_child(start: &Start, name: &str) -> Result<u8, u8> {
    let path = file::c_path(&format!("/bin/{name}")).map_err(|errno| refused(name, errno))?;
    let args: Vec<CString> = iter::once(path.clone()).chain(start.args().skip(1).map(CString::from)).collect();
    let env: Vec<CString> = start.env().map(CString::from).collect();
    let child = sys::spawn(|| {
        let errno = sys::execve_lists(&path, &args, &env);
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
