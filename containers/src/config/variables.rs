//! `${NAME}` in values.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::error::Shown;
use crate::line::DOCUMENT_LEN_MAX;

/// The variables of one document, and how much they may still add to it.
pub(super) struct Variables<'a> {
    values: &'a [(&'a str, &'a str)],
    budget: usize,
}

impl<'a> Variables<'a> {
    pub(super) const fn new(values: &'a [(&'a str, &'a str)]) -> Self {
        Self { values, budget: DOCUMENT_LEN_MAX }
    }

    /// Replaces each `${NAME}`, and `$${` by `${`. Any other `$` is itself.
    pub(super) fn expand<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, String> {
        // Most texts have none, and one byte is found far sooner than two.
        let Some(mut at) = text.find('$').and_then(|_| text.find("${")) else {
            return Ok(Cow::Borrowed(text));
        };
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        loop {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(literal) = before.strip_suffix('$') {
                expanded.push_str(literal);
                expanded.push_str("${");
                rest = after;
            } else {
                expanded.push_str(before);
                let (name, after) =
                    after.split_once('}').ok_or_else(|| format!("{} has a `${{` without its `}}`", Shown(text)))?;
                let value = self.value(name)?;
                self.budget = self
                    .budget
                    .checked_sub(value.len())
                    .ok_or_else(|| String::from("the variables make the configuration too long"))?;
                expanded.push_str(value);
                rest = after;
            }
            match rest.find("${") {
                Some(next) => at = next,
                None => {
                    expanded.push_str(rest);
                    return Ok(Cow::Owned(expanded));
                }
            }
        }
    }

    fn value(&self, name: &str) -> Result<&'a str, String> {
        let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let other = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !name.bytes().next().is_some_and(first) || !name.bytes().all(other) {
            return Err(format!("{} is not the name of a variable: letters, digits and `_`", Shown(name)));
        }
        let known = self.values.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| *value).ok_or_else(|| format!("the variable ${{{name:.64}}} is not defined"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let values = [("A", "1"), ("_b2", "x:${A}\\"), ("EMPTY", "")];
        Variables::new(&values).expand(text).map(Cow::into_owned)
    }

    #[test]
    fn braces_are_replaced_once_and_dollars_are_not() {
        for (text, expected) in [
            ("", ""),
            ("a", "a"),
            ("${A}", "1"),
            ("x${A}y${A}", "x1y1"),
            ("${_b2}", "x:${A}\\"),
            ("${EMPTY}", ""),
            ("$A $", "$A $"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$${${A}}", "${1}"),
            ("{A}}", "{A}}"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn undefined_unterminated_and_badly_named_variables_are_errors() {
        for text in ["${", "${A", "${B}", "${}", "${1A}", "${A B}", "${A${A}}", "${ä}", "a${A}${"] {
            assert!(expand(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_cannot_blow_a_document_up() {
        let long = "x".repeat(DOCUMENT_LEN_MAX / 2);
        let values = [("A", long.as_str())];
        let mut variables = Variables::new(&values);
        assert!(variables.expand("${A}${A}").is_ok());
        assert!(variables.expand("${A}").is_err());
    }
}
