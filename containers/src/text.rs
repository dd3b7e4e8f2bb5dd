//! Validators: text to values, without a heap. Each says in words why it refuses.

use core::fmt;

/// Why a text is not what it should be; it reads after the text: `"64Q" is not a size: …`.
pub type Reason = &'static str;

/// The longest path, without a terminating NUL (`PATH_MAX` - 1).
pub const PATH_LEN_MAX: usize = 4095;
/// The longest host name (Linux's `__NEW_UTS_LEN`).
pub const HOSTNAME_LEN_MAX: usize = 64;
/// The longest label of a host name (RFC 1123).
pub const LABEL_LEN_MAX: usize = 63;
/// The largest limit on tasks (Linux's `PID_MAX_LIMIT`).
pub const PIDS_MAX: u32 = 4 * 1024 * 1024;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The range of a number, and what is said of one outside of it.
pub(crate) struct Range {
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) otherwise: Reason,
}

impl Range {
    /// Whether a number is within it.
    pub(crate) const fn check(&self, number: u64) -> Result<(), Reason> {
        if self.least <= number && number <= self.most { Ok(()) } else { Err(self.otherwise) }
    }

    /// A decimal number within it.
    pub(crate) fn read(&self, text: &str) -> Result<u64, Reason> {
        let number = decimal(text).ok_or(self.otherwise)?;
        self.check(number).map(|()| number)
    }
}

/// Of user and group ids. The largest u32 is none: chown(2) and its like take it for "no change".
pub(crate) const ID: Range =
    Range { least: 0, most: u32::MAX as u64 - 1, otherwise: "is not an id: a decimal number below 4294967295" };
/// Of limits on tasks. With 0 nothing could run.
pub(crate) const PIDS: Range =
    Range { least: 1, most: PIDS_MAX as u64, otherwise: "is not a limit on tasks: a number from 1 to 4194304, or max" };
/// Of permission bits.
pub(crate) const MODE: Range = Range { least: 0, most: 0o7777, otherwise: "is not a mode: an octal number up to 7777" };

/// `true` or `false`, and nothing else.
///
/// # Errors
/// Any other text.
pub fn boolean(text: &str) -> Result<bool, Reason> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

/// A decimal number: digits only, no sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A number that fits 32 bits.
///
/// # Errors
/// Any other text.
pub fn number(text: &str) -> Result<u32, Reason> {
    const NOT_A_NUMBER: Reason = "is not a decimal number below 4294967296";
    decimal(text).and_then(|number| number.try_into().ok()).ok_or(NOT_A_NUMBER)
}

/// A user or group id.
///
/// # Errors
/// What is no decimal number below 2^32 - 1.
pub fn user_id(text: &str) -> Result<u32, Reason> {
    ID.read(text).map(|id| id as u32)
}

/// A size: bytes, or with one of the suffixes K, M, G (powers of 1024).
///
/// # Errors
/// Any other text, and what is 2^64 bytes or more.
pub fn size(text: &str) -> Result<Bytes, Reason> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = decimal(digits).ok_or("is not a size: a decimal number of bytes, or one with K, M or G")?;
    number.checked_mul(1 << shift).map(Bytes).ok_or("is too large a size")
}

/// A limit in bytes: a [`size`]; `0` and `max` are no limit.
///
/// # Errors
/// What is neither.
pub fn size_limit(text: &str) -> Result<Option<Bytes>, Reason> {
    match text {
        "max" => Ok(None),
        _ => size(text).map(|bytes| Some(bytes).filter(|bytes| bytes.0 != 0)),
    }
}

/// A limit on tasks: 1 to [`PIDS_MAX`]; `max` is no limit. 0 is refused: with it nothing could run.
///
/// # Errors
/// What is neither.
pub fn pids_limit(text: &str) -> Result<Option<u32>, Reason> {
    if text == "max" { Ok(None) } else { PIDS.read(text).map(|number| Some(number as u32)) }
}

/// Permission bits within a range.
pub(crate) fn octal(text: &str, range: &Range) -> Result<u16, Reason> {
    let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let bits = u16::from_str_radix(text, 8).ok().filter(|_| is_octal).ok_or(range.otherwise)?;
    range.check(bits.into()).map(|()| bits)
}

/// The permission bits of `mode=`: an octal number up to 7777.
///
/// # Errors
/// Any other text.
pub fn mode(text: &str) -> Result<u16, Reason> {
    octal(text, &MODE)
}

