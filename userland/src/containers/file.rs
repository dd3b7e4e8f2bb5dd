//! Whole files.

use alloc::{ffi::CString, format, string::String, vec::Vec};

use linux_raw_sys::general::{O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY};
use veridian_containers::abi::Errno;

use crate::sys::{self, AT_FDCWD, Fd};

/// A path as the kernel wants it.
pub fn c_path(path: &str) -> sys::Result<CString> {
    CString::new(path).map_err(|_| Errno::EINVAL)
}

/// Opens for reading.
pub fn open(path: &str) -> sys::Result<Fd> {
    sys::openat(AT_FDCWD, &c_path(path)?, O_RDONLY, 0)
}

/// All bytes of a file.
pub fn read(path: &str) -> sys::Result<Vec<u8>> {
    let file = open(path)?;
    let all = read_all(file);
    sys::close(file)?;
    all
}

/// All that a descriptor still has to give.
pub fn read_all(from: Fd) -> sys::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut part = [0; 1024];
    loop {
        match sys::read(from, &mut part)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&part[..count]),
        }
    }
}

/// All of a text file; the words name it.
pub fn text(path: &str) -> Result<String, String> {
    let bytes = read(path).map_err(|errno| format!("{path}: {errno}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{path}: not UTF-8"))
}

/// What becomes of a file that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is overwritten.
    Replace,
    /// It is an error.
    Refuse,
}

/// Makes a file with this content; the words name it.
pub fn write(path: &str, content: &[u8], existing: Existing) -> Result<(), String> {
    let flags = O_WRONLY | O_CREAT | if existing == Existing::Refuse { O_EXCL } else { O_TRUNC };
    let written = || {
        let file = sys::openat(AT_FDCWD, &c_path(path)?, flags, 0o644)?;
        let mut rest = content;
        while !rest.is_empty() {
            rest = &rest[sys::write(file, rest)?..];
        }
        sys::close(file)
    };
    written().map_err(|errno| format!("{path}: {errno}"))
}
