//! What the probes compare before and after: the machine's own figures, files byte for byte, names in directories. And
//! how much an attacker may.

use core::ffi::CStr;

use linux_raw_sys::general::{O_DIRECTORY, O_RDONLY};

use crate::sys::{self, AT_FDCWD, Result};

/// How much a container may in which somebody attacks: in words, and in lines of its configuration.
pub const RIGHTS: [(&str, &str); 3] = [
    ("default rights", ""),
    ("CAP_SYS_ADMIN", "capability=default\ncapability=CAP_SYS_ADMIN\n"),
    ("all rights", "capability=all\nseccomp=unconfined\nno_new_privileges=false\n"),
];

/// What the kernel tells of itself: free bytes and processes.
pub type World = (u64, u16);

/// The world as it is.
pub fn world() -> World {
    let info = sys::sysinfo().expect("sysinfo");
    (info.freeram * u64::from(info.mem_unit), info.procs)
}

/// The world once it is as `expected`, or after a second if it never is: what ended a moment ago on another CPU
/// gives its last frames back there.
pub fn settled(expected: World) -> World {
    for _ in 0..100 {
        if world() == expected {
            break;
        }
        sys::sleep(10_000_000).expect("sleep");
    }
    world()
}

/// Whether there is something by this name.
pub fn exists(path: &CStr) -> bool {
    sys::fstatat(AT_FDCWD, path, 0).is_ok()
}

/// Length and FNV-1a hash of a file's bytes.
pub fn sum(path: &CStr) -> Result<(u64, u64)> {
    let file = sys::open(path, O_RDONLY)?;
    let mut buffer = [0; 4096];
    let (mut length, mut hash) = (0, 0xcbf2_9ce4_8422_2325_u64);
    loop {
        let count = sys::read(file, &mut buffer)?;
        if count == 0 {
            break;
        }
        length += count as u64;
        for &byte in &buffer[..count] {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    sys::close(file)?;
    Ok((length, hash))
}

/// Calls `each` with every name of a directory.
pub fn names(path: &CStr, mut each: impl FnMut(&CStr)) -> Result {
    let directory = sys::open(path, O_RDONLY | O_DIRECTORY)?;
    let mut buffer = [0; 1024];
    loop {
        let count = sys::getdents(directory, &mut buffer)?;
        if count == 0 {
            return sys::close(directory);
        }
        let mut at = 0;
        while at < count {
            let length = usize::from(u16::from_le_bytes([buffer[at + 16], buffer[at + 17]]));
            each(CStr::from_bytes_until_nul(&buffer[at + 19..at + length]).expect("a name"));
            at += length;
        }
    }
}

/// Waits until there is something by this name: another process makes it.
pub fn await_file(path: &CStr) {
    while !exists(path) {
        sys::sched_yield();
    }
}

/// Text with its NUL, as a path for the kernel.
pub fn c_str(text: &str) -> &CStr {
    CStr::from_bytes_with_nul(text.as_bytes()).expect("one NUL, at the end")
}
