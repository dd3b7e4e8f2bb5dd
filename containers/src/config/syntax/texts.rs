//! Texts of any kind: what does not fit on a line as it is can be given in a JSON array.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Joined, Literal, checked};
use crate::config::error::about;
use crate::config::variables::Variables;
use crate::json::{self, Quoted};
use crate::text::{self, Reason};

/// Reads an array of strings and puts the variables in, so what they hold stays within its string.
pub(in crate::config) fn array(
    value: &str,
    variables: &mut Variables<'_>,
    validator: fn(&str) -> Result<(), Reason>,
) -> Result<Vec<String>, String> {
    let mut strings = json::strings(value).map_err(|reason| about(value, reason))?;
    expand_all(&mut strings, variables, validator)?;
    Ok(strings)
}

/// Puts the variables into strings, and checks them.
pub(super) fn expand_all(
    strings: &mut [String],
    variables: &mut Variables<'_>,
    validator: fn(&str) -> Result<(), Reason>,
) -> Result<(), String> {
    strings.iter_mut().try_for_each(|string| {
        *string = checked(string, variables, validator)?;
        Ok(())
    })
}

/// Prints an array of strings in which no variable is meant.
pub(in crate::config) struct Array<'a>(pub(in crate::config) &'a [String]);

impl fmt::Display for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", Literal(Joined(self.0.iter().map(|string| Quoted(string)), ",")))
    }
}

/// Reads environment entries: one, or an array of them.
pub(in crate::config) fn environment(value: &str, variables: &mut Variables<'_>) -> Result<Vec<String>, String> {
    if value.starts_with('[') {
        return array(value, variables, text::environment);
    }
    checked(value, variables, text::environment).map(|entry| [entry].into())
}

/// Prints an environment entry.
pub(in crate::config) struct Environment<'a>(pub(in crate::config) &'a String);

impl fmt::Display for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.starts_with('[') || text::one_line(self.0).is_err() {
            return Array(core::slice::from_ref(self.0)).fmt(f);
        }
        Literal(self.0).fmt(f)
    }
}

/// Reads a name and a value: `NAME=VALUE`, or an array of the two.
pub(in crate::config) fn pair(value: &str, variables: &mut Variables<'_>) -> Result<(String, String), String> {
    let (name, content) = if value.starts_with('[') {
        let mut strings = array(value, variables, text::no_nul)?;
        let (Some(content), Some(name), None) = (strings.pop(), strings.pop(), strings.pop()) else {
            return Err(about(value, "is not an array of two strings, a name and a value"));
        };
        (name, content)
    } else {
        let (name, content) = value.split_once('=').ok_or_else(|| about(value, "has no `=`: it is NAME=VALUE"))?;
        let name = checked(name.trim_end(), variables, text::no_nul)?;
        (name, checked(content.trim_start(), variables, text::no_nul)?)
    };
    if name.is_empty() {
        return Err(about(value, "has an empty name"));
    }
    Ok((name, content))
}

/// Prints a name and a value.
pub(in crate::config) struct Pair<'a>(pub(in crate::config) &'a str, pub(in crate::config) &'a str);

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |text| text::one_line(text).is_ok();
        if self.0.contains('=') || self.0.starts_with('[') || !is_plain(self.0) || !is_plain(self.1) {
            return write!(f, "[{},{}]", Literal(Quoted(self.0)), Literal(Quoted(self.1)));
        }
        write!(f, "{}={}", Literal(self.0), Literal(self.1))
    }
}
