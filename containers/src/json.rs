//! As much JSON (RFC 8259) as the key=value form reads (arrays of strings), and as the kernel writes.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::text::Reason;

/// Prints a text as a JSON string.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut rest = self.0;
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            f.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                byte @ (b'"' | b'\\') => write!(f, "\\{}", byte as char)?,
                byte => write!(f, "\\u{byte:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        f.write_str(rest)?;
        f.write_char('"')
    }
}

/// Writes an object, member by member.
pub(crate) struct Object<'a> {
    text: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Begins an object at the end of `text`.
    pub(crate) fn new(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, is_empty: true }
    }

    /// A member that is a string.
    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.member(name, format_args!("{}", Quoted(value)));
    }

    /// A member that is a number.
    pub(crate) fn number(&mut self, name: &str, value: impl Into<u64>) {
        self.member(name, format_args!("{}", value.into()));
    }

    /// A member that is true or false.
    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.member(name, format_args!("{value}"));
    }

    /// A member that is an array of strings.
    pub(crate) fn strings(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        self.member(name, format_args!("["));
        for (index, value) in values.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(self.text, "{comma}{}", Quoted(value.as_ref())).expect("a string takes what there is memory for");
        }
        self.text.push(']');
    }

    /// A member that is an object, which `fill` fills.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.member(name, format_args!(""));
        let mut object = Object::new(self.text);
        fill(&mut object);
        object.end();
    }

    /// Ends the object.
    pub(crate) fn end(self) {
        self.text.push('}');
    }

    fn member(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let comma = if core::mem::take(&mut self.is_empty) { "" } else { "," };
        write!(self.text, "{comma}{}:{value}", Quoted(name)).expect("a string takes what there is memory for");
    }
}

/// Reads an array of strings, and nothing after it.
pub(crate) fn strings(text: &str) -> Result<Vec<String>, Reason> {
    let (strings, rest) = strings_at(text)?;
    if rest.is_empty() { Ok(strings) } else { Err("has text after its JSON array") }
}

/// Reads an array of strings; returns what comes after it and white space.
pub(crate) fn strings_at(text: &str) -> Result<(Vec<String>, &str), Reason> {
    const NOT_AN_ARRAY: Reason = "is not a JSON array of strings, such as [\"sh\",\"-c\",\"echo hi\"]";
    let mut strings = Vec::new();
    let mut rest = skip_space(text.strip_prefix('[').ok_or(NOT_AN_ARRAY)?);
    if let Some(after) = rest.strip_prefix(']') {
        rest = after;
    } else {
        loop {
            let (string, after) = string(skip_space(rest).strip_prefix('"').ok_or(NOT_AN_ARRAY)?)?;
            strings.push(string);
            rest = skip_space(after);
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else {
                rest = rest.strip_prefix(']').ok_or(NOT_AN_ARRAY)?;
                break;
            }
        }
    }
    Ok((strings, skip_space(rest)))
}

/// Reads a string whose opening quote has been read; returns what comes after the closing one.
fn string(text: &str) -> Result<(String, &str), Reason> {
    let mut string = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(|c: char| c < ' ' || c == '"' || c == '\\').ok_or("has a JSON string without an end")?;
        string.push_str(&rest[..at]);
        let special = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match special {
            b'"' => return Ok((string, rest)),
            b'\\' => {
                let (character, after) = escape(rest).ok_or("has a JSON string with a bad escape")?;
                string.push(character);
                rest = after;
            }
            _ => return Err("has a JSON string with a bare control character"),
        }
    }
}

/// Reads an escape whose backslash has been read.
fn escape(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    let character = match characters.next()? {
        character @ ('"' | '\\' | '/') => character,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(characters.as_str()),
        _ => return None,
    };
    Some((character, characters.as_str()))
}

/// Reads the four digits of `\u`, and the second half of a surrogate pair.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = code_unit(text)?;
    if !matches!(first, 0xd800..=0xdbff) {
        return Some((char::from_u32(first)?, rest));
    }
    let (second, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)?, rest))
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten().map(|unit| (unit, rest))
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arrays_of_strings_are_read() {
        for (text, expected) in [
            ("[]", &[][..]),
            ("[ ]", &[]),
            (r#"["a"]"#, &["a"]),
            (r#"[ "a" , "" ,"b c"] "#, &["a", "", "b c"]),
            (r#"["\"\\\/\b\f\n\r\t","\u0041\u00e4\ud83d\ude00"]"#, &["\"\\/\u{8}\u{c}\n\r\t", "Aä😀"]),
        ] {
            assert_eq!(strings(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "a",
            "[",
            "]",
            "[a]",
            "[1]",
            "[null]",
            r#"["a""#,
            r#"["a]"#,
            r#"["a",]"#,
            r#"[,"a"]"#,
            r#"["a" "b"]"#,
            r#"["a"]x"#,
            r#"["a"]["b"]"#,
            r#"["\x"]"#,
            r#"["\u12"]"#,
            r#"["\u+123"]"#,
            r#"["\ud83d"]"#,
            r#"["\ud83d\u0041"]"#,
            r#"["\udc00"]"#,
            "[\"\t\"]",
            r#"["\"#,
            r#"{"a":"b"}"#,
            r#"[["a"]]"#,
            r#"["\ué123"]"#,
        ] {
            assert!(strings(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(text in any::<String>()) {
            let printed = std::format!("[{}]", Quoted(&text));
            prop_assert_eq!(strings(&printed), Ok(std::vec![text]));
        }
    }
}
