//! Boots Debian's Linux, which `scripts/linux.sh` fetches, runs a command there, and passes on its output and its exit
//! status: what this kernel is compared with.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};
use veridian_tests_qemu::{Arch, Linux, status};

const USAGE: &str = "veridian-linux [--arch x86_64|aarch64|riscv64] [--smp N] [--mem SIZE] [--timeout SECONDS] [--count] \
                     [--runtimes] [--files DIRECTORY]... [--verbose] [--] COMMAND...";

struct Options {
    arch: Arch,
    cpus: u32,
    memory: String,
    timeout: u64,
    count: bool,
    /// crun and runc are there.
    runtimes: bool,
    /// What these directories hold is in the root.
    files: Vec<PathBuf>,
    /// The kernel's own messages, too.
    verbose: bool,
    command: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("veridian-linux: {error}");
            ExitCode::from(status::NOT_STARTED)
        }
    }
}

fn options() -> io::Result<Options> {
    use lexopt::prelude::*;
    let wrong = |error: lexopt::Error| io::Error::other(format!("{error}\nusage: {USAGE}"));
    let mut options = Options {
        arch: Arch::X86_64,
        cpus: 1,
        memory: "512M".to_owned(),
        timeout: 120,
        count: false,
        runtimes: false,
        files: Vec::new(),
        verbose: false,
        command: Vec::new(),
    };
    let mut words = lexopt::Parser::from_env();
    let text = |words: &mut lexopt::Parser| words.value().and_then(ValueExt::string).map_err(wrong);
    while let Some(word) = words.next().map_err(wrong)? {
        match word {
            Long("arch") => options.arch = text(&mut words)?.parse()?,
            Long("smp") => options.cpus = words.value().and_then(|value| value.parse()).map_err(wrong)?,
            Long("mem") => options.memory = text(&mut words)?,
            Long("timeout") => options.timeout = words.value().and_then(|value| value.parse()).map_err(wrong)?,
            Long("count") => options.count = true,
            Long("runtimes") => options.runtimes = true,
            Long("files") => options.files.push(words.value().map_err(wrong)?.into()),
            Long("verbose") => options.verbose = true,
            Value(word) => {
                options.command.push(word.string().map_err(wrong)?);
                for word in words.raw_args().map_err(wrong)? {
                    options.command.push(word.string().map_err(wrong)?);
                }
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    if options.command.is_empty() {
        return Err(io::Error::other(format!("no command\nusage: {USAGE}")));
    }
    Ok(options)
}

/// The command's exit status; [`status::HANG`] when it did not end in time, [`status::PANIC`] when Linux did not come to
/// its end.
fn run(options: &Options) -> io::Result<u8> {
    let linux = Linux::of(options.arch);
    let mut root = linux.root()?;
    if options.runtimes {
        linux.add_runtimes(&mut root)?;
    }
    for directory in &options.files {
        root.tree(directory, "")?;
    }
    let limit = (options.timeout > 0).then(|| Duration::from_secs(options.timeout));
    let mut vm = linux
        .vm(root, &format!("{}\n", options.command.join(" ")))
        .cpus(options.cpus)
        .memory(&options.memory)
        .time_limit(limit);
    if options.count {
        vm = vm.count_instructions();
    }
    if options.verbose {
        vm = vm.add_words("loglevel=7");
    }
    let outcome = vm.run()?;
    print!("{}", if options.verbose { &outcome.console } else { outcome.script_output() });
    Ok(match outcome.script_status() {
        Some(status) => status,
        None => {
            eprintln!("veridian-linux: Linux: {}\n{}{}", outcome.exit, outcome.last_lines(20), outcome.errors);
            outcome.exit.code().max(status::HANG)
        }
    })
}
