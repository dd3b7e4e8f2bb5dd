//! A small shell: enough to look around on a machine and to run programs, with pipes, redirections and job control.
//!
//! Owns: the grammar ([`parse`]), what words become (`expand`), processes and jobs (`jobs`), the commands it has itself
//! (`builtin`). It is no sh(1): there are no functions, loops or here-documents.

mod builtin;
mod expand;
mod jobs;
pub mod parse;

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::{
    println,
    sys::{self, Fd, Start},
};
use jobs::Jobs;

/// What the shell knows between two commands.
pub struct Shell {
    variables: BTreeMap<String, String>,
    /// `$0` and what follows.
    arguments: Vec<String>,
    /// `$?`
    status: u8,
    jobs: Jobs,
    ends: bool,
}

/// Exit status for a line that cannot be understood.
const SYNTAX: u8 = 2;

impl Shell {
    /// A shell with the environment of `start`.
    pub fn new(start: &Start) -> Self {
        let entries = start.env().filter_map(|entry| entry.to_str().ok()?.split_once('='));
        let variables = entries.map(|(name, value)| (String::from(name), String::from(value))).collect();
        let arguments = start.args().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut shell = Self { variables, arguments, status: 0, jobs: Jobs::default(), ends: false };
        shell.variables.entry(String::from("PATH")).or_insert_with(|| String::from("/bin:/usr/bin"));
        shell
    }

    /// Runs the lines of `input` to their end, or until `exit`; the last status. On a terminal it asks for each line and
    /// controls jobs.
    pub fn run(&mut self, input: Fd) -> u8 {
        let interactive = self.jobs.take_terminal(input);
        let mut reader = Lines::new(input);
        loop {
            if interactive {
                self.jobs.report();
                let prompt = self.variables.get("PS1").map_or("# ", String::as_str);
                crate::io::print(2, format_args!("{prompt}"));
            }
            match reader.next() {
                Some(line) => self.run_text(&line),
                None => break,
            }
            if self.ends {
                break;
            }
        }
        self.status
    }

    /// Runs the commands of a text; the last status.
    pub fn run_text(&mut self, text: &str) {
        match parse::list(text) {
            Ok(list) => self.run_list(&list),
            Err(reason) => {
                println!("sh: {reason}");
                self.status = SYNTAX;
            }
        }
    }

    /// `$?`
    pub fn status(&self) -> u8 {
        self.status
    }

    fn run_list(&mut self, list: &[parse::Item]) {
        for item in list {
            let runs = match item.condition {
                parse::Condition::Always => true,
                parse::Condition::IfSuccess => self.status == 0,
                parse::Condition::IfFailure => self.status != 0,
            };
            if runs {
                self.run_pipeline(item);
            }
            if self.ends {
                return;
            }
        }
    }

    fn run_pipeline(&mut self, item: &parse::Item) {
        let mut commands = Vec::new();
        for command in &item.commands {
            match expand::command(self, command) {
                Ok(command) => commands.push(command),
                Err(reason) => {
                    println!("sh: {reason}");
                    self.status = 1;
                    return;
                }
            }
        }
        if let [only] = &commands[..]
            && !item.background
        {
            if only.words.is_empty() && only.redirections.is_empty() {
                self.variables.extend(only.assignments.iter().cloned());
                self.status = 0;
                return;
            }
            if let Some(status) = builtin::in_the_shell(self, only) {
                self.status = status;
                return;
            }
        }
        self.status = jobs::run(self, &commands, item);
    }
}

/// The lines of a descriptor, read as they come.
struct Lines {
    input: Fd,
    waiting: Vec<u8>,
    ended: bool,
}

impl Lines {
    const fn new(input: Fd) -> Self {
        Self { input, waiting: Vec::new(), ended: false }
    }
}

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.waiting.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.ended {
                let rest = core::mem::take(&mut self.waiting);
                return (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned());
            }
            let mut buffer = [0; 512];
            match sys::read(self.input, &mut buffer) {
                Ok(count @ 1..) => self.waiting.extend_from_slice(&buffer[..count]),
                _ => self.ended = true,
            }
        }
    }
}
