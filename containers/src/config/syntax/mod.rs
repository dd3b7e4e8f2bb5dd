//! The values of keys that are more than a word or a number: how they are read, and how they are printed.
//!
//! Each file has the values of one subject, reading and printing side by side. A value is taken apart before
//! variables are put in, so what a variable holds never becomes a further field.

pub(super) mod devices;
pub(super) mod hooks;
pub(super) mod mounts;
pub(super) mod namespaces;
pub(super) mod options;
pub(super) mod process;
pub(super) mod resources;
pub(super) mod seccomp;
pub(super) mod texts;

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::{self, Write};

use super::error::about;
use super::variables::Variables;
use crate::text::Reason;

/// Expands and reads a value.
pub(super) fn read<T>(
    value: &str,
    variables: &mut Variables<'_>,
    reader: fn(&str) -> Result<T, Reason>,
) -> Result<T, String> {
    let value = variables.expand(value)?;
    reader(&value).map_err(|reason| about(&value, reason))
}

/// Expands and checks a value, and keeps it.
pub(super) fn checked(
    value: &str,
    variables: &mut Variables<'_>,
    validator: fn(&str) -> Result<(), Reason>,
) -> Result<String, String> {
    let value = variables.expand(value)?;
    validator(&value).map_err(|reason| about(&value, reason))?;
    Ok(value.into_owned())
}

/// A whole number with a sign, or without one.
pub(super) fn signed(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// The fields of a value: separated by colons, `\:` being a colon in one and `\\` a backslash.
pub(super) struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) const fn of(value: &'a str) -> Self {
        Self { rest: Some(value) }
    }

    /// What has not been taken yet, `None` after the last field.
    pub(super) const fn rest(&self) -> Option<&'a str> {
        self.rest
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (field, after) = split_unescaped(rest, b':');
        self.rest = after;
        Some(field)
    }
}

/// Splits a text at the first separator that no backslash precedes.
pub(super) fn split_unescaped(text: &str, separator: u8) -> (&str, Option<&str>) {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if byte == separator {
            return (&text[..at], Some(&text[at + 1..]));
        }
    }
    (text, None)
}

/// Takes the escapes out of a field, then puts the variables in.
pub(super) fn read_field(field: &str, variables: &mut Variables<'_>) -> Result<String, String> {
    let plain = unescape(field, &[':'])?;
    Ok(variables.expand(&plain)?.into_owned())
}

/// [`read_field`], checked.
pub(super) fn checked_field(
    field: &str,
    variables: &mut Variables<'_>,
    validator: fn(&str) -> Result<(), Reason>,
) -> Result<String, String> {
    let text = read_field(field, variables)?;
    validator(&text).map_err(|reason| about(&text, reason))?;
    Ok(text)
}

/// Takes out the backslashes before `special` characters and before themselves.
pub(super) fn unescape<'a>(text: &'a str, special: &[char]) -> Result<Cow<'a, str>, String> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next().filter(|escaped| *escaped == '\\' || special.contains(escaped)) {
                Some(escaped) => plain.push(escaped),
                None => return Err(about(text, "has a backslash that is neither before a colon nor before another")),
            },
            _ => plain.push(character),
        }
    }
    Ok(Cow::Owned(plain))
}

/// Prints a text with a backslash before each `special` character and each backslash. Those are ASCII.
pub(super) struct Escaped<'a>(pub(super) &'a str, pub(super) &'static [char]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EscapingWriter::new(f, self.1).write_str(self.0)
    }
}

/// Writes on, with a backslash before each `special` character and each backslash.
struct EscapingWriter<'a, W> {
    out: &'a mut W,
    special: &'static [char],
}

impl<'a, W: Write> EscapingWriter<'a, W> {
    const fn new(out: &'a mut W, special: &'static [char]) -> Self {
        Self { out, special }
    }
}

impl<W: Write> Write for EscapingWriter<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_special = |byte: u8| byte == b'\\' || self.special.contains(&char::from(byte));
        let mut rest = text;
        while let Some(at) = rest.bytes().position(is_special) {
            self.out.write_str(&rest[..at])?;
            self.out.write_char('\\')?;
            self.out.write_str(&rest[at..=at])?;
            rest = &rest[at + 1..];
        }
        self.out.write_str(rest)
    }
}

/// Prints a text as a field in which no variable is meant.
pub(super) struct Field<'a>(pub(super) &'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(LiteralWriter::new(f), "{}", Escaped(self.0, &[':']))
    }
}

/// A text in which no variable is meant: each `${` becomes `$${`.
pub(super) struct Literal<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Literal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(LiteralWriter::new(f), "{}", self.0)
    }
}

/// Writes on, with each `${` as `$${`.
struct LiteralWriter<'a, W> {
    out: &'a mut W,
    after_dollar: bool,
}

impl<'a, W: Write> LiteralWriter<'a, W> {
    const fn new(out: &'a mut W) -> Self {
        Self { out, after_dollar: false }
    }
}

impl<W: Write> Write for LiteralWriter<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let dollar = if at == 0 { self.after_dollar } else { rest.as_bytes()[at - 1] == b'$' };
            self.out.write_str(&rest[..at])?;
            // The dollar that belongs to the brace is out already: one more makes `$${`.
            self.out.write_str(if dollar { "${" } else { "{" })?;
            self.after_dollar = false;
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            self.after_dollar = rest.ends_with('$');
            self.out.write_str(rest)?;
        }
        Ok(())
    }
}

/// Prints things with a separator between them.
pub(super) struct Joined<I>(pub(super) I, pub(super) &'static str);

impl<I: Iterator<Item: fmt::Display> + Clone> fmt::Display for Joined<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.clone().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}
