//! The verbs of `vctl`, with runc's flags, words and exit statuses.

mod inside;
mod life;
mod look;
mod spec;

use alloc::{format, string::String, vec::Vec};

use super::words::{Flag, FlagsEnd, Words};
use crate::{io::print, sys::Start};

/// The exit status of a verb, or the words for what went wrong.
type Outcome = Result<u8, String>;

/// Exit status when `vctl` itself failed.
const FAILED: u8 = 1;
/// The same of exec, so that it is not taken for the command's.
const EXEC_FAILED: u8 = 255;

/// One thing that `vctl` does.
struct Verb {
    name: &'static str,
    operands: &'static str,
    about: &'static str,
    flags: &'static [Flag],
    flags_end: FlagsEnd,
    failed: u8,
    run: fn(&Words) -> Outcome,
}

impl Verb {
    const fn new(name: &'static str, operands: &'static str, about: &'static str, run: fn(&Words) -> Outcome) -> Self {
        Self { name, operands, about, flags: &[], flags_end: FlagsEnd::AtDashes, failed: FAILED, run }
    }

    const fn with(self, flags: &'static [Flag]) -> Self {
        Self { flags, ..self }
    }
}

/// `-s, --long VALUE` and what it does.
const fn flag(short: char, long: &'static str, value: &'static str, about: &'static str) -> Flag {
    let short = if short == ' ' { None } else { Some(short) };
    let value = if value.is_empty() { None } else { Some(value) };
    Flag { short, long, value, about }
}

const BUNDLE: Flag = flag('b', "bundle", "DIR", "the bundle, the working directory unless said");
const PID_FILE: Flag = flag(' ', "pid-file", "FILE", "write the number of the process there");
const FORMAT: Flag = flag('f', "format", "table|json", "how to print it, as a table unless said");

const VERBS: &[Verb] = &[
    Verb::new("create", "ID", "make a container, its process held before its first instruction", life::create)
        .with(&[BUNDLE, PID_FILE]),
    Verb::new("start", "ID", "let the process of a created container run", life::start),
    Verb::new("run", "ID", "create and start a container, wait for it and delete it; its status is vctl's", life::run)
        .with(&[
            BUNDLE,
            PID_FILE,
            flag('d', "detach", "", "do not wait for its end, nor delete it"),
            flag(' ', "keep", "", "do not delete it at its end"),
        ]),
    Verb::new("state", "ID", "print the OCI state of a container", look::state),
    Verb::new("list", "", "list containers", look::list)
        .with(&[FORMAT, flag('q', "quiet", "", "print ids and nothing else")]),
    Verb::new("kill", "ID [SIGNAL]", "send a signal, TERM unless said, to a container's process", life::kill),
    Verb::new("delete", "ID...", "give back all that stopped containers have", life::delete).with(&[flag(
        'f',
        "force",
        "",
        "kill what is not stopped; what is not there is no error",
    )]),
    Verb {
        flags_end: FlagsEnd::AtOperand,
        failed: EXEC_FAILED,
        ..Verb::new(
            "exec",
            "ID COMMAND [WORD...]",
            "run a further process in a container; its status is vctl's",
            inside::exec,
        )
        .with(&[
            flag(' ', "cwd", "DIR", "its working directory"),
            flag('e', "env", "NAME=VALUE", "a variable of its environment"),
            flag('t', "tty", "", "give it a terminal of its own"),
            flag('u', "user", "UID[:GID]", "whom it runs as"),
            flag('g', "additional-gids", "GID", "a further group"),
            flag('p', "process", "FILE", "all of it, as config.json or config.oci say it"),
            flag('d', "detach", "", "do not wait for its end"),
            PID_FILE,
            flag(' ', "no-new-privs", "", "it may gain no privileges"),
            flag('c', "cap", "CAPABILITY", "a further capability"),
        ])
    },
    Verb::new("ps", "ID", "list the processes in a container", look::ps).with(&[FORMAT]),
    Verb::new("pause", "ID", "freeze a container's processes", life::pause),
    Verb::new("resume", "ID", "let the processes of a paused container go on", life::resume),
    Verb::new("trace", "ID", "tell the system calls of a container's processes on the machine's console", look::trace)
        .with(&[flag(' ', "off", "", "tell them no more")]),
    Verb::new("update", "ID", "change a container's limits, all that are given or none", inside::update)
        .with(inside::LIMITS),
    Verb::new("stats", "[ID...]", "show what containers use", look::stats).with(&[FORMAT]),
    Verb::new("events", "ID", "print what a container uses from time to time, until it is stopped", look::events).with(
        &[
            flag(' ', "interval", "SECONDS", "the time between two, 5s unless said"),
            flag(' ', "stats", "", "print it once"),
        ],
    ),
    Verb::new("features", "", "print what this kernel has, as the OCI features document", look::features),
    Verb::new("spec", "[WORD...]", "write config.json, to run these words or sh", spec::spec).with(&[flag(
        'b',
        "bundle",
        "DIR",
        "where, the working directory unless said",
    )]),
];