/// A path, absolute or relative, that fits on one line.
///
/// # Errors
/// An empty path, one that is too long, has a NUL or a line break in it or white space at an end.
pub fn path(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err("is an empty path");
    }
    if text.len() > PATH_LEN_MAX {
        return Err("is too long a path: more than 4095 bytes");
    }
    one_line(text)
}

/// A [`path`] that begins with `/`.
///
/// # Errors
/// A relative path, and what [`path`] refuses.
pub fn absolute_path(text: &str) -> Result<(), Reason> {
    if !text.starts_with('/') {
        return Err("is not an absolute path");
    }
    path(text)
}

/// The path of a mount point: absolute, below the root and without `..`.
///
/// # Errors
/// Any other path.
pub fn destination(text: &str) -> Result<(), Reason> {
    absolute_path(text)?;
    let mut below_root = false;
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err("must not contain `..`"),
            _ => below_root = true,
        }
    }
    if below_root { Ok(()) } else { Err("is the root itself, which root_path sets") }
}

/// The path of a cgroup: at least one component, none of them `.` or `..`; absolute or relative is the same.
///
/// # Errors
/// Any other path.
pub fn cgroup_path(text: &str) -> Result<(), Reason> {
    path(text)?;
    let mut components = text.split('/').filter(|component| !component.is_empty()).peekable();
    if components.peek().is_none() || components.any(|component| matches!(component, "." | "..")) {
        return Err("is not the path of a cgroup: names without `.` and `..`");
    }
    Ok(())
}

/// The name of a sysctl: words separated by dots.
///
/// # Errors
/// Any other text.
pub fn sysctl(text: &str) -> Result<(), Reason> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if text.len() <= 255 && text.contains('.') && text.split('.').all(is_word) {
        Ok(())
    } else {
        Err("is not the name of a sysctl, such as kernel.msgmax")
    }
}

/// Text that can stand as a value on a line: no NUL, no line break, no white space at its ends.
///
/// # Errors
/// Any other text.
pub fn one_line(text: &str) -> Result<(), Reason> {
    no_nul(text)?;
    if text.contains('\n') {
        return Err("contains a line break");
    }
    if text.trim().len() != text.len() {
        return Err("begins or ends with white space");
    }
    Ok(())
}

/// Text without a NUL, which a C string cannot hold.
///
/// # Errors
/// Text with one.
pub fn no_nul(text: &str) -> Result<(), Reason> {
    if text.as_bytes().contains(&0) { Err("contains a NUL") } else { Ok(()) }
}

/// A host name: labels of letters, digits and inner hyphens, separated by dots (RFC 1123), at most
/// [`HOSTNAME_LEN_MAX`] bytes in all and [`LABEL_LEN_MAX`] in each label.
///
/// # Errors
/// Any other text.
pub fn hostname(text: &str) -> Result<(), Reason> {
    if text.len() > HOSTNAME_LEN_MAX {
        return Err("is too long a host name: more than 64 bytes");
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LEN_MAX
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.split('.').all(is_label) {
        Ok(())
    } else {
        Err("is not a host name: labels of letters, digits and inner hyphens, separated by dots (RFC 1123)")
    }
}

/// A variable of an environment: `NAME=value`, with a name that has no white space.
///
/// # Errors
/// A text without `=` or with nothing before it, or with a NUL.
pub fn environment(text: &str) -> Result<(), Reason> {
    let name = text.split_once('=').map(|(name, _)| name).ok_or("has no `=`: an environment entry is NAME=value")?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("has no proper name before its `=`: an environment entry is NAME=value");
    }
    no_nul(text)
}

