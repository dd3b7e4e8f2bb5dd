//! The grammar: lists of pipelines of commands; words with quotes, still to be expanded.

use alloc::{format, string::String, vec::Vec};
use core::{iter::Peekable, str::Chars};

/// When a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// After `;` or `&`, or first.
    Always,
    /// After `&&`.
    IfSuccess,
    /// After `||`.
    IfFailure,
}

/// A pipeline of a list.
#[derive(Debug)]
pub struct Item {
    /// When it runs.
    pub condition: Condition,
    /// Its commands, at least one.
    pub commands: Vec<Command>,
    /// `&`: nobody waits for it.
    pub background: bool,
    /// As it was written.
    pub text: String,
}

/// A command: words and redirections.
#[derive(Debug, Default)]
pub struct Command {
    /// Assignments before the first word among them.
    pub words: Vec<Word>,
    /// In order.
    pub redirections: Vec<Redirection>,
}

/// `2>file` and its like.
#[derive(Debug)]
pub struct Redirection {
    /// Which descriptor.
    pub fd: i32,
    /// How.
    pub kind: RedirectionKind,
    /// The file's name, or the descriptor's number.
    pub target: Word,
}

/// How a descriptor is redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectionKind {
    /// `<`
    Read,
    /// `>`
    Write,
    /// `>>`
    Append,
    /// `>&` or `<&`: another descriptor.
    Duplicate,
}

/// A word, in parts.
pub type Word = Vec<Part>;

/// A part of a word.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands. Quoted text is a word even when it is empty.
    Literal(String),
    /// `$name`; split into words where it is not `quoted`.
    Variable {
        /// The variable's name, or `?`, `$`, `#`, `@` or a digit.
        name: String,
        /// Whether it stood in double quotes.
        quoted: bool,
    },
}

enum Token {
    Word(Word),
    Redirection(i32, RedirectionKind),
    Pipe,
    And,
    Or,
    Semicolon,
    Ampersand,
}

/// Parses a text of any number of lines.
pub fn list(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut commands = Vec::new();
    let mut command = Command::default();
    let mut condition = Condition::Always;
    let mut redirection = None;
    let mut scanner = Scanner { rest: text.chars().peekable(), at: 0 };
    let mut start = 0;
    loop {
        let before = scanner.at;
        let token = scanner.token()?;
        let named = matches!(token, Some(Token::Word(_)));
        if redirection.is_some() && !named {
            return Err(String::from("a redirection needs a name"));
        }
        let empty = command.words.is_empty() && command.redirections.is_empty();
        let next = match token {
            Some(Token::Word(word)) => {
                match redirection.take() {
                    Some((fd, kind)) => command.redirections.push(Redirection { fd, kind, target: word }),
                    None => command.words.push(word),
                }
                continue;
            }
            Some(Token::Redirection(fd, kind)) => {
                redirection = Some((fd, kind));
                continue;
            }
            Some(Token::Pipe) if empty => return Err(String::from("there is no command before |")),
            Some(Token::Pipe) => {
                commands.push(core::mem::take(&mut command));
                continue;
            }
            Some(Token::Ampersand) => (Condition::Always, true),
            Some(Token::And) => (Condition::IfSuccess, false),
            Some(Token::Or) => (Condition::IfFailure, false),
            Some(Token::Semicolon) | None => (Condition::Always, false),
        };
        if empty
            && !(commands.is_empty()
                && matches!(token, Some(Token::Semicolon) | None)
                && condition == Condition::Always)
        {
            return Err(String::from("a command is missing"));
        }
        if !empty {
            commands.push(core::mem::take(&mut command));
            let written = text.get(start..before).unwrap_or("").trim();
            let (commands, text) = (core::mem::take(&mut commands), String::from(written));
            items.push(Item { condition, commands, background: next.1, text });
        }
        start = scanner.at;
        condition = next.0;
        if token.is_none() {
            return Ok(items);
        }
    }
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    /// Bytes taken.
    at: usize,
}

