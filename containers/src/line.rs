//! The line reader of the key=value form. It borrows from the document and takes no heap.

use core::fmt;

/// The most bytes a document may have.
pub const DOCUMENT_LEN_MAX: usize = 64 * 1024;

/// One `key=value` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number in the document; the first is 1.
    pub number: u32,
    /// What is before the first `=`, trimmed, not empty.
    pub key: &'a str,
    /// What is after it, trimmed; may be empty.
    pub value: &'a str,
}

/// A line that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number; for [`TooLong`](LineErrorKind::TooLong) of the line at which the document passes its bound.
    pub line: u32,
    /// What is wrong with it.
    pub kind: LineErrorKind,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineErrorKind {
    /// The document has more than [`DOCUMENT_LEN_MAX`] bytes.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It contains a NUL.
    Nul,
    /// It has no `=`.
    NoEquals,
    /// There is nothing before its `=`.
    NoKey,
}

impl LineErrorKind {
    /// The error in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "the configuration is too long: more than 65536 bytes",
            Self::NotUtf8 => "not UTF-8",
            Self::Nul => "a NUL byte",
            Self::NoEquals => "no `=`: a line is key=value, or begins with # as a comment",
            Self::NoKey => "no key before the `=`",
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.kind.reason())
    }
}

impl core::error::Error for LineError {}

/// Reads the lines of a document that are neither blank nor comments. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: Option<&'a [u8]>,
    number: u32,
}

impl<'a> Lines<'a> {
    /// A reader at the beginning of a document.
    #[must_use]
    pub const fn new(document: &'a [u8]) -> Self {
        Self { rest: Some(document), number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.rest {
            if self.number == 0 && rest.len() > DOCUMENT_LEN_MAX {
                self.rest = None;
                let breaks = rest[..DOCUMENT_LEN_MAX].iter().filter(|&&byte| byte == b'\n').count();
                return Some(Err(LineError { line: breaks as u32 + 1, kind: LineErrorKind::TooLong }));
            }
            self.number += 1;
            let line = match rest.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    self.rest = Some(&rest[end + 1..]);
                    &rest[..end]
                }
                None => {
                    self.rest = None;
                    rest
                }
            };
            match split(line) {
                Ok(None) => {}
                Ok(Some((key, value))) => {
                    return Some(Ok(Line { number: self.number, key, value }));
                }
                Err(kind) => {
                    self.rest = None;
                    return Some(Err(LineError { line: self.number, kind }));
                }
            }
        }
        None
    }
}

impl core::iter::FusedIterator for Lines<'_> {}

/// Splits a line at its first `=`; `None` for a blank line or a comment. (A `\r` at its end is trimmed away.)
fn split(line: &[u8]) -> Result<Option<(&str, &str)>, LineErrorKind> {
    let line = core::str::from_utf8(line).map_err(|_| LineErrorKind::NotUtf8)?.trim();
    if line.as_bytes().contains(&0) {
        return Err(LineErrorKind::Nul);
    }
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (key, value) = line.split_once('=').ok_or(LineErrorKind::NoEquals)?;
    let key = key.trim_end();
    if key.is_empty() { Err(LineErrorKind::NoKey) } else { Ok(Some((key, value.trim_start()))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    type Read<'a> = Result<(u32, &'a str, &'a str), (u32, LineErrorKind)>;

    fn read(document: &[u8]) -> Vec<Read<'_>> {
        Lines::new(document)
            .map(|line| match line {
                Ok(line) => Ok((line.number, line.key, line.value)),
                Err(error) => Err((error.line, error.kind)),
            })
            .collect()
    }

    #[test]
    fn comments_and_blank_lines_count_but_do_not_appear() {
        assert_eq!(read(b"# x\n\n  \t\r\n a = b = c \r\n  #=\nd=\n"), [Ok((4, "a", "b = c")), Ok((6, "d", ""))]);
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\n"), []);
        assert_eq!(read(b"a=b"), [Ok((1, "a", "b"))]);
    }

    #[test]
    fn each_malformed_line_is_named_with_its_number_and_ends_the_reading() {
        use LineErrorKind::{NoEquals, NoKey, NotUtf8, Nul};
        for (document, error) in [
            (&b"a=b\nhello\nc=d"[..], (2, NoEquals)),
            (b"a=b\n = x\nc=d", (2, NoKey)),
            (b"a=b\nx=\xff\nc=d", (2, NotUtf8)),
            (b"a=b\nx=\0\nc=d", (2, Nul)),
            (b"a=b\n# \0\nc=d", (2, Nul)),
        ] {
            assert_eq!(read(document), [Ok((1, "a", "b")), Err(error)]);
        }
    }

    #[test]
    fn a_document_of_64_kib_is_read_and_one_more_byte_is_refused() {
        let mut document = vec![b'#'; DOCUMENT_LEN_MAX];
        document[10] = b'\n';
        assert_eq!(read(&document), []);
        document.push(b'\n');
        assert_eq!(read(&document), [Err((2, LineErrorKind::TooLong))]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_it_and_a_printed_line_reads_back(bytes in any::<Vec<u8>>()) {
            for line in Lines::new(&bytes).map_while(Result::ok) {
                let printed = std::format!("{}={}", line.key, line.value);
                let again: Vec<_> = Lines::new(printed.as_bytes()).collect();
                prop_assert_eq!(again, [Ok(Line { number: 1, ..line })]);
            }
        }

        #[test]
        fn it_agrees_with_the_plain_reading(text in "([a-c=# \t\r\n]|\u{a0}){0,40}") {
            let mut plain = Vec::new();
            for (index, line) in text.split('\n').enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let number = index as u32 + 1;
                match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                    None => { plain.push(Err((number, LineErrorKind::NoEquals))); break }
                    Some(("", _)) => { plain.push(Err((number, LineErrorKind::NoKey))); break }
                    Some((key, value)) => plain.push(Ok((number, key, value))),
                }
            }
            prop_assert_eq!(read(text.as_bytes()), plain);
        }
    }
}
