//! What a probe says: one line for each thing it finds true or not, and its exit status.

use core::ffi::CStr;
use core::fmt::{Debug, Display, Write};

use heapless::{String, Vec};
use linux_raw_sys::general::{O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
use veridian_containers::Signal;
use veridian_containers::abi::WaitStatus;

use crate::println;
use crate::sys::{self, Pid, Result};

/// The checks of a probe. Each prints `ok: sentence`, or `FAIL: sentence` with what was found instead.
#[derive(Default)]
pub struct Checks {
    done: u32,
    failed: u32,
    /// The first failures: they are said again at the end, where nobody has to look for them.
    failures: Vec<String<160>, 4>,
}

impl Checks {
    /// No checks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether something holds.
    pub fn holds(&mut self, sentence: impl Display, holds: bool) {
        self.done += 1;
        if holds {
            println!("ok: {sentence}");
        } else {
            self.failed += 1;
            println!("FAIL: {sentence}");
            let mut kept = String::new();
            // As much of it as fits.
            let _ = write!(kept, "{sentence}");
            let _ = self.failures.push(kept);
        }
    }

    /// Whether what was found is what was expected.
    pub fn equal<T: PartialEq + Debug>(&mut self, sentence: impl Display, found: T, expected: T) {
        if found == expected {
            self.holds(sentence, true);
        } else {
            self.holds(format_args!("{sentence}: found {found:?}, expected {expected:?}"), false);
        }
    }

    /// The value, or a failed check.
    pub fn value<T>(&mut self, sentence: impl Display, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.holds(sentence, true);
                Some(value)
            }
            Err(errno) => {
                self.holds(format_args!("{sentence}: {errno}"), false);
                None
            }
        }
    }

    /// Whether a child that runs `body` ends this way.
    pub fn ends(&mut self, sentence: impl Display, expected: WaitStatus, body: impl FnOnce() -> i32) {
        self.equal(sentence, in_child(body), Ok(expected));
    }

    /// Whether a child that runs `body` exits with 0.
    pub fn succeeds(&mut self, sentence: impl Display, body: impl FnOnce() -> i32) {
        self.ends(sentence, WaitStatus::Exited(0), body);
    }

    /// Whether a child that runs `body` is killed by SIGSEGV.
    pub fn segfaults(&mut self, sentence: impl Display, body: impl FnOnce()) {
        self.ends(sentence, WaitStatus::Signaled(Signal::SIGSEGV), || {
            body();
            0
        });
    }

    /// Says how many checks there were; the exit status.
    pub fn finish(self) -> i32 {
        if self.failed == 0 && self.done > 0 {
            println!("PASS: {} checks", self.done);
            0
        } else {
            println!("FAIL: {} of {} checks", self.failed, self.done);
            self.failures.iter().for_each(|sentence| println!("  {sentence}"));
            1
        }
    }
}

/// How a child that runs `body` ends.
pub fn in_child(body: impl FnOnce() -> i32) -> Result<WaitStatus> {
    wait_for(sys::spawn(body)?)
}

/// How a child ends.
pub fn wait_for(child: Pid) -> Result<WaitStatus> {
    let (_, status) = sys::wait4(child, 0)?;
    WaitStatus::decode(status).ok_or(sys::Errno::EIO)
}

/// An empty tmpfs of its own on `/tmp`, and the working directory in it.
pub fn enter_scratch() {
    // It may be there already; the mount tells.
    let _ = sys::mkdir(c"/tmp", 0o777);
    sys::mount(c"scratch", c"/tmp", c"tmpfs", 0, None).expect("a tmpfs on /tmp");
    sys::chdir(c"/tmp").expect("/tmp");
}

/// What a file says, as far as `N` bytes hold it.
pub fn read_text<const N: usize>(path: &CStr) -> Result<String<N>> {
    let file = sys::open(path, O_RDONLY)?;
    let mut text = String::new();
    let mut buffer = [0; 256];
    let outcome = loop {
        match sys::read(file, &mut buffer) {
            Ok(0) => break Ok(()),
            Err(errno) => break Err(errno),
            Ok(count) => {
                for byte in buffer[..count].iter().take(N - text.len()) {
                    text.push(char::from(byte & 0x7f)).expect("there is room");
                }
            }
        }
    };
    sys::close(file)?;
    outcome.map(|()| text)
}

/// Writes `text` to a file that is there, at once.
pub fn write_text(path: &CStr, text: &str) -> Result {
    let file = sys::open(path, O_WRONLY)?;
    let outcome = sys::write(file, text.as_bytes());
    sys::close(file)?;
    outcome.map(drop)
}

/// Waits until a child sleeps in a call, as the procfs that is mounted at `proc` tells.
pub fn await_sleep(proc: &str, child: Pid) {
    let path: String<64> = crate::text!(64, "{proc}/{child}/stat\0");
    let path = CStr::from_bytes_until_nul(path.as_bytes()).expect("a NUL at its end");
    while !read_text::<256>(path).is_ok_and(|stat| stat.contains(") S ")) {
        sys::sched_yield();
    }
}

/// Waits until this holds, for half a minute at most; whether it does.
pub fn until(mut holds: impl FnMut() -> bool) -> bool {
    let begin = sys::now();
    while !holds() {
        if sys::now() - begin > 30_000_000_000 {
            return false;
        }
        let _ = sys::sleep(1_000_000);
    }
    true
}

/// Makes a file with these bytes in it.
pub fn make_file(path: &CStr, mode: u32, bytes: &[u8]) -> Result {
    let file = sys::openat(sys::AT_FDCWD, path, O_CREAT | O_TRUNC | O_WRONLY, mode)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[sys::write(file, rest)?..];
    }
    sys::close(file)
}

/// Copies a file.
pub fn copy_file(from: &CStr, to: &CStr, mode: u32) -> Result {
    let source = sys::open(from, O_RDONLY)?;
    make_file(to, mode, &[])?;
    let target = sys::open(to, O_WRONLY)?;
    let mut block = [0; 4096];
    loop {
        match sys::read(source, &mut block)? {
            0 => break,
            len => sys::write(target, &block[..len])?,
        };
    }
    sys::close(source)?;
    sys::close(target)
}
