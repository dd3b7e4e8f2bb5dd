//! What the probes of control groups share: the files of the cgroup2 file system that is mounted on `/cg`.

use core::ffi::CStr;
use core::fmt::Write;
use core::hint::black_box;

use heapless::String;
use linux_raw_sys::general::{O_RDONLY, O_WRONLY, SIGKILL};
use veridian_containers::Signal;
use veridian_containers::abi::{Errno, WaitStatus};

use crate::check::wait_for;
use crate::sys::{self, Pid, Result};

/// A path below `/cg`, with its NUL.
pub type Path = String<128>;

/// How a child ends that was killed.
pub const KILLED: Result<WaitStatus> = Ok(WaitStatus::Signaled(Signal::SIGKILL));

/// Mounts the hierarchy on `/cg`.
pub fn mount() -> Result {
    // It may be there already; the mount tells.
    let _ = sys::mkdir(c"/cg", 0o755);
    sys::mount(c"cg", c"/cg", c"cgroup2", 0, None)
}

/// The path of a group or of a file in it.
pub fn path(name: &str) -> Path {
    let mut path = Path::new();
    write!(path, "/cg/{name}\0").expect("the path fits");
    path
}

/// A path as the kernel takes it.
pub fn c_str(path: &Path) -> &CStr {
    CStr::from_bytes_with_nul(path.as_bytes()).expect("one NUL, at the end")
}

/// Makes a group.
pub fn make(name: &str) -> Result {
    sys::mkdir(c_str(&path(name)), 0o755)
}

/// Removes a group.
pub fn remove(name: &str) -> Result {
    sys::rmdir(c_str(&path(name)))
}

/// Writes a file.
pub fn put(name: &str, text: &str) -> Result {
    let file = sys::open(c_str(&path(name)), O_WRONLY)?;
    let written = sys::write(file, text.as_bytes());
    sys::close(file)?;
    written.map(drop)
}

/// Writes a file of a group.
pub fn set(group: &str, file: &str, text: &str) -> Result {
    let mut name = Path::new();
    write!(name, "{group}/{file}").expect("the path fits");
    put(&name, text)
}

/// What a file says.
pub fn get(name: &str) -> Result<String<512>> {
    let file = sys::open(c_str(&path(name)), O_RDONLY)?;
    let mut bytes = [0; 512];
    let read = sys::read(file, &mut bytes);
    sys::close(file)?;
    let text = core::str::from_utf8(&bytes[..read?]).map_err(|_| Errno::EILSEQ)?;
    String::try_from(text).map_err(|_| Errno::E2BIG)
}

/// The number that is all of a file; the greatest of all if there is none.
pub fn number(name: &str) -> u64 {
    get(name).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX)
}

/// What stands behind `key` in a file of `key value` lines; the greatest number of all if nothing does.
pub fn field(name: &str, key: &str) -> u64 {
    let Ok(text) = get(name) else { return u64::MAX };
    let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    values.next().and_then(|value| value.parse().ok()).unwrap_or(u64::MAX)
}

/// Whether a file says this.
pub fn is(name: &str, expected: &str) -> bool {
    get(name).is_ok_and(|text| text.trim_end() == expected)
}

/// A number of a group's cpu.stat.
pub fn cpu_stat(group: &str, key: &str) -> u64 {
    let mut file = Path::new();
    write!(file, "{group}/cpu.stat").expect("the path fits");
    field(&file, key)
}

/// CPU time of a group in microseconds.
pub fn usage(group: &str) -> u64 {
    cpu_stat(group, "usage_usec")
}

/// Moves the caller into a group.
pub fn join(group: &str) -> Result {
    set(group, "cgroup.procs", "0")
}

/// A child in `group` that computes until it is killed, and each time that it has done a piece of work calls `done`
/// with how many.
pub fn worker(group: &str, done: impl Fn(u64)) -> Pid {
    let child = sys::spawn(|| {
        if join(group).is_err() {
            return 1;
        }
        let mut x = 0u64;
        for pieces in 1.. {
            for _ in 0..10_000 {
                x = black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1));
            }
            done(pieces);
        }
        0
    });
    child.expect("a child")
}

/// A child in `group` that computes until it is killed.
pub fn burner(group: &str) -> Pid {
    worker(group, |_| ())
}

/// Kills a child; how it ended.
pub fn end(child: Pid) -> Result<WaitStatus> {
    sys::kill(child, SIGKILL)?;
    wait_for(child)
}