/// An OCI version: a SemVer (2.0.0) of major version 1.
///
/// # Errors
/// What is no SemVer, and any other major version.
pub fn oci_version(text: &str) -> Result<(), Reason> {
    const NOT_SEM_VER: Reason = "is not a version: MAJOR.MINOR.PATCH (SemVer 2.0.0)";
    let (version, build) = text.split_once('+').map_or((text, None), |(version, build)| (version, Some(build)));
    let (core, pre_release) =
        version.split_once('-').map_or((version, None), |(core, pre_release)| (core, Some(pre_release)));

    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = |part: &str| is_digits(part) && (part == "0" || !part.starts_with('0'));
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if core.split('.').count() != 3
        || !core.split('.').all(is_number)
        || !pre_release.is_none_or(|ids| ids.split('.').all(|id| is_word(id) && (!is_digits(id) || is_number(id))))
        || !build.is_none_or(|ids| ids.split('.').all(is_word))
    {
        return Err(NOT_SEM_VER);
    }
    if core.starts_with("1.") { Ok(()) } else { Err("is not an OCI version this kernel reads: 1.x") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn only_the_two_words_are_booleans() {
        assert_eq!(boolean("true"), Ok(true));
        assert_eq!(boolean("false"), Ok(false));
        for text in ["", "True", "TRUE", "yes", "1", "0", "truex"] {
            assert!(boolean(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ids_are_decimal_and_below_the_largest() {
        assert_eq!(user_id("0"), Ok(0));
        assert_eq!(user_id("4294967294"), Ok(4_294_967_294));
        for text in ["", "alice", "-1", "+1", "4294967295", "4294967296", "99999999999999999999", "0x1", "1 "] {
            assert!(user_id(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_have_one_suffix_of_three() {
        assert_eq!(size("0"), Ok(Bytes(0)));
        assert_eq!(size("1K"), Ok(Bytes(1024)));
        assert_eq!(size("64M"), Ok(Bytes(64 << 20)));
        assert_eq!(size("17179869183G"), Ok(Bytes(17_179_869_183 << 30)));
        assert_eq!(size("18446744073709551615"), Ok(Bytes(u64::MAX)));
        for text in ["", "K", "64Q", "64k", "1KB", "1.5G", "-1", "17179869184G", "18446744073709551616", "1 K", "64é"]
        {
            assert!(size(text).is_err(), "{text:?}");
        }
        assert_eq!(size_limit("0"), Ok(None));
        assert_eq!(size_limit("0M"), Ok(None));
        assert_eq!(size_limit("max"), Ok(None));
        assert!(size_limit("Max").is_err());
        assert!(size_limit("").is_err());
    }

    #[test]
    fn a_pids_limit_is_at_least_one() {
        assert_eq!(pids_limit("1"), Ok(Some(1)));
        assert_eq!(pids_limit("4194304"), Ok(Some(PIDS_MAX)));
        assert_eq!(pids_limit("max"), Ok(None));
        for text in ["", "0", "-1", "4194305", "1K"] {
            assert!(pids_limit(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("1777"), Ok(0o1777));
        assert_eq!(mode("0"), Ok(0));
        assert_eq!(mode("0755"), Ok(0o755));
        for text in ["", "8", "10000", "+7", "rwx", "99999999"] {
            assert!(mode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn destinations_are_absolute_and_below_the_root() {
        for text in ["/a", "/a/b", "//a", "/a/", "/./a", "/...", "/ä"] {
            assert_eq!(destination(text), Ok(()), "{text:?}");
        }
        for text in ["", "a", "/", "//", "/.", "/..", "/a/..", "/a/../b", "/a\0", "/a\nb", "/a "] {
            assert!(destination(text).is_err(), "{text:?}");
        }
        assert!(path(&"a".repeat(PATH_LEN_MAX)).is_ok());
        assert!(path(&"a".repeat(PATH_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn host_names_follow_rfc_1123() {
        let (label, long) = ("a".repeat(63), "a".repeat(64));
        for text in ["a", "web-1", "a.b.c", "0", "A1", &label] {
            assert_eq!(hostname(text), Ok(()), "{text:?}");
        }
        let whole = [label.as_str(), "bc"].join(".");
        for text in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "ä", "a b", &long, &whole, "a\0"] {
            assert!(hostname(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn environment_entries_have_a_name() {
        for text in ["A=", "A=b", "A=b=c", "a.b=c", "BASH_FUNC_x%%=() { :; }", "A=b ", "A=\n"] {
            assert_eq!(environment(text), Ok(()), "{text:?}");
        }
        for text in ["", "A", "=b", "A =b", " A=b", "A=\0", "\u{7}=x"] {
            assert!(environment(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn oci_versions_are_sem_vers_of_major_1() {
        for text in ["1.0.2", "1.3.0", "1.0.0-rc.1", "1.1.0+dev", "1.0.0-a-b.0+001.x", "1.10.0--"] {
            assert_eq!(oci_version(text), Ok(()), "{text:?}");
        }
        let bad =
            ["", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.00.0", "1.0.0-", "1.0.0+", "1.0.0-01", "1.0.0-a..b"];
        for text in bad.into_iter().chain(["2.0.0", "0.9.0", "10.0.0", "1.0.x", "1.0.2 ", "1.0.0-ä", "1..0"]) {
            assert!(oci_version(text).is_err(), "{text:?}");
        }
        assert!(oci_version(&String::from("1.0.0\0")).is_err());
    }
}