/// Runs what the arguments say; the exit status.
pub fn main(start: &Start) -> u8 {
    let mut words = Vec::new();
    for word in start.args().skip(1) {
        match word.to_str() {
            Ok(word) => words.push(word),
            Err(_) => return failed(FAILED, &format!("{}: not UTF-8", word.to_string_lossy())),
        }
    }
    match words[..] {
        [] | ["help" | "-h" | "--help"] => {
            print(1, format_args!("{}", overview()));
            0
        }
        ["help", name, ..] => of_name(name).map_or_else(|status| status, help),
        [name, ref words @ ..] => of_name(name).map_or_else(|status| status, |verb| run(verb, words)),
    }
}

fn of_name(name: &str) -> Result<&'static Verb, u8> {
    let verb = VERBS.iter().find(|verb| verb.name == name);
    verb.ok_or_else(|| failed(FAILED, &format!("{name}: there is no such command; `vctl help` lists those that are")))
}

fn run(verb: &Verb, words: &[&str]) -> u8 {
    // Behind an operand of exec, `--help` is another program's.
    if matches!(words, ["-h" | "--help", ..]) {
        return help(verb);
    }
    let sorted = Words::sort(words, verb.flags, verb.flags_end);
    sorted.and_then(|words| (verb.run)(&words)).unwrap_or_else(|reason| failed(verb.failed, &reason))
}

/// Says why; the exit status.
fn failed(status: u8, reason: &str) -> u8 {
    print(2, format_args!("vctl: {reason}\n"));
    status
}

fn overview() -> String {
    let mut text = String::from("vctl: containers of this kernel\n\n");
    for verb in VERBS {
        text += &format!("  vctl {:<9} {:<20} {}\n", verb.name, verb.operands, verb.about);
    }
    text + "\n`vctl COMMAND --help` tells the flags of one.\n"
}

fn help(verb: &Verb) -> u8 {
    let flags = if verb.flags.is_empty() { "" } else { " [FLAGS]" };
    print(1, format_args!("vctl {}{flags} {}\n  {}\n", verb.name, verb.operands, verb.about));
    for flag in verb.flags {
        let short = flag.short.map_or_else(|| String::from("    "), |letter| format!("-{letter}, "));
        let long = format!("--{} {}", flag.long, flag.value.unwrap_or_default());
        print(1, format_args!("  {short}{long:<28} {}\n", flag.about));
    }
    0
}

/// The one operand of a verb: an id.
fn id(words: &Words) -> Result<String, String> {
    match words.operands()[..] {
        [id] => Ok(id.into()),
        [] => Err("the id of a container is wanted".into()),
        [_, more, ..] => Err(format!("{more}: one id is wanted, and nothing else")),
    }
}
