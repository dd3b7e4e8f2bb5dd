//! From words as they were written to what a command gets.

use alloc::{format, string::String, vec::Vec};

use super::{
    Shell,
    parse::{self, Part, RedirectionKind},
};
use crate::sys;

/// A command, ready to be run.
pub struct Command {
    /// `NAME=value` before the first word.
    pub assignments: Vec<(String, String)>,
    /// Its words.
    pub words: Vec<String>,
    /// Its redirections: descriptor, how, name.
    pub redirections: Vec<(i32, RedirectionKind, String)>,
}

/// Expands variables; quoted ones stay within their word.
pub fn command(shell: &Shell, command: &parse::Command) -> Result<Command, String> {
    let mut assignments = Vec::new();
    let mut words = Vec::new();
    for word in &command.words {
        if words.is_empty()
            && let Some(name) = assigned(word)
        {
            let whole = together(shell, word);
            assignments.push((String::from(name), String::from(&whole[name.len() + 1..])));
            continue;
        }
        split(shell, word, &mut words);
    }
    let redirections = command
        .redirections
        .iter()
        .map(|redirection| {
            let target = together(shell, &redirection.target);
            if target.is_empty() {
                return Err(format!("{}: a redirection to nothing", redirection.fd));
            }
            Ok((redirection.fd, redirection.kind, target))
        })
        .collect::<Result<_, _>>()?;
    Ok(Command { assignments, words, redirections })
}

/// The name that a word assigns to.
fn assigned(word: &parse::Word) -> Option<&str> {
    let Some(Part::Literal(text)) = word.first() else { return None };
    let (name, _) = text.split_once('=')?;
    let first = name.bytes().next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (name.bytes().all(plain) && !first.is_ascii_digit()).then_some(name)
}

fn together(shell: &Shell, word: &parse::Word) -> String {
    word.iter()
        .map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Variable { name, .. } => value(shell, name),
        })
        .collect()
}

/// Adds the words that `word` becomes: none where unquoted variables are all it has and they are empty.
fn split(shell: &Shell, word: &parse::Word, words: &mut Vec<String>) {
    let mut current: Option<String> = None;
    for part in word {
        match part {
            Part::Literal(text) => current.get_or_insert_default().push_str(text),
            Part::Variable { name, quoted: true } => current.get_or_insert_default().push_str(&value(shell, name)),
            Part::Variable { name, quoted: false } => {
                let value = value(shell, name);
                if value.starts_with(char::is_whitespace) {
                    words.extend(current.take());
                }
                for (index, piece) in value.split_whitespace().enumerate() {
                    if index > 0 {
                        words.extend(current.take());
                    }
                    current.get_or_insert_default().push_str(piece);
                }
                if value.ends_with(char::is_whitespace) {
                    words.extend(current.take());
                }
            }
        }
    }
    words.extend(current);
}

fn value(shell: &Shell, name: &str) -> String {
    match name {
        "?" => format!("{}", shell.status),
        "$" => format!("{}", sys::getpid()),
        "#" => format!("{}", shell.arguments.len().saturating_sub(1)),
        "@" => shell.arguments.get(1..).unwrap_or_default().join(" "),
        _ => match name.parse::<usize>() {
            Ok(index) => shell.arguments.get(index).cloned().unwrap_or_default(),
            Err(_) => shell.variables.get(name).cloned().unwrap_or_default(),
        },
    }
}