impl Scanner<'_> {
    fn take(&mut self) -> Option<char> {
        let taken = self.rest.next()?;
        self.at += taken.len_utf8();
        Some(taken)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.rest.peek() == Some(&wanted) && self.take().is_some()
    }

    fn token(&mut self) -> Result<Option<Token>, String> {
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' => drop(self.take()),
                '#' => while self.rest.peek().is_some_and(|&next| next != '\n') && self.take().is_some() {},
                _ => break,
            }
        }
        let Some(&next) = self.rest.peek() else { return Ok(None) };
        let operator = matches!(next, '|' | '&' | ';' | '\n' | '<' | '>');
        if !operator {
            return self.word().map(Some);
        }
        self.take();
        Ok(Some(match next {
            '|' if self.take_if('|') => Token::Or,
            '|' => Token::Pipe,
            '&' if self.take_if('&') => Token::And,
            '&' => Token::Ampersand,
            '<' | '>' => self.redirection(next, None)?,
            _ => Token::Semicolon,
        }))
    }

    fn redirection(&mut self, sign: char, fd: Option<i32>) -> Result<Token, String> {
        let fd = fd.unwrap_or(if sign == '<' { 0 } else { 1 });
        let kind = match sign {
            _ if self.take_if('&') => RedirectionKind::Duplicate,
            '<' if self.take_if('<') => return Err(String::from("here-documents are not there")),
            '<' => RedirectionKind::Read,
            _ if self.take_if('>') => RedirectionKind::Append,
            _ => RedirectionKind::Write,
        };
        Ok(Token::Redirection(fd, kind))
    }

    fn word(&mut self) -> Result<Token, String> {
        let mut word = Word::new();
        let mut text = String::new();
        let mut quoted = false;
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | '|' | '&' | ';' => break,
                '<' | '>' => {
                    let number = text.parse().ok().filter(|_| word.is_empty() && !quoted);
                    if let Some(fd) = number {
                        self.take();
                        return self.redirection(next, Some(fd));
                    }
                    break;
                }
                '\'' => {
                    self.take();
                    quoted = true;
                    loop {
                        match self.take() {
                            Some('\'') => break,
                            Some(plain) => text.push(plain),
                            None => return Err(String::from("a ' is not closed")),
                        }
                    }
                }
                '"' => {
                    self.take();
                    quoted = true;
                    self.double_quoted(&mut word, &mut text)?;
                }
                '\\' => {
                    self.take();
                    text.extend(self.take().filter(|&escaped| escaped != '\n'));
                }
                '$' => {
                    self.take();
                    self.variable(&mut word, &mut text, false)?;
                }
                plain => {
                    self.take();
                    text.push(plain);
                }
            }
        }
        if !text.is_empty() || quoted {
            word.push(Part::Literal(text));
        }
        Ok(Token::Word(word))
    }

    fn double_quoted(&mut self, word: &mut Word, text: &mut String) -> Result<(), String> {
        loop {
            match self.take() {
                Some('"') => return Ok(()),
                Some('$') => self.variable(word, text, true)?,
                Some('\\') => match self.take() {
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => text.push(escaped),
                    Some('\n') => {}
                    Some(other) => text.extend(['\\', other]),
                    None => return Err(String::from("a \" is not closed")),
                },
                Some(plain) => text.push(plain),
                None => return Err(String::from("a \" is not closed")),
            }
        }
    }

    /// What follows a `$`.
    fn variable(&mut self, word: &mut Word, text: &mut String, quoted: bool) -> Result<(), String> {
        let mut name = String::new();
        if self.take_if('{') {
            while let Some(letter) = self.take().filter(|&letter| letter != '}') {
                name.push(letter);
            }
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_?$#@".contains(&byte)) {
                return Err(format!("${{{name}}} is not understood"));
            }
        } else {
            match self.rest.peek() {
                Some('(') => return Err(String::from("command substitution is not there")),
                Some(&special) if special.is_ascii_digit() || "?$#@".contains(special) => name.extend(self.take()),
                _ => {
                    while self.rest.peek().is_some_and(|next| next.is_ascii_alphanumeric() || *next == '_') {
                        name.extend(self.take());
                    }
                }
            }
        }
        if name.is_empty() {
            text.push('$');
            return Ok(());
        }
        if !text.is_empty() || quoted {
            word.push(Part::Literal(core::mem::take(text)));
        }
        word.push(Part::Variable { name, quoted });
        Ok(())
    }
}
