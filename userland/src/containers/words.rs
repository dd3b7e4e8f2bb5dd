//! The words of a command: flags, their values, operands.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A flag that a command takes.
pub struct Flag {
    /// `-x`, if it has a short form.
    pub short: Option<char>,
    /// `--name`.
    pub long: &'static str,
    /// What its value is called; `None` if it has none.
    pub value: Option<&'static str>,
    /// What it does, in a line.
    pub about: &'static str,
}

/// Where flags end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FlagsEnd {
    /// At `--`.
    AtDashes,
    /// At `--`, or behind the first operand: what follows is another program's.
    AtOperand,
}

/// The words of a command line, sorted.
#[derive(Default)]
pub struct Words {
    flags: Vec<(&'static str, String)>,
    operands: Vec<String>,
}

impl Words {
    /// Sorts words. A value is the next word, or follows `=`, or the letter of its flag.
    pub fn sort(words: &[&str], known: &[Flag], end: FlagsEnd) -> Result<Self, String> {
        let mut sorted = Self::default();
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            if word == "--" {
                sorted.operands.extend(rest.map(ToString::to_string));
                break;
            }
            let mut next = |flag: &Flag| match rest.next() {
                Some(value) => Ok(value.to_string()),
                None => Err(format!("--{} wants a value: {}", flag.long, flag.value.unwrap_or_default())),
            };
            if let Some(long) = word.strip_prefix("--") {
                let (name, given) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let flag = known.iter().find(|flag| flag.long == name);
                let flag = flag.ok_or_else(|| format!("there is no flag --{name}"))?;
                let value = match (flag.value, given) {
                    (None, Some(_)) => return Err(format!("--{name} takes no value")),
                    (Some(_), Some(given)) => given.to_string(),
                    (Some(_), None) => next(flag)?,
                    (None, None) => String::new(),
                };
                sorted.flags.push((flag.long, value));
            } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                let mut letters = letters.chars();
                while let Some(letter) = letters.next() {
                    let flag = known.iter().find(|flag| flag.short == Some(letter));
                    let flag = flag.ok_or_else(|| format!("there is no flag -{letter}"))?;
                    let value = match (flag.value, letters.as_str()) {
                        (None, _) => String::new(),
                        (Some(_), "") => next(flag)?,
                        (Some(_), given) => given.strip_prefix('=').unwrap_or(given).to_string(),
                    };
                    let takes_all = flag.value.is_some();
                    sorted.flags.push((flag.long, value));
                    if takes_all {
                        break;
                    }
                }
            } else {
                sorted.operands.push(word.to_string());
                if end == FlagsEnd::AtOperand {
                    sorted.operands.extend(rest.map(ToString::to_string));
                    break;
                }
            }
        }
        Ok(sorted)
    }

    /// Whether a flag is there.
    pub fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(long, _)| *long == name)
    }

    /// The value of a flag; of several the last counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// All values of a flag.
    pub fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.flags.iter().filter(move |(long, _)| *long == name).map(|(_, value)| value.as_str())
    }

    /// What is no flag.
    pub fn operands(&self) -> Vec<&str> {
        self.operands.iter().map(String::as_str).collect()
    }
}
